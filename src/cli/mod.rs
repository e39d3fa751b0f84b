//! The command line.

use clap::{Parser, Subcommand};

use crate::local::supervisor;

/// On-chain-first indexer, keeper and API for security tokens.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program that ends when the pipe on standard input closes
    #[command(hide = true)]
    Supervise(supervisor::Arguments),
}

/// Runs the command line and gives the exit code.
pub fn run() -> i32 {
    let cli = Cli::parse();
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(async { match cli.command { Command::Supervise(arguments) => supervisor::supervise(arguments).await } }));
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            1
        }
    }
}
