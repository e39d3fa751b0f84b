//! What the indexed chain and the open commands say about a request: read in one statement, hence of one snapshot,
//! so that a burn just mined is counted as balance or as reservation, never as both and never as neither.

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use tokenx_contracts::InstrumentId;
use tokenx_migrations::{Addr, Uint256};

use crate::Operation;

/// Facts about the instrument, the wallet drawn on and the wallet that receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The instrument as indexed; `None` if there is none of that id.
    pub instrument: Option<Instrument>,
    /// The position the operation is about.
    pub position: Position,
    /// The registry's record of the wallet it is about.
    pub wallet: Investor,
    /// Of a forced transfer: is the receiving wallet frozen as a whole?
    pub receiver_frozen: bool,
    /// Of a forced transfer: the registry's record of the receiving wallet.
    pub receiver: Investor,
}

/// An instrument, by what intake must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Its contract.
    pub token: Address,
    /// Decimals of its amounts, by which people are told of them.
    pub decimals: u8,
    /// The Executor that operates it; `None` for a followed token of somebody else's.
    pub executor: Option<Address>,
    /// Units in existence at the indexed head.
    pub total_supply: U256,
    /// Cap on those; `None` where unknown.
    pub max_supply: Option<U256>,
    /// Mint and burn are stopped.
    pub supply_paused: bool,
    /// Its logs do not add up: what is known of its balances is not enough to act on.
    pub inexact: bool,
}

/// A wallet's position in the instrument, with what open commands will take from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Units held at the indexed head.
    pub balance: U256,
    /// Units frozen; may exceed the balance.
    pub frozen: U256,
    /// Is the wallet frozen as a whole?
    pub address_frozen: bool,
    /// Units that open commands have asked for and the chain has not taken yet.
    pub reserved: U256,
    /// A partial freeze, or the end of one, has not run yet.
    pub freeze_open: bool,
    /// A forced transfer or burn has not run yet.
    pub force_open: bool,
}

/// The registry's record of a wallet; the default is no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Investor {
    /// Its investor; 0 = none.
    pub investor_id: u64,
    /// May hold and trade.
    pub whitelisted: bool,
    /// Under sanctions.
    pub sanctioned: bool,
    /// Unix seconds from which the KYC no longer counts; 0 = never.
    pub kyc_expires_at: u64,
}

impl Position {
    /// Units free to be burned or moved: neither frozen nor asked for by an open command.
    pub fn spendable(&self) -> U256 {
        if self.address_frozen {
            return U256::ZERO;
        }
        self.balance.saturating_sub(self.frozen).saturating_sub(self.reserved)
    }

    /// Units that force can take: frozen ones too. Asked only while no freeze is open, so what is reserved leaves.
    pub fn seizable(&self) -> U256 {
        self.balance.saturating_sub(self.reserved)
    }
}

const WHITELISTED: i16 = 1;
const SANCTIONED: i16 = 2;

/// Reads the facts about each operation, in their order. Call it under the subjects' locks where operations reserve or
/// freeze.
pub(crate) async fn read_all(
    conn: &mut PgConnection,
    chain_id: i64,
    operations: &[&Operation],
) -> Result<Vec<Facts>, sqlx::Error> {
    let each = |value: fn(&Operation) -> Option<Address>| {
        operations.iter().map(|operation| value(operation).map(Addr)).collect::<Vec<_>>()
    };
    let rows = sqlx::query(
        "SELECT i.token, i.decimals, i.executor, i.total_supply, i.max_supply, i.supply_paused,
                i.inexact_block IS NOT NULL AS inexact,
                h.balance, h.frozen, h.address_frozen,
                w.investor_id, w.flags, w.kyc_expires_at,
                rh.address_frozen  AS receiver_frozen,
                rw.investor_id     AS receiver_investor_id,
                rw.flags           AS receiver_flags,
                rw.kyc_expires_at  AS receiver_kyc_expires_at,
                open.reserved, open.freeze_open, open.force_open
           FROM (SELECT $1::bigint AS chain_id, *
                   FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::text[])
                        WITH ORDINALITY AS a (instrument_id, wallet, receiver, subject, place)) asked
           LEFT JOIN LATERAL (
                SELECT *
                  FROM instruments i
                 WHERE i.chain_id = asked.chain_id AND i.instrument_id = asked.instrument_id
                 ORDER BY i.created_block, i.created_log
                 LIMIT 1
                ) i ON true
           LEFT JOIN holdings h
                  ON h.chain_id = asked.chain_id AND h.token = i.token AND h.wallet = asked.wallet
           LEFT JOIN investor_wallets w
                  ON w.chain_id = asked.chain_id AND w.wallet = asked.wallet
           LEFT JOIN holdings rh
                  ON rh.chain_id = asked.chain_id AND rh.token = i.token AND rh.wallet = asked.receiver
           LEFT JOIN investor_wallets rw
                  ON rw.chain_id = asked.chain_id AND rw.wallet = asked.receiver
          CROSS JOIN LATERAL (
                SELECT coalesce(sum(c.reserves::numeric), 0) AS reserved,
                       coalesce(bool_or(c.kind IN ('freeze', 'unfreeze')), false) AS freeze_open,
                       coalesce(bool_or(c.kind IN ('forced_transfer', 'forced_burn')), false) AS force_open
                  FROM commands c
                 WHERE c.subject = asked.subject
                   AND c.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared', 'broadcast')
                ) open
          ORDER BY asked.place",
    )
    .bind(chain_id)
    .bind(operations.iter().map(|operation| operation.instrument().map(InstrumentId::as_str)).collect::<Vec<_>>())
    .bind(each(Operation::wallet))
    .bind(each(receiver))
    // Nobody's reservation matters to what draws on nothing: a thousand open mints cost the next one nothing.
    .bind(operations.iter().map(|o| o.is_serialised().then(|| o.subject())).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.iter().map(from_row).collect()
}

/// The wallet that receives what another one gives.
fn receiver(operation: &Operation) -> Option<Address> {
    match operation {
        Operation::ForcedTransfer { to, .. } => Some(*to),
        _ => None,
    }
}

fn from_row(row: &PgRow) -> Result<Facts, sqlx::Error> {
    let amount = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<Uint256>, _>(column)?.map(|amount| amount.0));
    let instrument = match row.try_get::<Option<Addr>, _>("token")? {
        None => None,
        Some(token) => Some(Instrument {
            token: token.0,
            // The column's CHECK keeps it within a byte.
            decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
            executor: row.try_get::<Option<Addr>, _>("executor")?.map(|address| address.0),
            total_supply: amount("total_supply")?.unwrap_or_default(),
            max_supply: amount("max_supply")?,
            inexact: row.try_get("inexact")?,
            supply_paused: row.try_get::<Option<bool>, _>("supply_paused")?.unwrap_or_default(),
        }),
    };
    Ok(Facts {
        instrument,
        position: Position {
            balance: amount("balance")?.unwrap_or_default(),
            frozen: amount("frozen")?.unwrap_or_default(),
            address_frozen: row.try_get::<Option<bool>, _>("address_frozen")?.unwrap_or_default(),
            reserved: amount("reserved")?.unwrap_or_default(),
            freeze_open: row.try_get("freeze_open")?,
            force_open: row.try_get("force_open")?,
        },
        wallet: investor(row, ["investor_id", "flags", "kyc_expires_at"])?,
        receiver_frozen: row.try_get::<Option<bool>, _>("receiver_frozen")?.unwrap_or_default(),
        receiver: investor(row, ["receiver_investor_id", "receiver_flags", "receiver_kyc_expires_at"])?,
    })
}

fn investor(row: &PgRow, [id, flags, expires]: [&str; 3]) -> Result<Investor, sqlx::Error> {
    let Some(investor_id) = row.try_get::<Option<i64>, _>(id)? else {
        return Ok(Investor::default());
    };
    let flags = row.try_get::<i16, _>(flags)?;
    Ok(Investor {
        // The column holds the chain's 64 bits.
        investor_id: investor_id.cast_unsigned(),
        whitelisted: flags & WHITELISTED != 0,
        sanctioned: flags & SANCTIONED != 0,
        kyc_expires_at: row.try_get::<i64, _>(expires)?.cast_unsigned(),
    })
}
