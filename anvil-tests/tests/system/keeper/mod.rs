//! The keeper against a real chain, a real Postgres and the real indexer.

mod accept;
mod deploy;
mod faults;
mod flow;
mod lanes;
mod node;
mod operations;
mod slots;

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256, address};
use alloy::signers::local::PrivateKeySigner;
use sqlx::PgPool;
use tokenx::local::anvil::Mining;
use tokenx::local::suite::Deployment;
use tokenx_anvil_tests::{World, eventually};
use tokenx_config::Settings;
use tokenx_contracts::{CommandId, Scope};
use tokenx_indexer::{Indexer, read};
use tokenx_keeper::{
    AcceptError, Accepted, CommandProjection, CommandView, Commands, Doors, Keeper, NewCommand, Operation, State,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const ALICE: Address = address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65");
const BOB: Address = address!("9965507D1a55bcC2695C58ba16FB37d819B0A4dc");

/// A world with an indexer at work; a keeper joins when the test says so.
struct Stack {
    world: World,
    deployment: Deployment,
    settings: Settings,
    commands: Commands,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// A keeper at work.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// Ends it as SIGTERM does.
    async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }

    /// Ends it as a crash does: wherever it is.
    async fn crash(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Stack {
    /// A world with blocks each 0.1 s and Alice and Bob whitelisted.
    async fn start() -> Self {
        // On a loaded machine a few such blocks pass before a transaction is even sent: that is not lateness.
        let patient = |settings: &mut Settings| settings.keeper.bump_after_blocks = 200;
        let stack = Self::with(Mining::Every(std::time::Duration::from_millis(100)), patient).await;
        let keeper = stack.keeper().await;
        stack.whitelist(&[ALICE, BOB]).await;
        keeper.stop().await;
        stack
    }

    /// A world whose blocks come as said, with settings changed.
    async fn with(mining: Mining, change: impl FnOnce(&mut Settings)) -> Self {
        let world = World::with(mining).await.unwrap();
        let deployment = world.deploy().await.unwrap();
        let mut settings = world.settings(&deployment).unwrap();
        settings.monitor.enabled = false;
        change(&mut settings);
        let commands = Commands::new(world.pool.clone(), Doors::of(&settings.chain));
        let stop = CancellationToken::new();
        let mut stack = Self { world, deployment, settings, commands, stop, tasks: Vec::new() };
        stack.follow().await;
        eventually("the instrument is indexed", || async {
            read::instrument(stack.pool(), stack.chain(), "rCC").await.unwrap().map(drop)
        })
        .await;
        stack
    }

    async fn follow(&mut self) {
        let projection = CommandProjection::open(self.pool(), self.chain()).await.unwrap();
        let indexer = Indexer::builder(&self.settings, self.pool().clone())
            .watch_accounts(projection.watch())
            .with_projection(Arc::new(projection))
            .build();
        let ended = self.stop.clone();
        self.tasks.push(tokio::spawn(async move { indexer.run(ended).await.unwrap() }));
    }

    /// Starts the indexer again, with the settings as they are now.
    async fn follow_anew(&mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
        self.stop = CancellationToken::new();
        self.follow().await;
        self.indexed().await;
    }

    fn pool(&self) -> &PgPool {
        &self.world.pool
    }

    fn chain(&self) -> u64 {
        self.settings.chain.chain_id
    }

    fn token(&self) -> Address {
        self.deployment.nodes[0].token
    }

    /// Starts a keeper with the settings as they are now.
    async fn keeper(&self) -> Running {
        self.keeper_by(&self.settings).await
    }

    /// Starts a keeper with other settings, on connections of its own: a crash takes them with it.
    async fn keeper_by(&self, settings: &Settings) -> Running {
        let pool = self.world.database.pool().await.unwrap();
        let keeper = Keeper::new(settings, pool, &self.commands).await.unwrap();
        let stop = CancellationToken::new();
        let ended = stop.clone();
        let task = tokio::spawn(async move { keeper.run(ended).await.unwrap() });
        Running { stop, task }
    }

    /// Accepts a command in `ops`.
    async fn accept(&self, id: &str, operation: Operation) -> Result<Accepted, AcceptError> {
        self.commands.accept(&new(id, operation)).await
    }

    async fn view(&self, id: &str) -> CommandView {
        self.commands.view(&Scope::Ops, &id.parse().unwrap()).await.unwrap().unwrap()
    }

    /// Waits until a command is in a state that the test wants.
    async fn until(&self, id: &str, what: &str, wanted: impl Fn(&CommandView) -> bool) -> CommandView {
        let wanted = &wanted;
        eventually(&format!("command {id} {what}"), || async {
            let view = self.view(id).await;
            wanted(&view).then_some(view)
        })
        .await
    }

    async fn confirmed(&self, id: &str) -> CommandView {
        let done = self.until(id, "ends", |view| view.state.is_ended()).await;
        assert!(matches!(done.state, State::Confirmed | State::Final), "{id}: {done:?}");
        done
    }

    /// Whitelists wallets and waits for it; needs a keeper at work and blocks that come.
    async fn whitelist(&self, wallets: &[Address]) {
        for (investor, wallet) in (1..).zip(wallets) {
            let operation = Operation::Whitelist {
                wallet: *wallet,
                investor_id: investor,
                country: 276,
                investor_class: 1,
                kyc_expires_at: 0,
                reason: B256::ZERO,
            };
            self.accept(&format!("whitelist-{wallet}"), operation).await.unwrap();
        }
        for wallet in wallets {
            self.confirmed(&format!("whitelist-{wallet}")).await;
        }
    }

    async fn balance(&self, wallet: Address) -> U256 {
        read::position(self.pool(), self.chain(), self.token(), wallet).await.unwrap().balance
    }

    /// How often the chain ran a command, by the indexed logs.
    async fn runs(&self, id: &str) -> i64 {
        let id = tokenx_contracts::onchain_id(&Scope::Ops, &id.parse().unwrap());
        sqlx::query_scalar("SELECT count(*) FROM command_results WHERE onchain_id = $1 AND status = 'executed'")
            .bind(id.as_slice())
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.pool()).await.unwrap()
    }

    /// A call by an unlocked account of the node.
    async fn send(&self, from: Address, to: Address, data: Vec<u8>) {
        let call = serde_json::json!({ "from": from, "to": to, "data": Bytes::from(data), "gas": "0x100000" });
        self.world.chain.rpc("eth_sendTransaction", serde_json::json!([call])).await.unwrap();
    }

    /// Mines one block and waits until it is indexed.
    async fn mine(&self) {
        self.world.chain.mine(1).await.unwrap();
        self.indexed().await;
    }

    /// Waits until the node's head is indexed: what simulation looks at.
    async fn indexed(&self) {
        let head = self.world.chain.rpc("eth_blockNumber", serde_json::json!([])).await.unwrap();
        let head = u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        eventually("the head is indexed", || async {
            let cursor = read::cursor(self.pool(), self.chain()).await.unwrap()?;
            (cursor.number >= head).then_some(())
        })
        .await;
    }
}

fn new(id: &str, operation: Operation) -> NewCommand {
    NewCommand {
        scope: Scope::Ops,
        command_id: CommandId::parse(id).unwrap(),
        operation,
        requested_by: "user:test".to_owned(),
        request_id: "request-1".to_owned(),
        answer: format!("{{\"command_id\":\"{id}\",\"status\":\"submitted\"}}"),
        valid_until: None,
    }
}

fn mint(to: Address, amount: u64) -> Operation {
    Operation::Mint { instrument: "rCC".parse().unwrap(), to, amount: U256::from(amount), reason: B256::ZERO }
}

fn burn(from: Address, amount: u64) -> Operation {
    Operation::Burn { instrument: "rCC".parse().unwrap(), from, amount: U256::from(amount), reason: B256::ZERO }
}

fn key(text: &str) -> PrivateKeySigner {
    text.parse().unwrap()
}
