-- Whether a token's country rule stands against a recipient's country. `mode`: 0 no rule, 1 refuse those listed, 2 admit
-- only those listed. The registry keeps 16 bits of a country; a list has none above 1023.
CREATE FUNCTION country_refused(mode SMALLINT, listed BYTEA, country INTEGER)
RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE
AS $$
    SELECT mode <> 0 AND CASE WHEN country < 1024 THEN get_bit(listed, country) = 1 ELSE false END <> (mode = 2)
$$;

-- The last block of a chain at or before a second, as far as it is indexed; NULL where there is none. Times never fall
-- with height, so it is found by halves. Of two blocks between which nothing was logged either may be meant.
CREATE FUNCTION block_at(at_chain BIGINT, at_time BIGINT)
RETURNS BIGINT
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    low    BIGINT;
    high   BIGINT;
    middle BIGINT;
BEGIN
    SELECT start_block, number INTO low, high FROM chain_cursors WHERE chain_id = at_chain;
    IF low IS NULL OR block_time_at(at_chain, low) > at_time THEN
        RETURN NULL;
    END IF;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF block_time_at(at_chain, middle) <= at_time THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END
$$;
