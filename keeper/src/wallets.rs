//! Hosted wallets' own transactions: written by the lanes by which their commands wait, sent and followed here. One
//! process works all of a chain's wallets, and another one takes over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use alloy::primitives::Address;
use futures::StreamExt as _;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::keeper;
use crate::lane::{Key, Lane, Shared, Turn};
use crate::lock::Lock;
use crate::store::lanes;

/// Pause before the lock, or what failed, is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Wallets that are looked after at once.
const AT_ONCE: usize = 8;

/// Works the wallets' lanes until stopped.
pub(crate) async fn work(shared: Shared, direct_url: SecretString, stop: CancellationToken) {
    let chain_id = shared.rules.chain_id.cast_signed();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            lock = Lock::take(&direct_url, "keeper:wallets", chain_id) => match lock {
                Ok(lock) => {
                    let mine = stop.child_token();
                    lock.hold("hosted wallets", &mine, Box::pin(rounds(&shared, chain_id, &mine))).await;
                }
                Err(error) => tracing::warn!(%error, "no lock on the hosted wallets"),
            },
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn rounds(shared: &Shared, chain_id: i64, stop: &CancellationToken) {
    let mut lanes: HashMap<i64, Lane> = HashMap::new();
    while !stop.is_cancelled() {
        let bell = shared.wake.bell();
        let rung = bell.notified();
        tokio::pin!(rung);
        // Registered before the look, so that an approve written during it is not slept over.
        rung.as_mut().enable();
        match round(shared, chain_id, &mut lanes).await {
            Ok(true) => tokio::select! {
                () = stop.cancelled() => {}
                () = &mut rung => {}
                () = tokio::time::sleep(shared.rules.poll) => {}
            },
            failed => {
                if let Err(error) = failed {
                    tracing::warn!(%error, "a look at the hosted wallets failed");
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
    }
}

/// A round of each lane that has something to do; whether all went well. Those that are new here are taken from whoever had
/// them.
async fn round(shared: &Shared, chain_id: i64, lanes: &mut HashMap<i64, Lane>) -> Result<bool, sqlx::Error> {
    let at_work: HashMap<i64, Address> = lanes::wallets_at_work(&shared.pool, chain_id).await?.into_iter().collect();
    lanes.retain(|lane_id, _| at_work.contains_key(lane_id));
    for (lane_id, wallet) in at_work {
        if let Entry::Vacant(vacant) = lanes.entry(lane_id) {
            let epoch = lanes::take(&shared.pool, lane_id, &keeper::owner()).await?;
            vacant.insert(Lane::new(shared.clone(), Key::Hosted(wallet), (lane_id, epoch), (0, 1)));
        }
    }
    let turns: Vec<_> = lanes.iter_mut().map(|(lane_id, lane)| turn(*lane_id, lane)).collect();
    let ended: Vec<(i64, Turn)> = futures::stream::iter(turns).buffer_unordered(AT_ONCE).collect().await;
    for (lane_id, _) in ended.iter().filter(|(_, turn)| *turn == Turn::Lost) {
        lanes.remove(lane_id);
    }
    Ok(ended.iter().all(|(_, turn)| *turn == Turn::Done))
}

async fn turn(lane_id: i64, lane: &mut Lane) -> (i64, Turn) {
    (lane_id, lane.turn().await)
}
