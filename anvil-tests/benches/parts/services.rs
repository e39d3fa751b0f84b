//! What benchmarks measure: chain, database, indexer, API and keeper, in this process save for the first two.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokenx::local::suite::LANE_KEYS;
use tokenx_anvil_tests::{Deployment, Mining, World};
use tokenx_config::{Profile, Settings};
use tokenx_indexer::Indexer;
use tokenx_keeper::{CommandProjection, Commands, Doors, Keeper};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BLOCKS: Duration = Duration::from_secs(1);

/// A suite that is followed and served; keepers come and go.
pub(crate) struct Services {
    pub(crate) deployment: Deployment,
    pub(crate) settings: Settings,
    pub(crate) commands: Commands,
    pub(crate) api_url: String,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    // Dropped last.
    pub(crate) world: World,
}

/// A keeper at work.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await?)
    }
}

impl Services {
    pub(crate) async fn start() -> Result<Self> {
        let world = World::durable(Mining::Every(BLOCKS)).await?;
        let deployment = world.deploy().await?;
        let of_world = world.settings(&deployment)?;
        let mut settings = Settings::embedded(Profile::Bench)?;
        (settings.database, settings.server) = (of_world.database, of_world.server);
        let (confirmations, finality) = (settings.chain.confirmations, settings.chain.finality);
        settings.chain = of_world.chain;
        (settings.chain.confirmations, settings.chain.finality) = (confirmations, finality);
        settings.signer.keys = LANE_KEYS.map(Into::into).to_vec();
        settings.monitor.enabled = false;
        let commands = Commands::new(world.pool.clone(), Doors::of(&settings.chain));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api_url = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let context = tokenx_api::ApiContext {
            settings: Arc::new(settings.clone()),
            pool: world.pool.clone(),
            commands: commands.clone(),
        };
        let results = CommandProjection::open(&world.pool, settings.chain.chain_id).await?;
        let indexer = Indexer::builder(&settings, world.pool.clone())
            .watch_accounts(results.watch())
            .with_projection(Arc::new(results))
            .build();
        let (serving, following) = (tokenx_api::serve(context, listener, stop.clone()), indexer.run(stop.clone()));
        let tasks = vec![
            tokio::spawn(async move {
                if let Err(error) = serving.await {
                    println!("api: {error}");
                }
            }),
            tokio::spawn(async move {
                if let Err(error) = following.await {
                    println!("indexer: {error}");
                }
            }),
        ];
        Ok(Self { deployment, settings, commands, api_url, stop, tasks, world })
    }

    /// A keeper, by settings of its own.
    pub(crate) async fn keeper(&self, change: impl FnOnce(&mut Settings)) -> Result<Running> {
        let mut settings = self.settings.clone();
        change(&mut settings);
        let keeper = Keeper::new(&settings, self.world.pool.clone(), &self.commands).await?;
        let stop = CancellationToken::new();
        let ended = stop.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = keeper.run(ended).await {
                println!("keeper: {error}");
            }
        });
        Ok(Running { stop, task })
    }

    pub(crate) async fn end(mut self) -> Result<()> {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            task.await?;
        }
        self.world.pool.close().await;
        Ok(())
    }
}
