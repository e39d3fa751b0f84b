//! Documents of our own tokens: a row for each change, and those that each token has after the last one.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use sqlx::PgConnection;
use tokenx_migrations::copy::Rows;
use tokenx_migrations::{Addr, Word};

use super::rows::event_row;
use crate::event::{SecurityToken, TokenEvent};
use crate::read::int;
use crate::text::clean_link;
use crate::{ChainLog, Event};

/// Writes what the batch did to documents.
pub(super) async fn write(chain_id: u64, logs: &[ChainLog], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new(12);
    let mut latest: BTreeMap<(Address, B256), (&ChainLog, &SecurityToken::DocumentChanged)> = BTreeMap::new();
    for log in logs {
        let Some(Event::Token(TokenEvent::DocumentChanged(e))) = &log.event else { continue };
        event_row(&mut rows, chain_id, log)
            .address(log.address)
            .word(e.name)
            .text(&clean_link(&e.uri))
            .word(e.hash)
            .boolean(removed(e))
            .address(e.operator)
            .or_null(log.command, Rows::word);
        latest.insert((log.address, e.name), (log, e));
    }
    if latest.is_empty() {
        return Ok(());
    }
    rows.send(
        tx,
        "document_changes (chain_id, block_number, log_index, block_time, tx_hash, token, name, uri, hash, removed,
                           operator, command_key)",
    )
    .await?;
    // Few tokens change a document in one batch, so each is a statement of its own.
    for ((token, name), (log, e)) in latest {
        if removed(e) {
            sqlx::query("DELETE FROM documents WHERE chain_id = $1 AND token = $2 AND name = $3")
                .bind(int(chain_id))
                .bind(Addr(token))
                .bind(Word(name))
                .execute(&mut *tx)
                .await?;
            continue;
        }
        sqlx::query(
            "INSERT INTO documents (chain_id, token, name, uri, hash, changed_block, changed_time, changed_tx)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (chain_id, token, name) DO UPDATE
                SET uri           = excluded.uri,
                    hash          = excluded.hash,
                    changed_block = excluded.changed_block,
                    changed_time  = excluded.changed_time,
                    changed_tx    = excluded.changed_tx",
        )
        .bind(int(chain_id))
        .bind(Addr(token))
        .bind(Word(name))
        .bind(clean_link(&e.uri))
        .bind(Word(e.hash))
        .bind(int(log.block_number))
        .bind(int(log.timestamp))
        .bind(Word(log.tx_hash))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// A document that is taken away has neither hash nor uri.
fn removed(event: &SecurityToken::DocumentChanged) -> bool {
    event.hash.is_zero() && event.uri.is_empty()
}
