//! Permits of hosted wallets on their way: each is signed for the nonce after the last, so they go one after another.

use std::collections::HashSet;

use alloy::primitives::Address;
use sqlx::PgConnection;

/// Of these wallets, those of which a permit is in a slot, or in a block after `head`: what the chain says at `head` of
/// the next one's nonce is not the last word.
pub(crate) async fn under_way(
    conn: &mut PgConnection,
    chain_id: i64,
    owners: &[Address],
    head: i64,
) -> Result<HashSet<Address>, sqlx::Error> {
    if owners.is_empty() {
        return Ok(HashSet::new());
    }
    let names = names(owners);
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT c.operation -> 'permit' ->> 'owner'
           FROM commands c
           JOIN command_states s USING (seq)
          WHERE c.kind IN ('use_permit', 'permit') AND c.operation -> 'permit' ->> 'owner' = ANY ($1)
            AND s.chain_id = $2 AND (s.state = 'prepared' OR s.block_number > $3)",
    )
    .bind(&names)
    .bind(chain_id)
    .bind(head)
    .fetch_all(conn)
    .await?;
    Ok(owners.iter().zip(names).filter(|(_, name)| found.contains(name)).map(|(owner, _)| *owner).collect())
}

/// Waits until no other lane writes permits of these wallets; in one order everywhere, so that none waits in a circle.
pub(crate) async fn hold(conn: &mut PgConnection, chain_id: i64, owners: &[Address]) -> Result<(), sqlx::Error> {
    if owners.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "SELECT pg_advisory_xact_lock(key)
           FROM (SELECT DISTINCT hashtextextended('keeper:permit:' || owner, $2) AS key
                   FROM unnest($1::text[]) AS owner
                  ORDER BY key) keys",
    )
    .bind(names(owners))
    .bind(chain_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// As operations are stored.
fn names(owners: &[Address]) -> Vec<String> {
    owners.iter().map(|owner| format!("{owner:#x}")).collect()
}
