-- Looked up by the indexer as it goes.

-- The holds that run out within a range of blocks, of which one more header each is kept.
CREATE INDEX holds_by_until ON holds (chain_id, until);

-- The wallets that only a lost branch had registered.
CREATE INDEX investor_wallets_by_since ON investor_wallets (chain_id, since_block);
