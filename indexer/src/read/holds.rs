use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::{Columns, int};

/// Why units are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldKind {
    /// An agent's, until he redeems the units or lets them go.
    Redemption,
    /// Lockup of units sold under Regulation D.
    RegD,
    /// Lockup of units sold under Regulation S.
    RegS,
    /// A kind that this program does not know.
    Other(u8),
}

impl HoldKind {
    /// As the contract numbers it.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Redemption,
            2 => Self::RegD,
            3 => Self::RegS,
            other => Self::Other(other),
        }
    }

    /// The contract's number of it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Redemption => 1,
            Self::RegD => 2,
            Self::RegS => 3,
            Self::Other(other) => other,
        }
    }
}

/// Units of a wallet that may not move, though they are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The token's own number for it; older ones have lower numbers.
    pub id: u64,
    /// Why.
    pub kind: HoldKind,
    /// Base units.
    pub amount: U256,
    /// Unix seconds from which it no longer binds; `None` = never.
    pub until: Option<u64>,
    /// Who may release and execute it; `None`: nobody, it ends by time.
    pub agent: Option<Address>,
}

/// The holds of each (token, wallet) that bind at the indexed head, or bound at a block, oldest first; wallets without
/// any are left out.
///
/// # Errors
/// The database's.
pub async fn holds_of_wallets(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    at: Option<u64>,
    wallets: &[(Address, Address)],
) -> Result<HashMap<(Address, Address), Vec<Hold>>, sqlx::Error> {
    let query = match at {
        None => {
            "SELECT k.token, k.wallet, k.hold_id, k.kind, k.amount, k.until, k.agent
               FROM unnest($2::bytea[], $3::bytea[]) AS t (token, wallet)
               JOIN unexpired_holds k ON k.chain_id = $1 AND k.token = t.token AND k.wallet = t.wallet
              WHERE $4::bigint IS NULL
              ORDER BY k.token, k.wallet, k.hold_id"
        }
        Some(_) => {
            "SELECT t.token, t.wallet, k.hold_id, k.kind, k.amount, k.until, k.agent
               FROM unnest($2::bytea[], $3::bytea[]) AS t (token, wallet)
              CROSS JOIN LATERAL holds_of_at($1, t.token, t.wallet, $4) k
              ORDER BY t.token, t.wallet, k.hold_id"
        }
    };
    let rows = sqlx::query(query)
        .bind(int(chain_id))
        .bind(wallets.iter().map(|(token, _)| Addr(*token)).collect::<Vec<_>>())
        .bind(wallets.iter().map(|(_, wallet)| Addr(*wallet)).collect::<Vec<_>>())
        .bind(at.map(int))
        .fetch_all(db)
        .await?;
    let mut holds: HashMap<_, Vec<Hold>> = HashMap::new();
    for row in &rows {
        let hold = Hold {
            id: row.height("hold_id")?,
            // The column holds a chain's byte.
            kind: HoldKind::from_code(u8::try_from(row.try_get::<i16, _>("kind")?).unwrap_or(u8::MAX)),
            amount: row.amount("amount")?,
            until: Some(row.height("until")?).filter(|until| *until > 0),
            agent: row.maybe_address("agent")?,
        };
        holds.entry((row.address("token")?, row.address("wallet")?)).or_default().push(hold);
    }
    Ok(holds)
}
