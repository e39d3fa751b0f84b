//! `GET /compliance/transfer-restrictions`: what Regulation D and Regulation S keep where it is, from the chain.

use alloy::primitives::Address;
use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::ids::{Holder, InstrumentId};
use tokenx_indexer::read::{self, HoldKind, Lockup, LockupFilter, LockupKey};
use utoipa::ToSchema;

use super::Block;
use crate::app::App;
use crate::error::ApiError;
use crate::http::query::Query;
use crate::store::parties;
use crate::token_app::block_timestamp;

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);

/// Units that a wallet may not move yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransferRestriction {
    /// The instrument.
    #[schema(example = "rCC")]
    instrument_id: String,
    /// Whose they are.
    party_id: String,
    /// Where they are, EIP-55.
    wallet: String,
    /// The token's own number for the lockup.
    hold_id: u64,
    /// reg_d or reg_s.
    kind: &'static str,
    #[schema(schema_with = crate::openapi::amount_out)]
    amount: String,
    /// From then on they may move.
    #[schema(format = DateTime)]
    ends_at: String,
}

/// A page of lockups.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransferRestrictionPage {
    items: Vec<TransferRestriction>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
    /// The block that the page is as of: the indexed head.
    as_of: Block,
}

/// Lockups that bind, those that end first before the others.
#[utoipa::path(
    get,
    path = "/compliance/transfer-restrictions",
    params(
        ("instrument_id" = Option<String>, Query, description = "Only of this instrument"),
        ("party_id" = Option<String>, Query, description = "Only of this party, or of the wallet with this address"),
        ("kind" = Option<String>, Query, description = "Only of this kind: reg_d or reg_s"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Those that end first before the others", body = TransferRestrictionPage))
)]
pub(crate) async fn transfer_restrictions(
    State(app): State<App>,
    mut query: Query,
) -> Result<Json<TransferRestrictionPage>, ApiError> {
    let instrument_id = query.text("instrument_id", str::parse::<InstrumentId>);
    let holder = query.text("party_id", str::parse::<Holder>);
    let kind = query.text("kind", |name| match name {
        "reg_d" => Ok(HoldKind::RegD),
        "reg_s" => Ok(HoldKind::RegS),
        _ => Err("value is no kind of lockup: use reg_d or reg_s"),
    });
    let after = query.text("cursor", |text| read_cursor(text).ok_or("value is not a cursor of this list"));
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let mut tx = read::snapshot(app.pool()).await?;
    let as_of = Block::head(&app, &mut tx).await?;
    let wallets = match holder {
        None => None,
        Some(Holder::Wallet(address)) => Some(vec![address]),
        Some(Holder::Party(id)) => match parties::find(&mut *tx, &id).await? {
            None => Some(Vec::new()),
            Some(party) => {
                let wallets = read::wallets_of_investor(&mut *tx, app.chain_id(), party.investor_id).await?;
                Some(wallets.into_iter().map(|wallet| wallet.wallet).collect())
            }
        },
    };
    let instrument_id = instrument_id.map(InstrumentId::into_string);
    let filter = LockupFilter { chain_id: app.chain_id(), instrument_id, kind, wallets, after };
    // One more than asked for says whether there is another page.
    let mut page = read::lockups(&mut *tx, &filter, limit.cast_signed() + 1).await?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let more = page.len() > wanted;
    page.truncate(wanted);
    let next_cursor = page.last().filter(|_| more).map(|lockup| write_cursor(lockup.key()));
    let investors: Vec<u64> = page.iter().filter_map(|lockup| lockup.investor_id).collect();
    let names = parties::names(&mut tx, &investors).await?;
    let shown = |lockup: Lockup| TransferRestriction {
        party_id: parties::name_of(&names, lockup.investor_id, lockup.wallet),
        wallet: lockup.wallet.to_checksum(None),
        hold_id: lockup.id,
        kind: if lockup.kind == HoldKind::RegD { "reg_d" } else { "reg_s" },
        amount: Amount::new(lockup.amount, lockup.decimals).to_string(),
        ends_at: block_timestamp(lockup.until),
        instrument_id: lockup.instrument_id,
    };
    Ok(Json(TransferRestrictionPage { items: page.into_iter().map(shown).collect(), next_cursor, as_of }))
}

fn write_cursor((until, token, wallet, id): LockupKey) -> String {
    URL_SAFE_NO_PAD.encode(format!("{until}.{token:#x}.{wallet:#x}.{id}"))
}

fn read_cursor(text: &str) -> Option<LockupKey> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut parts = text.split('.');
    let number = |text: Option<&str>| text?.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    let until = number(parts.next())?;
    let (token, wallet) = (parts.next()?.parse::<Address>().ok()?, parts.next()?.parse::<Address>().ok()?);
    let id = number(parts.next())?;
    parts.next().is_none().then_some((until, token, wallet, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_shows_and_nothing_else() {
        let key = (1_800_000_000, Address::repeat_byte(1), Address::repeat_byte(2), 7);
        assert_eq!(read_cursor(&write_cursor(key)), Some(key));
        for bad in ["", "x", "MQ", &URL_SAFE_NO_PAD.encode("1.2.3.4"), &write_cursor((u64::MAX, key.1, key.2, 1))] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
