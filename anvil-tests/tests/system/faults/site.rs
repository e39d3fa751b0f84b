//! Where campaigns take place: a chain whose blocks come when the site says, a database, clients that ask until they
//! are answered, and as many processes as a campaign starts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256, address};
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokenx::local::anvil::Mining;
use tokenx::local::postgres::free_port;
use tokenx::local::suite::Deployment;
use tokenx_anvil_tests::{Process, World, eventually, eventually_within};
use tokenx_api::admin::{self, By, NewServiceToken};
use tokenx_api::policy::{Role, Scope as Allowed};
use tokenx_config::{Finality, Settings};
use tokenx_contracts::{CommandId, Scope};
use tokenx_indexer::read;
use tokenx_keeper::{CommandView, Commands, Doors, NewCommand, Operation, State};
use tokio::sync::MutexGuard;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

pub(super) const HOLDER: Address = address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65");
const BLOCK_TIME: Duration = Duration::from_millis(100);
/// Final soon, so that a campaign can wait for it, and deeper than its reorgs.
const FINAL: u64 = 8;
/// How long a client asks: through many crashes.
const PATIENCE: Duration = Duration::from_secs(600);
/// Clients at once.
pub(super) const IN_FLIGHT: usize = 50;

pub(super) struct Site {
    pub(super) world: World,
    pub(super) deployment: Deployment,
    /// What processes are started with.
    pub(super) settings: Settings,
    pub(super) commands: Commands,
    client: reqwest::Client,
    bearer: String,
    next: AtomicU64,
    asked: Mutex<Vec<(String, u64)>>,
    clients: Mutex<JoinSet<()>>,
    /// Held by the miner for each block.
    mining: tokio::sync::Mutex<()>,
}

impl Site {
    /// A site with one holder, whose blocks come each 0.1 s. Gone with the miner it returns.
    pub(super) async fn start() -> (Arc<Self>, AbortOnDropHandle<()>) {
        let world = World::with(Mining::Manual).await.unwrap();
        let deployment = world.deploy().await.unwrap();
        let mut settings = world.settings(&deployment).unwrap();
        settings.server.bind.set_port(free_port().unwrap());
        settings.chain.finality = Finality::Depth(FINAL);
        settings.limits.off = true;
        let commands = Commands::new(world.pool.clone(), Doors::of(&settings.chain));
        let new = NewServiceToken {
            name: "campaign".to_owned(),
            role: Role::SuperAdmin,
            issuer_id: None,
            scopes: vec![Allowed::LedgerWrite],
            days: 1,
        };
        let by = By { actor: "cli:test", request_id: None };
        let (_, bearer) = admin::add_service_token(&world.pool, by, new).await.unwrap();
        let site = Arc::new(Self {
            world,
            deployment,
            settings,
            commands,
            client: reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap(),
            bearer: bearer.expose_secret().to_owned(),
            next: AtomicU64::new(1),
            asked: Mutex::default(),
            clients: Mutex::default(),
            mining: tokio::sync::Mutex::default(),
        });
        let miner = AbortOnDropHandle::new(tokio::spawn(site.clone().mine()));
        site.whitelist().await;
        (site, miner)
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.world.pool
    }

    /// The whole program, with these failpoints.
    pub(super) fn run(&self, failpoints: &str) -> Process {
        self.run_with(failpoints, |_| {})
    }

    /// The whole program with other settings.
    pub(super) fn run_with(&self, failpoints: &str, change: impl FnOnce(&mut Settings)) -> Process {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Process::start(&settings, &["run"], failpoints).unwrap()
    }

    async fn mine(self: Arc<Self>) {
        loop {
            let turn = self.mining.lock().await;
            self.world.chain.mine(1).await.unwrap();
            drop(turn);
            tokio::time::sleep(BLOCK_TIME).await;
        }
    }

    /// No block comes by itself while this is held.
    pub(super) async fn still(&self) -> MutexGuard<'_, ()> {
        self.mining.lock().await
    }

    pub(super) async fn rpc(&self, method: &str, params: Value) -> Value {
        self.world.chain.rpc(method, params).await.unwrap()
    }

    pub(super) async fn head(&self) -> u64 {
        quantity(&self.rpc("eth_blockNumber", json!([])).await).to()
    }

    /// Waits until the node's head, which must not move, is indexed.
    pub(super) async fn is_indexed(&self) {
        let head = self.head().await;
        eventually("the head is indexed", || async {
            let cursor = read::cursor(self.pool(), self.settings.chain.chain_id).await.unwrap()?;
            (cursor.number == head).then_some(())
        })
        .await;
    }

    /// What the next block asks per gas, in wei.
    pub(super) async fn next_base_fee(&self, wei: u128) {
        self.rpc("anvil_setNextBlockBaseFeePerGas", json!([U256::from(wei)])).await;
    }

    async fn whitelist(&self) {
        let process = self.run("");
        let operation = Operation::Whitelist {
            wallet: HOLDER,
            investor_id: 1,
            country: 276,
            investor_class: 1,
            kyc_expires_at: 0,
            reason: B256::ZERO,
        };
        self.accept("holder", operation).await;
        eventually("the holder is whitelisted", || async {
            (self.view("holder").await.state == State::Final).then_some(())
        })
        .await;
        process.signal(Signal::SIGKILL).unwrap();
    }

    /// Accepts a command at the door of the keeper, with no API between.
    async fn accept(&self, id: &str, operation: Operation) {
        let new = NewCommand {
            scope: Scope::Ops,
            command_id: CommandId::parse(id).unwrap(),
            operation,
            requested_by: "user:test".to_owned(),
            request_id: "request-1".to_owned(),
            answer: answer(id),
            valid_until: None,
        };
        self.commands.accept(&new).await.unwrap();
    }

    fn name(&self) -> (String, u64) {
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        let asked = (format!("m-{n}"), n);
        self.asked.lock().unwrap().push(asked.clone());
        asked
    }

    /// Accepts a mint at the keeper's door; its id.
    pub(super) async fn mint(&self) -> String {
        let (id, amount) = self.name();
        let instrument = "rCC".parse().unwrap();
        let operation = Operation::Mint { instrument, to: HOLDER, amount: whole(amount), reason: B256::ZERO };
        self.accept(&id, operation).await;
        id
    }

    /// Sends so many clients off, each with a mint of its own that it asks for until it is answered. The answers are
    /// waited for by [`Site::answered`].
    pub(super) fn ask(self: &Arc<Self>, mints: usize) {
        for _ in 0..mints {
            let site = self.clone();
            let (id, amount) = self.name();
            self.clients.lock().unwrap().spawn(async move { site.client(&id, amount).await });
        }
    }

    /// [`Site::ask`], for as many as bring the clients that still ask up to this number.
    pub(super) fn keep_asking(self: &Arc<Self>, clients: usize) {
        let mut asking = self.clients.lock().unwrap();
        while let Some(answered) = asking.try_join_next() {
            answered.unwrap();
        }
        let missing = clients.saturating_sub(asking.len());
        drop(asking);
        self.ask(missing);
    }

    /// Waits until every client has its answer.
    pub(super) async fn answered(&self) {
        let clients = std::mem::take(&mut *self.clients.lock().unwrap());
        clients.join_all().await;
    }

    async fn client(&self, id: &str, amount: u64) {
        let url = format!("http://{}/api/admin/mint", self.settings.server.bind);
        let body = json!({
            "command_id": id, "instrument_id": "rCC", "party_id": HOLDER, "amount": amount.to_string(),
        });
        let ask = async || -> reqwest::Result<(StatusCode, String)> {
            let sent = self.client.post(&url).bearer_auth(&self.bearer).json(&body).send().await?;
            Ok((sent.status(), sent.text().await?))
        };
        eventually_within(PATIENCE, &format!("{id} is answered"), || async {
            match ask().await {
                Ok((status, text)) if status.is_success() => assert_eq!(text, answer(id)),
                Ok((status, text)) if !status.is_server_error() => panic!("{id}: {status} {text}"),
                // Nobody there, or nobody who can answer: ask again, as clients do after a moment.
                _ => {
                    tokio::time::sleep(BLOCK_TIME).await;
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    pub(super) async fn view(&self, id: &str) -> CommandView {
        self.commands.view(&Scope::Ops, &id.parse().unwrap()).await.unwrap().unwrap()
    }

    /// What was asked for so far: ids, and whole tokens each.
    pub(super) fn asked(&self) -> Vec<(String, u64)> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.pool()).await.unwrap()
    }

    /// Commands that have not ended for good.
    pub(super) async fn open(&self) -> i64 {
        self.count(
            "SELECT count(*)
               FROM command_states
              WHERE state IN ('accepted', 'awaiting_approval', 'ready', 'prepared', 'mined', 'confirmed')",
        )
        .await
    }

    /// The most that bytes of open slots offer per gas, in wei.
    pub(super) async fn offered(&self) -> u128 {
        let offered: String = sqlx::query_scalar(
            "SELECT coalesce(max(a.max_fee), 0)::text
               FROM attempts a
               JOIN slots s USING (lane_id, nonce)
              WHERE s.state = 'open'",
        )
        .fetch_one(self.pool())
        .await
        .unwrap();
        offered.parse().unwrap()
    }

    /// Where commands and lanes stand, for whoever has to find out why nothing happens.
    pub(super) async fn situation(&self) -> String {
        let commands: Vec<(String, i64)> = sqlx::query_as("SELECT state, count(*) FROM command_views GROUP BY state")
            .fetch_all(self.pool())
            .await
            .unwrap();
        let lanes: Vec<(i64, i64, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT l.next_nonce, (SELECT count(*) FROM slots s WHERE s.lane_id = l.lane_id AND s.state = 'open'),
                    l.problem, l.halted_reason
               FROM lanes l",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        format!("commands {commands:?}; lanes (next nonce, open slots, problem, halted) {lanes:?}")
    }

    /// Commands that no block holds yet.
    pub(super) async fn queued(&self) -> i64 {
        self.count("SELECT count(*) FROM command_states WHERE state IN ('accepted', 'ready', 'prepared')").await
    }

    /// Slots that the chain has not decided.
    pub(super) async fn open_slots(&self) -> i64 {
        self.count("SELECT count(*) FROM slots WHERE state = 'open'").await
    }
}

/// Whole tokens in base units.
pub(super) fn whole(tokens: u64) -> U256 {
    U256::from(tokens) * U256::from(10).pow(U256::from(18))
}

/// A number as JSON-RPC writes it.
pub(super) fn quantity(value: &Value) -> U256 {
    value.as_str().unwrap().parse().unwrap()
}

fn answer(id: &str) -> String {
    format!("{{\"command_id\":\"{id}\",\"status\":\"submitted\"}}")
}
