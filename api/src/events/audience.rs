//! Who is told of an event: what REST would show of its subject, by the same rows of the policy table.

use std::collections::HashMap;

use sqlx::PgConnection;
use tokenx_migrations::outbox::Kept;
use uuid::Uuid;

use crate::app::App;
use crate::auth::Viewer;
use crate::policy::{Operation, Role};
use crate::store::issuers;

/// Who may know of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Whoever is signed in: what the chain says is public.
    Anyone,
    /// Those who may see the command. It is an issuer's only where the platform made it for one of its tokens.
    Command(Option<Uuid>),
    /// Those who may see the token's record: whom its offerings are for is not decided here.
    Record(Option<Uuid>),
    /// The party that an investor acts for, and those who see what all parties ask for by this operation.
    Party(Option<String>, Operation),
    /// The party that subscribes, and those who see what of an issuer's offering is subscribed for.
    Subscription(Option<String>, Option<Uuid>),
    /// The party that an investor acts for, and nobody else.
    Own(Option<String>),
    /// Those who run the platform: accounts, parties, tokens of tools.
    Admin,
    /// It is of another chain.
    Nobody,
}

impl Audience {
    pub(super) fn has(&self, viewer: &Viewer) -> bool {
        let own =
            |issuer: &Option<Uuid>| viewer.role != Role::Issuer || (issuer.is_some() && *issuer == viewer.issuer_id);
        match self {
            Audience::Anyone => true,
            Audience::Command(issuer) => viewer.may(Operation::GetTokenCommand) && own(issuer),
            Audience::Record(issuer) => viewer.may(Operation::GetToken) && own(issuer),
            Audience::Party(party, operation) => {
                viewer.may(*operation) || (party.is_some() && *party == viewer.party_id)
            }
            Audience::Subscription(party, issuer) => {
                (viewer.may(Operation::ListSubscriptions) && own(issuer))
                    || (party.is_some() && *party == viewer.party_id)
            }
            Audience::Own(party) => party.is_some() && *party == viewer.party_id,
            Audience::Admin => viewer.role == Role::SuperAdmin,
            Audience::Nobody => false,
        }
    }
}

/// Audience and instrument of each event of a batch, by its subject.
pub(super) async fn of_all(
    app: &App,
    conn: &mut PgConnection,
    events: &[Kept],
) -> Result<Vec<(Audience, Option<String>)>, sqlx::Error> {
    let tokens: Vec<&str> = events.iter().filter_map(token).collect();
    let tokens = records(conn, &tokens).await?;
    let ours = |event: &&Kept| is_platforms(event) || event.subject.starts_with("trade:");
    let commanded: Vec<String> = events.iter().filter(ours).filter_map(instrument).collect();
    let issuers = issuers::of_instruments(conn, app.chain_id(), &commanded).await?;
    let elsewhere = |event: &Kept| event.payload["chain_id"].as_u64().is_some_and(|chain| chain != app.chain_id());
    let all = events.iter().map(|event| match event.subject.split_once(':') {
        _ if elsewhere(event) => (Audience::Nobody, None),
        Some(("instrument" | "chain", _)) => (Audience::Anyone, instrument(event)),
        Some(("command", _)) => {
            let instrument_id = instrument(event);
            let issuer = instrument_id.as_ref().filter(|_| is_platforms(event)).and_then(|id| issuers.get(id));
            (Audience::Command(issuer.copied()), instrument_id)
        }
        Some(("token" | "offering", _)) => {
            let (issuer, instrument_id) = token(event).and_then(|id| tokens.get(id)).cloned().unzip();
            (Audience::Record(issuer), instrument_id)
        }
        Some(("redemption", _)) => {
            let (_, instrument_id) = token(event).and_then(|id| tokens.get(id)).cloned().unzip();
            let party = event.payload["party_id"].as_str().map(str::to_owned);
            (Audience::Party(party, Operation::ListRedemptions), instrument_id)
        }
        Some(("subscription", _)) => {
            let (issuer, instrument_id) = token(event).and_then(|id| tokens.get(id)).cloned().unzip();
            let party = event.payload["party_id"].as_str().map(str::to_owned);
            (Audience::Subscription(party, issuer), instrument_id)
        }
        Some(("order" | "deal", _)) => {
            let party = event.payload["party_id"].as_str().map(str::to_owned);
            (Audience::Own(party), instrument(event))
        }
        // Whom its offering is for is not decided here.
        Some(("trade", _)) => {
            let instrument_id = instrument(event);
            let issuer = instrument_id.as_ref().and_then(|id| issuers.get(id)).copied();
            (Audience::Record(issuer), instrument_id)
        }
        _ => (Audience::Admin, None),
    });
    Ok(all.collect())
}

/// Whether a command is one that the platform made.
fn is_platforms(event: &Kept) -> bool {
    event.payload["scope"] == "system"
}

/// The token that an event of a record is about, its offerings, redemptions and subscriptions included.
fn token(event: &Kept) -> Option<&str> {
    match event.subject.split_once(':')? {
        ("token", id) => Some(id),
        ("offering" | "redemption" | "subscription", _) => event.payload["token_id"].as_str(),
        _ => None,
    }
}

fn instrument(event: &Kept) -> Option<String> {
    event.payload["instrument_id"].as_str().map(str::to_owned)
}

/// Issuers and instruments of records.
async fn records(conn: &mut PgConnection, ids: &[&str]) -> Result<HashMap<String, (Uuid, String)>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, Uuid, String)> =
        sqlx::query_as("SELECT token_id, issuer_id, instrument_id FROM token_records WHERE token_id = ANY ($1)")
            .bind(ids)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|(token_id, issuer, instrument)| (token_id, (issuer, instrument))).collect())
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::auth::Subject;

    fn viewer(role: Role) -> Viewer {
        let id = Uuid::now_v7();
        Viewer {
            subject: Subject::User(id),
            role,
            issuer_id: (role == Role::Issuer).then_some(Uuid::max()),
            party_id: None,
            token_id: id,
            expires_at: OffsetDateTime::now_utc(),
            suspended: false,
        }
    }

    fn told(audience: &Audience) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| audience.has(&viewer(*role))).collect()
    }

    #[test]
    fn an_issuer_is_told_of_its_own_and_an_investor_of_the_chain_alone() {
        use Role::{ComplianceOfficer, Issuer, SuperAdmin, TransferAgent};
        assert_eq!(told(&Audience::Anyone), Role::ALL);
        assert_eq!(told(&Audience::Command(Some(Uuid::max()))), [Issuer, TransferAgent, SuperAdmin]);
        assert_eq!(told(&Audience::Record(Some(Uuid::max()))), [Issuer, ComplianceOfficer, TransferAgent, SuperAdmin]);
        for other in [None, Some(Uuid::nil())] {
            assert_eq!(told(&Audience::Command(other)), [TransferAgent, SuperAdmin]);
            assert_eq!(told(&Audience::Record(other)), [ComplianceOfficer, TransferAgent, SuperAdmin]);
        }
        for party in [None, Some("alice".to_owned())] {
            assert_eq!(told(&Audience::Party(party, Operation::ListRedemptions)), [TransferAgent, SuperAdmin]);
        }
        let own = Viewer { party_id: Some("alice".to_owned()), ..viewer(Role::Investor) };
        assert!(Audience::Party(Some("alice".to_owned()), Operation::ListRedemptions).has(&own));
        let sold = |issuer| Audience::Subscription(Some("alice".to_owned()), issuer);
        assert_eq!(told(&sold(Some(Uuid::max()))), [Issuer, ComplianceOfficer, TransferAgent, SuperAdmin]);
        assert_eq!(told(&sold(Some(Uuid::nil()))), [ComplianceOfficer, TransferAgent, SuperAdmin]);
        assert!(sold(None).has(&own));
        assert!(Audience::Own(Some("alice".to_owned())).has(&own));
        assert!(told(&Audience::Own(Some("alice".to_owned()))).is_empty() && told(&Audience::Own(None)).is_empty());
        assert_eq!(told(&Audience::Admin), [SuperAdmin]);
        assert!(told(&Audience::Nobody).is_empty());
    }
}
