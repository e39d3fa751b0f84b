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
    ADD CHECK ((registry_commands > 0) = (registry_command IS NOT NULL)),
    ADD CHECK (registry_commands = 0 OR decision IS NOT DISTINCT FROM 'approved');

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
