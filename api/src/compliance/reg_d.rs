//! `GET /compliance/reports/reg-d/{offering}`: what Form D asks of an offering under rule 506, from what the chain sold in it.

use alloy::primitives::U256;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read;
use tokenx_indexer::read::node::{self, Buyer};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Block;
use super::table::{self, Format, Table};
use crate::app::App;
use crate::error::ApiError;
use crate::offerings::record::{self, Record};
use crate::offerings::routes::offering_id;
use crate::offerings::terms::Exemption;
use crate::store::parties::{self, Standing};
use crate::token_app::block_timestamp;

/// Purchasers who are not accredited that rule 506(b) allows; rule 506(c) allows none.
const NON_ACCREDITED: usize = 35;

/// Form D's figures of an offering. Money is whole units of its currency.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegDReport {
    offering_id: Uuid,
    #[schema(example = "rCC")]
    instrument_id: String,
    issuer_id: Uuid,
    /// 506b or 506c.
    exemption: &'static str,
    /// The block that it is as of: the indexed head.
    as_of: Block,
    /// What is paid with.
    #[schema(example = "USDT")]
    currency: String,
    /// Item 7: the first sale; null before one.
    #[schema(required, format = DateTime)]
    first_sale_at: Option<String>,
    /// Item 11: the least that an investor may pay.
    #[schema(schema_with = crate::openapi::amount_out)]
    minimum_investment: String,
    /// Item 13: all that is offered.
    #[schema(schema_with = crate::openapi::amount_out)]
    offering_amount: String,
    /// Item 13: what was sold.
    #[schema(schema_with = crate::openapi::amount_out)]
    sold_amount: String,
    /// Item 13: what is left.
    #[schema(schema_with = crate::openapi::amount_out)]
    remaining_amount: String,
    /// Item 14: all who have invested.
    investors: usize,
    /// Item 14: those of them who are not accredited.
    non_accredited_investors: usize,
    /// How many of those the rule allows.
    non_accredited_limit: usize,
    /// Those whose accreditation nobody has verified, which rule 506(c) asks for.
    unverified_investors: usize,
    /// The figures are within the rule.
    within_rule: bool,
    /// In the order of their first purchases.
    rows: Vec<RegDRow>,
}

/// An investor of an offering.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegDRow {
    party_id: String,
    /// ISO 3166-1 numeric.
    country: u16,
    investor_class: u8,
    accredited: bool,
    /// How that was verified; null where it was not.
    #[schema(required)]
    verification_method: Option<String>,
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: String,
    #[schema(schema_with = crate::openapi::amount_out)]
    amount: String,
    purchases: u64,
    #[schema(format = DateTime)]
    first_purchase_at: String,
}

impl Table for RegDReport {
    const COLUMNS: &'static [&'static str] = &[
        "offering_id",
        "instrument_id",
        "exemption",
        "block_number",
        "party_id",
        "country",
        "investor_class",
        "accredited",
        "verification_method",
        "quantity",
        "amount",
        "currency",
        "purchases",
        "first_purchase_at",
    ];

    fn rows(&self) -> Vec<Vec<String>> {
        let cells = |row: &RegDRow| {
            vec![
                self.offering_id.to_string(),
                self.instrument_id.clone(),
                self.exemption.to_owned(),
                self.as_of.number.to_string(),
                row.party_id.clone(),
                format!("{:03}", row.country),
                row.investor_class.to_string(),
                row.accredited.to_string(),
                row.verification_method.clone().unwrap_or_default(),
                row.quantity.clone(),
                row.amount.clone(),
                self.currency.clone(),
                row.purchases.to_string(),
                row.first_purchase_at.clone(),
            ]
        };
        self.rows.iter().map(cells).collect()
    }
}

/// Form D's figures of an offering under rule 506(b) or (c).
#[utoipa::path(
    get,
    path = "/compliance/reports/reg-d/{offering}",
    params(
        ("offering" = Uuid, Path, description = "The offering"),
        ("format" = Option<String>, Query, description = "json or csv (the investors alone); as `Accept` says unless given"),
    ),
    responses((
        status = 200,
        description = "The figures and the investors",
        content((RegDReport = "application/json"), (String = "text/csv")),
    ))
)]
pub(crate) async fn reg_d(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    format: Format,
) -> Result<Response, ApiError> {
    let id = offering_id(id)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let unknown = || ApiError::NotFound("there is no offering with this id".into());
    let offering = record::find(&mut *tx, id).await?.ok_or_else(unknown)?;
    let rule = match offering.terms.exemption {
        Some(rule @ (Exemption::Rule506b | Exemption::Rule506c)) => rule,
        other => {
            let under = other.map_or("no exemption yet", Exemption::as_str);
            return Err(ApiError::Conflict(format!("the offering is under {under}: Form D is of rule 506(b) and (c)")));
        }
    };
    let as_of = Block::head(&app, &mut tx).await?;
    let report = report(&app, &mut tx, &offering, rule, as_of).await?;
    table::answer(report, format, format_args!("reg-d-{id}"))
}

async fn report(
    app: &App,
    conn: &mut PgConnection,
    offering: &Record,
    rule: Exemption,
    as_of: Block,
) -> Result<RegDReport, ApiError> {
    let price = &offering.terms.price;
    let money = |units| Amount::new(units, price.currency.decimals).to_string();
    let instrument = read::instrument(&mut *conn, app.chain_id(), &offering.instrument_id).await?;
    let (mut buyers, mut offered, mut decimals) = (Vec::new(), U256::ZERO, 0);
    if let Some(instrument) = &instrument {
        decimals = instrument.decimals;
        // A token has one offering at a time: what it sells from one on, until another takes its place, is that one's.
        let seconds = |at: OffsetDateTime| at.unix_timestamp().max(0).unsigned_abs();
        let (from, to) = (seconds(offering.created_at), offering.closed_at.map(seconds));
        buyers = node::buyers(&mut *conn, app.chain_id(), instrument.token, from, to).await?;
        let listings = node::listings_of_tokens(&mut *conn, app.chain_id(), &[instrument.token]).await?;
        let whole = U256::from(10).pow(U256::from(decimals));
        offered =
            listings.get(&instrument.token).map_or(U256::ZERO, |listing| listing.listed / whole * price.amount.base());
    }
    let investors: Vec<u64> = buyers.iter().map(|buyer| buyer.investor_id).collect();
    let people = parties::standing(conn, &investors).await?;
    let rows: Vec<RegDRow> =
        buyers.iter().map(|buyer| row(buyer, people.get(&buyer.investor_id), decimals, &money)).collect();
    let sold = buyers.iter().fold(U256::ZERO, |sum, buyer| sum.saturating_add(buyer.cost));
    let non_accredited = rows.iter().filter(|row| !row.accredited).count();
    let unverified = rows.iter().filter(|row| row.verification_method.is_none()).count();
    let (limit, verified) = match rule {
        Exemption::Rule506c => (0, unverified == 0),
        _ => (NON_ACCREDITED, true),
    };
    let least = U256::from(offering.terms.min_purchase.unsigned_abs()) * price.amount.base();
    Ok(RegDReport {
        offering_id: offering.offering_id,
        instrument_id: offering.instrument_id.clone(),
        issuer_id: offering.issuer_id,
        exemption: rule.as_str(),
        as_of,
        currency: price.currency.symbol.clone(),
        first_sale_at: buyers.first().map(|buyer| block_timestamp(buyer.first)),
        minimum_investment: money(least),
        offering_amount: money(offered),
        sold_amount: money(sold),
        remaining_amount: money(offered.saturating_sub(sold)),
        investors: rows.len(),
        non_accredited_investors: non_accredited,
        non_accredited_limit: limit,
        unverified_investors: unverified,
        within_rule: non_accredited <= limit && verified,
        rows,
    })
}

/// Accredited is who is in a class, by his own word, or whose accreditation somebody has verified and which had not ended
/// when he first bought.
fn row(buyer: &Buyer, person: Option<&Standing>, decimals: u8, money: &impl Fn(U256) -> String) -> RegDRow {
    let investor_class = person.map_or(buyer.investor_class, |person| person.investor_class);
    let held = |until: &Option<OffsetDateTime>| {
        until.is_none_or(|until| until.unix_timestamp() > i64::try_from(buyer.first).unwrap_or(i64::MAX))
    };
    let verified = person.and_then(|person| person.accreditation.as_ref()).filter(|(_, until)| held(until));
    RegDRow {
        party_id: person.map_or_else(|| format!("investor {}", buyer.investor_id), |person| person.party_id.clone()),
        country: person.map_or(buyer.country, |person| person.country),
        investor_class,
        accredited: investor_class > 0 || verified.is_some(),
        verification_method: verified.map(|(method, _)| method.clone()),
        quantity: Amount::new(buyer.quantity, decimals).to_string(),
        amount: money(buyer.cost),
        purchases: buyer.purchases,
        first_purchase_at: block_timestamp(buyer.first),
    }
}
