//! The database goes away in mid-transaction, and comes back; so does the node's WebSocket.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokenx_anvil_tests::{Cutter, FaultProxy, campaign};

use super::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_cut_off_in_mid_transaction_loses_and_doubles_nothing() {
    let began = Instant::now();
    let seed = campaign::seed("cuts");
    let mut random = StdRng::seed_from_u64(seed);
    let (site, _miner) = Site::start().await;
    let database = Cutter::before(site.world.database.url()).await.unwrap();
    let node = FaultProxy::start(&site.world.chain.url(), seed).await.unwrap();
    let mut process = site.run_with("", |settings| {
        settings.database.url = database.url().into();
        settings.chain.rpc_url = node.url().into();
        settings.chain.ws_url = Some(node.ws_url().into());
        settings.keeper.batch_max_items = 3;
    });
    // A program that finds no database at its start says so and ends; one that runs waits for it.
    site.ask(1);
    site.answered().await;
    let cuts = campaign::times(15, 300);
    for cut in 0..cuts {
        site.ask(5);
        database.cut_after(random.random_range(1..40_000));
        tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
        match cut % 5 {
            0 => database.cut(),
            1 => node.socket().cut(),
            2 if cut % 15 == 2 => database.outage(Duration::from_millis(500)).await,
            _ => {}
        }
        assert_eq!(process.ended().unwrap(), None, "{}", process.log());
    }
    database.cut_after(u32::MAX);
    let verdict = site.is_exact(Duration::from_secs(60)).await;
    assert_eq!(process.ended().unwrap(), None, "{}", process.log());
    campaign::say(&format!(
        "cuts: {} connections to the database cut, {verdict}; {:.0} s",
        database.ended(),
        began.elapsed().as_secs_f32()
    ));
}
