//! Holds and lockups: a row for each change, and those that stand after the last one. Their expiry is no event and
//! writes nothing: who reads compares `until` with the time of his block.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row};
use tokenx_migrations::copy::Rows;
use tokenx_migrations::{Addr, Uint256};

use super::ledger::{Hold, HoldKey, Ledger};
use super::rows::event_row;
use crate::event::TokenEvent;
use crate::read::{Columns, int};
use crate::{ChainLog, Event};

/// The touched holds as the table has them.
pub(super) async fn load(
    chain_id: u64,
    touched: &BTreeSet<HoldKey>,
    tx: &mut PgConnection,
) -> Result<BTreeMap<HoldKey, Hold>, sqlx::Error> {
    if touched.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(
        "SELECT k.token, k.wallet, k.hold_id, k.kind, k.amount, k.until, k.agent
           FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS t (token, wallet, hold_id)
           JOIN holds k ON k.chain_id = $1 AND k.token = t.token AND k.wallet = t.wallet AND k.hold_id = t.hold_id",
    )
    .bind(int(chain_id))
    .bind(touched.iter().map(|(token, _, _)| Addr(*token)).collect::<Vec<_>>())
    .bind(touched.iter().map(|(_, wallet, _)| Addr(*wallet)).collect::<Vec<_>>())
    .bind(touched.iter().map(|(_, _, id)| int(*id)).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            let hold = Hold {
                // The column holds a chain's byte.
                kind: u8::try_from(row.try_get::<i16, _>("kind")?).unwrap_or(u8::MAX),
                amount: row.amount("amount")?,
                until: row.height("until")?,
                agent: row.maybe_address("agent")?,
            };
            Ok(((row.address("token")?, row.address("wallet")?, row.height("hold_id")?), hold))
        })
        .collect()
}

/// Writes what the batch did to holds.
pub(super) async fn write(
    chain_id: u64,
    logs: &[ChainLog],
    touched: &BTreeSet<HoldKey>,
    ledger: &Ledger,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    if ledger.hold_changes.is_empty() {
        return Ok(());
    }
    changes(chain_id, logs, ledger, tx).await?;
    ended(chain_id, touched, ledger, tx).await?;
    standing(chain_id, touched, ledger, tx).await
}

async fn changes(chain_id: u64, logs: &[ChainLog], ledger: &Ledger, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new(16);
    for log in ledger.hold_changes.iter().filter_map(|&place| logs.get(place)) {
        let Some(Event::Token(TokenEvent::HoldChanged(e))) = &log.event else { continue };
        event_row(&mut rows, chain_id, log)
            .address(log.address)
            .address(e.account)
            .bigint(int(e.holdId.saturating_to()))
            .smallint(i16::from(e.kind))
            .uint256(e.newAmount)
            .bigint(int(e.until.to()))
            .or_null(Some(e.agent).filter(|agent| !agent.is_zero()), Rows::address)
            .smallint(i16::from(e.cause))
            .word(e.reason)
            .address(e.operator)
            .or_null(log.command, Rows::word);
    }
    rows.send(
        tx,
        "hold_changes (chain_id, block_number, log_index, block_time, tx_hash, token, wallet, hold_id, kind, amount,
                       until, agent, cause, reason, operator, command_key)",
    )
    .await?;
    Ok(())
}

async fn ended(
    chain_id: u64,
    touched: &BTreeSet<HoldKey>,
    ledger: &Ledger,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let ended: Vec<_> = touched.iter().filter(|key| !ledger.holds.contains_key(key)).collect();
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM holds k
          USING unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS t (token, wallet, hold_id)
          WHERE k.chain_id = $1 AND k.token = t.token AND k.wallet = t.wallet AND k.hold_id = t.hold_id",
    )
    .bind(int(chain_id))
    .bind(ended.iter().map(|(token, _, _)| Addr(*token)).collect::<Vec<_>>())
    .bind(ended.iter().map(|(_, wallet, _)| Addr(*wallet)).collect::<Vec<_>>())
    .bind(ended.iter().map(|(_, _, id)| int(*id)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

async fn standing(
    chain_id: u64,
    touched: &BTreeSet<HoldKey>,
    ledger: &Ledger,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let standing: Vec<_> = touched.iter().filter_map(|key| ledger.holds.get(key).map(|hold| (key, hold))).collect();
    if standing.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO holds (chain_id, token, wallet, hold_id, kind, amount, until, agent)
         SELECT $1, k.*
           FROM unnest($2::bytea[], $3::bytea[], $4::bigint[], $5::smallint[], $6::numeric[], $7::bigint[],
                       $8::bytea[]) AS k
             ON CONFLICT (chain_id, token, wallet, hold_id) DO UPDATE
            SET kind   = excluded.kind,
                amount = excluded.amount,
                until  = excluded.until,
                agent  = excluded.agent",
    )
    .bind(int(chain_id))
    .bind(standing.iter().map(|((token, _, _), _)| Addr(*token)).collect::<Vec<_>>())
    .bind(standing.iter().map(|((_, wallet, _), _)| Addr(*wallet)).collect::<Vec<_>>())
    .bind(standing.iter().map(|((_, _, id), _)| int(*id)).collect::<Vec<_>>())
    .bind(standing.iter().map(|(_, hold)| i16::from(hold.kind)).collect::<Vec<_>>())
    .bind(standing.iter().map(|(_, hold)| Uint256(hold.amount)).collect::<Vec<_>>())
    .bind(standing.iter().map(|(_, hold)| int(hold.until)).collect::<Vec<_>>())
    .bind(standing.iter().map(|(_, hold)| hold.agent.map(Addr)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
