//! Who sees an offering. One place, for lists and details and the documents alike.

use uuid::Uuid;

use crate::auth::Viewer;
use crate::policy::Role;

/// Which offerings somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// Every one.
    All,
    /// Those of this issuer.
    Of(Uuid),
    /// None.
    Nothing,
}

impl Sees {
    /// An issuer its own, staff all.
    pub fn of(viewer: &Viewer) -> Sees {
        match viewer.role {
            Role::SuperAdmin | Role::TransferAgent | Role::ComplianceOfficer => Sees::All,
            // An issuer always has one: a database constraint.
            Role::Issuer => viewer.issuer_id.map_or(Sees::Nothing, Sees::Of),
            Role::Investor => Sees::Nothing,
        }
    }

    /// Whether that is one of them.
    pub fn one_of(self, issuer_id: Uuid) -> bool {
        match self {
            Sees::All => true,
            Sees::Of(own) => own == issuer_id,
            Sees::Nothing => false,
        }
    }

    /// As a filter of rows: all of them, or this issuer's. Nobody has the nil one.
    pub fn issuer(self) -> Option<Uuid> {
        match self {
            Sees::All => None,
            Sees::Of(own) => Some(own),
            Sees::Nothing => Some(Uuid::nil()),
        }
    }
}
