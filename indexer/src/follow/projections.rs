//! With which projections a chain's tables were made.

use sqlx::PgConnection;

use crate::IndexerError;
use crate::read::int;

/// Name and version of the chain's own tables among the projections.
pub(crate) const OWN: (&str, i32) = ("chain", 3);

type Set<'a> = &'a [(&'static str, i32)];

async fn stored(tx: &mut PgConnection, chain_id: u64) -> Result<Vec<(String, i32)>, sqlx::Error> {
    sqlx::query_as("SELECT name, version FROM projections WHERE chain_id = $1 ORDER BY name")
        .bind(int(chain_id))
        .fetch_all(tx)
        .await
}

/// Refuses tables that another set of projections made.
pub(crate) async fn check(tx: &mut PgConnection, chain_id: u64, ours: Set<'_>) -> Result<(), IndexerError> {
    let stored = stored(tx, chain_id).await?;
    let mut ours: Vec<(String, i32)> = ours.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect();
    ours.sort();
    if stored == ours {
        return Ok(());
    }
    let list = |set: &[(String, i32)]| {
        set.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
    };
    Err(IndexerError::OtherProjections { stored: list(&stored), ours: list(&ours) })
}

/// Records the set that the tables are made with from now on.
pub(crate) async fn record(tx: &mut PgConnection, chain_id: u64, ours: Set<'_>) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM projections WHERE chain_id = $1").bind(int(chain_id)).execute(&mut *tx).await?;
    for (name, version) in ours {
        sqlx::query("INSERT INTO projections (chain_id, name, version) VALUES ($1, $2, $3)")
            .bind(int(chain_id))
            .bind(name)
            .bind(version)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// [`check`], or for a chain that was never followed [`record`].
pub(super) async fn agree(tx: &mut PgConnection, chain_id: u64, ours: Set<'_>) -> Result<(), IndexerError> {
    if stored(tx, chain_id).await?.is_empty() {
        return Ok(record(tx, chain_id, ours).await?);
    }
    check(tx, chain_id, ours).await
}
