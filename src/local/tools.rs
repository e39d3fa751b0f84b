//! Where the programs we do not ship are found, in a fixed order; else they are installed.
//!
//! anvil: `TOKENX_ANVIL`, `PATH`, `contracts/node_modules`, `npm ci` in `contracts/`. (forge is always the one of
//! `contracts/package-lock.json`: figures and bytecode are compared byte for byte.)
//! Postgres: `DATABASE_URL` (a running server), `TOKENX_PG_BIN`, `PATH`, `/usr/lib/postgresql/*/bin`, npm.
//! The value `npm` of a variable skips every other place.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Report, files, npm};
use crate::failure::Advice;

/// The oldest major version of Postgres whose SQL we use.
pub const POSTGRES_FLOOR: u32 = 15;

/// In `DATABASE_URL`: this server belongs to a `tokenx dev` whose `dev.env` was sourced; it may be gone by now.
pub const DEV_APPLICATION: &str = "application_name=tokenx_dev";

/// Finds anvil or installs it.
pub async fn anvil(report: Report<'_>) -> Result<PathBuf> {
    match variable("TOKENX_ANVIL").as_deref() {
        Some("npm") => {}
        Some(path) if is_program(Path::new(path)) => return Ok(path.into()),
        Some(path) => bail!("TOKENX_ANVIL is {path:?}, which is not a program"),
        None => {
            if let Some(path) = in_path("anvil") {
                return Ok(path);
            }
        }
    }
    let folder = contracts(report).await.context("anvil was not found").hint("set TOKENX_ANVIL to its path")?;
    // The native program itself: npm's `anvil` is a Node script, which would be one process more to lose.
    let path = folder.join(format!("node_modules/@foundry-rs/anvil-{}/bin/anvil", foundry_platform()?));
    if is_program(&path) { Ok(path) } else { bail!("npm installed no {}", path.display()) }
}

/// The folder of the contracts with what their tools need installed.
pub async fn contracts(report: Report<'_>) -> Result<PathBuf> {
    let folder = files::checkout()?.join("contracts");
    npm::install(&folder, "the contracts' toolchain", report).await?;
    Ok(folder)
}

/// Where a database comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresSource {
    /// A running server, named by `DATABASE_URL`: databases are made on it, it is never started or stopped.
    Running(String),
    /// The folder that has `postgres` and `initdb`, for a private cluster.
    Programs(PathBuf),
}

impl PostgresSource {
    /// Finds Postgres or installs it.
    pub async fn find(report: Report<'_>) -> Result<Self> {
        let named = variable("TOKENX_PG_BIN");
        if let (Some(url), None) = (variable("DATABASE_URL"), &named)
            && !url.contains(DEV_APPLICATION)
        {
            return Ok(Self::Running(url));
        }
        match named.as_deref() {
            Some("npm") => {}
            Some(path) => {
                let folder = PathBuf::from(path);
                return match postgres_version(&folder) {
                    Some(version) if version >= POSTGRES_FLOOR => Ok(Self::Programs(folder)),
                    Some(version) => {
                        bail!("TOKENX_PG_BIN has Postgres {version}; {POSTGRES_FLOOR} is the oldest that works")
                    }
                    None => bail!("TOKENX_PG_BIN is {path:?}, which has no postgres and initdb"),
                };
            }
            None => {
                let usable = |folder: &PathBuf| postgres_version(folder).is_some_and(|found| found >= POSTGRES_FLOOR);
                if let Some(folder) = path_folders().chain(debian_folders()).find(usable) {
                    return Ok(Self::Programs(folder));
                }
            }
        }
        Ok(Self::Programs(npm_postgres(report).await?))
    }
}

/// Postgres as npm packages, of which npm takes the one for this platform.
async fn npm_postgres(report: Report<'_>) -> Result<PathBuf> {
    let folder = files::checkout()?.join("config/postgres-npm");
    let modules = npm::install(&folder, "Postgres", report)
        .await
        .context("no Postgres was found")
        .hint("install it (Debian: apt-get install postgresql), or set TOKENX_PG_BIN to its bin folder or DATABASE_URL to a running server")?;
    let package = modules.join(format!("@embedded-postgres/{}", embedded_platform()?));
    link_libraries(&package).with_context(|| format!("cannot link the libraries of {}", package.display()))?;
    Ok(package.join("native/bin"))
}

/// npm archives hold no symbolic links; the package lists the ones its libraries need.
fn link_libraries(package: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = package.join("native/pg-symlinks.json");
    let Ok(text) = fs::read_to_string(&list) else { return Ok(()) };
    for link in serde_json::from_str::<Vec<Link>>(&text)? {
        let Some(file) = link.source.file_name() else { bail!("odd link in {}", list.display()) };
        match symlink(file, package.join(&link.target)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// The first program of that name in `PATH`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| is_program(path))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Folders of `PATH` with a `postgres`, followed through symbolic links to the installation's own folder.
fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path)
        .filter_map(|folder| folder.join("postgres").canonicalize().ok()?.parent().map(Path::to_owned))
        .collect();
    folders.into_iter()
}

/// Debian keeps the server's programs out of `PATH`, one folder a version; newest first.
fn debian_folders() -> impl Iterator<Item = PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder)
}

/// The major version of the Postgres in `folder`, if there is a whole one.
fn postgres_version(folder: &Path) -> Option<u32> {
    if !is_program(&folder.join("initdb")) {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    major_version(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → 15.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    number.split(|end: char| !end.is_ascii_digit()).next()?.parse().ok()
}

fn foundry_platform() -> Result<&'static str> {
    Ok(match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => "linux-amd64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-amd64",
        ("macos", "aarch64") => "darwin-arm64",
        (os, arch) => bail!("npm has no Foundry for {os} on {arch}"),
    })
}

fn embedded_platform() -> Result<&'static str> {
    Ok(match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        (os, arch) => bail!("npm has no Postgres for {os} on {arch}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postgres_version_is_its_first_number() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("no version here", None),
            ("", None),
        ] {
            assert_eq!(major_version(text), expected, "{text}");
        }
    }

    #[test]
    fn library_links_are_made_once_and_point_inside_the_package() {
        let folder = tempfile::tempdir().unwrap();
        let lib = folder.path().join("native/lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("libx.so.1.2"), "x").unwrap();
        fs::write(
            folder.path().join("native/pg-symlinks.json"),
            r#"[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so.1"}]"#,
        )
        .unwrap();
        for _ in 0..2 {
            link_libraries(folder.path()).unwrap();
            assert_eq!(fs::read_link(lib.join("libx.so.1")).unwrap(), Path::new("libx.so.1.2"));
        }
    }
}
