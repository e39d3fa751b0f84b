//! The data folder: one `dev` at a time, until the last of its children is gone.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::failure::{Advice, TRY_LATER};
use crate::local::{Report, short_name, write_secret};

/// How long the children of a killed `dev` may take to end.
const WIND_DOWN: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(100);
/// Where anvil keeps the chain.
pub(crate) const CHAIN_STATE: &str = "chain/state.json";
/// Where the demo world is remembered.
pub(crate) const DEMO: &str = "demo.json";
/// What tells of a running `dev`, or lets others speak to it.
const LIVE: [&str; 3] = ["dev.env", "dev.toml", "dev.pid"];

/// The locked data folder.
///
/// The lock is one on the folder itself, so there is no lock file to be left behind. Our children inherit its handle:
/// the kernel frees it when the last of them has ended, whatever happened to us, and a new `dev` can wait for that.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    resumes: bool,
    lock: File,
}

/// What a run leaves for the next one with `--keep`.
const KEPT: [&str; 4] = ["postgres", "chain", "files", DEMO];

impl Folder {
    /// Makes and locks it. Unless `keep` finds a chain that an earlier run kept, all that one left is removed.
    pub(crate) async fn open(path: &Path, keep: bool, report: Report<'_>) -> Result<Self> {
        let path = std::path::absolute(path)?;
        fs::create_dir_all(&path).with_context(|| format!("cannot make the data folder {}", path.display()))?;
        let lock = lock(&path, report).await?;
        fcntl(&lock, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot share the lock with children")?;
        let resumes = keep && path.join(CHAIN_STATE).is_file() && path.join(DEMO).is_file();
        let folder = Self { path, resumes, lock };
        for part in LIVE {
            remove(&folder.join(part))?;
        }
        if !resumes {
            for part in KEPT {
                remove(&folder.join(part))?;
            }
        }
        write_secret(&folder.join("dev.pid"), &std::process::id().to_string())?;
        Ok(folder)
    }

    /// Whether this run goes on where an earlier one ended.
    pub(crate) fn resumes(&self) -> bool {
        self.resumes
    }

    /// A short name for it, the same at each run: for what belongs to it elsewhere.
    pub(crate) fn name(&self) -> String {
        short_name(&self.path)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits until all that we started has ended, and leaves nothing that tells of a running `dev`.
    pub(crate) async fn close(self) -> Result<()> {
        let Self { path, lock, .. } = self;
        drop(lock);
        let lock = File::open(&path)?;
        let mut waited = Duration::ZERO;
        while lock.try_lock().is_err() && waited < WIND_DOWN {
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
        LIVE.iter().try_for_each(|part| remove(&path.join(part)))
    }
}

/// Removes a file or folder, if there.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

async fn lock(path: &Path, report: Report<'_>) -> Result<File> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        let owner = fs::read_to_string(path.join("dev.pid")).ok().and_then(|text| text.parse().ok());
        match owner {
            Some(owner) if is_alive(owner) => {
                return Err(anyhow!("another tokenx dev (process {owner}) runs in {}", path.display()))
                    .hint("stop it, or give this one its own --data-dir, --api-port and --rpc-port")
                    .code(TRY_LATER);
            }
            _ if waited > WIND_DOWN => {
                return Err(anyhow!("{} is locked, but by no tokenx dev that runs", path.display()))
                    .hint("use another --data-dir")
                    .code(TRY_LATER);
            }
            _ if waited.is_zero() => report("waiting for the children of an earlier tokenx dev to end"),
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
    }
}

/// Whether a process of that id runs (an ended one that its parent has not looked at yet does not).
fn is_alive(id: i32) -> bool {
    let ended = fs::read_link(format!("/proc/{id}/exe")).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    kill(Pid::from_raw(id), None) != Err(Errno::ESRCH) && !(Path::new("/proc/self").exists() && ended)
}
