//! Many at once, on several processes, some of which die.

use std::time::Duration;

use futures::StreamExt;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokenx_anvil_tests::{Process, campaign};

use super::*;

/// What runs, each in a process of its own.
const ROOMS: [&str; 3] = ["api", "keeper", "indexer"];

/// How long anything that is waited for may take where everybody asks at once.
fn patience() -> Duration {
    campaign::time(PROCESS, Duration::from_secs(1_800))
}

impl Floor {
    /// So many investors with hosted wallets, who have so many tokens and so much money each.
    async fn traders(&self, count: usize, units: u64, money: u64) -> Vec<Trader> {
        let come = (0..count).map(|n| async move { self.trader(&format!("trader-{n}"), false, units, 0).await });
        let traders: Vec<Trader> = futures::stream::iter(come).buffered(8).collect().await;
        let gifts: Vec<_> = traders.iter().map(|trader| (trader.wallet, usd(money))).collect();
        let url = self.kit()._world.as_ref().unwrap().chain.url();
        suite::give(&url, self.money, &gifts).await.unwrap();
        traders
    }

    /// What must hold once nothing moves any more: every order that was taken is there, all that was matched was settled,
    /// exactly what orders may still take is promised, and the chain and the tables say the same of every wallet.
    async fn adds_up(&self, traders: &[Trader], taken: usize, units: u64, money: u64) {
        let pool = &self.kit().pool;
        let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(pool).await.unwrap();
        assert_eq!(orders, i64::try_from(taken).unwrap(), "orders that were taken, and no others");
        eventually_within(patience(), "all that was matched is settled", || async {
            let refused: Option<String> = sqlx::query_scalar(
                "SELECT concat_ws(' ', trade_id, state, reason_code, failure)
                   FROM fill_records
                  WHERE state IN ('failed', 'expired', 'cancelled', 'rejected')
                  LIMIT 1",
            )
            .fetch_optional(pool)
            .await
            .unwrap();
            assert_eq!(refused, None, "a trade was not settled");
            let settled: bool = sqlx::query_scalar(
                "SELECT coalesce((SELECT sum(quantity) FROM fills), 0) = coalesce((SELECT sum(quantity) FROM trades), 0)",
            )
            .fetch_one(pool)
            .await
            .unwrap();
            settled.then_some(())
        })
        .await;
        let wrong: Option<String> = sqlx::query_scalar(
            "SELECT row_to_json(o)::text
               FROM orders o
              WHERE o.filled <> coalesce((SELECT sum(f.quantity) FROM fills f
                                           WHERE f.sell_order = o.order_id OR f.buy_order = o.order_id), 0)
                 OR o.filled > o.quantity
                 OR o.reserved <> CASE WHEN o.state NOT IN ('waiting', 'open') THEN 0
                                       WHEN o.side = 'sell' THEN o.quantity - o.filled
                                       ELSE (o.quantity - o.filled) * o.limit_price / 1000000000000000000 END
                 OR o.state = 'pending'
              LIMIT 1",
        )
        .fetch_optional(pool)
        .await
        .unwrap();
        assert_eq!(wrong, None, "an order whose figures do not add up");
        let crossed: bool = sqlx::query_scalar(
            "SELECT coalesce((SELECT max(limit_price) FROM orders WHERE side = 'buy' AND state = 'open')
                          >= (SELECT min(limit_price) FROM orders WHERE side = 'sell' AND state = 'open'), false)",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        assert!(!crossed, "the book is crossed");
        let (mut all_units, mut all_money) = (U256::ZERO, U256::ZERO);
        for trader in traders {
            let held = self.units(trader.wallet).await;
            self.is_indexed(trader.wallet, (held / tokens(1)).to()).await;
            all_units += held;
            all_money += self.cash(trader.wallet).await;
        }
        let count = U256::from(traders.len());
        assert_eq!((all_units, all_money), (tokens(units) * count, usd(money) * count));
    }

    /// Orders of one trader, drawn, each asked for until it is answered; how many were taken.
    async fn floods(&self, trader: &Trader, count: usize, seed: u64, urls: &[String]) -> usize {
        let mut draw = StdRng::seed_from_u64(seed);
        let mut taken = 0;
        for n in 0..count {
            let side = if draw.random_bool(0.5) { "buy" } else { "sell" };
            let (quantity, price) = (draw.random_range(1..4), draw.random_range(28..33));
            let body = self.limit(trader, &format!("{n}"), side, quantity, &price.to_string()).to_string();
            let url = &urls[draw.random_range(0..urls.len())];
            let status = eventually_within(patience(), "the order is answered", || async {
                let request = self.kit().client.post(format!("{url}/ats/orders")).bearer_auth(&trader.token);
                let request = request.timeout(Duration::from_secs(10)).header("content-type", "application/json");
                let answer = request.body(body.clone()).send().await.ok()?;
                let status = answer.status().as_u16();
                assert!(matches!(status, 201 | 422 | 503), "{status}: {:?}", answer.text().await);
                matches!(status, 201 | 422).then_some(status)
            })
            .await;
            taken += usize::from(status == 201);
        }
        taken
    }

    async fn nothing_waits(&self) {
        eventually_within(patience(), "every order is in its book", || async {
            let pending: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE state = 'pending'")
                .fetch_one(&self.kit().pool)
                .await
                .unwrap();
            (pending == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_book_fill_nothing_twice() {
    let floor = Floor::open().await;
    let traders = floor.traders(4, 20, 1_000).await;
    let second = Kit::open_beside_with(floor.kit(), floor.kit().settings.clone()).await;
    let urls = [floor.kit().url.clone(), second.url.clone()];
    let floods = traders.iter().zip(1..).map(|(trader, seed)| floor.floods(trader, 12, seed, &urls));
    let taken = futures::future::join_all(floods).await.iter().sum();
    floor.nothing_waits().await;
    floor.adds_up(&traders, taken, 20, 1_000).await;
    assert!(!floor.trades().await.is_empty());
    floor.end().await;
}

/// 200 investors with 50 orders each in the long form. API, keeper and indexer die in turn, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_no_order_is_lost_and_none_filled_twice() {
    let (people, each) = (campaign::times(4, 200), campaign::times(25, 50));
    let (units, money) = (5, 4_000);
    let seed = campaign::seed("orders and kills");
    let mut floor = Floor::open().await;
    let traders = floor.traders(people, units, money).await;
    let settings = floor.life.ground.kit.moves_out().await;
    let urls = [floor.kit().url.clone()];
    let flooded = CancellationToken::new();
    let kills = {
        let flooded = flooded.clone();
        tokio::spawn(async move {
            let mut draw = StdRng::seed_from_u64(seed);
            let start = |room| Process::start(&settings, &[room], "").unwrap();
            let mut processes = ROOMS.map(start);
            let mut rounds = 0;
            while !flooded.is_cancelled() {
                // Each round lives longer, so that the flood ends however slow the machine is.
                let most = Duration::from_millis(300) * (rounds + 1);
                for (process, room) in processes.iter_mut().zip(ROOMS) {
                    tokio::time::sleep(draw.random_range(most / 4..most)).await;
                    process.signal(Signal::SIGKILL).unwrap();
                    eventually_within(PROCESS, "the process dies", || {
                        let ended = process.ended().unwrap();
                        async move { ended }
                    })
                    .await;
                    *process = start(room);
                }
                rounds += 1;
            }
            (processes, rounds)
        })
    };
    let floods = traders.iter().zip(seed..).map(|(trader, seed)| floor.floods(trader, each, seed, &urls));
    let taken = futures::future::join_all(floods).await.iter().sum();
    flooded.cancel();
    let (processes, killed) = kills.await.unwrap();
    assert!(killed > 0, "nobody died");
    floor.kit().is_served().await;
    floor.nothing_waits().await;
    floor.adds_up(&traders, taken, units, money).await;
    let trades: i64 = sqlx::query_scalar("SELECT count(*) FROM fills").fetch_one(&floor.kit().pool).await.unwrap();
    campaign::say(&format!(
        "{people} investors, {each} orders each, {taken} taken, {trades} trades, {killed} kills of each of {ROOMS:?}"
    ));
    for mut process in processes {
        process.signal(Signal::SIGTERM).unwrap();
        eventually_within(PROCESS, "the process ends", || {
            let ended = process.ended().unwrap();
            async move { ended }
        })
        .await;
    }
}
