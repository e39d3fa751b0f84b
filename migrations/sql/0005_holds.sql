-- More of what the chain says. Written by the indexer alone, like 0002: holds and lockups, recoveries, limits, country
-- rules and documents of our own tokens.
--
-- A hold ends by an event or by time alone: no log tells that `until` has passed. So nothing below keeps a sum of what
-- is held. Who asks counts the holds that bind at the time of the block that he asks about.

-- Countries by their ISO 3166-1 numeric codes 0…1023: country n is bit n % 8 of byte n / 8, as get_bit counts.
CREATE DOMAIN countries AS bytea
    CONSTRAINT countries_length CHECK (octet_length(VALUE) = 128);

-- Each change of a hold, with the whole hold after it.
CREATE TABLE hold_changes (
    chain_id     BIGINT   NOT NULL,
    block_number BIGINT   NOT NULL,
    log_index    INTEGER  NOT NULL,
    block_time   BIGINT   NOT NULL,
    tx_hash      word     NOT NULL,
    token        address  NOT NULL,
    wallet       address  NOT NULL,
    hold_id      BIGINT   NOT NULL, -- the token's own count, never used twice
    kind         SMALLINT NOT NULL, -- 1 redemption, 2 Reg D, 3 Reg S
    amount       uint256  NOT NULL, -- 0 = ended
    until        BIGINT   NOT NULL, -- Unix seconds from which it no longer binds, 0 = never
    agent        address  NULL,     -- who may release and execute it; NULL: nobody, it is a lockup
    cause        SMALLINT NOT NULL, -- 1 placed, 2 merged, 3 released, 4 executed, 5 expired, 6 forced, 7 recovered
    reason       word     NOT NULL,
    operator     address  NOT NULL,
    command_key  word     NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX hold_changes_by_hold ON hold_changes (chain_id, token, wallet, hold_id, block_number, log_index);

-- The holds that no event has ended at the indexed head. Some may have expired since: read `unexpired_holds`.
CREATE TABLE holds (
    chain_id BIGINT   NOT NULL,
    token    address  NOT NULL,
    wallet   address  NOT NULL,
    hold_id  BIGINT   NOT NULL,
    kind     SMALLINT NOT NULL,
    amount   uint256  NOT NULL,
    until    BIGINT   NOT NULL,
    agent    address  NULL,
    PRIMARY KEY (chain_id, token, wallet, hold_id)
);

-- Each wallet that was replaced. Its Transfer is among the forced ones.
CREATE TABLE recoveries (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    token        address NOT NULL,
    lost         address NOT NULL,
    replacement  address NOT NULL,
    amount       uint256 NOT NULL,
    reason       word    NOT NULL,
    operator     address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX recoveries_by_token ON recoveries (chain_id, token, block_number, log_index);

-- A token's own settings, after each change and now.
ALTER TABLE token_changes
    ADD COLUMN max_holders  BIGINT    NOT NULL DEFAULT 0, -- wallets above zero, 0 = no limit
    ADD COLUMN max_balance  uint256   NOT NULL DEFAULT 0, -- of one wallet, 0 = no limit
    ADD COLUMN country_mode SMALLINT  NOT NULL DEFAULT 0, -- 0 no rule, 1 refuse those listed, 2 admit only those listed
    ADD COLUMN countries    countries NOT NULL DEFAULT decode(repeat('00', 128), 'hex');

ALTER TABLE instruments
    ADD COLUMN max_holders  BIGINT    NOT NULL DEFAULT 0,
    ADD COLUMN max_balance  uint256   NOT NULL DEFAULT 0,
    ADD COLUMN country_mode SMALLINT  NOT NULL DEFAULT 0,
    ADD COLUMN countries    countries NOT NULL DEFAULT decode(repeat('00', 128), 'hex');

-- Each change of a token's documents, and those it has now. The contract keeps the hash alone; the uri is its log's.
CREATE TABLE document_changes (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    token        address NOT NULL,
    name         word    NOT NULL,
    uri          TEXT    NOT NULL, -- the chain's, cleaned
    hash         word    NOT NULL,
    removed      BOOLEAN NOT NULL,
    operator     address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX document_changes_by_name ON document_changes (chain_id, token, name, block_number, log_index);

CREATE TABLE documents (
    chain_id      BIGINT  NOT NULL,
    token         address NOT NULL,
    name          word    NOT NULL,
    uri           TEXT    NOT NULL,
    hash          word    NOT NULL,
    changed_block BIGINT  NOT NULL,
    changed_time  BIGINT  NOT NULL,
    changed_tx    word    NOT NULL,
    PRIMARY KEY (chain_id, token, name)
);

-- The holds that bind at the indexed head, whose header is always there.
CREATE VIEW unexpired_holds AS
    SELECT k.*
    FROM holds k
    WHERE k.until = 0
       OR k.until > (SELECT b.block_time
                     FROM chain_cursors c
                     JOIN blocks b ON b.chain_id = c.chain_id AND b.number = c.number
                     WHERE c.chain_id = k.chain_id);

-- How many wallets have some of a token at the indexed head: what the token's own limit counts.
CREATE FUNCTION holder_count(of_chain BIGINT, of_token BYTEA)
RETURNS BIGINT
LANGUAGE sql STABLE
AS $$
    SELECT count(*)
    FROM holdings
    WHERE chain_id = of_chain AND token = of_token AND balance > 0
$$;

-- The time of a block: its own header's near the head. Far below it, where most headers were never read, that of the
-- newest header or log at or below it: of a block without a log, a time that is at most too early.
CREATE FUNCTION block_time_at(at_chain BIGINT, at_block BIGINT)
RETURNS BIGINT
LANGUAGE sql STABLE
AS $$
    SELECT greatest((SELECT b.block_time
                     FROM blocks b
                     WHERE b.chain_id = at_chain AND b.number <= at_block
                     ORDER BY b.number DESC
                     LIMIT 1),
                    (SELECT l.block_time
                     FROM logs l
                     WHERE l.chain_id = at_chain AND l.block_number <= at_block
                     ORDER BY l.block_number DESC, l.log_index DESC
                     LIMIT 1))
$$;

-- The holds that bound at a block: those that stand, with those that changed above it put back to what they were.
CREATE FUNCTION holds_at(at_chain BIGINT, at_block BIGINT)
RETURNS TABLE (token BYTEA, wallet BYTEA, hold_id BIGINT, kind SMALLINT, amount NUMERIC, until BIGINT, agent BYTEA)
LANGUAGE sql STABLE
AS $$
    WITH changed AS (
        SELECT DISTINCT c.token, c.wallet, c.hold_id
        FROM hold_changes c
        WHERE c.chain_id = at_chain AND c.block_number > at_block
    ),
    then_held AS (
        SELECT k.token, k.wallet, k.hold_id, k.kind, k.amount, k.until, k.agent
        FROM holds k
        WHERE k.chain_id = at_chain
          AND NOT EXISTS (SELECT
                          FROM changed c
                          WHERE c.token = k.token AND c.wallet = k.wallet AND c.hold_id = k.hold_id)
        UNION ALL
        SELECT c.token, c.wallet, c.hold_id, z.kind, z.amount, z.until, z.agent
        FROM changed c
        CROSS JOIN LATERAL (
            SELECT k.kind, k.amount, k.until, k.agent
            FROM hold_changes k
            WHERE k.chain_id = at_chain AND k.token = c.token AND k.wallet = c.wallet AND k.hold_id = c.hold_id
              AND k.block_number <= at_block
            ORDER BY k.block_number DESC, k.log_index DESC
            LIMIT 1
        ) z
        WHERE z.amount > 0
    )
    SELECT h.token::bytea, h.wallet::bytea, h.hold_id, h.kind, h.amount::numeric, h.until, h.agent::bytea
    FROM then_held h
    WHERE h.until = 0 OR h.until > (SELECT block_time_at(at_chain, at_block))
$$;

-- As in 0002, and `locked` counts what was held then: the frozen part and the holds, or all of it where the address is
-- frozen.
CREATE OR REPLACE FUNCTION holdings_at(at_chain BIGINT, at_block BIGINT)
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
    held AS (
        SELECT k.token, k.wallet, sum(k.amount) AS amount
        FROM holds_at(at_chain, at_block) k
        GROUP BY k.token, k.wallet
    ),
    then_had AS (
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
               CASE WHEN refrozen.wallet IS NULL THEN h.frozen::numeric ELSE coalesce(f.frozen::numeric, 0)        END AS frozen,
               CASE WHEN refrozen.wallet IS NULL THEN h.address_frozen  ELSE coalesce(f.address_frozen, false) END AS address_frozen,
               coalesce(held.amount, 0) AS held
        FROM holdings h
        JOIN instruments i     ON i.chain_id = h.chain_id AND i.token = h.token AND i.inexact_block IS NULL
        LEFT JOIN moved        ON moved.token = h.token AND moved.wallet = h.wallet
        LEFT JOIN refrozen     ON refrozen.token = h.token AND refrozen.wallet = h.wallet
        LEFT JOIN held         ON held.token = h.token AND held.wallet = h.wallet
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
           CASE WHEN t.address_frozen THEN t.balance ELSE least(t.balance, t.frozen + t.held) END,
           w.investor_id
    FROM then_had t
    LEFT JOIN investor_wallets w
           ON w.chain_id = at_chain AND w.wallet = t.wallet AND w.since_block <= at_block
    WHERE t.balance > 0
$$;
