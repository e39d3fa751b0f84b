-- People: wallets between their registration and the chain. Writer: the api room.
-- Whether a wallet is whitelisted is never copied here: it is read from the indexer's tables when asked.

-- Who registered a wallet, and who decided on it. An operator's own needs nobody's request: it comes approved.
ALTER TABLE wallets
    ALTER COLUMN whitelist_command DROP NOT NULL,                      -- NULL: nothing was asked of the chain yet
    ADD COLUMN registered_by     text,                                 -- NULL: an operator
    ADD COLUMN idempotency_key   text,                                 -- the client's own name for the registration
    ADD COLUMN decision          text        CHECK (decision IN ('approved', 'rejected')),
    ADD COLUMN decided_by        text,
    ADD COLUMN decided_at        timestamptz,
    ADD COLUMN decision_key      text,                                 -- the client's own name for the decision
    ADD COLUMN rejection         text,                                 -- why it was rejected
    ADD COLUMN registry_commands integer     NOT NULL DEFAULT 0 CHECK (registry_commands >= 0);   -- asked for so far
ALTER TABLE wallets RENAME COLUMN whitelist_command TO registry_command;                          -- the newest, in scope `system`
UPDATE wallets
   SET decision = 'approved', decided_by = 'system', decided_at = created_at, registry_commands = 1;
ALTER TABLE wallets
    ADD CHECK (num_nulls(decision, decided_by, decided_at) IN (0, 3)),
    ADD CHECK (registered_by IS NOT NULL OR decision IS NOT DISTINCT FROM 'approved'),
    ADD CHECK (decided_by <> registered_by),                           -- four eyes
    ADD CHECK ((decision IS NOT DISTINCT FROM 'rejected') = (rejection IS NOT NULL)),
    ADD CHECK ((registry_commands > 0) = (registry_command IS NOT NULL));

CREATE UNIQUE INDEX wallets_by_key ON wallets (registered_by, idempotency_key);
CREATE INDEX wallets_by_party      ON wallets (party_id, wallet_id DESC);
CREATE INDEX wallets_undecided     ON wallets (wallet_id DESC) WHERE decision IS NULL;

-- What a party's own wallet is to sign before it is registered. Each serves once; rows may go once they have expired.
CREATE TABLE wallet_challenges (
    nonce       text        PRIMARY KEY,
    party_id    text        NOT NULL REFERENCES parties,
    address     address     NOT NULL,
    message     text        NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX wallet_challenges_by_end ON wallet_challenges (expires_at);

-- A wallet's record that could not be asked for when a decision on its party called for it, and is asked for again.
ALTER TABLE wallets ADD COLUMN registry_due text CHECK (registry_due IN ('whitelist', 'revoke'));
CREATE INDEX wallets_due ON wallets (wallet_id) WHERE registry_due IS NOT NULL;

-- On what a party's accreditation rests, as the last approval has it.
ALTER TABLE parties
    ADD COLUMN accreditation_method text,
    ADD COLUMN accredited_until     timestamptz,
    ADD CHECK (accredited_until IS NULL OR accreditation_method IS NOT NULL);

-- Applications for KYC, or KYB: what the provider said last, by its own clock, and what an officer decided. The newest of a
-- party counts.
CREATE TABLE applicants (
    applicant_id          uuid        PRIMARY KEY,
    party_id              text        NOT NULL REFERENCES parties,
    number                integer     NOT NULL CHECK (number > 0),                     -- of the party's, from 1 on
    kind                  text        NOT NULL CHECK (kind IN ('individual', 'company')),
    provider              text        NOT NULL,                                        -- `operator`: nobody was asked
    external_id           text        NOT NULL,                                        -- how we name it to the provider
    provider_id           text,                                                        -- how the provider names it
    begun_by              text        NOT NULL,
    word                  text        CHECK (word IN ('begun', 'handed_in', 'on_hold', 'good', 'to_be_mended', 'refused')),
    said_at               bigint,                                                      -- Unix milliseconds
    said_digest           word,
    said_comment          text,                                                        -- why it was refused
    facts                 jsonb,                                                       -- country, beneficial owners
    facts_due_at          timestamptz,                                                 -- when they are asked for (again)
    verdict               text        CHECK (verdict IN ('approved', 'rejected')),
    decided_by            text,
    decided_at            timestamptz,
    decided_on            bigint,                                                      -- `said_at` of what was decided on
    decision_key          text,                                                        -- the client's own name for it
    rejection             text,
    override_reason       text,                                                        -- why against the provider's word
    country               smallint    CHECK (country BETWEEN 1 AND 999),
    investor_class        smallint    CHECK (investor_class BETWEEN 0 AND 255),
    accreditation_method  text,
    accredited_until      timestamptz,
    kyc_expires_at        timestamptz,
    created_at            timestamptz NOT NULL,
    UNIQUE (party_id, number),
    UNIQUE (provider, external_id),
    CHECK (num_nulls(word, said_at, said_digest) IN (0, 3)),
    CHECK (num_nulls(verdict, decided_by, decided_at) IN (0, 3)),
    CHECK (decided_by <> begun_by),                                                    -- four eyes
    CHECK ((verdict IS NOT DISTINCT FROM 'rejected') = (rejection IS NOT NULL)),
    CHECK ((verdict IS NOT DISTINCT FROM 'approved') = (country IS NOT NULL)),
    CHECK ((verdict IS NOT DISTINCT FROM 'approved') = (investor_class IS NOT NULL))
);
CREATE INDEX applicants_facts_due ON applicants (facts_due_at) WHERE facts_due_at IS NOT NULL;
CREATE INDEX applicants_undecided ON applicants (applicant_id DESC) WHERE verdict IS NULL;

-- Webhooks that were heard, each once, whatever they said.
CREATE TABLE kyc_events (
    provider      text        NOT NULL,
    digest        word        NOT NULL,                                                -- SHA-256 of its bytes
    applicant_id  uuid        NOT NULL REFERENCES applicants,
    kind          text        NOT NULL,                                                -- as the provider writes it
    said_at       bigint      NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, digest)
);
