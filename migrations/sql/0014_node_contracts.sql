-- The contracts of nodes: listing, secondary market, OTC desk, rent distributor, fee vault, redemption desk. Written by
-- the indexer alone.

ALTER TABLE watched
    DROP CONSTRAINT watched_kind_check,
    ADD  CONSTRAINT watched_kind_check CHECK (kind IN ('factory', 'registry', 'executor', 'token', 'followed', 'listing',
                                                       'secondary_market', 'otc_desk', 'rent_distributor', 'fee_vault',
                                                       'redemption_desk'));

CREATE INDEX watched_by_node ON watched (chain_id, node_key) WHERE node_key IS NOT NULL;

-- Nodes that are known already: their contracts are watched from now on, and their past is read late. What a factory
-- says of a new node: treasury, admin, and then the six contracts, zero where it has none.
INSERT INTO watched (chain_id, address, kind, from_block, filled_to, node_key, found_block)
SELECT l.chain_id, substr(l.data, 32 * c.word + 13, 20), c.kind, l.block_number, l.block_number - 1,
       substr(l.topics, 33, 32), l.block_number
  FROM logs l
  JOIN watched f ON f.chain_id = l.chain_id AND f.address = l.address AND f.kind = 'factory'
 CROSS JOIN (VALUES (2, 'listing'), (3, 'secondary_market'), (4, 'otc_desk'), (5, 'rent_distributor'), (6, 'fee_vault'),
                    (7, 'redemption_desk')) AS c (word, kind)
 WHERE substr(l.topics, 1, 32) = '\x8b85e55909c96a3837384f9346b876ed77c08c493f8b283b4968fd4305d938a2'
   AND octet_length(l.data) = 8 * 32
   AND substr(l.data, 32 * c.word + 13, 20) <> decode(repeat('00', 20), 'hex')
    ON CONFLICT DO NOTHING;

-- The contracts of each token's node, by kind. Other nodes' contracts may know a token, too, where its admin lets them.
CREATE VIEW token_contracts AS
    SELECT i.chain_id, i.token, n.kind, n.address AS contract
      FROM instruments i
      JOIN watched e ON e.chain_id = i.chain_id AND e.address = i.executor
      JOIN watched n ON n.chain_id = e.chain_id AND n.node_key = e.node_key
                    AND n.kind IN ('listing', 'secondary_market', 'otc_desk', 'rent_distributor', 'fee_vault',
                                   'redemption_desk');

-- Each of the following is a row for a log, with what results; a reorg takes rows away and nothing else. What holds now
-- is the latest row of its key, by views. Rows speak only of tokens that a factory of ours has made: anybody may have a
-- node's contracts log what they like of tokens of his own. `contract` is who says it.

-- ---------------------------------------------------------------- sale and fees

-- The terms of a sale. `listed` is the share of the maximum supply that is for sale, in whole tokens.
CREATE TABLE listing_terms (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    payment_token address NOT NULL,
    opens_at      BIGINT  NOT NULL, -- Unix seconds from which is sold, 0 = at once
    closes_at     BIGINT  NOT NULL, -- from which is sold no more, 0 = never
    price         uint256 NOT NULL, -- base units of the payment token for one whole token
    min_purchase  uint256 NOT NULL, -- of an investor in all, after a purchase
    max_purchase  uint256 NOT NULL, -- of an investor in all, 0 = no limit
    max_fees      uint256 NOT NULL,
    salable_bps   INTEGER NOT NULL, -- hundredths of a per cent
    listed        uint256 NOT NULL,
    reason        word    NOT NULL,
    operator      address NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX listing_terms_by_token ON listing_terms (chain_id, token, block_number, log_index);

-- Where a sale stands.
CREATE TABLE listing_statuses (
    chain_id     BIGINT   NOT NULL,
    block_number BIGINT   NOT NULL,
    log_index    INTEGER  NOT NULL,
    block_time   BIGINT   NOT NULL,
    tx_hash      word     NOT NULL,
    contract     address  NOT NULL,
    token        address  NOT NULL,
    status       SMALLINT NOT NULL, -- 0 not listed, 1 listed, 2 delisted, 3 passive
    reason       word     NOT NULL,
    operator     address  NOT NULL,
    command_key  word     NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX listing_statuses_by_token ON listing_statuses (chain_id, token, block_number, log_index);

-- What of the listed supply is set aside for fees. `fees` and `sold` are what results.
CREATE TABLE fee_reservations (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    contract     address NOT NULL,
    token        address NOT NULL,
    amount       uint256 NOT NULL,
    fees         uint256 NOT NULL,
    sold         uint256 NOT NULL,
    reason       word    NOT NULL,
    operator     address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX fee_reservations_by_token ON fee_reservations (chain_id, token, block_number, log_index);

-- Purchases. The last three are what results: of the investor over all its wallets, of all investors, with the fees.
CREATE TABLE purchases (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    buyer         address NOT NULL,
    investor_id   BIGINT  NOT NULL,
    quantity      uint256 NOT NULL,
    payment_token address NOT NULL,
    cost          uint256 NOT NULL,
    by_investor   uint256 NOT NULL,
    purchased     uint256 NOT NULL,
    sold          uint256 NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX purchases_by_token ON purchases (chain_id, token, block_number, log_index);
CREATE INDEX purchases_by_buyer ON purchases (chain_id, buyer, block_number, log_index);
CREATE INDEX purchases_by_investor ON purchases (chain_id, token, investor_id, block_number, log_index);

-- Who gets the fees of a token, and the shares of what trades pay, in hundredths of a per cent.
CREATE TABLE fee_terms (
    chain_id           BIGINT  NOT NULL,
    block_number       BIGINT  NOT NULL,
    log_index          INTEGER NOT NULL,
    block_time         BIGINT  NOT NULL,
    tx_hash            word    NOT NULL,
    contract           address NOT NULL,
    token              address NOT NULL,
    platform_owner     address NOT NULL,
    node_owner         address NOT NULL,
    node               address NOT NULL,
    platform_owner_bps INTEGER NOT NULL,
    node_owner_bps     INTEGER NOT NULL,
    node_bps           INTEGER NOT NULL,
    reason             word    NOT NULL,
    operator           address NOT NULL,
    command_key        word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX fee_terms_by_token ON fee_terms (chain_id, token, block_number, log_index);

-- Units of the fee supply that were given out, and what each party has been given in all.
CREATE TABLE fee_allocations (
    chain_id           BIGINT  NOT NULL,
    block_number       BIGINT  NOT NULL,
    log_index          INTEGER NOT NULL,
    block_time         BIGINT  NOT NULL,
    tx_hash            word    NOT NULL,
    contract           address NOT NULL,
    token              address NOT NULL,
    platform_owner     address NOT NULL,
    node_owner         address NOT NULL,
    node               address NOT NULL,
    to_platform_owner  uint256 NOT NULL,
    to_node_owner      uint256 NOT NULL,
    to_node            uint256 NOT NULL,
    platform_owner_has uint256 NOT NULL,
    node_owner_has     uint256 NOT NULL,
    node_has           uint256 NOT NULL,
    reason             word    NOT NULL,
    operator           address NOT NULL,
    command_key        word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX fee_allocations_by_token ON fee_allocations (chain_id, token, block_number, log_index);

-- What trades of a token have paid and nobody has been given: paid in by a trading contract, or released.
-- `pot` is what results.
CREATE TABLE fee_pots (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    payment_token address NOT NULL,
    source        address NULL, -- who paid; NULL: it was released
    amount        uint256 NOT NULL,
    pot           uint256 NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX fee_pots_by_token ON fee_pots (chain_id, token, block_number, log_index);
CREATE INDEX fee_pots_by_key ON fee_pots (chain_id, contract, token, payment_token, block_number, log_index);
-- Every pot begins from nothing.
CREATE INDEX fee_pots_from_nothing ON fee_pots (chain_id, token, contract, payment_token)
    WHERE source IS NOT NULL AND pot = amount;

-- What a wallet may draw from a fee vault, shared by all tokens, also those that are nobody's: who releases the fees of
-- any token changes it. `credit` is what results.
CREATE TABLE fee_credits (
    chain_id      BIGINT   NOT NULL,
    block_number  BIGINT   NOT NULL,
    log_index     INTEGER  NOT NULL,
    block_time    BIGINT   NOT NULL,
    tx_hash       word     NOT NULL,
    contract      address  NOT NULL,
    payment_token address  NOT NULL,
    wallet        address  NOT NULL,
    cause         SMALLINT NOT NULL, -- 1 released, 2 drawn, 3 moved from or to it
    amount        uint256  NOT NULL,
    credit        uint256  NOT NULL,
    command_key   word     NULL,
    PRIMARY KEY (chain_id, block_number, log_index, wallet)
);
CREATE INDEX fee_credits_by_key ON fee_credits (chain_id, contract, payment_token, wallet, block_number, log_index);
-- Every credit begins from nothing.
CREATE INDEX fee_credits_from_nothing ON fee_credits (chain_id, wallet, contract, payment_token) WHERE credit = amount;

-- The sale of each token at its own node, with the figures of its supply: `sold` is what is purchased and what is set
-- aside for fees, never above `listed`. Terms are NULL where there are none yet.
CREATE VIEW listings AS
    SELECT t.chain_id, t.token, t.contract, coalesce(s.status, 0) AS status, m.payment_token, m.opens_at, m.closes_at,
           m.price, m.min_purchase, m.max_purchase, m.max_fees, m.salable_bps, coalesce(m.listed, 0) AS listed,
           coalesce(p.purchased, 0) AS purchased, coalesce(f.fees, 0) AS fees,
           coalesce(p.purchased, 0) + coalesce(f.fees, 0) AS sold
      FROM token_contracts t
      LEFT JOIN LATERAL (SELECT c.*
                           FROM listing_terms c
                          WHERE c.chain_id = t.chain_id AND c.token = t.token AND c.contract = t.contract
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) m ON true
      LEFT JOIN LATERAL (SELECT c.status
                           FROM listing_statuses c
                          WHERE c.chain_id = t.chain_id AND c.token = t.token AND c.contract = t.contract
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) s ON true
      LEFT JOIN LATERAL (SELECT c.purchased
                           FROM purchases c
                          WHERE c.chain_id = t.chain_id AND c.token = t.token AND c.contract = t.contract
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) p ON true
      LEFT JOIN LATERAL (SELECT c.fees
                           FROM fee_reservations c
                          WHERE c.chain_id = t.chain_id AND c.token = t.token AND c.contract = t.contract
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) f ON true
     WHERE t.kind = 'listing';

-- The fee terms of each token at its own node, NULL where there are none, and what each party has of its fee supply.
CREATE VIEW token_fees AS
    SELECT t.chain_id, t.token, t.contract, m.platform_owner, m.node_owner, m.node, m.platform_owner_bps,
           m.node_owner_bps, m.node_bps, coalesce(a.platform_owner_has, 0) AS platform_owner_has,
           coalesce(a.node_owner_has, 0) AS node_owner_has, coalesce(a.node_has, 0) AS node_has
      FROM token_contracts t
      LEFT JOIN LATERAL (SELECT c.*
                           FROM fee_terms c
                          WHERE c.chain_id = t.chain_id AND c.token = t.token AND c.contract = t.contract
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) m ON true
      LEFT JOIN LATERAL (SELECT c.*
                           FROM fee_allocations c
                          WHERE c.chain_id = t.chain_id AND c.token = t.token AND c.contract = t.contract
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) a ON true
     WHERE t.kind = 'fee_vault';

-- What trades of a token have paid and nobody has been given.
CREATE VIEW fee_pot_balances AS
    SELECT k.chain_id, k.token, k.contract, k.payment_token, l.pot
      FROM (SELECT DISTINCT chain_id, token, contract, payment_token
              FROM fee_pots
             WHERE source IS NOT NULL AND pot = amount) k
     CROSS JOIN LATERAL (SELECT c.pot
                           FROM fee_pots c
                          WHERE c.chain_id = k.chain_id AND c.contract = k.contract AND c.token = k.token
                            AND c.payment_token = k.payment_token
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) l;

-- What a wallet may draw from a fee vault.
CREATE VIEW fee_credit_balances AS
    SELECT k.chain_id, k.wallet, k.contract, k.payment_token, l.credit
      FROM (SELECT DISTINCT chain_id, wallet, contract, payment_token
              FROM fee_credits
             WHERE credit = amount) k
     CROSS JOIN LATERAL (SELECT c.credit
                           FROM fee_credits c
                          WHERE c.chain_id = k.chain_id AND c.contract = k.contract
                            AND c.payment_token = k.payment_token AND c.wallet = k.wallet
                          ORDER BY c.block_number DESC, c.log_index DESC
                          LIMIT 1) l;

-- ---------------------------------------------------------------- trade

-- The terms of a token's market. Prices are base units of the payment token for one whole token.
CREATE TABLE market_terms (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    payment_token address NOT NULL,
    is_open       BOOLEAN NOT NULL,
    fee_bps       INTEGER NOT NULL, -- of the cost, hundredths of a per cent
    lot           uint256 NOT NULL, -- only whole multiples are traded
    min_price     uint256 NOT NULL,
    max_price     uint256 NOT NULL,
    reason        word    NOT NULL,
    operator      address NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX market_terms_by_token ON market_terms (chain_id, token, block_number, log_index);

-- Matched orders that were settled. The orders are known by their EIP-712 digests; what is filled of them is what
-- results.
CREATE TABLE trades (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    sell_order    word    NOT NULL,
    buy_order     word    NOT NULL,
    seller        address NOT NULL,
    buyer         address NOT NULL,
    quantity      uint256 NOT NULL,
    payment_token address NOT NULL,
    price         uint256 NOT NULL,
    cost          uint256 NOT NULL,
    fee           uint256 NOT NULL,
    buy_rests     BOOLEAN NOT NULL, -- the buy order was there first: the seller pays the fee
    sell_filled   uint256 NOT NULL,
    buy_filled    uint256 NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX trades_by_token ON trades (chain_id, token, block_number, log_index);
CREATE INDEX trades_by_seller ON trades (chain_id, seller, block_number, log_index);
CREATE INDEX trades_by_buyer ON trades (chain_id, buyer, block_number, log_index);
CREATE INDEX trades_by_sell_order ON trades (chain_id, sell_order, block_number, log_index);
CREATE INDEX trades_by_buy_order ON trades (chain_id, buy_order, block_number, log_index);

-- Whether deals in a token are settled, and for which fee.
CREATE TABLE otc_terms (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    contract     address NOT NULL,
    token        address NOT NULL,
    is_open      BOOLEAN NOT NULL,
    fee_bps      INTEGER NOT NULL, -- of the payment, hundredths of a per cent
    reason       word    NOT NULL,
    operator     address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX otc_terms_by_token ON otc_terms (chain_id, token, block_number, log_index);

-- Deals that were settled, known by their EIP-712 digests. The fee came out of the payment.
CREATE TABLE deals (
    chain_id      BIGINT  NOT NULL,
    block_number  BIGINT  NOT NULL,
    log_index     INTEGER NOT NULL,
    block_time    BIGINT  NOT NULL,
    tx_hash       word    NOT NULL,
    contract      address NOT NULL,
    token         address NOT NULL,
    deal          word    NOT NULL,
    seller        address NOT NULL,
    buyer         address NOT NULL,
    quantity      uint256 NOT NULL,
    payment_token address NOT NULL,
    payment       uint256 NOT NULL,
    fee           uint256 NOT NULL,
    command_key   word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX deals_by_token ON deals (chain_id, token, block_number, log_index);
CREATE INDEX deals_by_seller ON deals (chain_id, seller, block_number, log_index);
CREATE INDEX deals_by_buyer ON deals (chain_id, buyer, block_number, log_index);
CREATE INDEX deals_by_deal ON deals (chain_id, deal);

-- Orders and deals that a wallet has taken back.
CREATE TABLE cancellations (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    contract     address NOT NULL,
    digest       word    NOT NULL,
    wallet       address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX cancellations_by_digest ON cancellations (chain_id, digest, wallet, contract);

-- No order of a wallet counts that was valid from before `cutoff`, Unix seconds.
CREATE TABLE order_cutoffs (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    contract     address NOT NULL,
    wallet       address NOT NULL,
    cutoff       BIGINT  NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX order_cutoffs_by_wallet ON order_cutoffs (chain_id, wallet, contract, block_number, log_index);

-- ---------------------------------------------------------------- all of them

-- Salts of what wallets have signed that are used or taken back, and never count again.
CREATE TABLE intents (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    contract     address NOT NULL,
    wallet       address NOT NULL,
    salt         word    NOT NULL,
    cancelled    BOOLEAN NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX intents_by_wallet ON intents (chain_id, wallet, salt, contract);

-- Where a contract pays proceeds and what is left over.
CREATE TABLE treasuries (
    chain_id     BIGINT  NOT NULL,
    block_number BIGINT  NOT NULL,
    log_index    INTEGER NOT NULL,
    block_time   BIGINT  NOT NULL,
    tx_hash      word    NOT NULL,
    contract     address NOT NULL,
    treasury     address NOT NULL,
    operator     address NOT NULL,
    command_key  word    NULL,
    PRIMARY KEY (chain_id, block_number, log_index)
);
CREATE INDEX treasuries_by_contract ON treasuries (chain_id, contract, block_number, log_index);
