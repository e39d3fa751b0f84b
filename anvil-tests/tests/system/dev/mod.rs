//! `tokenx dev` as a script sees it: the real binary in a folder of its own.

mod clients;
mod curls;
mod day;
mod endings;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokenx::local::postgres::free_port;
use tokenx::local::supervisor::program;
use tokenx_anvil_tests::{eventually, eventually_within};

/// From nothing to ready, on two cores that other tests use too.
const READY: Duration = Duration::from_secs(120);

/// A `tokenx dev` of this test's own.
struct Dev {
    child: Child,
    folder: Arc<TempDir>,
    api_port: u16,
    rpc_port: u16,
}

impl Dev {
    /// Starts one in a new folder that only we may enter.
    fn start(flags: &[&str]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), flags)
    }

    /// Starts another one in the folder of this one, which has ended.
    fn again(&self, flags: &[&str]) -> Self {
        Self::start_in(self.folder.clone(), flags)
    }

    fn start_in(folder: Arc<TempDir>, flags: &[&str]) -> Self {
        let (api_port, rpc_port) = (free_port().unwrap(), free_port().unwrap());
        let child = command(folder.path(), api_port, rpc_port).args(flags).spawn().unwrap();
        Self { child, folder, api_port, rpc_port }
    }

    /// What it exports once it is ready.
    async fn ready(&mut self) -> HashMap<String, String> {
        let file = self.folder.path().join("dev.env");
        eventually_within(READY, "dev.env is written", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "dev ended: {ended:?}\n{}", self.said());
            let there = file.is_file().then_some(());
            async move { there }
        })
        .await;
        let output =
            Command::new("sh").args(["-c", "env -i sh -c '. \"$0\"; env' \"$0\""]).arg(&file).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// What it printed.
    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    /// Sends it a signal, by name.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    async fn ended(&mut self) -> ExitStatus {
        eventually("dev ends", || {
            let ended = self.child.try_wait().unwrap();
            async move { ended }
        })
        .await
    }

    /// Everything it started has ended, its ports and its lock are free.
    async fn nothing_is_left(&self) {
        let folder = self.folder.path().canonicalize().unwrap();
        eventually("no process holds the folder", || async { holders(&folder).is_empty().then_some(()) }).await;
        for port in [self.api_port, self.rpc_port] {
            std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is still taken");
        }
        fs::File::open(&folder).unwrap().try_lock().expect("the folder is still locked");
        assert!(!folder.join("dev.env").exists() || self.was_killed());
    }

    fn was_killed(&self) -> bool {
        self.folder.path().join("dev.pid").exists()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Its supervisors see to the rest.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, api_port: u16, rpc_port: u16) -> Command {
    let said = fs::File::create(folder.join("said")).unwrap();
    let mut command = Command::new(program().unwrap());
    command
        .args(["dev", "--block-time", "0.1", "--data-dir"])
        .arg(folder)
        .args(["--api-port", &api_port.to_string(), "--rpc-port", &rpc_port.to_string()])
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said);
    command
}

/// Processes with an open file at or below `folder`: all of a dev's children inherit its lock there.
fn holders(folder: &Path) -> Vec<String> {
    let holds = |process: &fs::DirEntry| {
        fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.starts_with(folder)))
    };
    let own = std::process::id().to_string();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| process.file_name().to_str() != Some(&own) && holds(process))
        .map(|process| fs::read_to_string(process.path().join("cmdline")).unwrap_or_default().replace('\0', " "))
        .collect()
}
