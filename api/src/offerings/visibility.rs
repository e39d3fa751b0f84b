//! Who sees an offering. One place, for lists, details and documents, for books and trades.

use sqlx::PgConnection;
use uuid::Uuid;

use super::course::State;
use super::record::Record;
use super::terms::Exemption;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::kyc::course::Status;
use crate::kyc::record as kyc;
use crate::policy::Role;
use crate::store::parties;
use crate::tokens::routes::now;

/// Where regulation S offers nothing, ISO 3166-1 numeric.
const UNITED_STATES: u16 = 840;

/// Which offerings somebody sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sees {
    /// Every one.
    #[default]
    All,
    /// Its own, in whatever state, and of others' those that were approved under one of these exemptions.
    Some {
        /// The issuer whose own they are.
        own: Option<Uuid>,
        /// What is offered to it.
        offered: &'static [Exemption],
    },
}

impl Sees {
    /// Staff all; an issuer its own, and what is offered to all; an investor what is offered to it: under rule 506(b) once
    /// its KYC is approved, under regulation S where its country is known, and not the United States.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(conn: &mut PgConnection, viewer: &Viewer) -> Result<Sees, ApiError> {
        match viewer.role {
            Role::SuperAdmin | Role::TransferAgent | Role::ComplianceOfficer => Ok(Sees::All),
            // An issuer always has one: a database constraint.
            Role::Issuer => Ok(Sees::Some { own: viewer.issuer_id, offered: offered(false, false) }),
            Role::Investor => {
                let party_id = viewer.party_id.as_deref().unwrap_or_default();
                let newest = kyc::newest(&mut *conn, party_id).await?;
                let country = parties::profile(conn, party_id).await?.map_or(0, |party| party.country);
                Ok(Sees::of_party(country, newest.as_ref()))
            }
        }
    }

    /// What an investor sees of this country (ISO 3166-1 numeric), with this application, its newest.
    pub(crate) fn of_party(country: u16, newest: Option<&kyc::Record>) -> Sees {
        let approved = newest.is_some_and(|record| record.status(now()) == Status::Approved);
        Sees::Some { own: None, offered: offered(approved, country != 0 && country != UNITED_STATES) }
    }

    /// Whether that is one of them.
    pub fn shows(self, record: &Record) -> bool {
        let is_offered = |offered: &[Exemption]| {
            record.state == State::Approved && record.terms.exemption.is_some_and(|under| offered.contains(&under))
        };
        match self {
            Sees::All => true,
            Sees::Some { own, offered } => own == Some(record.issuer_id) || is_offered(offered),
        }
    }

    /// As a filter of rows: whose own, and the exemptions of others'; neither is all of them.
    pub(super) fn filter(self) -> (Option<Uuid>, Option<Vec<&'static str>>) {
        match self {
            Sees::All => (None, None),
            Sees::Some { own, offered } => (own, Some(offered.iter().map(|exemption| exemption.as_str()).collect())),
        }
    }
}

/// What is offered to whom: whose KYC is approved, and who is abroad.
fn offered(approved: bool, abroad: bool) -> &'static [Exemption] {
    use Exemption::{RegS, Rule506b, Rule506c};
    match (approved, abroad) {
        (true, true) => &[Rule506c, Rule506b, RegS],
        (true, false) => &[Rule506c, Rule506b],
        (false, true) => &[Rule506c, RegS],
        (false, false) => &[Rule506c],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_506c_is_offered_to_all_506b_to_whom_is_approved_and_regulation_s_abroad() {
        for (approved, abroad) in [(true, true), (true, false), (false, true), (false, false)] {
            let offered = offered(approved, abroad);
            assert!(offered.contains(&Exemption::Rule506c));
            assert_eq!(offered.contains(&Exemption::Rule506b), approved);
            assert_eq!(offered.contains(&Exemption::RegS), abroad);
        }
    }
}
