-- An event is given out as it came, and looked into by those who get it alone: it is kept as it was written.
ALTER TABLE outbox ALTER COLUMN payload TYPE json;
