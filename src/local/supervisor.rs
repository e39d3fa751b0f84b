//! Children that cannot outlive us.
//!
//! Each child hangs under a supervisor: this binary again, started as `tokenx supervise`, in a process group of its
//! own, reading a pipe that only its parent holds. When the pipe closes, because the parent asked, ended, crashed or
//! was killed, the supervisor stops the child, kills what is left of the child's group and removes the scratch folders
//! it was told of. The kernel closes pipes of a process killed by SIGKILL too, so there is no way past it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

/// How long a child may take over each polite signal before the next, ruder one.
const PATIENCE: Duration = Duration::from_secs(8);

/// A signal that asks a child to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ask {
    /// SIGINT: anvil saves its state, Postgres ends its sessions and writes a checkpoint.
    Int,
    /// SIGTERM.
    Term,
    /// SIGQUIT: Postgres ends at once and recovers at its next start.
    Quit,
}

impl Ask {
    fn signal(self) -> Signal {
        match self {
            Self::Int => Signal::SIGINT,
            Self::Term => Signal::SIGTERM,
            Self::Quit => Signal::SIGQUIT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Term => "term",
            Self::Quit => "quit",
        }
    }
}

/// The arguments of the hidden command `tokenx supervise`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Signals to ask with, in turn, before SIGKILL
    #[arg(long = "ask", value_enum)]
    asks: Vec<Ask>,
    /// Folder to remove once the pipe has closed and the child is gone
    #[arg(long)]
    remove: Vec<PathBuf>,
    /// Run the child as this user id
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    /// Run the child as this group id
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// A program to run under a supervisor.
#[derive(Debug)]
pub struct Task {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    asks: Vec<Ask>,
    remove: Vec<PathBuf>,
    user: Option<(u32, u32)>,
}

impl Task {
    /// `program` is a path, or a name looked up in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            asks: vec![Ask::Term],
            remove: Vec::new(),
            user: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Takes a variable out of the child's environment.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.environment.push((name.into(), None));
        self
    }

    /// The child's working directory.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Signals to ask with, in turn, eight seconds each, before SIGKILL. Default: SIGTERM.
    #[must_use]
    pub fn asked_by(mut self, asks: &[Ask]) -> Self {
        self.asks = asks.to_vec();
        self
    }

    /// Removes `directory` once the parent has let go and the child is gone.
    #[must_use]
    pub fn removing(mut self, directory: &Path) -> Self {
        self.remove.push(directory.to_owned());
        self
    }

    /// Runs the child as another user (root only).
    #[must_use]
    pub fn as_user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(program()?);
        command.arg("supervise");
        for ask in &self.asks {
            command.args(["--ask", ask.name()]);
        }
        for directory in &self.remove {
            command.arg("--remove").arg(directory);
        }
        if let Some((uid, gid)) = self.user {
            command.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
        }
        command.arg("--").arg(&self.program).args(&self.arguments);
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // Its own group: a Ctrl-C at the terminal is ours to handle, in our order.
        command.process_group(0).stdin(Stdio::piped());
        Ok(command)
    }

    /// Starts it, with what it prints going to `log`.
    pub fn start(&self, log: &Path) -> Result<Supervised> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = self.command()?;
        command.stdout(out.try_clone()?).stderr(out);
        let mut child = command.spawn().context("cannot start a supervisor")?;
        let leash = child.stdin.take();
        Ok(Supervised { child, leash })
    }

    /// Runs it to its end and gives what it printed. It ends early with this future, as it does with us.
    pub async fn output(self) -> Result<Output> {
        let mut command = self.command()?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start a supervisor")?;
        let leash = child.stdin.take();
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
        drop(leash);
        Ok(output)
    }
}

/// A running child under its supervisor. Dropping it lets the supervisor stop the child, without waiting.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    leash: Option<ChildStdin>,
}

impl Supervised {
    /// The exit status, if the child has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Stops the child and waits until it is gone.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.leash.take());
        tokio::task::spawn_blocking(move || self.child.wait()).await??;
        Ok(())
    }
}

/// The program that knows `supervise`: this one, or the `tokenx` built beside a test binary.
pub fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the running program's own file")?;
    if own.file_stem() == Some(OsStr::new("tokenx")) {
        return Ok(own);
    }
    // A test binary is target/<profile>/deps/<name>-<hash>; the program is target/<profile>/tokenx.
    let name = format!("tokenx{}", std::env::consts::EXE_SUFFIX);
    match own.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "no {name} beside {}: build it with `cargo build --bin tokenx` (a plain `cargo test` does it first)",
            own.display()
        ),
    }
}

/// The body of `tokenx supervise`: gives the exit code to end with.
pub async fn supervise(arguments: Arguments) -> Result<i32> {
    let Some((program, rest)) = arguments.command.split_first() else { bail!("nothing to supervise") };
    let leash = std::io::stdin().as_fd().try_clone_to_owned()?;
    let mut leash = tokio::net::unix::pipe::Receiver::from_owned_fd(leash).context("stdin is not a pipe")?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;

    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).process_group(0);
    if let (Some(uid), Some(gid)) = (arguments.uid, arguments.gid) {
        command.uid(uid).gid(gid);
    }
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let group = child.id().map(|id| Pid::from_raw(id.cast_signed()));

    let mut ignored = Vec::new();
    let ended = tokio::select! {
        status = child.wait() => Some(status?),
        _ = leash.read_to_end(&mut ignored) => None,
        _ = terminated.recv() => None,
        _ = interrupted.recv() => None,
    };
    let let_go = ended.is_none();
    let status = match (ended, group) {
        (Some(status), _) => Some(status),
        (None, Some(group)) => ask(&mut child, group, &arguments.asks).await?,
        (None, None) => None,
    };
    if let Some(group) = group {
        // Whoever the child left behind in its group goes with it; none left is the usual case.
        let _ = killpg(group, Signal::SIGKILL);
    }
    if let_go {
        for directory in &arguments.remove {
            remove(directory).await;
        }
    }
    Ok(status.map_or(1, |status| status.code().unwrap_or(128 + status.signal().unwrap_or(0))))
}

async fn ask(child: &mut tokio::process::Child, group: Pid, asks: &[Ask]) -> Result<Option<ExitStatus>> {
    for ask in asks {
        if killpg(group, ask.signal()).is_err() {
            break;
        }
        if let Ok(status) = tokio::time::timeout(PATIENCE, child.wait()).await {
            return Ok(Some(status?));
        }
    }
    child.kill().await?;
    Ok(child.try_wait()?)
}

/// Grandchildren in sessions of their own (Postgres's workers) may write for a moment longer: try a few times.
async fn remove(directory: &Path) {
    for _ in 0..50 {
        match std::fs::remove_dir_all(directory) {
            Ok(()) => return,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
