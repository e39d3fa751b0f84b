//! `tokenx config`: what is in force, and what is wrong with it.

use std::io::{Write, stdout};

use anyhow::Result;
use clap::Subcommand;

use crate::settings::Flags;

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with the settings, all at once, or that nothing is
    Check,
    /// Print the settings in force, secrets hidden
    Print,
}

pub(crate) fn run(command: &Command, flags: &Flags) -> Result<()> {
    match command {
        Command::Check => {
            flags.load()?;
            writeln!(stdout(), "the settings of profile {} are fine", flags.profile)?;
        }
        Command::Print => write!(stdout(), "{}", toml::to_string(&flags.read()?)?)?,
    }
    Ok(())
}
