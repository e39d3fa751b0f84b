-- The records of tokens: what their issuers say of them, before and beside what the chain says. Writer: the api room.
-- Status, supply figures and addresses are never copied here: they are read from the indexer's tables when asked.

-- What is paid with. Its decimals are those of every sum that names it.
CREATE TABLE currencies (
    currency_id  text        PRIMARY KEY CHECK (currency_id ~ '^[0-9a-f]{24}$'),
    chain_id     bigint      NOT NULL CHECK (chain_id > 0),
    address      address     NOT NULL,
    symbol       text        NOT NULL CHECK (length(symbol) BETWEEN 1 AND 32),
    decimals     smallint    NOT NULL CHECK (decimals BETWEEN 0 AND 36),
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT currencies_address_unique UNIQUE (chain_id, address)
);

-- One row a token, from its draft on. Sums are base units of their currency, shares hundredths of a per cent.
CREATE TABLE tokens (
    token_id              text        PRIMARY KEY CHECK (token_id ~ '^[0-9a-f]{24}$'),
    node_id               text        NOT NULL REFERENCES nodes,
    instrument_id         text        NOT NULL CONSTRAINT tokens_instrument_unique UNIQUE   -- reserved with the draft
                                      CHECK (instrument_id ~ '^[A-Za-z0-9._-]{1,32}$'),
    category_id           text        NOT NULL,
    kind                  smallint    NOT NULL CHECK (kind IN (0, 1)),                      -- standard, special
    is_public             boolean     NOT NULL,
    name                  text        NOT NULL,
    description           text        NOT NULL,
    token_name            text        NOT NULL,                                             -- as its contract says it
    token_symbol          text        NOT NULL,
    decimals              smallint    NOT NULL CHECK (decimals BETWEEN 0 AND 18),
    oracle_id             text,
    oracle_code           text,
    price                 uint256     NOT NULL CHECK (price > 0),                           -- of one whole token
    price_currency        text        NOT NULL REFERENCES currencies,
    total_value           uint256     NOT NULL,
    value_currency        text        NOT NULL REFERENCES currencies,
    salable_bps           integer     NOT NULL CHECK (salable_bps BETWEEN 0 AND 10000),
    max_supply            uint256     NOT NULL CHECK (max_supply > 0),                      -- whole tokens
    term_months           integer,
    min_purchase          bigint,                                                           -- NULL: no metric at all
    max_purchase          bigint,
    min_rental_holding    bigint,
    rental_income         uint256,                                                          -- of all tokens, a period
    rental_currency       text        REFERENCES currencies,
    rental_period_days    integer,
    rental_starts_at      timestamptz,
    listing_at            timestamptz,
    expires_at            timestamptz,
    secondary_open        boolean     NOT NULL,
    otc_open              boolean     NOT NULL,
    has_band              boolean     NOT NULL,                                             -- a price band, open at either end
    min_sell_price        uint256,                                                          -- in the price's currency
    max_sell_price        uint256,
    distribution_id       text,
    distribution_external text,
    distribution_priority smallint    CHECK (distribution_priority BETWEEN 1 AND 100),
    distribution_agent    smallint    CHECK (distribution_agent IN (1, 2)),
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    CHECK ((oracle_id IS NULL) = (oracle_code IS NULL)),
    CHECK (num_nulls(min_purchase, max_purchase, min_rental_holding, rental_income, rental_currency, rental_period_days)
           IN (0, 6)),
    CHECK (has_band OR num_nonnulls(min_sell_price, max_sell_price) = 0),
    CHECK (num_nulls(distribution_id, distribution_external, distribution_priority, distribution_agent) IN (0, 4))
);
CREATE INDEX tokens_by_age  ON tokens (created_at DESC, token_id DESC);
CREATE INDEX tokens_by_node ON tokens (node_id, created_at DESC, token_id DESC);

-- Images and documents of tokens; their bytes are in the file store. A file that is taken away keeps its row.
CREATE TABLE token_files (
    file_id        text        PRIMARY KEY CHECK (file_id ~ '^[0-9a-f]{24}$'),
    token_id       text        NOT NULL REFERENCES tokens,
    kind           text        NOT NULL CHECK (kind IN ('image', 'document')),
    object_id      uuid        NOT NULL UNIQUE,                       -- its name in the store and in its link
    extension      text        NOT NULL CHECK (extension IN ('png', 'jpeg', 'webp', 'pdf')),
    name           text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    document_type  smallint    NOT NULL,                              -- 1 = standard
    is_default     boolean     NOT NULL,                              -- the image that is shown first
    hash           word        NOT NULL,                              -- SHA-256
    bytes          bigint      NOT NULL CHECK (bytes > 0),
    created_at     timestamptz NOT NULL,
    deleted_at     timestamptz
);
-- The same bytes twice are one file, and one image is the default.
CREATE UNIQUE INDEX token_files_once        ON token_files (token_id, kind, hash) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX token_files_one_default ON token_files (token_id) WHERE is_default AND deleted_at IS NULL;
CREATE INDEX token_files_by_token           ON token_files (token_id, created_at, file_id);

-- What a whole token was worth, by whom, and when: net asset values. A token without one is worth its record's price.
CREATE TABLE prices (
    price_id     text        PRIMARY KEY CHECK (price_id ~ '^[0-9a-f]{24}$'),
    token_id     text        NOT NULL REFERENCES tokens,
    price        uint256     NOT NULL CHECK (price > 0),
    currency_id  text        NOT NULL REFERENCES currencies,
    source       text        NOT NULL CHECK (length(source) BETWEEN 1 AND 200),
    as_of        timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT prices_once UNIQUE (token_id, source, as_of)       -- a source says one price of one time
);
CREATE INDEX prices_by_token ON prices (token_id, as_of DESC, created_at DESC);

-- What was asked of the keeper for a token, in order. A command's id is derived from its row; a client's own key for a
-- request leads to the same row for ever.
CREATE TABLE token_commands (
    token_id         text        NOT NULL REFERENCES tokens,
    kind             text        NOT NULL CHECK (kind IN ('deploy', 'list', 'delist', 'passivate', 'burn')),
    attempt          integer     NOT NULL CHECK (attempt > 0),
    command_id       text        NOT NULL UNIQUE,                     -- in scope `system`
    caller           text        NOT NULL,
    idempotency_key  text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (token_id, kind, attempt)
);
CREATE UNIQUE INDEX token_commands_by_key ON token_commands (caller, token_id, kind, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- The same with what the row only names.
CREATE VIEW token_records AS
    SELECT t.*, n.issuer_id, n.chain_id, n.executor,
           p.address AS price_address,  p.symbol AS price_symbol,  p.decimals AS price_decimals,
           v.address AS value_address,  v.symbol AS value_symbol,  v.decimals AS value_decimals,
           r.address AS rental_address, r.symbol AS rental_symbol, r.decimals AS rental_decimals
      FROM tokens t
      JOIN nodes n           ON n.node_id     = t.node_id
      JOIN currencies p      ON p.currency_id = t.price_currency
      JOIN currencies v      ON v.currency_id = t.value_currency
      LEFT JOIN currencies r ON r.currency_id = t.rental_currency;

-- The contracts of a node, by its Executor.
CREATE VIEW node_contracts AS
    SELECT e.chain_id, e.address AS executor, e.node_key, n.kind, n.address AS contract
      FROM watched e
      JOIN watched n ON n.chain_id = e.chain_id AND n.node_key = e.node_key AND n.kind <> 'executor'
     WHERE e.kind = 'executor';

-- Where a token stands on chain: nothing before its deployment is indexed.
CREATE VIEW token_deployments AS
    SELECT t.token_id, i.token, i.decimals, i.max_supply, i.total_supply, i.created_tx,
           EXISTS (SELECT FROM retirements r WHERE r.chain_id = i.chain_id AND r.token = i.token) AS retired
      FROM tokens t
      JOIN nodes n       ON n.node_id  = t.node_id
      JOIN instruments i ON i.chain_id = n.chain_id AND i.instrument_id = t.instrument_id AND i.executor = n.executor;
