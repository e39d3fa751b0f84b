//! `tokenx dev`: everything on this machine, from nothing, with one command.

mod env;
mod folder;
mod ground;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::env::Environment;
use self::folder::Folder;
use self::ground::Ground;
use crate::progress::Progress;

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
    /// Go on with the chain and the database of the last run instead of starting empty
    #[arg(long)]
    pub keep: bool,
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
    let mut asked = Asked::listen()?;
    let progress = Progress::start();
    let report = |line: &str| progress.step(line);
    let folder = tokio::select! {
        folder = Folder::open(&options.data_dir, options.keep, &report) => folder?,
        () = asked.received() => return Ok(()),
    };
    let outcome = tokio::select! {
        outcome = live(&options, &folder, &progress) => outcome,
        // What has been started hangs on its supervisor and goes with the future that held it.
        () = asked.received() => Ok(()),
    };
    progress.finish();
    folder.close().await.and(outcome)
}

async fn live(options: &Options, folder: &Folder, progress: &Progress) -> Result<()> {
    let ground = Ground::start(options, folder, progress).await?;
    let mut environment = Environment::default();
    environment.set("RPC_URL", ground.chain.url());
    environment.set("DATABASE_URL", &ground.database_url);
    environment.write(&folder.join("dev.env"))?;
    progress.finish();
    std::future::pending::<()>().await;
    ground.stop().await
}

/// The signals that end us.
struct Asked {
    signals: [Signal; 3],
}

impl Asked {
    fn listen() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    /// Waits for one of them.
    async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
