-- A wallet's past is found by one number instead of two addresses: such an index is written in half the time, and is half
-- as large.

-- An account, which is a wallet in a token, as a number: their last eight bytes, XORed. Whoever looks by it names both as
-- well: two accounts may share a number.
CREATE FUNCTION account_key(token BYTEA, wallet BYTEA) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT ('x' || encode(substr(token, 13), 'hex'))::bit(64)::bigint # ('x' || encode(substr(wallet, 13), 'hex'))::bit(64)::bigint
$$;

-- Computed for the rows that are there; later ones bring theirs. That no row comes twice is seen to by the cursor, and by
-- the key of the logs.
ALTER TABLE holding_changes
    DROP CONSTRAINT holding_changes_pkey,
    ADD COLUMN account_key BIGINT NOT NULL GENERATED ALWAYS AS (account_key(token, wallet)) STORED;
ALTER TABLE holding_changes ALTER COLUMN account_key DROP EXPRESSION;
CREATE INDEX holding_changes_by_account ON holding_changes (account_key, block_number, log_index);

-- Who has a past: every account's first change is one from nothing.
CREATE INDEX holding_changes_from_nothing ON holding_changes (chain_id, token, wallet) WHERE delta = balance_after;

-- A batch writes most rows of it anew: room for them beside the old ones, so that no index has to know.
ALTER TABLE holdings SET (fillfactor = 50);

-- As in 0005, by the account's number.
CREATE OR REPLACE FUNCTION holdings_at(at_chain BIGINT, at_block BIGINT)
RETURNS TABLE (token BYTEA, wallet BYTEA, balance NUMERIC, locked NUMERIC, investor_id BIGINT)
LANGUAGE sql STABLE
AS $$
    WITH moved AS (
        SELECT DISTINCT c.token, c.wallet
        FROM holding_changes c
        WHERE c.chain_id = at_chain AND c.block_number > at_block
    ),
    refrozen AS (
        SELECT DISTINCT f.token, f.wallet
        FROM freezes f
        WHERE f.chain_id = at_chain AND f.block_number > at_block
    ),
    held AS (
        SELECT k.token, k.wallet, sum(k.amount) AS amount
        FROM holds_at(at_chain, at_block) k
        GROUP BY k.token, k.wallet
    ),
    then_had AS (
        SELECT h.token,
               h.wallet,
               CASE WHEN moved.wallet IS NULL
                    THEN h.balance::numeric
                    ELSE coalesce((SELECT c.balance_after::numeric
                                   FROM holding_changes c
                                   WHERE c.account_key = account_key(h.token, h.wallet)
                                     AND c.chain_id = at_chain AND c.token = h.token AND c.wallet = h.wallet
                                     AND c.block_number <= at_block
                                   ORDER BY c.block_number DESC, c.log_index DESC
                                   LIMIT 1), 0)
               END AS balance,
               CASE WHEN refrozen.wallet IS NULL THEN h.frozen::numeric ELSE coalesce(f.frozen::numeric, 0)        END AS frozen,
               CASE WHEN refrozen.wallet IS NULL THEN h.address_frozen  ELSE coalesce(f.address_frozen, false) END AS address_frozen,
               coalesce(held.amount, 0) AS held
        FROM holdings h
        JOIN instruments i     ON i.chain_id = h.chain_id AND i.token = h.token AND i.inexact_block IS NULL
        LEFT JOIN moved        ON moved.token = h.token AND moved.wallet = h.wallet
        LEFT JOIN refrozen     ON refrozen.token = h.token AND refrozen.wallet = h.wallet
        LEFT JOIN held         ON held.token = h.token AND held.wallet = h.wallet
        LEFT JOIN LATERAL (
            SELECT z.frozen, z.address_frozen
            FROM freezes z
            WHERE refrozen.wallet IS NOT NULL
              AND z.chain_id = at_chain AND z.token = h.token AND z.wallet = h.wallet
              AND z.block_number <= at_block
            ORDER BY z.block_number DESC, z.log_index DESC
            LIMIT 1
        ) f ON true
        WHERE h.chain_id = at_chain
    )
    SELECT t.token::bytea,
           t.wallet::bytea,
           t.balance,
           CASE WHEN t.address_frozen THEN t.balance ELSE least(t.balance, t.frozen + t.held) END,
           w.investor_id
    FROM then_had t
    LEFT JOIN investor_wallets w
           ON w.chain_id = at_chain AND w.wallet = t.wallet AND w.since_block <= at_block
    WHERE t.balance > 0
$$;
