//! The books that this process has in memory. Each is good as long as nobody else has matched in it, which its version says.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;

use alloy::primitives::B256;
use tokio::sync::Notify;

use super::engine::Book;

/// A book as of a version of its row.
#[derive(Debug, Clone)]
pub struct Held {
    /// Of the row.
    pub version: i64,
    /// The orders.
    pub book: Book,
    /// The block, and the second, at which its orders' wallets were looked at last.
    pub looked: Option<(B256, u64)>,
}

/// Books by instrument, and who asks for one to be looked at.
#[derive(Default)]
pub struct Books {
    held: Mutex<HashMap<String, Held>>,
    rung: Mutex<HashSet<String>>,
    bell: Notify,
}

impl Books {
    /// Takes an instrument's book out, if it is the one of this version. Whoever took it puts it back once what it did is
    /// committed; else it is read again.
    pub fn take(&self, instrument_id: &str, version: i64) -> Option<Held> {
        self.held.lock().ok()?.remove(instrument_id).filter(|held| held.version == version)
    }

    /// Puts a book back.
    pub fn put(&self, instrument_id: &str, held: Held) {
        if let Ok(mut books) = self.held.lock() {
            books.insert(instrument_id.to_owned(), held);
        }
    }

    /// Asks for an instrument's book to be looked at soon.
    pub fn ring(&self, instrument_id: &str) {
        if let Ok(mut rung) = self.rung.lock() {
            rung.insert(instrument_id.to_owned());
        }
        self.bell.notify_one();
    }

    /// Waits until somebody asks.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// What was asked for since.
    pub fn asked(&self) -> HashSet<String> {
        self.rung.lock().map(|mut rung| std::mem::take(&mut *rung)).unwrap_or_default()
    }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").finish_non_exhaustive()
    }
}
