//! Offerings as they are answered.

use std::collections::HashMap;

use alloy::primitives::U256;
use async_graphql::{ID, SimpleObject};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;
use utoipa::ToSchema;
use uuid::Uuid;

use super::course::{Course, Status, Step, came_to_nothing};
use super::facts::{self, Facts};
use super::record::Record;
use super::terms::Exemption;
use crate::app::App;
use crate::error::ApiError;
use crate::graphql::limits::nested_rows;
use crate::graphql::scalars::Time;
use crate::http::precondition::entity_tag;
use crate::store::commands::{self, Asked, CommandBrief, CommandProblem};
use crate::tokens::details::PriceView;
use crate::tokens::files::{self, File};
use crate::tokens::money::Number;
use crate::tokens::show::link;

/// One primary sale of one token. Quantities and supplies are whole tokens.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct Offering {
    #[schema(value_type = Uuid)]
    id: ID,
    #[schema(value_type = Uuid)]
    issuer_id: ID,
    #[schema(value_type = String)]
    token_id: ID,
    /// The token, once deployed.
    instrument_id: String,
    name: String,
    description: String,
    /// 506b, 506c or reg_s; null in a draft that leaves it open.
    #[schema(required)]
    exemption: Option<&'static str>,
    /// draft, pending_approval, rejected; approved: its listing is on the way; published: the chain sells on its terms;
    /// suspended: delisted for now; closed.
    status: &'static str,
    /// Null: at once.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    opens_at: Option<Time>,
    /// Null: never.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    closes_at: Option<Time>,
    /// Of one whole token.
    price: PriceView,
    /// Of the maximum supply.
    #[schema(schema_with = crate::openapi::number)]
    salable_percentage: Number,
    min_purchase_quantity: i64,
    /// Null: no limit.
    #[schema(required)]
    max_purchase_quantity: Option<i64>,
    max_fee_quantity: i64,
    #[schema(schema_with = crate::openapi::integer)]
    listed_supply: Number,
    /// What investors have bought of the token so far.
    #[schema(schema_with = crate::openapi::integer)]
    purchased_supply: Number,
    /// The same with what was set aside for fees.
    #[schema(schema_with = crate::openapi::integer)]
    sold_supply: Number,
    #[graphql(complexity = "nested_rows(None, None, child_complexity)")]
    documents: Vec<OfferingDocument>,
    /// When a decision was asked for last.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    published_at: Option<Time>,
    /// When it was decided on last.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    decided_at: Option<Time>,
    /// Why it was rejected last.
    #[schema(required)]
    rejection: Option<String>,
    /// What its approval asks of the keeper; null before one.
    #[schema(required)]
    listing: Option<ListingView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
}

/// A document of an offering.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct OfferingDocument {
    #[schema(value_type = String)]
    id: ID,
    name: String,
    url: String,
    /// 1 = standard.
    r#type: i16,
    /// SHA-256, hexadecimal.
    hash: String,
    /// The command that names the hash in the token's contract; null before the token is deployed.
    #[schema(required)]
    anchor: Option<CommandBrief>,
    /// The one that takes it back.
    #[schema(required)]
    removal: Option<CommandBrief>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    deleted_at: Option<Time>,
}

/// A listing on its way.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "OfferingListing")]
pub struct ListingView {
    /// Sets the offering's terms; null where the chain has them already.
    #[schema(required)]
    terms: Option<CommandBrief>,
    /// Lists the token; null before its terms are set, or where it is listed already.
    #[schema(required)]
    list: Option<CommandBrief>,
    /// Why it does not go on.
    #[schema(required)]
    problem: Option<CommandProblem>,
}

/// What is shown of an offering beside its row.
pub(crate) struct Shown {
    pub(super) record: Record,
    pub(super) facts: Facts,
    pub(super) course: Course,
}

/// One offering, as the transaction sees the chain, with its version.
pub(super) async fn answer(
    app: &App,
    conn: &mut PgConnection,
    status: StatusCode,
    record: Record,
) -> Result<Response, ApiError> {
    let tag = entity_tag(record.version)?;
    let shown = with_facts(app, conn, vec![record]).await?;
    let shown = all(app, conn, shown).await?;
    let offering = shown.into_iter().next().ok_or_else(|| ApiError::internal("an offering that does not show"))?;
    Ok((status, [(header::ETAG, tag)], Json(offering)).into_response())
}

/// Offerings with what the chain says of them.
pub(crate) async fn with_facts(
    app: &App,
    conn: &mut PgConnection,
    records: Vec<Record>,
) -> Result<Vec<Shown>, ApiError> {
    let facts = facts::of(conn, app.chain_id(), &records).await?;
    let now = OffsetDateTime::now_utc();
    let shown = records.into_iter().zip(facts).map(|(record, facts)| {
        let course = facts.course(&record, now);
        Shown { record, facts, course }
    });
    Ok(shown.collect())
}

/// Offerings whose facts are known, with their documents.
pub(crate) async fn all(app: &App, conn: &mut PgConnection, shown: Vec<Shown>) -> Result<Vec<Offering>, ApiError> {
    let ids: Vec<Uuid> = shown.iter().map(|shown| shown.record.offering_id).collect();
    let files = files::of_offerings(&mut *conn, &ids).await?;
    let named = files.iter().flat_map(|file| [file.anchored_by.as_deref(), file.released_by.as_deref()]);
    let asked = commands::by_id(conn, &named.flatten().collect::<Vec<_>>()).await?;
    let mut documents: HashMap<Uuid, Vec<OfferingDocument>> = HashMap::new();
    for file in &files {
        if let Some(offering_id) = file.offering_id {
            documents.entry(offering_id).or_default().push(document(app, file, &asked));
        }
    }
    let offering = |shown: Shown| {
        let documents = documents.remove(&shown.record.offering_id).unwrap_or_default();
        Offering::of(shown, documents)
    };
    Ok(shown.into_iter().map(offering).collect())
}

fn document(app: &App, file: &File, asked: &HashMap<String, Asked>) -> OfferingDocument {
    let command = |id: &Option<String>| id.as_ref().and_then(|id| asked.get(id)).map(CommandBrief::from);
    OfferingDocument {
        id: file.file_id.clone().into(),
        name: file.name.clone(),
        url: link(app, file, false),
        r#type: file.document_type,
        hash: hex::encode(file.hash()),
        anchor: command(&file.anchored_by),
        removal: command(&file.released_by),
        created_at: Time(file.created_at),
        deleted_at: file.deleted_at.map(Time),
    }
}

impl Offering {
    fn of(Shown { record, facts, course }: Shown, documents: Vec<OfferingDocument>) -> Offering {
        let terms = &record.terms;
        let deployed = facts.chain.deployment.as_ref();
        let listing = deployed.and_then(|deployed| deployed.listing);
        let whole = |units| deployed.map_or(units, |deployed| units / deployed.unit);
        let (purchased, sold) = listing.map_or_else(Default::default, |listing| (listing.purchased, listing.sold));
        Offering {
            id: record.offering_id.into(),
            issuer_id: record.issuer_id.into(),
            status: course.status().as_str(),
            exemption: terms.exemption.map(Exemption::as_str),
            opens_at: terms.opens_at.map(Time),
            closes_at: terms.closes_at.map(Time),
            price: PriceView::of(&terms.price),
            salable_percentage: Amount::new(U256::from(terms.salable_bps), 2).into(),
            min_purchase_quantity: terms.min_purchase,
            max_purchase_quantity: terms.max_purchase,
            max_fee_quantity: terms.max_fees,
            listed_supply: terms.listed(facts.token.draft.max_supply).into(),
            purchased_supply: whole(purchased).into(),
            sold_supply: whole(sold).into(),
            documents,
            published_at: record.published.as_ref().map(|(_, at)| Time(*at)),
            decided_at: record.decision.as_ref().map(|decision| Time(decision.at)),
            listing: (record.round > 0).then(|| ListingView::of(&facts, &course)),
            created_at: Time(record.created_at),
            updated_at: Time(record.updated_at),
            token_id: record.token_id.into(),
            instrument_id: record.instrument_id,
            rejection: record.rejection,
            name: record.terms.name,
            description: record.terms.description,
        }
    }
}

impl ListingView {
    fn of(facts: &Facts, course: &Course) -> ListingView {
        let stuck = course.next() == Step::Stuck && course.status() == Status::Approved;
        ListingView {
            terms: facts.terms.as_ref().map(CommandBrief::from),
            list: facts.list.as_ref().map(CommandBrief::from),
            problem: stuck.then(|| problem(facts)),
        }
    }
}

/// Why a listing does not go on.
fn problem(facts: &Facts) -> CommandProblem {
    let failed = [&facts.list, &facts.terms].into_iter().flatten().find(|asked| came_to_nothing(asked.state));
    failed.map_or_else(
        || CommandProblem {
            reason_code: None,
            detail: "the chain's terms are not the offering's: somebody else has set others".to_owned(),
            remedy: "approve the offering again, and its terms are set again".to_owned(),
            call: None,
        },
        |failed| CommandProblem::of(failed, "approve the offering again"),
    )
}
