//! `tokenx token` and `tokenx command`, the program itself, against the api over HTTP.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokenx::local::supervisor::program;
use tokenx_anvil_tests::Cutter;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::life::{Life, REFUSES};
use super::*;

/// The command line of somebody with a token.
struct Line {
    url: String,
    token: String,
}

impl Line {
    fn of(kit: &Kit, role: Role) -> Line {
        Line { url: kit.url.clone(), token: kit.token(role).unwrap().to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program().unwrap());
        command.args(arguments).env("TOKENX_API_URL", &self.url).env("TOKENX_TOKEN", &self.token);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// The exit code, what it printed, and what it said beside.
    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(self.command(arguments).output().await.unwrap())
    }

    async fn done(&self, arguments: &[&str]) -> String {
        let (code, printed, said) = self.run(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {printed}{said}");
        printed
    }
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_takes_a_token_to_the_chain_from_the_command_line() {
    let life = Life::start().await;
    let (kit, issuer) = (life.kit(), Line::of(life.kit(), Role::Issuer));
    // The file says the record, a flag goes over it; a supply of 31 digits keeps each of them.
    let supply = "1234567890123456789012345678901";
    let mut record = life.ground.sample();
    record["value"].as_object_mut().unwrap().remove("max_supply");
    let mut making = issuer
        .command(&[
            "token",
            "create",
            "--file",
            "-",
            "--max-supply",
            supply,
            "--decimals",
            "0",
            "--symbol",
            "HHS",
            "--json",
        ])
        .spawn()
        .unwrap();
    making.stdin.take().unwrap().write_all(record.to_string().as_bytes()).await.unwrap();
    let (code, made, said) = told(making.wait_with_output().await.unwrap());
    assert_eq!(code, 0, "{said}");
    assert!(made.contains(&format!("\"max_supply\":{supply},")), "{made}");
    let id = serde_json::from_str::<Value>(&made).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(life.ground.show(&id, Role::Issuer).await.text, made.trim_end());

    let (code, ended, said) = issuer.run(&["token", "deploy", "HHS"]).await;
    assert_eq!(code, 0, "{said}");
    let command_id = format!("deploy:{id}:-:1");
    assert!(ended.contains(&command_id) && ended.contains("confirmed"), "{ended}");
    assert!(said.contains(&format!("{command_id} is confirmed in block ")), "{said}");
    let shown = issuer.done(&["token", "show", "HHS"]).await;
    assert!(shown.contains("NotListed") && shown.contains(supply) && shown.contains("30 USDT"), "{shown}");
    assert_eq!(
        issuer.done(&["token", "show", &id, "--json"]).await.trim_end(),
        life.ground.show(&id, Role::Issuer).await.text
    );
    let listed = issuer.done(&["token", "list", "--status", "notlisted", "--search", "hhs"]).await;
    assert_eq!(listed.lines().count(), 2, "{listed}");

    // What has ended is watched to its end at once; somebody else's is not there, and neither is an operation's.
    let command = kit.get(&format!("/v2/admin/command/{command_id}"), kit.token(Role::Issuer)).await;
    assert_eq!(issuer.done(&["command", "watch", &command_id, "--json"]).await.trim_end(), command.text);
    let stranger = Line { token: life.ground.stranger().await, ..Line::of(kit, Role::Issuer) };
    for (line, arguments) in [
        (&stranger, ["command", "show", &command_id]),
        (&stranger, ["token", "show", "HHS"]),
        (&stranger, ["token", "deploy", &id]),
        (&issuer, ["command", "show", "seed"]),
        (&issuer, ["token", "show", "no/such thing?"]),
    ] {
        let (code, printed, said) = line.run(&arguments).await;
        let expected = if arguments[2].contains(' ') { 1 } else { 4 };
        assert_eq!((code, printed.as_str()), (expected, ""), "{arguments:?}: {said}");
    }
    let agent = Line::of(kit, Role::TransferAgent);
    for command_id in [command_id.as_str(), "seed"] {
        assert!(agent.done(&["command", "watch", command_id]).await.contains(command_id));
    }
    life.ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_when_the_api_comes_back_and_ends_with_why_it_failed() {
    let life = Life::start().await;
    let id = life.draft().await;
    let chain = &life.kit()._world.as_ref().unwrap().chain;
    life.code(life.deployment.suite.factory, REFUSES).await;
    chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    let way = Cutter::before(&life.kit().url).await.unwrap();
    let issuer = Line { url: way.url(), ..Line::of(life.kit(), Role::Issuer) };
    let asked = issuer.done(&["token", "deploy", &id, "--no-wait", "--idempotency-key", "mine", "--json"]).await;
    let command_id = serde_json::from_str::<Value>(&asked).unwrap()["command_id"].as_str().unwrap().to_owned();
    let watched = tokio::spawn(issuer.command(&["command", "watch", &command_id]).output());
    let (code, _, said) = issuer.run(&["command", "watch", &command_id, "--until", "final", "--timeout", "1"]).await;
    assert_eq!(code, 75, "{said}");
    way.outage(Duration::from_secs(2)).await;
    chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    let (code, printed, said) = told(watched.await.unwrap().unwrap());
    assert_eq!(code, 3, "{printed}{said}");
    assert!(said.contains("does not answer: trying again"), "{said}");
    let command =
        life.kit().get(&format!("/v2/admin/command/{command_id}"), life.kit().token(Role::Issuer)).await.json();
    let reason = command["reason"].as_str().unwrap();
    assert!(
        printed.contains(reason) && said.lines().any(|line| line.starts_with("error: ") && line.contains(reason)),
        "{said}"
    );
    life.ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_each_field_and_the_exit_code_says_what_to_do() {
    let ground = Ground::bare().await;
    let issuer = Line::of(&ground.kit, Role::Issuer);
    let (code, printed, said) = issuer.run(&["token", "create", "--name", "x", "--max-supply", "0"]).await;
    assert_eq!((code, printed.as_str()), (1, ""), "{said}");
    for field in ["node_id", "category_id", "token_symbol", "value.max_supply", "value.token_price"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("detail: {field}: "))), "{field}: {said}");
    }
    let nobody = Line { token: String::new(), ..Line::of(&ground.kit, Role::Issuer) };
    let wrong = Line { token: "x".into(), ..Line::of(&ground.kit, Role::Issuer) };
    for line in [&nobody, &wrong, &Line::of(&ground.kit, Role::Investor)] {
        let (code, _, said) = line.run(&["token", "list"]).await;
        assert!(code == 77 && said.contains("hint: "), "{said}");
    }
    let away = Line { url: "http://127.0.0.1:1".into(), ..Line::of(&ground.kit, Role::Issuer) };
    let (code, _, said) = away.run(&["token", "list"]).await;
    assert!(code == 75 && said.contains("127.0.0.1:1") && said.contains("TOKENX_API_URL"), "{said}");
    for bad in [&["token", "list", "--status", "sold"][..], &["token", "list", "--limit", "0"], &["command", "show"]] {
        assert_eq!(issuer.run(bad).await.0, 2, "{bad:?}");
    }
    // A token is never an argument, but may be a file.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}\nsecond line\n", ground.kit.token(Role::Issuer).unwrap())).unwrap();
    assert_eq!(nobody.done(&["token", "list", "--token-file", file.path().to_str().unwrap()]).await, "none\n");
    ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_follows_its_cursor_to_the_end_or_to_the_limit() {
    let ground = Ground::bare().await;
    ground.add(&ground.sample()).await;
    let copied = sqlx::query(
        "INSERT INTO tokens
         SELECT (jsonb_populate_record(t, jsonb_build_object('token_id',      lpad(to_hex(n), 24, '0'),
                                                             'instrument_id', 'I' || n))).*
           FROM tokens t, generate_series(1, 1100) n",
    )
    .execute(&ground.kit.pool)
    .await
    .unwrap();
    assert_eq!(copied.rows_affected(), 1_100);
    let issuer = Line::of(&ground.kit, Role::Issuer);
    let ids = async |arguments: &[&str]| {
        let printed = issuer.done(&[&["token", "list"], arguments].concat()).await;
        let rows: Vec<String> =
            printed.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        let distinct: std::collections::HashSet<&String> = rows.iter().collect();
        assert_eq!(distinct.len(), rows.len(), "a token is listed twice");
        rows.len()
    };
    assert_eq!(ids(&[]).await, 1_101);
    assert_eq!(ids(&["--limit", "1050"]).await, 1_050);
    let pages = issuer.done(&["token", "list", "--json"]).await;
    let sizes =
        pages.lines().map(|page| serde_json::from_str::<Value>(page).unwrap()["items"].as_array().unwrap().len());
    assert_eq!(sizes.collect::<Vec<_>>(), [1_000, 101]);
    ground.kit.end().await;
}
