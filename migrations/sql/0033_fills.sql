-- What is held back for trades, read without looking each of their commands up by its name. Writer: the api room.

-- The command that settles a trade, by its place among commands; NULL before it was asked for.
ALTER TABLE fills ADD COLUMN command_seq bigint;
UPDATE fills f
   SET command_seq = c.seq
  FROM commands c
 WHERE c.scope = 'system' AND c.command_id = f.command_id;
CREATE INDEX fills_unasked ON fills (trade_id) WHERE command_seq IS NULL AND NOT over;

-- Trades that hold something back: those whose units and money are where they were still, one that has failed until that is
-- confirmed; and those that the chain has `moved`, with the `block`, for a balance that was read before does not say so yet.
-- LIMIT: one look by key for each of them, whatever the planner thinks of how many there are.
CREATE VIEW fills_held_back AS
    SELECT f.*, coalesce(s.moved, false) AS moved, s.block
      FROM fills f
      LEFT JOIN LATERAL (SELECT k.state, k.verdict, k.verdict = 'done' OR k.state IN ('confirmed', 'final') AS moved,
                                k.block_number AS block
                           FROM command_states k
                          WHERE k.seq = f.command_seq
                          LIMIT 1) s ON true
     WHERE NOT f.over
       AND (s.state IS NULL OR s.moved OR s.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared', 'mined'));

CREATE OR REPLACE VIEW ats_units_reserved AS
    SELECT instrument_id, token, wallet, reserved::numeric AS amount
      FROM orders
     WHERE side = 'sell' AND state IN ('pending', 'waiting', 'open')
     UNION ALL
    SELECT instrument_id, token, seller, quantity::numeric
      FROM fills_held_back
     WHERE NOT moved;

CREATE OR REPLACE VIEW ats_money_reserved AS
    SELECT payment_token, wallet, reserved::numeric AS amount, NULL::bigint AS block
      FROM orders
     WHERE side = 'buy' AND state IN ('pending', 'waiting', 'open')
     UNION ALL
    SELECT payment_token, buyer, payment::numeric, CASE WHEN moved THEN block END
      FROM fills_held_back;

DROP VIEW fills_unsettled;
