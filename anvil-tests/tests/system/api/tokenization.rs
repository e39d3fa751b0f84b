//! `/tokenization/*` on a real chain: what a transfer agent does, and what stands in the way.

use tokenx_contracts::ids::Scope as CommandScope;

use super::*;

const BOB: &str = "bob";

/// The whole, with Bob's wallet approved beside Alice's.
struct Desk {
    kit: Kit,
    alice: String,
    bob: String,
}

impl Desk {
    async fn open() -> Desk {
        let kit = Kit::whole().await;
        kit.add_party(BOB).await;
        let bob = NewWallet { party_id: PartyId::parse(BOB).unwrap(), kind: WalletKind::Hosted };
        eventually("a hosted key is ready", || async {
            admin::add_wallet(&kit.pool, &kit.commands, BY, bob.clone()).await.ok()
        })
        .await;
        let chain_id = kit.settings.chain.chain_id;
        let wallets = eventually("both wallets are approved", || async {
            let wallets = admin::list_wallets(&kit.pool, chain_id).await.unwrap();
            wallets.iter().all(|wallet| wallet.approved).then_some(wallets)
        })
        .await;
        let id = |party: &str| wallets.iter().find(|wallet| wallet.party_id == party).unwrap().wallet_id.to_string();
        Desk { alice: id(ALICE), bob: id(BOB), kit }
    }

    async fn ask(&self, act: &str, body: Value) -> Answer {
        let agent = self.kit.token(Role::TransferAgent);
        self.kit.post(&format!("/tokenization/{act}"), agent, &body).await
    }

    /// Asks, and waits until the chain has done it.
    async fn done(&self, act: &str, body: Value) -> Value {
        let answer = self.ask(act, body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let taken = answer.json();
        assert_eq!((&taken["state"], &taken["attempts"]), (&json!("accepted"), &json!(0)));
        let ids = match taken["command_ids"].as_array() {
            Some(ids) => ids.clone(),
            None => vec![taken["command_id"].clone()],
        };
        for id in ids {
            self.confirmed(id.as_str().unwrap()).await;
        }
        taken
    }

    async fn confirmed(&self, command_id: &str) {
        let agent = self.kit.token(Role::TransferAgent);
        eventually(&format!("{command_id} is confirmed"), || async {
            let command = self.kit.get(&format!("/api/admin/commands/{command_id}"), agent).await.json();
            assert_ne!(command["state"], "failed", "{command}");
            (command["state"] == "confirmed" || command["state"] == "final").then_some(())
        })
        .await;
    }

    /// The reason code of a refusal, and its fields.
    async fn refused(&self, act: &str, body: Value) -> (String, Vec<String>) {
        let answer = self.ask(act, body).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        (problem["reason_code"].as_str().unwrap().to_owned(), fields(&problem))
    }

    async fn is_refused(&self, act: &str, body: Value, reason: &str, field: &str) {
        assert_eq!(self.refused(act, body.clone()).await, (reason.to_owned(), vec![field.to_owned()]), "{act} {body}");
    }
}

fn fields(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

fn of_party(command_id: &str, party_id: &str, amount: &str) -> Value {
    json!({ "command_id": command_id, "instrument_id": "rCC", "party_id": party_id, "amount": amount })
}

fn force(desk: &Desk, command_id: &str, amount: &str) -> Value {
    json!({
        "command_id": command_id, "instrument_id": "rCC", "from_wallet_id": desk.alice, "to_wallet_id": desk.bob,
        "amount": amount, "reason_code": "COURT_ORDER", "reference": "HC/2025/117",
    })
}

#[tokio::test]
async fn a_wallet_is_whitelisted_minted_to_frozen_freed_taken_from_and_burned_by_law() {
    let desk = Desk::open().await;
    // Written again as it stands: a compliance officer may, too.
    let officer = desk.kit.token(Role::ComplianceOfficer);
    let order = json!({ "command_id": "w-1", "wallet_id": desk.alice });
    assert_eq!(desk.kit.post("/v1/tokenization/whitelist", officer, &order).await.status, 202);
    desk.confirmed("w-1").await;

    let minted = desk.done("mint", of_party("m-1", ALICE, "50")).await;
    assert_eq!((&minted["operation"], &minted["amount"]), (&json!("mint"), &json!("50.0")));
    assert_eq!((&minted["party_id"], &minted["instrument_id"]), (&json!(ALICE), &json!("rCC")));
    desk.kit.holding("1050.0").await;

    desk.done("freeze", of_party("f-1", ALICE, "1000")).await;
    desk.is_refused("burn", of_party("b-0", ALICE, "51"), "AMOUNT_FROZEN", "amount").await;
    desk.is_refused("burn", of_party("b-0", ALICE, "1051"), "INSUFFICIENT_SPENDABLE", "amount").await;
    desk.done("unfreeze", of_party("u-1", ALICE, "990.5")).await;
    desk.is_refused("unfreeze", of_party("u-2", ALICE, "9.6"), "INSUFFICIENT_BALANCE", "amount").await;

    // The whole wallet, by its id.
    let whole = |id: &str| json!({ "command_id": id, "instrument_id": "rCC", "wallet_id": desk.alice });
    desk.done("freeze", whole("f-2")).await;
    desk.is_refused("mint", of_party("m-2", ALICE, "1"), "WALLET_FROZEN", "party_id").await;
    desk.is_refused("burn", of_party("b-1", ALICE, "1"), "WALLET_FROZEN", "party_id").await;
    let back = json!({
        "command_id": "x-0", "instrument_id": "rCC", "from_wallet_id": desk.bob, "to_wallet_id": desk.alice,
        "amount": "1", "reason_code": "ERROR", "reference": "1",
    });
    desk.is_refused("force-transfer", back, "WALLET_FROZEN", "to_wallet_id").await;

    // Force takes from a frozen wallet, and the event says why.
    desk.done("force-transfer", force(&desk, "x-1", "40")).await;
    let (reason, forced): (Vec<u8>, bool) =
        sqlx::query_as("SELECT reason, forced FROM transfers WHERE forced ORDER BY block_number DESC LIMIT 1")
            .fetch_one(&desk.kit.pool)
            .await
            .unwrap();
    assert_eq!((&reason[..11], reason[11], forced), (&b"COURT_ORDER"[..], 0, true));
    let noted: Value = sqlx::query_scalar("SELECT detail FROM audit_log WHERE subject = 'command:ops:x-1'")
        .fetch_one(&desk.kit.pool)
        .await
        .unwrap();
    assert_eq!((&noted["reference"], &noted["kind"]), (&json!("HC/2025/117"), &json!("forced_transfer")));
    desk.is_refused("force-transfer", force(&desk, "x-2", "1010.1"), "INSUFFICIENT_SPENDABLE", "amount").await;

    desk.done("unfreeze", whole("u-3")).await;
    desk.done("burn", of_party("b-2", ALICE, "1000.5")).await;
    desk.kit.end().await;
}

#[tokio::test]
async fn the_same_command_by_either_surface_is_one_command() {
    let desk = Desk::open().await;
    let agent = desk.kit.token(Role::TransferAgent);
    assert_eq!(desk.kit.mint("twice", ALICE, "7").await.status, 200);
    let first = desk.ask("mint", of_party("twice", ALICE, "7.0")).await;
    assert_eq!((first.status.as_u16(), first.header("idempotent-replayed")), (202, Some("true")));
    desk.confirmed("twice").await;
    // Later, by the wallet, and under the other path: the first answer.
    let by_wallet = json!({ "command_id": "twice", "instrument_id": "rCC", "wallet_id": desk.alice, "amount": 7 });
    let again = desk.kit.post("/v1/tokenization/mint", agent, &by_wallet).await;
    assert_eq!(again.text, first.text);

    assert_eq!(desk.ask("mint", of_party("other-way", ALICE, "3")).await.status, 202);
    let other = desk.kit.mint("other-way", ALICE, "3.0").await;
    assert_eq!(other.json(), json!({ "command_id": "other-way", "status": "submitted" }));
    assert_eq!(other.header("idempotent-replayed"), Some("true"));
    desk.kit.holding("1010.0").await;

    for (act, body) in [
        ("mint", of_party("twice", ALICE, "8")),
        ("burn", of_party("twice", ALICE, "7")),
        ("mint", of_party("twice", BOB, "7")),
        ("whitelist", json!({ "command_id": "twice", "wallet_id": desk.alice })),
        ("freeze", json!({ "command_id": "twice", "party_id": ALICE })),
    ] {
        assert_eq!(desk.ask(act, body.clone()).await.status, 409, "{act} {body}");
    }
    // Papers elsewhere are another act.
    assert_eq!(desk.ask("force-transfer", force(&desk, "seized", "1")).await.status, 202);
    let mut elsewhere = force(&desk, "seized", "1");
    assert_eq!(desk.ask("force-transfer", elsewhere.clone()).await.status, 202);
    elsewhere["reference"] = json!("HC/2025/118");
    assert_eq!(desk.ask("force-transfer", elsewhere).await.status, 409);
    desk.kit.end().await;
}

#[tokio::test]
async fn a_key_names_a_command_for_its_caller_and_route() {
    let desk = Desk::open().await;
    let send = async |token: Option<&str>, act: &str, amount: &str| {
        let body = json!({ "instrument_id": "rCC", "party_id": ALICE, "amount": amount });
        let url = format!("{}/tokenization/{act}", desk.kit.url);
        let request =
            desk.kit.client.post(url).bearer_auth(token.unwrap()).header("idempotency-key", "k 1".replace(' ', "-"));
        read(request.json(&body)).await
    };
    let (agent, admin) = (desk.kit.token(Role::TransferAgent), desk.kit.token(Role::SuperAdmin));
    let first = send(agent, "mint", "1").await;
    assert_eq!(first.status, 202, "{}", first.text);
    let again = send(agent, "mint", "1.0").await;
    assert_eq!((again.text.clone(), again.header("idempotent-replayed")), (first.text.clone(), Some("true")));
    assert_eq!(send(agent, "mint", "2").await.status, 409);
    for other in [send(admin, "mint", "1").await, send(agent, "burn", "1").await] {
        assert_eq!(other.status, 202, "{}", other.text);
        assert_ne!(other.json()["command_id"], first.json()["command_id"]);
    }
    let nameless = desk.ask("mint", json!({ "instrument_id": "rCC", "party_id": ALICE, "amount": "1" })).await;
    assert_eq!((nameless.status.as_u16(), fields(&nameless.json())), (400, vec!["command_id".to_owned()]));
    desk.kit.end().await;
}

#[tokio::test]
async fn a_wallet_is_frozen_in_every_instrument_or_in_none() {
    let desk = Desk::open().await;
    let order = |id: &str| json!({ "command_id": id, "wallet_id": desk.alice });
    let taken = desk.done("freeze", order("all")).await;
    let ids = taken["command_ids"].as_array().unwrap().clone();
    assert_eq!((ids.len(), &ids[0], &ids[1]), (2, &json!("all"), &json!("all:rDD")));
    for instrument in ["rCC", "rDD"] {
        let body = json!({ "command_id": "m", "instrument_id": instrument, "party_id": ALICE, "amount": "1" });
        desk.is_refused("mint", body, "WALLET_FROZEN", "party_id").await;
    }
    let again = desk.ask("freeze", order("all")).await;
    assert_eq!((again.json(), again.header("idempotent-replayed")), (taken, Some("true")));
    // One of them alone is another command, and so is the end of all.
    let mut one = order("all");
    one["instrument_id"] = json!("rCC");
    assert_eq!(desk.ask("freeze", one).await.status, 409);
    assert_eq!(desk.ask("unfreeze", order("all")).await.status, 409);
    // An id of theirs that is taken takes them all back.
    assert_eq!(desk.kit.mint("free:rDD", ALICE, "1").await.status, 422);
    assert_eq!(desk.ask("mint", of_party("free:rDD", BOB, "1")).await.status, 202);
    assert_eq!(desk.ask("unfreeze", order("free")).await.status, 409);
    let none = desk.kit.commands.view(&CommandScope::Ops, &"free".parse().unwrap()).await.unwrap();
    assert!(none.is_none(), "{none:?}");
    desk.done("unfreeze", order("thaw")).await;
    desk.done("mint", of_party("m", ALICE, "1")).await;
    desk.kit.end().await;
}

#[tokio::test]
async fn to_whitelist_a_wallet_that_waits_is_a_yes_to_it_and_nobody_can_whitelist_one_that_was_rejected() {
    let desk = Desk::open().await;
    let investor = desk.kit.token(Role::Investor);
    let register = async |key: &str| {
        eventually("a hosted key is ready", || async {
            let url = format!("{}/investors/wallets", desk.kit.url);
            let request = desk.kit.client.post(url).bearer_auth(investor.unwrap()).header("idempotency-key", key);
            let answer = read(request.json(&json!({ "kind": "hosted" }))).await;
            (answer.status == 201).then(|| answer.json()["id"].as_str().unwrap().to_owned())
        })
        .await
    };
    let [waits, refused] = [register("one").await, register("other").await];
    let early = json!({ "command_id": "w-1", "wallet_id": waits });
    desk.is_refused("whitelist", early, "KYC_NOT_APPROVED", "wallet_id").await;
    admin::vouch(&desk.kit.pool, BY, &PartyId::parse(ALICE).unwrap()).await.unwrap();
    let officer = desk.kit.token(Role::ComplianceOfficer);
    let no = json!({ "reason": "a copy" });
    let rejected = desk.kit.post(&format!("/compliance/wallets/{refused}/reject"), officer, &no).await;
    assert_eq!(rejected.status, 200, "{}", rejected.text);
    assert_eq!(desk.ask("whitelist", json!({ "command_id": "w-2", "wallet_id": refused })).await.status, 409);
    desk.done("whitelist", json!({ "command_id": "w-3", "wallet_id": waits })).await;
    let shown = desk.kit.get("/compliance/wallets?status=approved", officer).await.json();
    let shown = shown["items"].as_array().unwrap().iter().any(|wallet| wallet["id"] == json!(waits));
    assert!(shown, "its state follows from the decision and the chain");
    let noted: i64 =
        sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE subject = $1 AND action = 'wallet.approve'")
            .bind(format!("wallet:{waits}"))
            .fetch_one(&desk.kit.pool)
            .await
            .unwrap();
    assert_eq!(noted, 1);
    desk.kit.end().await;
}

#[tokio::test]
async fn every_bad_member_is_named_and_nothing_is_recorded() {
    let desk = Desk::open().await;
    let bad = async |act: &str, body: Value| {
        let answer = desk.ask(act, body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        fields(&answer.json())
    };
    let all = json!({ "command_id": "a b", "instrument_id": "r CC", "amount": -1, "extra": 1 });
    assert_eq!(bad("mint", all).await, ["command_id", "instrument_id", "party_id", "amount", "extra"]);
    let both =
        json!({ "command_id": "a", "instrument_id": "rCC", "party_id": ALICE, "wallet_id": desk.alice, "amount": "1" });
    assert_eq!(bad("burn", both).await, ["wallet_id"]);
    assert_eq!(bad("freeze", json!({ "command_id": "a", "party_id": ALICE, "amount": "1" })).await, ["amount"]);
    assert_eq!(bad("whitelist", json!({ "command_id": "a", "wallet_id": "nobody" })).await, ["wallet_id"]);
    let mut word = force(&desk, "a", "1");
    (word["reason_code"], word["reference"]) = (json!("because"), json!(""));
    assert_eq!(bad("force-transfer", word).await, ["reason_code", "reference"]);
    assert_eq!(bad("mint", of_party("a", ALICE, "1.00000000000000000000001")).await, ["amount"]);
    let long = json!({ "command_id": "x".repeat(128), "party_id": ALICE });
    assert_eq!(bad("freeze", long).await, ["command_id"]);

    let nowhere = json!({ "command_id": "a", "instrument_id": "rXX", "party_id": "nobody", "amount": "1" });
    let (reason, names) = desk.refused("mint", nowhere).await;
    assert_eq!(
        (reason.as_str(), names),
        ("UNKNOWN_INSTRUMENT", vec!["instrument_id".to_owned(), "party_id".to_owned()])
    );
    let stranger = Uuid::nil().to_string();
    desk.is_refused("whitelist", json!({ "command_id": "a", "wallet_id": stranger }), "UNKNOWN_WALLET", "wallet_id")
        .await;
    desk.is_refused("mint", of_party("a", CAROL, "1"), "WALLET_NOT_WHITELISTED", "party_id").await;
    desk.is_refused("mint", of_party("a", &CAROL_WALLET.to_string(), "1"), "WALLET_NOT_WHITELISTED", "party_id").await;
    let mut own = force(&desk, "a", "1");
    own["to_wallet_id"] = own["from_wallet_id"].clone();
    desk.is_refused("force-transfer", own, "SELF_TRANSFER", "to_wallet_id").await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM commands WHERE command_id = 'a'")
        .fetch_one(&desk.kit.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
    desk.kit.end().await;
}
