//! Being asked to end.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM and SIGHUP (a terminal that is closed).
#[derive(Debug)]
pub struct Asked {
    signals: [Signal; 3],
}

impl Asked {
    /// From now on they no longer end the process by themselves.
    pub fn listen() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    /// Ends the process at the next one, for who does not want to wait any longer.
    #[allow(clippy::exit, reason = "that is what is asked for; supervisors see to what still runs")]
    pub async fn exit_at_next(mut self) {
        self.received().await;
        std::process::exit(130);
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
