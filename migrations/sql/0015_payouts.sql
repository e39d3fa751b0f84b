-- What issuers pay in for their tokens and holders get of it: redemption and rent. As in 0014: a row for a log, views
-- for what holds now. Written by the indexer alone.

-- ---------------------------------------------------------------- funds and redemption

-- What is paid in for a token and not spoken for, of rent distributors and redemption desks. `available` is what
-- results.
CREATE TABLE fund_changes (
    chain_id      BIGINT   NOT NULL,
    block_number  BIGINT   NOT NULL,
    log_index     INTEGER  NOT NULL,
    block_time    BIGINT   NOT NULL,
    tx_hash       word     NOT NULL,
    contract      address  NOT NULL,
    token         address  NOT NULL,
    payment_token address  NOT NULL,
    cause         SMALLINT NOT NULL, -- 1 paid in, 2 withdrawn, 3 paid out or owed for units, 4 divided as rent
    wallet        address  NULL,     -- who paid in, or the treasury
    amount        uint256  NOT NULL,
    available     uint256  NOT NULL,
    command_key   word     NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX fund_changes_by_token ON fund_changes (chain_id, token, block_number, log_index);
CREATE INDEX fund_changes_by_key ON fund_changes (chain_id, contract, token, payment_token, block_number, log_index);
-- Every fund begins from nothing.
CREATE INDEX fund_changes_from_nothing ON fund_changes (chain_id, token, contract, payment_token)
    WHERE cause = 1 AND available = amount;

-- What redemptions of a token are paid in, and how much at most.
CREATE TABLE redemption_terms (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    payment_token address NOT NULL,
    max_price     uint256 NOT NULL, -- base units of it for one whole token
    reason        word    NOT NULL,
    operator      address NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX redemption_terms_by_token ON redemption_terms (chain_id, token, block_number, log_index);

-- Units that wallets want to give back, under the hold of the same number.
CREATE TABLE redemption_requests (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    request_id    BIGINT  NOT NULL,
    wallet        address NOT NULL,
    quantity      uint256 NOT NULL,
    payment_token address NOT NULL,
    min_payout    uint256 NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX redemption_requests_by_token ON redemption_requests (chain_id, token, block_number, log_index);
CREATE INDEX redemption_requests_by_wallet ON redemption_requests (chain_id, wallet, block_number, log_index);

-- How requests ended: burnt and paid for, or closed. `credit` is what the wallet has to draw since the payment token
-- refused it; 0 = it has been paid.
CREATE TABLE redemption_ends (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    request_id    BIGINT  NOT NULL,
    wallet        address NOT NULL,
    quantity      uint256 NOT NULL,
    approved      BOOLEAN NOT NULL,
    payment_token address NULL, -- NULL where closed, as the next two
    payout        uint256 NULL,
    credit        uint256 NULL,
    reason        word    NOT NULL,
    operator      address NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX redemption_ends_by_token ON redemption_ends (chain_id, token, block_number, log_index);
CREATE INDEX redemption_ends_by_request ON redemption_ends (chain_id, token, request_id, contract);

-- What wallets have to draw from a redemption desk. `credit` is what results.
CREATE TABLE redemption_credits (
    chain_id      BIGINT   NOT NULL,
    block_number  BIGINT   NOT NULL,
    log_index     INTEGER  NOT NULL,
    block_time    BIGINT   NOT NULL,
    tx_hash       word     NOT NULL,
    contract      address  NOT NULL,
    token         address  NOT NULL,
    payment_token address  NOT NULL,
    wallet        address  NOT NULL,
    cause         SMALLINT NOT NULL, -- 1 approved, 2 drawn, 3 moved from or to it
    amount        uint256  NOT NULL,
    credit        uint256  NOT NULL,
    command_key   word     NULL,
    PRIMARY KEY (chain_id, block_number, log_index, wallet)
);
CREATE INDEX redemption_credits_by_key ON redemption_credits (chain_id, contract, token, payment_token, wallet, block_number, log_index);
CREATE INDEX redemption_credits_by_wallet ON redemption_credits (chain_id, wallet, block_number, log_index);
-- Every credit begins from nothing.
CREATE INDEX redemption_credits_from_nothing ON redemption_credits (chain_id, token, contract, payment_token, wallet)
    WHERE credit = amount;

-- ---------------------------------------------------------------- rent

-- What rent of a token is paid in, and when periods are due.
CREATE TABLE rent_terms (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    payment_token address NOT NULL,
    start_at      BIGINT  NOT NULL, -- Unix seconds
    length        BIGINT  NOT NULL, -- seconds from one period to the next, 0 = no schedule
    reason        word    NOT NULL,
    operator      address NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX rent_terms_by_token ON rent_terms (chain_id, token, block_number, log_index);

-- Who may open periods of a token, and pays. Said by the token itself.
CREATE TABLE rent_distributors (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    token        address NOT NULL,
    distributor  address NOT NULL,
    bound        BOOLEAN NOT NULL, -- whether it may open more
    reason       word    NOT NULL,
    operator     address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX rent_distributors_by_token ON rent_distributors (chain_id, token, block_number, log_index);

-- What a wallet must have to earn. Changes only while there are no units.
CREATE TABLE rent_minimums (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    token        address NOT NULL,
    minimum      uint256 NOT NULL,
    reason       word    NOT NULL,
    operator     address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX rent_minimums_by_token ON rent_minimums (chain_id, token, block_number, log_index);

-- Periods: who holds at the log has earned. Figures in Q128 are base units of the payment token, times 2^128.
CREATE TABLE rent_periods (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    period        INTEGER NOT NULL,
    payment_token address NOT NULL,
    amount        uint256 NOT NULL,
    earning       uint256 NOT NULL, -- units that have earned
    per_unit      uint256 NOT NULL, -- what a unit has earned since the first period, Q128
    carry         uint256 NOT NULL, -- too little to be divided, part of the next period, Q128
    reason        word    NOT NULL,
    operator      address NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX rent_periods_by_token ON rent_periods (chain_id, token, block_number, log_index);

-- Rent that was paid, or could not be paid to one of many: then there is the selector of what refused.
CREATE TABLE rent_payments (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    payment_token address NULL, -- NULL where refused, as the next two
    wallet        address NOT NULL,
    amount        uint256 NULL,
    owed          uint256 NULL, -- what the token's holders have to get still
    refusal       BYTEA   NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX rent_payments_by_token ON rent_payments (chain_id, token, block_number, log_index);
CREATE INDEX rent_payments_by_account ON rent_payments (chain_id, token, wallet);
CREATE INDEX rent_payments_by_wallet ON rent_payments (chain_id, wallet, block_number, log_index);

-- What a wallet had earned and another one has now, Q128. Said by the token itself.
CREATE TABLE rent_moves (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    token         address NOT NULL,
    from_wallet   address NOT NULL,
    to_wallet     address NOT NULL,
    amount        uint256 NOT NULL,
    accrued_after uint256 NOT NULL, -- in the account of the second one, without what it has earned since it moved last
    reason        word    NOT NULL,
    operator      address NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX rent_moves_by_giver ON rent_moves (chain_id, token, from_wallet, block_number, log_index);
CREATE INDEX rent_moves_by_taker ON rent_moves (chain_id, token, to_wallet, block_number, log_index);

-- Tokens that have ended: their supply is none and stays so.
CREATE TABLE retirements (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    token        address NOT NULL,
    reason       word    NOT NULL,
    operator     address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX retirements_by_token ON retirements (chain_id, token, block_number, log_index);

-- What a wallet has to draw from a redemption desk.
CREATE VIEW redemption_credit_balances AS
    SELECT k.chain_id, k.token, k.contract, k.payment_token, k.wallet, l.credit
      FROM (SELECT DISTINCT chain_id, token, contract, payment_token, wallet
              FROM redemption_credits
             WHERE credit = amount) k
     CROSS JOIN LATERAL (SELECT c.credit
                           FROM redemption_credits c
                          WHERE c.chain_id = k.chain_id AND c.contract = k.contract AND c.token = k.token
                            AND c.payment_token = k.payment_token AND c.wallet = k.wallet
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) l;

-- Requests and how they ended; `approved` is NULL while they are open.
CREATE VIEW redemptions AS
    SELECT r.*, e.approved, e.payout, e.credit, e.reason AS end_reason, e.operator AS end_operator,
           e.block_number AS end_block, e.log_index AS end_log, e.block_time AS end_time, e.tx_hash AS end_tx
      FROM redemption_requests r
      LEFT JOIN redemption_ends e ON e.chain_id = r.chain_id AND e.token = r.token AND e.request_id = r.request_id
                                 AND e.contract = r.contract;

-- Rent of each token as it says itself and as its distributor has it; NULL what was never said. `period` is the last
-- one opened. A token that is bound to a distributor of nobody here has periods that nobody here sees.
CREATE VIEW token_rents AS
    SELECT i.chain_id, i.token, d.distributor, d.bound, m.payment_token, m.start_at, m.length, p.period, p.per_unit,
           p.carry, n.minimum
      FROM instruments i
      LEFT JOIN LATERAL (SELECT c.*
                           FROM rent_distributors c
                          WHERE c.chain_id = i.chain_id AND c.token = i.token
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) d ON true
      LEFT JOIN LATERAL (SELECT c.*
                           FROM rent_terms c
                          WHERE c.chain_id = i.chain_id AND c.token = i.token AND c.contract = d.distributor
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) m ON true
      LEFT JOIN LATERAL (SELECT c.*
                           FROM rent_periods c
                          WHERE c.chain_id = i.chain_id AND c.token = i.token
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) p ON true
      LEFT JOIN LATERAL (SELECT c.minimum
                           FROM rent_minimums c
                          WHERE c.chain_id = i.chain_id AND c.token = i.token
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) n ON true
     WHERE i.executor IS NOT NULL;

-- What each period gave a unit, Q128, and what a wallet had to have to get it.
CREATE VIEW rent_growths AS
    SELECT p.chain_id, p.token, p.period, p.block_number, p.log_index,
           p.per_unit - lag(p.per_unit, 1, 0) OVER (PARTITION BY p.chain_id, p.token
                                                        ORDER BY p.block_number, p.log_index) AS growth,
           coalesce((SELECT m.minimum
                       FROM rent_minimums m
                      WHERE m.chain_id = p.chain_id AND m.token = p.token
                        AND (m.block_number, m.log_index) < (p.block_number, p.log_index)
                      ORDER BY m.block_number DESC, m.log_index DESC
                      LIMIT 1), 0) AS minimum
      FROM rent_periods p;

-- The rent of every wallet of a token, Q128: what it has earned by what it had at the log of each period, what it gave
-- to others and got from them, and what it was paid. `accrued` is what it has still, as the token says (`rentOf`): who
-- is paid gets the whole base units of it.
CREATE VIEW rent_accounts AS
    SELECT w.chain_id, w.token, w.wallet, e.earned, g.got, o.given, r.paid,
           e.earned + g.got - o.given - r.paid AS accrued
      FROM (SELECT chain_id, token, wallet FROM holdings
             UNION
            SELECT chain_id, token, to_wallet FROM rent_moves) w
     CROSS JOIN LATERAL (SELECT coalesce(sum(b.balance_after * p.growth), 0) AS earned
                           FROM rent_growths p
                          CROSS JOIN LATERAL (SELECT c.balance_after
                                                FROM holding_changes c
                                               WHERE c.account_key = account_key(w.token, w.wallet)
                                                 AND c.chain_id = w.chain_id AND c.token = w.token
                                                 AND c.wallet = w.wallet
                                                 AND (c.block_number, c.log_index) < (p.block_number, p.log_index)
                                               ORDER BY c.block_number DESC, c.log_index DESC
                                               LIMIT 1) b
                          WHERE p.chain_id = w.chain_id AND p.token = w.token AND b.balance_after >= p.minimum) e
     CROSS JOIN LATERAL (SELECT coalesce(sum(c.amount), 0) AS got
                           FROM rent_moves c
                          WHERE c.chain_id = w.chain_id AND c.token = w.token AND c.to_wallet = w.wallet) g
     CROSS JOIN LATERAL (SELECT coalesce(sum(c.amount), 0) AS given
                           FROM rent_moves c
                          WHERE c.chain_id = w.chain_id AND c.token = w.token AND c.from_wallet = w.wallet) o
     CROSS JOIN LATERAL (SELECT coalesce(sum(c.amount), 0) * 340282366920938463463374607431768211456 AS paid
                           FROM rent_payments c
                          WHERE c.chain_id = w.chain_id AND c.token = w.token AND c.wallet = w.wallet) r;

-- The books of redemption desks and rent distributors, one for each token and payment token. What is available is the
-- last word of its log; no log says all that is owed: it is what wallets have to draw, and what was divided and not
-- paid.
CREATE VIEW fund_balances AS
    SELECT k.chain_id, k.token, k.contract, k.payment_token, l.available, c.credits + p.divided - r.paid AS owed
      FROM (SELECT DISTINCT chain_id, token, contract, payment_token
              FROM fund_changes
             WHERE cause = 1 AND available = amount) k
     CROSS JOIN LATERAL (SELECT c.available
                           FROM fund_changes c
                          WHERE c.chain_id = k.chain_id AND c.contract = k.contract AND c.token = k.token
                            AND c.payment_token = k.payment_token
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) l
     CROSS JOIN LATERAL (SELECT coalesce(sum(c.credit), 0) AS credits
                           FROM redemption_credit_balances c
                          WHERE c.chain_id = k.chain_id AND c.token = k.token AND c.contract = k.contract
                            AND c.payment_token = k.payment_token) c
     CROSS JOIN LATERAL (SELECT coalesce(sum(c.amount), 0) AS divided
                           FROM rent_periods c
                          WHERE c.chain_id = k.chain_id AND c.token = k.token AND c.contract = k.contract
                            AND c.payment_token = k.payment_token) p
     CROSS JOIN LATERAL (SELECT coalesce(sum(c.amount), 0) AS paid
                           FROM rent_payments c
                          WHERE c.chain_id = k.chain_id AND c.token = k.token AND c.contract = k.contract
                            AND c.payment_token = k.payment_token) r;
