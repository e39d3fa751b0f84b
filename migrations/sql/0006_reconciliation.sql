-- The sweep that compares the tables with the chain itself. Written by the indexer alone; nothing hangs on it, it may be
-- emptied at any time.

-- Each rotation over all tokens and wallets; the one that is not finished is under way. The last hundred are kept.
CREATE TABLE reconciliation_runs (
    id           BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain_id     BIGINT      NOT NULL,
    started_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    finished_at  TIMESTAMPTZ NULL,
    after_token  BYTEA       NOT NULL DEFAULT '', -- everything up to this token and wallet has been compared
    after_wallet BYTEA       NOT NULL DEFAULT '', -- empty: of the token only its own figures
    tokens       BIGINT      NOT NULL DEFAULT 0,  -- compared so far
    holdings     BIGINT      NOT NULL DEFAULT 0,
    mismatches   BIGINT      NOT NULL DEFAULT 0,
    first_block  BIGINT      NULL,                -- the blocks at which its parts were compared
    last_block   BIGINT      NULL
);
CREATE UNIQUE INDEX reconciliation_runs_under_way ON reconciliation_runs (chain_id) WHERE finished_at IS NULL;

-- What the tables and the chain say differently of the same block, seen twice before it was written down.
CREATE TABLE reconciliation_mismatches (
    id           BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain_id     BIGINT      NOT NULL,
    token        address     NOT NULL,
    wallet       address     NULL,     -- NULL: a figure of the token itself
    what         TEXT        NOT NULL,
    ours         TEXT        NULL,     -- NULL: no row. Amounts in base units
    chains       TEXT        NULL,     -- NULL: the contract does not answer
    block_number BIGINT      NOT NULL, -- at which it was seen last
    block_hash   word        NOT NULL,
    first_seen   TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_seen    TIMESTAMPTZ NOT NULL DEFAULT now(),
    resolved_at  TIMESTAMPTZ NULL      -- compared again and equal
);
CREATE UNIQUE INDEX reconciliation_mismatches_open
    ON reconciliation_mismatches (chain_id, token, wallet, what) NULLS NOT DISTINCT
    WHERE resolved_at IS NULL;
