//! The platform reference's own lines, each called as it stands there and under `/v1`, against a whole stack; and what is
//! answered is in the OpenAPI document.

use tokenx_api::policy::POLICY;

use super::*;

/// The lines: method, path, who calls it, what comes back.
const LINES: [(&str, &str, Role, u16); 39] = [
    ("POST", "/auth/login", Role::Investor, 200),
    ("POST", "/auth/refresh", Role::Investor, 200),
    ("POST", "/auth/logout", Role::Investor, 204),
    ("GET", "/investors/me", Role::Investor, 200),
    ("POST", "/investors/kyc/start", Role::Investor, 200),
    ("GET", "/investors/kyc/status", Role::Investor, 200),
    ("GET", "/investors/wallets", Role::Investor, 200),
    ("POST", "/investors/wallets", Role::Investor, 201),
    ("GET", "/investors/portfolio", Role::Investor, 200),
    ("GET", "/offerings", Role::Investor, 200),
    ("GET", "/offerings/:id", Role::Investor, 404),
    ("POST", "/offerings", Role::Issuer, 404),
    ("PATCH", "/offerings/:id", Role::Issuer, 404),
    ("POST", "/offerings/:id/publish", Role::Issuer, 404),
    ("POST", "/offerings/:id/subscribe", Role::Investor, 404),
    ("GET", "/compliance/applicants", Role::ComplianceOfficer, 200),
    ("POST", "/compliance/applicants/:id/approve", Role::ComplianceOfficer, 404),
    ("POST", "/compliance/applicants/:id/reject", Role::ComplianceOfficer, 404),
    ("GET", "/compliance/wallets", Role::ComplianceOfficer, 200),
    ("POST", "/compliance/wallets/:id/approve", Role::ComplianceOfficer, 404),
    ("GET", "/compliance/audit-log", Role::ComplianceOfficer, 200),
    ("GET", "/compliance/transfer-restrictions", Role::ComplianceOfficer, 200),
    ("GET", "/compliance/reports/reg-d/:offering", Role::ComplianceOfficer, 404),
    ("GET", "/compliance/reports/cap-table/:offering", Role::ComplianceOfficer, 200),
    ("POST", "/tokenization/whitelist", Role::ComplianceOfficer, 202),
    ("POST", "/tokenization/mint", Role::TransferAgent, 202),
    ("POST", "/tokenization/burn", Role::TransferAgent, 202),
    ("POST", "/tokenization/freeze", Role::TransferAgent, 202),
    ("POST", "/tokenization/force-transfer", Role::TransferAgent, 422),
    ("GET", "/ats/orderbook/:offering", Role::Investor, 404),
    ("POST", "/ats/orders", Role::Investor, 404),
    ("DELETE", "/ats/orders/:id", Role::Investor, 404),
    ("GET", "/ats/orders", Role::Investor, 200),
    ("GET", "/ats/trades", Role::Investor, 404),
    ("POST", "/investor/redemptions", Role::Investor, 404),
    ("GET", "/investor/redemptions", Role::Investor, 200),
    ("GET", "/transfer-agent/redemptions", Role::TransferAgent, 200),
    ("POST", "/transfer-agent/redemptions/:id/approve", Role::TransferAgent, 404),
    // Beyond the text, beside its freeze.
    ("POST", "/tokenization/unfreeze", Role::TransferAgent, 202),
];

/// A body that is taken; each act has an id of its own.
fn body(path: &str, act: usize, refresh: &str, wallet_id: &str) -> Value {
    let command_id = format!("line-{act}");
    let supply = json!({ "command_id": command_id, "instrument_id": "rCC", "party_id": ALICE, "amount": "1" });
    match path {
        "/auth/login" => json!({ "email": "investor@example.org", "password": PASSWORD }),
        "/auth/refresh" => json!({ "refresh_token": refresh }),
        "/investors/wallets" => json!({ "kind": "hosted" }),
        "/tokenization/whitelist" => json!({ "command_id": command_id, "wallet_id": wallet_id }),
        "/compliance/applicants/:id/reject" => json!({ "reason": "a copy" }),
        // Of a token, and of an offering, that there is not.
        "/offerings" => json!({ "token_id": "0".repeat(24), "exemption": "506c" }),
        "/offerings/:id/subscribe" => json!({ "command_id": command_id, "wallet_id": wallet_id, "quantity": 1 }),
        "/ats/orders" => json!({
            "client_order_id": command_id, "offering_id": Uuid::nil(), "wallet_id": wallet_id, "side": "sell",
            "type": "limit", "quantity": "1", "limit_price": "30", "time_in_force": "day",
        }),
        // Of a wallet that is another party's.
        "/investor/redemptions" => json!({ "instrument_id": "rCC", "wallet_id": wallet_id, "quantity": "1" }),
        "/tokenization/mint" | "/tokenization/burn" => supply,
        // The whole wallet: a freeze of units waits for the one before.
        "/tokenization/freeze" | "/tokenization/unfreeze" => {
            json!({ "command_id": command_id, "instrument_id": "rCC", "party_id": ALICE })
        }
        "/tokenization/force-transfer" => json!({
            "command_id": command_id, "instrument_id": "rCC", "from_wallet_id": wallet_id, "to_wallet_id": wallet_id,
            "amount": "1", "reason_code": "COURT_ORDER", "reference": "1",
        }),
        _ => json!({}),
    }
}

/// A path of the text as the policy table writes it: what a parameter is called is its own.
fn is_line(rule: &str, line: &str) -> bool {
    let (rule, line): (Vec<&str>, Vec<&str>) = (rule.split('/').collect(), line.split('/').collect());
    let same = |(ours, theirs): (&&str, &&str)| ours == theirs || (ours.starts_with('{') && theirs.starts_with(':'));
    rule.len() == line.len() && rule.iter().zip(&line).all(same)
}

#[tokio::test]
async fn every_line_of_the_text_is_served_as_it_stands_there_and_as_the_document_says() {
    let kit = Kit::whole().await;
    // Of a party for which an operator's word stands: Alice's own applies for KYC on the way.
    kit.add_party("bob").await;
    let bob = NewWallet { party_id: PartyId::parse("bob").unwrap(), kind: WalletKind::SelfCustody(CAROL_WALLET) };
    let wallet = admin::add_wallet(&kit.pool, &kit.commands, BY, bob).await.unwrap().wallet_id.to_string();
    let document = kit.get("/openapi.json", None).await.json();
    for (act, (method, line, role, expected)) in LINES.into_iter().enumerate() {
        let served = |rule: &&tokenx_api::policy::Rule| rule.method.to_string() == method && is_line(rule.path, line);
        let rule = POLICY.iter().find(served).unwrap_or_else(|| panic!("nothing serves {method} {line}"));
        assert!(rule.also_v1(), "{line}");
        for (n, prefix) in ["", "/v1"].into_iter().enumerate() {
            let session = kit.log_in(&format!("{role}@example.org")).await;
            let refresh = session["refresh_token"].as_str().unwrap();
            let path = match line {
                "/compliance/reports/cap-table/:offering" => "/compliance/reports/cap-table/rCC".to_owned(),
                "/ats/trades" => format!("/ats/trades?offering_id={}", Uuid::nil()),
                line => line.replace(":id", &Uuid::nil().to_string()).replace(":offering", &Uuid::nil().to_string()),
            };
            let body =
                ["POST", "PATCH"].contains(&method).then(|| body(line, act * 2 + n, refresh, &wallet).to_string());
            let (path, token) = (format!("{prefix}{path}"), session["access_token"].as_str());
            let answer = kit.send(method.parse().unwrap(), &path, token, body).await;
            assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text);
            let known = &document["paths"][rule.path][method.to_lowercase()]["responses"];
            assert!(known[answer.status.as_str()].is_object(), "{method} {path}: {} is not documented", answer.status);
        }
    }
    kit.end().await;
}
