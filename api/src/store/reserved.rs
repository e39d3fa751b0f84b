//! What of a wallet's units is promised already: to open commands, to orders, and to trades and deals that are not settled. What the
//! chain itself holds back, frozen or held, is not counted here.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::PgExecutor;
use tokenx_migrations::Uint256;

/// Base units that are promised of each position, by instrument and wallet; those of which nothing is are left out.
///
/// # Errors
/// The database's.
pub async fn units(
    db: impl PgExecutor<'_>,
    positions: &[(String, Address)],
) -> Result<HashMap<(String, Address), U256>, sqlx::Error> {
    let (instruments, wallets): (Vec<&str>, Vec<&[u8]>) =
        positions.iter().map(|(instrument_id, wallet)| (instrument_id.as_str(), wallet.as_slice())).unzip();
    // As the keeper calls what a command draws on.
    let subjects: Vec<String> =
        positions.iter().map(|(instrument_id, wallet)| format!("position:{instrument_id}:{wallet:#x}")).collect();
    // Position by position: whatever the planner thinks of how much there is, each look is by key.
    let rows: Vec<(String, Uint256)> = sqlx::query_as(
        "SELECT p.subject, r.units
           FROM unnest((SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::bytea[]))
                AS p (subject, instrument_id, wallet)
          CROSS JOIN LATERAL (
                 SELECT sum(units) AS units
                   FROM (SELECT c.reserves::numeric AS units
                           FROM command_states s
                           JOIN commands c USING (seq)
                          WHERE s.subject = p.subject
                            AND s.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared')
                            AND c.reserves > 0
                          UNION ALL
                         SELECT o.amount
                           FROM units_held_back o
                          WHERE o.instrument_id = p.instrument_id AND o.wallet = p.wallet AND o.amount > 0) u) r
          WHERE r.units IS NOT NULL",
    )
    .bind(&subjects)
    .bind(&instruments)
    .bind(&wallets)
    .fetch_all(db)
    .await?;
    let by_subject: HashMap<String, U256> = rows.into_iter().map(|(subject, units)| (subject, units.0)).collect();
    let units =
        |(position, subject): (&(String, Address), &String)| Some((position.clone(), *by_subject.get(subject)?));
    Ok(positions.iter().zip(&subjects).filter_map(units).collect())
}
