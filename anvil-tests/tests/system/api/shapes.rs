//! Every answer of the Token App, member by member as the reference text shows it.

use super::*;

/// The members of an object, sorted.
fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// `2025-01-01T00:00:00Z`.
fn is_timestamp(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T' && !text.contains('.')
}

#[tokio::test]
async fn every_answer_has_the_shape_of_the_text() {
    let kit = Kit::whole().await;
    let admin = kit.token(Role::SuperAdmin);
    let burned = kit.burn("burn-2025-01-01-001", ALICE, "\"10.0\"").await;
    assert_eq!(burned.json(), json!({ "command_id": "burn-2025-01-01-001", "status": "submitted" }));
    kit.holding("990.0").await;

    let record = ["amount", "command_id", "created_at", "instrument_id", "party_id", "update_id"];
    for (path, command_id, amount) in [("mints", "seed", "1000.0"), ("burns", "burn-2025-01-01-001", "10.0")] {
        let rows =
            kit.get(&format!("/data/admin/{path}?party_id=alice%3A%3A122...&instrument_id=rCC"), admin).await.json();
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
        let row = &rows[0];
        assert_eq!(members(row), record);
        assert_eq!((&row["command_id"], &row["amount"]), (&json!(command_id), &json!(amount)));
        assert_eq!((&row["party_id"], &row["instrument_id"]), (&json!(ALICE), &json!("rCC")));
        assert!(is_timestamp(&row["created_at"]), "{row}");
        assert!(row["update_id"].is_string());
    }

    let page = kit.get("/data/admin/holdings", admin).await.json();
    assert_eq!(members(&page), ["holdings", "scan", "total"]);
    assert_eq!(members(&page["scan"]), ["scanned_at"]);
    assert!(is_timestamp(&page["scan"]["scanned_at"]));
    assert_eq!(page["total"], 1);
    let holding = &page["holdings"][0];
    assert_eq!(members(holding), ["amount", "holding_cid", "instrument_id", "locked", "party_id"]);
    assert_eq!(holding["locked"], false);
    assert_eq!(holding["holding_cid"].as_str().map(str::len), Some(64));
    let beyond = kit.get("/data/admin/holdings?offset=5&limit=1", admin).await.json();
    assert_eq!((&beyond["total"], &beyond["holdings"]), (&json!(1), &json!([])));
    for nobody in ["party_id=nobody", "instrument_id=rXX", "party_id=0x00000000000000000000000000000000000ca701"] {
        assert_eq!(kit.get(&format!("/data/admin/mints?{nobody}"), admin).await.json(), json!([]), "{nobody}");
        assert_eq!(kit.get(&format!("/data/admin/holdings?{nobody}"), admin).await.json()["total"], 0, "{nobody}");
    }
    kit.end().await;
}

#[tokio::test]
async fn status_has_the_shape_of_the_text_and_shows_each_role_its_part() {
    let kit = Kit::whole().await;
    let status = eventually("the monitor has seen the mint", || async {
        let status = kit.get("/status", kit.token(Role::SuperAdmin)).await.json();
        (status["tokens"]["rCC"]["total_supply"] == "1000.0").then_some(status)
    })
    .await;
    assert_eq!(members(&status), ["operational", "tokens", "updated_at"]);
    assert_eq!(
        members(&status["tokens"]["rCC"]),
        [
            "supply_concentration_hhi",
            "top_holder_share",
            "total_locked_supply",
            "total_supply",
            "unique_holders",
            "updated_at"
        ]
    );
    assert_eq!(status["tokens"]["rCC"]["unique_holders"], 1);
    assert!(is_timestamp(&status["updated_at"]) && is_timestamp(&status["tokens"]["rCC"]["updated_at"]));
    // No supply yet: a share of nothing is no number.
    assert!(status["tokens"]["rDD"].get("top_holder_share").is_none(), "{status}");
    let operational = &status["operational"];
    assert_eq!(members(operational), ["modules", "monitor", "subscriptions", "updated_at"]);
    assert_eq!(
        members(&operational["monitor"]),
        [
            "age_seconds",
            "cycle_errors_total",
            "cycles_total",
            "last_scan_duration_seconds",
            "last_scan_holdings",
            "last_success_at",
            "monitoring_enabled",
            "poll_interval_seconds",
        ]
    );
    assert!(operational["monitor"]["poll_interval_seconds"].is_u64(), "{operational}");
    assert!(operational["modules"]["indexer"]["lag_blocks"].is_u64(), "{operational}");

    // An issuer sees its own instruments; an investor nothing operational.
    let issuer = kit.get("/status", kit.token(Role::Issuer)).await.json();
    assert_eq!(members(&issuer["tokens"]), ["rCC"]);
    let (_, other) = kit.service_token(Role::Issuer, Some(1), &[Scope::OpsRead, Scope::DataRead]).await;
    assert_eq!(members(&kit.get("/status", Some(&other)).await.json()["tokens"]), ["rDD"]);
    assert_eq!(kit.get("/data/admin/mints", Some(&other)).await.json(), json!([]));
    assert_eq!(kit.get("/data/admin/holdings", Some(&other)).await.json()["total"], 0);
    assert_eq!(kit.get("/data/admin/mints", kit.token(Role::Issuer)).await.json().as_array().map(Vec::len), Some(1));
    let investor = kit.get("/status", kit.token(Role::Investor)).await.json();
    assert!(investor.get("operational").is_none() && investor["tokens"]["rCC"].is_object(), "{investor}");
    assert_eq!(kit.get("/readyz", None).await.status, 200);
    kit.end().await;
}

#[tokio::test]
async fn a_command_tells_how_far_it_has_come() {
    let kit = Kit::whole().await;
    let agent = kit.token(Role::TransferAgent);
    let command = eventually("the seed is confirmed", || async {
        let command = kit.get("/api/admin/commands/seed", agent).await.json();
        (command["state"] == "confirmed" || command["state"] == "final").then_some(command)
    })
    .await;
    assert_eq!((&command["operation"], &command["amount"]), (&json!("mint"), &json!("1000.0")));
    assert_eq!((&command["party_id"], &command["instrument_id"]), (&json!(ALICE), &json!("rCC")));
    assert!(command["block_number"].is_u64() && command["attempts"].as_u64() >= Some(1), "{command}");
    let mint = kit.get("/data/admin/mints", kit.token(Role::SuperAdmin)).await.json()[0].clone();
    let hash = command["transaction_hash"].as_str().unwrap();
    assert!(mint["update_id"].as_str().unwrap().starts_with(hash), "{mint} {command}");
    assert!(is_timestamp(&command["created_at"]));
    for unknown in ["nothing", "a%20b", "%ff", "%00", &"x".repeat(200)] {
        let answer = kit.get(&format!("/api/admin/commands/{unknown}"), agent).await;
        assert_eq!((answer.status.as_u16(), answer.json()["detail"].is_string()), (404, true), "{unknown}");
    }
    kit.end().await;
}
