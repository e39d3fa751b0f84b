-- What the chain says. Written by the indexer alone, a view of the chain that can be dropped and rebuilt.
--
-- Keys are (chain_id, block_number, log_index): the same transaction may come back in another block after a reorg,
-- so its hash is no key. Rows above the final block may still be removed; nothing at or below it ever is.
-- `block_time` is the block's own timestamp, Unix seconds. Amounts are base units.
-- `command_key` is the on-chain id of the command that caused the row, NULL where none did.

-- How far each chain is followed. `number` and `hash` are the cursor: it moves in the transaction that writes the
-- rows of the blocks it passes, by compare-and-set, so that rows and cursor can never disagree.
CREATE TABLE chain_cursors (
    chain_id      BIGINT      PRIMARY KEY,
    genesis       word        NOT NULL,
    number        BIGINT      NOT NULL CHECK (number >= 0),
    hash          word        NOT NULL,
    start_block   BIGINT      NOT NULL,
    live_from     BIGINT      NOT NULL,               -- the head when first followed: only blocks above it have effects
    head          BIGINT      NOT NULL,               -- the node's head when the cursor moved last
    confirmed     BIGINT      NOT NULL,               -- <= number
    finalized     BIGINT      NOT NULL,               -- <= number, never falls
    reorgs        BIGINT      NOT NULL DEFAULT 0,     -- reorgs so far
    halted        TEXT        NULL,                   -- why nothing is written any more, for a person to read
    polled_at     TIMESTAMPTZ NOT NULL DEFAULT now(), -- the node last answered
    advanced_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    CHECK (finalized <= number AND confirmed <= number)
);

-- The projections that this chain's rows were made with. Another set is refused: its tables would lack history.
CREATE TABLE projections (
    chain_id BIGINT  NOT NULL,
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    PRIMARY KEY (chain_id, name)
);

-- Contracts whose logs are read. `found_block` is NULL for those that settings name.
CREATE TABLE watched (
    chain_id    BIGINT  NOT NULL,
    address     address NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('factory', 'registry', 'executor', 'token', 'followed')),
    from_block  BIGINT  NOT NULL,
    filled_to   BIGINT  NULL,     -- a token found late: how far its past has been read; NULL = with the cursor
    node_key    word    NULL,     -- of an executor: its node
    found_block BIGINT  NULL,
    PRIMARY KEY (chain_id, address)
);

-- Headers: every block that was not final when it was read, and the ends of the ranges before it.
CREATE TABLE blocks (
    chain_id    BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    hash        word   NOT NULL,
    parent_hash word   NOT NULL,
    block_time  BIGINT NOT NULL,
    PRIMARY KEY (chain_id, number)
);

-- Every log of every watched contract, as it came, so that any projection can be derived again without the node.
CREATE TABLE logs (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_hash   word    NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    tx_index     INTEGER NOT NULL,
    address      address NOT NULL,
    topics       BYTEA   NOT NULL CHECK (octet_length(topics) % 32 = 0), -- the topics' words, one after the other
    data         BYTEA   NOT NULL,
    decoded      BOOLEAN NOT NULL,                                       -- false: kept, not understood
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);

CREATE INDEX logs_undecoded ON logs (chain_id, block_number) WHERE NOT decoded;

-- One token per instrument. Text is the chain's, cleaned; an instrument id may come twice, then the first one counts.
CREATE TABLE instruments (
    chain_id       BIGINT   NOT NULL,
    token          address  NOT NULL,
    instrument_id  TEXT     NOT NULL,
    name           TEXT     NOT NULL,
    symbol         TEXT     NOT NULL,
    decimals       SMALLINT NOT NULL CHECK (decimals BETWEEN 0 AND 255),
    max_supply     uint256  NULL,
    executor       address  NULL,     -- NULL: a token of somebody else's, followed by a setting
    issuer_key     word     NULL,
    registry       address  NULL,
    total_supply   uint256  NOT NULL DEFAULT 0,
    transfers_paused BOOLEAN NOT NULL DEFAULT false,
    supply_paused  BOOLEAN  NOT NULL DEFAULT false,
    created_block  BIGINT   NOT NULL,
    created_log    INTEGER  NOT NULL,
    created_time   BIGINT   NOT NULL,
    created_tx     word     NULL,
    inexact_block  BIGINT   NULL,     -- from here on its logs do not add up: its holdings stand still
    inexact_reason TEXT     NULL,
    PRIMARY KEY (chain_id, token)
);
CREATE INDEX instruments_by_id ON instruments (chain_id, instrument_id, created_block, created_log);

-- Each change of an investor's record, and the latest record of each wallet.
CREATE TABLE investor_changes (
    chain_id       BIGINT   NOT NULL,
    block_number   BIGINT   NOT NULL,
    log_index      INTEGER  NOT NULL,
    block_time     BIGINT   NOT NULL,
    tx_hash        word     NOT NULL,
    registry       address  NOT NULL,
    wallet         address  NOT NULL,
    investor_id    BIGINT   NOT NULL,
    country        INTEGER  NOT NULL,
    investor_class SMALLINT NOT NULL,
    kyc_expires_at BIGINT   NOT NULL, -- Unix seconds, 0 = never
    flags          SMALLINT NOT NULL, -- bit 0 whitelisted, bit 1 sanctioned
    reason         word     NOT NULL,
    operator       address  NOT NULL,
    command_key    word     NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX investor_changes_by_wallet ON investor_changes (chain_id, wallet, block_number, log_index);

CREATE TABLE investor_wallets (
    chain_id       BIGINT   NOT NULL,
    wallet         address  NOT NULL,
    registry       address  NOT NULL,
    investor_id    BIGINT   NOT NULL,
    country        INTEGER  NOT NULL,
    investor_class SMALLINT NOT NULL,
    kyc_expires_at BIGINT   NOT NULL,
    flags          SMALLINT NOT NULL,
    since_block    BIGINT   NOT NULL, -- first registered; a wallet never moves to another investor
    changed_block  BIGINT   NOT NULL,
    PRIMARY KEY (chain_id, wallet)
);
CREATE INDEX investor_wallets_by_investor ON investor_wallets (chain_id, investor_id);

-- Every ERC-20 Transfer. The zero address stands for mint and burn. Force leaves its reason and operator here.
CREATE TABLE transfers (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    token        address NOT NULL,
    from_wallet  address NOT NULL,
    to_wallet    address NOT NULL,
    amount       uint256 NOT NULL,
    forced       BOOLEAN NOT NULL,
    reason       word    NULL,
    operator     address NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX transfers_by_token ON transfers (chain_id, token, block_number, log_index);

-- Supply made and destroyed: of our own tokens by their own events, of followed ones by transfers from and to zero.
CREATE TABLE mints (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    token        address NOT NULL,
    wallet       address NOT NULL,
    amount       uint256 NOT NULL,
    reason       word    NULL,
    operator     address NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX mints_by_token ON mints (chain_id, token, block_number, log_index);

CREATE TABLE burns (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    token        address NOT NULL,
    wallet       address NOT NULL,
    amount       uint256 NOT NULL,
    forced       BOOLEAN NOT NULL,
    reason       word    NULL,
    operator     address NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX burns_by_token ON burns (chain_id, token, block_number, log_index);

-- Each change of what is frozen, with the whole resulting state of the wallet.
CREATE TABLE freezes (
    chain_id       BIGINT  NOT NULL,
    block_number   BIGINT  NOT NULL,
    log_index      INTEGER NOT NULL,
    block_time     BIGINT  NOT NULL,
    tx_hash        word    NOT NULL,
    token          address NOT NULL,
    wallet         address NOT NULL,
    frozen         uint256 NOT NULL, -- absolute, may exceed the balance
    address_frozen BOOLEAN NOT NULL,
    reason         word    NULL,
    operator       address NULL,
    command_key    word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX freezes_by_wallet ON freezes (chain_id, token, wallet, block_number, log_index);

-- Each change of a token's own settings, with the whole state after it.
CREATE TABLE token_changes (
    chain_id         BIGINT  NOT NULL,
    block_number     BIGINT  NOT NULL,
    log_index        INTEGER NOT NULL,
    block_time       BIGINT  NOT NULL,
    tx_hash          word    NOT NULL,
    token            address NOT NULL,
    transfers_paused BOOLEAN NOT NULL,
    supply_paused    BOOLEAN NOT NULL,
    registry         address NOT NULL,
    reason           word    NULL,     -- NULL: its initial state
    operator         address NULL,
    command_key      word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX token_changes_by_token ON token_changes (chain_id, token, block_number, log_index);

-- Balance and supply after each change, append-only save for blocks that a reorg removes: any past block is one seek.
CREATE TABLE holding_changes (
    chain_id      BIGINT         NOT NULL,
    token         address        NOT NULL,
    wallet        address        NOT NULL,
    block_number  BIGINT         NOT NULL,
    log_index     INTEGER        NOT NULL,
    delta         int257         NOT NULL,
    balance_after uint256        NOT NULL,
    PRIMARY KEY (chain_id, token, wallet, block_number, log_index)
);
CREATE INDEX holding_changes_by_block ON holding_changes (chain_id, block_number);

CREATE TABLE supply_changes (
    chain_id     BIGINT         NOT NULL,
    token        address        NOT NULL,
    block_number BIGINT         NOT NULL,
    log_index    INTEGER        NOT NULL,
    delta        int257         NOT NULL,
    supply_after uint256        NOT NULL,
    PRIMARY KEY (chain_id, token, block_number, log_index)
);
CREATE INDEX supply_changes_by_block ON supply_changes (chain_id, block_number);

-- What each wallet has at the indexed head.
CREATE TABLE holdings (
    chain_id       BIGINT  NOT NULL,
    token          address NOT NULL,
    wallet         address NOT NULL,
    balance        uint256 NOT NULL,
    frozen         uint256 NOT NULL DEFAULT 0,
    address_frozen BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (chain_id, token, wallet)
);
CREATE INDEX holdings_by_wallet ON holdings (chain_id, wallet);

-- Each reorg that was healed.
CREATE TABLE reorgs (
    id              BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain_id        BIGINT      NOT NULL,
    at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    ancestor_number BIGINT      NOT NULL,
    ancestor_hash   word        NOT NULL,
    old_number      BIGINT      NOT NULL,
    old_hash        word        NOT NULL,
    new_number      BIGINT      NOT NULL,
    new_hash        word        NOT NULL,
    depth           BIGINT      NOT NULL,
    removed_logs    BIGINT      NOT NULL
);

-- The last pass of the monitor over each chain, as /status serves it.
CREATE TABLE monitor_snapshots (
    chain_id     BIGINT      PRIMARY KEY,
    taken_at     TIMESTAMPTZ NOT NULL,
    block_number BIGINT      NOT NULL,
    body         JSONB       NOT NULL
);

-- Every position as of a block: the head's rows, with those that changed above the block put back to what they were.
-- `locked` is what the chain enforced then: the frozen part, or all of it where the address is frozen.
-- Tokens whose logs do not add up are left out: nothing is better than a wrong figure.
CREATE FUNCTION holdings_at(at_chain BIGINT, at_block BIGINT)
RETURNS TABLE (token BYTEA, wallet BYTEA, balance NUMERIC, locked NUMERIC, investor_id BIGINT)
LANGUAGE sql STABLE
AS $$
    WITH moved AS (
        SELECT DISTINCT c.token, c.wallet
        FROM holding_changes c
        WHERE c.chain_id = at_chain AND c.block_number > at_block
    ),
    refrozen AS (
        SELECT DISTINCT f.token, f.wallet
        FROM freezes f
        WHERE f.chain_id = at_chain AND f.block_number > at_block
    ),
    then_held AS (
        SELECT h.token,
               h.wallet,
               CASE WHEN moved.wallet IS NULL
                    THEN h.balance::numeric
                    ELSE coalesce((SELECT c.balance_after::numeric
                                   FROM holding_changes c
                                   WHERE c.chain_id = at_chain AND c.token = h.token AND c.wallet = h.wallet
                                     AND c.block_number <= at_block
                                   ORDER BY c.block_number DESC, c.log_index DESC
                                   LIMIT 1), 0)
               END AS balance,
               CASE WHEN refrozen.wallet IS NULL THEN h.frozen::numeric         ELSE coalesce(f.frozen::numeric, 0)        END AS frozen,
               CASE WHEN refrozen.wallet IS NULL THEN h.address_frozen ELSE coalesce(f.address_frozen, false) END AS address_frozen
        FROM holdings h
        JOIN instruments i     ON i.chain_id = h.chain_id AND i.token = h.token AND i.inexact_block IS NULL
        LEFT JOIN moved        ON moved.token = h.token AND moved.wallet = h.wallet
        LEFT JOIN refrozen     ON refrozen.token = h.token AND refrozen.wallet = h.wallet
        LEFT JOIN LATERAL (
            SELECT z.frozen, z.address_frozen
            FROM freezes z
            WHERE refrozen.wallet IS NOT NULL
              AND z.chain_id = at_chain AND z.token = h.token AND z.wallet = h.wallet
              AND z.block_number <= at_block
            ORDER BY z.block_number DESC, z.log_index DESC
            LIMIT 1
        ) f ON true
        WHERE h.chain_id = at_chain
    )
    SELECT t.token::bytea,
           t.wallet::bytea,
           t.balance,
           CASE WHEN t.address_frozen THEN t.balance ELSE least(t.balance, t.frozen) END,
           w.investor_id
    FROM then_held t
    LEFT JOIN investor_wallets w
           ON w.chain_id = at_chain AND w.wallet = t.wallet AND w.since_block <= at_block
    WHERE t.balance > 0
$$;

-- The same as rows of the holdings list: per wallet and instrument at most one spendable and one locked.
-- `holding_cid` is stable: a hash over chain, token, wallet and the locked flag.
CREATE FUNCTION holding_rows_at(at_chain BIGINT, at_block BIGINT)
RETURNS TABLE (instrument_id TEXT, token BYTEA, decimals SMALLINT, wallet BYTEA, investor_id BIGINT,
               amount NUMERIC, locked BOOLEAN, holding_cid TEXT)
LANGUAGE sql STABLE
AS $$
    SELECT i.instrument_id,
           h.token,
           i.decimals,
           h.wallet,
           h.investor_id,
           part.amount,
           part.locked,
           encode(sha256(int8send(at_chain) || h.token || h.wallet
                         || CASE WHEN part.locked THEN '\x01'::bytea ELSE '\x00'::bytea END), 'hex')
    FROM holdings_at(at_chain, at_block) h
    JOIN instruments i ON i.chain_id = at_chain AND i.token = h.token
    CROSS JOIN LATERAL (VALUES (h.balance - h.locked, false), (h.locked, true)) AS part (amount, locked)
    WHERE part.amount > 0
$$;
