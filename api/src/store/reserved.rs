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
    let rows: Vec<(String, Uint256)> = sqlx::query_as(
        "SELECT subject, sum(units)
           FROM (SELECT s.subject, c.reserves::numeric AS units
                   FROM command_states s
                   JOIN commands c USING (seq)
                  WHERE s.subject = ANY ($1)
                    AND s.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared')
                    AND c.reserves > 0
                  UNION ALL
                 SELECT p.subject, o.amount
                   FROM unnest($1::text[], $2::text[], $3::bytea[]) AS p (subject, instrument_id, wallet)
                   JOIN units_held_back o ON o.instrument_id = p.instrument_id AND o.wallet = p.wallet
                  WHERE o.amount > 0) r
          GROUP BY subject",
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
