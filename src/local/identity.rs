//! As whom Postgres runs: it refuses to run as root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::{Uid, User};

use super::{Task, files};

const UNSHARE: [&str; 4] = ["-U", "--map-user=1000", "--map-group=1000", "--"];

/// As whom a program runs that refuses root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// As we are: an ordinary user.
    Caller,
    /// Root outside, an ordinary user inside a user namespace: reaches folders that only root may enter.
    Namespace,
    /// The user `nobody`, where user namespaces are refused: reaches only folders that everyone may enter.
    Nobody,
}

impl Identity {
    /// The best one for running `program` on `folder`.
    pub async fn choose(program: &Path, folder: &Path) -> Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self::Caller);
        }
        // Not only whether a namespace may be made, but whether it reaches both: root's own right to
        // enter another user's folder does not go with it.
        let probe = "test -w \"$0\" && \"$1\" --version";
        let namespace =
            Self::Namespace.task(Path::new("sh"))?.args(["-c", probe]).arg(folder).arg(program).output().await?;
        Ok(if namespace.status.success() { Self::Namespace } else { Self::Nobody })
    }

    /// A task that runs `program` as this identity.
    pub fn task(self, program: &Path) -> Result<Task> {
        Ok(match self {
            Self::Caller => Task::new(program),
            Self::Namespace => Task::new("unshare").args(UNSHARE).arg(program),
            Self::Nobody => {
                let user = nobody()?;
                Task::new(program).as_user(user.uid.as_raw(), user.gid.as_raw())
            }
        })
    }

    /// Hands a file or an empty folder to this identity.
    pub fn own(self, path: &Path) -> Result<()> {
        if self == Self::Nobody {
            let user = nobody()?;
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .with_context(|| format!("cannot give {} to nobody", path.display()))?;
        }
        Ok(())
    }

    /// `programs` itself where this identity can reach it, else a copy of the installation below `folder`.
    pub fn reach(self, programs: &Path, folder: &Path) -> Result<PathBuf> {
        if self != Self::Nobody || files::enterable(programs) {
            return Ok(programs.to_owned());
        }
        let installation = programs.parent().context("the folder of Postgres's programs has no parent")?;
        let copy = folder.join("postgres");
        if !copy.join("bin").is_dir() {
            files::copy_tree(installation, &copy)
                .with_context(|| format!("cannot copy {} for the user nobody", installation.display()))?;
        }
        Ok(copy.join("bin"))
    }
}

/// Makes `folder`, private to us, or for `nobody` open to enter but not to list.
pub(crate) fn make_folder(folder: &Path, identity: Identity) -> Result<()> {
    let mode = if identity == Identity::Nobody { 0o711 } else { 0o700 };
    fs::create_dir_all(folder)
        .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot make {}", folder.display()))
}

fn nobody() -> Result<User> {
    User::from_name("nobody")?.context("Postgres refuses to run as root, and there is no user nobody to run it as")
}
