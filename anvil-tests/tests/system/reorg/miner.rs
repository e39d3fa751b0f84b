//! Blocks at a steady pace that can be held.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

/// Mines a block each interval, but none within a reorg: where the two meet, anvil can lose a block of its branch for good.
pub(super) struct Miner {
    turn: Arc<Mutex<()>>,
    node: Arc<Mutex<()>>,
    task: JoinHandle<()>,
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Miner {
    pub(super) fn start(url: String, interval: Duration) -> Self {
        let (turn, node) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
        let (mine, alone) = (Arc::clone(&turn), Arc::clone(&node));
        let task = tokio::spawn(async move {
            let client = reqwest::Client::new();
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "evm_mine", "params": [] });
            loop {
                let held = (mine.lock().await, alone.lock().await);
                // One that is refused is made up for by the next.
                let _ = client.post(&url).json(&request).send().await;
                drop(held);
                tokio::time::sleep(interval).await;
            }
        });
        Self { turn, node, task }
    }

    /// No block comes until what this gives is dropped.
    pub(super) async fn held(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// No block is being made until what this gives is dropped; also for who has it [`held`](Self::held).
    pub(super) async fn paused(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.node).lock_owned().await
    }
}
