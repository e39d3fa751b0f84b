//! A private Postgres: a cluster of our own on a free loopback port, with a password, gone when we are.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use sqlx::{Connection, PgConnection};

use super::identity::{self, Identity};
use super::supervisor::Ask;
use super::{Report, Supervised, files};

/// How long initdb's result may take to answer its first connection.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Another program may take the port between our finding it free and Postgres binding it.
const PORT_TRIES: usize = 5;

const USER: &str = "tokenx";

/// What happens to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Flushed to disk as Postgres does by default, and left where it is.
    Full,
    /// Flushed to disk, with the memory and the log that README.md advises, and removed at the end: for benchmarks.
    Flushed,
    /// Never flushed, and removed at the end: for tests.
    Scratch,
}

impl Durability {
    fn is_removed(self) -> bool {
        self != Self::Full
    }
}

/// How to start a cluster.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The folder with `postgres` and `initdb`.
    pub programs: PathBuf,
    /// Where everything of this cluster goes; made if missing.
    pub folder: PathBuf,
    /// What happens to the data.
    pub durability: Durability,
    /// Whether the cluster is for the next start too; else one that is there is replaced, and this one ends in haste.
    pub keep: bool,
    /// As whom it runs; found out if not said.
    pub identity: Option<Identity>,
}

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    server: Supervised,
    port: u16,
    password: String,
    folder: PathBuf,
}

impl Postgres {
    /// Makes the cluster unless it is there, starts it, and waits until it answers.
    pub async fn start(options: PostgresOptions, report: Report<'_>) -> Result<Self> {
        let folder = std::path::absolute(&options.folder)?;
        let started = Self::start_in(&folder, &options, report).await;
        if options.durability.is_removed() && started.is_err() {
            // No supervisor has them, or theirs ended with the server: nobody else removes them.
            let _ = fs::remove_dir_all(nobodys(&folder));
            let _ = fs::remove_dir_all(&folder);
        }
        started
    }

    async fn start_in(folder: &Path, options: &PostgresOptions, report: Report<'_>) -> Result<Self> {
        identity::make_folder(folder, Identity::Caller)?;
        let identity = match options.identity {
            Some(identity) => identity,
            None => Identity::choose(&options.programs.join("postgres"), folder).await?,
        };
        let folder = home(folder, identity)?;
        let programs = identity.reach(&options.programs, &folder)?;
        let removed = options.durability.is_removed();
        let password = if options.keep && folder.join("data/PG_VERSION").is_file() {
            fs::read_to_string(folder.join("password")).context("the kept cluster has lost its password file")?
        } else {
            report("making a Postgres cluster");
            initialize(&programs, &folder, identity, removed).await?
        };
        let mut last = String::new();
        for _ in 0..PORT_TRIES {
            let port = free_port()?;
            let mut task = identity
                .task(&programs.join("postgres"))?
                .arg("-D")
                .arg(folder.join("data"))
                .args(settings(port, options.durability).iter().flat_map(|setting| ["-c", setting.as_str()]))
                .without_env("PGDATA")
                .asked_by(if options.keep { &[Ask::Int, Ask::Quit] } else { &[Ask::Quit] });
            if removed {
                task = task.removing(&folder);
            }
            let log = folder.join("postgres.log");
            let mut server = task.start(&log)?;
            if answers(&mut server, &url(&password, port, "postgres")).await? {
                return Ok(Self { server, port, password, folder });
            }
            last = files::tail(&log, 5);
            server.stop().await?;
            if !last.contains("could not bind") && !last.contains("Address already in use") {
                break;
            }
        }
        bail!("Postgres did not start: {last}")
    }

    /// The URL of one of its databases; `postgres` is there from the start.
    pub fn url(&self, database: &str) -> String {
        url(&self.password, self.port, database)
    }

    /// The loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.server.ended(), Ok(None))
    }

    /// Where its data and log are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends it and waits.
    pub async fn stop(self) -> Result<()> {
        self.server.stop().await
    }
}

/// Where the cluster lives: `folder`, or for `nobody`, if that cannot be entered, a folder below the temporary one
/// that a later start finds again.
fn home(folder: &Path, identity: Identity) -> Result<PathBuf> {
    if identity != Identity::Nobody {
        return Ok(folder.to_owned());
    }
    identity::make_folder(folder, identity)?;
    if files::enterable(folder) {
        return Ok(folder.to_owned());
    }
    let home = nobodys(folder);
    if home.exists() && fs::symlink_metadata(&home)?.uid() != Uid::effective().as_raw() {
        bail!("{} belongs to somebody else: remove it", home.display());
    }
    identity::make_folder(&home, identity)?;
    Ok(home)
}

fn nobodys(folder: &Path) -> PathBuf {
    std::env::temp_dir().join(format!("tokenx-{}", files::short_name(folder)))
}

async fn initialize(programs: &Path, folder: &Path, identity: Identity, removed: bool) -> Result<String> {
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot clear {}", data.display()))?;
    }
    identity::make_folder(&data, Identity::Caller)?;
    identity.own(&data)?;
    let password = hex::encode(rand::random::<[u8; 16]>());
    let file = folder.join("password");
    write_secret(&file, &password)?;
    identity.own(&file)?;
    let mut task = identity
        .task(&programs.join("initdb"))?
        .args([
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            "--no-sync",
            "--username",
            USER,
        ])
        .arg("--pwfile")
        .arg(&file)
        .arg("--pgdata")
        .arg(&data)
        .directory(folder);
    if removed {
        task = task.removing(folder);
    }
    let output = task.output().await?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(password)
}

fn settings(port: u16, durability: Durability) -> Vec<String> {
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".into(),
        "unix_socket_directories=".into(),
        "max_connections=300".into(),
        "timezone=UTC".into(),
        "log_timezone=UTC".into(),
    ];
    let more: &[&str] = match durability {
        Durability::Full => &[],
        Durability::Flushed => {
            &["shared_buffers=4GB", "max_wal_size=8GB", "min_wal_size=4GB", "checkpoint_timeout=15min"]
        }
        Durability::Scratch => &["fsync=off", "synchronous_commit=off", "full_page_writes=off"],
    };
    settings.extend(more.iter().map(ToString::to_string));
    settings
}

/// Whether the server answers under our password: false if it ended instead.
async fn answers(server: &mut Supervised, url: &str) -> Result<bool> {
    let started = Instant::now();
    loop {
        if server.ended()?.is_some() {
            return Ok(false);
        }
        match PgConnection::connect(url).await {
            Ok(connection) => {
                connection.close().await?;
                return Ok(true);
            }
            Err(error) if started.elapsed() > START_LIMIT => return Err(error).context("Postgres does not answer"),
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
}

fn url(password: &str, port: u16, database: &str) -> String {
    format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}")
}

/// The same server's URL for another database.
pub fn with_database(url: &str, database: &str) -> Result<String> {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let server = match base.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()),
        None => bail!("the database url does not begin with postgres://"),
    };
    Ok(query.map_or_else(|| format!("{server}/{database}"), |query| format!("{server}/{database}?{query}")))
}

/// A loopback port that nothing listens on just now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?.local_addr()?.port())
}

/// Writes a file only its owner may read.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file.write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_keeps_server_and_parameters() {
        for (url, expected) in [
            ("postgres://u:p@h:1/a", "postgres://u:p@h:1/b"),
            ("postgres://u:p@h:1", "postgres://u:p@h:1/b"),
            ("postgres://h/a?sslmode=require", "postgres://h/b?sslmode=require"),
            ("postgresql:///a?host=/run/pg", "postgresql:///b?host=/run/pg"),
        ] {
            assert_eq!(with_database(url, "b").unwrap(), expected);
        }
        assert!(with_database("h/a", "b").is_err());
    }
}
