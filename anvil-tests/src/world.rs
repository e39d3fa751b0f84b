//! What a test stands on.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::Result;
use sqlx::PgPool;
use tokenx::local::anvil::{CHAIN_ID, Mining};
use tokenx::local::suite::{self, Deployment, LANE_KEYS, Plan};
use tokenx::local::{Anvil, AnvilOptions, tools};
use tokenx_config::{Profile, Settings};

use crate::TestDatabase;

/// Blocks come fast, so that tests do not wait for them.
const BLOCK_TIME: Duration = Duration::from_millis(100);

/// States that a chain that turns keeps: those of its deepest turn, and those that storms above it have made.
const TURNED: usize = 1_000;

/// A database and a chain of this test's own.
#[derive(Debug)]
pub struct World {
    /// A pool on the database.
    pub pool: PgPool,
    /// The chain.
    pub chain: Anvil,
    mining: Mining,
    /// The database; dropped last.
    pub database: TestDatabase,
}

impl World {
    /// A world with a block each 0.1 s.
    pub async fn start() -> Result<Self> {
        Self::with(Mining::Every(BLOCK_TIME)).await
    }

    /// Deploys the suite and two nodes: the first with the instrument `rCC`, the second, of another issuer, `rDD`.
    /// Blocks are mined for it where they do not come by themselves.
    pub async fn deploy(&self) -> Result<Deployment> {
        self.deploy_another("test").await
    }

    /// The same, a suite of its own for each salt.
    pub async fn deploy_another(&self, salt: &str) -> Result<Deployment> {
        let plan = |node_id, issuer_id, instrument_id, name| Plan {
            node_id,
            issuer_id,
            instrument_id,
            name,
            treasury: Address::repeat_byte(0x77),
        };
        let plans = [plan("node-1", "issuer-1", "rCC", "Real Credit"), plan("node-2", "issuer-2", "rDD", "Real Debt")];
        let url = self.chain.url();
        let deployed = suite::deploy(&url, salt, &plans);
        match self.mining {
            Mining::Every(_) => deployed.await,
            Mining::Manual => tokio::select! {
                deployed = deployed => deployed,
                stopped = self.chain.mine_each(BLOCK_TIME) => Err(stopped),
            },
        }
    }

    /// Settings of the profile `test` for this world with what was deployed on it; the API takes a free port.
    pub fn settings(&self, deployment: &Deployment) -> Result<Settings> {
        let suite = deployment.suite;
        let mut settings = Settings::embedded(Profile::Test)?;
        settings.database.url = self.database.url().into();
        settings.chain.rpc_url = self.chain.url().into();
        settings.chain.ws_url = Some(self.chain.ws_url().into());
        settings.chain.chain_id = CHAIN_ID;
        settings.chain.start_block = deployment.block;
        settings.chain.factory = Some(suite.factory);
        settings.chain.registry = Some(suite.registry);
        settings.chain.executors = vec![suite.registry_executor];
        settings.signer.keys = LANE_KEYS.map(Into::into).to_vec();
        settings.server.bind = ([127, 0, 0, 1], 0).into();
        settings.validate()?;
        Ok(settings)
    }

    /// A world whose blocks come as said.
    pub async fn with(mining: Mining) -> Result<Self> {
        Self::on(TestDatabase::create().await?, mining, None).await
    }

    /// A world whose blocks come when the test says, and whose chain can be turned however long it has become. Of blocks
    /// further back nothing can be called.
    pub async fn turning() -> Result<Self> {
        Self::on(TestDatabase::create().await?, Mining::Manual, Some(TURNED)).await
    }

    /// A world for benchmarks: its database flushes to disk as in production.
    pub async fn durable(mining: Mining) -> Result<Self> {
        Self::on(TestDatabase::durable().await?, mining, None).await
    }

    async fn on(database: TestDatabase, mining: Mining, states: Option<usize>) -> Result<Self> {
        #[allow(clippy::print_stderr, reason = "progress of a test run")]
        let report = |line: &str| eprintln!("{line}");
        let program = tools::anvil(&report).await?;
        let folder = scratch_folder("anvil")?;
        let options = AnvilOptions { program, folder, port: None, mining, state: None, states, scratch: true };
        Ok(Self { chain: Anvil::start(options).await?, pool: database.pool().await?, mining, database })
    }
}

/// A new folder below the temporary one, which a supervisor removes.
pub(crate) fn scratch_folder(what: &str) -> Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix(&format!("tokenx-test-{what}-")).tempdir()?.keep())
}
