//! Commands that rows turn out to come from when an Executor's past is read after them.

use alloy::primitives::B256;
use sqlx::PgConnection;
use tokenx_migrations::Word;

use crate::read::int;

/// The command behind the log at this place, now that it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) block: u64,
    pub(crate) log_index: u64,
    pub(crate) command: Option<B256>,
}

macro_rules! labelled {
    ($($table:literal),* $(,)?) => {
        &[$(concat!(
            "UPDATE ", $table, " AS t
                SET command_key = l.command_key
               FROM unnest($2::bigint[], $3::int[], $4::bytea[]) AS l (block_number, log_index, command_key)
              WHERE t.chain_id = $1 AND t.block_number = l.block_number AND t.log_index = l.log_index"
        )),*]
    };
}

/// Every table that keeps the command of a log.
const LABELLED: &[&str] = labelled!(
    "logs",
    "transfers",
    "mints",
    "burns",
    "freezes",
    "token_changes",
    "investor_changes",
    "hold_changes",
    "recoveries",
    "document_changes",
    "listing_terms",
    "listing_statuses",
    "fee_reservations",
    "purchases",
    "fee_terms",
    "fee_allocations",
    "fee_pots",
    "fee_credits",
    "market_terms",
    "trades",
    "otc_terms",
    "deals",
    "cancellations",
    "order_cutoffs",
    "intents",
    "treasuries",
    "fund_changes",
    "redemption_terms",
    "redemption_requests",
    "redemption_ends",
    "redemption_credits",
    "rent_terms",
    "rent_distributors",
    "rent_minimums",
    "rent_periods",
    "rent_payments",
    "rent_moves",
    "retirements"
);

/// Gives the rows of these logs their commands.
pub(crate) async fn relabel(chain_id: u64, labels: &[Label], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    if labels.is_empty() {
        return Ok(());
    }
    let blocks: Vec<i64> = labels.iter().map(|label| int(label.block)).collect();
    let places: Vec<i32> = labels.iter().map(|label| super::rows::index(label.log_index)).collect();
    let commands: Vec<Option<Word>> = labels.iter().map(|label| label.command.map(Word)).collect();
    for statement in LABELLED {
        sqlx::query(*statement)
            .bind(int(chain_id))
            .bind(&blocks)
            .bind(&places)
            .bind(&commands)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
