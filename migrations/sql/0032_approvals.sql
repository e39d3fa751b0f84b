-- Payment tokens that know no permit: a hosted wallet sends an approve of its own, and a lane gives it the gas.

-- A wallet whose key is held here and that has sent something is a lane too. Its lock is the one of all of them.
ALTER TABLE lanes ADD COLUMN hosted boolean NOT NULL DEFAULT false;

ALTER TABLE attempts
    DROP CONSTRAINT attempts_kind_check,
    ADD  CONSTRAINT attempts_kind_check CHECK (kind IN ('batch', 'noop', 'fund', 'approve'));

-- What a slot does for a hosted wallet, in place of commands: another lane gives it gas, or it approves itself. Whether more
-- is to be done is decided on what the chain says once none of them is open.
CREATE TABLE slot_errands (
    lane_id     bigint  NOT NULL,
    nonce       bigint  NOT NULL,
    kind        text    NOT NULL CHECK (kind IN ('fund', 'approve')),
    wallet      address NOT NULL,
    command_seq bigint  NOT NULL REFERENCES commands,    -- what waits for it
    PRIMARY KEY (lane_id, nonce),
    FOREIGN KEY (lane_id, nonce) REFERENCES slots
);
CREATE INDEX slot_errands_wallet  ON slot_errands (wallet);
CREATE INDEX slot_errands_command ON slot_errands (command_seq);
