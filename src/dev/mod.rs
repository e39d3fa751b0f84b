//! `tokenx dev`: everything on this machine, from nothing, with one command.

mod contracts;
mod demo;
mod env;
mod folder;
mod ground;
mod people;
mod settings;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use sqlx::PgPool;
use tokenx_api::admin::By;
use tokenx_config::{Settings, failpoint, telemetry};

use self::demo::Demo;
use self::folder::Folder;
use self::ground::Ground;
use crate::local::Report;
use crate::progress::Progress;
use crate::services::{Parts, Services};
use crate::signals::Asked;

/// Who the audit log says made the demo world.
const ACTOR: By<'static> = By { actor: "cli:dev", request_id: None };
/// While the demo world is being made, blocks come this fast, whatever `--block-time` says.
const HURRY: Duration = Duration::from_millis(100);
/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the children are looked after.
const LOOK: Duration = Duration::from_millis(500);

/// The flags of `tokenx dev`. Scripts rely on them: they stay.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Port of the API on 127.0.0.1
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub api_port: u16,
    /// Port of the chain's JSON-RPC (HTTP and WebSocket) on 127.0.0.1
    #[arg(long, default_value_t = 8545, value_name = "PORT")]
    pub rpc_port: u16,
    /// Folder of everything this run writes; one dev at a time runs in it
    #[arg(long, default_value = ".tokenx", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// Seconds between blocks, decimals allowed
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = block_time)]
    pub block_time: Duration,
    /// Keep chain and database for the next run with --keep, and go on with what the last one kept
    #[arg(long)]
    pub keep: bool,
    /// Print the places at which TOKENX_FAILPOINT=name:kill (or :error, or :pause) makes a process fail, and do no more
    #[arg(long)]
    pub list_failpoints: bool,
}

fn block_time(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.01..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("a block each 0.01 to 3600 seconds is what works".to_owned())
    }
}

/// Runs until SIGINT, SIGTERM or SIGHUP, or until a part of it fails.
pub async fn run(options: Options) -> Result<()> {
    if options.list_failpoints {
        for (name, leaves) in failpoint::POINTS {
            writeln!(stdout(), "{name:24} {leaves}")?;
        }
        return Ok(());
    }
    let mut asked = Asked::listen()?;
    let progress = Progress::start();
    let report = |line: &str| progress.step(line);
    let folder = tokio::select! {
        folder = Folder::open(&options.data_dir, options.keep, &report) => folder?,
        () = asked.received() => return Ok(()),
    };
    let outcome = tokio::select! {
        started = World::start(&options, &folder, &report) => Some(started),
        // What has been started hangs on its supervisor and goes with the future that held it.
        () = asked.received() => None,
    };
    let took = progress.finish();
    let outcome = match outcome {
        Some(Ok(mut world)) => {
            let table = world.demo.table(&world.settings, &options.data_dir);
            let shown = write!(stdout(), "tokenx dev is ready after {:.1} s\n{table}", took.as_secs_f32());
            let lived = tokio::select! {
                () = asked.received() => Ok(()),
                error = world.ended(&folder) => Err(error),
            };
            report("ending");
            tokio::spawn(asked.exit_at_next());
            shown.map_err(Into::into).and(lived).and(world.stop().await)
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    folder.close().await.and(outcome)
}

/// Everything that runs.
struct World {
    ground: Ground,
    services: Services,
    settings: Settings,
    demo: Demo,
}

impl World {
    async fn start(options: &Options, folder: &Folder, report: Report<'_>) -> Result<Self> {
        let ground = Ground::start(options, folder, report).await?;
        let (services, settings, demo) = tokio::select! {
            populated = populate(options, folder, &ground, report) => populated?,
            stopped = ground.chain.mine_each(HURRY) => return Err(stopped.context("the chain stopped")),
        };
        report("signing everyone in");
        let world = Self { ground, services, settings, demo };
        world.sign_in(folder).await?;
        Ok(world)
    }

    /// Waits until a part of it ends by itself; meanwhile keeps the tokens of `dev.env` from running out.
    async fn ended(&mut self, folder: &Folder) -> anyhow::Error {
        let life = Duration::from_secs(self.settings.auth.access_ttl_seconds);
        loop {
            tokio::select! {
                error = self.services.ended() => return error,
                error = self.ground.ended() => return error,
                () = tokio::time::sleep(life / 2) => {}
            }
            if let Err(error) = self.sign_in(folder).await {
                return error;
            }
        }
    }

    async fn sign_in(&self, folder: &Folder) -> Result<()> {
        self.demo.environment(&self.settings).await?.write(&folder.join("dev.env"))
    }

    /// Ends everything in order.
    async fn stop(self) -> Result<()> {
        let stopped = self.services.stop().await;
        self.ground.stop().await.and(stopped)
    }
}

/// Tables, contracts, services and people: made, or found again.
async fn populate(
    options: &Options,
    folder: &Folder,
    ground: &Ground,
    report: Report<'_>,
) -> Result<(Services, Settings, Demo)> {
    let pool = migrated(&ground.database_url).await?;
    let record = folder.join(folder::DEMO);
    let genesis = ground.chain.genesis().await?;
    let known = if folder.resumes() { Some(Demo::read(&record, &genesis)?) } else { None };
    let contracts = match &known {
        Some(known) => known.contracts.clone(),
        None => contracts::deploy(&pool, &ground.chain, report).await?,
    };
    let settings = settings::settle(folder, ground, &contracts, options.api_port)?;
    telemetry::init(&settings.telemetry)?;
    report("starting indexer, keeper and API");
    let mut services = Services::start(&settings, Parts::ALL).await?;
    let commands = services.commands().clone();
    let seeding = async {
        contracts.indexed(&pool).await?;
        match &known {
            Some(known) => Ok(known.people.clone()),
            None => people::seed(&pool, &commands, &settings, &ground.chain, &contracts, report).await,
        }
    };
    let people = tokio::select! {
        people = seeding => people?,
        error = services.ended() => return Err(error),
    };
    let demo = Demo { genesis, contracts, people };
    if options.keep {
        demo.write(&record)?;
    }
    Ok((services, settings, demo))
}

async fn migrated(url: &str) -> Result<PgPool> {
    let pool = tokenx_migrations::connect(url, 2).await?;
    tokenx_migrations::migrate(&pool).await?;
    Ok(pool)
}
