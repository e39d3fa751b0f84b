-- History rows come in the order of blocks, so that a range of pages knows its blocks: an index entry for each row
-- cost a third of writing it.
DROP INDEX holding_changes_by_block;
CREATE INDEX holding_changes_by_block ON holding_changes USING brin (block_number) WITH (pages_per_range = 32, autosummarize = on);
