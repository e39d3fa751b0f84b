-- Answers to writes that end here, by the names that clients gave their requests. Kept for a day. Writer: the api room.

CREATE TABLE idempotency_keys (
    caller      text        NOT NULL,                      -- as the audit log names people
    operation   text        NOT NULL,                      -- of the policy table
    key         text        NOT NULL,                      -- the client's
    request     bytea       NOT NULL CHECK (length(request) = 32),                             -- SHA-256 of path and body
    claimed_at  timestamptz NOT NULL,
    status      smallint,                                  -- NULL: not answered yet
    headers     jsonb,
    body        bytea,
    PRIMARY KEY (caller, operation, key),
    CHECK (num_nulls(status, headers, body) IN (0, 3))
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (claimed_at);
