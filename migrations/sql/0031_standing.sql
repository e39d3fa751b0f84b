-- What a token's node has for the token and says of it. Writer: the api room.

-- The money of one currency that a contract of the node pays a token's holders out of, and the treasury that pays it in.
-- `kind` names the terms that it is paid on.
CREATE VIEW token_funds AS
    SELECT w.chain_id, w.token_id, w.kind, k.contract, w.payment_token, c.currency_id, c.symbol, c.decimals,
           coalesce(f.available::numeric, 0) AS available, y.treasury
      FROM token_terms_wanted w
      JOIN token_deployments d ON d.token_id = w.token_id
      JOIN token_contracts k   ON k.chain_id = w.chain_id AND k.token = d.token
                              AND k.kind = CASE w.kind WHEN 'redemption_terms' THEN 'redemption_desk'
                                                       ELSE 'rent_distributor' END
      JOIN currencies c        ON c.chain_id = w.chain_id AND c.address = w.payment_token
      LEFT JOIN fund_balances f ON f.chain_id = w.chain_id AND f.contract = k.contract AND f.token = d.token
                               AND f.payment_token = w.payment_token
      LEFT JOIN LATERAL (SELECT s.treasury
                           FROM treasuries s
                          WHERE s.chain_id = w.chain_id AND s.contract = k.contract
                          ORDER BY s.block_number DESC, s.log_index DESC
                          LIMIT 1) y ON true
     WHERE w.kind IN ('redemption_terms', 'rent_terms');

-- Where each of a token's terms stands: whether the chain says what is wanted, and the last command that was asked to say it.
CREATE VIEW token_terms_standing AS
    SELECT w.*, w.wanted IS NOT DISTINCT FROM w.said AS holds, coalesce(a.attempt, 0) AS attempts,
           CASE WHEN a.wanted = w.wanted THEN a.command_id END AS command_id, a.created_at AS asked_at
      FROM token_terms_wanted w
      LEFT JOIN LATERAL (SELECT k.attempt, k.wanted, k.command_id, k.created_at
                           FROM token_terms k
                          WHERE k.token_id = w.token_id AND k.kind = w.kind
                          ORDER BY k.attempt DESC
                          LIMIT 1) a ON true;

-- Those to be asked for: what was asked for last is not asked for again, unless it came to nothing an hour ago; a day ago,
-- where the Executor may not do it, for then it is the admin's turn.
CREATE OR REPLACE VIEW token_terms_due AS
    SELECT s.chain_id, s.token_id, s.instrument_id, s.kind, s.payment_token, s.amount, s.start_at, s.length, s.is_open, s.low,
           s.high, s.wanted, s.said, s.attempts + 1 AS attempt
      FROM token_terms_standing s
     WHERE NOT s.holds
       AND (s.command_id IS NULL
            OR EXISTS (SELECT FROM command_views c
                        WHERE c.scope = 'system' AND c.command_id = s.command_id
                          AND c.state IN ('failed', 'expired', 'cancelled')
                          AND s.asked_at < now() - CASE c.reason_code WHEN 'ACTION_NOT_ALLOWED' THEN interval '1 day'
                                                                      ELSE interval '1 hour' END));
