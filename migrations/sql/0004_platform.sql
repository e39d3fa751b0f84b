-- The platform's own records: who acts here and for whom. Writer: the api room, nobody else.
-- What the chain says about these people (is the wallet whitelisted, what does it hold) is never copied
-- here: it is read from the indexer's tables when asked.

-- An organisation that issues instruments; the tenant of every issuer user.
CREATE TABLE issuers (
    issuer_id   uuid        PRIMARY KEY,
    name        text        NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- One issuer's set of node contracts on one chain; an instrument belongs to the issuer whose node
-- (named by its Executor) deployed it.
CREATE TABLE nodes (
    node_id     text        PRIMARY KEY CHECK (node_id ~ '^[0-9a-f]{24}$'),
    issuer_id   uuid        NOT NULL REFERENCES issuers,
    chain_id    bigint      NOT NULL CHECK (chain_id > 0),
    executor    address     NOT NULL,
    treasury    address,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (chain_id, executor)
);
CREATE INDEX nodes_by_issuer ON nodes (issuer_id);

-- The number a party carries in InvestorRegistry. 0 means "no investor" on chain, so it starts at 1.
CREATE SEQUENCE investor_ids AS bigint MINVALUE 1;

-- A legal person that may hold instruments; the tenant of every investor user.
CREATE TABLE parties (
    party_id          text        PRIMARY KEY
                                  CHECK (length(party_id) BETWEEN 1 AND 128
                                         AND party_id !~* '^0x[0-9a-f]{40}$'),
    investor_id       bigint      NOT NULL UNIQUE DEFAULT nextval('investor_ids') CHECK (investor_id > 0),
    country           smallint    NOT NULL CHECK (country BETWEEN 1 AND 999),        -- ISO 3166-1 numeric
    investor_class    smallint    NOT NULL CHECK (investor_class BETWEEN 0 AND 255),
    kyc_expires_at    timestamptz,                                                   -- NULL: does not expire
    primary_wallet_id uuid,                                                          -- NULL: the first approved
    created_at        timestamptz NOT NULL DEFAULT now()
);
ALTER SEQUENCE investor_ids OWNED BY parties.investor_id;

-- An address of a party. A wallet never moves between parties, so the address is unique for ever.
-- Whether it is approved is the chain's word (the registry's record of the address), not a column.
CREATE TABLE wallets (
    wallet_id          uuid        PRIMARY KEY,
    party_id           text        NOT NULL REFERENCES parties,
    address            address     NOT NULL CONSTRAINT wallets_address_unique UNIQUE,
    kind               text        NOT NULL CHECK (kind IN ('hosted', 'self_custody')),
    whitelist_command  text        NOT NULL,     -- command id in scope `system`
    created_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (party_id, wallet_id)
);
ALTER TABLE parties
    ADD CONSTRAINT parties_primary_wallet_is_own
    FOREIGN KEY (party_id, primary_wallet_id) REFERENCES wallets (party_id, wallet_id);

-- People who sign in. An issuer's user belongs to one issuer, an investor's to one party.
CREATE TABLE users (
    user_id        uuid        PRIMARY KEY,
    email          text        NOT NULL CONSTRAINT users_email_unique UNIQUE
                               CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    password_hash  text        NOT NULL,                                             -- PHC string, argon2id
    role           text        NOT NULL CHECK (role IN ('investor', 'issuer', 'compliance_officer',
                                                        'transfer_agent', 'super_admin')),
    issuer_id      uuid        REFERENCES issuers,
    party_id       text        REFERENCES parties,
    created_at     timestamptz NOT NULL DEFAULT now(),
    CHECK ((role = 'issuer')   = (issuer_id IS NOT NULL)),
    CHECK ((role = 'investor') = (party_id  IS NOT NULL))
);

-- Refresh tokens, one row per rotation; the rows of one sign-in share a family. Only the SHA-256 is kept.
-- A row with used_at presented again means that somebody else holds a copy: the family dies.
CREATE TABLE refresh_tokens (
    token_hash  bytea       PRIMARY KEY CHECK (length(token_hash) = 32),
    family_id   uuid        NOT NULL,
    user_id     uuid        NOT NULL REFERENCES users,
    issued_at   timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family_id);

-- What is dead before its time: a sign-in (family) with all its access and refresh tokens, or a
-- service token. Rows may go once expires_at has passed, for then the token is dead by itself.
CREATE TABLE revoked_tokens (
    token_id    uuid        PRIMARY KEY,
    reason      text        NOT NULL CHECK (reason IN ('logout', 'refresh_reused', 'revoked')),
    revoked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX revoked_tokens_by_time ON revoked_tokens (revoked_at);

-- Tokens of back-office tools: opaque, only the SHA-256 is kept, a role narrowed by scopes, a year at most.
CREATE TABLE service_tokens (
    service_token_id  uuid        PRIMARY KEY,
    name              text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    token_hash        bytea       NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    role              text        NOT NULL CHECK (role IN ('issuer', 'compliance_officer',
                                                           'transfer_agent', 'super_admin')),
    issuer_id         uuid        REFERENCES issuers,
    scopes            text[]      NOT NULL CHECK (cardinality(scopes) > 0),
    created_by        text        NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    expires_at        timestamptz NOT NULL CHECK (expires_at <= created_at + interval '366 days'),
    CHECK ((role = 'issuer') = (issuer_id IS NOT NULL))
);
