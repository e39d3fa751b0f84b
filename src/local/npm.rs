//! Packages that npm installs from a lock file kept in the checkout.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, anyhow, bail};

use super::{Report, Task, files};
use crate::failure::Advice;

/// Makes `folder/node_modules` hold exactly what `folder/package-lock.json` says, and returns it. Processes that want
/// the same folder wait for one another. Install scripts do not run: nothing here needs one.
pub async fn install(folder: &Path, what: &str, report: Report<'_>) -> Result<PathBuf> {
    let modules = folder.join("node_modules");
    if is_current(folder) {
        return Ok(modules);
    }
    let _lock = files::lock(&folder.join("package-lock.json"), report).await?;
    if is_current(folder) {
        return Ok(modules);
    }
    let Some(npm) = super::tools::in_path("npm") else {
        return Err(anyhow!("npm, which would install {what}, is not in PATH"))
            .hint("install Node.js 20 or later (Debian: apt-get install nodejs npm)");
    };
    report(&format!("installing {what}: npm ci in {}", folder.display()));
    let started = Instant::now();
    let output = Task::new(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .directory(folder)
        .output()
        .await?;
    if !output.status.success() {
        bail!("npm ci failed in {}: {}", folder.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    report(&format!("installed {what} in {:.1} s", started.elapsed().as_secs_f32()));
    Ok(modules)
}

/// npm writes `.package-lock.json` last, so it is there and newer than the lock file only after a whole installation.
pub(crate) fn is_current(folder: &Path) -> bool {
    let changed = |path: PathBuf| -> Result<SystemTime> {
        path.metadata()?.modified().with_context(|| format!("no times for {}", path.display()))
    };
    match (changed(folder.join("node_modules/.package-lock.json")), changed(folder.join("package-lock.json"))) {
        (Ok(installed), Ok(locked)) => installed >= locked,
        _ => false,
    }
}
