use async_graphql::{Enum, Object};
use time::OffsetDateTime;
use tokenx_indexer::read;

use crate::graphql::scalars::{Addr, BigInt, Decimal, time_of};

/// Units of a wallet that may not move, though they are its own.
pub(in crate::graphql) struct Hold {
    row: read::Hold,
    decimals: u8,
}

impl Hold {
    pub(super) fn new(row: read::Hold, decimals: u8) -> Hold {
        Hold { row, decimals }
    }
}

/// Why units are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum HoldKind {
    /// An agent's, until he redeems the units or lets them go.
    Redemption,
    /// Lockup of units sold under Regulation D.
    RegD,
    /// Lockup of units sold under Regulation S.
    RegS,
    /// Another reason.
    Other,
}

#[Object]
impl Hold {
    /// The token's own number for it; older ones have lower numbers.
    async fn id(&self) -> u64 {
        self.row.id
    }

    /// Why the units are held.
    async fn kind(&self) -> HoldKind {
        match self.row.kind {
            read::HoldKind::Redemption => HoldKind::Redemption,
            read::HoldKind::RegD => HoldKind::RegD,
            read::HoldKind::RegS => HoldKind::RegS,
            read::HoldKind::Other(_) => HoldKind::Other,
        }
    }

    /// How much, in whole tokens.
    async fn amount(&self) -> Decimal {
        Decimal::of(self.row.amount, self.decimals)
    }

    /// How much, in base units.
    async fn amount_raw(&self) -> BigInt {
        BigInt(self.row.amount)
    }

    /// From when on it no longer binds; null: until its agent ends it.
    async fn until(&self) -> Option<OffsetDateTime> {
        self.row.until.map(time_of)
    }

    /// Who may release and execute it; null for a lockup, which ends by time.
    async fn agent(&self) -> Option<Addr> {
        self.row.agent.map(Addr)
    }
}
