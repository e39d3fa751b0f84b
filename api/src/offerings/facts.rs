//! What an offering's course follows from, beside its own row: its token's record, the chain, and the commands of its last
//! approval.

use std::collections::HashMap;

use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_indexer::read::node::{self, ListingStatus};
use tokenx_keeper::ListingTerms;
use uuid::Uuid;

use super::course::{Course, Sale};
use super::record::Record;
use crate::error::ApiError;
use crate::store::commands::{self, Asked};
use crate::tokens::facts::Facts as TokenFacts;
use crate::tokens::record::Record as TokenRecord;
use crate::tokens::{facts as token_facts, record as token_record};

/// What is known of one offering beside its row.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its token.
    pub token: TokenRecord,
    /// What the chain says of it.
    pub chain: TokenFacts,
    /// The command of its last approval that sets its terms.
    pub terms: Option<Asked>,
    /// The one that lists its token.
    pub list: Option<Asked>,
}

/// The facts of each offering, in their order.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut PgConnection, chain_id: u64, records: &[Record]) -> Result<Vec<Facts>, ApiError> {
    let ids: Vec<&str> = records.iter().map(|record| record.token_id.as_str()).collect();
    let tokens = token_record::of_ids(&mut *conn, &ids).await?;
    let chain = token_facts::of(conn, chain_id, &tokens).await?;
    let tokens: HashMap<String, (TokenRecord, TokenFacts)> =
        tokens.into_iter().zip(chain).map(|(token, facts)| (token.token_id.clone(), (token, facts))).collect();
    let mut asked = asked(conn, records).await?;
    let facts = |record: &Record| {
        let (token, chain) = tokens.get(&record.token_id).cloned()?;
        let [terms, list] = asked.remove(&record.offering_id).unwrap_or_default();
        Some(Facts { token, chain, terms, list })
    };
    let facts: Option<Vec<Facts>> = records.iter().map(facts).collect();
    facts.ok_or_else(|| ApiError::internal("an offering of no token"))
}

/// The facts of one.
///
/// # Errors
/// The database's.
pub async fn of_one(conn: &mut PgConnection, chain_id: u64, record: &Record) -> Result<Facts, ApiError> {
    let facts = of(conn, chain_id, std::slice::from_ref(record)).await?;
    facts.into_iter().next().ok_or_else(|| ApiError::internal("an offering without facts"))
}

/// The commands of each offering's last approval.
async fn asked(conn: &mut PgConnection, records: &[Record]) -> Result<HashMap<Uuid, [Option<Asked>; 2]>, sqlx::Error> {
    let rounds: Vec<&Record> = records.iter().filter(|record| record.round > 0).collect();
    if rounds.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
        "SELECT o.offering_id, o.kind, o.command_id
           FROM offering_commands o
           JOIN unnest($1::uuid[], $2::integer[]) AS r (offering_id, round)
             ON r.offering_id = o.offering_id AND r.round = o.attempt",
    )
    .bind(rounds.iter().map(|record| record.offering_id).collect::<Vec<_>>())
    .bind(rounds.iter().map(|record| record.round).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<&str> = rows.iter().map(|(_, _, command_id)| command_id.as_str()).collect();
    let mut known = commands::by_id(conn, &ids).await?;
    let mut asked: HashMap<Uuid, [Option<Asked>; 2]> = HashMap::new();
    for (offering_id, kind, command_id) in rows {
        let [terms, list] = asked.entry(offering_id).or_default();
        *(if kind == super::listing::TERMS { terms } else { list }) = known.remove(&command_id);
    }
    Ok(asked)
}

impl Facts {
    /// The offering's course at this time.
    pub fn course(&self, record: &Record, now: OffsetDateTime) -> Course {
        let deployed = self.chain.deployment.as_ref();
        let listing = deployed.and_then(|deployed| deployed.listing);
        let sale = match listing.map(|listing| listing.status) {
            _ if deployed.is_some_and(|deployed| deployed.retired) => Sale::Over,
            None => Sale::Nowhere,
            Some(ListingStatus::NotListed | ListingStatus::Other(_)) => Sale::NotListed,
            Some(ListingStatus::Listed) => Sale::Listed,
            Some(ListingStatus::Delisted) => Sale::Delisted,
            Some(ListingStatus::Passive) => Sale::Over,
        };
        let own = deployed.map(|deployed| record.terms.on_chain(deployed.unit));
        let theirs = listing.and_then(|listing| listing.terms);
        let window_over = record.terms.closes_at.is_some_and(|closes| closes <= now);
        Course {
            state: record.state,
            settled: record.settled,
            over: record.closed_at.is_some() || window_over,
            sale,
            terms_match: own.zip(theirs).is_some_and(|(own, theirs)| are_same(&own, &theirs)),
            terms: self.terms.as_ref().map(|asked| asked.state),
            list: self.list.as_ref().map(|asked| asked.state),
        }
    }
}

fn are_same(own: &ListingTerms, theirs: &node::ListingTerms) -> bool {
    let theirs = ListingTerms {
        payment_token: theirs.payment_token,
        price: theirs.price,
        opens_at: theirs.opens_at,
        closes_at: theirs.closes_at,
        min_purchase: theirs.min_purchase,
        max_purchase: theirs.max_purchase.unwrap_or_default(),
        max_fees: theirs.max_fees,
        salable_bps: theirs.salable_bps,
    };
    *own == theirs
}
