//! A token's life, asked for over REST: each status is true when the chain says so, and no sooner or longer, though the
//! program is killed and the chain turns in the middle of each step.

use std::sync::Arc;
use std::time::Duration;

use alloy::rpc::types::Log;
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokenx_anvil_tests::{Process, eventually, process};
use tokenx_api::admin::{self, By, NewCurrency, NewNode, NewServiceToken};
use tokenx_api::policy::{Role, Scope as Allowed};
use tokenx_contracts::bindings::Executor;
use tokenx_contracts::{Scope, onchain_id};
use tokenx_indexer::read;
use tokenx_keeper::{CommandView, State};
use tokio::sync::MutexGuard;

use super::site::Site;

const BY: By<'static> = By { actor: "cli:test", request_id: None };
const LIMIT: Duration = Duration::from_secs(120);
/// Code that refuses every call.
const REFUSES: &str = "0x60006000fd";
/// Blocks within which what waits for one is in one.
const SOON: u64 = 6;

/// One token, and the program that is at work on it.
struct Life {
    site: Arc<Site>,
    process: Process,
    client: reqwest::Client,
    /// Of two who run the platform: what one asks for the other approves.
    bearers: [String; 2],
    id: String,
}

impl Life {
    async fn start(site: Arc<Site>) -> Life {
        let node = site.deployment.nodes[0].node;
        let chain_id = site.settings.chain.chain_id;
        let issuer_id = admin::add_issuer(site.pool(), BY, "Issuer").await.unwrap().issuer_id;
        let new = NewNode { issuer_id, chain_id, executor: node.executor, treasury: None };
        let node_id = admin::add_node(site.pool(), BY, new).await.unwrap().node_id;
        let address = site.deployment.suite.payment_token.unwrap();
        let new = NewCurrency { chain_id, address, symbol: "USDT".into(), decimals: 6 };
        let usdt = admin::add_currency(site.pool(), BY, new).await.unwrap().currency_id;
        let mut bearers = [String::new(), String::new()];
        for bearer in &mut bearers {
            let (name, scopes) = ("life".to_owned(), Allowed::ALL.to_vec());
            let new = NewServiceToken { name, role: Role::SuperAdmin, issuer_id: None, scopes, days: 1 };
            let (_, made) = admin::add_service_token(site.pool(), BY, new).await.unwrap();
            *bearer = made.expose_secret().to_owned();
        }
        let (process, client) = (site.run(""), reqwest::Client::new());
        let mut life = Life { site, process, client, bearers, id: String::new() };
        let price = |amount: u32| json!({ "id": usdt, "amount": amount });
        let record = json!({
            "node_id": node_id, "category_id": "c", "type": 0, "is_public": false,
            "name": "A token", "description": "", "token_name": "A token", "token_symbol": "TKN",
            "value": {
                "token_price": price(30), "total_value": price(30_000), "salable_percentage": 80, "max_supply": 1_000,
            },
            "is_open_to_secondary_market": false, "is_open_to_otc": false,
        });
        life.id = life.makes("v2/admin/token", &record).await;
        life
    }

    /// Makes what a body describes; its id.
    async fn makes(&self, path: &str, body: &Value) -> String {
        let (status, made) = self.ask(0, Method::POST, path, Some(body)).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// One of the two asks the program, as soon as it is there.
    async fn ask(&self, who: usize, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let url = format!("http://{}/{path}", self.site.settings.server.bind);
        eventually(&format!("{method} {path} is answered"), || async {
            let mut request = self.client.request(method.clone(), &url).bearer_auth(&self.bearers[who]);
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = request.send().await.ok()?;
            let status = answer.status();
            // Away, or not ready yet.
            if status == 503 { None } else { Some((status, answer.json().await.ok()?)) }
        })
        .await
    }

    async fn status(&self) -> u64 {
        let (status, token) = self.ask(0, Method::GET, &format!("v2/admin/token/{}", self.id), None).await;
        assert_eq!(status, 200, "{token}");
        token["status"].as_u64().unwrap()
    }

    async fn becomes(&self, status: u64) {
        eventually(&format!("the status is {status}"), || async { (self.status().await == status).then_some(()) })
            .await;
    }

    /// Ends the program at once, wherever it is, and starts it again.
    async fn kill(&mut self) {
        self.process.signal(Signal::SIGKILL).unwrap();
        self.process = self.site.run("");
        self.status().await;
    }

    /// A command that the platform made.
    async fn view(&self, id: &str) -> CommandView {
        self.site.commands.view(&Scope::System, &id.parse().unwrap()).await.unwrap().unwrap()
    }

    async fn is_broadcast(&self, id: &str) {
        eventually(&format!("{id} is broadcast"), || async {
            (self.view(id).await.state == State::Broadcast).then_some(())
        })
        .await;
    }

    /// Asks for an action of the token's; its command's id.
    async fn act(&self, action: &str) -> String {
        let path = format!("v2/admin/token/{}/{action}", self.id);
        let (status, command) = self.ask(0, Method::POST, &path, None).await;
        assert_eq!(status, 202, "{action}: {command}");
        command["command_id"].as_str().unwrap().to_owned()
    }

    /// Has the other one approve an offering; the command that lists it, which its terms come before.
    async fn approve(&self) -> String {
        let offering = json!({ "token_id": self.id, "exemption": "506c" });
        let path = format!("offerings/{}", self.makes("offerings", &offering).await);
        for (who, decision) in [(0, "publish"), (1, "approve")] {
            let (status, answer) = self.ask(who, Method::POST, &format!("{path}/{decision}"), None).await;
            assert!(status.is_success(), "{decision}: {answer}");
        }
        let of = async |kind: &str| {
            sqlx::query_scalar("SELECT command_id FROM offering_commands WHERE kind = $1")
                .bind(kind)
                .fetch_optional(self.site.pool())
                .await
                .unwrap()
        };
        let terms: String = eventually("the terms are asked for", || of("offering_terms")).await;
        self.is_mined(&terms).await;
        eventually("the listing is asked for", || async {
            let list: Option<String> = of("offering_list").await;
            if list.is_none() {
                self.site.world.chain.mine(1).await.unwrap();
            }
            list
        })
        .await
    }

    /// Mines until a block holds a command. No other block may come.
    async fn is_mined(&self, id: &str) {
        self.is_broadcast(id).await;
        let first = self.site.head().await + 1;
        while self.view(id).await.block_number.is_none() {
            self.site.world.chain.mine(1).await.unwrap();
            self.site.is_indexed().await;
            let situation = self.site.situation().await;
            assert!(self.site.head().await < first + SOON, "{id}: no block takes it: {situation}");
        }
    }

    /// An action whose way to the chain and whose block are both taken from it, and which is done once all the same.
    async fn step(&mut self, action: &str, meanwhile: u64, after: u64) {
        let site = self.site.clone();
        let still = site.still().await;
        site.is_indexed().await;
        let id = self.act(action).await;
        self.through(&id, meanwhile, after, still).await;
    }

    /// The way of a command that was just asked for: killed when its bytes are out, killed again while the chain turns away
    /// from the block that held it.
    async fn through(&mut self, id: &str, meanwhile: u64, after: u64, still: MutexGuard<'_, ()>) {
        let site = self.site.clone();
        assert_eq!(self.status().await, meanwhile, "{id} is asked for");
        self.is_broadcast(id).await;
        self.kill().await;
        assert_eq!(self.status().await, meanwhile, "{id} is sent");
        self.is_mined(id).await;
        assert_eq!(self.status().await, after, "a block holds {id}");
        let block = self.view(id).await.block_number.unwrap();
        let reorgs = self.reorgs().await;
        // The turn and the kill come together: what of it the program has seen before it dies is left to chance.
        site.rpc("anvil_reorg", json!([site.head().await + 1 - block, []])).await;
        self.kill().await;
        eventually("the turn is noticed", || async { (self.reorgs().await > reorgs).then_some(()) }).await;
        site.is_indexed().await;
        assert_eq!(self.status().await, meanwhile, "the block of {id} is gone");
        drop(still);
        self.becomes(after).await;
    }

    /// Waits until the node's contracts were asked for what they are to say of the token, and a block holds that: while no
    /// block comes, what is asked for next would wait behind it.
    async fn has_its_terms(&self) {
        eventually("nothing is due or on its way", || async {
            let quiet: bool = sqlx::query_scalar(
                "SELECT NOT EXISTS (SELECT FROM token_terms_due)
                    AND NOT EXISTS (SELECT FROM command_states
                                     WHERE state IN ('accepted', 'awaiting_approval', 'ready', 'prepared'))",
            )
            .fetch_one(self.site.pool())
            .await
            .unwrap();
            quiet.then_some(())
        })
        .await;
    }

    async fn reorgs(&self) -> u64 {
        read::cursor(self.site.pool(), self.site.settings.chain.chain_id).await.unwrap().unwrap().reorgs
    }

    /// Every command has ended for good, and the chain ran exactly those that are done, each in one transaction. What the
    /// node's contracts are to say of the token may fail while its block is away, and is asked for again later.
    async fn is_exact(&self, failed: usize) {
        self.site.is_exact(LIMIT).await;
        let mut failures = 0;
        let commands: Vec<(String, String, String, bool)> = sqlx::query_as(
            "SELECT scope, command_id, state, command_id IN (SELECT command_id FROM token_terms) FROM command_views",
        )
        .fetch_all(self.site.pool())
        .await
        .unwrap();
        for (scope, id, state, terms) in &commands {
            let scope = if scope == "ops" { Scope::Ops } else { Scope::System };
            let key = onchain_id(&scope, &id.parse().unwrap());
            let filter = json!({ "topics": [null, key], "fromBlock": "0x0" });
            let logs: Vec<Log> = serde_json::from_value(self.site.rpc("eth_getLogs", json!([filter])).await).unwrap();
            let runs: Vec<bool> = logs
                .iter()
                .filter_map(|log| Some(log.log_decode::<Executor::CommandExecuted>().ok()?.inner.data.ok))
                .collect();
            let expected = if state == "final" { &[true][..] } else { &[] };
            assert_eq!(runs, expected, "{scope} {id} is {state}");
            failures += usize::from(runs.is_empty() && !terms);
        }
        assert_eq!(failures, failed);
    }

    /// The tables are what the kept logs say.
    fn is_equal(&self) {
        let verified = process::command(&self.site.settings, &["reindex", "--verify"]).unwrap().output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_the_chains_through_kills_and_turns_in_the_middle_of_each_step() {
    let (site, _miner) = Site::start().await;
    let mut life = Life::start(site.clone()).await;
    assert_eq!(life.status().await, 1);

    // A factory that refuses: the deployment fails, and neither a kill nor a turn brings it back.
    let factory = site.deployment.suite.factory;
    let still = site.still().await;
    let code = site.rpc("eth_getCode", json!([factory, "latest"])).await;
    site.rpc("anvil_setCode", json!([factory, REFUSES])).await;
    let first = life.act("deploy").await;
    life.kill().await;
    drop(still);
    life.becomes(3).await;
    let still = site.still().await;
    site.is_indexed().await;
    let reorgs = life.reorgs().await;
    site.rpc("anvil_reorg", json!([1, []])).await;
    life.kill().await;
    eventually("the turn is noticed", || async { (life.reorgs().await > reorgs).then_some(()) }).await;
    assert_eq!(life.status().await, 3);
    site.rpc("anvil_setCode", json!([factory, code])).await;
    site.world.chain.mine(1).await.unwrap();
    drop(still);
    assert_eq!(life.view(&first).await.state, State::Failed);

    life.step("deploy", 2, 4).await;
    life.has_its_terms().await;
    let still = site.still().await;
    site.is_indexed().await;
    let listing = life.approve().await;
    life.through(&listing, 4, 6, still).await;
    life.step("delist", 6, 5).await;
    life.step("list", 5, 6).await;
    life.step("delist", 6, 5).await;
    life.step("passivate", 5, 7).await;
    life.step("burn", 7, 8).await;
    life.is_exact(1).await;
    assert_eq!(life.status().await, 8);
    life.is_equal();
}
