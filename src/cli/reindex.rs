//! `tokenx reindex`.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use tokenx_indexer::{Projection, Rebuild, Report, Step};
use tokenx_keeper::CommandProjection;

use crate::failure::{Advice, TRY_LATER};
use crate::services;
use crate::settings::Flags;
use crate::signals::Asked;

/// How often a line is printed where there is no terminal for a bar.
const LINE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Change nothing: compare, print every row that differs, and fail if there is one. An indexer may run meanwhile
    #[arg(long)]
    verify: bool,
}

/// Derives the chain's tables from the kept logs; see [`Rebuild`].
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let settings = arguments.flags.load()?;
    let pool = services::database(&settings).await?;
    let results: Arc<dyn Projection> = Arc::new(CommandProjection::open(&pool, settings.chain.chain_id).await?);
    pool.close().await;
    let rebuild = Rebuild::new(&settings, vec![results]);

    let mut asked = Asked::listen()?;
    let shown = Shown::new();
    let work = async {
        let step = |step| shown.step(step);
        if arguments.verify { rebuild.verify(step).await } else { rebuild.replace(step).await }
    };
    let report = tokio::select! {
        report = work => Some(report),
        () = asked.received() => None,
    };
    shown.bar.finish_and_clear();
    let Some(report) = report else {
        rebuild.clean().await.ok();
        return Err(anyhow!("stopped before its end: nothing was changed"));
    };
    let report = report.context("the tables could not be derived from their logs").code(TRY_LATER)?;
    tell(&report, arguments.verify)
}

fn tell(report: &Report, verify: bool) -> Result<()> {
    let mut out = stdout().lock();
    for difference in &report.differences {
        writeln!(out, "{difference}")?;
    }
    let hidden = report.differing - report.differences.len() as u64;
    if hidden > 0 {
        writeln!(out, "and {hidden} more")?;
    }
    let Report { block: (number, hash), logs, rows, differing, .. } = report;
    if *differing == 0 {
        writeln!(out, "all {rows} rows are what {logs} logs say, up to block {number} ({hash})")?;
        return Ok(());
    }
    if verify {
        return Err(anyhow!("{differing} of {rows} rows are not what {logs} logs say, up to block {number} ({hash})"))
            .hint("stop the indexer and run `tokenx reindex` to put them back");
    }
    writeln!(out, "put {differing} of {rows} rows back to what {logs} logs say, up to block {number} ({hash})")?;
    Ok(())
}

/// A bar on a terminal, lines elsewhere.
struct Shown {
    bar: ProgressBar,
    line: std::sync::Mutex<Option<Instant>>,
}

impl Shown {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} logs, {eta} left") {
            bar.set_style(style);
        }
        Self { bar, line: std::sync::Mutex::new(None) }
    }

    #[allow(clippy::print_stderr, reason = "progress belongs on the error stream of a command")]
    fn step(&self, step: Step) {
        let what = match step {
            Step::Deriving { done, of } => {
                self.bar.set_length(of);
                self.bar.set_position(done);
                format!("derived from {done} of {of} logs")
            }
            Step::Comparing(table) => format!("comparing {table}"),
            Step::Replacing => "putting rows in their place".to_owned(),
        };
        if !self.bar.is_hidden() {
            self.bar.set_message(if matches!(step, Step::Deriving { .. }) { "deriving".to_owned() } else { what });
            return;
        }
        let Ok(mut last) = self.line.lock() else { return };
        if last.is_none_or(|last| last.elapsed() >= LINE) || !matches!(step, Step::Deriving { .. }) {
            *last = Some(Instant::now());
            eprintln!("{what}");
        }
    }
}
