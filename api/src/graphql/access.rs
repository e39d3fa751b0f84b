//! What whoever asks may see. Chain facts by address are public; who is behind an address is not.

use uuid::Uuid;

use super::fault::{Code, Fault};
use crate::auth::Viewer;
use crate::policy::{Operation, POLICY, Role, Scope};

/// The asker: anonymous, or the viewer of a token.
#[derive(Debug, Clone)]
pub struct Access {
    viewer: Option<Viewer>,
    parties: Parties,
}

/// Whose party ids show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parties {
    /// Nobody's.
    None,
    /// An investor's own.
    Own(String),
    /// Those of the holders of an issuer's own instruments.
    HoldersOf(Uuid),
    /// Everybody's.
    All,
}

/// A service token reads who holds what with the scope that reads holdings, or with the one for compliance records.
const PARTY_SCOPES: &[Scope] = &[Scope::DataRead, Scope::ComplianceRead];

impl Access {
    /// By the token that was sent, if one was.
    pub fn of(viewer: Option<Viewer>) -> Access {
        let parties = viewer.as_ref().map_or(Parties::None, Parties::of);
        Access { viewer, parties }
    }

    /// Whose token it is.
    pub fn viewer(&self) -> Option<&Viewer> {
        self.viewer.as_ref()
    }

    pub(super) fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Whether the asker may do what a REST operation does.
    ///
    /// # Errors
    /// The same refusals, by the same row of the policy table.
    pub(super) fn may(&self, operation: Operation) -> Result<&Viewer, Fault> {
        let viewer = self.viewer.as_ref().ok_or_else(|| {
            Fault::new(Code::Unauthenticated, "not authenticated: send an authorization header with a bearer token")
        })?;
        let permitted = POLICY
            .iter()
            .any(|rule| rule.operation == operation && rule.who.permits(viewer.role) && viewer.has_scope(rule.scopes));
        if permitted {
            Ok(viewer)
        } else {
            let message = format!("this token of the role {} may not read this", viewer.role);
            Err(Fault::new(Code::Forbidden, message))
        }
    }
}

impl Parties {
    fn of(viewer: &Viewer) -> Parties {
        if !viewer.has_scope(PARTY_SCOPES) {
            return Parties::None;
        }
        match viewer.role {
            Role::Investor => viewer.party_id.clone().map_or(Parties::None, Parties::Own),
            Role::Issuer => viewer.issuer_id.map_or(Parties::None, Parties::HoldersOf),
            Role::ComplianceOfficer | Role::TransferAgent | Role::SuperAdmin => Parties::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::auth::Subject;

    fn viewer(role: Role, scopes: Option<Vec<Scope>>) -> Viewer {
        let id = Uuid::now_v7();
        Viewer {
            subject: scopes.map_or(Subject::User(id), |scopes| Subject::Service { id, scopes }),
            role,
            issuer_id: (role == Role::Issuer).then(Uuid::nil),
            party_id: (role == Role::Investor).then(|| "alice::1".to_owned()),
            token_id: id,
            expires_at: OffsetDateTime::now_utc(),
            suspended: false,
        }
    }

    fn parties(role: Role, scopes: Option<Vec<Scope>>) -> Parties {
        Access::of(Some(viewer(role, scopes))).parties
    }

    #[test]
    fn staff_see_every_party_an_issuer_its_holders_an_investor_itself_and_anyone_nobody() {
        assert_eq!(Access::of(None).parties, Parties::None);
        assert_eq!(parties(Role::Investor, None), Parties::Own("alice::1".into()));
        assert_eq!(parties(Role::Issuer, None), Parties::HoldersOf(Uuid::nil()));
        for role in [Role::ComplianceOfficer, Role::TransferAgent, Role::SuperAdmin] {
            assert_eq!(parties(role, None), Parties::All);
        }
    }

    #[test]
    fn a_service_token_sees_parties_only_with_a_scope_that_reads_them() {
        assert_eq!(parties(Role::SuperAdmin, Some(vec![Scope::OpsRead, Scope::LedgerWrite])), Parties::None);
        assert_eq!(parties(Role::SuperAdmin, Some(vec![Scope::DataRead])), Parties::All);
        assert_eq!(parties(Role::ComplianceOfficer, Some(vec![Scope::ComplianceRead])), Parties::All);
    }

    #[test]
    fn an_operation_is_open_here_to_whom_rest_opens_it() {
        for rule in POLICY {
            assert_eq!(Access::of(None).may(rule.operation).unwrap_err().code, Code::Unauthenticated);
            for role in Role::ALL {
                let person = Access::of(Some(viewer(role, None)));
                assert_eq!(person.may(rule.operation).is_ok(), rule.who.permits(role), "{} {role}", rule.id);
                let tool = Access::of(Some(viewer(role, Some(vec![Scope::DataRead]))));
                let open = rule.who.permits(role) && rule.scopes.contains(&Scope::DataRead);
                assert_eq!(tool.may(rule.operation).is_ok(), open, "{} {role}", rule.id);
            }
        }
    }
}
