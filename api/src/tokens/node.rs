//! `GET /v2/admin/token/{token_id}/node`: what a token's node has for it and says of it.

use alloy::primitives::{Address, U256};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use tokenx_contracts::codes::ReasonCode;
use tokenx_indexer::read;
use tokenx_migrations::{Addr, Uint256};
use utoipa::ToSchema;

use super::details::PriceView;
use super::money::{Currency, Price};
use super::nav;
use super::record::{self, Record};
use super::routes::{tenant, token_id, unknown};
use super::terms::{self, TermsView};
use crate::app::App;
use crate::auth::Viewer;
use crate::compliance::Block;
use crate::error::ApiError;
use crate::redemptions::record as redemptions;
use crate::redemptions::request::worth;

/// What a token's node has for it and says of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenNode {
    token_id: String,
    instrument_id: String,
    /// The indexed head, which funds and terms are as of.
    as_of: Block,
    /// What redemptions are paid out of; null where the node does not pay any of this token.
    #[schema(required)]
    redemptions: Option<RedemptionFund>,
    /// What rent is paid out of; null where the token's record speaks of none.
    #[schema(required)]
    rent: Option<NodeFund>,
    /// What the node's contracts are to say of the token, by kind.
    terms: Vec<TermsView>,
}

/// Money that a contract of the node has for a token.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeFund {
    contract: String,
    /// Paid in, and not spoken for on chain.
    available: PriceView,
    /// Who pays in; null where the contract names nobody.
    #[schema(required)]
    treasury: Option<TreasuryView>,
}

/// What a treasury has, and what it lets a fund take.
#[derive(Debug, Serialize, ToSchema)]
pub struct TreasuryView {
    wallet: String,
    /// Null before it is read; so are the others.
    #[schema(required)]
    balance: Option<PriceView>,
    #[schema(required)]
    allowance: Option<PriceView>,
    /// The block that they are as of.
    #[schema(required)]
    block_number: Option<u64>,
}

/// What redemptions of a token are paid out of, and what asks for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RedemptionFund {
    #[serde(flatten)]
    fund: NodeFund,
    /// What approvals on their way will pay.
    promised: PriceView,
    /// What further approvals can pay.
    payable: PriceView,
    /// What everything that waits for a decision would be paid, at what the token is worth now.
    waiting: PriceView,
    /// REDEMPTION_UNFUNDED where that is more than can be paid: the last approvals would be refused.
    #[schema(required)]
    reason_code: Option<&'static str>,
}

/// The money that redemptions and rent of a token are paid out of, what waits for it, and how far the node's contracts say
/// what record and price say.
#[utoipa::path(
    get,
    path = "/v2/admin/token/{token_id}/node",
    params(("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$")),
    responses((status = 200, description = "As of the indexed head", body = TokenNode))
)]
pub(crate) async fn node(
    State(app): State<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<TokenNode>, ApiError> {
    let token_id = token_id(id)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let conn = &mut *tx;
    let record = record::find(&mut *conn, &token_id, tenant(&viewer)).await?.ok_or_else(unknown)?;
    let (mut redemptions, mut rent) = (None, None);
    for fund in funds(conn, app.chain_id(), &token_id).await? {
        let view = fund.view(conn, app.chain_id()).await?;
        match fund.kind.as_str() {
            "redemption_terms" => redemptions = Some(asked_for(conn, app.chain_id(), &record, &fund, view).await?),
            _ => rent = Some(view),
        }
    }
    Ok(Json(TokenNode {
        as_of: Block::head(&app, conn).await?,
        terms: terms::standing(conn, app.chain_id(), &token_id).await?,
        instrument_id: record.draft.instrument_id.into_string(),
        token_id,
        redemptions,
        rent,
    }))
}

/// A row of the view `token_funds`.
#[derive(Debug, FromRow)]
struct Fund {
    kind: String,
    contract: Addr,
    payment_token: Addr,
    currency_id: String,
    symbol: String,
    decimals: i16,
    available: Uint256,
    treasury: Option<Addr>,
}

async fn funds(conn: &mut PgConnection, chain_id: u64, token_id: &str) -> Result<Vec<Fund>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM token_funds WHERE chain_id = $1 AND token_id = $2")
        .bind(chain_id.cast_signed())
        .bind(token_id)
        .fetch_all(conn)
        .await
}

impl Fund {
    fn money(&self, units: U256) -> PriceView {
        let currency = Currency {
            currency_id: self.currency_id.clone(),
            address: self.payment_token.0,
            symbol: self.symbol.clone(),
            // The column's CHECK keeps it within a byte.
            decimals: u8::try_from(self.decimals).unwrap_or(u8::MAX),
        };
        PriceView::of(&Price::new(currency, units))
    }

    async fn view(&self, conn: &mut PgConnection, chain_id: u64) -> Result<NodeFund, ApiError> {
        let treasury = match self.treasury {
            Some(Addr(wallet)) => Some(self.treasury(conn, chain_id, wallet).await?),
            None => None,
        };
        Ok(NodeFund { contract: self.contract.0.to_checksum(None), available: self.money(self.available.0), treasury })
    }

    async fn treasury(
        &self,
        conn: &mut PgConnection,
        chain_id: u64,
        wallet: Address,
    ) -> Result<TreasuryView, ApiError> {
        let purse = read::purse(conn, chain_id, (wallet, self.payment_token.0, self.contract.0)).await?;
        Ok(TreasuryView {
            wallet: wallet.to_checksum(None),
            balance: purse.map(|purse| self.money(purse.balance)),
            allowance: purse.map(|purse| self.money(purse.allowance)),
            block_number: purse.map(|purse| purse.block),
        })
    }
}

/// What is asked of a redemption fund beside what it has.
async fn asked_for(
    conn: &mut PgConnection,
    chain_id: u64,
    record: &Record,
    fund: &Fund,
    view: NodeFund,
) -> Result<RedemptionFund, ApiError> {
    let promised = redemptions::promised(conn, chain_id, &record.token_id, fund.payment_token.0).await?;
    let payable = fund.available.0.saturating_sub(promised);
    let units = redemptions::undecided(conn, chain_id, &record.token_id).await?;
    let nav = nav::of_tokens(conn, &[record.token_id.as_str()]).await?.remove(&record.token_id);
    let price = nav.map_or(U256::ZERO, |nav| nav.price.amount.base());
    let waiting = worth(units, price, U256::from(10).saturating_pow(U256::from(record.draft.decimals)));
    Ok(RedemptionFund {
        fund: view,
        promised: fund.money(promised),
        payable: fund.money(payable),
        waiting: fund.money(waiting),
        reason_code: (waiting > payable).then_some(ReasonCode::RedemptionUnfunded.as_str()),
    })
}
