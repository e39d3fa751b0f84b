//! Executors and whom they succeed.

use alloy::primitives::Address;
use sqlx::PgPool;
use tokenx_migrations::Addr;

/// Whom an Executor succeeds, zero if nobody; `None` if it is not written down.
pub(crate) async fn previous(pool: &PgPool, chain_id: i64, executor: Address) -> Result<Option<Address>, sqlx::Error> {
    let known: Option<Option<Addr>> =
        sqlx::query_scalar("SELECT previous FROM executors WHERE chain_id = $1 AND executor = $2")
            .bind(chain_id)
            .bind(Addr(executor))
            .fetch_optional(pool)
            .await?;
    Ok(known.map(|previous| previous.map_or(Address::ZERO, Address::from)))
}

/// Writes down whom an Executor succeeds.
pub(crate) async fn insert(
    pool: &PgPool,
    chain_id: i64,
    executor: Address,
    previous: Address,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO executors (chain_id, executor, previous) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(chain_id)
        .bind(Addr(executor))
        .bind((!previous.is_zero()).then_some(Addr(previous)))
        .execute(pool)
        .await?;
    Ok(())
}

/// The first of these whose past is still being read: what it ran then is not known yet.
pub(crate) async fn filling(
    pool: &PgPool,
    chain_id: i64,
    executors: &[Address],
) -> Result<Option<Address>, sqlx::Error> {
    let filling: Option<Addr> = sqlx::query_scalar(
        "SELECT address
           FROM watched
          WHERE chain_id = $1 AND address = ANY ($2::bytea[]) AND filled_to IS NOT NULL
          LIMIT 1",
    )
    .bind(chain_id)
    .bind(executors.iter().copied().map(Addr).collect::<Vec<_>>())
    .fetch_optional(pool)
    .await?;
    Ok(filling.map(Address::from))
}
