//! `tokenx run` and its parts as somebody runs them for real: programs, settings from the environment, signals.

use std::process::{Child, Command, Output, Stdio};

use tokenx::local::postgres::free_port;
use tokenx_anvil_tests::{TestDatabase, World, eventually, process};
use tokenx_config::Settings;

fn tokenx(settings: &Settings, arguments: &[&str]) -> Command {
    let mut command = process::command(settings, arguments).unwrap();
    command.stderr(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn output(mut command: Command) -> (Output, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

async fn ready(settings: &Settings) {
    let url = format!("http://{}/readyz", settings.server.bind);
    eventually("the api is ready", || async {
        let answer = reqwest::get(&url).await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}

async fn ends_when_asked(mut child: Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let status = eventually("it ends", || {
        let ended = child.try_wait().unwrap();
        async move { ended }
    })
    .await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn it_runs_in_one_process_and_in_three() {
    let world = World::start().await.unwrap();
    let deployment = world.deploy().await.unwrap();
    let mut settings = world.settings(&deployment).unwrap();
    settings.server.bind.set_port(free_port().unwrap());

    let all = tokenx(&settings, &["run"]).spawn().unwrap();
    ready(&settings).await;
    ends_when_asked(all).await;

    let parts = ["indexer", "keeper", "api"].map(|part| tokenx(&settings, &[part]).spawn().unwrap());
    ready(&settings).await;
    for part in parts {
        ends_when_asked(part).await;
    }
}

#[tokio::test]
async fn a_database_without_tables_names_the_command_that_makes_them() {
    let empty = TestDatabase::empty().await.unwrap();
    let mut settings = Settings::embedded(tokenx_config::Profile::Test).unwrap();
    settings.database.url = empty.url().into();
    settings.chain.rpc_url = "http://127.0.0.1:1".into();
    settings.signer.keys = vec![tokenx_anvil_tests::KEYS[1].into()];
    settings.server.bind.set_port(0);
    let (refused, said) = output(tokenx(&settings, &["run"]));
    assert!(!refused.status.success());
    assert!(said.contains("tokenx migrate"), "{said}");
    let (migrated, said) = output(tokenx(&settings, &["migrate"]));
    assert!(migrated.status.success(), "{said}");
    let (listed, said) = output(tokenx(&settings, &["admin", "issuer", "list"]));
    assert!(listed.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "none\n");
}

#[test]
fn bad_settings_end_with_78_and_name_every_key() {
    let settings = Settings::embedded(tokenx_config::Profile::Test).unwrap();
    let mut command = tokenx(&settings, &["run"]);
    command.env("TOKENX__CHAIN__RPC_URL", "").env("TOKENX__DATABASE__URL", "");
    let (refused, said) = output(command);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.starts_with("error: ") && said.contains("database.url") && said.contains("chain.rpc_url"), "{said}");
    let mut command = tokenx(&settings, &["config", "check"]);
    command.env("TOKENX__CHAIN__CONFIRMATION", "3");
    let (refused, said) = output(command);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("confirmation"), "an unknown key is named: {said}");
}

#[test]
fn printed_settings_hide_secrets() {
    let mut settings = Settings::embedded(tokenx_config::Profile::Test).unwrap();
    settings.database.url = "postgres://somebody:hunter2hunter2@127.0.0.1/x".into();
    let (printed, said) = output(tokenx(&settings, &["config", "print"]));
    assert!(printed.status.success(), "{said}");
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("[database]") && !printed.contains("hunter2"), "{printed}");
}

#[tokio::test]
async fn reindex_tells_a_changed_row_by_its_exit_code_and_puts_it_back() {
    let world = World::start().await.unwrap();
    let deployment = world.deploy().await.unwrap();
    let mut settings = world.settings(&deployment).unwrap();
    settings.server.bind.set_port(free_port().unwrap());
    let all = tokenx(&settings, &["run"]).spawn().unwrap();
    ready(&settings).await;
    let (equal, said) = output(tokenx(&settings, &["reindex", "--verify"]));
    assert!(equal.status.success(), "beside an indexer: {said}");
    let (refused, said) = output(tokenx(&settings, &["reindex"]));
    assert_eq!(refused.status.code(), Some(75), "{said}");
    assert!(said.contains("stop it"), "{said}");
    ends_when_asked(all).await;

    let changed = sqlx::query("UPDATE instruments SET symbol = 'XX' WHERE instrument_id = 'rCC'").execute(&world.pool);
    assert_eq!(changed.await.unwrap().rows_affected(), 1);
    let (found, said) = output(tokenx(&settings, &["reindex", "--verify"]));
    assert_eq!(found.status.code(), Some(1), "{said}");
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(told.starts_with("instruments token 0x") && told.contains("has symbol \"XX\""), "{told}");
    let (put_back, said) = output(tokenx(&settings, &["reindex"]));
    assert!(put_back.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&put_back.stdout).starts_with("instruments token 0x"));
    let (equal, said) = output(tokenx(&settings, &["reindex", "--verify"]));
    assert!(equal.status.success(), "{said}");
}
