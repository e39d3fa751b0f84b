-- How often rows of blocks at or below the cursor were changed: by a reorg, by the past of a contract that settings named
-- late, by a rebuild. Who keeps what the tables said of a block reads on from there while this stands still.
ALTER TABLE chain_cursors ADD COLUMN rewrites BIGINT NOT NULL DEFAULT 0;
