//! Signing in, staying in, being thrown out.

use serde_json::json;
use tokenx_anvil_tests::{Process, eventually_within};
use tokenx_api::admin;
use tokenx_api::auth::revocation::{self, Revocations};
use tokenx_api::policy::{Role, Scope};

use super::*;

#[tokio::test]
async fn a_login_answers_with_both_tokens_and_who_it_is() {
    let kit = Kit::bare().await;
    let session = kit.log_in("Investor@Example.org").await;
    assert_eq!(session["token_type"], "Bearer");
    assert_eq!(session["expires_in"], 86_400);
    assert_eq!(session["user"]["role"], "investor");
    assert_eq!(session["user"]["party_id"], ALICE);
    assert_eq!(session["user"].get("password_hash"), None);
    let status = kit.get("/status", session["access_token"].as_str()).await;
    assert_eq!(status.status, 200);
    // The platform's routes are there under their version as well.
    let login = json!({ "email": "investor@example.org", "password": PASSWORD });
    assert_eq!(kit.post("/v1/auth/login", None, &login).await.status, 200);
    kit.end().await;
}

#[tokio::test]
async fn an_unknown_account_and_a_wrong_password_answer_the_same() {
    let kit = Kit::bare().await;
    let wrong = kit.post("/auth/login", None, &json!({ "email": "investor@example.org", "password": "nope" })).await;
    let unknown = kit.post("/auth/login", None, &json!({ "email": "nobody@example.org", "password": "nope" })).await;
    let without_id = |answer: &Answer| {
        let mut json = answer.json();
        json.as_object_mut().unwrap().remove("request_id");
        json
    };
    assert_eq!((wrong.status, unknown.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(without_id(&wrong), without_id(&unknown));
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    assert_eq!(wrong.header("content-type"), Some("application/problem+json"));
    kit.end().await;
}

#[tokio::test]
async fn a_malformed_login_is_400_and_names_every_field() {
    let kit = Kit::bare().await;
    let answer = kit.post("/auth/login", None, &json!({ "email": 7, "password": "" })).await;
    assert_eq!(answer.status, 400);
    let json = answer.json();
    let fields: Vec<&str> = json["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["email", "password"]);
    assert_eq!(json["request_id"].as_str(), answer.header("x-request-id"));
    kit.end().await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_kills_the_sign_in() {
    let kit = Kit::bare().await;
    let first = kit.log_in("issuer@example.org").await;
    let refresh = async |token: &Value| kit.post("/auth/refresh", None, &json!({ "refresh_token": token })).await;
    let second = refresh(&first["refresh_token"]).await;
    assert_eq!(second.status, 200);
    let second = second.json();
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(kit.get("/status", second["access_token"].as_str()).await.status, 200);

    assert_eq!(refresh(&first["refresh_token"]).await.status, 401);
    assert_eq!(refresh(&second["refresh_token"]).await.status, 401);
    for session in [&first, &second] {
        assert_eq!(kit.get("/status", session["access_token"].as_str()).await.status, 401);
    }
    let noted: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = 'session.refresh_reused'")
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    assert_eq!(noted, 1);
    // Another sign-in of the same person is not touched.
    assert_eq!(kit.get("/status", kit.token(Role::Issuer)).await.status, 200);
    kit.end().await;
}

#[tokio::test]
async fn of_two_that_refresh_at_once_at_most_one_gets_through() {
    let kit = Kit::bare().await;
    let session = kit.log_in("issuer@example.org").await;
    let refresh = async || kit.post("/auth/refresh", None, &json!({ "refresh_token": session["refresh_token"] })).await;
    let (one, other) = tokio::join!(refresh(), refresh());
    let through = [one.status, other.status].iter().filter(|status| **status == 200).count();
    assert!(through <= 1, "{} and {}", one.status, other.status);
    kit.end().await;
}

#[tokio::test]
async fn after_logout_both_tokens_are_dead_here_at_once_and_elsewhere_within_two_seconds() {
    let kit = Kit::bare().await;
    let mut settings = kit.settings.clone();
    settings.server.bind.set_port(free_port().unwrap());
    settings.chain.rpc_url = "http://127.0.0.1:1".into();
    settings.signer.keys = vec![tokenx_anvil_tests::KEYS[1].into()];
    let elsewhere = Process::start(&settings, &["api"], "").unwrap();
    let status_there = async |token: Option<&str>| {
        let request = kit.client.get(format!("http://{}/status", settings.server.bind));
        Some(request.bearer_auth(token?).send().await.ok()?.status().as_u16())
    };
    let session = kit.log_in("issuer@example.org").await;
    let access = session["access_token"].as_str();
    eventually_within(PROCESS, "the other process takes the token", || async {
        (status_there(access).await == Some(200)).then_some(())
    })
    .await;

    let out = kit.post("/auth/logout", access, &json!({})).await;
    assert_eq!((out.status, out.text.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(kit.get("/status", access).await.status, 401);
    let refreshed = kit.post("/auth/refresh", None, &json!({ "refresh_token": session["refresh_token"] })).await;
    assert_eq!(refreshed.status, 401);
    let two_seconds = std::time::Duration::from_secs(2);
    eventually_within(two_seconds, "the other process refuses the token", || async {
        (status_there(access).await == Some(401)).then_some(())
    })
    .await;
    drop(elsewhere);
    kit.end().await;
}

#[tokio::test]
async fn a_service_token_has_no_session_to_end_but_can_be_revoked() {
    let kit = Kit::bare().await;
    let (id, token) = kit.service_token(Role::SuperAdmin, None, &[Scope::OpsRead]).await;
    assert_eq!(kit.get("/status", Some(&token)).await.status, 200);
    assert_eq!(kit.post("/auth/logout", Some(&token), &json!({})).await.status, 409);
    assert_eq!(kit.get("/status", Some(&token)).await.status, 200);
    admin::revoke_service_token(&kit.pool, BY, id).await.unwrap();
    let two_seconds = std::time::Duration::from_secs(2);
    eventually_within(two_seconds, "the revoked token is refused", || async {
        (kit.get("/status", Some(&token)).await.status == 401).then_some(())
    })
    .await;
    kit.end().await;
}

#[tokio::test]
async fn no_secret_is_kept_as_it_was_given() {
    let kit = Kit::bare().await;
    let session = kit.log_in("issuer@example.org").await;
    let (_, token) = kit.service_token(Role::SuperAdmin, None, &[Scope::OpsRead]).await;
    let kept: String = sqlx::query_scalar(
        "SELECT concat((SELECT json_agg(u) FROM users u), (SELECT json_agg(r) FROM refresh_tokens r),
                       (SELECT json_agg(s) FROM service_tokens s), (SELECT json_agg(a) FROM audit_log a),
                       (SELECT json_agg(o) FROM outbox o))",
    )
    .fetch_one(&kit.pool)
    .await
    .unwrap();
    assert!(kept.contains("issuer@example.org"));
    for secret in [PASSWORD, session["refresh_token"].as_str().unwrap(), &token] {
        assert!(!kept.contains(secret));
    }
    kit.end().await;
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down_by_account_and_by_address() {
    let kit = Kit::bare_with(|settings| {
        settings.limits.off = false;
        settings.limits.login_per_minute = 20;
    })
    .await;
    let mut answers = Vec::new();
    for _ in 0..25 {
        answers.push(kit.post("/auth/login", None, &json!({ "email": "x@example.org", "password": "guess" })).await);
    }
    let last = answers.last().unwrap();
    assert_eq!(last.status, 429);
    let wait: u64 = last.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(last.header("ratelimit-limit"), Some("20"));
    assert_eq!(last.header("ratelimit-remaining"), Some("0"));
    assert_eq!(last.json()["status"], 429);
    // Health never waits.
    assert_eq!(kit.get("/healthz", None).await.status, 200);
    kit.end().await;
}

impl Kit {
    /// A second process on the same database.
    pub(super) async fn open_beside(kit: &Kit) -> Beside {
        Kit::open_beside_with(kit, kit.settings.clone()).await
    }

    /// The same, by other settings.
    pub(super) async fn open_beside_with(kit: &Kit, settings: Settings) -> Beside {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = kit.stop.child_token();
        let context = tokenx_api::ApiContext {
            settings: Arc::new(settings),
            pool: kit.pool.clone(),
            commands: kit.commands.clone(),
        };
        tokio::spawn(tokenx_api::serve(context, listener, stop.clone()));
        Beside { url, client: kit.client.clone(), stop }
    }
}

pub(super) struct Beside {
    pub(super) url: String,
    client: reqwest::Client,
    pub(super) stop: CancellationToken,
}

impl Beside {
    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        read(self.client.get(format!("{}{path}", self.url)).bearer_auth(token.unwrap())).await
    }
}

#[tokio::test]
async fn a_list_of_the_dead_that_was_not_read_lately_is_not_believed() {
    let kit = Kit::bare().await;
    // Nobody reads this one's tail.
    let list = Revocations::default();
    let ids = [Uuid::now_v7(), Uuid::now_v7()];
    assert_eq!(list.revoked(&kit.pool, ids).await.unwrap(), [false, false]);
    let until = time::OffsetDateTime::now_utc() + time::Duration::HOUR;
    let mut conn = kit.pool.acquire().await.unwrap();
    assert!(revocation::revoke(&mut conn, ids[1], revocation::Reason::Logout, until).await.unwrap());
    drop(conn);
    assert_eq!(list.revoked(&kit.pool, ids).await.unwrap(), [false, true], "the database is asked");
    kit.end().await;
}
