-- Offerings: what is sold on which terms, who decided on it, and what was asked of the keeper for it. And the documents
-- of tokens on their way to the chain. Writer: the api room.
-- Whether a token is for sale is never copied here: it is read from the indexer's tables when asked.

-- One primary sale of one token. Sums are base units of their currency, quantities whole tokens, times whole seconds.
CREATE TABLE offerings (
    offering_id      uuid        PRIMARY KEY,
    token_id         text        NOT NULL REFERENCES tokens,
    name             text        NOT NULL,
    description      text        NOT NULL,
    exemption        text        CHECK (exemption IN ('506b', '506c', 'reg_s')),       -- NULL: not said yet
    opens_at         timestamptz,                                                      -- NULL: at once
    closes_at        timestamptz,                                                      -- NULL: never
    price            uint256     NOT NULL CHECK (price > 0),                           -- of one whole token
    currency_id      text        NOT NULL REFERENCES currencies,
    salable_bps      integer     NOT NULL CHECK (salable_bps BETWEEN 0 AND 10000),     -- of the maximum supply
    min_purchase     bigint      NOT NULL CHECK (min_purchase > 0),
    max_purchase     bigint      CHECK (max_purchase >= min_purchase),                 -- NULL: no limit
    max_fees         bigint      NOT NULL CHECK (max_fees >= 0),                       -- may be set aside for fees
    state            text        NOT NULL CHECK (state IN ('draft', 'pending_approval', 'rejected', 'approved')),
    round            integer     NOT NULL DEFAULT 0 CHECK (round >= 0),                -- approvals so far
    settled          boolean     NOT NULL DEFAULT false,   -- all was asked of the keeper that the last approval asks
    version          bigint      NOT NULL CHECK (version > 0),
    published_by     text,
    published_at     timestamptz,
    decided_by       text,
    decided_at       timestamptz,
    decision_request text,                                                             -- the request that decided
    rejection        text,                                                             -- why it was rejected
    closed_at        timestamptz,                                                      -- when another one took its place
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CHECK (closes_at > opens_at),
    CHECK ((published_by IS NULL) = (published_at IS NULL)),
    CHECK (num_nulls(decided_by, decided_at, decision_request) IN (0, 3)),
    CHECK (state IN ('draft', 'rejected') OR published_by IS NOT NULL),
    CHECK (state <> 'approved' OR (decided_by <> published_by AND round > 0)),         -- four eyes
    CHECK ((state = 'rejected') <= (rejection IS NOT NULL))
);
CREATE UNIQUE INDEX offerings_one_open ON offerings (token_id) WHERE closed_at IS NULL;
CREATE INDEX offerings_by_age          ON offerings (created_at DESC, offering_id DESC);
CREATE INDEX offerings_by_token        ON offerings (token_id, created_at DESC, offering_id DESC);
CREATE INDEX offerings_on_their_way    ON offerings (offering_id) WHERE state = 'approved' AND NOT settled;

-- What was asked of the keeper for an approval, once each. A command's id is derived from its row.
CREATE TABLE offering_commands (
    offering_id  uuid        NOT NULL REFERENCES offerings,
    kind         text        NOT NULL CHECK (kind IN ('offering_terms', 'offering_list')),
    attempt      integer     NOT NULL CHECK (attempt > 0),            -- the approval's round
    command_id   text        NOT NULL UNIQUE,                         -- in scope `system`
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (offering_id, kind, attempt)
);

-- A document may be an offering's. What was asked of the keeper for it: to name its hash in the token's contract, and to
-- take that back.
ALTER TABLE token_files
    ADD COLUMN offering_id uuid REFERENCES offerings,
    ADD COLUMN anchored_by text UNIQUE,                               -- commands in scope `system`
    ADD COLUMN released_by text UNIQUE,
    ADD CHECK (kind = 'document' OR num_nonnulls(offering_id, anchored_by) = 0),
    ADD CHECK (released_by IS NULL OR (anchored_by IS NOT NULL AND deleted_at IS NOT NULL));

-- The same bytes twice are one file: of a token, and of each of its offerings.
DROP INDEX token_files_once;
CREATE UNIQUE INDEX token_files_once ON token_files (token_id, kind, hash) WHERE deleted_at IS NULL AND offering_id IS NULL;
CREATE UNIQUE INDEX token_files_once_in_offering ON token_files (offering_id, hash) WHERE deleted_at IS NULL;
CREATE INDEX token_files_by_offering ON token_files (offering_id, created_at, file_id) WHERE offering_id IS NOT NULL;
CREATE INDEX token_files_unanchored  ON token_files (token_id)
    WHERE kind = 'document' AND deleted_at IS NULL AND anchored_by IS NULL;
CREATE INDEX token_files_unreleased  ON token_files (token_id)
    WHERE deleted_at IS NOT NULL AND anchored_by IS NOT NULL AND released_by IS NULL;

-- Offerings with what the row only names.
CREATE VIEW offering_records AS
    SELECT o.*, t.instrument_id, n.issuer_id,
           c.address AS currency_address, c.symbol AS currency_symbol, c.decimals AS currency_decimals
      FROM offerings o
      JOIN tokens t     ON t.token_id    = o.token_id
      JOIN nodes n      ON n.node_id     = t.node_id
      JOIN currencies c ON c.currency_id = o.currency_id;

-- Documents whose hash the chain does not name yet, and those taken away whose hash it names still. A document is named
-- there by the letters of its id.
CREATE VIEW anchors_due AS
    SELECT n.chain_id, t.instrument_id, f.file_id, f.token_id, f.object_id, f.extension, f.hash, false AS is_over
      FROM token_files f
      JOIN tokens t            ON t.token_id = f.token_id
      JOIN nodes n             ON n.node_id  = t.node_id
      JOIN token_deployments d ON d.token_id = f.token_id AND NOT d.retired
     WHERE f.kind = 'document' AND f.deleted_at IS NULL AND f.anchored_by IS NULL
     UNION ALL
    SELECT n.chain_id, t.instrument_id, f.file_id, f.token_id, f.object_id, f.extension, f.hash, true
      FROM token_files f
      JOIN tokens t            ON t.token_id = f.token_id
      JOIN nodes n             ON n.node_id  = t.node_id
      JOIN token_deployments d ON d.token_id = f.token_id AND NOT d.retired
      JOIN documents c         ON c.chain_id = n.chain_id AND c.token = d.token
                              AND c.name     = decode(rpad(encode(convert_to(f.file_id, 'UTF8'), 'hex'), 64, '0'), 'hex')
     WHERE f.deleted_at IS NOT NULL AND f.anchored_by IS NOT NULL AND f.released_by IS NULL;
