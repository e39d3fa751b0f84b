//! The audit log as officers see it, and its seals on a real chain.

use std::process::Output;

use tokenx_anvil_tests::process;
use tokenx_migrations::seal;

use super::*;

const LOG: &str = "/compliance/audit-log";

impl Kit {
    async fn log(&self, query: &str) -> Value {
        let answer = self.get(&format!("{LOG}?{query}"), self.token(Role::ComplianceOfficer)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn verified(&self) -> Value {
        let answer = self.get(&format!("{LOG}/verify"), self.token(Role::ComplianceOfficer)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Waits until everything that was written is sealed.
    async fn sealed(&self) {
        eventually("the log is sealed", || async {
            seal::unsealed_since(&self.pool).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// Does what the database refuses to everybody but its owner.
    async fn by_force(&self, statement: &'static str) {
        let mut tx = tokenx_migrations::begin(&self.pool).await.unwrap();
        sqlx::query("ALTER TABLE audit_log DISABLE TRIGGER USER").execute(&mut *tx).await.unwrap();
        sqlx::query("ALTER TABLE audit_seals DISABLE TRIGGER USER").execute(&mut *tx).await.unwrap();
        assert!(sqlx::query(statement).execute(&mut *tx).await.unwrap().rows_affected() > 0, "{statement}");
        sqlx::query("ALTER TABLE audit_log ENABLE TRIGGER USER").execute(&mut *tx).await.unwrap();
        sqlx::query("ALTER TABLE audit_seals ENABLE TRIGGER USER").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn verify_by_command(&self, arguments: &[&str]) -> (Output, String) {
        let output = process::command(&self.settings, arguments).unwrap().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output, said)
    }
}

fn members<'v>(page: &'v Value, name: &str) -> Vec<&'v str> {
    page["items"].as_array().unwrap().iter().map(|item| item[name].as_str().unwrap()).collect()
}

#[tokio::test]
async fn officers_read_who_did_what_newest_first_and_page_by_page() {
    let kit = Kit::bare().await;
    kit.sealed().await;
    let all = kit.log("limit=1000").await;
    let positions = members(&all, "position");
    assert!(positions.len() > 10);
    assert_eq!(members(&all, "subject").last().copied(), Some(format!("issuer:{}", kit.issuers[0]).as_str()));
    assert!(all["items"].as_array().unwrap().iter().all(|item| item["seal"].is_u64()), "{all}");
    assert_eq!(all["head"]["sealed_to"], positions[0]);

    let mut paged: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = kit.log(&format!("limit=4{cursor}")).await;
        paged.extend(members(&page, "position").into_iter().map(str::to_owned));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, positions);
    kit.end().await;
}

#[tokio::test]
async fn the_log_is_searched_by_actor_action_subject_and_time() {
    let kit = Kit::bare().await;
    let added = kit.log("action=user.add").await;
    assert_eq!(added["items"].as_array().unwrap().len(), 5);
    assert!(members(&added, "actor").iter().all(|actor| *actor == "cli:test"));
    let one = &added["items"][0];
    let by_subject = kit.log(&format!("subject={}", one["subject"].as_str().unwrap())).await;
    assert_eq!(by_subject["items"].as_array().unwrap().len(), 1);
    assert_eq!(by_subject["items"][0]["position"], one["position"]);
    let both = kit.log("actor=cli:test&action=session.open").await;
    assert_eq!(both["items"], json!([]));
    // A name counts only as what it was asked for.
    assert_eq!(kit.log("subject=user.add").await["items"], json!([]));

    let at = one["at"].as_str().unwrap();
    let since = kit.log(&format!("action=user.add&from={at}")).await;
    assert_eq!(since["items"].as_array().unwrap().len(), 1);
    let until = kit.log(&format!("action=user.add&to={at}")).await;
    assert_eq!(until["items"].as_array().unwrap().len(), 4);

    for bad in ["actor=", "from=yesterday", "to=2030-01-01", "cursor=x", "limit=0", "subject=a&subject=b", "action=%00"]
    {
        let answer = kit.get(&format!("{LOG}?{bad}"), kit.token(Role::ComplianceOfficer)).await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], bad.split('=').next().unwrap());
    }
    kit.end().await;
}

#[tokio::test]
async fn a_change_is_told_by_the_route_and_by_the_command() {
    let kit = Kit::bare().await;
    kit.sealed().await;
    let found = kit.verified().await;
    assert_eq!((&found["intact"], &found["difference"]), (&json!(true), &Value::Null), "{found}");
    assert!(found["seals"].as_u64().unwrap() > 0 && found["entries"].as_u64().unwrap() > 10, "{found}");
    assert_eq!(kit.get("/v1/compliance/audit-log/verify", kit.token(Role::SuperAdmin)).await.status, 200);
    let (intact, said) = kit.verify_by_command(&["audit", "verify"]);
    assert_eq!(intact.status.code(), Some(0), "{said}");
    let status = kit.get("/status", kit.token(Role::SuperAdmin)).await.json();
    let audit = &status["operational"]["modules"]["audit"];
    assert!(
        audit["seal"].as_u64().is_some() && audit["lag_seconds"].is_u64() && audit["sealed_to"].is_string(),
        "{audit}"
    );

    kit.by_force("UPDATE audit_log SET actor = 'cli:else' WHERE action = 'party.add'").await;
    let found = kit.verified().await;
    assert_eq!((&found["intact"], &found["difference"]["kind"]), (&json!(false), &json!("tampered")), "{found}");
    let place = kit.log("action=party.add").await["items"][0]["position"].clone();
    assert_eq!(found["difference"]["position"], place);
    let (altered, said) = kit.verify_by_command(&["audit", "verify", "--json"]);
    assert_eq!(altered.status.code(), Some(5), "{said}");
    assert!(said.contains("tampered at") && said.contains(place.as_str().unwrap()), "{said}");
    let told: Value = serde_json::from_slice(&altered.stdout).unwrap();
    assert_eq!(told["difference"], found["difference"]);
    kit.end().await;
}

#[tokio::test]
async fn a_seals_hash_goes_on_chain_and_tells_when_all_was_sealed_anew() {
    let kit = Kit::whole_with(|settings, _| settings.audit.anchor_seconds = 1).await;
    eventually("seals are on chain", || async { (kit.verified().await["anchors"].as_u64()? > 1).then_some(()) }).await;
    let (hash, name): (Vec<u8>, Vec<u8>) =
        sqlx::query_as("SELECT d.hash, d.name FROM document_changes d ORDER BY d.block_number, d.log_index LIMIT 1")
            .fetch_one(&kit.pool)
            .await
            .unwrap();
    assert!(name.starts_with(b"audit-log\0"));
    let (number, seal): (i64, Vec<u8>) = sqlx::query_as("SELECT number, hash FROM audit_seals WHERE hash = $1")
        .bind(&hash)
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    assert_eq!(seal, hash);
    // The id is derived, in a scope that no client can write.
    let id = tokenx_contracts::ids::CommandId::parse(format!("anchor:audit:{number}:1")).unwrap();
    let command = kit.commands.view(&tokenx_contracts::ids::Scope::System, &id).await.unwrap().unwrap();
    assert_eq!(command.operation.kind(), "set_document");
    eventually("the status tells what is anchored", || async {
        let status = kit.get("/status", kit.token(Role::SuperAdmin)).await.json();
        status["operational"]["modules"]["audit"]["anchored_seal"].as_u64()
    })
    .await;
    assert_eq!(kit.verified().await["intact"], true);

    // Whoever owns the database alters an entry and has everything sealed again: no seal contradicts another.
    kit.by_force("UPDATE audit_log SET actor = 'cli:else' WHERE action = 'party.add'").await;
    kit.by_force("DELETE FROM audit_seals").await;
    eventually("the chain has a hash that is none of the log's", || async {
        let found = kit.verified().await;
        assert_ne!(found["difference"]["kind"], "tampered", "{found}");
        (found["difference"]["kind"] == "anchor").then_some(())
    })
    .await;
    kit.sealed().await;
    let found = kit.verified().await;
    assert_eq!((&found["intact"], &found["difference"]["kind"]), (&json!(false), &json!("anchor")), "{found}");
    kit.end().await;
}
