-- Trading between investors: orders, the book of each instrument, what was matched, and the allowances that settlement needs.
-- Writer: the api room.
-- How far a trade's settlement has come is its command's to say and is not copied here.

-- Whoever matches an instrument's orders holds its row. Whoever had it last has the book of this version in memory.
CREATE TABLE books (
    instrument_id text    PRIMARY KEY,
    version       bigint  NOT NULL DEFAULT 0,
    rank          bigint  NOT NULL DEFAULT 0,                                   -- the next place in it
    last_price    uint256                                                       -- of the last trade
);

-- Orders. Prices are base units of the payment token for one whole token, quantities and reservations base units.
CREATE TABLE orders (
    order_id        uuid        PRIMARY KEY,
    place           bigint      GENERATED ALWAYS AS IDENTITY UNIQUE,            -- in the order of arrival
    party_id        text        NOT NULL REFERENCES parties,
    investor_id     bigint      NOT NULL,
    client_order_id text        NOT NULL,
    fingerprint     word        NOT NULL,                                       -- of what was asked
    placed_by       text        NOT NULL,
    request_id      text        NOT NULL,
    idempotency_key text,
    offering_id     uuid        NOT NULL REFERENCES offerings,
    instrument_id   text        NOT NULL REFERENCES books,
    chain_id        bigint      NOT NULL,
    token           address     NOT NULL,
    market          address     NOT NULL,                                       -- the contract that settles
    wallet_id       uuid        NOT NULL REFERENCES wallets,
    wallet          address     NOT NULL,
    side            text        NOT NULL CHECK (side IN ('buy', 'sell')),
    kind            text        NOT NULL CHECK (kind IN ('limit', 'market', 'stop', 'stop_limit')),
    time_in_force   text        NOT NULL CHECK (time_in_force IN ('day', 'gtc', 'ioc', 'fok')),
    quantity        uint256     NOT NULL CHECK (quantity > 0),
    limit_price     uint256     NOT NULL CHECK (limit_price > 0),               -- the worst, as it is signed
    stop_price      uint256     CHECK (stop_price > 0),
    until           bigint      NOT NULL,                                       -- Unix second from which it is not matched
    payment_token   address     NOT NULL,
    max_fee_bps     integer     NOT NULL CHECK (max_fee_bps BETWEEN 0 AND 10000),
    valid_from      bigint      NOT NULL,                                       -- of what is signed, Unix seconds
    expiry          bigint      NOT NULL CHECK (expiry >= until),
    salt            word        NOT NULL,
    digest          word        NOT NULL UNIQUE,                                -- what the chain knows it by
    signature       bytea,                                                      -- NULL: the keeper signs for the wallet
    state           text        NOT NULL CHECK (state IN ('pending', 'waiting', 'open', 'filled', 'cancelled', 'expired')),
    rank            bigint,                                                     -- its place in the book
    filled          uint256     NOT NULL DEFAULT 0,                             -- matched, settled or not
    reserved        uint256     NOT NULL,                                       -- units where it sells, money where it buys
    ending          text,                                                       -- why it is to end, once its book is free
    reason_code     text,                                                       -- why it ended unfilled, or a trade failed
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    UNIQUE (party_id, client_order_id),
    CHECK (filled <= quantity),
    CHECK ((stop_price IS NOT NULL) = (kind IN ('stop', 'stop_limit'))),
    CHECK ((rank IS NOT NULL) >= (state IN ('waiting', 'open'))),
    CHECK (state IN ('pending', 'waiting', 'open') OR reserved = 0)
);
CREATE UNIQUE INDEX orders_by_key ON orders (placed_by, idempotency_key);
CREATE INDEX orders_by_party      ON orders (party_id, created_at DESC, order_id DESC);
CREATE INDEX orders_in_books      ON orders (instrument_id, rank) WHERE state IN ('waiting', 'open');
CREATE INDEX orders_pending       ON orders (instrument_id, place) WHERE state = 'pending';
CREATE INDEX orders_ending        ON orders (instrument_id, place)
    WHERE ending IS NOT NULL AND state IN ('pending', 'waiting', 'open');
CREATE INDEX orders_reserving     ON orders (wallet) WHERE state IN ('pending', 'waiting', 'open');

-- What was matched. The command that settles a trade is called after it.
CREATE TABLE fills (
    trade_id      uuid        PRIMARY KEY,
    place         bigint      GENERATED ALWAYS AS IDENTITY UNIQUE,              -- in the order of matching
    instrument_id text        NOT NULL REFERENCES books,
    token         address     NOT NULL,
    payment_token address     NOT NULL,
    sell_order    uuid        NOT NULL REFERENCES orders,
    buy_order     uuid        NOT NULL REFERENCES orders,
    seller        address     NOT NULL,
    buyer         address     NOT NULL,
    quantity      uint256     NOT NULL CHECK (quantity > 0),
    price         uint256     NOT NULL CHECK (price > 0),
    buy_rests     boolean     NOT NULL,                                         -- the buy order was there first
    cost          uint256     NOT NULL CHECK (cost > 0),                        -- what the seller is paid for
    payment       uint256     NOT NULL CHECK (payment >= cost),                 -- what the buyer pays, a fee included
    command_id    text        NOT NULL UNIQUE,                                  -- in scope `system`
    refusal_code  text,                                                         -- why the keeper does not take it
    refusal       text,
    at_fault      text        CHECK (at_fault IN ('seller', 'buyer')),
    over          boolean     NOT NULL DEFAULT false,                           -- its settlement cannot change any more
    matched_at    timestamptz NOT NULL,
    CHECK (sell_order <> buy_order AND seller <> buyer),
    CHECK ((refusal_code IS NULL) = (refusal IS NULL)),
    CHECK (refusal_code IS NULL OR over)
);
CREATE INDEX fills_by_instrument ON fills (instrument_id, matched_at DESC, trade_id DESC);
CREATE INDEX fills_by_sell_order ON fills (sell_order);
CREATE INDEX fills_by_buy_order  ON fills (buy_order);
CREATE INDEX fills_open          ON fills (trade_id)      WHERE NOT over;
CREATE INDEX fills_of_sellers    ON fills (seller)        WHERE NOT over;
CREATE INDEX fills_of_buyers     ON fills (buyer)         WHERE NOT over;

-- Allowances for a market that were asked of the keeper, once for a wallet and what it gives: its units, or its money.
CREATE TABLE market_permits (
    wallet     address     NOT NULL,
    token      address     NOT NULL,                                            -- what may be taken
    market     address     NOT NULL,                                            -- who may take it
    attempt    integer     NOT NULL CHECK (attempt > 0),
    command_id text        NOT NULL UNIQUE,                                     -- in scope `system`
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wallet, token, market, attempt)
);

-- Trades with how far their settlement has come. `state` is NULL before it was asked for.
CREATE VIEW fill_records AS
    SELECT f.*, c.state, c.verdict,
           coalesce(c.verdict = 'done' OR c.state IN ('confirmed', 'final'), false) AS is_settled, c.tx_hash, c.block_number, c.block_time,
           coalesce(f.refusal_code, c.reason_code) AS reason_code, coalesce(f.refusal, c.failure) AS failure
      FROM fills f
      LEFT JOIN command_views c ON c.scope = 'system' AND c.command_id = f.command_id;

-- Trades whose units and money are where they were still. Once the chain has done it the balances say so, and once it has
-- failed nothing is held back any more.
CREATE VIEW fills_unsettled AS
    SELECT f.*
      FROM fills f
      LEFT JOIN commands c       ON c.scope = 'system' AND c.command_id = f.command_id
      LEFT JOIN command_states s ON s.seq = c.seq
     WHERE NOT f.over AND (s.state IS NULL OR s.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared'));

-- Units that orders and trades hold back.
CREATE VIEW ats_units_reserved AS
    SELECT instrument_id, token, wallet, reserved::numeric AS amount
      FROM orders
     WHERE side = 'sell' AND state IN ('pending', 'waiting', 'open')
     UNION ALL
    SELECT instrument_id, token, seller, quantity::numeric
      FROM fills_unsettled;

-- Money that they hold back; of a trade that the chain has settled, as of which block: a balance that was read before does
-- not say so yet.
CREATE VIEW ats_money_reserved AS
    SELECT payment_token, wallet, reserved::numeric AS amount, NULL::bigint AS block
      FROM orders
     WHERE side = 'buy' AND state IN ('pending', 'waiting', 'open')
     UNION ALL
    SELECT payment_token, buyer, payment::numeric, NULL
      FROM fills_unsettled
     UNION ALL
    SELECT f.payment_token, f.buyer, f.payment::numeric, s.block_number
      FROM fills f
      JOIN commands c       ON c.scope = 'system' AND c.command_id = f.command_id
      JOIN command_states s ON s.seq = c.seq
     WHERE NOT f.over AND (s.verdict = 'done' OR s.state IN ('confirmed', 'final'));

-- Orders in books, and those that wait for it, whose wallet may not trade any more, with the gravest reason.
CREATE VIEW order_misfits AS
    SELECT o.instrument_id, o.place, m.code
      FROM orders o
      LEFT JOIN investor_wallets w ON w.chain_id = o.chain_id AND w.wallet = o.wallet
      LEFT JOIN holdings h         ON h.chain_id = o.chain_id AND h.token = o.token AND h.wallet = o.wallet
     CROSS JOIN LATERAL (
            SELECT CASE WHEN w.flags & 2 <> 0                               THEN 'SANCTIONS_HIT'
                        WHEN coalesce(w.flags, 0) & 1 = 0                   THEN 'WALLET_NOT_WHITELISTED'
                        WHEN w.kyc_expires_at <> 0
                         AND w.kyc_expires_at <= extract(epoch FROM now())  THEN 'KYC_EXPIRED'
                        WHEN h.address_frozen                               THEN 'WALLET_FROZEN'
                        WHEN o.side = 'sell' AND h.frozen > 0
                         AND h.balance < h.frozen + o.reserved              THEN 'AMOUNT_FROZEN'
                        WHEN EXISTS (SELECT FROM cancellations c
                                      WHERE c.chain_id = o.chain_id AND c.digest = o.digest AND c.wallet = o.wallet
                                        AND c.contract = o.market)          THEN 'ORDER_CANCELLED'
                        WHEN o.valid_from < (SELECT k.cutoff
                                               FROM order_cutoffs k
                                              WHERE k.chain_id = o.chain_id AND k.wallet = o.wallet
                                                AND k.contract = o.market
                                              ORDER BY k.block_number DESC, k.log_index DESC
                                              LIMIT 1)                      THEN 'ORDER_CANCELLED'
                   END AS code) m
     WHERE o.state IN ('pending', 'waiting', 'open') AND m.code IS NOT NULL;

-- Orders as they are shown: with the decimals of what they are in, what the chain has done of them and what it refused, and
-- whether it would settle them still, though they are cancelled here.
CREATE VIEW order_records AS
    SELECT o.*, t.decimals, c.decimals AS payment_decimals, c.symbol AS payment_symbol,
           coalesce(f.settled, 0) AS settled, coalesce(f.failed, 0) AS failed,
           o.state = 'cancelled' AND o.signature IS NOT NULL AND o.filled < o.quantity
               AND o.expiry > extract(epoch FROM now())
               AND NOT EXISTS (SELECT FROM cancellations k
                                WHERE k.chain_id = o.chain_id AND k.digest = o.digest AND k.wallet = o.wallet
                                  AND k.contract = o.market) AS counts_on_chain
      FROM orders o
      JOIN offerings p     ON p.offering_id = o.offering_id
      JOIN token_records t ON t.token_id = p.token_id
      JOIN currencies c    ON c.chain_id = o.chain_id AND c.address = o.payment_token
     CROSS JOIN LATERAL (
            SELECT sum(r.quantity::numeric) FILTER (WHERE r.is_settled) AS settled,
                   sum(r.quantity::numeric) FILTER (WHERE r.refusal_code IS NOT NULL
                                                       OR r.state IN ('failed', 'expired', 'cancelled', 'rejected')) AS failed
              FROM fill_records r
             WHERE r.sell_order = o.order_id OR r.buy_order = o.order_id) f;

-- Trades as they are shown.
CREATE VIEW trade_records AS
    SELECT r.*, t.decimals, c.decimals AS payment_decimals, c.symbol AS payment_symbol
      FROM fill_records r
      JOIN orders o        ON o.order_id = r.sell_order
      JOIN offerings p     ON p.offering_id = o.offering_id
      JOIN token_records t ON t.token_id = p.token_id
      JOIN currencies c    ON c.chain_id = o.chain_id AND c.address = r.payment_token;
