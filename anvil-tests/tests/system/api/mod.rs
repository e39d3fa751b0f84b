//! The api over HTTP, against a real database and, where it matters, a real chain, indexer and keeper.

mod accounts;
mod admin_functions;
mod ats;
mod attacks;
mod audit;
mod auth;
mod bad_input;
mod check;
mod day;
mod digits;
mod events;
mod fuzz;
mod graphql;
mod http;
mod investors;
mod kyc;
mod matrix;
mod offerings;
mod otc;
mod portfolio;
mod redemptions;
mod rent;
mod replay;
mod reports;
mod shapes;
mod subscriptions;
mod tenants;
mod text;
mod tokenization;
mod tokens;
mod wallet_login;
mod wallets;

use std::collections::HashMap;
use std::sync::Arc;

use alloy::primitives::{Address, address};
use alloy::sol_types::SolCall;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokenx::local::postgres::free_port;
use tokenx_anvil_tests::{Deployment, TestDatabase, World, eventually, eventually_within};
use tokenx_api::admin::{self, By, NewNode, NewParty, NewServiceToken, NewUser, NewWallet, WalletKind};
use tokenx_api::policy::{Role, Scope};
use tokenx_config::{Profile, Settings};
use tokenx_contracts::ids::PartyId;
use tokenx_indexer::Indexer;
use tokenx_keeper::{CommandProjection, Commands, Doors, Keeper};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const BY: By<'static> = By { actor: "cli:test", request_id: None };
/// A process is there, or has come by its failpoint, in this time.
const PROCESS: std::time::Duration = std::time::Duration::from_secs(120);
const PASSWORD: &str = "a password for tests";
/// The party id of the reference text.
const ALICE: &str = "alice::122...";
/// A party whose wallet nobody approved.
const CAROL: &str = "carol";
const CAROL_WALLET: Address = address!("00000000000000000000000000000000000ca701");

/// An api with people of every role.
struct Kit {
    url: String,
    client: reqwest::Client,
    settings: Settings,
    pool: PgPool,
    commands: Commands,
    issuers: [Uuid; 2],
    /// One person's access token a role.
    people: HashMap<Role, String>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    // Dropped last.
    _world: Option<World>,
    _database: Option<TestDatabase>,
}

/// An answer, read.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `field: type` of every entry of the Token App's list.
    fn bad_fields(&self) -> Vec<String> {
        assert_eq!(self.status, 422, "{}", self.text);
        let json = self.json();
        let list = json["detail"].as_array().unwrap_or_else(|| panic!("no list: {json}"));
        let name = |entry: &Value| {
            assert!(entry["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{entry}");
            let loc = entry["loc"].as_array().unwrap();
            format!("{}: {}", loc.last().unwrap().as_str().unwrap(), entry["type"].as_str().unwrap())
        };
        list.iter().map(name).collect()
    }
}

impl Kit {
    /// An api on a database alone: what needs no chain.
    async fn bare() -> Kit {
        Kit::bare_with(|_| {}).await
    }

    async fn bare_with(change: impl FnOnce(&mut Settings)) -> Kit {
        let database = TestDatabase::create().await.unwrap();
        let mut settings = Settings::embedded(Profile::Test).unwrap();
        settings.database.url = database.url().into();
        settings.limits.off = true;
        change(&mut settings);
        let pool = database.pool().await.unwrap();
        let doors = Doors { chain_id: settings.chain.chain_id, registry: None, registry_executor: None, factory: None };
        let mut kit = Kit::open(settings, pool, doors).await;
        kit._database = Some(database);
        kit.seed_people().await;
        kit
    }

    /// The whole: chain, indexer, keeper, api. Alice's wallet is approved and holds 1,000 rCC.
    async fn whole() -> Kit {
        Kit::whole_with(|_, _| {}).await
    }

    async fn whole_with(change: impl FnOnce(&mut Settings, &Deployment)) -> Kit {
        let world = World::start().await.unwrap();
        let deployment = world.deploy().await.unwrap();
        let mut settings = world.settings(&deployment).unwrap();
        settings.limits.off = true;
        change(&mut settings, &deployment);
        let doors = Doors::of(&settings.chain);
        let mut kit = Kit::open(settings, world.pool.clone(), doors).await;
        kit.follow().await;
        kit._world = Some(world);
        for (issuer_id, deployed) in kit.issuers.into_iter().zip(&deployment.nodes) {
            let executor = deployed.node.executor;
            let node = NewNode { issuer_id, chain_id: kit.settings.chain.chain_id, executor, treasury: None };
            admin::add_node(&kit.pool, BY, node).await.unwrap();
        }
        kit.seed_people().await;
        kit.seed_holder().await;
        kit
    }

    async fn open(settings: Settings, pool: PgPool, doors: Doors) -> Kit {
        let commands = Commands::new(pool.clone(), doors);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let context = tokenx_api::ApiContext {
            settings: Arc::new(settings.clone()),
            pool: pool.clone(),
            commands: commands.clone(),
        };
        let serving = tokenx_api::serve(context, listener, stop.clone());
        let tasks = vec![tokio::spawn(async move { serving.await.unwrap() })];
        let first = admin::add_issuer(&pool, BY, "First Issuer").await.unwrap().issuer_id;
        let second = admin::add_issuer(&pool, BY, "Second Issuer").await.unwrap().issuer_id;
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        // Before the server lets go of a connection on which nothing is asked: it would be gone while a request is sent.
        let client = client.pool_idle_timeout(std::time::Duration::from_secs(2)).build().unwrap();
        Kit {
            url,
            client,
            settings,
            pool,
            commands,
            issuers: [first, second],
            people: HashMap::new(),
            stop,
            tasks,
            _world: None,
            _database: None,
        }
    }

    async fn follow(&mut self) {
        let chain_id = self.settings.chain.chain_id;
        let results = CommandProjection::open(&self.pool, chain_id).await.unwrap();
        let indexer = Indexer::builder(&self.settings, self.pool.clone())
            .watch_accounts(results.watch())
            .with_projection(Arc::new(results))
            .build();
        let keeper = Keeper::new(&self.settings, self.pool.clone(), &self.commands).await.unwrap();
        let (one, other) = (self.stop.clone(), self.stop.clone());
        self.tasks.push(tokio::spawn(async move { indexer.run(one).await.unwrap() }));
        self.tasks.push(tokio::spawn(async move { keeper.run(other).await.unwrap() }));
    }

    async fn seed_people(&mut self) {
        self.add_party(ALICE).await;
        for role in Role::ALL {
            self.add_user(&format!("{role}@example.org"), role).await;
            let token = self.log_in(&format!("{role}@example.org")).await["access_token"].as_str().unwrap().to_owned();
            self.people.insert(role, token);
        }
    }

    /// A hosted wallet for Alice, a self-custody one for Carol that nothing approves, and the first mint.
    async fn seed_holder(&mut self) {
        let alice = NewWallet { party_id: PartyId::parse(ALICE).unwrap(), kind: WalletKind::Hosted };
        eventually("a hosted key is ready", || async {
            admin::add_wallet(&self.pool, &self.commands, BY, alice.clone()).await.ok()
        })
        .await;
        self.add_party(CAROL).await;
        eventually("alice's wallet is approved", || async {
            let wallets = admin::list_wallets(&self.pool, self.settings.chain.chain_id).await.unwrap();
            wallets.iter().all(|wallet| wallet.approved).then_some(())
        })
        .await;
        let minted = self.mint("seed", ALICE, "1000").await;
        assert_eq!(minted.status, 200, "{}", minted.text);
        self.holding("1000.0").await;
    }

    async fn add_party(&self, party_id: &str) {
        let party_id = PartyId::parse(party_id).unwrap();
        let party = NewParty { party_id, country: 404, investor_class: 1, kyc_expires_at: None };
        admin::add_party(&self.pool, BY, party).await.unwrap();
    }

    async fn add_user(&self, email: &str, role: Role) {
        let user = NewUser {
            email: email.to_owned(),
            password: PASSWORD.to_owned().into(),
            role,
            issuer_id: (role == Role::Issuer).then_some(self.issuers[0]),
            party_id: (role == Role::Investor).then(|| ALICE.to_owned()),
        };
        admin::add_user(&self.pool, &self.settings.auth, BY, user).await.unwrap();
    }

    async fn service_token(&self, role: Role, issuer: Option<usize>, scopes: &[Scope]) -> (Uuid, String) {
        let issuer_id = issuer.map(|index| self.issuers[index]);
        let new = NewServiceToken { name: "a tool".into(), role, issuer_id, scopes: scopes.to_vec(), days: 1 };
        let (id, token) = admin::add_service_token(&self.pool, BY, new).await.unwrap();
        (id, token.expose_secret().to_owned())
    }

    async fn log_in(&self, email: &str) -> Value {
        let answer = self.post("/auth/login", None, &json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    fn token(&self, role: Role) -> Option<&str> {
        Some(&self.people[&role])
    }

    /// Has a contract called by any account, its key known or not, and waits for it.
    async fn transact(&self, from: Address, to: Address, call: impl SolCall) {
        let chain = &self._world.as_ref().unwrap().chain;
        chain.rpc("anvil_impersonateAccount", json!([from])).await.unwrap();
        chain.rpc("anvil_setBalance", json!([from, "0xde0b6b3a7640000"])).await.unwrap();
        let data = alloy::primitives::Bytes::from(call.abi_encode());
        let request = json!([{ "from": from, "to": to, "data": data, "gas": "0xf4240" }]);
        let hash = chain.rpc("eth_sendTransaction", request).await.unwrap();
        eventually("the call is mined", || async {
            let receipt = chain.rpc("eth_getTransactionReceipt", json!([hash])).await.ok()?;
            assert_ne!(receipt["status"], "0x0", "the contract refused");
            receipt["status"].is_string().then_some(())
        })
        .await;
    }

    async fn send(&self, method: Method, path: &str, token: Option<&str>, body: Option<String>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        read(request).await
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(Method::GET, path, token, None).await
    }

    async fn patch(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.send(Method::PATCH, path, token, Some(body.to_string())).await
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.send(Method::POST, path, token, Some(body.to_string())).await
    }

    /// As the transfer agent.
    async fn supply(&self, which: &str, command_id: &str, party_id: &str, amount: &str) -> Answer {
        let body = json!({ "command_id": command_id, "instrument_id": "rCC", "party_id": party_id });
        // The amount as it is written, not as a JSON library would.
        let body = format!("{},\"amount\":{amount}}}", body.to_string().trim_end_matches('}'));
        self.send(Method::POST, &format!("/api/admin/{which}"), self.token(Role::TransferAgent), Some(body)).await
    }

    async fn mint(&self, command_id: &str, party_id: &str, amount: &str) -> Answer {
        self.supply("mint", command_id, party_id, amount).await
    }

    async fn burn(&self, command_id: &str, party_id: &str, amount: &str) -> Answer {
        self.supply("burn", command_id, party_id, amount).await
    }

    /// Waits until Alice's confirmed, spendable holding of rCC is this much; none at all is `""`.
    async fn holding(&self, amount: &str) {
        eventually(&format!("alice holds {amount:?}"), || async {
            let answer = self.get("/data/admin/holdings?instrument_id=rCC", self.token(Role::SuperAdmin)).await;
            if answer.status != 200 {
                return None;
            }
            let held = answer.json()["holdings"][0]["amount"].as_str().unwrap_or("").to_owned();
            (held == amount).then_some(())
        })
        .await;
    }

    /// Ends what of the stack runs within the test; the settings by which a process takes its place.
    async fn moves_out(&mut self) -> Settings {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
        let mut settings = self.settings.clone();
        settings.server.bind.set_port(free_port().unwrap());
        self.url = format!("http://{}", settings.server.bind);
        settings
    }

    /// Waits until a process has taken its place.
    async fn is_served(&self) {
        let url = format!("{}/healthz", self.url);
        eventually_within(PROCESS, "the process serves", || async { self.client.get(&url).send().await.ok() }).await;
    }

    /// Stops everything and waits for it, so that nothing of it touches a database that is being dropped.
    async fn end(mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
        self.pool.close().await;
    }
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}
