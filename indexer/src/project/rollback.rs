//! Taking a fork back: rows above the common ancestor go, and what is left says what the state is.

use sqlx::PgConnection;
use tokenx_migrations::Word;

use super::effects;
use crate::read::int;
use crate::{Batch, Fork};

/// Rows that go and that no state hangs on. Each statement takes the chain and the ancestor's height.
const PLAIN: &[&str] = &[
    "DELETE FROM blocks     WHERE chain_id = $1 AND number       > $2",
    "DELETE FROM transfers  WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM mints      WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM burns      WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM recoveries WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM watched    WHERE chain_id = $1 AND found_block  > $2",
    "UPDATE watched SET filled_to = least(filled_to, $2) WHERE chain_id = $1 AND filled_to IS NOT NULL",
];

/// What contracts of nodes did, and tokens with them: rows of which views are made. They take what [`PLAIN`] takes.
const NODE: &[&str] = &[
    "DELETE FROM listing_terms       WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM listing_statuses    WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM fee_reservations    WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM purchases           WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM fee_terms           WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM fee_allocations     WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM fee_pots            WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM fee_credits         WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM market_terms        WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM trades              WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM otc_terms           WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM deals               WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM cancellations       WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM order_cutoffs       WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM intents             WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM treasuries          WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM fund_changes        WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM redemption_terms    WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM redemption_requests WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM redemption_ends     WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM redemption_credits  WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM rent_terms          WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM rent_distributors   WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM rent_minimums       WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM rent_periods        WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM rent_payments       WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM rent_moves          WHERE chain_id = $1 AND block_number > $2",
    "DELETE FROM retirements         WHERE chain_id = $1 AND block_number > $2",
];

/// Rows that go and take state back with them. A statement's parts see the tables as they were before it, hence the
/// repeated bound on the height.
const STATE: &[&str] = &[
    // Accounts of which nothing is left.
    "DELETE FROM holdings h
      USING (SELECT token, wallet FROM holding_changes WHERE chain_id = $1 AND block_number > $2
              UNION
             SELECT token, wallet FROM freezes         WHERE chain_id = $1 AND block_number > $2) t
      WHERE h.chain_id = $1 AND h.token = t.token AND h.wallet = t.wallet
        AND NOT EXISTS (SELECT FROM holding_changes c
                         WHERE c.account_key = account_key(t.token, t.wallet)
                           AND c.chain_id = $1 AND c.token = t.token AND c.wallet = t.wallet AND c.block_number <= $2)
        AND NOT EXISTS (SELECT FROM freezes f
                         WHERE f.chain_id = $1 AND f.token = t.token AND f.wallet = t.wallet AND f.block_number <= $2)",
    // Balances.
    "WITH gone AS (
         DELETE FROM holding_changes WHERE chain_id = $1 AND block_number > $2 RETURNING token, wallet
     )
     UPDATE holdings h
        SET balance = coalesce((SELECT c.balance_after
                                  FROM holding_changes c
                                 WHERE c.account_key = account_key(t.token, t.wallet)
                                   AND c.chain_id = $1 AND c.token = t.token AND c.wallet = t.wallet
                                   AND c.block_number <= $2
                                 ORDER BY c.block_number DESC, c.log_index DESC
                                 LIMIT 1), 0)
       FROM (SELECT DISTINCT token, wallet FROM gone) t
      WHERE h.chain_id = $1 AND h.token = t.token AND h.wallet = t.wallet",
    // Freezes.
    "WITH gone AS (
         DELETE FROM freezes WHERE chain_id = $1 AND block_number > $2 RETURNING token, wallet
     ),
     touched AS (
         SELECT DISTINCT token, wallet FROM gone
     ),
     latest AS (
         SELECT t.token, t.wallet, f.frozen, f.address_frozen
           FROM touched t
           LEFT JOIN LATERAL (SELECT z.frozen, z.address_frozen
                                FROM freezes z
                               WHERE z.chain_id = $1 AND z.token = t.token AND z.wallet = t.wallet
                                 AND z.block_number <= $2
                               ORDER BY z.block_number DESC, z.log_index DESC
                               LIMIT 1) f ON true
     )
     UPDATE holdings h
        SET frozen = coalesce(l.frozen, 0), address_frozen = coalesce(l.address_frozen, false)
       FROM latest l
      WHERE h.chain_id = $1 AND h.token = l.token AND h.wallet = l.wallet",
    // Holds: those that came above go, those that changed above are again what they were.
    "DELETE FROM holds h
      USING (SELECT DISTINCT token, wallet, hold_id FROM hold_changes WHERE chain_id = $1 AND block_number > $2) t
      WHERE h.chain_id = $1 AND h.token = t.token AND h.wallet = t.wallet AND h.hold_id = t.hold_id",
    "WITH gone AS (
         DELETE FROM hold_changes WHERE chain_id = $1 AND block_number > $2 RETURNING token, wallet, hold_id
     )
     INSERT INTO holds (chain_id, token, wallet, hold_id, kind, amount, until, agent)
     SELECT $1, t.token, t.wallet, t.hold_id, l.kind, l.amount, l.until, l.agent
       FROM (SELECT DISTINCT token, wallet, hold_id FROM gone) t
       JOIN LATERAL (SELECT c.kind, c.amount, c.until, c.agent
                       FROM hold_changes c
                      WHERE c.chain_id = $1 AND c.token = t.token AND c.wallet = t.wallet AND c.hold_id = t.hold_id
                        AND c.block_number <= $2
                      ORDER BY c.block_number DESC, c.log_index DESC
                      LIMIT 1) l ON l.amount > 0",
    // Documents, in the same way.
    "DELETE FROM documents d
      USING (SELECT DISTINCT token, name FROM document_changes WHERE chain_id = $1 AND block_number > $2) t
      WHERE d.chain_id = $1 AND d.token = t.token AND d.name = t.name",
    "WITH gone AS (
         DELETE FROM document_changes WHERE chain_id = $1 AND block_number > $2 RETURNING token, name
     )
     INSERT INTO documents (chain_id, token, name, uri, hash, changed_block, changed_time, changed_tx)
     SELECT $1, t.token, t.name, l.uri, l.hash, l.block_number, l.block_time, l.tx_hash
       FROM (SELECT DISTINCT token, name FROM gone) t
       JOIN LATERAL (SELECT c.*
                       FROM document_changes c
                      WHERE c.chain_id = $1 AND c.token = t.token AND c.name = t.name AND c.block_number <= $2
                      ORDER BY c.block_number DESC, c.log_index DESC
                      LIMIT 1) l ON NOT l.removed",
    // Supply.
    "WITH gone AS (
         DELETE FROM supply_changes WHERE chain_id = $1 AND block_number > $2 RETURNING token
     )
     UPDATE instruments i
        SET total_supply = coalesce((SELECT c.supply_after
                                       FROM supply_changes c
                                      WHERE c.chain_id = $1 AND c.token = t.token AND c.block_number <= $2
                                      ORDER BY c.block_number DESC, c.log_index DESC
                                      LIMIT 1), 0)
       FROM (SELECT DISTINCT token FROM gone) t
      WHERE i.chain_id = $1 AND i.token = t.token",
    // Settings. A token without a row left is itself gone below.
    "WITH gone AS (
         DELETE FROM token_changes WHERE chain_id = $1 AND block_number > $2 RETURNING token
     )
     UPDATE instruments i
        SET transfers_paused = l.transfers_paused,
            supply_paused    = l.supply_paused,
            registry         = l.registry,
            max_holders      = l.max_holders,
            max_balance      = l.max_balance,
            country_mode     = l.country_mode,
            countries        = l.countries
       FROM (SELECT DISTINCT token FROM gone) t
       JOIN LATERAL (SELECT c.*
                       FROM token_changes c
                      WHERE c.chain_id = $1 AND c.token = t.token AND c.block_number <= $2
                      ORDER BY c.block_number DESC, c.log_index DESC
                      LIMIT 1) l ON true
      WHERE i.chain_id = $1 AND i.token = t.token",
    // Registry records.
    "WITH gone AS (
         DELETE FROM investor_changes WHERE chain_id = $1 AND block_number > $2 RETURNING wallet
     )
     UPDATE investor_wallets w
        SET registry       = l.registry,
            investor_id    = l.investor_id,
            country        = l.country,
            investor_class = l.investor_class,
            kyc_expires_at = l.kyc_expires_at,
            flags          = l.flags,
            changed_block  = l.block_number
       FROM (SELECT DISTINCT wallet FROM gone) t
       JOIN LATERAL (SELECT c.*
                       FROM investor_changes c
                      WHERE c.chain_id = $1 AND c.wallet = t.wallet AND c.block_number <= $2
                      ORDER BY c.block_number DESC, c.log_index DESC
                      LIMIT 1) l ON true
      WHERE w.chain_id = $1 AND w.wallet = t.wallet",
    "DELETE FROM investor_wallets WHERE chain_id = $1 AND since_block > $2",
    // Tokens that were never deployed, and marks on those whose logs add up again.
    "DELETE FROM holdings h
      USING instruments i
      WHERE h.chain_id = $1 AND i.chain_id = $1 AND i.token = h.token
        AND i.created_block > $2 AND i.executor IS NOT NULL",
    "DELETE FROM instruments WHERE chain_id = $1 AND created_block > $2 AND executor IS NOT NULL",
    "UPDATE instruments SET inexact_block = NULL, inexact_reason = NULL WHERE chain_id = $1 AND inexact_block > $2",
];

/// Takes everything above `fork.to` out of the chain's own tables, queues corrections for what had been told, and
/// records the reorg. `next` is the batch that replaces it in the same transaction.
pub(crate) async fn rollback(fork: &Fork, next: &Batch, tx: &mut PgConnection) -> Result<usize, sqlx::Error> {
    let (chain, height) = (int(fork.chain_id), int(fork.to.number));
    let told = effects::take_back(fork, tx).await?;
    for statement in PLAIN.iter().chain(NODE).chain(STATE) {
        sqlx::query(*statement).bind(chain).bind(height).execute(&mut *tx).await?;
    }
    let removed = sqlx::query("DELETE FROM logs WHERE chain_id = $1 AND block_number > $2")
        .bind(chain)
        .bind(height)
        .execute(&mut *tx)
        .await?
        .rows_affected();
    sqlx::query(
        "INSERT INTO reorgs (chain_id, ancestor_number, ancestor_hash, old_number, old_hash, new_number, new_hash, depth,
                             removed_logs)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(chain)
    .bind(height)
    .bind(Word(fork.to.hash))
    .bind(int(fork.from.number))
    .bind(Word(fork.from.hash))
    .bind(int(next.to.number))
    .bind(Word(next.to.hash))
    .bind(int(fork.depth()))
    .bind(int(removed))
    .execute(&mut *tx)
    .await?;
    Ok(told)
}
