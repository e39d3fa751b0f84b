//! The Token App's curls, run by a shell against a fresh `dev` after sourcing its `dev.env`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tokenx_anvil_tests::{eventually, skipped};

use super::Dev;

const MINT: &str = r#"curl -X POST "$BASE_URL/api/admin/mint" \
  -H "Authorization: Bearer $TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "command_id": "mint-2025-01-01-001",
    "instrument_id": "rCC",
    "party_id": "alice::122...",
    "amount": "100.0"
  }'"#;
const BURN: &str = r#"curl -X POST "$BASE_URL/api/admin/burn" \
  -H "Authorization: Bearer $TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "command_id": "burn-2025-01-01-001",
    "instrument_id": "rCC",
    "party_id": "alice::122...",
    "amount": "10.0"
  }'"#;
const MINTS: &str = r#"curl -G "$BASE_URL/data/admin/mints" \
  -H "Authorization: Bearer $TOKEN" \
  --data-urlencode "instrument_id=rCC" \
  --data-urlencode "limit=100""#;
const BURNS: &str = r#"curl -G "$BASE_URL/data/admin/burns" \
  -H "Authorization: Bearer $TOKEN" \
  --data-urlencode "instrument_id=rCC" \
  --data-urlencode "limit=100""#;
const HOLDINGS: &str = r#"curl -G "$BASE_URL/data/admin/holdings" \
  -H "Authorization: Bearer $TOKEN" \
  --data-urlencode "instrument_id=rCC""#;
const STATUS: &str = r#"curl "$BASE_URL/status" \
  -H "Authorization: Bearer $TOKEN""#;
const HEALTH: &str = r#"curl "$BASE_URL/healthz""#;
const METRICS: &str = r#"curl "$BASE_URL/metrics""#;

/// Runs a curl as a person would, and gives the status code and the body.
fn curl(dev: &Path, text: &str) -> (u16, Value) {
    let script = format!(". \"$0\"\n{text} -sS -w '\\n%{{http_code}}'");
    let output = Command::new("sh").args(["-c", &script]).arg(dev.join("dev.env")).output().unwrap();
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (body, code) = said.rsplit_once('\n').unwrap();
    (code.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_texts_curls_run_unchanged() {
    if tokenx::local::tools::in_path("curl").is_none() {
        return skipped("curl is not in PATH: install it (Debian: apt-get install curl) to run the texts' curls");
    }
    let mut dev = Dev::start(&[]);
    let environment = dev.ready().await;
    let folder = dev.folder.path();
    let ok = |text: &str| {
        let (code, body) = curl(folder, text);
        assert_eq!(code, 200, "{text}: {body}");
        body
    };

    let minted = json!({"command_id": "mint-2025-01-01-001", "status": "submitted"});
    assert_eq!(ok(MINT), minted);
    assert_eq!(ok(MINT), minted, "a repeated mint answers the same");
    assert_eq!(ok(BURN), json!({"command_id": "burn-2025-01-01-001", "status": "submitted"}));

    let row = |list: &Value, id: &str| {
        let rows: Vec<_> = list.as_array().unwrap().iter().filter(|row| row["command_id"] == id).cloned().collect();
        assert!(rows.len() < 2, "{id} is there twice: {list}");
        rows.into_iter().next()
    };
    let mint = eventually("the mint is confirmed", || async { row(&ok(MINTS), "mint-2025-01-01-001") }).await;
    let burn = eventually("the burn is confirmed", || async { row(&ok(BURNS), "burn-2025-01-01-001") }).await;
    for (record, amount) in [(&mint, "100.0"), (&burn, "10.0")] {
        let expected = ["amount", "command_id", "created_at", "instrument_id", "party_id", "update_id"];
        assert_eq!(keys(record), BTreeSet::from(expected));
        assert_eq!((&record["amount"], &record["party_id"]), (&json!(amount), &json!("alice::122...")));
    }

    let holdings = ok(HOLDINGS);
    assert_eq!(keys(&holdings), BTreeSet::from(["holdings", "scan", "total"]));
    assert_eq!(holdings["total"], 1);
    let holding = &holdings["holdings"][0];
    assert_eq!(keys(holding), BTreeSet::from(["amount", "holding_cid", "instrument_id", "locked", "party_id"]));
    assert_eq!((&holding["amount"], &holding["locked"]), (&json!("1090.0"), &json!(false)), "1000 seeded + 100 - 10");

    let status = eventually("the monitor has seen it", || async {
        let status = ok(STATUS);
        (status["tokens"]["rCC"]["total_supply"] == "1090.0").then_some(status)
    })
    .await;
    assert_eq!(keys(&status), BTreeSet::from(["operational", "tokens", "updated_at"]));
    let token = &status["tokens"]["rCC"];
    assert_eq!((&token["unique_holders"], &token["top_holder_share"]), (&json!(1), &json!("1.0")));
    assert_eq!(token["supply_concentration_hhi"], "1.0");
    assert_eq!(keys(&status["operational"]), BTreeSet::from(["modules", "monitor", "subscriptions", "updated_at"]));
    ok(HEALTH);
    assert!(ok(METRICS).is_object());

    prometheus_is_content(folder);
    everyone_signed_in(folder, &environment);
    an_issuer_drafts_a_token(folder);
    other_commands_can_join(folder);
    a_newcomer_is_let_in(folder).await;
}

/// What a scraper reads, with every room's metrics in it, passes Prometheus' own check.
fn prometheus_is_content(folder: &Path) {
    if tokenx::local::tools::in_path("promtool").is_none() {
        return skipped(
            "promtool is not in PATH: install it (Debian: apt-get install prometheus) to check the metrics",
        );
    }
    let scrape = r#"curl -sS -H "Accept: text/plain;version=0.0.4" "$BASE_URL/metrics" | promtool check metrics"#;
    let script = format!(". \"$0\"\n{scrape}");
    let output = Command::new("sh").args(["-c", &script]).arg(folder.join("dev.env")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Each token of `dev.env` is somebody's, and what must not be there is not.
fn everyone_signed_in(folder: &Path, environment: &std::collections::HashMap<String, String>) {
    for name in [
        "TOKEN",
        "TOKEN_ISSUER",
        "TOKEN_ISSUER_2",
        "TOKEN_COMPLIANCE",
        "TOKEN_TRANSFER_AGENT",
        "TOKEN_SERVICE_READ",
        "TOKEN_ALICE",
        "TOKEN_BOB",
        "TOKEN_DAVE",
    ] {
        let (code, body) = curl(folder, &STATUS.replace("$TOKEN", &format!("${name}")));
        assert_eq!(code, 200, "{name}: {body}");
        let investors = ["TOKEN_ALICE", "TOKEN_BOB", "TOKEN_DAVE"];
        assert_eq!(body.get("operational").is_none(), investors.contains(&name), "{name}");
    }
    for name in ["ALICE", "BOB"] {
        for part in ["EMAIL", "PASSWORD", "PARTY_ID", "WALLET_ID", "ADDRESS"] {
            assert!(environment.contains_key(&format!("{name}_{part}")), "{name}_{part}");
        }
    }
    for name in [
        "BOB_PRIVATE_KEY",
        "BOB_HOSTED_WALLET_ID",
        "BOB_HOSTED_ADDRESS",
        "RPC_URL",
        "DATABASE_URL",
        "NODE_ID",
        "TREASURY_ADDRESS",
        "EXECUTOR_ADDRESS",
        "REGISTRY_ADDRESS",
        "TOKEN_ADDRESS",
        "PAYMENT_TOKEN_ADDRESS",
        "CURRENCY_ID",
        "CONFIRMATIONS",
    ] {
        assert!(!environment[name].is_empty(), "{name}");
    }
}

/// Out of the box: the sandbox finds him good, an officer says yes to him and to his wallet, and the chain to both.
async fn a_newcomer_is_let_in(folder: &Path) {
    let post = |path: &str, token: &str| {
        curl(folder, &format!("curl -X POST \"$BASE_URL{path}\" -H \"Authorization: Bearer ${token}\""))
    };
    let get =
        |path: &str| curl(folder, &format!("curl \"$BASE_URL{path}\" -H \"Authorization: Bearer $TOKEN_DAVE\"")).1;
    let (code, begun) = post("/investors/kyc/start", "TOKEN_DAVE");
    assert_eq!(code, 200, "{begun}");
    let approve = format!("/compliance/applicants/{}/approve", begun["applicant_id"].as_str().unwrap());
    eventually("the officer says yes", || async { (post(&approve, "TOKEN_COMPLIANCE").0 == 200).then_some(()) }).await;
    assert_eq!(get("/investors/kyc/status")["status"], "approved");
    let (code, wallet) = post("/investors/wallets", "TOKEN_DAVE");
    assert_eq!(code, 201, "{wallet}");
    let approve = format!("/compliance/wallets/{}/approve", wallet["id"].as_str().unwrap());
    assert_eq!(post(&approve, "TOKEN_COMPLIANCE").0, 202);
    eventually("his wallet is approved", || async {
        (get("/investors/wallets")["items"][0]["status"] == "approved").then_some(())
    })
    .await;
}

/// With what `dev.env` names, a token's draft is one request.
fn an_issuer_drafts_a_token(folder: &Path) {
    let draft = r#"curl -X POST "$BASE_URL/v2/admin/token" \
  -H "Authorization: Bearer $TOKEN_ISSUER" -H "Content-Type: application/json" \
  -d '{"node_id": "'$NODE_ID'", "category_id": "homes", "type": 0, "is_public": true, "name": "Harbour",
       "description": "A house", "token_name": "Harbour House", "token_symbol": "HRB",
       "value": {"token_price": {"id": "'$CURRENCY_ID'", "amount": 30},
                 "total_value": {"id": "'$CURRENCY_ID'", "amount": 12000},
                 "salable_percentage": 80, "max_supply": 1000},
       "is_open_to_secondary_market": false, "is_open_to_otc": false}'"#;
    let (code, token) = curl(folder, draft);
    assert_eq!((code, &token["status"]), (201, &json!(1)), "{token}");
    assert!(token["node_contract"]["listing_contract_address"].is_string(), "{token}");
}

/// `tokenx admin` beside a running dev, on the settings that it left in its folder.
fn other_commands_can_join(folder: &Path) {
    let admin = |arguments: &[&str]| {
        let output = Command::new(tokenx::local::supervisor::program().unwrap())
            .args(["admin", "--profile", "dev", "--json", "--config"])
            .arg(folder)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(admin(&["issuer", "list"]).as_array().unwrap().len(), 2);
    let party = admin(&["party", "add", "--party", "carol::1", "--country", "756"]);
    assert_eq!(party[0]["party_id"], "carol::1");
    assert_eq!(admin(&["wallet", "add", "--party", "carol::1"])[0]["kind"], "hosted");
    let currency = admin(&["currency", "list"]);
    assert_eq!((&currency[0]["symbol"], &currency[0]["decimals"]), (&json!("TUSD"), &json!(6)));
    let user = admin(&["user", "add", "--email", "carol@demo.test", "--role", "investor", "--party", "carol::1"]);
    assert!(user[0]["password"].as_str().unwrap().len() >= 16, "a made-up password is shown once");
    let token = admin(&["service-token", "add", "--name", "t", "--role", "transfer_agent", "--scope", "data:read"]);
    let (code, _) = curl(folder, &MINTS.replace("$TOKEN", token[0]["token"].as_str().unwrap()));
    assert_eq!(code, 200);
}
