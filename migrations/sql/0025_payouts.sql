-- Payouts: what the contracts of nodes are told of tokens' terms, what holders ask to be redeemed and who decides on it.
-- Writer: the api room.
-- What the chain has of it is never copied here: it is read from the indexer's tables when asked.

-- ---------------------------------------------------------------- what a token is worth

-- Of one whole token, in base units of its currency: the newest price that somebody has said, else that of its record.
CREATE VIEW token_navs AS
    SELECT t.token_id, coalesce(p.price, t.price) AS nav, coalesce(p.source, 'token_price') AS nav_source,
           coalesce(p.as_of, t.updated_at) AS nav_as_of, c.currency_id, c.address, c.symbol, c.decimals
      FROM tokens t
      LEFT JOIN LATERAL (SELECT q.price, q.source, q.as_of, q.currency_id
                           FROM prices q
                          WHERE q.token_id = t.token_id
                          ORDER BY q.as_of DESC, q.created_at DESC
                          LIMIT 1) p ON true
      JOIN currencies c ON c.currency_id = coalesce(p.currency_id, t.price_currency);

-- ---------------------------------------------------------------- terms

-- Terms that were asked of the keeper for a token, each kind in order. A command's id is derived from its row.
CREATE TABLE token_terms (
    token_id    text        NOT NULL REFERENCES tokens,
    kind        text        NOT NULL CHECK (kind IN ('redemption_terms', 'rent_terms', 'rent_minimum', 'otc_terms',
                                                        'market_terms')),
    attempt     integer     NOT NULL CHECK (attempt > 0),
    wanted      text        NOT NULL,                                 -- as the view below has it
    command_id  text        NOT NULL UNIQUE,                          -- in scope `system`
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (token_id, kind, attempt)
);

-- What the node's contracts are to say of each token that has not ended, and what they say; NULL: nothing. They follow the
-- token's record and its price. Redemptions are paid up to what a token is worth, and no more; rent is due from the day that
-- the record names, each so many days; who is to hold how much to get any is said before there are units, for later it
-- cannot be; the market and the OTC desk are open where the record says so.
CREATE VIEW token_terms_wanted AS
    SELECT t.chain_id, t.token_id, t.instrument_id, w.kind, w.payment_token, w.amount, w.start_at, w.length, w.is_open,
           w.low, w.high, w.wanted, w.said
      FROM token_records t
      JOIN token_deployments d ON d.token_id = t.token_id AND NOT d.retired
     CROSS JOIN LATERAL (
           SELECT 'redemption_terms' AS kind, v.address AS payment_token, v.nav::numeric AS amount, NULL::bigint AS start_at,
                  NULL::bigint AS length, NULL::boolean AS is_open, NULL::numeric AS low, NULL::numeric AS high,
                  concat_ws(':', encode(v.address::bytea, 'hex'), v.nav) AS wanted,
                  (SELECT concat_ws(':', encode(s.payment_token::bytea, 'hex'), s.max_price)
                     FROM redemption_terms s
                    WHERE s.chain_id = t.chain_id AND s.token = d.token AND s.contract = k.contract
                    ORDER BY s.block_number DESC, s.log_index DESC
                    LIMIT 1) AS said
             FROM token_contracts k, token_navs v
            WHERE k.chain_id = t.chain_id AND k.token = d.token AND k.kind = 'redemption_desk' AND v.token_id = t.token_id
            UNION ALL
           SELECT 'rent_terms', t.rental_address, NULL, r.start_at, r.length, NULL, NULL, NULL,
                  concat_ws(':', encode(t.rental_address::bytea, 'hex'), r.start_at, r.length),
                  (SELECT concat_ws(':', encode(s.payment_token::bytea, 'hex'), s.start_at, s.length)
                     FROM rent_terms s
                    WHERE s.chain_id = t.chain_id AND s.token = d.token AND s.contract = k.contract
                    ORDER BY s.block_number DESC, s.log_index DESC
                    LIMIT 1)
             FROM token_contracts k
            CROSS JOIN LATERAL (
                  SELECT coalesce(extract(epoch FROM t.rental_starts_at)::bigint, 0) AS start_at,
                         CASE WHEN t.rental_starts_at IS NULL THEN 0 ELSE t.rental_period_days * 86400::bigint END AS length
                  ) r
            WHERE k.chain_id = t.chain_id AND k.token = d.token AND k.kind = 'rent_distributor' AND t.rental_income > 0
            UNION ALL
           SELECT 'rent_minimum', NULL, m.minimum, NULL, NULL, NULL, NULL, NULL, m.minimum::text,
                  (SELECT s.minimum::text
                     FROM rent_minimums s
                    WHERE s.chain_id = t.chain_id AND s.token = d.token
                    ORDER BY s.block_number DESC, s.log_index DESC
                    LIMIT 1)
             FROM (SELECT t.min_rental_holding * power(10::numeric, t.decimals::numeric)::numeric(78, 0) AS minimum) m
            WHERE t.rental_income > 0 AND d.total_supply = 0
            UNION ALL
           SELECT 'otc_terms', NULL, NULL, NULL, NULL, t.otc_open, NULL, NULL, t.otc_open::text, s.said
             FROM token_contracts k
             LEFT JOIN LATERAL (SELECT o.is_open::text AS said
                                  FROM otc_terms o
                                 WHERE o.chain_id = t.chain_id AND o.token = d.token AND o.contract = k.contract
                                 ORDER BY o.block_number DESC, o.log_index DESC
                                 LIMIT 1) s ON true
            WHERE k.chain_id = t.chain_id AND k.token = d.token AND k.kind = 'otc_desk' AND (t.otc_open OR s.said IS NOT NULL)
            UNION ALL
           SELECT 'market_terms', t.price_address, b.lot, NULL, NULL, t.secondary_open, b.low, b.high,
                  concat_ws(':', encode(t.price_address::bytea, 'hex'), t.secondary_open, b.lot, b.low, b.high), s.said
             FROM token_contracts k
             JOIN listings l ON l.chain_id = t.chain_id AND l.token = d.token AND l.status > 0
            CROSS JOIN LATERAL (
                  SELECT power(10::numeric, t.decimals::numeric)::numeric(78, 0) AS lot,
                         coalesce(t.min_sell_price::numeric, 1) AS low,
                         coalesce(t.max_sell_price::numeric, 340282366920938463463374607431768211455) AS high
                  ) b
             LEFT JOIN LATERAL (SELECT concat_ws(':', encode(m.payment_token::bytea, 'hex'), m.is_open, m.lot, m.min_price,
                                                 m.max_price) AS said
                                  FROM market_terms m
                                 WHERE m.chain_id = t.chain_id AND m.token = d.token AND m.contract = k.contract
                                 ORDER BY m.block_number DESC, m.log_index DESC
                                 LIMIT 1) s ON true
            WHERE k.chain_id = t.chain_id AND k.token = d.token AND k.kind = 'secondary_market'
              AND (t.secondary_open OR s.said IS NOT NULL)
           ) w;

-- Those to be asked for: what was asked for last is not asked for again, unless it came to nothing an hour ago.
CREATE VIEW token_terms_due AS
    SELECT w.*, coalesce(a.attempt, 0) + 1 AS attempt
      FROM token_terms_wanted w
      LEFT JOIN LATERAL (SELECT k.attempt, k.wanted, k.command_id, k.created_at
                           FROM token_terms k
                          WHERE k.token_id = w.token_id AND k.kind = w.kind
                          ORDER BY k.attempt DESC
                          LIMIT 1) a ON true
     WHERE w.wanted IS DISTINCT FROM w.said
       AND (a.wanted IS DISTINCT FROM w.wanted
            OR (a.created_at < now() - interval '1 hour'
                AND EXISTS (SELECT FROM command_views c
                             WHERE c.scope = 'system' AND c.command_id = a.command_id
                               AND c.state IN ('failed', 'expired', 'cancelled'))));

-- ---------------------------------------------------------------- redemptions

-- What a party has asked for by a wallet of its own. The command carries the rest of what is signed.
CREATE TABLE redemption_intents (
    redemption_id    uuid        PRIMARY KEY,
    party_id         text        NOT NULL REFERENCES parties,
    wallet           address     NOT NULL REFERENCES wallets (address),
    token_id         text        NOT NULL REFERENCES tokens,
    quantity         uint256     NOT NULL CHECK (quantity > 0),       -- base units
    min_price        uint256,                                         -- of a whole token, base units of the payment token
    payment_token    address     NOT NULL,
    min_payout       uint256     NOT NULL,                            -- for all of it
    requested_by     text        NOT NULL,
    idempotency_key  text,
    command_id       text        NOT NULL UNIQUE,                     -- in scope `system`
    command_key      word        NOT NULL UNIQUE,                     -- the same as the chain has it
    created_at       timestamptz NOT NULL
);
CREATE UNIQUE INDEX redemption_intents_by_key ON redemption_intents (requested_by, idempotency_key);
CREATE INDEX redemption_intents_by_party      ON redemption_intents (party_id, created_at DESC, redemption_id DESC);
CREATE INDEX redemption_intents_by_age        ON redemption_intents (created_at DESC, redemption_id DESC);

-- What was decided on requests that the desk has, whoever brought them. A command's id is derived from its row. A reorg may
-- give a request's number to another one: a decision is about these units of this wallet.
CREATE TABLE redemption_decisions (
    token_id         text        NOT NULL REFERENCES tokens,
    request_id       bigint      NOT NULL,                            -- the desk's number
    attempt          integer     NOT NULL CHECK (attempt > 0),
    wallet           address     NOT NULL,
    quantity         uint256     NOT NULL,
    verdict          text        NOT NULL CHECK (verdict IN ('approved', 'rejected')),
    price            uint256,                                         -- of a whole token
    payout           uint256,                                         -- for all of it
    nav              uint256,                                         -- what a whole token was worth
    nav_source       text,
    nav_as_of        timestamptz,
    rejection        text,                                            -- why it was rejected
    decided_by       text        NOT NULL,
    decided_at       timestamptz NOT NULL,
    decision_key     text,                                            -- the client's own name for it
    command_id       text        NOT NULL UNIQUE,                     -- in scope `system`
    PRIMARY KEY (token_id, request_id, attempt),
    CHECK (num_nulls(price, payout, nav, nav_source, nav_as_of) IN (0, 5)),
    CHECK ((verdict = 'approved') = (payout IS NOT NULL)),
    CHECK ((verdict = 'rejected') = (rejection IS NOT NULL))
);

-- Every request that was made here or at the desk itself, with what the desk has of it and what was decided on it last. One
-- that a wallet has made by itself is called by its token and its number there.
CREATE VIEW redemption_cases AS
    SELECT r.*, t.instrument_id, t.decimals AS token_decimals, t.issuer_id, t.chain_id,
           c.currency_id, c.symbol, c.decimals,
           k.attempt, k.verdict, k.price, k.payout AS decided_payout, k.nav, k.nav_source, k.nav_as_of, k.rejection,
           k.decided_by, k.decided_at, k.decision_key, k.command_id AS decision_command
      FROM (SELECT i.redemption_id::text AS id, i.redemption_id, i.party_id, i.wallet, i.token_id, i.quantity, i.min_price,
                   i.payment_token, i.min_payout, i.requested_by, i.idempotency_key, i.command_id, i.created_at,
                   q.request_id, q.block_number, q.approved, q.payout, q.credit, q.end_operator, q.end_time, q.end_tx
              FROM redemption_intents i
              JOIN token_records o    ON o.token_id = i.token_id
              LEFT JOIN redemptions q ON q.chain_id = o.chain_id AND q.wallet = i.wallet AND q.command_key = i.command_key
             UNION ALL
            SELECT o.token_id || '-' || q.request_id, NULL, p.party_id, q.wallet, o.token_id, q.quantity, NULL,
                   q.payment_token, q.min_payout, NULL, NULL, NULL, to_timestamp(q.block_time),
                   q.request_id, q.block_number, q.approved, q.payout, q.credit, q.end_operator, q.end_time, q.end_tx
              FROM token_records o
              JOIN token_deployments d    ON d.token_id = o.token_id
              JOIN token_contracts n      ON n.chain_id = o.chain_id AND n.token = d.token AND n.kind = 'redemption_desk'
              JOIN redemptions q          ON q.chain_id = o.chain_id AND q.token = d.token AND q.contract = n.contract
              LEFT JOIN investor_wallets w ON w.chain_id = o.chain_id AND w.wallet = q.wallet
              LEFT JOIN parties p         ON p.investor_id = w.investor_id
             WHERE NOT EXISTS (SELECT FROM redemption_intents i WHERE i.command_key = q.command_key)) r
      JOIN token_records t ON t.token_id = r.token_id
      JOIN currencies c    ON c.chain_id = t.chain_id AND c.address = r.payment_token
      LEFT JOIN LATERAL (SELECT e.*
                           FROM redemption_decisions e
                          WHERE e.token_id = r.token_id AND e.request_id = r.request_id
                            AND e.wallet = r.wallet AND e.quantity = r.quantity
                          ORDER BY e.attempt DESC
                          LIMIT 1) k ON true;

-- ---------------------------------------------------------------- rent

-- Periods that were asked to be opened. A command's id is derived from its row.
CREATE TABLE rent_openings (
    token_id         text        NOT NULL REFERENCES tokens,
    period           integer     NOT NULL CHECK (period > 0),
    attempt          integer     NOT NULL CHECK (attempt > 0),
    amount           uint256     NOT NULL,                            -- base units of the payment token
    command_id       text        NOT NULL UNIQUE,                     -- in scope `system`
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (token_id, period, attempt)
);

-- Wallets that were asked to be paid after a period, each once unless its command came to nothing.
CREATE TABLE rent_pushes (
    token_id         text        NOT NULL REFERENCES tokens,
    period           integer     NOT NULL CHECK (period > 0),
    attempt          integer     NOT NULL CHECK (attempt > 0),
    wallets          bytea[]     NOT NULL,
    command_id       text        NOT NULL UNIQUE,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (token_id, period, attempt)
);

-- When everybody who could be paid after a token's last period was asked to be; somebody may have become payable since.
CREATE TABLE rent_rounds (
    token_id         text        PRIMARY KEY REFERENCES tokens,
    period           integer     NOT NULL,
    settled_at       timestamptz NOT NULL
);

-- What people asked for: payments into a fund, openings, claims. A client's own key leads to the same row for ever.
CREATE TABLE rent_acts (
    act_id           uuid        PRIMARY KEY,
    token_id         text        NOT NULL REFERENCES tokens,
    action           text        NOT NULL CHECK (action IN ('fund', 'open', 'claim')),
    asked            jsonb       NOT NULL,                            -- what tells it from another one
    asked_by         text        NOT NULL,
    idempotency_key  text,
    command_id       text        NOT NULL,
    created_at       timestamptz NOT NULL
);
CREATE UNIQUE INDEX rent_acts_by_key ON rent_acts (asked_by, token_id, idempotency_key);

-- The rent of each token that has not ended and whose record speaks of rent: its terms on chain, the last period opened and
-- what the fund has. `terms_hold`: they are what the record says.
CREATE VIEW rent_schedules AS
    SELECT t.chain_id, t.token_id, t.instrument_id, t.issuer_id, d.token, k.contract, t.decimals AS token_decimals,
           t.rental_income::numeric AS income, t.rental_currency AS currency_id, t.rental_address AS payment_token,
           t.rental_symbol AS symbol, t.rental_decimals AS decimals, r.start_at, r.length,
           coalesce(r.payment_token = t.rental_address, false) AS terms_hold,
           coalesce(r.period, 0) AS period, coalesce(r.minimum::numeric, 0) AS minimum,
           coalesce((SELECT f.available::numeric
                       FROM fund_changes f
                      WHERE f.chain_id = t.chain_id AND f.contract = k.contract AND f.token = d.token
                        AND f.payment_token = t.rental_address
                      ORDER BY f.block_number DESC, f.log_index DESC
                      LIMIT 1), 0) AS available
      FROM token_records t
      JOIN token_deployments d ON d.token_id = t.token_id AND NOT d.retired
      JOIN token_contracts k   ON k.chain_id = t.chain_id AND k.token = d.token AND k.kind = 'rent_distributor'
      JOIN token_rents r       ON r.chain_id = t.chain_id AND r.token = d.token AND r.distributor = k.contract
     WHERE t.rental_income > 0;
