//! Accounts as super admins keep them, and what suspending one does.

use std::time::Duration;

use tokenx_anvil_tests::eventually_within;

use super::*;

const TWO_SECONDS: Duration = Duration::from_secs(2);

impl Kit {
    async fn id_of(&self, role: Role) -> String {
        let found = self.get(&format!("/admin/users?role={role}"), self.token(Role::SuperAdmin)).await.json();
        found["items"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn as_admin(&self, path: &str, body: &Value) -> Answer {
        self.post(path, self.token(Role::SuperAdmin), body).await
    }
}

#[tokio::test]
async fn a_super_admin_makes_issuers_parties_users_and_tokens_and_lists_them_page_by_page() {
    let kit = Kit::bare().await;
    let made = kit.as_admin("/admin/issuers", &json!({ "name": "Third Issuer" })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let issuer = made.json();
    let listed = kit.get("/admin/issuers?limit=1", kit.token(Role::SuperAdmin)).await.json();
    assert_eq!(listed["items"], json!([issuer]));
    let next = listed["next_cursor"].as_str().unwrap();
    let rest = kit.get(&format!("/admin/issuers?cursor={next}"), kit.token(Role::SuperAdmin)).await.json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (2, &Value::Null));

    let party = json!({ "party_id": "dave", "country": 276, "kyc_expires_at": "2030-01-31T00:00:00Z" });
    let made = kit.as_admin("/admin/parties", &party).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!((&made["country"], &made["investor_class"]), (&json!(276), &json!(0)));
    assert_eq!(kit.get("/admin/parties?limit=1", kit.token(Role::SuperAdmin)).await.json()["items"], json!([made]));

    let user = json!({ "email": "Dave@Example.org", "password": PASSWORD, "role": "investor", "party_id": "dave" });
    let made = kit.as_admin("/admin/users", &user).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json()["email"], "dave@example.org");
    assert!(!made.text.contains("password"));
    kit.log_in("dave@example.org").await;
    let found = kit.get("/admin/users?email=DAVE@example.org", kit.token(Role::SuperAdmin)).await.json();
    assert_eq!(found["items"], json!([made.json()]));

    let token = json!({ "name": "a tool", "role": "transfer_agent", "scopes": ["ops:read"] });
    let made = kit.as_admin("/admin/service-tokens", &token).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(kit.get("/status", made["token"].as_str()).await.status, 200);
    let listed = kit.get("/admin/service-tokens", kit.token(Role::SuperAdmin)).await;
    assert!(!listed.text.contains(made["token"].as_str().unwrap()));
    let revoke = format!("/admin/service-tokens/{}/revoke", made["id"].as_str().unwrap());
    assert_eq!(kit.as_admin(&revoke, &json!({})).await.status, 204);
    assert_eq!(kit.get("/status", made["token"].as_str()).await.status, 401);

    let actions: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM audit_log WHERE actor LIKE 'user:%' AND action NOT LIKE 'session.%' ORDER BY xid, seq",
    )
    .fetch_all(&kit.pool)
    .await
    .unwrap();
    assert_eq!(actions, ["issuer.add", "party.add", "user.add", "service_token.add", "service_token.revoke"]);
    kit.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_account_is_said_by_field() {
    let kit = Kit::bare().await;
    let cases = [
        ("/admin/users", json!({ "email": "x", "password": 1, "role": "root", "extra": 1 }), 400, "email"),
        ("/admin/users", json!({ "email": "a@b", "password": "short", "role": "super_admin" }), 400, "password"),
        ("/admin/users", json!({ "email": "a@b", "password": PASSWORD, "role": "issuer" }), 400, "role"),
        ("/admin/parties", json!({ "party_id": "x", "country": 0 }), 400, "country"),
        ("/admin/parties", json!({ "party_id": CAROL_WALLET, "country": 1 }), 400, "party_id"),
        ("/admin/issuers", json!({ "name": " x" }), 400, "name"),
        ("/admin/service-tokens", json!({ "name": "x", "role": "super_admin", "scopes": ["all"] }), 400, "scopes"),
        ("/admin/service-tokens", json!({ "name": "x", "role": "super_admin", "scopes": [] }), 400, "scopes"),
    ];
    for (path, body, status, field) in cases {
        let answer = kit.as_admin(path, &body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], field, "{path} {body}: {}", answer.text);
    }
    let taken = json!({ "email": "issuer@example.org", "password": PASSWORD, "role": "super_admin" });
    assert_eq!(kit.as_admin("/admin/users", &taken).await.status, 409);
    assert_eq!(kit.as_admin("/admin/issuers", &json!({ "name": "First Issuer" })).await.status, 409);
    for unknown in ["/admin/users/x/suspend", "/admin/users/01890000-0000-7000-8000-000000000000/resume"] {
        assert_eq!(kit.as_admin(unknown, &json!({})).await.status, 404, "{unknown}");
    }
    // No tool makes accounts, whatever its role and scopes.
    let (_, tool) = kit.service_token(Role::SuperAdmin, None, &Scope::ALL).await;
    assert_eq!(kit.get("/admin/users", Some(&tool)).await.status, 403);
    kit.end().await;
}

#[tokio::test]
async fn a_suspended_member_of_staff_is_out_everywhere_within_two_seconds_until_resumed() {
    let kit = Kit::bare().await;
    let elsewhere = Kit::open_beside(&kit).await;
    let agent = kit.id_of(Role::TransferAgent).await;
    let token = kit.token(Role::TransferAgent);
    let session = kit.log_in("transfer_agent@example.org").await;
    assert_eq!(elsewhere.get("/status", token).await.status, 200);

    let suspended = kit.as_admin(&format!("/admin/users/{agent}/suspend"), &json!({})).await;
    assert_eq!((suspended.status, &suspended.json()["suspended"]), (StatusCode::OK, &json!(true)));
    assert_eq!(kit.get("/status", token).await.status, 403);
    eventually_within(TWO_SECONDS, "the other process refuses", || async {
        (elsewhere.get("/status", token).await.status == 403).then_some(())
    })
    .await;
    let login = json!({ "email": "transfer_agent@example.org", "password": PASSWORD });
    let refused = kit.post("/auth/login", None, &login).await;
    assert_eq!((refused.status, &refused.json()["reason_code"]), (StatusCode::FORBIDDEN, &json!("ACCOUNT_SUSPENDED")));
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    assert_eq!(kit.post("/auth/refresh", None, &refresh).await.status, 403);
    // With a wrong password nothing is told.
    let wrong = json!({ "email": "transfer_agent@example.org", "password": "wrong" });
    assert_eq!(kit.post("/auth/login", None, &wrong).await.status, 401);

    assert_eq!(kit.as_admin(&format!("/admin/users/{agent}/resume"), &json!({})).await.status, 200);
    assert_eq!(kit.get("/status", token).await.status, 200);
    eventually_within(TWO_SECONDS, "the other process lets in again", || async {
        (elsewhere.get("/status", token).await.status == 200).then_some(())
    })
    .await;
    kit.log_in("transfer_agent@example.org").await;
    elsewhere.stop.cancel();
    kit.end().await;
}

#[tokio::test]
async fn a_suspended_investor_looks_still_and_writes_nothing() {
    let kit = Kit::bare().await;
    let investor = kit.id_of(Role::Investor).await;
    assert_eq!(kit.as_admin(&format!("/admin/users/{investor}/suspend"), &json!({})).await.status, 200);
    let token = kit.token(Role::Investor);
    assert_eq!(kit.get("/status", token).await.status, 200);
    kit.log_in("investor@example.org").await;
    let mut writes = 0;
    for rule in tokenx_api::policy::POLICY {
        let write = rule.rate == tokenx_api::policy::RateClass::Write && rule.who != tokenx_api::policy::Who::Anyone;
        if !write || !rule.who.permits(Role::Investor) || rule.id == "end_session" {
            continue;
        }
        writes += 1;
        let method = rule.method.to_string().parse().unwrap();
        let answer = kit.send(method, rule.path, token, Some("{}".to_owned())).await;
        assert_eq!(answer.status, 403, "{}: {}", rule.id, answer.text);
        assert_eq!(answer.json()["reason_code"], "ACCOUNT_SUSPENDED", "{}", rule.id);
    }
    assert!(writes > 0, "investors have no write: the law would hold of nothing");
    assert_eq!(kit.post("/auth/logout", token, &json!({})).await.status, 204, "who is suspended may go");
    kit.end().await;
}

#[tokio::test]
async fn nobody_suspends_the_own_account() {
    let kit = Kit::bare().await;
    let own = kit.id_of(Role::SuperAdmin).await;
    assert_eq!(kit.as_admin(&format!("/admin/users/{own}/suspend"), &json!({})).await.status, 409);
    assert_eq!(kit.get("/admin/users", kit.token(Role::SuperAdmin)).await.status, 200);
    kit.end().await;
}

#[tokio::test]
async fn a_new_password_ends_every_sign_in_by_the_old_one() {
    let kit = Kit::bare().await;
    let issuer = kit.id_of(Role::Issuer).await;
    let session = kit.log_in("issuer@example.org").await;
    let changed = kit.as_admin(&format!("/admin/users/{issuer}/password"), &json!({ "password": "another one" })).await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    eventually_within(TWO_SECONDS, "the old sign-ins are dead", || async {
        (kit.get("/status", session["access_token"].as_str()).await.status == 401).then_some(())
    })
    .await;
    assert_eq!(kit.get("/status", kit.token(Role::Issuer)).await.status, 401);
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    assert_eq!(kit.post("/auth/refresh", None, &refresh).await.status, 401);
    let login = async |password: &str| {
        kit.post("/auth/login", None, &json!({ "email": "issuer@example.org", "password": password })).await.status
    };
    assert_eq!((login(PASSWORD).await, login("another one").await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    kit.end().await;
}
