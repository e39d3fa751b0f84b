//! The API's clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::stack::Stack;

/// What accepting a queue came to.
pub(crate) struct Accepts {
    took: Duration,
    /// Of each request, in order of length.
    times: Vec<Duration>,
}

impl Accepts {
    pub(crate) fn per_second(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let n = self.times.len() as f64;
        n / self.took.as_secs_f64()
    }

    /// Milliseconds that this percentage of the requests stayed below.
    pub(crate) fn millis(&self, percent: usize) -> f64 {
        let at = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times.get(at).copied().unwrap_or_default().as_secs_f64() * 1_000.0
    }
}

/// Has mints accepted by so many clients, each of which asks again as soon as it is answered.
pub(crate) async fn mints(stack: &Stack, prefix: &str, commands: usize, clients: usize) -> Result<Accepts> {
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let clients = (0..clients).map(|_| {
        let (http, next) = (reqwest::Client::new(), Arc::clone(&next));
        async move {
            let mut times = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= commands {
                    return Ok::<_, anyhow::Error>(times);
                }
                let asked = Instant::now();
                mint(stack, &http, prefix, i).await?;
                times.push(asked.elapsed());
            }
        }
    });
    let mut times: Vec<Duration> = try_join_all(clients).await?.concat();
    times.sort_unstable();
    Ok(Accepts { took: begun.elapsed(), times })
}

/// Has mints accepted one by one, so many per second.
pub(crate) async fn trickle(stack: &Stack, per_second: u32, commands: u32) -> Result<()> {
    let http = reqwest::Client::new();
    let mut clock = tokio::time::interval(Duration::from_secs(1) / per_second);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for i in 0..commands {
        clock.tick().await;
        mint(stack, &http, "t", i as usize).await?;
    }
    Ok(())
}

async fn mint(stack: &Stack, http: &reqwest::Client, prefix: &str, i: usize) -> Result<()> {
    let body = json!({
        "command_id": format!("{prefix}-{i}"),
        "instrument_id": stack.instrument(),
        "party_id": stack.party(i),
        "amount": "1",
    });
    let url = format!("{}/api/admin/mint", stack.api_url());
    let answer = http.post(url).bearer_auth(stack.token_of_the_agent()).json(&body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{status}: {text}");
    Ok(())
}
