//! KYC over HTTP: applications, the provider's webhooks, officers' decisions, and the registry that follows.

mod provider;
mod webhooks;

use alloy::signers::local::PrivateKeySigner;
use hmac::{Hmac, KeyInit, Mac};
use nix::sys::signal::Signal;
use secrecy::SecretString;
use sha2::Sha256;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use tokenx_anvil_tests::Process;

use super::tokens::refused;
use super::*;

/// In so many seconds, as bodies write it.
fn in_seconds(seconds: i64) -> String {
    let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    time.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap()
}

impl Kit {
    /// Begins an application; the answer.
    pub(crate) async fn begin(&self, token: &str, body: &Value) -> Value {
        let answer = self.post("/investors/kyc/start", Some(token), body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn kyc(&self, token: &str) -> Value {
        let answer = self.get("/investors/kyc/status", Some(token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn kyc_becomes(&self, token: &str, status: &str) -> Value {
        eventually(&format!("the KYC is {status}"), || async {
            let kyc = self.kyc(token).await;
            (kyc["status"] == status).then_some(kyc)
        })
        .await
    }

    /// What an officer sees of an application.
    async fn applicant(&self, id: &Value) -> Value {
        let page = self.get("/compliance/applicants", self.token(Role::ComplianceOfficer)).await.json();
        page["items"].as_array().unwrap().iter().find(|applicant| applicant["id"] == *id).unwrap().clone()
    }

    pub(crate) async fn provider_says(&self, id: &Value, word: &str) -> Value {
        eventually(&format!("the provider says {word}"), || async {
            let applicant = self.applicant(id).await;
            (applicant["provider_word"] == word).then_some(applicant)
        })
        .await
    }

    /// An investor of whom the provider has said no more than that the application has begun, and an officer yes.
    async fn investor_by_kyc(&self, party_id: &str) -> String {
        let token = self.unknown(party_id).await;
        let id = self.begin(&token, &json!({})).await["applicant_id"].clone();
        self.provider_says(&id, "begun").await;
        let approved = self.judge(&id, "approve", &json!({ "override_reason": "known for years" })).await;
        assert_eq!(approved.status, 200, "{}", approved.text);
        token
    }

    pub(crate) async fn judge(&self, id: &Value, act: &str, body: &Value) -> Answer {
        let path = format!("/compliance/applicants/{}/{act}", id.as_str().unwrap());
        self.post(&path, self.token(Role::ComplianceOfficer), body).await
    }

    /// A webhook as the provider sends it.
    async fn webhook(&self, body: &Value) -> Answer {
        let body = body.to_string();
        self.webhook_with(&body, &self.digest(&body)).await
    }

    async fn webhook_with(&self, body: &str, digest: &str) -> Answer {
        let request = self.client.post(format!("{}/webhooks/kyc/sumsub", self.url)).header("x-payload-digest", digest);
        read(request.header("content-type", "application/json").body(body.to_owned())).await
    }

    fn digest(&self, body: &str) -> String {
        let secret: &SecretString = self.settings.kyc.webhook_secret.as_ref().unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).unwrap();
        mac.update(body.as_bytes());
        alloy::hex::encode(mac.finalize().into_bytes())
    }
}

/// What the provider says of an applicant, so many milliseconds from now.
fn said(external_id: &str, kind: &str, millis: i64, review: &Value) -> Value {
    let at = OffsetDateTime::now_utc() + time::Duration::milliseconds(millis);
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");
    json!({
        "applicantId": "5cb56e8e0a975a35f333cb83",
        "externalUserId": external_id,
        "correlationId": Uuid::now_v7(),
        "type": kind,
        "reviewResult": review,
        "createdAtMs": at.format(format).unwrap(),
    })
}

fn red(kind: &str) -> Value {
    json!({ "reviewAnswer": "RED", "reviewRejectType": kind, "moderationComment": "not good", "clientComment": "secret" })
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_application_to_a_mint_an_officer_says_yes_twice() {
    let kit = Kit::whole().await;
    let dora = kit.unknown("dora").await;
    let none = kit.kyc(&dora).await;
    assert_eq!((&none["status"], &none["applicant_id"]), (&json!("not_started"), &Value::Null));
    let wallet = kit.register(&dora, &json!({})).await;
    let early = kit.decide(&wallet["id"], "approve", &json!({})).await;
    assert_eq!((early.status.as_u16(), &early.json()["reason_code"]), (422, &json!("KYC_NOT_APPROVED")));

    let begun = kit.begin(&dora, &json!({})).await;
    assert!(begun["applicantToken"].as_str().is_some_and(|token| token.len() > 20), "{begun}");
    assert_eq!((&begun["kind"], &begun["provider"]), (&json!("individual"), &json!("sandbox")));
    let again = kit.begin(&dora, &json!({})).await;
    assert_eq!(again["applicant_id"], begun["applicant_id"], "one that is open goes on");
    assert_ne!(again["applicantToken"], begun["applicantToken"]);
    assert_eq!(kit.post("/investors/kyc/start", Some(&dora), &json!({ "kind": "company" })).await.status, 409);
    assert_eq!(kit.post("/investors/kyc/start", Some(&dora), &json!({ "kind": "dog" })).await.status, 400);

    let id = &begun["applicant_id"];
    let seen = kit.provider_says(id, "good").await;
    assert_eq!(
        (&seen["status"], &seen["party_id"], &seen["decision"]),
        (&json!("in_review"), &json!("dora"), &Value::Null)
    );
    assert_eq!(kit.kyc(&dora).await["status"], "in_review");
    let early = kit.decide(&wallet["id"], "approve", &json!({})).await;
    assert_eq!(early.status, 422, "the provider's word is no approval");
    let until = in_seconds(86_400);
    let bad =
        json!({ "country": 1_000, "investor_class": 256, "accredited_until": until, "kyc_expires_at": in_seconds(-5) });
    assert_eq!(
        refused(&kit.judge(id, "approve", &bad).await),
        ["country", "investor_class", "kyc_expires_at", "accredited_until"]
    );
    let approval = json!({
        "country": 276, "investor_class": 2, "accreditation_method": "verified_net_worth", "accredited_until": until,
        "kyc_expires_at": until,
    });
    let approved = kit.judge(id, "approve", &approval).await;
    assert_eq!(approved.status, 200, "{}", approved.text);
    let approved = approved.json();
    assert_eq!((&approved["status"], &approved["decision"]["country"]), (&json!("approved"), &json!(276)));
    for act in ["approve", "reject"] {
        assert_eq!(kit.judge(id, act, &json!({ "reason": "second thoughts" })).await.status.as_u16() / 100, 4, "{act}");
    }
    assert_eq!(kit.judge(id, "reject", &json!({ "reason": "second thoughts" })).await.status, 409);
    assert_eq!(kit.judge(id, "approve", &approval).await.status, 409);
    let kyc = kit.kyc(&dora).await;
    assert_eq!((&kyc["status"], &kyc["expires_at"], &kyc["reason"]), (&json!("approved"), &json!(until), &Value::Null));
    assert_eq!(kit.post("/investors/kyc/start", Some(&dora), &json!({})).await.status, 409, "it is approved");
    let me = kit.get("/investors/me", Some(&dora)).await.json();
    assert_eq!(
        (&me["country"], &me["investor_class"], &me["kyc_status"]),
        (&json!(276), &json!(2), &json!("approved"))
    );
    assert_eq!((&me["accreditation_method"], &me["accredited_until"]), (&json!("verified_net_worth"), &json!(until)));

    let key = PrivateKeySigner::random();
    let proof = kit.proof(&dora, &key).await;
    let own = kit.register(&dora, &proof).await;
    for wallet in [&wallet, &own] {
        let approved = kit.decide(&wallet["id"], "approve", &json!({})).await;
        assert_eq!(approved.status, 202, "{}", approved.text);
    }
    for wallet in [&wallet, &own] {
        kit.wallet_becomes(&dora, &wallet["id"], "approved").await;
        let record = kit.registered(wallet).await;
        assert_eq!((record.country, record.investorClass, record.flags), (276, 2, 1));
        let ends = OffsetDateTime::parse(&until, &Rfc3339).unwrap().unix_timestamp().unsigned_abs();
        assert_eq!(record.kycExpiresAt.to::<u64>(), ends);
        let minted = kit.mint(&format!("to-{}", wallet["kind"]), wallet["address"].as_str().unwrap(), "5").await;
        assert_eq!(minted.status, 200, "{}", minted.text);
    }
    let eve = kit.unknown("eve").await;
    assert_eq!(kit.kyc(&eve).await["status"], "not_started", "another's is not hers");
    let noted: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM audit_log WHERE subject = 'applicant:' || $1 AND action <> 'kyc.said' ORDER BY seq",
    )
    .bind(id.as_str().unwrap())
    .fetch_all(&kit.pool)
    .await
    .unwrap();
    assert_eq!(noted, ["kyc.start", "applicant.approve"]);
    kit.end().await;
}

#[tokio::test]
async fn what_the_sandbox_says_follows_from_the_name_and_against_it_an_officer_says_why() {
    let kit = Kit::bare().await;
    let mut people = Vec::new();
    for name in ["good", "bad+red", "more+retry", "slow+hold", "idle+wait"] {
        let token = kit.unknown(name).await;
        let id = kit.begin(&token, &json!({ "kind": "company" })).await["applicant_id"].clone();
        people.push((token, id));
    }
    let expected = ["good", "refused", "to_be_mended", "on_hold", "begun"];
    let statuses = ["in_review", "rejected", "pending", "in_review", "pending"];
    for (((token, id), word), status) in people.iter().zip(expected).zip(statuses) {
        kit.provider_says(id, word).await;
        let kyc = kit.kyc(token).await;
        assert_eq!(kyc["status"], status, "{word}");
        assert_eq!(kyc["reason"].is_string(), ["refused", "to_be_mended"].contains(&word), "{kyc}");
    }
    let owners = eventually("the owners are looked up", || async {
        let seen = kit.applicant(&people[0].1).await;
        seen["beneficial_owners"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(owners["roles"], json!(["ubo"]));
    for (_, id) in &people[1..] {
        let refused = kit.judge(id, "approve", &json!({})).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["reason_code"]), (422, &json!("KYC_NOT_APPROVED")));
    }
    assert_eq!(
        refused(&kit.judge(&people[1].1, "approve", &json!({ "override_reason": " " })).await),
        ["override_reason"]
    );
    let why = json!({ "override_reason": "seen in person, passport checked" });
    let approved = kit.judge(&people[1].1, "approve", &why).await.json();
    assert_eq!((&approved["status"], &approved["reason"]), (&json!("approved"), &Value::Null));
    assert_eq!(
        (&approved["decision"]["override_reason"], &approved["decision"]["country"]),
        (&why["override_reason"], &json!(404))
    );

    for bad in [json!({}), json!({ "reason": "" })] {
        assert_eq!(refused(&kit.judge(&people[2].1, "reject", &bad).await), ["reason"]);
    }
    let reason = json!({ "reason": "the papers are of somebody else" });
    let rejected = kit.judge(&people[2].1, "reject", &reason).await.json();
    assert_eq!((&rejected["status"], &rejected["reason"]), (&json!("rejected"), &reason["reason"]));
    let next = kit.begin(&people[2].0, &json!({})).await["applicant_id"].clone();
    assert_ne!(next, people[2].1, "after a rejection it is a new one");
    assert_eq!(kit.judge(&people[2].1, "approve", &why).await.status, 409);

    let listed = |query: &str| {
        let path = format!("/compliance/applicants?{query}");
        let kit = &kit;
        async move {
            let page = kit.get(&path, kit.token(Role::ComplianceOfficer)).await;
            assert_eq!(page.status, 200, "{}", page.text);
            let page = page.json();
            (page["items"].as_array().unwrap().len(), page["next_cursor"].as_str().map(str::to_owned))
        }
    };
    assert_eq!(listed("status=approved").await.0, 1);
    assert_eq!(listed("kind=individual").await.0, 1);
    assert_eq!(listed("party_id=more%2Bretry").await.0, 2);
    let (first, cursor) = listed("limit=4").await;
    let (rest, end) = listed(&format!("limit=4&cursor={}", cursor.unwrap())).await;
    assert_eq!((first, rest, end), (4, 2, None));
    for bad in ["status=lost", "kind=dog", "cursor=7", "limit=0"] {
        let answer = kit.get(&format!("/compliance/applicants?{bad}"), kit.token(Role::ComplianceOfficer)).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    for unknown in [json!("7"), json!(Uuid::now_v7().to_string())] {
        assert_eq!(kit.judge(&unknown, "approve", &json!({})).await.status, 404);
    }
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_the_approval_takes_the_wallets_off_the_list_until_an_officer_decides_again() {
    let kit = Kit::whole().await;
    let dora = kit.unknown("dora").await;
    let id = kit.begin(&dora, &json!({})).await["applicant_id"].clone();
    kit.provider_says(&id, "good").await;
    assert_eq!(kit.judge(&id, "approve", &json!({})).await.status, 200);
    let [first, second] = [kit.register(&dora, &json!({})).await, kit.register(&dora, &json!({})).await];
    assert_eq!(kit.decide(&first["id"], "approve", &json!({})).await.status, 202);
    kit.wallet_becomes(&dora, &first["id"], "approved").await;
    // The second one's whitelisting is on its way while the word comes that undoes it.
    assert_eq!(kit.decide(&second["id"], "approve", &json!({})).await.status, 202);
    let word = said("1:dora", "applicantReviewed", 1_000, &red("FINAL"));
    assert_eq!(kit.webhook(&word).await.json()["result"], "applied");
    let kyc = kit.kyc(&dora).await;
    assert_eq!((&kyc["status"], &kyc["reason"]), (&json!("rejected"), &json!("not good")));
    for wallet in [&first, &second] {
        eventually("the chain has it off the list", || async {
            let record = kit.registered(wallet).await;
            (record.investorId != 0 && record.flags == 0).then_some(())
        })
        .await;
        kit.wallet_becomes(&dora, &wallet["id"], "revoked").await;
        let early = kit.decide(&wallet["id"], "approve", &json!({})).await;
        assert_eq!((early.status.as_u16(), &early.json()["reason_code"]), (422, &json!("KYC_NOT_APPROVED")));
    }
    assert_eq!(kit.applicant(&id).await["decision"]["stands"], false);

    let why = json!({ "override_reason": "a namesake was meant", "investor_class": 3, "country": 756 });
    let approved = kit.judge(&id, "approve", &why).await;
    assert_eq!(approved.status, 200, "{}", approved.text);
    for wallet in [&first, &second] {
        kit.wallet_becomes(&dora, &wallet["id"], "approved").await;
        let record = kit.registered(wallet).await;
        assert_eq!((record.country, record.investorClass, record.flags), (756, 3, 1));
    }
    let asked: Vec<String> = sqlx::query_scalar(
        "SELECT kind FROM commands WHERE scope = 'system' AND operation ->> 'wallet' = lower($1) ORDER BY seq",
    )
    .bind(first["address"].as_str().unwrap())
    .fetch_all(&kit.pool)
    .await
    .unwrap();
    assert_eq!(asked, ["whitelist", "revoke", "whitelist"], "one command a change");
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_ends_by_itself_on_the_chain_and_here() {
    let kit = Kit::whole().await;
    let dora = kit.unknown("dora").await;
    let id = kit.begin(&dora, &json!({})).await["applicant_id"].clone();
    kit.provider_says(&id, "good").await;
    let wallet = kit.register(&dora, &json!({})).await;
    let soon = json!({ "kyc_expires_at": in_seconds(8) });
    assert_eq!(kit.judge(&id, "approve", &soon).await.status, 200);
    assert_eq!(kit.decide(&wallet["id"], "approve", &json!({})).await.status, 202);
    let address = wallet["address"].as_str().unwrap();
    kit.kyc_becomes(&dora, "expired").await;
    kit.wallet_becomes(&dora, &wallet["id"], "approved").await;
    assert_eq!(kit.mint("late", address, "5").await.bad_fields(), ["party_id: kyc_expired"]);
    let next = kit.begin(&dora, &json!({})).await["applicant_id"].clone();
    assert_ne!(next, id);
    kit.provider_says(&next, "good").await;
    assert_eq!(kit.judge(&next, "approve", &json!({})).await.status, 200);
    eventually("the registry has the new end", || async {
        let ends = kit.registered(&wallet).await.kycExpiresAt.to::<i64>();
        (ends > OffsetDateTime::now_utc().unix_timestamp() + 86_400).then_some(())
    })
    .await;
    eventually("a mint is taken", || async { (kit.mint("again", address, "5").await.status == 200).then_some(()) })
        .await;
    kit.end().await;
}

#[tokio::test]
async fn where_no_provider_is_in_use_nothing_begins_and_no_webhook_is_heard() {
    let kit = Kit::bare_with(|settings| settings.kyc = tokenx_config::Kyc::default()).await;
    let dora = kit.unknown("dora").await;
    assert_eq!(kit.post("/investors/kyc/start", Some(&dora), &json!({})).await.status, 503);
    assert_eq!(kit.kyc(&dora).await["status"], "not_started");
    assert_eq!(kit.webhook_with("{}", "00").await.status, 404);
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_refusal_and_what_follows_the_chain_hears_of_it_once() {
    let mut kit = Kit::whole().await;
    let dora = kit.investor_by_kyc("dora+wait").await;
    let wallet = kit.register(&dora, &json!({})).await;
    assert_eq!(kit.decide(&wallet["id"], "approve", &json!({})).await.status, 202);
    kit.wallet_becomes(&dora, &wallet["id"], "approved").await;
    let settings = kit.moves_out().await;
    let mut first = Process::start(&settings, &["api"], "").unwrap();
    kit.is_served().await;
    let word = said("1:dora+wait", "applicantReviewed", 1_000, &red("FINAL"));
    assert_eq!(kit.webhook(&word).await.json()["result"], "applied");
    first.signal(Signal::SIGKILL).unwrap();
    eventually("it is dead", || {
        let ended = first.ended().unwrap();
        async move { ended }
    })
    .await;
    for failpoint in ["keeper.after_prepare", "projection.included"] {
        let mut doomed = Process::start(&settings, &["run"], &format!("{failpoint}:kill")).unwrap();
        eventually_within(PROCESS, &format!("the process dies at {failpoint}"), || {
            let ended = doomed.ended().unwrap();
            async move { ended }
        })
        .await;
        assert!(doomed.was_killed().unwrap(), "{failpoint}\n{}", doomed.log());
    }
    let _last = Process::start(&settings, &["run"], "").unwrap();
    kit.is_served().await;
    kit.wallet_becomes(&dora, &wallet["id"], "revoked").await;
    assert_eq!(kit.webhook(&word).await.json()["result"], "known", "the provider sends it again");
    assert_eq!(kit.registered(&wallet).await.flags, 0);
    let changes: i64 =
        sqlx::query_scalar("SELECT count(*) FROM investor_changes WHERE wallet = decode(substr($1, 3), 'hex')")
            .bind(wallet["address"].as_str().unwrap().to_lowercase())
            .fetch_one(&kit.pool)
            .await
            .unwrap();
    assert_eq!(changes, 2, "on the list, and off it");
}
