//! What the contracts of nodes say.

use alloy::primitives::Address;
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::{Columns, int};
use crate::Kind;

/// The contracts of a node; `None` where it has none of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeContracts {
    /// Primary sale.
    pub listing: Option<Address>,
    /// Settles matched orders.
    pub secondary_market: Option<Address>,
    /// Settles deals.
    pub otc_desk: Option<Address>,
    /// Pays rental income.
    pub rent_distributor: Option<Address>,
    /// Fee supply and trade fees.
    pub fee_vault: Option<Address>,
    /// Takes units back for money.
    pub redemption_desk: Option<Address>,
}

impl NodeContracts {
    fn from_rows(rows: &[PgRow]) -> Result<Self, sqlx::Error> {
        let mut all = Self::default();
        for row in rows {
            let place = match Kind::parse(row.try_get("kind")?) {
                Some(Kind::Listing) => &mut all.listing,
                Some(Kind::SecondaryMarket) => &mut all.secondary_market,
                Some(Kind::OtcDesk) => &mut all.otc_desk,
                Some(Kind::RentDistributor) => &mut all.rent_distributor,
                Some(Kind::FeeVault) => &mut all.fee_vault,
                Some(Kind::RedemptionDesk) => &mut all.redemption_desk,
                _ => continue,
            };
            *place = Some(row.address("contract")?);
        }
        Ok(all)
    }
}

/// The contracts of the node that an Executor drives; all `None` for one that no node has, or of a node without any.
///
/// # Errors
/// The database's.
pub async fn contracts_of_executor(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    executor: Address,
) -> Result<NodeContracts, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT n.kind, n.address AS contract
           FROM watched e
           JOIN watched n ON n.chain_id = e.chain_id AND n.node_key = e.node_key
          WHERE e.chain_id = $1 AND e.address = $2",
    )
    .bind(int(chain_id))
    .bind(Addr(executor))
    .fetch_all(db)
    .await?;
    NodeContracts::from_rows(&rows)
}

/// The contracts of a token's own node; all `None` for a token of somebody else's.
///
/// # Errors
/// The database's.
pub async fn contracts_of_token(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
) -> Result<NodeContracts, sqlx::Error> {
    let rows = sqlx::query("SELECT kind, contract FROM token_contracts WHERE chain_id = $1 AND token = $2")
        .bind(int(chain_id))
        .bind(Addr(token))
        .fetch_all(db)
        .await?;
    NodeContracts::from_rows(&rows)
}
