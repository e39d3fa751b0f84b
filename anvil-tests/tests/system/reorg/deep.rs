//! Deeper than finality: nothing that was final is deleted, nothing is written or sent, and everybody can see why.

use serde_json::{Value, json};
use tokenx_anvil_tests::{Mining, World, eventually};
use tokenx_config::Finality;

use super::fresh::derived;
use super::load::{Asked, Load};
use super::{Whole, new};

const FINAL: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn below_finality_nothing_is_deleted_and_nothing_sent_until_the_nodes_chain_has_it_again() {
    let mut whole = Whole::start(&["run"], |settings| settings.chain.finality = Finality::Depth(FINAL)).await;
    let load = Load::start(&whole, 0);
    whole.grow(2 * FINAL).await;
    let (next, mut asked) = load.end().await;
    whole.settle().await;
    let held = whole.miner.held().await;
    whole.indexed().await;
    let (rows, cursor, slots) = (derived(whole.pool()).await, whole.cursor().await, whole.slots().await);
    let good = whole.world.chain.rpc("anvil_dumpState", json!([])).await.unwrap();

    whole.turn(FINAL + 4, &[]).await;
    drop(held);
    let (_, said) =
        eventually("the api is not ready", || async { whole.ready().await.filter(|(status, _)| *status == 503) }).await;
    let problem = said["indexer"]["problem"].as_str().unwrap_or_default();
    assert!(problem.contains(&format!("block {} is final here", cursor.finalized)), "{said}");
    assert!(whole.alert().await);

    // A command is accepted and waits; what was sent before is not sent again.
    let late = Asked::nth(next);
    whole.commands.accept(&new(&late.id, late.operation())).await.unwrap();
    asked.push(late);
    eventually("the keeper says that it waits", || async {
        let waiting = "SELECT count(*) FROM lanes WHERE problem LIKE '%is final here%'";
        (whole.count(waiting).await == 2).then_some(())
    })
    .await;
    whole.grow(3).await;
    assert_eq!(whole.slots().await, slots, "slots and sends");
    let now = whole.cursor().await;
    assert_eq!((now.number, now.hash, now.finalized), (cursor.number, cursor.hash, cursor.finalized));
    assert!(derived(whole.pool()).await == rows, "a row was deleted or added");

    // A node whose chain has the final block: following goes on by itself.
    let other = World::with(Mining::Manual).await.unwrap();
    other.chain.rpc("anvil_loadState", json!([good])).await.unwrap();
    whole.kill(&["run"]);
    whole.move_to(other);
    whole.begin(&["run"]);
    eventually("the api is ready", || async { whole.ready().await.filter(|(status, _)| *status == 200) }).await;
    assert!(!whole.alert().await);
    whole.settle().await;
    let _held = whole.miner.held().await;
    whole.indexed().await;
    whole.ran_once(&asked).await;
    whole.equals_a_fresh_index().await;
    assert_eq!(whole.cursor().await.reorgs, 0);
}

impl Whole {
    /// Slots and how often their bytes were sent.
    async fn slots(&self) -> (i64, i64) {
        sqlx::query_as("SELECT (SELECT count(*) FROM slots), (SELECT coalesce(sum(sends), 0)::bigint FROM attempts)")
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// Whether the metric is set that wakes somebody.
    async fn alert(&self) -> bool {
        let metrics: Value = reqwest::get(format!("{}/metrics", self.url())).await.unwrap().json().await.unwrap();
        metrics["tokenx_indexer_halted"]["values"][0]["value"] == json!(1.0)
    }
}
