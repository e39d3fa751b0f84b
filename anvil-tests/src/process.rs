//! The program itself, as somebody runs it: another process, settings from the environment, signals.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use alloy::primitives::Address;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::ExposeSecret;
use tempfile::NamedTempFile;
use tokenx::local::supervisor::program;
use tokenx_config::{Finality, Settings, failpoint};

/// The program with these settings, profile `test` beneath them, as variables.
pub fn command(settings: &Settings, arguments: &[&str]) -> Result<Command> {
    let Settings { database, chain, keeper, signer, server, .. } = settings;
    let text = |address: Option<Address>| address.unwrap_or_default().to_string();
    let list =
        |items: Vec<String>| format!("[{}]", items.iter().map(|i| format!("{i:?}")).collect::<Vec<_>>().join(", "));
    let keys = signer.keys.iter().map(|key| key.expose_secret().to_owned()).collect();
    let finality = match chain.finality {
        Finality::Finalized => "finalized".to_owned(),
        Finality::Depth(depth) => depth.to_string(),
    };
    let mut command = Command::new(program()?);
    command
        .args(arguments)
        .args(["--profile", "test", "--config", "no-such-folder"])
        .env("TOKENX__DATABASE__URL", database.url.expose_secret())
        .env("TOKENX__CHAIN__RPC_URL", chain.rpc_url.expose_secret())
        .env("TOKENX__CHAIN__FINALITY", finality)
        .env("TOKENX__CHAIN__START_BLOCK", chain.start_block.to_string())
        .env("TOKENX__CHAIN__FACTORY", text(chain.factory))
        .env("TOKENX__CHAIN__REGISTRY", text(chain.registry))
        .env("TOKENX__CHAIN__EXECUTORS", list(chain.executors.iter().map(ToString::to_string).collect()))
        .env("TOKENX__KEEPER__BATCH_MAX_ITEMS", keeper.batch_max_items.to_string())
        .env("TOKENX__KEEPER__BUMP_AFTER_BLOCKS", keeper.bump_after_blocks.to_string())
        .env("TOKENX__KEEPER__HOSTED_POOL", keeper.hosted_pool.to_string())
        .env("TOKENX__SIGNER__KEYS", list(keys))
        .env("TOKENX__SERVER__BIND", server.bind.to_string())
        .env("TOKENX__LIMITS__OFF", settings.limits.off.to_string())
        .env_remove(failpoint::VARIABLE)
        .stdin(Stdio::null());
    if let Some(url) = &chain.ws_url {
        command.env("TOKENX__CHAIN__WS_URL", url.expose_secret());
    }
    Ok(command)
}

/// A running `tokenx`; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: NamedTempFile,
}

impl Process {
    /// Starts it with these failpoints armed, as `keeper.after_prepare:kill`, or with none.
    pub fn start(settings: &Settings, arguments: &[&str], failpoints: &str) -> Result<Self> {
        let log = NamedTempFile::new()?;
        let said: File = log.reopen()?;
        let child = command(settings, arguments)?
            .env(failpoint::VARIABLE, failpoints)
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .context("cannot start tokenx")?;
        Ok(Self { child, log })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), signal)?)
    }

    /// How it ended; `None` while it has not.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Whether SIGKILL ended it.
    pub fn was_killed(&mut self) -> Result<bool> {
        Ok(self.ended()?.is_some_and(|status| status.signal() == Some(Signal::SIGKILL as i32)))
    }

    /// Whether it stands still, as after SIGSTOP.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The state follows the name, which stands in brackets.
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
