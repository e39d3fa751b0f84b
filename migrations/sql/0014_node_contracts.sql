-- The contracts of nodes: listing, secondary market, OTC desk, rent distributor, fee vault, redemption desk. Written by the
-- indexer alone.

ALTER TABLE watched
    DROP CONSTRAINT watched_kind_check,
    ADD  CONSTRAINT watched_kind_check CHECK (kind IN ('factory', 'registry', 'executor', 'token', 'followed', 'listing',
                                                       'secondary_market', 'otc_desk', 'rent_distributor', 'fee_vault',
                                                       'redemption_desk'));

CREATE INDEX watched_by_node ON watched (chain_id, node_key) WHERE node_key IS NOT NULL;

-- Nodes that are known already: their contracts are watched from now on, and their past is read late. What a factory says
-- of a new node: treasury, admin, and then the six contracts, zero where it has none.
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
