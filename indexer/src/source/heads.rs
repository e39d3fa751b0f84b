//! `newHeads` over WebSocket: a hint to look, never the truth. A silent socket costs one poll interval, no more.

use std::sync::Arc;
use std::time::Duration;

use alloy::providers::{Provider, ProviderBuilder, WsConnect};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

const RECONNECT_AFTER: Duration = Duration::from_secs(2);

/// Notifies `hint` at each new head until `stop`; reconnects for ever.
pub(crate) async fn hints(url: String, hint: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = listen(&url, &hint) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RECONNECT_AFTER) => {}
        }
    }
}

async fn listen(url: &str, hint: &Notify) {
    let provider = match ProviderBuilder::new().connect_ws(WsConnect::new(url)).await {
        Ok(provider) => provider,
        Err(error) => return tracing::debug!(%error, "no socket for new heads, polling only"),
    };
    match provider.subscribe_blocks().await {
        Ok(mut heads) => {
            while !matches!(heads.recv().await, Err(RecvError::Closed)) {
                hint.notify_one();
            }
        }
        Err(error) => tracing::debug!(%error, "no subscription to new heads, polling only"),
    }
    tracing::debug!("socket for new heads closed");
}
