//! What follows from a change of a party's KYC: one registry command a wallet, in the transaction of the change. What
//! cannot be asked for yet is asked for later, by whichever process looks (`crate::due`).

use sqlx::PgConnection;
use tokenx_contracts::codes::ReasonCode;
use tokenx_keeper::AcceptError;

use super::course::Status;
use super::record;
use crate::admin::By;
use crate::app::App;
use crate::error::{ApiError, FieldError};
use crate::store::parties::{self, Profile};
use crate::tokens::routes::now;
use crate::wallets::record::{self as wallets, Filter, Record as Wallet};
use crate::wallets::registry;
use crate::wallets::state::{State, Wish};
use crate::wallets::view;

/// The most wallets of a party that are looked at.
const ALL: i64 = 1_000;

/// Has the registry say of a party's wallets what is true now: their records anew, or that they are off the list. The
/// party is locked and as it is now; the commands' ids.
///
/// # Errors
/// What the keeper refuses of new records, and the database's; the caller rolls back.
pub(crate) async fn follow(
    app: &App,
    conn: &mut PgConnection,
    by: By<'_>,
    (party, wish): (&Profile, Wish),
) -> Result<Vec<String>, ApiError> {
    let filter = Filter { party_id: Some(party.party_id.clone()), ..Filter::default() };
    let records = wallets::list(&mut *conn, &filter, ALL).await?;
    let mut asked = Vec::new();
    for shown in view::all(app, conn, records).await? {
        let mut wallet = shown.record;
        let ours = wallet.command.as_deref().and_then(Wish::of) == Some(Wish::Revoke);
        let concerned = match (wish, shown.state) {
            (_, State::Approving | State::Approved) => true,
            // Taken off the list by this room: put on it again. What somebody else took off stays off.
            (Wish::Whitelist, State::Revoked) => ours,
            _ => false,
        };
        if !concerned {
            continue;
        }
        match registry::ask(app.commands(), conn, by, (&mut wallet, party, wish)).await {
            Ok(()) => asked.extend(wallet.command),
            // The whitelisting that is to be undone is on its way still.
            Err(AcceptError::Refused(refusal)) if refusal.code == ReasonCode::UnknownWallet => {
                wallet.due = Some(wish);
                wallets::update(&mut *conn, &wallet).await?;
            }
            Err(error) => return Err(registry::refused(error)),
        }
    }
    Ok(asked)
}

/// Asks for what could not be asked for before.
///
/// # Errors
/// The database's.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    for (wallet_id, party_id) in wallets::due(app.pool()).await? {
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        let Some(party) = parties::lock(&mut tx, &party_id).await? else { continue };
        let Some(wallet) = wallets::find(&mut *tx, wallet_id).await? else { continue };
        let Some(wish) = wallet.due else { continue };
        let shown = view::one(app, &mut tx, wallet).await?;
        let mut wallet = shown.record;
        let by = By { actor: "system", request_id: None };
        if matches!(shown.state, State::Approving | State::Approved) {
            match registry::ask(app.commands(), &mut tx, by, (&mut wallet, &party, wish)).await {
                Ok(()) => {}
                Err(AcceptError::Refused(refusal)) => {
                    tracing::debug!(%wallet_id, reason = refusal.message, "the keeper does not take a wallet's command");
                    continue;
                }
                Err(error) => return Err(registry::refused(error)),
            }
        } else {
            wallet.due = None;
            wallets::update(&mut tx, &wallet).await?;
        }
        tx.commit().await?;
        app.commands().wake();
    }
    Ok(())
}

/// Refuses to whitelist a wallet unless its party's KYC is approved. For a wallet that an operator has added the operator's
/// word stands until a decision, or a refusal, takes its place.
///
/// # Errors
/// 422, by what is missing.
pub(crate) async fn require(conn: &mut PgConnection, party: &Profile, wallet: &Wallet) -> Result<(), ApiError> {
    let newest = record::newest(conn, &party.party_id).await?;
    allows(newest.as_ref(), party, wallet)
}

/// The same, by the party's newest application.
pub(crate) fn allows(newest: Option<&record::Record>, party: &Profile, wallet: &Wallet) -> Result<(), ApiError> {
    let status = newest.map_or(Status::NotStarted, |record| record.status(now()));
    let decided = newest.is_some_and(|record| record.decision.is_some());
    if wallet.registered_by.is_none() && !decided && status != Status::Rejected {
        return Ok(());
    }
    let code = match status {
        Status::Approved => return Ok(()),
        Status::Expired => ReasonCode::KycExpired,
        _ => ReasonCode::KycNotApproved,
    };
    let party_id = &party.party_id;
    let message = format!("the KYC of party {party_id:?} is {}: approve its application first", status.as_str());
    Err(ApiError::Rejected(vec![FieldError::refused("wallet_id", code, message)]))
}

/// Refuses to approve who is under sanctions.
///
/// # Errors
/// 422.
pub(crate) async fn spotless(
    app: &App,
    conn: &mut PgConnection,
    party: &Profile,
    field: &'static str,
) -> Result<(), ApiError> {
    if !parties::is_sanctioned(conn, app.chain_id(), party.investor_id).await? {
        return Ok(());
    }
    let message = format!("the registry has a wallet of party {:?} under sanctions", party.party_id);
    Err(ApiError::Rejected(vec![FieldError::refused(field, ReasonCode::SanctionsHit, message)]))
}
