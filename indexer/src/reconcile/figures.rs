//! The tables' side: figures of tokens and wallets at the indexed head, read in one snapshot with its block. As text,
//! since a wrong row or sum may lie beyond what a chain's number can be.

use std::collections::HashSet;

use alloy::primitives::{Address, B256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use super::nodes;
use super::question::{Question, View};
use crate::read::{self, Columns, int};

/// A place in the rotation: a token, and a wallet or nothing for the token's own figures, which come before its wallets.
pub(super) type Key = (Vec<u8>, Vec<u8>);

/// A token, and a wallet or nothing for the token's own figures.
pub(super) type Place = (Address, Option<Address>);

/// Which part of the tables.
pub(super) enum Part<'a> {
    /// The next ones after a place, at most so many.
    After(&'a Key, u32),
    /// These.
    Keys(&'a [Key]),
}

/// Figures, all as of one block.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) number: u64,
    pub(super) hash: B256,
    /// The places it covers, in order.
    pub(super) keys: Vec<Key>,
    pub(super) questions: Vec<Question>,
}

impl Slice {
    /// The places that were asked about: those of tokens that are inexact or not read to the end are not.
    pub(super) fn asked(&self) -> HashSet<Place> {
        self.questions.iter().map(|question| (question.token, question.wallet)).collect()
    }
}

/// Reads a part of the tables; `None` for a chain that was never followed.
pub(super) async fn read(pool: &PgPool, chain_id: u64, part: Part<'_>) -> Result<Option<Slice>, sqlx::Error> {
    let mut tx = read::snapshot(pool).await?;
    let Some(cursor) = read::cursor(&mut *tx, chain_id).await? else { return Ok(None) };
    let keys = match part {
        Part::After(after, limit) => next(chain_id, after, limit, &mut tx).await?,
        Part::Keys(keys) => keys.to_vec(),
    };
    let mut questions = Vec::new();
    let mut own = Vec::new();
    for row in tokens(chain_id, cursor.number, &keys, &mut tx).await? {
        token_questions(&row, &mut questions)?;
        own.extend((!row.try_get::<bool, _>("foreign_token")?).then_some(row.address("key_token")?));
    }
    nodes::questions(chain_id, &own, &mut questions, &mut tx).await?;
    for row in wallets(chain_id, &keys, &mut tx).await? {
        wallet_questions(&row, &mut questions)?;
    }
    tx.commit().await?;
    Ok(Some(Slice { number: cursor.number, hash: cursor.hash, keys, questions }))
}

/// The next places. Rows of state alone would not do, since one may have been removed: whoever has a history must have a
/// state. The histories are long, so they are stepped through by index, wallet by wallet: each begins with a change from
/// nothing.
async fn next(chain_id: u64, after: &Key, limit: u32, tx: &mut PgConnection) -> Result<Vec<Key>, sqlx::Error> {
    sqlx::query_as(
        "WITH RECURSIVE moved AS (
             (SELECT token::bytea AS token, wallet::bytea AS wallet
                FROM holding_changes
               WHERE chain_id = $1 AND (token, wallet) > ($2, $3) AND delta = balance_after
               ORDER BY token, wallet
               LIMIT 1)
              UNION ALL
             SELECT n.token, n.wallet
               FROM moved m
              CROSS JOIN LATERAL (SELECT c.token::bytea AS token, c.wallet::bytea AS wallet
                                    FROM holding_changes c
                                   WHERE c.chain_id = $1 AND (c.token, c.wallet) > (m.token, m.wallet)
                                     AND c.delta = c.balance_after
                                   ORDER BY c.token, c.wallet
                                   LIMIT 1) n
         ),
         refrozen AS (
             (SELECT token::bytea AS token, wallet::bytea AS wallet
                FROM freezes
               WHERE chain_id = $1 AND (token, wallet) > ($2, $3)
               ORDER BY token, wallet
               LIMIT 1)
              UNION ALL
             SELECT n.token, n.wallet
               FROM refrozen m
              CROSS JOIN LATERAL (SELECT c.token::bytea AS token, c.wallet::bytea AS wallet
                                    FROM freezes c
                                   WHERE c.chain_id = $1 AND (c.token, c.wallet) > (m.token, m.wallet)
                                   ORDER BY c.token, c.wallet
                                   LIMIT 1) n
         )
         SELECT token, wallet
           FROM ((SELECT token, wallet FROM moved LIMIT $4)
                  UNION
                 (SELECT token, wallet FROM refrozen LIMIT $4)
                  UNION
                 (SELECT token::bytea, wallet::bytea
                    FROM holdings
                   WHERE chain_id = $1 AND (token, wallet) > ($2, $3)
                   ORDER BY token, wallet
                   LIMIT $4)
                  UNION
                 (SELECT token::bytea, wallet::bytea
                    FROM holds
                   WHERE chain_id = $1 AND (token, wallet) > ($2, $3)
                   ORDER BY token, wallet
                   LIMIT $4)
                  UNION
                 (SELECT address::bytea, ''::bytea
                    FROM watched
                   WHERE chain_id = $1 AND kind IN ('token', 'followed') AND address > $2)
                  UNION
                 (SELECT token::bytea, ''::bytea FROM instruments WHERE chain_id = $1 AND token > $2)) keys
          ORDER BY token, wallet
          LIMIT $4",
    )
    .bind(int(chain_id))
    .bind(&after.0)
    .bind(&after.1)
    .bind(i64::from(limit))
    .fetch_all(tx)
    .await
}

/// The tokens among `keys`, but for those that are known to be wrong or not read to the end, which say so themselves, and
/// those that are not there yet at block `at`.
async fn tokens(chain_id: u64, at: u64, keys: &[Key], tx: &mut PgConnection) -> Result<Vec<PgRow>, sqlx::Error> {
    let tokens: Vec<&[u8]> =
        keys.iter().filter(|(_, wallet)| wallet.is_empty()).map(|(token, _)| token.as_slice()).collect();
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query(
        "SELECT k.token AS key_token, i.*,
                w.kind IS DISTINCT FROM 'token' AS foreign_token,
                i.total_supply::text AS supply, i.max_supply::text AS most,
                i.max_holders || ' ' || i.max_balance AS limits,
                i.country_mode || ' ' || encode(i.countries, 'hex') AS country_rule,
                holder_count($1, k.token)::text AS holders,
                (SELECT sum(h.balance)::text FROM holdings h WHERE h.chain_id = $1 AND h.token = k.token) AS held,
                (SELECT c.supply_after::text
                   FROM supply_changes c
                  WHERE c.chain_id = $1 AND c.token = k.token
                  ORDER BY c.block_number DESC, c.log_index DESC
                  LIMIT 1) AS last_supply
           FROM unnest($2::bytea[]) AS k (token)
           LEFT JOIN instruments i ON i.chain_id = $1 AND i.token = k.token
           LEFT JOIN watched w     ON w.chain_id = $1 AND w.address = k.token
          WHERE i.inexact_block IS NULL AND w.filled_to IS NULL AND (i.created_block <= $3 OR i.created_block IS NULL)
          ORDER BY k.token",
    )
    .bind(int(chain_id))
    .bind(tokens)
    .bind(int(at))
    .fetch_all(tx)
    .await
}

fn token_questions(row: &PgRow, questions: &mut Vec<Question>) -> Result<(), sqlx::Error> {
    let token = row.address("key_token")?;
    let mut ask = |view, ours| questions.push(Question { at: token, token, wallet: None, view, ours });
    let supply: Option<String> = row.try_get("supply")?;
    let there = supply.is_some();
    let or_zero = |column| Ok::<_, sqlx::Error>(Some(row.try_get::<Option<String>, _>(column)?.unwrap_or_else(zero)));
    let sums = [("sum_of_holdings", or_zero("held")?), ("last_supply_change", or_zero("last_supply")?)];
    ask(View::TotalSupply, [("total_supply", supply)].into_iter().chain(sums).collect());
    if !there {
        return Ok(());
    }
    let decimals = vec![("decimals", Some(row.try_get::<i16, _>("decimals")?.to_string()))];
    if row.try_get("foreign_token")? {
        ask(View::OptionalDecimals, decimals);
        return Ok(());
    }
    let text = |column| row.try_get::<String, _>(column).map(Some);
    let flag = |column| row.try_get::<bool, _>(column).map(|flag| Some(flag.to_string()));
    ask(View::InstrumentId, vec![("instrument_id", text("instrument_id")?)]);
    ask(View::Name, vec![("name", text("name")?)]);
    ask(View::Symbol, vec![("symbol", text("symbol")?)]);
    ask(View::Decimals, decimals);
    ask(View::MaxSupply, vec![("max_supply", row.try_get("most")?)]);
    ask(View::Registry, vec![("registry", row.maybe_address("registry")?.map(|registry| registry.to_string()))]);
    ask(View::Paused, vec![("transfers_paused", flag("transfers_paused")?)]);
    ask(View::SupplyPaused, vec![("supply_paused", flag("supply_paused")?)]);
    ask(View::HolderCount, vec![("holder_count", text("holders")?)]);
    ask(View::Limits, vec![("limits", text("limits")?)]);
    ask(View::CountryRule, vec![("country_rule", text("country_rule")?)]);
    Ok(())
}

/// The wallets among `keys`, each with its state and the last word of its histories.
async fn wallets(chain_id: u64, keys: &[Key], tx: &mut PgConnection) -> Result<Vec<PgRow>, sqlx::Error> {
    let (tokens, wallets): (Vec<&[u8]>, Vec<&[u8]>) = keys
        .iter()
        .filter(|(_, wallet)| !wallet.is_empty())
        .map(|(token, wallet)| (token.as_slice(), wallet.as_slice()))
        .unzip();
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query(
        "SELECT k.token, k.wallet, h.balance::text AS balance, h.frozen::text AS frozen,
                h.address_frozen::text AS address_frozen,
                w.kind IS DISTINCT FROM 'token' AS foreign_token,
                m.balance_after::text AS last_balance, f.frozen::text AS last_frozen,
                f.address_frozen::text AS last_address_frozen,
                (SELECT coalesce(sum(u.amount), 0)::text
                   FROM unexpired_holds u
                  WHERE u.chain_id = $1 AND u.token = k.token AND u.wallet = k.wallet) AS held,
                (SELECT string_agg(format('%s %s %s %s %s', o.hold_id, o.kind, o.amount, o.until,
                                          coalesce(encode(o.agent, 'hex'), repeat('0', 40))), ', ' ORDER BY o.hold_id)
                   FROM holds o
                  WHERE o.chain_id = $1 AND o.token = k.token AND o.wallet = k.wallet) AS holds,
                EXISTS (SELECT
                          FROM hold_changes c
                         WHERE c.chain_id = $1 AND c.token = k.token AND c.wallet = k.wallet) AS ever_held,
                CASE WHEN EXISTS (SELECT
                                    FROM rent_periods p
                                    JOIN watched d ON d.chain_id = $1 AND d.address = p.contract AND d.filled_to IS NULL
                                   WHERE p.chain_id = $1 AND p.token = k.token)
                     THEN coalesce((SELECT a.accrued
                                      FROM rent_accounts a
                                     WHERE a.chain_id = $1 AND a.token = k.token AND a.wallet = k.wallet), 0)::text
                END AS rent
           FROM unnest($2::bytea[], $3::bytea[]) AS k (token, wallet)
           LEFT JOIN instruments i ON i.chain_id = $1 AND i.token = k.token
           LEFT JOIN watched w     ON w.chain_id = $1 AND w.address = k.token
           LEFT JOIN holdings h    ON h.chain_id = $1 AND h.token = k.token AND h.wallet = k.wallet
           LEFT JOIN LATERAL (SELECT c.balance_after
                                FROM holding_changes c
                               WHERE c.account_key = account_key(k.token, k.wallet)
                                 AND c.chain_id = $1 AND c.token = k.token AND c.wallet = k.wallet
                               ORDER BY c.block_number DESC, c.log_index DESC
                               LIMIT 1) m ON true
           LEFT JOIN LATERAL (SELECT c.frozen, c.address_frozen
                                FROM freezes c
                               WHERE c.chain_id = $1 AND c.token = k.token AND c.wallet = k.wallet
                               ORDER BY c.block_number DESC, c.log_index DESC
                               LIMIT 1) f ON true
          WHERE i.inexact_block IS NULL AND w.filled_to IS NULL
          ORDER BY k.token, k.wallet",
    )
    .bind(int(chain_id))
    .bind(tokens)
    .bind(wallets)
    .fetch_all(tx)
    .await
}

fn wallet_questions(row: &PgRow, questions: &mut Vec<Question>) -> Result<(), sqlx::Error> {
    let (token, wallet): (Address, Address) = (row.address("token")?, row.address("wallet")?);
    let mut ask = |view, ours| questions.push(Question { at: token, token, wallet: Some(wallet), view, ours });
    let text = |column| row.try_get::<Option<String>, _>(column);
    let (moved, refrozen, whole) = (text("last_balance")?, text("last_frozen")?, text("last_address_frozen")?);
    // A state and no history at all: nothing ever made that row.
    let history = moved.is_some() || refrozen.is_some();
    let last = |figure: Option<String>, or: fn() -> String| history.then(|| figure.unwrap_or_else(or));
    ask(View::Balance, vec![("balance", text("balance")?), ("last_holding_change", last(moved, zero))]);
    if row.try_get("foreign_token")? {
        return Ok(());
    }
    ask(View::Frozen, vec![("frozen", text("frozen")?), ("last_freeze", last(refrozen, zero))]);
    let no = || false.to_string();
    ask(
        View::AddressFrozen,
        vec![("address_frozen", text("address_frozen")?), ("last_address_freeze", last(whole, no))],
    );
    ask(View::Held, vec![("held", text("held")?)]);
    // Whoever never had one here and has some on the chain differs in their sum, or in nothing once they have expired.
    let holds = text("holds")?;
    if holds.is_some() || row.try_get("ever_held")? {
        ask(View::Holds, vec![("holds", Some(holds.unwrap_or_default()))]);
    }
    if let Some(rent) = text("rent")? {
        ask(View::RentOf, vec![("rent", Some(rent))]);
    }
    Ok(())
}

fn zero() -> String {
    "0".to_owned()
}
