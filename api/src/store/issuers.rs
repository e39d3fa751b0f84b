//! Whose an instrument is.

use std::collections::HashMap;

use sqlx::PgConnection;
use tokenx_indexer::read;
use tokenx_migrations::Addr;
use uuid::Uuid;

/// The issuers of these instruments: by the node that drives it where the chain has it, else by the record that reserves
/// its id. Those of nobody are left out.
///
/// # Errors
/// The database's.
pub async fn of_instruments(
    conn: &mut PgConnection,
    chain_id: u64,
    instrument_ids: &[String],
) -> Result<HashMap<String, Uuid>, sqlx::Error> {
    if instrument_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let deployed = read::executors_of_instruments(&mut *conn, chain_id, instrument_ids).await?;
    let executors: Vec<Addr> = deployed.values().flatten().copied().map(Addr).collect();
    let nodes: Vec<(Addr, Uuid)> =
        sqlx::query_as("SELECT executor, issuer_id FROM nodes WHERE chain_id = $1 AND executor = ANY ($2::bytea[])")
            .bind(chain_id.cast_signed())
            .bind(executors)
            .fetch_all(&mut *conn)
            .await?;
    let reserved: Vec<(String, Uuid)> =
        sqlx::query_as("SELECT instrument_id, issuer_id FROM token_records WHERE instrument_id = ANY ($1)")
            .bind(instrument_ids)
            .fetch_all(conn)
            .await?;
    let mut issuers: HashMap<String, Uuid> =
        reserved.into_iter().filter(|(id, _)| !deployed.contains_key(id)).collect();
    for (id, executor) in deployed {
        let node = nodes.iter().find(|(of, _)| Some(of.0) == executor);
        issuers.extend(node.map(|(_, issuer)| (id, *issuer)));
    }
    Ok(issuers)
}
