-- The keeper's tables: what we want done on chain, and the proof that it is done once.
-- Sole writer: the keeper. Keys and constraints below carry the exactly-once argument:
--   a command has at most one live slot         slot_commands_one_live
--   a slot is one (lane, nonce)                 slots primary key
--   only committed bytes are ever sent          attempts.raw is NOT NULL before first_sent_at can be set

-- One row per accepted command, for ever: keys never expire.
CREATE TABLE commands (
    seq              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope            text        NOT NULL,
    command_id       text        NOT NULL CHECK (length(command_id) BETWEEN 1 AND 128),
    onchain_id       word        NOT NULL,
    fingerprint      word        NOT NULL,               -- hash of the canonical command; same id with another one is a conflict
    kind             text        NOT NULL,
    operation        jsonb       NOT NULL,               -- the canonical command, amounts in base units
    instrument_id    text,
    answer           text        NOT NULL,               -- first response, replayed byte for byte
    requested_by     text        NOT NULL,
    request_id       text        NOT NULL,

    -- bound at intake
    chain_id         bigint      NOT NULL,
    executor         address     NOT NULL,
    target           address     NOT NULL,
    data             bytea       NOT NULL,
    gas_limit        bigint      NOT NULL CHECK (gas_limit > 0),      -- cap of the item's own call
    gas_expected     bigint      NOT NULL CHECK (gas_expected > 0),   -- its share when a batch is sized
    subject          text        NOT NULL,               -- what it draws on or is about: order and reservations are per subject
    reserves         uint256     NOT NULL DEFAULT 0,     -- base units it takes from the subject's spendable balance
    valid_until      timestamptz,

    state            text        NOT NULL CHECK (state IN (
                         'accepted', 'awaiting_approval', 'ready', 'prepared', 'broadcast', 'mined', 'confirmed', 'final',
                         'failed', 'cancelled', 'expired', 'rejected')),
    lane_id          bigint,
    cancel_requested boolean     NOT NULL DEFAULT false,
    refused_first    bigint,                             -- first and last indexed head at which simulation refused it
    refused_last     bigint,

    -- what the chain said, null until it did and null again after a reorg
    tx_hash          word,
    block_number     bigint,
    block_hash       word,
    block_time       timestamptz,
    log_index        integer,
    verdict          text        CHECK (verdict IN ('done', 'failed', 'expired')),
    settled          boolean     NOT NULL DEFAULT false, -- its block is final: nothing moves it any more
    reason_code      text,
    failure          text,

    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT commands_id UNIQUE (scope, command_id),
    CONSTRAINT commands_onchain_id UNIQUE (onchain_id),
    CONSTRAINT commands_mined_has_block CHECK (state NOT IN ('mined', 'confirmed', 'final') OR block_number IS NOT NULL),
    CONSTRAINT commands_failed_says_why CHECK (state <> 'failed' OR reason_code IS NOT NULL)
);

-- Open rows only: these stay small whatever the history.
CREATE INDEX commands_waiting ON commands (chain_id, seq) WHERE state IN ('accepted', 'ready');
CREATE INDEX commands_subject ON commands (subject, seq)  WHERE state IN ('accepted', 'awaiting_approval', 'ready', 'prepared', 'broadcast');
CREATE INDEX commands_routed  ON commands (chain_id, lane_id, seq) WHERE lane_id IS NOT NULL AND state IN ('ready', 'prepared', 'broadcast');
CREATE INDEX commands_mined ON commands (chain_id, block_number) WHERE state = 'mined';
CREATE INDEX commands_unsettled ON commands (chain_id, block_number) WHERE block_number IS NOT NULL AND NOT settled;
CREATE INDEX commands_listed ON commands (scope, seq DESC);

-- A lane is one key on one chain. `epoch` fences: every write of a lane's owner names it.
CREATE TABLE lanes (
    lane_id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain_id         bigint      NOT NULL,
    address          address     NOT NULL,
    next_nonce       bigint      NOT NULL CHECK (next_nonce >= 0),
    epoch            bigint      NOT NULL DEFAULT 0,
    owner            text,
    reverts_in_a_row integer     NOT NULL DEFAULT 0,
    problem          text,                               -- why it is not getting on, cleared when it is
    halted_reason    text,                               -- an operator has to look
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT lanes_key UNIQUE (chain_id, address)
);

-- How many transactions of a lane's key the chain holds as of an indexed block. A table of its own, so that the
-- indexer never waits for a lane that is just preparing.
CREATE TABLE lane_nonces (
    lane_id  bigint PRIMARY KEY REFERENCES lanes,
    nonce    bigint NOT NULL CHECK (nonce >= 0),
    at_block bigint NOT NULL
);

-- One (lane, nonce): the EVM runs at most one transaction there.
CREATE TABLE slots (
    lane_id      bigint      NOT NULL REFERENCES lanes,
    nonce        bigint      NOT NULL CHECK (nonce >= 0),
    executor     address,
    state        text        NOT NULL CHECK (state IN ('open', 'included', 'noop', 'reverted', 'stolen')),
    wants_noop   boolean     NOT NULL DEFAULT false,     -- cancelled, or its bytes can never be included
    passed_at    bigint,                                 -- first indexed block at which the chain's nonce was beyond it
    tx_hash      word,
    block_number bigint,
    block_hash   word,
    released     boolean     NOT NULL DEFAULT false,     -- its commands have gone back to ready
    settled      boolean     NOT NULL DEFAULT false,
    opened_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane_id, nonce),
    CONSTRAINT slots_ended_has_block CHECK (state = 'open' OR block_number IS NOT NULL)
);
CREATE INDEX slots_open      ON slots (lane_id, nonce)        WHERE state = 'open';
CREATE INDEX slots_unsettled ON slots (lane_id, block_number) WHERE state <> 'open' AND NOT settled;

CREATE TABLE slot_commands (
    lane_id     bigint  NOT NULL,
    nonce       bigint  NOT NULL,
    idx         integer NOT NULL,
    command_seq bigint  NOT NULL REFERENCES commands,
    live        boolean NOT NULL DEFAULT true,
    PRIMARY KEY (lane_id, nonce, idx),
    FOREIGN KEY (lane_id, nonce) REFERENCES slots
);
CREATE UNIQUE INDEX slot_commands_one_live ON slot_commands (command_seq) WHERE live;

-- Signed bytes for a slot: a batch, or a no-op. Written before they are sent, kept at least until the slot is settled.
CREATE TABLE attempts (
    hash             word        PRIMARY KEY,
    lane_id          bigint      NOT NULL,
    nonce            bigint      NOT NULL,
    n                integer     NOT NULL CHECK (n > 0),
    kind             text        NOT NULL CHECK (kind IN ('batch', 'noop')),
    raw              bytea       NOT NULL,
    gas_limit        bigint      NOT NULL,
    max_fee          uint256     NOT NULL,               -- wei per gas
    max_priority_fee uint256     NOT NULL,               -- wei per gas
    signed_at        timestamptz NOT NULL DEFAULT now(),
    signed_at_block  bigint      NOT NULL,               -- indexed head then
    waits_since      bigint,                             -- indexed head at its first send, or its first after a reorg
    sends            integer     NOT NULL DEFAULT 0,
    first_sent_at    timestamptz,
    last_sent_at     timestamptz,
    last_sent_block  bigint,                             -- indexed head at the last send
    next_send_at     timestamptz,                        -- earliest re-send after a doubtful answer
    last_outcome     text,
    CONSTRAINT attempts_order UNIQUE (lane_id, nonce, n),
    FOREIGN KEY (lane_id, nonce) REFERENCES slots
);

-- Tables of the projection: a pure function of the Executors' logs, insert-only save for blocks a reorg removed.
CREATE TABLE command_results (
    chain_id     bigint  NOT NULL,
    block_number bigint  NOT NULL,
    log_index    integer NOT NULL,
    block_hash   word    NOT NULL,
    tx_hash      word    NOT NULL,
    executor     address NOT NULL,
    onchain_id   word    NOT NULL,
    status       text    NOT NULL CHECK (status IN ('executed', 'failed', 'skipped', 'conflict', 'expired', 'deferred')),
    target       address,
    return_data  bytea,
    block_time   timestamptz NOT NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX command_results_id ON command_results (onchain_id) WHERE status IN ('executed', 'failed');

-- Keys of investors who let us hold them: sealed under signer.master_key, with a pool ready to be claimed.
CREATE TABLE hosted_keys (
    address    address     PRIMARY KEY,
    nonce      bytea       NOT NULL CHECK (length(nonce) = 24),
    sealed     bytea       NOT NULL,                     -- XChaCha20-Poly1305, the address as associated data
    owner      text,                                     -- who claimed it; null = in the pool
    created_at timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz
);
CREATE INDEX hosted_keys_pool ON hosted_keys (created_at) WHERE owner IS NULL;

-- One row per chain for /status, rewritten by whichever keeper is running.
CREATE TABLE keeper_status (
    chain_id   bigint      PRIMARY KEY,
    updated_at timestamptz NOT NULL,
    snapshot   jsonb       NOT NULL
);
