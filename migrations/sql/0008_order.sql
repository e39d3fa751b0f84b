-- What a reorg takes out of the chain comes back in the order in which it first came, across lanes.

-- When a block that is indexed first held the slot's commands; a reorg does not take it back. Whatever was prepared
-- since may build upon them.
ALTER TABLE slots ADD COLUMN first_included_at timestamptz;

-- Transactions that a reorg took out and that are not back: none, nearly always.
CREATE INDEX slots_taken_out ON slots (first_included_at) WHERE state = 'open' AND first_included_at IS NOT NULL;
