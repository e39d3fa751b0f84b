//! Replies that never come, while the fee market moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokenx_anvil_tests::{Fault, FaultProxy, campaign};
use tokio_util::task::AbortOnDropHandle;

use super::site::{IN_FLIGHT, Site};

const SEND: &str = "eth_sendRawTransaction";
const GWEI: u128 = 1_000_000_000;

/// Walks the base fee up and down between 1 and 10 gwei, and once, after so many steps, multiplies it by ten.
async fn walk(site: Arc<Site>, seed: u64, spike_at: u32) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut fee = GWEI;
    for step in 0u32.. {
        fee = (fee * random.random_range(80..=125) / 100).clamp(GWEI, 10 * GWEI);
        site.next_base_fee(if step == spike_at { 10 * fee } else { fee }).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_three_in_ten_send_replies_lost_and_fees_on_the_move_each_command_runs_once() {
    let began = Instant::now();
    let seed = campaign::seed("losses");
    let (site, _miner) = Site::start().await;
    let proxy = FaultProxy::start(&site.world.chain.url(), seed).await.unwrap();
    // Together three in ten: the whole reply, or one answer of a batch; of errors as of successes.
    proxy.rule(SEND, Fault::LoseReply, 0.2);
    proxy.rule(SEND, Fault::LoseAnswer, 0.125);
    let _process = site.run_with("", |settings| {
        settings.chain.rpc_url = proxy.url().into();
        settings.chain.ws_url = Some(proxy.ws_url().into());
        // Many transactions, and none of them patient.
        settings.keeper.batch_max_items = 2;
    });
    let _walk = AbortOnDropHandle::new(tokio::spawn(walk(site.clone(), seed, 10)));
    for wave in 0..campaign::times(60, 2_000).div_ceil(IN_FLIGHT) {
        site.ask(campaign::times(60, 2_000).saturating_sub(wave * IN_FLIGHT).min(IN_FLIGHT));
        site.answered().await;
    }
    let verdict = site.is_exact(Duration::from_secs(120)).await;
    let sent = site.count("SELECT count(*) FROM attempts").await;
    let bumps = site.count("SELECT count(*) FROM attempts WHERE n > 1").await;
    assert!(proxy.struck() > 0);
    campaign::say(&format!(
        "lost replies: {} faults, {sent} transactions signed, {bumps} of them replacements, {verdict}; {:.0} s",
        proxy.struck(),
        began.elapsed().as_secs_f32()
    ));
}
