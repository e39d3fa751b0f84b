//! One tenant with another's ids: whatever the operation, they name nothing.

use tokenx_api::policy::{self, POLICY, Rule, Who};

use super::tokens::files::{BOUNDARY, Form, PDF, png};
use super::tokens::life::Life;
use super::*;

/// Ids of the first issuer's things, and of another party's wallet.
struct Theirs {
    token_id: String,
    offering_id: String,
    command_id: String,
    wallet_id: String,
}

/// An operation's path with the first tenant's ids; `None` where nobody has said whose they are.
fn path(rule: &Rule, theirs: &Theirs) -> Option<String> {
    let nobody = Uuid::nil().to_string();
    let filled = rule
        .path
        .replace("{token_id}", &theirs.token_id)
        .replace("{offering_id}", &theirs.offering_id)
        .replace("{offering}", &theirs.offering_id)
        .replace("{command_id}", &theirs.command_id)
        .replace("{wallet_id}", &theirs.wallet_id)
        // Of a token that is not the viewer's even an id of nothing is told as nothing.
        .replace("{file_id}", &"0".repeat(24))
        .replace("{file}", &format!("{nobody}.pdf"))
        // Where there are orders and deals, another party's are tried too (`ats::life`, `otc::life`).
        .replace("{order_id}", &nobody)
        .replace("{deal_id}", &nobody);
    (!filled.contains('{')).then_some(filled)
}

/// Tenants see their own things alone; staff see all, and are not asked here.
fn is_open_to(rule: &Rule, role: Role) -> bool {
    rule.who != Who::Anyone && rule.who.permits(role)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_name_nothing_whatever_the_operation() {
    let life = Life::start().await;
    let token_id = life.draft().await;
    let command = life.does(&token_id, "deploy", Role::Issuer, 4).await;
    let offering = life.ground.offer(&token_id, json!({ "exemption": "506b" })).await;
    let theirs = Theirs {
        token_id: token_id.clone(),
        offering_id: offering["id"].as_str().unwrap().to_owned(),
        command_id: command["command_id"].as_str().unwrap().to_owned(),
        wallet_id: sqlx::query_scalar("SELECT wallet_id::text FROM wallets LIMIT 1")
            .fetch_one(&life.kit().pool)
            .await
            .unwrap(),
    };
    let kit = life.kit();
    let (_, issuer) = kit.service_token(Role::Issuer, Some(1), &Scope::ALL).await;
    kit.add_party("bob").await;
    let bob = NewUser {
        email: "bob@example.org".to_owned(),
        password: PASSWORD.to_owned().into(),
        role: Role::Investor,
        issuer_id: None,
        party_id: Some("bob".to_owned()),
    };
    admin::add_user(&kit.pool, &kit.settings.auth, BY, bob).await.unwrap();
    let investor = kit.log_in("bob@example.org").await["access_token"].as_str().unwrap().to_owned();
    let mut asked = 0;
    for (role, token) in [(Role::Issuer, &issuer), (Role::Investor, &investor)] {
        for rule in POLICY.iter().filter(|rule| rule.path.contains('{') && is_open_to(rule, role)) {
            let path = path(rule, &theirs).unwrap_or_else(|| panic!("{}: whose ids are these?", rule.path));
            // What takes a file looks at it first.
            let file = match rule.path.rsplit('/').next() {
                Some("images") => Some(png()),
                Some("documents") => Some(PDF.to_vec()),
                _ => None,
            };
            let answer = match rule.method {
                policy::Method::Post if file.is_some() => {
                    let form = Form::default().file(&file.unwrap(), "a file");
                    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
                    let request = kit.client.post(format!("{}{path}", kit.url)).bearer_auth(token);
                    read(request.header("content-type", kind).body(form.body())).await
                }
                policy::Method::Get => kit.get(&path, Some(token)).await,
                policy::Method::Post => kit.post(&path, Some(token), &json!({})).await,
                policy::Method::Delete => kit.send(Method::DELETE, &path, Some(token), None).await,
                policy::Method::Patch => kit.patch(&path, Some(token), &json!({})).await,
            };
            assert_eq!(answer.status, 404, "{} as another {role}: {}", rule.id, answer.text);
            asked += 1;
        }
    }
    assert!(asked > 10, "only {asked}");
    // In a body, too.
    let body = json!({ "token_id": theirs.token_id, "exemption": "506b" });
    assert_eq!(kit.post("/offerings", Some(&issuer), &body).await.status, 404);
    // And in what a list is narrowed to.
    for list in [format!("/offerings?token_id={token_id}"), "/v2/admin/token?instrument_id=TKN".to_owned()] {
        let page = kit.get(&list, Some(&issuer)).await;
        assert_eq!((page.status.as_u16(), &page.json()["items"]), (200, &json!([])), "{list}");
    }
    life.ground.kit.end().await;
}
