-- The audit log, sealed. What was appended is hashed and chained about a second later: a hash in each write would have every
-- write of the platform wait for the one before.

-- A seal names all entries after those of the seal before it, up to `last`. How the hashes are made: `seal.rs` of the
-- migrations crate.
CREATE TABLE audit_seals (
    number     bigint      PRIMARY KEY CHECK (number > 0),
    last_xid   xid8        NOT NULL,
    last_seq   bigint      NOT NULL,
    entries    bytea       NOT NULL CHECK (length(entries) > 0 AND length(entries) % 32 = 0),  -- a hash for each, in order
    root       word        NOT NULL,     -- of places and entries
    previous   word        NOT NULL CONSTRAINT audit_seals_are_a_chain UNIQUE,                 -- hash of the seal before; zero of the first
    hash       word        NOT NULL,
    sealed_at  timestamptz NOT NULL,
    UNIQUE (last_xid, last_seq)
);

CREATE OR REPLACE FUNCTION audit_log_is_append_only() RETURNS trigger
    LANGUAGE plpgsql AS
$$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT    = 'append a correcting entry instead';
END
$$;

CREATE TRIGGER audit_seals_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();

-- Whose, what and about what in one index, whose entries are taken by the thousand; and when, by a few bytes a block.
CREATE INDEX audit_log_by_name ON audit_log USING gin ((ARRAY[actor, action, subject]));
CREATE INDEX audit_log_by_time ON audit_log USING brin (at);

-- The commands that put a seal's hash on chain, newest last.
CREATE INDEX commands_that_anchor_seals ON commands (seq) WHERE scope = 'system' AND command_id LIKE 'anchor:audit:%';

-- An account that is suspended stands among the revoked tokens, by its id and without end: every process reads those twice a
-- second. A nonce that was used stands there too.
ALTER TABLE revoked_tokens
    DROP CONSTRAINT revoked_tokens_reason_check,
    ADD  CONSTRAINT revoked_tokens_reason_check
         CHECK (reason IN ('logout', 'refresh_reused', 'revoked', 'suspended', 'spent'));
CREATE VIEW user_accounts AS
SELECT u.*,
       EXISTS (SELECT FROM revoked_tokens r
                WHERE r.token_id = u.user_id AND r.reason = 'suspended' AND r.expires_at > now()) AS suspended
  FROM users u;
CREATE INDEX refresh_tokens_by_user ON refresh_tokens (user_id);
CREATE INDEX users_by_party         ON users (party_id) WHERE party_id IS NOT NULL;
