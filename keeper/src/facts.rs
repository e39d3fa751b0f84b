//! What the indexed chain and the open commands say about a request: read in one statement, hence of one snapshot,
//! so that a burn just mined is counted as balance or as reservation, never as both and never as neither.

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use tokenx_contracts::InstrumentId;
use tokenx_migrations::{Addr, Uint256, Word};

use crate::operation::{Contract, Operation};

/// Facts about the instrument, the wallet drawn on and the wallet that receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The instrument as indexed; `None` if there is none of that id.
    pub instrument: Option<Instrument>,
    /// The position the operation is about.
    pub position: Position,
    /// The registry's record of the wallet it is about.
    pub wallet: Investor,
    /// Of a forced transfer or a recovery: is the receiving wallet frozen as a whole?
    pub receiver_frozen: bool,
    /// Of a forced transfer or a recovery: the registry's record of the receiving wallet.
    pub receiver: Investor,
    /// The hold that is to end.
    pub hold: Option<Hold>,
    /// Has the instrument the document that the operation is about?
    pub has_document: bool,
    /// The contract of the instrument's node that does it, where one does.
    pub contract: Option<Address>,
    /// The Executor of the node that a token is to be made of.
    pub node_executor: Option<Address>,
    /// The open request for a redemption that is to end.
    pub request: Option<Request>,
    /// What was signed counts no more: its wallet has used its salt there, or taken it back.
    pub intent_used: bool,
    /// Of the wallets that are to sign and have not: those whose keys are here, claimed by their owners.
    pub hosted: Vec<Address>,
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
    /// Most wallets with a balance; 0 = no limit.
    pub max_holders: i64,
    /// Wallets with a balance, where there is such a limit.
    pub holders: i64,
    /// Most base units of one wallet; 0 = no limit.
    pub max_balance: U256,
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
    /// Units under holds that have not expired.
    pub held: U256,
    /// Holds that the token keeps.
    pub holds: i64,
    /// Units that open commands have asked for and the chain has not taken yet.
    pub reserved: U256,
    /// A command that changes the balance has not run yet.
    pub draws_open: bool,
    /// A partial freeze, or the end of one, has not run yet.
    pub freeze_open: bool,
    /// A forced transfer or burn has not run yet.
    pub force_open: bool,
}

/// A hold on units of a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Base units.
    pub amount: U256,
    /// Unix seconds from which it no longer binds; 0 = never.
    pub until: u64,
    /// Who may release and execute it; `None` of a lockup.
    pub agent: Option<Address>,
}

/// A request for a redemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Base units of its payment token that its wallet takes for all of it, at least.
    pub min_payout: U256,
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
    /// The instrument does not admit its country.
    pub country_refused: bool,
}

impl Position {
    /// Units free to be burned or moved: neither frozen, nor held, nor asked for by an open command.
    pub fn spendable(&self) -> U256 {
        self.spendable_but_for_holds().saturating_sub(self.held)
    }

    /// What would be free if nothing were held.
    pub fn spendable_but_for_holds(&self) -> U256 {
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
    // Through sub-selects the arrays' lengths stay hidden from the planner, which would plan this anew each time for one of
    // known length: five times as long as running it.
    let rows = sqlx::query(
        "SELECT i.token, i.decimals, i.executor, i.total_supply, i.max_supply, i.supply_paused,
                i.inexact_block IS NOT NULL AS inexact,
                i.max_holders, i.max_balance,
                CASE WHEN i.max_holders > 0 THEN holder_count(asked.chain_id, i.token) ELSE 0 END AS holders,
                h.balance, h.frozen, h.address_frozen,
                w.investor_id, w.flags, w.kyc_expires_at,
                rh.address_frozen  AS receiver_frozen,
                rw.investor_id     AS receiver_investor_id,
                rw.flags           AS receiver_flags,
                rw.kyc_expires_at  AS receiver_kyc_expires_at,
                country_refused(i.country_mode, i.countries, w.country)  AS country_refused,
                country_refused(i.country_mode, i.countries, rw.country) AS receiver_country_refused,
                held.amount AS held, held.holds,
                k.amount AS hold_amount, k.until AS hold_until, k.agent AS hold_agent,
                EXISTS (SELECT FROM documents d
                         WHERE d.chain_id = asked.chain_id AND d.token = i.token AND d.name = asked.document) AS has_document,
                node.contract, node.executor AS node_executor,
                (SELECT q.min_payout::numeric
                   FROM redemptions q
                  WHERE q.chain_id = asked.chain_id AND q.contract = node.contract AND q.token = i.token
                    AND q.request_id = asked.request_id AND q.approved IS NULL) AS min_payout,
                EXISTS (SELECT FROM intents n
                         WHERE n.chain_id = asked.chain_id AND n.wallet = asked.wallet AND n.salt = asked.salt
                           AND n.contract = node.contract) AS intent_used,
                CASE WHEN asked.mandate THEN
                ARRAY(SELECT y.address::bytea
                        FROM hosted_keys y
                       WHERE y.address IN (asked.wallet, asked.receiver) AND y.owner IS NOT NULL)
                END AS hosted,
                open.reserved, open.freeze_open, open.force_open, open.draws_open
           FROM (SELECT $1::bigint AS chain_id, *
                   FROM unnest((SELECT $2::text[]), (SELECT $3::bytea[]), (SELECT $4::bytea[]), (SELECT $5::text[]),
                               (SELECT $6::bigint[]), (SELECT $7::bytea[]), (SELECT $8::text[]), (SELECT $9::bytea[]),
                               (SELECT $10::bytea[]), (SELECT $11::bigint[]), (SELECT $12::boolean[]))
                        WITH ORDINALITY AS a (instrument_id, wallet, receiver, subject, hold_id, document, contract,
                                              node_key, salt, request_id, mandate, place)) asked
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
           LEFT JOIN holds k
                  ON k.chain_id = asked.chain_id AND k.token = i.token AND k.wallet = asked.wallet
                     AND k.hold_id = asked.hold_id
          CROSS JOIN LATERAL (
                SELECT CASE WHEN asked.contract IS NOT NULL THEN
                       (SELECT t.contract::bytea
                          FROM token_contracts t
                         WHERE t.chain_id = asked.chain_id AND t.token = i.token AND t.kind = asked.contract)
                       END AS contract,
                       CASE WHEN asked.node_key IS NOT NULL THEN
                       (SELECT e.address::bytea
                          FROM watched e
                         WHERE e.chain_id = asked.chain_id AND e.node_key = asked.node_key AND e.kind = 'executor'
                         ORDER BY e.from_block DESC
                         LIMIT 1)
                       END AS executor
                ) node
          CROSS JOIN LATERAL (
                SELECT coalesce(sum(u.amount::numeric), 0) AS amount, count(*) AS holds
                  FROM unexpired_holds u
                 WHERE u.chain_id = asked.chain_id AND u.token = i.token AND u.wallet = asked.wallet
                ) held
          CROSS JOIN LATERAL (
                SELECT coalesce(sum(c.reserves::numeric), 0) AS reserved,
                       coalesce(bool_or(c.kind IN ('freeze', 'unfreeze')), false) AS freeze_open,
                       coalesce(bool_or(c.kind IN ('forced_transfer', 'forced_burn', 'recover')), false) AS force_open,
                       coalesce(bool_or(c.kind IN ('mint', 'mint_locked', 'burn', 'execute_hold', 'buy')), false) AS draws_open
                  FROM command_states s
                  JOIN commands c USING (seq)
                 WHERE s.subject = asked.subject
                   AND s.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared')
                ) open
          ORDER BY asked.place",
    )
    .bind(chain_id)
    .bind(operations.iter().map(|operation| operation.instrument().map(InstrumentId::as_str)).collect::<Vec<_>>())
    .bind(each(Operation::wallet))
    .bind(each(Operation::receiver))
    // Nobody's reservation matters to what draws on nothing: a thousand open mints cost the next one nothing.
    .bind(operations.iter().map(|o| o.is_serialised().then(|| o.subject())).collect::<Vec<_>>())
    .bind(operations.iter().map(|o| o.hold_id().and_then(|id| i64::try_from(id).ok())).collect::<Vec<_>>())
    .bind(operations.iter().map(|o| o.document().map(Word)).collect::<Vec<_>>())
    .bind(operations.iter().map(|o| o.contract().map(Contract::name)).collect::<Vec<_>>())
    .bind(operations.iter().map(|o| o.node().map(Word)).collect::<Vec<_>>())
    .bind(operations.iter().map(|o| o.salt().map(Word)).collect::<Vec<_>>())
    .bind(operations.iter().map(|o| o.request_id().and_then(|id| i64::try_from(id).ok())).collect::<Vec<_>>())
    .bind(operations.iter().map(|o| o.mandates().next().is_some()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.iter().map(from_row).collect()
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
            max_holders: row.try_get("max_holders")?,
            holders: row.try_get("holders")?,
            max_balance: amount("max_balance")?.unwrap_or_default(),
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
            held: amount("held")?.unwrap_or_default(),
            holds: row.try_get("holds")?,
            reserved: amount("reserved")?.unwrap_or_default(),
            draws_open: row.try_get("draws_open")?,
            freeze_open: row.try_get("freeze_open")?,
            force_open: row.try_get("force_open")?,
        },
        wallet: investor(row, ["investor_id", "flags", "kyc_expires_at", "country_refused"])?,
        receiver_frozen: row.try_get::<Option<bool>, _>("receiver_frozen")?.unwrap_or_default(),
        receiver: investor(
            row,
            ["receiver_investor_id", "receiver_flags", "receiver_kyc_expires_at", "receiver_country_refused"],
        )?,
        hold: match amount("hold_amount")? {
            None => None,
            Some(amount) => Some(Hold {
                amount,
                until: row.try_get::<i64, _>("hold_until")?.cast_unsigned(),
                agent: row.try_get::<Option<Addr>, _>("hold_agent")?.map(|address| address.0),
            }),
        },
        has_document: row.try_get("has_document")?,
        contract: row.try_get::<Option<Addr>, _>("contract")?.map(|address| address.0),
        node_executor: row.try_get::<Option<Addr>, _>("node_executor")?.map(|address| address.0),
        request: amount("min_payout")?.map(|min_payout| Request { min_payout }),
        intent_used: row.try_get("intent_used")?,
        hosted: row
            .try_get::<Option<Vec<Addr>>, _>("hosted")?
            .map_or_else(Vec::new, |wallets| wallets.into_iter().map(Address::from).collect()),
    })
}

fn investor(row: &PgRow, [id, flags, expires, refused]: [&str; 4]) -> Result<Investor, sqlx::Error> {
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
        country_refused: row.try_get::<Option<bool>, _>(refused)?.unwrap_or_default(),
    })
}
