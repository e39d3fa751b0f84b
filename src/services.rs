//! Indexer, keeper and API, all in one process or one of them: what `run`, `indexer`, `keeper`, `api` and `dev` start.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tokenx_api::ApiContext;
use tokenx_config::{Settings, failpoint};
use tokenx_indexer::Indexer;
use tokenx_keeper::{CommandProjection, Commands, Doors, Keeper};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::failure::{Advice, BAD_SETTINGS, TRY_LATER};
use crate::signals::Asked;

/// What runs in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Follows the chain.
    pub indexer: bool,
    /// Sends commands.
    pub keeper: bool,
    /// Serves people.
    pub api: bool,
}

impl Parts {
    /// All in one.
    pub const ALL: Self = Self { indexer: true, keeper: true, api: true };
    /// Only the indexer.
    pub const INDEXER: Self = Self { keeper: false, api: false, ..Self::ALL };
    /// Only the keeper.
    pub const KEEPER: Self = Self { indexer: false, api: false, ..Self::ALL };
    /// Only the API.
    pub const API: Self = Self { indexer: false, keeper: false, ..Self::ALL };
}

/// Parts that run.
#[derive(Debug)]
pub struct Services {
    commands: Commands,
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
}

impl Services {
    /// Opens the database and starts the parts, with the failpoints armed that the environment names.
    pub async fn start(settings: &Settings, parts: Parts) -> Result<Self> {
        failpoint::arm(settings.profile).hint("`tokenx dev --list-failpoints` says what each is").code(BAD_SETTINGS)?;
        let pool = database(settings).await?;
        let commands = commands(&pool, settings);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if parts.api {
            let listener = TcpListener::bind(settings.server.bind)
                .await
                .with_context(|| format!("cannot listen on {}", settings.server.bind))
                .hint("server.bind chooses another address or port")
                .code(TRY_LATER)?;
            let context =
                ApiContext { settings: Arc::new(settings.clone()), pool: pool.clone(), commands: commands.clone() };
            let stop = stop.clone();
            tasks.spawn(async move { tokenx_api::serve(context, listener, stop).await.context("the API stopped") });
        }
        if parts.indexer {
            // The keeper's results are a projection, written in the indexer's own transaction: wherever the
            // indexer runs, they run, with or without the keeper beside them.
            let results = CommandProjection::open(&pool, settings.chain.chain_id).await?;
            let indexer = Indexer::builder(settings, pool.clone())
                .watch_accounts(results.watch())
                .with_projection(Arc::new(results))
                .build();
            let stop = stop.clone();
            tasks.spawn(async move { indexer.run(stop).await.context("the indexer stopped") });
        }
        if parts.keeper && settings.keeper.enabled {
            let keeper = Keeper::new(settings, pool.clone(), &commands).await.context("the keeper cannot start")?;
            let stop = stop.clone();
            tasks.spawn(async move { keeper.run(stop).await.context("the keeper stopped") });
        }
        Ok(Self { commands, stop, tasks })
    }

    /// The door through which commands are accepted.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// Waits until one of them ends by itself, which is an error even if it says nothing.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => anyhow!(error).context("a part of tokenx crashed"),
            Some(Ok(Ok(()))) | None => anyhow!("a part of tokenx stopped by itself"),
        }
    }

    /// Asks them to stop, and waits until what is under way has ended.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// `tokenx run` and its parts: until asked to end, or until one of them fails.
pub async fn run(settings: &Settings, parts: Parts) -> Result<()> {
    let mut asked = Asked::listen()?;
    let mut services = Services::start(settings, parts).await?;
    tokio::select! {
        error = services.ended() => {
            services.stop().await.ok();
            Err(error)
        }
        () = asked.received() => {
            tokio::spawn(asked.exit_at_next());
            services.stop().await
        }
    }
}

/// Opens the database and refuses one that is not at this version's migrations.
pub async fn database(settings: &Settings) -> Result<PgPool> {
    let database = &settings.database;
    let pool = tokenx_migrations::connect(database.url.expose_secret(), database.max_connections)
        .await
        .context("cannot open the database")
        .hint("database.url (TOKENX__DATABASE__URL) names it")?;
    tokenx_migrations::check(&pool).await?;
    Ok(pool)
}

/// The door through which commands are accepted.
pub fn commands(pool: &PgPool, settings: &Settings) -> Commands {
    Commands::new(pool.clone(), Doors::of(&settings.chain))
}
