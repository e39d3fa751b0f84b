//! `tokenx command`: how far the keeper has come with what was asked.

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;

use super::remote::{self, Api, Failure};
use crate::failure::{Advice, NOT_DONE, TRY_LATER};
use crate::progress::Progress;
use crate::table;

/// How often a command is looked at.
const PAUSE: Duration = Duration::from_millis(300);

/// `tokenx command`.
#[derive(Debug, Args)]
#[command(after_long_help = remote::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    remote: remote::Flags,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show where it stands now
    #[command(after_long_help = examples(SHOW))]
    Show {
        /// The command's id, as `deploy` or a mint answered it
        command_id: String,
    },
    /// Wait until it has ended; its states go to standard error as they come
    #[command(after_long_help = examples(WATCH))]
    Watch {
        /// The command's id, as `deploy` or a mint answered it
        command_id: String,
        #[command(flatten)]
        wait: Wait,
    },
}

/// How long somebody waits for a command.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Wait {
    /// How deep its block is to be: to count, or past every reorg
    #[arg(long, value_enum, default_value_t = Until::Confirmed)]
    until: Until,
    /// Stop waiting after so long, with exit code 75; the command itself goes on
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    Confirmed,
    Final,
}

const SHOW: &str = "\
  tokenx command show deploy:67d8774e903bfcbe7eb5d93e:-:1
  tokenx command show mint-2025-01-01-001 --json | jq -r .state";

const WATCH: &str = "\
  tokenx command watch deploy:67d8774e903bfcbe7eb5d93e:-:1
  tokenx command watch mint-2025-01-01-001 --until final --timeout 600 && echo done

It goes on by itself when the API restarts meanwhile, for up to five minutes without an answer.";

fn examples(of: &str) -> String {
    format!("{of}\n\n{}", remote::HELP)
}

/// A command, as far as people are told of it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Shown {
    command_id: String,
    operation: String,
    instrument_id: Option<String>,
    party_id: Option<String>,
    wallet: Option<String>,
    amount: Option<String>,
    state: String,
    reason_code: Option<String>,
    reason: Option<String>,
    attempts: i64,
    transaction_hash: Option<String>,
    block_number: Option<u64>,
    created_at: String,
    updated_at: String,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let api = arguments.remote.connect()?;
    let json = arguments.remote.json;
    match arguments.what {
        What::Show { command_id } => print(&find(&api, &command_id).await?.1, json),
        What::Watch { command_id, wait } => {
            let (place, _) = find(&api, &command_id).await?;
            watch(&api, &place.of(&command_id), wait, json).await
        }
    }
}

/// Where a command is, and what is there.
async fn find(api: &Api, command_id: &str) -> Result<(Place, String)> {
    let absent = match api.get(&Place::Tokens.of(command_id), &[]).await {
        Err(failure) if failure.is_absent() || failure.is_forbidden() => failure,
        found => return Ok((Place::Tokens, found.map_err(Failure::told)?)),
    };
    match api.get(&Place::Operations.of(command_id), &[]).await {
        // Operations are not theirs to see who came for a token's.
        Err(failure) if failure.is_forbidden() && absent.is_absent() => Err(absent.told()),
        found => Ok((Place::Operations, found.map_err(Failure::told)?)),
    }
}

/// Where the API has commands: those that the platform makes for tokens, and those of operations.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Tokens,
    Operations,
}

impl Place {
    /// The path of one.
    pub(super) fn of(self, command_id: &str) -> [&str; 4] {
        match self {
            Self::Tokens => ["v2", "admin", "command", command_id],
            Self::Operations => ["api", "admin", "commands", command_id],
        }
    }
}

/// Prints a command.
pub(super) fn print(body: &str, json: bool) -> Result<()> {
    if json {
        return remote::print(body);
    }
    Ok(write!(stdout(), "{}", table::pairs(&Shown::read(body)?.pairs()))?)
}

/// Waits for a command and prints it as it ended.
pub(super) async fn watch(api: &Api, path: &[&str], wait: Wait, json: bool) -> Result<()> {
    let progress = Progress::start();
    let ended = ended(api, path, wait.until, &progress);
    let body = match wait.timeout {
        None => ended.await,
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), ended).await.unwrap_or_else(|_| {
            Err(anyhow!("the command has not ended within {seconds} s"))
                .hint("it goes on: watch it again, or look with `tokenx command show`")
                .code(TRY_LATER)
        }),
    };
    progress.finish();
    let body = body?;
    print(&body, json)?;
    let shown = Shown::read(&body)?;
    if shown.is_done(Until::Confirmed) {
        return Ok(());
    }
    Err(anyhow!("{}", shown.line())).code(NOT_DONE)
}

async fn ended(api: &Api, path: &[&str], until: Until, progress: &Progress) -> Result<String> {
    let mut told = String::new();
    loop {
        let away = |failure: &Failure| progress.step(&format!("{failure}: trying again"));
        let body = api.get_patiently(path, away).await.map_err(Failure::told)?;
        let shown = Shown::read(&body)?;
        let line = shown.line();
        if line != told {
            progress.step(&line);
            told = line;
        }
        if shown.is_done(until) || shown.is_lost() {
            return Ok(body);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Shown {
    fn read(body: &str) -> Result<Self> {
        serde_json::from_str(body).context("the API answered something else than a command: is it another version?")
    }

    fn is_done(&self, until: Until) -> bool {
        self.state == "final" || (self.state == "confirmed" && until == Until::Confirmed)
    }

    /// Ended, and nothing came of it.
    fn is_lost(&self) -> bool {
        ["failed", "cancelled", "expired", "rejected"].contains(&self.state.as_str())
    }

    /// In one line: `mined in block 12 by 0x…`.
    fn line(&self) -> String {
        let mut line = format!("{} is {}", self.command_id, self.state);
        if let Some(block) = self.block_number {
            line += &format!(" in block {block}");
        }
        if let Some(hash) = &self.transaction_hash {
            line += &format!(" by {hash}");
        }
        match (&self.reason, &self.reason_code) {
            (Some(reason), Some(code)) => line += &format!(": {reason} ({code})"),
            (Some(reason), None) | (None, Some(reason)) => line += &format!(": {reason}"),
            (None, None) => {}
        }
        line
    }

    fn pairs(self) -> Vec<(String, String)> {
        let pairs = [
            ("command", Some(self.command_id)),
            ("state", Some(self.state)),
            ("reason", self.reason),
            ("reason code", self.reason_code),
            ("operation", Some(self.operation)),
            ("instrument", self.instrument_id),
            ("party", self.party_id),
            ("wallet", self.wallet),
            ("amount", self.amount),
            ("transaction", self.transaction_hash),
            ("block", self.block_number.map(|block| block.to_string())),
            ("attempts", Some(self.attempts.to_string())),
            ("accepted", Some(self.created_at)),
            ("moved", Some(self.updated_at)),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(state: &str) -> Shown {
        let body = format!(
            r#"{{"command_id":"c","operation":"deploy_token","state":"{state}","attempts":1,"created_at":"t","updated_at":"t",
                "block_number":7,"transaction_hash":"0x1","reason":"the factory said no","reason_code":"REVERTED"}}"#
        );
        Shown::read(&body).unwrap()
    }

    #[test]
    fn a_wait_ends_where_it_was_told_to_and_where_nothing_more_can_come() {
        let ends = |state: &str, until| shown(state).is_done(until) || shown(state).is_lost();
        for state in ["accepted", "awaiting_approval", "ready", "prepared", "broadcast", "mined"] {
            assert!(!ends(state, Until::Confirmed) && !ends(state, Until::Final), "{state}");
        }
        for state in ["final", "failed", "cancelled", "expired", "rejected"] {
            assert!(ends(state, Until::Confirmed) && ends(state, Until::Final), "{state}");
        }
        assert!(ends("confirmed", Until::Confirmed) && !ends("confirmed", Until::Final));
    }

    #[test]
    fn a_line_tells_where_and_why() {
        assert_eq!(shown("failed").line(), "c is failed in block 7 by 0x1: the factory said no (REVERTED)");
    }
}
