//! Getting in without the right to: forged tokens, guessed passwords, rate limits and who they count.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use futures::StreamExt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokenx::local::postgres::free_port;
use tokenx_anvil_tests::Process;

use super::*;

/// The token with header and claims changed, signed with the secret by HS256 whatever the header says.
fn forged(token: &str, secret: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let part = |index: usize| -> Value {
        serde_json::from_slice(&B64.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
    };
    let (mut header, mut claims) = (part(0), part(1));
    change(&mut header, &mut claims);
    let signed = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let mark = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", B64.encode(mark))
}

#[tokio::test]
async fn a_forged_token_opens_nothing_over_http() {
    let kit = Kit::bare().await;
    let secret = kit.settings.auth.jwt_secret.expose_secret().to_owned();
    let token = kit.token(Role::SuperAdmin).unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    // The helper itself makes tokens that hold, so that the refusals mean something.
    assert_eq!(kit.get("/status", Some(&forged(token, &secret, |_, _| {}))).await.status, 200);
    let unsigned = |header: Value| format!("{}.{}.", B64.encode(header.to_string()), token.split('.').nth(1).unwrap());
    let kid = |header: &Value| header["kid"].clone();
    let mut own_kid = Value::Null;
    forged(token, &secret, |header, _| own_kid = kid(header));
    let public_key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
    let attacks = [
        ("alg none", unsigned(json!({ "typ": "at+jwt", "alg": "none", "kid": own_kid }))),
        ("alg nOnE", unsigned(json!({ "typ": "at+jwt", "alg": "nOnE", "kid": own_kid }))),
        ("HS256 named, no signature", unsigned(json!({ "typ": "at+jwt", "alg": "HS256", "kid": own_kid }))),
        ("RS256 named, HMAC made", forged(token, &secret, |header, _| header["alg"] = json!("RS256"))),
        ("HMAC with a public key", forged(token, public_key, |header, _| header["alg"] = json!("HS256"))),
        ("HS512 named", forged(token, &secret, |header, _| header["alg"] = json!("HS512"))),
        ("a key of its own", forged(token, "k", |header, _| header["jwk"] = json!({ "kty": "oct", "k": "aw" }))),
        ("unknown kid", forged(token, &secret, |header, _| header["kid"] = json!("../../dev/null"))),
        (
            "no kid",
            forged(token, &secret, |header, _| {
                header.as_object_mut().unwrap().remove("kid");
            }),
        ),
        ("plain typ", forged(token, &secret, |header, _| header["typ"] = json!("JWT"))),
        ("wrong aud", forged(token, &secret, |_, claims| claims["aud"] = json!("another"))),
        ("wrong iss", forged(token, &secret, |_, claims| claims["iss"] = json!("https://else.where"))),
        ("not yet", forged(token, &secret, |_, claims| claims["nbf"] = json!(now + 600))),
        ("expired", forged(token, &secret, |_, claims| claims["exp"] = json!(now - 60))),
        (
            "no end",
            forged(token, &secret, |_, claims| {
                claims.as_object_mut().unwrap().remove("exp");
            }),
        ),
        ("unknown role", forged(token, &secret, |_, claims| claims["role"] = json!("root"))),
        ("claims changed, signature kept", {
            let other = forged(token, &secret, |_, claims| claims["role"] = json!("issuer"));
            format!("{}.{}", other.rsplit_once('.').unwrap().0, token.rsplit_once('.').unwrap().1)
        }),
        ("cut", token[..token.len() - 3].to_owned()),
        ("two parts", token.rsplit_once('.').unwrap().0.to_owned()),
        ("four parts", format!("{token}.{token}")),
    ];
    for (what, attack) in attacks {
        let answer = kit.get("/status", Some(&attack)).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
    }
    kit.end().await;
}

/// So many wrong passwords for one account, eight at a time, each from an address of its own.
async fn guess(kit: &Kit, count: usize) -> HashMap<u16, usize> {
    let login = |number: usize| {
        let body = json!({ "email": "super_admin@example.org", "password": format!("guess {number}") });
        let address = format!("198.51.{}.{}", number / 250, number % 250);
        let request = kit.client.post(format!("{}/auth/login", kit.url)).header("x-forwarded-for", address).json(&body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let statuses: Vec<u16> = futures::stream::iter(0..count).map(login).buffer_unordered(8).collect().await;
    let mut counts = HashMap::new();
    for status in statuses {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_thousand_wrong_passwords_open_nothing() {
    let kit = Kit::bare().await;
    assert_eq!(guess(&kit, 1_000).await, HashMap::from([(401, 1_000)]));
    kit.log_in("super_admin@example.org").await;
    kit.end().await;
}

#[tokio::test]
async fn most_of_a_thousand_wrong_passwords_are_not_even_looked_at_wherever_they_come_from() {
    let kit = Kit::bare_with(|settings| {
        settings.limits.off = false;
        settings.limits.login_per_minute = 20;
        settings.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let counts = guess(&kit, 1_000).await;
    // One signed in to make the kit; the bucket refills by one in three seconds.
    assert!(counts[&401] >= 15 && counts[&401] < 100, "{counts:?}");
    assert_eq!(counts[&401] + counts[&429], 1_000, "{counts:?}");
    kit.end().await;
}

#[tokio::test]
async fn an_unknown_account_costs_the_same_hash_as_a_wrong_password() {
    let kit = Kit::bare().await;
    let mut settings = kit.settings.clone();
    settings.server.bind.set_port(free_port().unwrap());
    settings.chain.rpc_url = "http://127.0.0.1:1".into();
    settings.signer.keys = vec![tokenx_anvil_tests::KEYS[1].into()];
    // A process of its own, whose counters nobody else moves.
    let process = Process::start(&settings, &["api"], "").unwrap();
    let url = format!("http://{}", settings.server.bind);
    eventually("it serves", || async { kit.client.get(format!("{url}/healthz")).send().await.ok() }).await;
    let checks = async || {
        let metrics = kit.client.get(format!("{url}/metrics")).header("accept", "text/plain").send().await.unwrap();
        let text = metrics.text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with("tokenx_password_checks_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let login = async |email: &str| {
        let body = json!({ "email": email, "password": "wrong" });
        kit.client.post(format!("{url}/auth/login")).json(&body).send().await.unwrap().status().as_u16()
    };
    let before = checks().await;
    assert_eq!(login("issuer@example.org").await, 401);
    assert_eq!(checks().await, before + 1);
    assert_eq!(login("nobody@example.org").await, 401);
    assert_eq!(checks().await, before + 2, "an unknown account was told by what it did not cost");
    drop(process);
    kit.end().await;
}

#[tokio::test]
async fn an_account_has_one_bucket_however_often_it_signs_in_and_wherever_from() {
    let kit = Kit::bare_with(|settings| {
        settings.limits.off = false;
        settings.limits.login_per_minute = 100;
        settings.limits.reads_per_minute = 10;
        settings.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let again = kit.log_in("issuer@example.org").await["access_token"].as_str().unwrap().to_owned();
    let mut limited = 0;
    for number in 0..24 {
        let token = if number % 2 == 0 { kit.token(Role::Issuer).unwrap() } else { &again };
        let from = format!("198.51.100.{number}");
        let request = kit.client.get(format!("{}/status", kit.url)).bearer_auth(token).header("x-forwarded-for", from);
        let answer = read(request).await;
        assert_eq!(answer.header("ratelimit-limit"), Some("10"));
        match answer.status.as_u16() {
            200 => assert!(answer.header("ratelimit-remaining").is_some()),
            429 => {
                limited += 1;
                assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
                assert_eq!(answer.header("ratelimit-reset"), answer.header("retry-after"));
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert!(limited >= 8, "{limited}");
    // Somebody else, from the same place, is not touched; nor is another class.
    assert_eq!(kit.get("/status", kit.token(Role::SuperAdmin)).await.status, 200);
    assert_eq!(kit.post("/auth/logout", Some(&again), &json!({})).await.status, 204);
    kit.end().await;
}

#[tokio::test]
async fn who_has_no_token_is_counted_by_address_and_writes_no_header_of_another() {
    let kit = Kit::bare_with(|settings| {
        settings.limits.off = false;
        settings.limits.login_per_minute = 100;
        settings.limits.reads_per_minute = 5;
    })
    .await;
    let ask = async |url: &str, from: &str| {
        read(kit.client.get(format!("{url}/openapi.json")).header("x-forwarded-for", from)).await.status.as_u16()
    };
    let mut statuses = Vec::new();
    for number in 0..12 {
        // Nobody is trusted: what the header says changes nothing.
        statuses.push(ask(&kit.url, &format!("198.51.100.{number}")).await);
    }
    assert!(statuses[..5].iter().all(|status| *status == 200) && statuses.contains(&429), "{statuses:?}");

    // A process behind a proxy that it trusts counts whom the proxy names.
    let mut settings = kit.settings.clone();
    settings.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let behind = Kit::open_beside_with(&kit, settings).await;
    for number in 0..12 {
        assert_eq!(ask(&behind.url, &format!("1.1.1.1, 198.51.100.{number}")).await, 200);
    }
    let same: Vec<u16> = futures::stream::iter(0..12)
        .then(|number| ask(&behind.url, if number % 2 == 0 { "2.2.2.2, 198.51.100.99" } else { "198.51.100.99" }))
        .collect()
        .await;
    assert!(same.contains(&429), "{same:?}");
    behind.stop.cancel();
    kit.end().await;
}
