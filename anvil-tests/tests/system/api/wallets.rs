//! Wallets from their registration to the registry, over HTTP.

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use nix::sys::signal::Signal;
use tokenx_anvil_tests::Process;
use tokenx_contracts::bindings::{Investor, InvestorRegistry};

use super::tokens::refused;
use super::*;

impl Kit {
    /// A challenge for a key, and the registration that answers it.
    pub(crate) async fn proof(&self, token: &str, key: &PrivateKeySigner) -> Value {
        let asked = json!({ "address": key.address() });
        let challenge = self.post("/investors/wallets/challenge", Some(token), &asked).await;
        assert_eq!(challenge.status, 201, "{}", challenge.text);
        let challenge = challenge.json();
        let message = challenge["message"].as_str().unwrap();
        let signature = key.sign_message_sync(message.as_bytes()).unwrap();
        let signature = format!("0x{}", alloy::hex::encode(signature.as_bytes()));
        json!({ "kind": "self_custody", "nonce": challenge["nonce"], "signature": signature })
    }

    pub(crate) async fn register(&self, token: &str, body: &Value) -> Value {
        let answer = self.post("/investors/wallets", Some(token), body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let wallet = answer.json();
        assert_eq!((&wallet["status"], &wallet["primary"]), (&json!("pending"), &json!(false)));
        assert!(wallet["command"].is_null());
        wallet
    }

    pub(crate) async fn decide(&self, id: &Value, act: &str, body: &Value) -> Answer {
        let path = format!("/compliance/wallets/{}/{act}", id.as_str().unwrap());
        self.post(&path, self.token(Role::ComplianceOfficer), body).await
    }

    pub(crate) async fn wallet_becomes(&self, token: &str, id: &Value, status: &str) -> Value {
        eventually(&format!("the wallet is {status}"), || async {
            let page = self.get("/investors/wallets", Some(token)).await.json();
            let wallet = page["items"].as_array()?.iter().find(|wallet| wallet["id"] == *id)?.clone();
            (wallet["status"] == status).then_some(wallet)
        })
        .await
    }

    /// What the contract itself says of a wallet.
    pub(crate) async fn registered(&self, wallet: &Value) -> Investor {
        let address: Address = wallet["address"].as_str().unwrap().parse().unwrap();
        let data = alloy::primitives::Bytes::from(InvestorRegistry::investorOfCall { wallet: address }.abi_encode());
        let call = json!([{ "to": self.settings.chain.registry.unwrap(), "data": data }, "latest"]);
        let answer = self._world.as_ref().unwrap().chain.rpc("eth_call", call).await.unwrap();
        let bytes: alloy::primitives::Bytes = serde_json::from_value(answer).unwrap();
        InvestorRegistry::investorOfCall::abi_decode_returns(&bytes).unwrap()
    }
}

#[tokio::test]
async fn a_party_registers_its_own_wallet_by_a_signature_that_serves_once() {
    let kit = Kit::bare().await;
    let (dora, eve) = (kit.investor("dora").await, kit.investor("eve").await);
    let key = PrivateKeySigner::random();
    let proof = kit.proof(&dora, &key).await;
    for (field, bad) in [("nonce", json!("another")), ("signature", json!("0x")), ("signature", json!(7))] {
        let mut wrong = proof.clone();
        wrong[field] = bad;
        assert_eq!(refused(&kit.post("/investors/wallets", Some(&dora), &wrong).await), [field]);
    }
    assert_eq!(refused(&kit.post("/investors/wallets", Some(&eve), &proof).await), ["nonce"], "it is dora's");
    let forged = json!({ "signature": kit.proof(&dora, &PrivateKeySigner::random()).await["signature"] });
    let mut wrong = proof.clone();
    wrong["signature"] = forged["signature"].clone();
    assert_eq!(refused(&kit.post("/investors/wallets", Some(&dora), &wrong).await), ["signature"]);

    let wallet = kit.register(&dora, &proof).await;
    assert_eq!(wallet["address"], key.address().to_checksum(None));
    assert_eq!((&wallet["kind"], &wallet["party_id"]), (&json!("self_custody"), &json!("dora")));
    assert_eq!(refused(&kit.post("/investors/wallets", Some(&dora), &proof).await), ["nonce"], "it has served");
    for token in [&dora, &eve] {
        let again = kit.proof(token, &key).await;
        assert_eq!(kit.post("/investors/wallets", Some(token), &again).await.status, 409, "registered already");
    }
    sqlx::query("UPDATE wallet_challenges SET expires_at = now()").execute(&kit.pool).await.unwrap();
    let late = kit.proof(&dora, &PrivateKeySigner::random()).await;
    sqlx::query("UPDATE wallet_challenges SET expires_at = now()").execute(&kit.pool).await.unwrap();
    assert_eq!(refused(&kit.post("/investors/wallets", Some(&dora), &late).await), ["nonce"], "it has expired");

    let own = |page: Value| page["items"].as_array().unwrap().len();
    assert_eq!(own(kit.get("/investors/wallets", Some(&dora)).await.json()), 1);
    assert_eq!(own(kit.get("/investors/wallets", Some(&eve)).await.json()), 0, "another's is not shown");
    for body in [json!({ "kind": "custodial" }), json!({ "kind": "hosted", "nonce": "n" })] {
        assert_eq!(kit.post("/investors/wallets", Some(&dora), &body).await.status, 400, "{body}");
    }
    let none = kit.post("/investors/wallets/challenge", Some(&dora), &json!({ "address": "0x" })).await;
    assert_eq!(refused(&none), ["address"]);
    let role = kit.post("/investors/wallets", kit.token(Role::SuperAdmin), &json!({})).await;
    assert_eq!(role.status, 403, "it is an investor's own act");
    kit.end().await;
}

#[tokio::test]
async fn a_rejection_says_why_and_is_the_only_decision() {
    let kit = Kit::bare().await;
    let dora = kit.investor("dora").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let proof = kit.proof(&dora, &PrivateKeySigner::random()).await;
        ids.push(kit.register(&dora, &proof).await["id"].clone());
    }
    let officer = kit.token(Role::ComplianceOfficer);
    let page = kit.get("/compliance/wallets?limit=2", officer).await.json();
    let listed = |page: &Value| page["items"].as_array().unwrap().iter().map(|w| w["id"].clone()).collect::<Vec<_>>();
    assert_eq!(listed(&page), [ids[2].clone(), ids[1].clone()]);
    let rest = format!("/compliance/wallets?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = kit.get(&rest, officer).await.json();
    assert_eq!((listed(&rest), &rest["next_cursor"]), (vec![ids[0].clone()], &Value::Null));

    for bad in [json!({}), json!({ "reason": " " }), json!({ "reason": 7 })] {
        assert_eq!(refused(&kit.decide(&ids[0], "reject", &bad).await), ["reason"]);
    }
    let reason = json!({ "reason": "the address is an exchange's" });
    let rejected = kit.decide(&ids[0], "reject", &reason).await.json();
    assert_eq!((&rejected["status"], &rejected["rejection"]), (&json!("rejected"), &reason["reason"]));
    assert_eq!(kit.decide(&ids[0], "reject", &reason).await.status, 409);
    assert_eq!(kit.decide(&ids[0], "approve", &json!({})).await.status, 409);
    let (first, second) = tokio::join!(kit.decide(&ids[1], "reject", &reason), kit.decide(&ids[1], "reject", &reason));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(listed(&kit.get("/compliance/wallets", officer).await.json()), [ids[2].clone()]);
    assert_eq!(listed(&kit.get("/compliance/wallets?status=rejected", officer).await.json()).len(), 2);
    assert_eq!(listed(&kit.get("/compliance/wallets?status=all&party_id=dora", officer).await.json()).len(), 3);
    assert_eq!(listed(&kit.get("/compliance/wallets?status=all&kind=hosted", officer).await.json()).len(), 0);
    for bad in ["status=lost", "kind=cold", "cursor=7", "limit=0"] {
        assert_eq!(kit.get(&format!("/compliance/wallets?{bad}"), officer).await.status, 400, "{bad}");
    }
    for unknown in [json!("7"), json!(Uuid::now_v7().to_string())] {
        assert_eq!(kit.decide(&unknown, "approve", &json!({})).await.status, 404);
    }
    let noted: Vec<String> =
        sqlx::query_scalar("SELECT action FROM audit_log WHERE action LIKE 'wallet.%' ORDER BY seq")
            .fetch_all(&kit.pool)
            .await
            .unwrap();
    assert_eq!(noted[..3], ["wallet.register"; 3]);
    assert_eq!(noted[3..], ["wallet.reject"; 2]);
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_wallet_is_whitelisted_on_chain_and_can_receive_a_mint() {
    let kit = Kit::whole().await;
    let dora = kit.investor("dora").await;
    let hosted = kit.register(&dora, &json!({})).await;
    assert_eq!(hosted["kind"], "hosted");
    let key = PrivateKeySigner::random();
    let proof = kit.proof(&dora, &key).await;
    let own = kit.register(&dora, &proof).await;
    for (name, wallet) in [("own", &own), ("hosted", &hosted)] {
        let early = kit.mint(&format!("early-{name}"), wallet["address"].as_str().unwrap(), "5").await;
        assert_eq!(early.bad_fields(), ["party_id: wallet_not_whitelisted"], "{name}");
    }
    assert_eq!(kit.decide(&hosted["id"], "approve", &json!({ "x": 1 })).await.status, 400);
    let approving = kit.decide(&hosted["id"], "approve", &json!({})).await;
    assert_eq!(approving.status, 202, "{}", approving.text);
    let approving = approving.json();
    assert_eq!(approving["status"], "approving");
    let address: Address = hosted["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(approving["command"]["command_id"], format!("whitelist:{address:#x}:0:1"));
    assert_eq!(kit.decide(&hosted["id"], "approve", &json!({})).await.status, 409, "a second decision");

    // The first one on the list is the primary one.
    let approved = kit.wallet_becomes(&dora, &hosted["id"], "approved").await;
    assert_eq!(kit.decide(&own["id"], "approve", &json!({})).await.status, 202);
    assert_eq!((&approved["primary"], &approved["rejection"]), (&json!(true), &Value::Null));
    kit.wallet_becomes(&dora, &own["id"], "approved").await;
    let said = kit.registered(&hosted).await;
    assert_eq!((said.investorId, said.country, said.investorClass, said.flags), (3, 404, 1, 1));
    assert_eq!(kit.registered(&own).await.investorId, 3, "both are of one investor");
    assert_eq!(kit.decide(&hosted["id"], "approve", &json!({})).await.status, 409);
    assert_eq!(kit.decide(&hosted["id"], "reject", &json!({ "reason": "late" })).await.status, 409);

    for (id, wallet) in [("to-dora", json!("dora")), ("to-own", own["address"].clone())] {
        let minted = kit.mint(id, wallet.as_str().unwrap(), "5").await;
        assert_eq!(minted.status, 200, "{}", minted.text);
    }
    eventually("both mints are confirmed", || async {
        let held = kit.get("/data/admin/holdings?instrument_id=rCC&party_id=dora", kit.token(Role::SuperAdmin)).await;
        (held.json()["total"] == 2).then_some(())
    })
    .await;
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_chooses_for_which_of_its_approved_wallets_its_name_stands() {
    let kit = Kit::whole().await;
    let (dora, eve) = (kit.investor("dora").await, kit.investor("eve").await);
    let mut wallets = Vec::new();
    for _ in 0..3 {
        wallets.push(kit.register(&dora, &json!({})).await);
    }
    let [first, second, waiting] = &wallets[..] else { unreachable!() };
    for wallet in [first, second] {
        assert_eq!(kit.decide(&wallet["id"], "approve", &json!({})).await.status, 202);
        kit.wallet_becomes(&dora, &wallet["id"], "approved").await;
    }
    let choose = async |token: &str, id: &Value| {
        let path = format!("/investors/wallets/{}/primary", id.as_str().unwrap());
        kit.post(&path, Some(token), &json!({})).await
    };
    assert_eq!(choose(&dora, &waiting["id"]).await.status, 409, "nobody has approved it");
    assert_eq!(choose(&eve, &second["id"]).await.status, 404, "it is dora's");
    assert_eq!(choose(&dora, &json!("7")).await.status, 404);
    for _ in 0..2 {
        let chosen = choose(&dora, &second["id"]).await;
        assert_eq!((chosen.status.as_u16(), &chosen.json()["primary"]), (200, &json!(true)), "{}", chosen.text);
    }
    let page = kit.get("/investors/wallets", Some(&dora)).await.json();
    let primary = page["items"].as_array().unwrap().iter().filter(|wallet| wallet["primary"] == true);
    assert_eq!(primary.map(|wallet| &wallet["id"]).collect::<Vec<_>>(), [&second["id"]]);
    let noted: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = 'wallet.make_primary'")
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    assert_eq!(noted, 1, "twice is once");

    let minted = kit.mint("by-name", "dora", "5").await;
    assert_eq!(minted.status, 200, "{}", minted.text);
    let wallet: Address = second["address"].as_str().unwrap().parse().unwrap();
    eventually("the mint has gone to the chosen wallet", || async {
        let held: Option<String> = sqlx::query_scalar("SELECT balance::text FROM holdings WHERE wallet = $1")
            .bind(wallet.as_slice())
            .fetch_optional(&kit.pool)
            .await
            .unwrap();
        held
    })
    .await;
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_again_under_its_key_a_wallet_is_registered_once_and_decided_on_once() {
    let kit = Kit::whole().await;
    let dora = kit.investor("dora").await;
    let keyed = async |path: String, token: String, body: Value| {
        let request = kit.client.post(format!("{}{path}", kit.url)).bearer_auth(token).header("idempotency-key", "one");
        read(request.header("content-type", "application/json").body(body.to_string())).await
    };
    let first = keyed("/investors/wallets".into(), dora.clone(), json!({})).await;
    let second = keyed("/investors/wallets".into(), dora.clone(), json!({})).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201), "{}", second.text);
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), (None, Some("true")));
    assert_eq!(first.json(), second.json());
    let proof = kit.proof(&dora, &PrivateKeySigner::random()).await;
    assert_eq!(keyed("/investors/wallets".into(), dora.clone(), proof).await.status, 409, "another request");
    let path = format!("/compliance/wallets/{}/approve", first.json()["id"].as_str().unwrap());
    let officer = kit.token(Role::ComplianceOfficer).unwrap().to_owned();
    let first = keyed(path.clone(), officer.clone(), json!({})).await;
    let second = keyed(path.clone(), officer, json!({})).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 202), "{}", second.text);
    assert_eq!(first.json()["command"]["command_id"], second.json()["command"]["command_id"]);
    let other = kit.token(Role::SuperAdmin).unwrap().to_owned();
    assert_eq!(keyed(path, other, json!({})).await.status, 409, "another account's key is another request");
    let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM commands WHERE kind = 'whitelist' AND seq > 2")
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    assert_eq!(asked, 1);
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_under_sanctions_registers_nothing_and_no_approval_lifts_them() {
    let kit = Kit::whole().await;
    let dora = kit.investor("dora").await;
    let one = kit.register(&dora, &json!({})).await;
    let two = kit.register(&dora, &json!({})).await;
    assert_eq!(kit.decide(&one["id"], "approve", &json!({})).await.status, 202);
    kit.wallet_becomes(&dora, &one["id"], "approved").await;
    let registry = kit.settings.chain.registry.unwrap();
    let sanctioned = Investor { flags: 3, ..kit.registered(&one).await };
    let wallet: Address = one["address"].as_str().unwrap().parse().unwrap();
    let reason = alloy::primitives::B256::ZERO;
    let executor = kit.settings.chain.executors[0];
    let call = InvestorRegistry::setInvestorCall { wallet, investor: sanctioned, reason };
    kit.transact(executor, registry, call).await;
    kit.wallet_becomes(&dora, &one["id"], "revoked").await;

    for path in ["/investors/wallets", "/investors/wallets/challenge"] {
        let body = if path.ends_with('e') { json!({ "address": CAROL_WALLET }) } else { json!({}) };
        let barred = kit.post(path, Some(&dora), &body).await;
        assert_eq!((barred.status.as_u16(), &barred.json()["reason_code"]), (403, &json!("SANCTIONS_HIT")), "{path}");
    }
    for wallet in [&one, &two] {
        let refused = kit.decide(&wallet["id"], "approve", &json!({})).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["reason_code"]), (422, &json!("SANCTIONS_HIT")));
    }
    assert_eq!(kit.registered(&one).await.flags, 3);
    assert_eq!(kit.decide(&two["id"], "reject", &json!({ "reason": "sanctions" })).await.status, 200);
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_approval_and_whitelisting_a_wallet_is_whitelisted_once() {
    let mut kit = Kit::whole().await;
    let dora = kit.investor("dora").await;
    let wallet = kit.register(&dora, &json!({})).await;
    let settings = kit.moves_out().await;
    let start = |failpoints: &str| Process::start(&settings, &["run"], failpoints).unwrap();

    let mut first = Process::start(&settings, &["api"], "").unwrap();
    kit.is_served().await;
    let approved = kit.decide(&wallet["id"], "approve", &json!({})).await;
    assert_eq!(approved.status, 202, "{}", approved.text);
    first.signal(Signal::SIGKILL).unwrap();
    eventually("it is dead", || {
        let ended = first.ended().unwrap();
        async move { ended }
    })
    .await;
    for failpoint in ["keeper.after_prepare", "keeper.after_send", "projection.included"] {
        let mut doomed = start(&format!("{failpoint}:kill"));
        eventually_within(PROCESS, &format!("the process dies at {failpoint}"), || {
            let ended = doomed.ended().unwrap();
            async move { ended }
        })
        .await;
        assert!(doomed.was_killed().unwrap(), "{failpoint}\n{}", doomed.log());
    }
    let _last = start("");
    kit.is_served().await;
    kit.wallet_becomes(&dora, &wallet["id"], "approved").await;
    let address: Address = wallet["address"].as_str().unwrap().parse().unwrap();
    let changes: i64 = sqlx::query_scalar("SELECT count(*) FROM investor_changes WHERE wallet = $1")
        .bind(address.as_slice())
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    assert_eq!(changes, 1);
}
