//! Many at once, on several processes, some of which die.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokenx_anvil_tests::{Process, campaign};

use super::*;

impl Floor {
    /// What must hold once nothing moves any more: all that was matched was settled, nothing is promised that no order holds,
    /// and the chain and the tables say the same of every wallet.
    async fn adds_up(&self, traders: &[Trader], units: u64, money: u64) {
        let trades = self.all_settled().await;
        assert!(trades.iter().all(|trade| trade["settlement"]["settled"] == true), "{trades:?}");
        let pool = &self.kit().pool;
        let (matched, settled): (String, String) = sqlx::query_as(
            "SELECT coalesce((SELECT sum(quantity) FROM fills), 0)::text,
                    coalesce((SELECT sum(quantity) FROM trades), 0)::text",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        assert_eq!(matched, settled);
        let wrong: i64 = sqlx::query_scalar(
            "SELECT count(*)
               FROM orders o
              WHERE o.filled <> coalesce((SELECT sum(f.quantity) FROM fills f
                                           WHERE f.sell_order = o.order_id OR f.buy_order = o.order_id), 0)
                 OR o.side = 'sell' AND o.reserved <> CASE WHEN o.state IN ('pending', 'waiting', 'open')
                                                           THEN o.quantity - o.filled ELSE 0 END
                 OR o.state = 'pending'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        assert_eq!(wrong, 0, "orders whose figures do not add up");
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

    /// Orders of one trader, drawn, each asked for until it is answered.
    async fn floods(&self, trader: &Trader, count: usize, seed: u64, urls: &[String]) {
        let mut draw = StdRng::seed_from_u64(seed);
        for n in 0..count {
            let side = if draw.random_bool(0.5) { "buy" } else { "sell" };
            let (quantity, price) = (draw.random_range(1..4), draw.random_range(28..33));
            let body = self.limit(trader, &format!("{n}"), side, quantity, &price.to_string()).to_string();
            let url = &urls[draw.random_range(0..urls.len())];
            eventually_within(PROCESS, "the order is answered", || async {
                let request = self.kit().client.post(format!("{url}/ats/orders")).bearer_auth(&trader.token);
                let request = request.timeout(Duration::from_secs(10)).header("content-type", "application/json");
                let answer = request.body(body.clone()).send().await.ok()?;
                let status = answer.status().as_u16();
                assert!(matches!(status, 201 | 422 | 500 | 503), "{status}: {:?}", answer.text().await);
                matches!(status, 201 | 422).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_book_fill_nothing_twice() {
    let floor = Floor::open().await;
    let mut traders = Vec::new();
    for n in 0..4 {
        traders.push(floor.trader(&format!("trader-{n}"), false, 20, 1_000).await);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let context = tokenx_api::ApiContext {
        settings: Arc::new(floor.kit().settings.clone()),
        pool: floor.kit().pool.clone(),
        commands: Commands::new(floor.kit().pool.clone(), Doors::of(&floor.kit().settings.chain)),
    };
    let serving = tokio::spawn(tokenx_api::serve(context, listener, stop.clone()));
    let urls = [floor.kit().url.clone(), second];
    let floods = traders.iter().zip(1..).map(|(trader, seed)| floor.floods(trader, 12, seed, &urls));
    futures::future::join_all(floods).await;
    floor.nothing_waits().await;
    floor.adds_up(&traders, 20, 1_000).await;
    assert!(!floor.trades().await.is_empty());
    stop.cancel();
    serving.await.unwrap().unwrap();
    floor.end().await;
}

impl Floor {
    async fn nothing_waits(&self) {
        eventually("every order is in its book", || async {
            let pending: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE state = 'pending'")
                .fetch_one(&self.kit().pool)
                .await
                .unwrap();
            (pending == 0).then_some(())
        })
        .await;
    }
}

/// 200 investors with 50 orders each in the long form.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_no_order_is_lost_and_none_filled_twice() {
    let (people, each) = (campaign::times(4, 200), campaign::times(25, 50));
    let seed = campaign::seed("orders and kills");
    let mut floor = Floor::open().await;
    let mut traders = Vec::new();
    for n in 0..people {
        traders.push(floor.trader(&format!("trader-{n}"), false, 4, 400).await);
    }
    let settings = floor.life.ground.kit.moves_out().await;
    let urls = [floor.kit().url.clone()];
    let flooded = CancellationToken::new();
    let kills = {
        let (settings, flooded) = (settings.clone(), flooded.clone());
        tokio::spawn(async move {
            let mut draw = StdRng::seed_from_u64(seed);
            let (mut killed, client) = (0, reqwest::Client::new());
            let health = format!("http://{}/healthz", settings.server.bind);
            loop {
                let mut process = Process::start(&settings, &["run"], "").unwrap();
                eventually_within(PROCESS, "the process serves", || async { client.get(&health).send().await.ok() })
                    .await;
                tokio::select! {
                    () = flooded.cancelled() => return (process, killed),
                    () = tokio::time::sleep(Duration::from_millis(draw.random_range(1_500..4_000))) => {}
                }
                process.signal(Signal::SIGKILL).unwrap();
                killed += 1;
                while process.ended().unwrap().is_none() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        })
    };
    let floods = traders.iter().zip(seed..).map(|(trader, seed)| floor.floods(trader, each, seed, &urls));
    futures::future::join_all(floods).await;
    flooded.cancel();
    let (mut last, killed) = kills.await.unwrap();
    assert!(killed > 0, "nobody died");
    floor.kit().is_served().await;
    floor.nothing_waits().await;
    floor.adds_up(&traders, 4, 400).await;
    campaign::say(&format!(
        "{people} investors, {each} orders each, {killed} kills: {} trades",
        floor.trades().await.len()
    ));
    last.signal(Signal::SIGTERM).unwrap();
    eventually_within(PROCESS, "the process ends", || {
        let ended = last.ended().unwrap();
        async move { ended }
    })
    .await;
}
