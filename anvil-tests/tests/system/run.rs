//! `tokenx run` and its parts as somebody runs them for real: programs, settings from the environment, signals.

use std::process::{Child, Command, Output, Stdio};

use secrecy::ExposeSecret;
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

/// Makes a role, or takes it away with all that it may do.
async fn role(pool: &sqlx::PgPool, name: &str, statement: &'static str) {
    let mut conn = pool.acquire().await.unwrap();
    sqlx::query("SELECT set_config('test.role', $1, false)").bind(name).execute(&mut *conn).await.unwrap();
    sqlx::query(statement).execute(&mut *conn).await.unwrap();
}

#[tokio::test]
async fn the_role_that_serves_does_all_of_its_work_and_changes_nothing_that_was_audited() {
    let world = World::start().await.unwrap();
    let deployment = world.deploy().await.unwrap();
    let mut settings = world.settings(&deployment).unwrap();
    settings.server.bind.set_port(free_port().unwrap());
    let name = format!("tokenx_app_{}", std::process::id());
    let make = "DO $$ BEGIN
        EXECUTE format('CREATE ROLE %I LOGIN PASSWORD ''app''', current_setting('test.role'));
    END $$";
    role(&world.pool, &name, make).await;

    let owner = settings.clone();
    let (refused, said) = output(tokenx(&owner, &["migrate", "--app-role", "nobody-of-this-name"]));
    assert!(!refused.status.success() && said.contains("nobody-of-this-name"), "{said}");
    let owns: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&world.pool).await.unwrap();
    let (refused, said) = output(tokenx(&owner, &["migrate", "--app-role", &owns]));
    assert!(!refused.status.success() && said.contains("owns the tables"), "{said}");
    let (done, said) = output(tokenx(&owner, &["migrate", "--app-role", &name]));
    assert!(done.status.success(), "{said}");

    let mut url = reqwest::Url::parse(settings.database.url.expose_secret()).unwrap();
    url.set_username(&name).unwrap();
    url.set_password(Some("app")).unwrap();
    settings.database.url = url.as_str().into();
    let all = tokenx(&settings, &["run"]).spawn().unwrap();
    ready(&settings).await;
    let (added, said) = output(tokenx(&settings, &["admin", "issuer", "add", "--name", "An Issuer"]));
    assert!(added.status.success(), "{said}");
    eventually("keys are made, blocks indexed, entries sealed", || async {
        let done: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM hosted_keys) AND EXISTS (SELECT FROM blocks) AND EXISTS (SELECT FROM audit_seals)",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap();
        done.then_some(())
    })
    .await;

    let app = tokenx_migrations::connect(url.as_str(), 1).await.unwrap();
    for statement in [
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_seals SET hash = previous",
        "DELETE FROM audit_seals",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "DROP TABLE audit_seals",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
        "DELETE FROM _sqlx_migrations",
    ] {
        let refused = sqlx::query(statement).execute(&app).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
    app.close().await;
    ends_when_asked(all).await;
    let drop = "DO $$ BEGIN
        EXECUTE format('DROP OWNED BY %I', current_setting('test.role'));
        EXECUTE format('DROP ROLE %I', current_setting('test.role'));
    END $$";
    role(&world.pool, &name, drop).await;
}
