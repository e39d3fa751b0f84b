-- What was asked, and where it stands. The second is written three or four times in a command's life, and Postgres
-- writes a whole row and its entry in every index each time: so it is narrow, and a table of its own.

CREATE TABLE command_states (
    seq              bigint      PRIMARY KEY,            -- commands.seq; no foreign key, since one statement writes both rows
    chain_id         bigint      NOT NULL,
    executor         address     NOT NULL,
    subject          text        NOT NULL,               -- what it draws on or is about: order and reservations are per subject
    commutes         boolean     NOT NULL,               -- may change places with others of its subject that may too
    valid_until      timestamptz,

    state            text        NOT NULL CHECK (state IN (
                         'accepted', 'awaiting_approval', 'ready', 'prepared', 'mined', 'confirmed', 'final',
                         'failed', 'cancelled', 'expired', 'rejected')),
    lane_id          bigint,
    cancel_requested boolean     NOT NULL DEFAULT false,
    settled          boolean     NOT NULL DEFAULT false, -- its block is final: nothing moves it any more
    refused_first    bigint,                             -- first and last indexed head at which simulation refused it
    refused_last     bigint,

    -- what the chain said, null until it did and null again after a reorg
    verdict          text        CHECK (verdict IN ('done', 'failed', 'expired')),
    log_index        integer,
    block_number     bigint,
    block_time       timestamptz,
    block_hash       word,
    tx_hash          word,
    reason_code      text,
    failure          text,

    updated_at       timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT command_states_mined_has_block CHECK (state NOT IN ('mined', 'confirmed', 'final') OR block_number IS NOT NULL),
    CONSTRAINT command_states_failed_says_why CHECK (state <> 'failed' OR reason_code IS NOT NULL)
);

INSERT INTO command_states
SELECT seq, chain_id, executor, subject, kind IN ('mint', 'mint_locked', 'burn'), valid_until,
       CASE state WHEN 'broadcast' THEN 'prepared' ELSE state END,
       lane_id, cancel_requested, settled, refused_first, refused_last,
       verdict, log_index, block_number, block_time, block_hash, tx_hash, reason_code, failure, updated_at
  FROM commands;

ALTER TABLE commands
    DROP COLUMN chain_id,     DROP COLUMN executor,         DROP COLUMN subject,  DROP COLUMN valid_until,
    DROP COLUMN state,        DROP COLUMN lane_id,          DROP COLUMN verdict,  DROP COLUMN settled,
    DROP COLUMN tx_hash,      DROP COLUMN block_number,     DROP COLUMN block_hash,
    DROP COLUMN block_time,   DROP COLUMN log_index,        DROP COLUMN refused_first, DROP COLUMN refused_last,
    DROP COLUMN reason_code,  DROP COLUMN failure,          DROP COLUMN cancel_requested,
    DROP COLUMN updated_at;

-- Open rows only: these stay small whatever the history.
CREATE INDEX command_states_waiting   ON command_states (chain_id, executor, seq) WHERE state IN ('accepted', 'ready');
CREATE INDEX command_states_deadlines ON command_states (chain_id, valid_until)   WHERE state IN ('accepted', 'ready') AND valid_until IS NOT NULL;
CREATE INDEX command_states_refused   ON command_states (chain_id, refused_last)  WHERE state IN ('accepted', 'ready') AND refused_last IS NOT NULL;
CREATE INDEX command_states_subject   ON command_states (subject, seq)            WHERE state IN ('accepted', 'awaiting_approval', 'ready', 'prepared');
CREATE INDEX command_states_routed    ON command_states (chain_id, lane_id, seq)  WHERE lane_id IS NOT NULL AND state IN ('ready', 'prepared');
CREATE INDEX command_states_mined     ON command_states (chain_id, block_number)  WHERE state = 'mined';
CREATE INDEX command_states_unsettled ON command_states (chain_id, block_number)  WHERE block_number IS NOT NULL AND NOT settled;

-- Commands as people see them: one in a slot is broadcast once bytes of that slot went out.
CREATE VIEW command_views AS
SELECT c.*, s.chain_id, s.executor, s.subject, s.valid_until, s.lane_id, s.cancel_requested, s.settled,
       CASE WHEN s.state = 'prepared'
             AND EXISTS (SELECT FROM slot_commands k
                           JOIN attempts a USING (lane_id, nonce)
                          WHERE k.command_seq = s.seq AND k.live AND a.first_sent_at IS NOT NULL)
            THEN 'broadcast'
            ELSE s.state
       END AS state,
       s.verdict, s.tx_hash, s.block_number, s.block_hash, s.block_time, s.log_index, s.reason_code, s.failure, s.updated_at
  FROM commands c
  JOIN command_states s USING (seq);

-- Signed bytes do not get smaller.
ALTER TABLE attempts ALTER COLUMN raw SET STORAGE EXTERNAL;
