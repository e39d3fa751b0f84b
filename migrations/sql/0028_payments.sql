-- What wallets have of payment tokens, and what they let contracts of nodes take of it, as of the indexed head. Payment
-- tokens are not followed: this is asked of the chain block by block, for as long as somebody watches. Writer: the indexer
-- room.

CREATE TABLE payment_balances (
    chain_id      bigint      NOT NULL,
    wallet        address     NOT NULL,
    payment_token address     NOT NULL,
    spender       address     NOT NULL,                -- who may take it
    watched_until timestamptz NOT NULL,
    balance       uint256,                             -- NULL: not read yet
    allowance     uint256,
    block_number  bigint,
    block_hash    word,
    PRIMARY KEY (chain_id, wallet, payment_token, spender),
    CHECK (num_nulls(balance, allowance, block_number, block_hash) IN (0, 4))
);
CREATE INDEX payment_balances_watched ON payment_balances (chain_id, watched_until);
