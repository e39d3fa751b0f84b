//! What the rest of `dev` stands on: a database and a chain, empty or kept together.

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use sqlx::migrate::MigrateDatabase;

use super::folder::{CHAIN_STATE, Folder};
use super::{LOOK, Options};
use crate::failure::{Advice, TRY_LATER};
use crate::local::anvil::Mining;
use crate::local::postgres::with_database;
use crate::local::tools::DEV_APPLICATION;
use crate::local::{Anvil, AnvilOptions, Durability, Postgres, PostgresOptions, PostgresSource, Report, tools};

/// The database's name in our own cluster.
const DATABASE: &str = "tokenx";

/// A database and a chain.
#[derive(Debug)]
pub(crate) struct Ground {
    /// None where `DATABASE_URL` named a running server.
    postgres: Option<Postgres>,
    keep: bool,
    /// The chain.
    pub(crate) chain: Anvil,
    /// The database's URL, password included.
    pub(crate) database_url: String,
}

impl Ground {
    /// Finds or installs the tools and starts both.
    pub(crate) async fn start(options: &Options, folder: &Folder, report: Report<'_>) -> Result<Self> {
        free(options.api_port, "--api-port")?;
        free(options.rpc_port, "--rpc-port")?;
        report("looking for Postgres and anvil");
        let source = PostgresSource::find(report).await?;
        let anvil = tools::anvil(report).await?;
        let (database, chain) =
            tokio::try_join!(database(source, options, folder, report), chain(anvil, options, folder, report))?;
        let (postgres, database_url) = database;
        Ok(Self { postgres, keep: options.keep, chain, database_url })
    }

    /// Waits until one of the children has ended by itself.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        loop {
            if !self.chain.is_running() {
                return anyhow!("anvil ended by itself");
            }
            if self.postgres.as_mut().is_some_and(|postgres| !postgres.is_running()) {
                return anyhow!("Postgres ended by itself");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends both.
    pub(crate) async fn stop(self) -> Result<()> {
        let database = async {
            match self.postgres {
                Some(postgres) => postgres.stop().await,
                None if self.keep => Ok(()),
                None => Ok(sqlx::Postgres::force_drop_database(&self.database_url).await?),
            }
        };
        tokio::try_join!(self.chain.stop(), database).map(drop)
    }
}

async fn database(
    source: PostgresSource,
    options: &Options,
    folder: &Folder,
    report: Report<'_>,
) -> Result<(Option<Postgres>, String)> {
    let (postgres, url) = match source {
        PostgresSource::Programs(programs) => {
            report("starting Postgres");
            let home = folder.join("postgres");
            let durability = Durability::Full;
            let options = PostgresOptions { programs, folder: home, durability, keep: options.keep, identity: None };
            let postgres = Postgres::start(options, report).await?;
            let url = postgres.url(DATABASE);
            (Some(postgres), url)
        }
        PostgresSource::Running(url) => {
            // Never the database that the URL names: that one is somebody's. One for each data folder instead.
            let name = format!("tokenx_dev_{}", folder.name());
            (None, with_database(&url, &name)?)
        }
    };
    let there = sqlx::Postgres::database_exists(&url).await.context("the database server does not answer")?;
    if there && !folder.resumes() {
        sqlx::Postgres::force_drop_database(&url).await?;
    }
    if !there || !folder.resumes() {
        sqlx::Postgres::create_database(&url).await?;
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok((postgres, format!("{url}{separator}{DEV_APPLICATION}")))
}

async fn chain(program: PathBuf, options: &Options, folder: &Folder, report: Report<'_>) -> Result<Anvil> {
    report("starting anvil");
    Anvil::start(AnvilOptions {
        program,
        folder: folder.join("chain"),
        state: options.keep.then(|| folder.join(CHAIN_STATE)),
        states: None,
        port: Some(options.rpc_port),
        mining: Mining::Every(options.block_time),
        scratch: false,
    })
    .await
}

/// Refuses a port that another program listens on, naming the flag that chooses another.
fn free(port: u16, flag: &str) -> Result<()> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(anyhow!("port {port} on 127.0.0.1 cannot be used: {error}"))
            .hint(format!("end the program that listens there, or choose another port with {flag}"))
            .code(TRY_LATER),
    }
}
