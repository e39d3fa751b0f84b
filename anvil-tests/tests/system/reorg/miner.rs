//! Blocks at a steady pace that can be held.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

/// Mines a block each interval, whatever else the node does at that moment: a reorg may race with it.
pub(super) struct Miner {
    turn: Arc<Mutex<()>>,
    task: JoinHandle<()>,
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Miner {
    pub(super) fn start(url: String, interval: Duration) -> Self {
        let turn = Arc::new(Mutex::new(()));
        let mine = Arc::clone(&turn);
        let task = tokio::spawn(async move {
            let client = reqwest::Client::new();
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "evm_mine", "params": [] });
            loop {
                let held = mine.lock().await;
                // Refused in the midst of a reorg: the next one will do.
                let _ = client.post(&url).json(&request).send().await;
                drop(held);
                tokio::time::sleep(interval).await;
            }
        });
        Self { turn, task }
    }

    /// No block comes until what this gives is dropped.
    pub(super) async fn held(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }
}
