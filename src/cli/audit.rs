//! `tokenx audit`.

use std::io::{Write, stdout};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use tokenx_api::audit::{self, AuditVerification};

use crate::failure::{ALTERED, Advice};
use crate::services;
use crate::settings::Flags;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compare every entry with its seal, the seals with each other, and both with the hashes on the indexed chain
    #[command(after_help = HELP)]
    Verify {
        /// Print JSON, as GET /compliance/audit-log/verify answers it
        #[arg(long)]
        json: bool,
    },
}

const HELP: &str = "\
It reads one state of the database, a few thousand entries at a time, and changes nothing; what writes goes on meanwhile.
Exit codes: 0 everything is as it was sealed, 5 something is not (the first such thing is printed), 1 it could not be checked.
Seals made anew from end to end show only by a hash on chain: check the index too, with `tokenx reindex --verify`.";

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let settings = arguments.flags.read()?;
    let pool = services::database(&settings).await?;
    let What::Verify { json } = arguments.what;
    let found =
        audit::verify(&pool, settings.chain.chain_id, None, None).await.context("the audit log could not be read")?;
    let mut out = stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&AuditVerification::from(found.clone()))?)?;
    } else {
        let head = found.head.map_or_else(|| "none".to_owned(), |head| format!("{} ({})", head.number, head.hash));
        writeln!(out, "{} entries are as {} seals say, the last is {head}", found.entries, found.seals)?;
        writeln!(out, "{} of their hashes are on chain; {} entries are not sealed yet", found.anchors, found.unsealed)?;
    }
    match found.difference {
        None => Ok(()),
        Some(difference) => Err(anyhow!(difference)).context("the audit log is not what was sealed").code(ALTERED),
    }
}
