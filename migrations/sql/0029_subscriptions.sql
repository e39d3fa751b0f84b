-- Subscriptions: what investors have asked to buy of an offering. Writer: the api room.
-- How far one has come is never copied here: it is read from the keeper's and the indexer's tables when asked.

CREATE TABLE subscriptions (
    subscription_id uuid        PRIMARY KEY,           -- of two, the later one's is greater
    offering_id     uuid        NOT NULL REFERENCES offerings,
    party_id        text        NOT NULL REFERENCES parties,
    wallet_id       uuid        NOT NULL REFERENCES wallets,
    command_id      text        NOT NULL,              -- the client's, in scope `party:<party_id>`
    purchase        text        NOT NULL CHECK (purchase IN ('hosted', 'signed', 'own')),  -- who signs, or sends
    chain_id        bigint      NOT NULL,
    token           address     NOT NULL,
    listing         address     NOT NULL,
    wallet          address     NOT NULL,
    unit            uint256     NOT NULL CHECK (unit > 0),        -- one whole token
    quantity        uint256     NOT NULL CHECK (quantity > 0),    -- base units
    payment_token   address     NOT NULL,
    cost            uint256     NOT NULL,                         -- base units of that
    salt            word,                              -- of what is signed; NULL: nothing is
    at_block        bigint      NOT NULL,              -- the indexed head then: a purchase of its own comes later
    expires_at      timestamptz,                       -- NULL: with its command
    asked_by        text        NOT NULL,              -- as the audit log names people
    idempotency_key text,
    created_at      timestamptz NOT NULL,
    UNIQUE (party_id, command_id),
    CHECK ((purchase = 'own') = (salt IS NULL)),
    CHECK (purchase <> 'own' OR expires_at IS NOT NULL)
);
CREATE UNIQUE INDEX subscriptions_by_key  ON subscriptions (asked_by, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX subscriptions_by_offering    ON subscriptions (offering_id, subscription_id);
CREATE INDEX subscriptions_by_party       ON subscriptions (party_id, subscription_id);
CREATE INDEX subscriptions_by_wallet      ON subscriptions (wallet, payment_token);
CREATE INDEX subscriptions_own            ON subscriptions (expires_at) WHERE purchase = 'own';

-- The purchases that came of them. What a command carried is found by its id on chain. What a wallet buys by itself is its
-- first purchase of as much after it was asked for and before it expires, without a command: of one token a wallet has one
-- such subscription at a time.
CREATE VIEW subscription_purchases AS
    SELECT s.subscription_id, p.block_number, p.block_time, p.tx_hash, p.cost
      FROM subscriptions s
      LEFT JOIN commands c ON c.scope = 'party:' || s.party_id AND c.command_id = s.command_id AND s.purchase <> 'own'
     CROSS JOIN LATERAL (
           SELECT p.*
             FROM purchases p
            WHERE p.chain_id = s.chain_id AND p.buyer = s.wallet AND p.token = s.token AND p.contract = s.listing
              AND CASE WHEN s.purchase = 'own'
                       THEN p.command_key IS NULL AND p.quantity = s.quantity AND p.block_number > s.at_block
                            AND p.block_time <= extract(epoch FROM s.expires_at)::bigint
                       ELSE p.command_key = c.onchain_id
                  END
            ORDER BY p.block_number, p.log_index
            LIMIT 1
           ) p;

-- Those that hold supply and money back: from the open commands on, which are few, whatever the history.
CREATE VIEW subscriptions_open AS
    SELECT s.*
      FROM command_states k
      JOIN commands c      USING (seq)
      JOIN subscriptions s ON s.party_id = substr(c.scope, 7) AND s.command_id = c.command_id AND s.purchase <> 'own'
     WHERE k.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared') AND c.kind = 'buy' AND c.scope LIKE 'party:%'
     UNION ALL
    SELECT s.*
      FROM subscriptions s
     WHERE s.purchase = 'own' AND s.expires_at > now()
       AND NOT EXISTS (SELECT FROM subscription_purchases p WHERE p.subscription_id = s.subscription_id);

-- Subscriptions with what became of them.
CREATE VIEW subscription_records AS
    SELECT s.*, n.issuer_id, t.instrument_id, y.symbol AS currency_symbol, y.decimals AS currency_decimals,
           y.currency_id, k.state AS command_state, k.verdict, k.reason_code, k.failure,
           coalesce(p.tx_hash, k.tx_hash) AS tx_hash, p.block_number AS bought_block, p.cost AS paid
      FROM subscriptions s
      JOIN offerings o  ON o.offering_id = s.offering_id
      JOIN tokens t     ON t.token_id    = o.token_id
      JOIN nodes n      ON n.node_id     = t.node_id
      JOIN currencies y ON y.currency_id = o.currency_id
      LEFT JOIN commands c               ON c.scope = 'party:' || s.party_id AND c.command_id = s.command_id
                                        AND s.purchase <> 'own'
      LEFT JOIN command_states k         ON k.seq = c.seq
      LEFT JOIN subscription_purchases p ON p.subscription_id = s.subscription_id;
