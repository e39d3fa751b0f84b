//! The indexer in a process of its own, started and stopped through a pipe.

use std::process::Stdio;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::{Context, Result, ensure};
use tokenx::services::{Parts, Services};
use tokenx_anvil_tests::World;
use tokenx_config::{Finality, Follow, Profile, Settings};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const ROLE: &str = "--follower";

/// How it hears of new blocks.
#[derive(Clone, Copy)]
pub(crate) enum Hints {
    Poll(Duration),
    Socket,
}

/// A running one; killed when dropped.
pub(crate) struct Follower {
    child: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

pub(crate) struct Usage {
    pub(crate) peak_mb: u64,
    pub(crate) cpu_seconds: f64,
}

impl Follower {
    /// Starts a process that is ready to follow.
    pub(crate) async fn start(world: &World, token: Address, hints: Hints) -> Result<Self> {
        let (socket, poll) = match hints {
            Hints::Poll(every) => (String::new(), every.as_millis().to_string()),
            Hints::Socket => (world.chain.ws_url(), "1000".to_owned()),
        };
        let mut child = Command::new(std::env::current_exe()?)
            .args([ROLE, world.database.url(), &world.chain.url(), &socket, &poll, &token.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let ask = child.stdin.take().context("its stdin")?;
        let answers = BufReader::new(child.stdout.take().context("its stdout")?).lines();
        let mut follower = Self { child, ask, answers };
        follower.answer().await?;
        Ok(follower)
    }

    /// Lets it begin.
    pub(crate) async fn go(&mut self) -> Result<()> {
        Ok(self.ask.write_all(b"go\n").await?)
    }

    /// JSON-RPC calls so far.
    pub(crate) async fn calls(&mut self) -> Result<u64> {
        self.ask.write_all(b"calls\n").await?;
        Ok(self.answer().await?.parse()?)
    }

    async fn answer(&mut self) -> Result<String> {
        self.answers.next_line().await?.context("the follower has ended")
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let process = format!("/proc/{}", self.child.id().context("it has ended")?);
        let status = std::fs::read_to_string(format!("{process}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("its peak memory")?;
        let stat = std::fs::read_to_string(format!("{process}/stat"))?;
        // The name before may hold anything but the last bracket. Times are in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().context("its times")?.split_whitespace().collect();
        ensure!(fields.len() > 12, "its times are where they were");
        Ok(Usage {
            peak_mb: peak.trim().trim_end_matches(" kB").parse::<u64>()? / 1024,
            cpu_seconds: (fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0,
        })
    }
}

/// Is this the process that follows?
pub(crate) fn is_child() -> bool {
    std::env::args().nth(1).is_some_and(|role| role == ROLE)
}

/// The other end of the pipe.
pub(crate) async fn serve() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(2).collect();
    let [database, node, socket, poll, token] = &given[..] else { anyhow::bail!("five arguments") };
    let mut settings = Settings::embedded(Profile::Test)?;
    settings.database.url = database.as_str().into();
    settings.chain.rpc_url = node.as_str().into();
    settings.chain.ws_url = (!socket.is_empty()).then(|| socket.as_str().into());
    settings.chain.chain_id = crate::CHAIN;
    settings.chain.poll_interval_ms = poll.parse()?;
    settings.chain.finality = Finality::Depth(64);
    settings.chain.follow =
        vec![Follow { token: token.parse()?, instrument_id: "MILL".to_owned(), start_block: Some(1) }];
    settings.monitor.enabled = false;
    // The mill only logs: it has no balances to compare with.
    settings.reconcile.enabled = false;

    let mut asked = BufReader::new(tokio::io::stdin()).lines();
    println!("ready");
    wait(&mut asked).await?;
    let services = Services::start(&settings, Parts::INDEXER).await?;
    while wait(&mut asked).await? {
        println!("{}", calls());
    }
    services.stop().await
}

async fn wait(asked: &mut Lines<BufReader<Stdin>>) -> Result<bool> {
    Ok(asked.next_line().await?.is_some())
}

fn calls() -> u64 {
    let all = tokenx_config::metrics::registry().gather();
    let calls = all.iter().find(|family| family.name() == "tokenx_indexer_rpc_calls_total");
    // A count of calls is far below what f64 holds exactly.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number")]
    calls.map_or(0, |family| family.get_metric().iter().map(|metric| metric.get_counter().get_value() as u64).sum())
}
