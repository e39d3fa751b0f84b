//! What nodes' contracts say of tokens of ours: sale, fee supply, funds and rent.

use alloy::primitives::Address;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use tokenx_migrations::Addr;

use super::question::{Figure, Question, View};
use crate::read::{Columns, int};

/// Asks for `tokens`, which are ours: of contracts whose past is read to the end.
pub(super) async fn questions(
    chain_id: u64,
    tokens: &[Address],
    questions: &mut Vec<Question>,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    if tokens.is_empty() {
        return Ok(());
    }
    let tokens: Vec<Addr> = tokens.iter().copied().map(Addr).collect();
    let rows = sqlx::query(
        "SELECT k.token, l.contract AS listing, format('%s %s %s', l.listed, l.purchased, l.fees) AS supply,
                l.status::text AS status, v.contract AS vault,
                format('%s %s %s', v.platform_owner_has, v.node_owner_has, v.node_has) AS allocated,
                d.address AS distributor,
                format('%s %s %s %s %s', r.bound::text, coalesce(r.period, 0), coalesce(r.minimum, 0),
                       coalesce(r.per_unit, 0), coalesce(r.carry, 0)) AS rent
           FROM unnest($2::bytea[]) AS k (token)
           LEFT JOIN (SELECT s.*
                        FROM listings s
                        JOIN watched w ON w.chain_id = s.chain_id AND w.address = s.contract AND w.filled_to IS NULL) l
                  ON l.chain_id = $1 AND l.token = k.token
           LEFT JOIN (SELECT f.*
                        FROM token_fees f
                        JOIN watched w ON w.chain_id = f.chain_id AND w.address = f.contract AND w.filled_to IS NULL) v
                  ON v.chain_id = $1 AND v.token = k.token
           LEFT JOIN token_rents r ON r.chain_id = $1 AND r.token = k.token
           LEFT JOIN watched d     ON d.chain_id = $1 AND d.address = r.distributor AND d.filled_to IS NULL
          ORDER BY k.token",
    )
    .bind(int(chain_id))
    .bind(&tokens)
    .fetch_all(&mut *tx)
    .await?;
    for row in &rows {
        of_token(row, questions)?;
    }
    let rows = sqlx::query(
        "SELECT f.token, f.contract, f.payment_token, format('%s %s', f.available, f.owed) AS fund
           FROM fund_balances f
           JOIN watched w ON w.chain_id = f.chain_id AND w.address = f.contract AND w.filled_to IS NULL
          WHERE f.chain_id = $1 AND f.token = ANY ($2::bytea[])
          ORDER BY f.token, f.contract, f.payment_token",
    )
    .bind(int(chain_id))
    .bind(&tokens)
    .fetch_all(&mut *tx)
    .await?;
    for row in &rows {
        let view = View::Fund(row.address("payment_token")?);
        let ours = vec![("fund", row.try_get("fund")?)];
        questions.push(Question {
            at: row.address("contract")?,
            token: row.address("token")?,
            wallet: None,
            view,
            ours,
        });
    }
    Ok(())
}

fn of_token(row: &PgRow, questions: &mut Vec<Question>) -> Result<(), sqlx::Error> {
    let token = row.address("token")?;
    let mut ask = |at, view, ours: Vec<Figure>| questions.push(Question { at, token, wallet: None, view, ours });
    if let Some(listing) = row.maybe_address("listing")? {
        ask(listing, View::ListedSupply, vec![("listed_supply", row.try_get("supply")?)]);
        ask(listing, View::ListingStatus, vec![("listing_status", row.try_get("status")?)]);
    }
    if let Some(vault) = row.maybe_address("vault")? {
        ask(vault, View::Allocated, vec![("fees_allocated", row.try_get("allocated")?)]);
    }
    if row.maybe_address("distributor")?.is_some() {
        ask(token, View::Rent, vec![("rent", row.try_get("rent")?)]);
    }
    Ok(())
}
