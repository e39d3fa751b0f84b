-- OTC deals: what one party proposes to another, and both have agreed on. Writer: the api room.
-- How far a settlement has come is its command's and the chain's to say and is not copied here.

CREATE TABLE otc_deals (
    deal_id         uuid        PRIMARY KEY,
    place           bigint      GENERATED ALWAYS AS IDENTITY UNIQUE,            -- in the order of their proposals
    maker           text        NOT NULL REFERENCES parties (party_id),         -- who proposes it
    taker           text        NOT NULL REFERENCES parties (party_id),
    client_deal_id  text        NOT NULL,                                       -- the maker's
    fingerprint     word        NOT NULL,                                       -- of what was asked
    proposed_by     text        NOT NULL,
    idempotency_key text,
    offering_id     uuid        NOT NULL REFERENCES offerings,
    instrument_id   text        NOT NULL,
    chain_id        bigint      NOT NULL,
    token           address     NOT NULL,
    desk            address     NOT NULL,                                       -- the contract that settles
    maker_sells     boolean     NOT NULL,
    taker_fixed     boolean     NOT NULL,                                       -- the maker has named the taker's wallet
    maker_wallet_id uuid        NOT NULL REFERENCES wallets (wallet_id),
    taker_wallet_id uuid        NOT NULL REFERENCES wallets (wallet_id),        -- unless fixed, the taker's to change
    seller          address     NOT NULL,
    buyer           address     NOT NULL CHECK (buyer <> seller),
    quantity        uint256     NOT NULL CHECK (quantity > 0),                  -- base units
    payment_token   address     NOT NULL,
    price           uint256,                                                    -- for a whole token, where it was named
    payment         uint256     NOT NULL CHECK (payment > 0),                   -- for all of it, a fee included
    max_fee_bps     integer     NOT NULL CHECK (max_fee_bps BETWEEN 0 AND 10000),
    valid_from      bigint      NOT NULL,                                       -- of what is signed, Unix seconds
    until           bigint      NOT NULL,                                       -- from then on it is not accepted
    deadline        bigint      NOT NULL CHECK (deadline >= until),
    salt            word        NOT NULL,
    digest          word        NOT NULL UNIQUE,                                -- what the chain knows it by
    maker_signature bytea,                                                      -- NULL: the keeper signs for the wallet
    taker_signature bytea,
    stage           text        NOT NULL CHECK (stage IN ('proposed', 'accepted', 'cancelled', 'declined', 'expired')),
    ended_code      text,                                                       -- why it has come to nothing
    command_id      text        NOT NULL UNIQUE,                                -- settles it, in scope `system`
    refusal_code    text,                                                       -- why the keeper does not take that
    refusal         text,
    at_fault        text        CHECK (at_fault IN ('seller', 'buyer')),
    told_tx         word,                                                       -- the settlement that both were told of
    over            boolean     NOT NULL DEFAULT false,                         -- it cannot change any more
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    UNIQUE (maker, client_deal_id),
    CHECK (maker <> taker),
    CHECK (over OR stage IN ('proposed', 'accepted')),
    CHECK ((refusal_code IS NULL) = (refusal IS NULL))
);
CREATE UNIQUE INDEX otc_deals_by_key ON otc_deals (proposed_by, idempotency_key);
CREATE INDEX otc_deals_of_makers     ON otc_deals (maker, created_at DESC, deal_id DESC);
CREATE INDEX otc_deals_of_takers     ON otc_deals (taker, created_at DESC, deal_id DESC);
CREATE INDEX otc_deals_of_sellers    ON otc_deals (seller) WHERE NOT over;
CREATE INDEX otc_deals_of_buyers     ON otc_deals (buyer)  WHERE NOT over;

-- Deals with what the chain and the command say. The chain outweighs the command: two parties may settle by themselves what
-- both have signed.
CREATE VIEW otc_deal_records AS
    SELECT d.*, c.state, c.verdict, s.tx_hash, s.block_number, s.tx_hash IS NOT NULL AS is_settled,
           coalesce(d.refusal_code, c.reason_code) AS reason_code, coalesce(d.refusal, c.failure) AS failure,
           c.settled OR c.block_number IS NULL AS cannot_turn, t.decimals, y.decimals AS payment_decimals, y.symbol AS payment_symbol,
           CASE WHEN s.tx_hash IS NOT NULL                                             THEN 'settled'
                WHEN d.stage = 'accepted'
                 AND (d.refusal_code IS NOT NULL
                      OR c.state IN ('failed', 'expired', 'cancelled', 'rejected'))    THEN 'failed'
                WHEN d.stage = 'cancelled' AND d.maker_signature IS NOT NULL
                 AND d.deadline >= extract(epoch FROM now())
                 AND NOT EXISTS (SELECT FROM cancellations k
                                  WHERE k.chain_id = d.chain_id AND k.digest = d.digest
                                    AND k.contract = d.desk)                           THEN 'cancel_pending'
                ELSE d.stage
           END AS shown
      FROM otc_deals d
      JOIN offerings p     ON p.offering_id = d.offering_id
      JOIN token_records t ON t.token_id = p.token_id
      JOIN currencies y    ON y.chain_id = d.chain_id AND y.address = d.payment_token
      LEFT JOIN command_views c ON c.scope = 'system' AND c.command_id = d.command_id
      LEFT JOIN LATERAL (SELECT e.tx_hash, e.block_number
                           FROM deals e
                          WHERE e.chain_id = d.chain_id AND e.deal = d.digest AND e.contract = d.desk
                          LIMIT 1) s ON true;

-- What deals hold back: the maker's part from the proposal on, the taker's from the acceptance on, until the chain has moved
-- it or the settlement has come to nothing, and a reorg of few blocks would not bring it back. `block`: where the chain has
-- moved it; a balance that was read before does not say so yet.
CREATE VIEW otc_held_back AS
    SELECT d.*, s.block_number AS block
      FROM otc_deals d
      LEFT JOIN commands c        ON c.scope = 'system' AND c.command_id = d.command_id
      LEFT JOIN command_states k  ON k.seq = c.seq
      LEFT JOIN LATERAL (SELECT e.block_number
                           FROM deals e
                          WHERE e.chain_id = d.chain_id AND e.deal = d.digest AND e.contract = d.desk
                          LIMIT 1) s ON true
     WHERE NOT d.over
       AND (s.block_number IS NOT NULL OR k.state IS NULL
            OR k.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared', 'mined'));

-- As of deals, of trades: one that has failed holds back what it did until that is confirmed.
CREATE OR REPLACE VIEW fills_unsettled AS
    SELECT f.*
      FROM fills f
      LEFT JOIN commands c       ON c.scope = 'system' AND c.command_id = f.command_id
      LEFT JOIN command_states s ON s.seq = c.seq
     WHERE NOT f.over
       AND (s.state IS NULL OR s.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared')
            OR s.state = 'mined' AND s.verdict <> 'done');

-- The end of a trade was taken note of. While `over` is not set a reorg may still take that end back.
ALTER TABLE fills ADD COLUMN noted boolean NOT NULL DEFAULT false;

-- Units that orders, trades and deals hold back.
CREATE VIEW units_held_back AS
    SELECT instrument_id, token, wallet, amount
      FROM ats_units_reserved
     UNION ALL
    SELECT instrument_id, token, seller, quantity::numeric
      FROM otc_held_back
     WHERE block IS NULL AND (maker_sells OR stage = 'accepted');

-- Money, likewise.
CREATE VIEW money_held_back AS
    SELECT payment_token, wallet, amount, block
      FROM ats_money_reserved
     UNION ALL
    SELECT payment_token, buyer, payment::numeric, block
      FROM otc_held_back
     WHERE block IS NOT NULL OR NOT maker_sells OR stage = 'accepted';

-- Allowances that were asked for and are not there yet, nor have they come to nothing. The contract that is to take may be an
-- OTC desk, too.
CREATE VIEW permits_under_way AS
    SELECT p.wallet, p.token, p.market AS spender
      FROM market_permits p
      JOIN commands c       ON c.scope = 'system' AND c.command_id = p.command_id
      JOIN command_states s ON s.seq = c.seq
     WHERE s.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared');

-- Orders in books and those that wait for it, by their place, and proposals of deals, by their id, whose wallets may not trade
-- any more, with the gravest reason.
DROP VIEW order_misfits;
CREATE VIEW trade_misfits AS
    SELECT o.instrument_id, o.place, o.deal_id, m.code
      FROM (SELECT chain_id, token, market AS contract, instrument_id, place, NULL::uuid AS deal_id, wallet, digest, valid_from,
                   CASE WHEN side = 'sell' THEN reserved::numeric ELSE 0 END AS units
              FROM orders
             WHERE state IN ('pending', 'waiting', 'open')
             UNION ALL
            SELECT chain_id, token, desk, instrument_id, NULL, deal_id, seller, digest, NULL,
                   CASE WHEN maker_sells THEN quantity::numeric ELSE 0 END
              FROM otc_deals
             WHERE stage = 'proposed'
             UNION ALL
            SELECT chain_id, token, desk, instrument_id, NULL, deal_id, buyer, digest, NULL, 0
              FROM otc_deals
             WHERE stage = 'proposed') o
      LEFT JOIN investor_wallets w ON w.chain_id = o.chain_id AND w.wallet = o.wallet
      LEFT JOIN holdings h         ON h.chain_id = o.chain_id AND h.token = o.token AND h.wallet = o.wallet
     CROSS JOIN LATERAL (
            SELECT CASE WHEN w.flags & 2 <> 0                               THEN 'SANCTIONS_HIT'
                        WHEN coalesce(w.flags, 0) & 1 = 0                   THEN 'WALLET_NOT_WHITELISTED'
                        WHEN w.kyc_expires_at <> 0
                         AND w.kyc_expires_at <= extract(epoch FROM now())  THEN 'KYC_EXPIRED'
                        WHEN h.address_frozen                               THEN 'WALLET_FROZEN'
                        WHEN o.units > 0 AND h.frozen > 0
                         AND h.balance < h.frozen + o.units                 THEN 'AMOUNT_FROZEN'
                        WHEN EXISTS (SELECT FROM cancellations c
                                      WHERE c.chain_id = o.chain_id AND c.digest = o.digest AND c.wallet = o.wallet
                                        AND c.contract = o.contract)
                             THEN CASE WHEN o.deal_id IS NULL THEN 'ORDER_CANCELLED' ELSE 'DEAL_DONE' END
                        WHEN o.valid_from < (SELECT k.cutoff
                                               FROM order_cutoffs k
                                              WHERE k.chain_id = o.chain_id AND k.wallet = o.wallet
                                                AND k.contract = o.contract
                                              ORDER BY k.block_number DESC, k.log_index DESC
                                              LIMIT 1)                      THEN 'ORDER_CANCELLED'
                   END AS code) m
     WHERE m.code IS NOT NULL;

-- Proposals that have come to their end, and why: `code` is NULL where only their time is over, by the later of two clocks.
CREATE VIEW otc_deals_ending AS
    SELECT d.deal_id,
           CASE WHEN d.until <= t.now THEN NULL
                ELSE coalesce(m.code, CASE WHEN NOT l.listed THEN 'NOT_LISTED' END)
           END AS code
      FROM otc_deals d
      LEFT JOIN LATERAL (SELECT x.code
                           FROM trade_misfits x
                          WHERE x.deal_id = d.deal_id
                          ORDER BY x.code = 'SANCTIONS_HIT' DESC, x.code
                          LIMIT 1) m ON true
     CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM listings l
                                         WHERE l.chain_id = d.chain_id AND l.token = d.token AND l.status = 1)
                                AND NOT EXISTS (SELECT FROM retirements r
                                                 WHERE r.chain_id = d.chain_id AND r.token = d.token) AS listed) l
     CROSS JOIN LATERAL (SELECT greatest(extract(epoch FROM now()),
                                         (SELECT b.block_time
                                            FROM chain_cursors k
                                            JOIN blocks b ON b.chain_id = k.chain_id AND b.number = k.number
                                           WHERE k.chain_id = d.chain_id)) AS now) t
     WHERE d.stage = 'proposed'
       AND (d.until <= t.now OR m.code IS NOT NULL OR NOT l.listed);
