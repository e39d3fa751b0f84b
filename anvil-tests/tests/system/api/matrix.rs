//! The policy table against the running server: every operation × anonymous, every role, wrong tokens, wrong scopes.

use tokenx_api::policy::{self, POLICY, Rule, Who};

use super::*;

/// A request for the rule's operation that gets as far as the guard lets it and does no harm beyond.
async fn ask(kit: &Kit, rule: &Rule, token: Option<&str>) -> Answer {
    let path = rule.path.replace("{command_id}", "no-such-command");
    // A stream that opens does not end: a filter that is none is refused behind the guard.
    let path = path.replace("/events", "/events?types=");
    match rule.method {
        policy::Method::Get => kit.get(&path, token).await,
        policy::Method::Post => kit.post(&path, token, &json!({})).await,
        policy::Method::Delete => kit.send(Method::DELETE, &path, token, None).await,
        policy::Method::Patch => kit.patch(&path, token, &json!({})).await,
    }
}

fn let_through(answer: &Answer) -> bool {
    answer.status != 401 && answer.status != 403
}

#[tokio::test]
async fn the_server_lets_through_whom_the_table_lets_through_and_nobody_else() {
    let kit = Kit::bare().await;
    let mut cells = 0;
    for rule in POLICY {
        let anonymous = ask(&kit, rule, None).await;
        assert_eq!(let_through(&anonymous), rule.who == Who::Anyone, "{} anonymous: {anonymous:?}", rule.id);
        cells += 1;
        for role in Role::ALL {
            // Logout ends the sign-in that asks: each role comes with a fresh one.
            let session = kit.log_in(&format!("{role}@example.org")).await;
            let answer = ask(&kit, rule, session["access_token"].as_str()).await;
            assert_eq!(let_through(&answer), rule.who.permits(role), "{} as {role}: {answer:?}", rule.id);
            assert!(!answer.status.is_server_error() || answer.status == 503, "{} as {role}: {answer:?}", rule.id);
            if !let_through(&answer) {
                assert_eq!(answer.status, 403, "{} as {role}: known but not allowed is 403", rule.id);
            }
            cells += 1;
        }
    }
    assert_eq!(cells, POLICY.len() * 6);
    kit.end().await;
}

#[tokio::test]
async fn a_dead_or_forged_token_opens_nothing() {
    let kit = Kit::bare().await;
    let session = kit.log_in("super_admin@example.org").await;
    let revoked = session["access_token"].as_str().unwrap().to_owned();
    assert_eq!(kit.post("/auth/logout", Some(&revoked), &json!({})).await.status, 204);
    let (_, service) = kit.service_token(Role::SuperAdmin, None, &Scope::ALL).await;
    let genuine = kit.token(Role::SuperAdmin).unwrap();
    let forged = format!("{}x", &genuine[..genuine.len() - 1]);
    let unsigned = format!("eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0.{}.", genuine.split('.').nth(1).unwrap());
    let refresh = session["refresh_token"].as_str().unwrap();
    let wrong = [revoked.as_str(), &forged, &unsigned, refresh, "tkx_unknown", &service[..service.len() - 1], "-"];
    for rule in POLICY.iter().filter(|rule| rule.who != Who::Anyone) {
        for token in wrong {
            let answer = ask(&kit, rule, Some(token)).await;
            assert_eq!(answer.status, 401, "{}: {answer:?}", rule.id);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    kit.end().await;
}

#[tokio::test]
async fn a_service_token_opens_what_its_role_and_one_of_its_scopes_open() {
    let kit = Kit::bare().await;
    for scope in Scope::ALL {
        let (_, token) = kit.service_token(Role::TransferAgent, None, &[scope]).await;
        for rule in POLICY.iter().filter(|rule| rule.who != Who::Anyone) {
            let answer = ask(&kit, rule, Some(&token)).await;
            let expected = rule.who.permits(Role::TransferAgent) && rule.scopes.contains(&scope);
            assert_eq!(let_through(&answer), expected, "{} with {scope}: {answer:?}", rule.id);
        }
    }
    kit.end().await;
}
