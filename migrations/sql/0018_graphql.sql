-- What dapps ask: the past of every wallet, and what happened to a wallet or in a transaction.

-- The holds of one wallet that bound at a block, as `holds_at` has them: a seek in their changes.
CREATE FUNCTION holds_of_at(at_chain BIGINT, of_token BYTEA, of_wallet BYTEA, at_block BIGINT)
RETURNS TABLE (hold_id BIGINT, kind SMALLINT, amount NUMERIC, until BIGINT, agent BYTEA)
LANGUAGE sql STABLE
AS $$
    SELECT k.hold_id, k.kind, k.amount::numeric, k.until, k.agent::bytea
    FROM (
        SELECT DISTINCT ON (c.hold_id) c.hold_id, c.kind, c.amount, c.until, c.agent
        FROM hold_changes c
        WHERE c.chain_id = at_chain AND c.token = of_token AND c.wallet = of_wallet AND c.block_number <= at_block
        ORDER BY c.hold_id, c.block_number DESC, c.log_index DESC
    ) k
    WHERE k.amount > 0
      AND (k.until = 0 OR k.until > (SELECT block_time_at(at_chain, at_block)))
$$;

-- Every position above zero as of a block, in the columns of `holdings`. Postgres puts the body in the place of the call:
-- a page of it costs a few seeks a row, where `holdings_at` looks at all that has changed since.
CREATE FUNCTION positions_at(at_chain BIGINT, at_block BIGINT)
RETURNS TABLE (chain_id BIGINT, token BYTEA, wallet BYTEA, balance NUMERIC, frozen NUMERIC, address_frozen BOOLEAN, held NUMERIC)
LANGUAGE sql STABLE
AS $$
    SELECT h.chain_id,
           h.token::bytea,
           h.wallet::bytea,
           c.balance_after::numeric,
           coalesce(f.frozen::numeric, 0),
           coalesce(f.address_frozen, false),
           (SELECT coalesce(sum(k.amount), 0) FROM holds_of_at(at_chain, h.token, h.wallet, at_block) k)
    FROM holdings h
    CROSS JOIN LATERAL (
        SELECT c.balance_after
        FROM holding_changes c
        WHERE c.account_key = account_key(h.token, h.wallet)
          AND c.chain_id = at_chain AND c.token = h.token AND c.wallet = h.wallet
          AND c.block_number <= at_block
        ORDER BY c.block_number DESC, c.log_index DESC
        LIMIT 1
    ) c
    LEFT JOIN LATERAL (
        SELECT z.frozen, z.address_frozen
        FROM freezes z
        WHERE z.chain_id = at_chain AND z.token = h.token AND z.wallet = h.wallet
          AND z.block_number <= at_block
        ORDER BY z.block_number DESC, z.log_index DESC
        LIMIT 1
    ) f ON true
    WHERE h.chain_id = at_chain
      AND c.balance_after > 0
$$;

-- By the wallets on either side. Such an index takes its entries by the thousand, and keeps each wallet once: it costs a
-- third of one ordered by wallet and block, and the blocks of one wallet are soon sorted.
CREATE INDEX transfers_by_wallet  ON transfers  USING gin ((ARRAY[from_wallet::bytea, to_wallet::bytea]));
CREATE INDEX mints_by_wallet      ON mints      USING gin ((ARRAY[wallet::bytea]));
CREATE INDEX burns_by_wallet      ON burns      USING gin ((ARRAY[wallet::bytea]));
CREATE INDEX freezes_by_any_token ON freezes    USING gin ((ARRAY[wallet::bytea]));
CREATE INDEX recoveries_by_wallet ON recoveries USING gin ((ARRAY[lost::bytea, replacement::bytea]));

-- By transaction, of which a few bytes are kept.
CREATE INDEX transfers_by_tx  ON transfers  USING hash (tx_hash);
CREATE INDEX mints_by_tx      ON mints      USING hash (tx_hash);
CREATE INDEX burns_by_tx      ON burns      USING hash (tx_hash);
CREATE INDEX freezes_by_tx    ON freezes    USING hash (tx_hash);
CREATE INDEX recoveries_by_tx ON recoveries USING hash (tx_hash);
CREATE INDEX freezes_by_token ON freezes (chain_id, token, block_number, log_index);
