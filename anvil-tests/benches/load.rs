//! How soon the API answers under load, on the two cores that also run Postgres, the chain and the clients.
//!
//! `cargo bench -p tokenx-anvil-tests --bench load -- [holdings] [seconds] [per cent of the rates]`; default 100,000, 20
//! and 100. Needs the program: `cargo build --release` first. Postgres flushes to disk. Prints a Markdown table.
//!
//! Requests leave when their time has come, however many are still unanswered, and their waiting counts from then: a
//! server that stalls is not spared the requests which it kept from being sent.

#![allow(clippy::print_stdout, reason = "a benchmark's result")]

#[path = "parts/waits.rs"]
mod waits;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokenx::local::postgres::free_port;
use tokenx_anvil_tests::{Deployment, Mill, Mining, World, eventually_within, process};
use tokenx_api::admin::{self, By, NewCurrency, NewNode, NewServiceToken};
use tokenx_api::policy::{Role, Scope};
use tokenx_config::Settings;
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::Instant;

use waits::Waits;

const BY: By<'static> = By { actor: "cli:bench", request_id: None };
const LIMIT: Duration = Duration::from_secs(300);
/// Not counted: connections open, plans and pages are made warm.
const WARM_UP: Duration = Duration::from_secs(3);

/// What is asked, how often a second, and below what the slowest of a hundred should stay, in milliseconds.
const CASES: [(&str, &str, u32, u32); 3] = [
    ("token details", "/v2/admin/token/{token_id}", 1_000, 10),
    ("status", "/status", 1_000, 5),
    ("1,000 holdings", "/data/admin/holdings?instrument_id=MILL&limit=1000", 150, 30),
];

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let (holdings, seconds) = (numbers.first().copied().unwrap_or(100_000), numbers.get(1).copied().unwrap_or(20));
    let percent: u32 = numbers.get(2).copied().unwrap_or(100).try_into()?;
    let site = Site::start(holdings).await?;
    println!("{holdings} holdings, {seconds} s each\n");
    println!(
        "| asked | a second | bytes | p50 / p99 / most, ms | to reach, p99 | refused |\n|---|---|---|---|---|---|"
    );
    for (what, path, rate, aim) in CASES {
        let path = path.replace("{token_id}", &site.token_id);
        let rate = (rate * percent / 100).max(1);
        site.ask(&path, rate, WARM_UP).await?;
        let answers = site.ask(&path, rate, Duration::from_secs(seconds)).await?;
        let Answers { rate, bytes, refused, waits } = answers;
        println!("| {what} | {rate:.0} | {bytes} | {} | {aim} | {refused} |", waits.table());
    }
    Ok(())
}

/// The program at work over a loaded database.
struct Site {
    http: Client,
    url: String,
    bearer: String,
    token_id: String,
    // Ended before what it stands on.
    _program: Child,
    _world: World,
}

/// What came of a time of load.
struct Answers {
    rate: f64,
    bytes: usize,
    /// Requests that had another answer than the one asked for, or none.
    refused: usize,
    /// Of the others.
    waits: Waits,
}

impl Site {
    async fn start(holdings: u64) -> Result<Self> {
        let world = World::durable(Mining::Manual).await?;
        let mill = Mill::with_holders(&world, holdings).await?;
        let deployment = world.deploy().await?;
        world.chain.rpc("evm_setIntervalMining", json!([1])).await?;
        let mut settings = world.settings(&deployment)?;
        settings.limits.off = true;
        settings.server.bind.set_port(free_port()?);
        let (node_id, money, bearer) = records(&world, &settings, &deployment).await?;
        let follow = format!("[{{ token = \"{}\", instrument_id = \"MILL\", start_block = 1 }}]", mill.token);
        let mut program = process::command(&settings, &["run"])?;
        program
            .env("TOKENX__CHAIN__FOLLOW", follow)
            .env("TOKENX__MONITOR__POLL_INTERVAL_SECONDS", "5")
            .env("TOKENX__RECONCILE__ENABLED", "false")
            .env("TOKENX__TELEMETRY__FILTER", "error")
            .stdout(Stdio::null());
        let program = tokio::process::Command::from(program).kill_on_drop(true).spawn()?;
        let url = format!("http://{}", settings.server.bind);
        let http = Client::builder().pool_max_idle_per_host(1_000).build()?;
        let mut site = Self { http, url, bearer, token_id: String::new(), _program: program, _world: world };
        eventually_within(LIMIT, "the holdings are indexed", || async {
            let page = site.get("/data/admin/holdings?instrument_id=MILL&limit=1").await.ok()?;
            (page["total"] == holdings).then_some(())
        })
        .await;
        site.token_id = site.deployed(&node_id, &money).await?;
        Ok(site)
    }

    /// Makes a token and has it deployed.
    async fn deployed(&self, node_id: &str, money: &str) -> Result<String> {
        let price = |amount: u32| json!({ "id": money, "amount": amount });
        let body = json!({
            "node_id": node_id, "category_id": "667e9251ca818a2138ed4915", "type": 0, "is_public": false,
            "name": "Load", "description": "Under load", "token_name": "load", "token_symbol": "LOAD", "oracle": null,
            "value": { "token_price": price(30), "total_value": price(12_000), "salable_percentage": 80, "max_supply": 1_000 },
            "metric": null, "is_open_to_secondary_market": false, "is_open_to_otc": false, "secondary_market": null,
            "distribution_token": null,
        });
        let token = self.post("/v2/admin/token", &body).await?;
        let token_id = token["id"].as_str().context("an id")?.to_owned();
        self.post(&format!("/v2/admin/token/{token_id}/deploy"), &json!({})).await?;
        eventually_within(LIMIT, "the token is deployed", || async {
            let token = self.get(&format!("/v2/admin/token/{token_id}")).await.ok()?;
            (token["status"] == 4).then_some(())
        })
        .await;
        Ok(token_id)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.bearer).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.bearer).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Asks so often a second, for so long.
    async fn ask(&self, path: &str, rate: u32, time: Duration) -> Result<Answers> {
        let (url, bearer) = (format!("{}{path}", self.url), format!("Bearer {}", self.bearer));
        let asked = Arc::new((self.http.clone(), url, bearer));
        let begun = Instant::now();
        let mut answers = JoinSet::new();
        let mut due = begun;
        while due < begun + time {
            tokio::time::sleep_until(due).await;
            let asked = Arc::clone(&asked);
            answers.spawn(async move {
                let (http, url, bearer) = &*asked;
                let answer = http.get(url).header("authorization", bearer).send().await?.error_for_status()?;
                let bytes = answer.bytes().await?.len();
                Ok::<_, reqwest::Error>((due.elapsed(), bytes))
            });
            due += Duration::from_secs(1) / rate;
        }
        let answers = answers.join_all().await;
        let took = begun.elapsed();
        let asked = answers.len();
        let answers: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
        let refused = asked - answers.len();
        let bytes = answers.first().map_or(0, |(_, bytes)| *bytes);
        let waits = Waits::of(answers.into_iter().map(|(time, _)| time).collect());
        Ok(Answers { rate: waits.rate(took), bytes, refused, waits })
    }
}

/// An issuer's node, a currency and a token to ask with.
async fn records(world: &World, settings: &Settings, deployment: &Deployment) -> Result<(String, String, String)> {
    let (pool, chain_id) = (&world.pool, settings.chain.chain_id);
    let issuer_id = admin::add_issuer(pool, BY, "Issuer").await?.issuer_id;
    let executor = deployment.nodes[0].node.executor;
    let node = admin::add_node(pool, BY, NewNode { issuer_id, chain_id, executor, treasury: None }).await?;
    let address = deployment.suite.payment_token.context("a payment token")?;
    let money = NewCurrency { chain_id, address, symbol: "USDT".into(), decimals: 6 };
    let money = admin::add_currency(pool, BY, money).await?;
    let name = "load".to_owned();
    let token = NewServiceToken { name, role: Role::SuperAdmin, issuer_id: None, scopes: Scope::ALL.to_vec(), days: 1 };
    let bearer = admin::add_service_token(pool, BY, token).await?.1;
    Ok((node.node_id, money.currency_id, bearer.expose_secret().to_owned()))
}
