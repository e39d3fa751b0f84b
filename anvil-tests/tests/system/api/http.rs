//! What holds for every route.

use tokenx_anvil_tests::eventually_within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn every_answer_carries_a_request_id_and_the_safety_headers() {
    let kit = Kit::bare().await;
    for path in ["/healthz", "/status", "/nowhere", "/docs/", "/openapi.json"] {
        let answer = kit.get(path, None).await;
        assert!(answer.header("x-request-id").is_some_and(|id| id.parse::<Uuid>().is_ok()), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
    }
    let sent = kit.client.get(format!("{}/healthz", kit.url)).header("x-request-id", "mine-1");
    assert_eq!(read(sent).await.header("x-request-id"), Some("mine-1"));
    kit.end().await;
}

#[tokio::test]
async fn a_path_that_is_not_there_answers_in_the_family_of_its_neighbours() {
    let kit = Kit::bare().await;
    let token_app = kit.get("/data/admin/nothing", None).await;
    assert_eq!((token_app.status.as_u16(), token_app.json()["detail"].is_string()), (404, true));
    let platform = kit.get("/nothing", None).await;
    assert_eq!(platform.status, 404);
    assert_eq!(platform.header("content-type"), Some("application/problem+json"));
    let method = kit.send(Method::DELETE, "/api/admin/mint", None, None).await;
    assert_eq!((method.status.as_u16(), method.json()["detail"].is_string()), (405, true));
    assert!(method.header("allow").is_some_and(|allow| allow.contains("POST")), "{:?}", method.headers);
    kit.end().await;
}

#[tokio::test]
async fn a_page_of_a_named_origin_may_read_errors_too_and_sees_what_is_left_of_its_limit() {
    let kit = Kit::bare_with(|settings| {
        settings.limits.off = false;
        settings.server.cors_origins = vec!["https://desk.example".to_owned()];
    })
    .await;
    let from = |path: &str, token: Option<&str>| {
        let request = kit.client.get(format!("{}{path}", kit.url)).header("origin", "https://desk.example");
        token.iter().fold(request, reqwest::RequestBuilder::bearer_auth)
    };
    let admin = kit.token(Role::SuperAdmin);
    let cases = [("/status", admin, 200), ("/data/admin/mints?limit=0", admin, 422), ("/status", None, 401)];
    for (path, token, status) in cases {
        let answer = read(from(path, token)).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://desk.example"), "{path} {status}");
        assert_eq!(answer.header("ratelimit-remaining").is_some(), token.is_some(), "{path} {status}");
    }
    kit.end().await;
}

#[tokio::test]
async fn what_a_token_may_not_do_it_may_not_try_without_end() {
    let kit = Kit::bare_with(|settings| {
        settings.limits.off = false;
        settings.limits.reads_per_minute = 2;
    })
    .await;
    let investor = kit.token(Role::Investor);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(kit.get("/data/admin/mints", investor).await.status.as_u16());
    }
    assert_eq!(statuses, [403, 403, 429]);
    kit.end().await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_413() {
    let kit = Kit::bare_with(|settings| settings.server.max_body_bytes = 1_000).await;
    let body = json!({ "email": "x".repeat(2_000), "password": "y" });
    let platform = kit.post("/auth/login", None, &body).await;
    assert_eq!((platform.status.as_u16(), platform.json()["status"].as_u64()), (413, Some(413)));
    let token_app = kit.post("/api/admin/mint", kit.token(Role::TransferAgent), &body).await;
    assert_eq!((token_app.status.as_u16(), token_app.json()["detail"].is_string()), (413, true));
    kit.end().await;
}

#[tokio::test]
async fn metrics_are_json_to_people_and_text_to_scrapers() {
    let kit = Kit::bare().await;
    let json = kit.get("/metrics", None).await;
    assert!(json.header("content-type").unwrap().starts_with("application/json"));
    assert!(json.json()["tokenx_http_requests_total"]["values"].is_array());
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    let text = read(kit.client.get(format!("{}/metrics", kit.url)).header("accept", accept)).await;
    assert!(text.header("content-type").unwrap().starts_with("text/plain"));
    assert!(text.text.contains("# TYPE tokenx_http_requests_total counter"));
    kit.end().await;
}

#[tokio::test]
async fn readiness_names_the_part_that_is_not() {
    let kit = Kit::bare().await;
    let answer = kit.get("/readyz", None).await;
    assert_eq!(answer.status, 503);
    let json = answer.json();
    assert_eq!(
        (&json["ready"], &json["database"]["ready"], &json["chain"]["ready"]),
        (&json!(false), &json!(true), &json!(false))
    );
    assert!(json["chain"]["problem"].as_str().is_some_and(|problem| problem.contains("31337")));
    kit.end().await;
}

#[tokio::test]
async fn the_documentation_loads_nothing_from_elsewhere() {
    let kit = Kit::bare().await;
    assert_eq!(kit.get("/docs", None).await.header("location"), Some("/docs/"));
    let page = kit.get("/docs/", None).await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("https://") && !page.text.contains("src=\"//"), "{}", page.text);
    for file in ["swagger-ui-bundle.js", "swagger-initializer.js", "swagger-ui.css"] {
        assert_eq!(kit.get(&format!("/docs/{file}"), None).await.status, 200, "{file}");
    }
    assert_eq!(kit.get("/docs/../Cargo.toml", None).await.status, 404);
    assert_eq!(kit.get("/openapi.json", None).await.json()["openapi"].as_str().map(|v| &v[..3]), Some("3.1"));
    kit.end().await;
}

#[tokio::test]
async fn only_named_origins_may_call_what_is_not_public() {
    let kit = Kit::bare_with(|settings| settings.server.cors_origins = vec!["https://app.example.org".into()]).await;
    let allowed = async |path: &str, origin: &str| {
        let request = kit.client.request(Method::OPTIONS, format!("{}{path}", kit.url));
        let request = request.header("origin", origin).header("access-control-request-method", "GET");
        let answer = read(request).await;
        assert!(answer.header("access-control-allow-credentials").is_none());
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(allowed("/status", "https://app.example.org").await.as_deref(), Some("https://app.example.org"));
    assert_eq!(allowed("/status", "https://evil.example.org").await, None);
    assert_eq!(allowed("/healthz", "https://evil.example.org").await.as_deref(), Some("https://evil.example.org"));
    kit.end().await;
}

#[tokio::test]
async fn a_client_that_dribbles_its_head_is_hung_up_on() {
    let kit = Kit::bare_with(|settings| settings.server.header_read_timeout_ms = 300).await;
    let mut socket = TcpStream::connect(kit.url.trim_start_matches("http://")).await.unwrap();
    socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let limit = std::time::Duration::from_secs(5);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(limit, socket.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the socket is still open after {limit:?}");
    kit.end().await;
}

#[tokio::test]
async fn a_stop_lets_answers_finish_and_takes_no_more() {
    let kit = Kit::bare().await;
    let (url, client, stop) = (kit.url.clone(), kit.client.clone(), kit.stop.clone());
    let body = json!({ "email": "issuer@example.org", "password": PASSWORD }).to_string();
    let mut socket = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body once the handler reads it: from here on the request is under way.
    let mut asked = [0; 25];
    socket.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let ending = tokio::spawn(kit.end());
    stop.cancelled().await;
    eventually_within(std::time::Duration::from_secs(5), "new connections are refused", || async {
        client.get(format!("{url}/healthz")).send().await.is_err().then_some(())
    })
    .await;
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    ending.await.unwrap();
}
