//! Two keepers on one database, and one of them stops where it hurts most.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokenx_anvil_tests::{Process, campaign, eventually};

use super::site::{IN_FLIGHT, Site};

/// Where a keeper that owns a lane stands still: with signed bytes in hand that nobody knows, in the middle of writing
/// them, with bytes to send, with an answer to write down.
const STOPS: [&str; 4] = ["keeper.after_sign", "keeper.before_prepare", "keeper.before_send", "keeper.after_send"];

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_stood_still_while_another_took_over_does_no_harm() {
    let began = Instant::now();
    let (site, _miner) = Site::start().await;
    let mut settings = site.settings.clone();
    settings.keeper.batch_max_items = 5;
    let keeper = |failpoints: &str| Process::start(&settings, &["keeper"], failpoints).unwrap();
    let _others = ["indexer", "api"].map(|part| Process::start(&settings, &[part], "").unwrap());
    let long = campaign::time(Duration::ZERO, Duration::from_secs(30));
    let mut slowest = Duration::ZERO;
    let stops = if campaign::is_long() { &STOPS[..] } else { &STOPS[1..2] };
    for stop in stops {
        let first = keeper(&format!("{stop}:pause"));
        site.ask(IN_FLIGHT);
        eventually(&format!("a keeper stands still at {stop}"), || async { first.is_stopped().then_some(()) }).await;
        let stopped = Instant::now();
        let second = keeper("");
        site.answered().await;
        eventually("the other keeper has done it all", || async { (site.open().await == 0).then_some(()) }).await;
        slowest = slowest.max(stopped.elapsed());
        site.ask(IN_FLIGHT);
        tokio::time::sleep(long.saturating_sub(stopped.elapsed())).await;
        first.signal(Signal::SIGCONT).unwrap();
        eventually("the first keeper sees that it is out", || async {
            (first.log().contains("another keeper has taken the lane") || first.log().contains("the lock is gone"))
                .then_some(())
        })
        .await;
        site.answered().await;
        // And it is good for work again once it is alone.
        second.signal(Signal::SIGKILL).unwrap();
        site.ask(IN_FLIGHT);
        site.is_exact(Duration::from_secs(60)).await;
    }
    let _last = keeper("");
    let verdict = site.is_exact(Duration::from_secs(60)).await;
    campaign::say(&format!(
        "two keepers, one stopped: {} times, all done by the other after {:.1} s at most, {verdict}; {:.0} s",
        stops.len(),
        slowest.as_secs_f32(),
        began.elapsed().as_secs_f32()
    ));
}
