//! Replies that never come, while the fee market moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokenx_anvil_tests::{Fault, FaultProxy, campaign, eventually};
use tokio_util::task::AbortOnDropHandle;

use super::site::{IN_FLIGHT, Site};

const SEND: &str = "eth_sendRawTransaction";
const GWEI: u128 = 1_000_000_000;

/// Walks the base fee up and down between 1 and 10 gwei while blocks come.
async fn walk(site: Arc<Site>, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut fee = GWEI;
    loop {
        let still = site.still().await;
        fee = (fee * random.random_range(80..=125) / 100).clamp(GWEI, 10 * GWEI);
        site.next_base_fee(fee).await;
        drop(still);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Together three in ten: the whole reply, or one answer of a batch; of errors as of successes.
fn lose_some(proxy: &FaultProxy) {
    proxy.heal();
    proxy.rule(SEND, Fault::LoseReply, 0.2);
    proxy.rule(SEND, Fault::LoseAnswer, 0.125);
}

/// The base fee runs away from bytes that wait in the pool, and the reply to the bump that answers it is lost.
async fn spike(site: &Site, proxy: &FaultProxy) {
    let still = site.still().await;
    // Else what the last block holds would seem to wait for the next.
    site.is_indexed().await;
    site.mint().await;
    eventually("bytes wait for a block", || async {
        let sent = "SELECT count(*)
                      FROM slots s
                      JOIN attempts a USING (lane_id, nonce)
                     WHERE s.state = 'open' AND a.first_sent_at IS NOT NULL";
        (site.count(sent).await > 0).then_some(())
    })
    .await;
    proxy.heal();
    proxy.rule(SEND, Fault::LoseReply, 1.0);
    site.next_base_fee(2 * site.offered().await).await;
    site.world.chain.mine(1).await.unwrap();
    eventually("the reply to a bump is lost", || async {
        let lost = "SELECT count(*)
                      FROM slots s
                      JOIN attempts a USING (lane_id, nonce)
                     WHERE s.state = 'open' AND a.kind = 'batch' AND a.n > 1 AND a.last_outcome = 'maybe_sent'";
        (site.count(lost).await > 0).then_some(())
    })
    .await;
    lose_some(proxy);
    site.next_base_fee(GWEI).await;
    drop(still);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_three_in_ten_send_replies_lost_and_fees_on_the_move_each_command_runs_once() {
    let began = Instant::now();
    let seed = campaign::seed("losses");
    let (site, _miner) = Site::start().await;
    let proxy = FaultProxy::start(&site.world.chain.url(), seed).await.unwrap();
    lose_some(&proxy);
    let _process = site.run_with("", |settings| {
        settings.chain.rpc_url = proxy.url().into();
        settings.chain.ws_url = Some(proxy.ws_url().into());
        // Many transactions, and none of them patient.
        settings.keeper.batch_max_items = 2;
    });
    let _walk = AbortOnDropHandle::new(tokio::spawn(walk(site.clone(), seed)));
    for wave in 0..campaign::times(60, 2_000).div_ceil(IN_FLIGHT) {
        site.ask(campaign::times(60, 2_000).saturating_sub(wave * IN_FLIGHT).min(IN_FLIGHT));
        if wave % 10 == 0 {
            spike(&site, &proxy).await;
        }
        site.answered().await;
    }
    let verdict = site.is_exact(Duration::from_secs(120)).await;
    let sent = site.count("SELECT count(*) FROM attempts").await;
    let bumps = site.count("SELECT count(*) FROM attempts WHERE n > 1").await;
    assert!(proxy.struck() > 0 && bumps > 0);
    campaign::say(&format!(
        "lost replies: {} faults, {sent} transactions signed, {bumps} of them replacements, {verdict}; {:.0} s",
        proxy.struck(),
        began.elapsed().as_secs_f32()
    ));
}
