//! Nothing we start outlives us, however we end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokenx::local::identity::Identity;
use tokenx::local::supervisor::program;
use tokenx::local::{Durability, Postgres, PostgresOptions, PostgresSource};
use tokenx_anvil_tests::{eventually, eventually_within, skipped};

/// A supervisor of `sh -c script`, whose pipe another process holds; `script` finds the scratch folder in `$0`.
struct Family {
    holder: Child,
    supervisor: Child,
    folder: PathBuf,
}

impl Family {
    fn start(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let mut holder = Command::new("sleep").arg("600").stdout(Stdio::piped()).spawn().unwrap();
        let pipe = holder.stdout.take().unwrap();
        let supervisor = Command::new(program().unwrap())
            .args(["supervise", "--ask", "term", "--remove"])
            .arg(&folder)
            .args(["--", "sh", "-c", script])
            .arg(&folder)
            .stdin(pipe)
            .spawn()
            .unwrap();
        Self { holder, supervisor, folder }
    }

    /// The process id that the script wrote into this file.
    async fn id(&self, name: &str) -> u32 {
        let path = self.folder.join(name);
        eventually("the child writes its id", || async { std::fs::read_to_string(&path).ok()?.trim().parse().ok() })
            .await
    }

    async fn ends(mut self, ids: &[u32]) {
        self.holder.kill().unwrap();
        self.holder.wait().unwrap();
        for id in ids {
            eventually(&format!("process {id} is gone"), || async { (!alive(*id)).then_some(()) }).await;
        }
        eventually("the supervisor is gone", || {
            let ended = self.supervisor.try_wait().unwrap();
            async move { ended }
        })
        .await;
        assert!(!self.folder.exists(), "the scratch folder is still there");
    }
}

fn alive(id: u32) -> bool {
    // A zombie has ended; only its parent has not looked.
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_child_ends_when_the_holder_of_its_pipe_is_killed() {
    let family = Family::start("echo $$ > $0/child; exec sleep 600");
    let child = family.id("child").await;
    family.ends(&[child]).await;
}

#[tokio::test]
async fn a_child_that_ignores_signals_ends_with_all_its_group() {
    let family = Family::start(
        "trap '' TERM INT; (echo $(sh -c 'echo $PPID') > $0/grandchild; while :; do sleep 1; done) & echo $$ > $0/child; wait",
    );
    let ids = [family.id("child").await, family.id("grandchild").await];
    family.ends(&ids).await;
}

#[tokio::test]
async fn a_supervisor_asked_to_end_takes_its_child_along() {
    let family = Family::start("echo $$ > $0/child; exec sleep 600");
    let child = family.id("child").await;
    let status = Command::new("kill").args(["-TERM", &family.supervisor.id().to_string()]).status().unwrap();
    assert!(status.success());
    eventually("the child is gone", || async { (!alive(child)).then_some(()) }).await;
    family.ends(&[]).await;
}

#[tokio::test]
async fn a_child_that_ends_by_itself_is_reported_with_its_status() {
    for (script, code) in [("exit 7", 7), ("kill -KILL $$", 137)] {
        let mut supervisor = Command::new(program().unwrap())
            .args(["supervise", "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let held = supervisor.stdin.take();
        let status = eventually("the supervisor ends", || {
            let ended = supervisor.try_wait().unwrap();
            async move { ended }
        })
        .await;
        assert_eq!(status.code(), Some(code), "{script}");
        drop(held);
    }
}

/// Starts a cluster as `identity` in a folder only we may enter, uses it, and finds nothing left of it.
async fn a_cluster_runs_and_goes(identity: Identity) {
    let report = |line: &str| println!("{line}");
    let PostgresSource::Programs(programs) = PostgresSource::find(&report).await.unwrap() else {
        return skipped("DATABASE_URL names a running server, no cluster of ours is started");
    };
    let outer = tempfile::tempdir().unwrap();
    let options = PostgresOptions {
        programs,
        folder: outer.path().join("cluster"),
        durability: Durability::Scratch,
        keep: false,
        identity: Some(identity),
    };
    let cluster = Postgres::start(options, &report).await.unwrap();
    let pool = tokenx_migrations::connect(&cluster.url("postgres"), 2).await.unwrap();
    tokenx_migrations::migrate(&pool).await.unwrap();
    pool.close().await;
    let (port, folder) = (cluster.port(), cluster.folder().to_owned());
    cluster.stop().await.unwrap();
    assert!(!Path::new(&folder).exists());
    eventually_within(Duration::from_secs(10), "the port is free", || async {
        std::net::TcpListener::bind(("127.0.0.1", port)).ok().map(drop)
    })
    .await;
}

#[tokio::test]
async fn root_runs_postgres_in_a_namespace_or_as_nobody() {
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) != 0) {
        return skipped("we are not root, so Postgres runs as we are");
    }
    a_cluster_runs_and_goes(Identity::Nobody).await;
    let probe = Command::new("unshare").args(["-U", "--map-user=1000", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        return println!("skipped in part: user namespaces are refused on this machine");
    }
    a_cluster_runs_and_goes(Identity::Namespace).await;
}

#[tokio::test]
async fn a_cluster_that_cannot_start_leaves_no_folder() {
    let outer = tempfile::tempdir().unwrap();
    let programs = outer.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    for name in ["postgres", "initdb"] {
        std::os::unix::fs::symlink("/bin/false", programs.join(name)).unwrap();
    }
    let folder = outer.path().join("cluster");
    let options = PostgresOptions {
        programs,
        folder: folder.clone(),
        durability: Durability::Scratch,
        keep: false,
        identity: None,
    };
    let error = Postgres::start(options, &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains("initdb"), "{error:#}");
    eventually("the folder is gone", || async { (!folder.exists()).then_some(()) }).await;
}
