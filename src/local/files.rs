//! Small things about files: where the checkout is, locks, copies, the end of a log.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use alloy::primitives::keccak256;
use anyhow::{Context, Result};

use super::Report;

/// The folder of the source checkout: the nearest one, above the working directory or above this program, that has
/// `contracts/package.json`. It is only needed where something has to be installed from a lock file kept there.
pub fn checkout() -> Result<PathBuf> {
    let own = std::env::current_exe().unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors()
        .chain(own.ancestors())
        .find(|folder| folder.join("contracts/package.json").is_file())
        .map(Path::to_owned)
        .with_context(|| {
            format!(
                "no tokenx checkout (a folder with contracts/package.json) above {} or this program",
                here.display()
            )
        })
}

/// Twelve hexadecimal digits that stand for a path: for what belongs to it elsewhere.
pub(crate) fn short_name(path: &Path) -> String {
    hex::encode(&keccak256(path.as_os_str().as_encoded_bytes())[..6])
}

/// Opens `path` (a file or a folder) and holds an exclusive lock on it, waiting while another process does.
/// The lock ends with the returned handle or with this process, however it ends.
pub(crate) async fn lock(path: &Path, report: Report<'_>) -> Result<File> {
    let file = File::open(path).with_context(|| format!("cannot open {} to lock it", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => report(&format!("waiting for another process that holds {}", path.display())),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await?.context("cannot lock")
}

/// Whether any user may reach `path` through its ancestors and read and enter it.
pub(crate) fn enterable(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|data| data.permissions().mode() & 0o001 != 0))
}

/// Copies a folder with its modes and symbolic links.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The last `lines` lines of a log, for an error message.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
