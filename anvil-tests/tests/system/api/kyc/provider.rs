//! The real provider's client against a server that behaves as its documentation says: it checks each request's signature
//! and time, and refuses as documented.

use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode as Status;
use axum::response::{IntoResponse, Response};
use tokenx_config::{Kyc, KycProvider};

use super::*;

const APP_TOKEN: &str = "sbx:an-app-token";
const SECRET_KEY: &str = "the secret of the app token";

/// What the server does beside what is documented.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    /// Too many requests, so many times.
    Busy(u32),
    Broken,
    Endless,
    Silent,
}

#[derive(Debug)]
struct Provider {
    mood: Mutex<Mood>,
    /// Method, path and body of each request that was signed well.
    asked: Mutex<Vec<(String, String, String)>>,
}

type Shared = Arc<Provider>;

async fn serve(listener: TcpListener, provider: Shared) {
    axum::serve(listener, Router::new().fallback(answer).with_state(provider)).await.unwrap();
}

fn refusal(code: u16, name: &str) -> Response {
    let body =
        json!({ "description": name, "code": code, "correlationId": "f677", "errorCode": 4003, "errorName": name });
    (Status::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

async fn answer(State(provider): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let (method, path) = (parts.method.to_string(), parts.uri.path_and_query().unwrap().to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET_KEY.as_bytes()).unwrap();
    mac.update(format!("{}{method}{path}", header("x-app-access-ts")).as_bytes());
    mac.update(&body);
    let expected = alloy::hex::encode(mac.finalize().into_bytes());
    let age = OffsetDateTime::now_utc().unix_timestamp() - header("x-app-access-ts").parse::<i64>().unwrap_or_default();
    if header("x-app-token") != APP_TOKEN || header("x-app-access-sig") != expected || age.abs() > 60 {
        return refusal(401, "app-token-signature mismatch");
    }
    let mood = *provider.mood.lock().unwrap();
    match mood {
        Mood::Well => {}
        Mood::Busy(0) => *provider.mood.lock().unwrap() = Mood::Well,
        Mood::Busy(times) => {
            *provider.mood.lock().unwrap() = Mood::Busy(times - 1);
            return refusal(429, "too many requests");
        }
        Mood::Broken => return (Status::OK, "<html>").into_response(),
        Mood::Endless => return (Status::OK, "x".repeat(2 << 20)).into_response(),
        Mood::Silent => std::future::pending().await,
    }
    provider.asked.lock().unwrap().push((method.clone(), path.clone(), String::from_utf8(body.to_vec()).unwrap()));
    match (method.as_str(), path.as_str()) {
        ("POST", "/resources/accessTokens/sdk") if header("content-type") == "application/json" => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            axum::Json(json!({ "token": "_act-b8ebfb63-5f24-4b89-9c08-000000000000", "userId": body["userId"] }))
                .into_response()
        }
        ("GET", path) if path.starts_with("/resources/applicants/-;externalUserId=") && path.ends_with("/one") => {
            let applicant = json!({
                "id": "5b594ade0a975a36c9349e66", "type": "company",
                "info": { "companyInfo": { "country": "DEU", "beneficiaries": [
                    { "applicantId": "63620c095cc65d0001ffc8d7", "types": ["ubo"], "shareSize": 42.5 },
                ] } },
            });
            axum::Json(applicant).into_response()
        }
        _ => refusal(404, "not found"),
    }
}

/// A kit whose provider is the server.
async fn kit(change: impl FnOnce(&mut Kyc)) -> (Kit, Shared) {
    let provider = Arc::new(Provider { mood: Mutex::new(Mood::Well), asked: Mutex::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut kyc = Kyc {
        provider: KycProvider::Sumsub,
        base_url: format!("http://{}", listener.local_addr().unwrap()),
        app_token: Some(APP_TOKEN.into()),
        secret_key: Some(SECRET_KEY.into()),
        webhook_secret: Some("the secret of the webhooks".into()),
        company_level: "our-kyb-level".into(),
        request_timeout_ms: 500,
        ..Kyc::default()
    };
    change(&mut kyc);
    let mut kit = Kit::bare_with(|settings| settings.kyc = kyc).await;
    let serving = serve(listener, provider.clone());
    let stop = kit.stop.clone();
    kit.tasks.push(tokio::spawn(async move {
        tokio::select! {
            () = serving => {}
            () = stop.cancelled() => {}
        }
    }));
    (kit, provider)
}

#[tokio::test]
async fn a_company_applies_and_what_the_provider_found_is_shown_and_taken() {
    let (kit, provider) = kit(|_| {}).await;
    let dora = kit.unknown("dora & sons/50%").await;
    let begun = kit.begin(&dora, &json!({ "kind": "company" })).await;
    assert_eq!(begun["applicantToken"], "_act-b8ebfb63-5f24-4b89-9c08-000000000000");
    let (method, path, body) = provider.asked.lock().unwrap()[0].clone();
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/resources/accessTokens/sdk"));
    let body: Value = serde_json::from_str(&body).unwrap();
    let external_id = "1:dora & sons/50%";
    assert_eq!(body, json!({ "userId": external_id, "levelName": "our-kyb-level", "ttlInSecs": 600 }));

    let id = &begun["applicant_id"];
    assert_eq!(kit.kyc(&dora).await["status"], "pending");
    let green = said(external_id, "applicantReviewed", 0, &json!({ "reviewAnswer": "GREEN" }));
    assert_eq!(kit.webhook(&green).await.json()["result"], "applied");
    let seen = eventually("what the provider found is looked up", || async {
        let seen = kit.applicant(id).await;
        seen["found_country"].is_number().then_some(seen)
    })
    .await;
    let owner = json!({ "provider_id": "63620c095cc65d0001ffc8d7", "name": null, "roles": ["ubo"], "share": "42.5" });
    assert_eq!((&seen["found_country"], &seen["beneficial_owners"]), (&json!(276), &json!([owner])));
    let (_, path, _) = provider.asked.lock().unwrap()[1].clone();
    assert_eq!(path, "/resources/applicants/-;externalUserId=1:dora%20&%20sons%2F50%25/one");
    let approved = kit.judge(id, "approve", &json!({})).await.json();
    assert_eq!((&approved["status"], &approved["decision"]["country"]), (&json!("approved"), &json!(276)));
    kit.end().await;
}

#[tokio::test]
async fn a_provider_that_is_busy_is_asked_again_and_one_that_is_of_no_use_is_no_fault_of_the_clients() {
    let (kit, provider) = kit(|_| {}).await;
    let dora = kit.unknown("dora").await;
    *provider.mood.lock().unwrap() = Mood::Busy(2);
    kit.begin(&dora, &json!({})).await;
    for mood in [Mood::Broken, Mood::Endless, Mood::Silent] {
        *provider.mood.lock().unwrap() = mood;
        let answer = kit.post("/investors/kyc/start", Some(&dora), &json!({})).await;
        assert_eq!(answer.status, 503, "{mood:?}: {}", answer.text);
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(kit.kyc(&dora).await["status"], "pending", "the application stays");
    let begun: i64 = sqlx::query_scalar("SELECT count(*) FROM applicants").fetch_one(&kit.pool).await.unwrap();
    assert_eq!(begun, 1);
    kit.end().await;
}

#[tokio::test]
async fn with_another_secret_the_provider_refuses_and_nobody_is_told_why() {
    let (kit, _) = kit(|kyc| kyc.secret_key = Some("another secret".into())).await;
    let dora = kit.unknown("dora").await;
    let answer = kit.post("/investors/kyc/start", Some(&dora), &json!({})).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.text.contains("signature"), "{}", answer.text);
    kit.end().await;
}
