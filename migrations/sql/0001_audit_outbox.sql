-- The vocabulary of every later migration (domains), and the two tables to which every room appends:
-- the audit log (who did what) and the outbox (what the world is told). Both are written only by the
-- functions of the `tokenx-migrations` crate.

-- A chain's uint256, in base units. The upper bound also refuses NaN, which sorts above every number.
CREATE DOMAIN uint256 AS numeric(78, 0)
    CONSTRAINT uint256_range CHECK (
        VALUE BETWEEN 0
                  AND 115792089237316195423570985008687907853269984665640564039457584007913129639935
    );

-- A difference of two uint256.
CREATE DOMAIN int257 AS numeric(78, 0)
    CONSTRAINT int257_range CHECK (
        VALUE BETWEEN -115792089237316195423570985008687907853269984665640564039457584007913129639935
                  AND 115792089237316195423570985008687907853269984665640564039457584007913129639935
    );

-- A chain address: 20 bytes.
CREATE DOMAIN address AS bytea
    CONSTRAINT address_length CHECK (octet_length(VALUE) = 20);

-- An EVM word: a hash, a topic, an on-chain command id.
CREATE DOMAIN word AS bytea
    CONSTRAINT word_length CHECK (octet_length(VALUE) = 32);


-- Who did what to what, and at whose request. Rows go in unchained, in the write's own transaction: a hash
-- chain here would serialise every write of the platform. A reader that wants them in order and complete
-- reads by (xid, seq) below the oldest running transaction, see the outbox.
CREATE TABLE audit_log (
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    seq        bigint      GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text        NOT NULL CHECK (actor   <> ''),   -- `user:<id>`, `service:<id>`, `system`, `cli:<name>`
    action     text        NOT NULL CHECK (action  <> ''),   -- verb with its noun first: `command.accept`
    subject    text        NOT NULL CHECK (subject <> ''),   -- `kind:<id>` of the thing it is about
    request_id text,                                         -- the `x-request-id`; null where nobody asked
    detail     jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (xid, seq)
);

CREATE FUNCTION audit_log_is_append_only() RETURNS trigger
    LANGUAGE plpgsql AS
$$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only: % refused', TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT    = 'append a correcting entry instead';
END
$$;

-- Per statement, so that a statement that matches no row is refused as well.
CREATE TRIGGER audit_log_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();


-- What happened, for subscribers: webhooks, live queries, back-office tools. A sequence alone is no safe
-- position: a transaction may take number 4, another number 5, and 5 may commit first. The transaction id
-- goes first instead: every row whose xid is below the oldest running transaction is there for good, so
-- (xid, seq) read in order below that mark skips nothing.
CREATE TABLE outbox (
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    seq        bigint      GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind       text        NOT NULL CHECK (kind <> ''),      -- `mint`, `command.state`, `reorg.correction`
    subject    text        NOT NULL,                         -- what it is about; one subject's events stay in order
    payload    jsonb       NOT NULL,
    effect_key text,                                         -- makes a re-derived effect happen once
    PRIMARY KEY (xid, seq)
);

CREATE UNIQUE INDEX outbox_effect_key ON outbox (effect_key) WHERE effect_key IS NOT NULL;


-- How far each internal subscriber has read.
CREATE TABLE outbox_consumers (
    name                  text        PRIMARY KEY CHECK (name <> ''),
    xid                   xid8        NOT NULL,
    seq                   bigint      NOT NULL,
    queue_maxsize         bigint      NOT NULL CHECK (queue_maxsize > 0),
    dropped_batches_total bigint      NOT NULL DEFAULT 0 CHECK (dropped_batches_total >= 0),
    updated_at            timestamptz NOT NULL DEFAULT now()
);
