//! Investors: who they are to the platform, and what is theirs.

use super::*;

impl Kit {
    /// Another investor, who acts for a party of its own, whose KYC is approved; the access token.
    pub(crate) async fn investor(&self, party_id: &str) -> String {
        let token = self.unknown(party_id).await;
        admin::vouch(&self.pool, BY, &PartyId::parse(party_id).unwrap()).await.unwrap();
        token
    }

    /// An investor whose party has never applied for KYC.
    pub(crate) async fn unknown(&self, party_id: &str) -> String {
        self.add_party(party_id).await;
        let email = format!("{}@example.org", party_id.replace(' ', ""));
        let user = NewUser {
            email: email.clone(),
            password: PASSWORD.to_owned().into(),
            role: Role::Investor,
            issuer_id: None,
            party_id: Some(party_id.to_owned()),
        };
        admin::add_user(&self.pool, &self.settings.auth, BY, user).await.unwrap();
        self.log_in(&email).await["access_token"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_investor_is_told_whom_it_acts_for() {
    let kit = Kit::bare().await;
    for path in ["/investors/me", "/v1/investors/me"] {
        let me = kit.get(path, kit.token(Role::Investor)).await;
        assert_eq!(me.status, 200, "{}", me.text);
        let me = me.json();
        assert_eq!((&me["party_id"], &me["email"]), (&json!(ALICE), &json!("investor@example.org")));
        assert_eq!((&me["country"], &me["investor_class"], &me["investor_id"]), (&json!(404), &json!(1), &json!(1)));
        assert_eq!((&me["kyc_status"], &me["accreditation_method"]), (&json!("not_started"), &Value::Null));
        assert!(me["kyc_expires_at"].is_null());
    }
    assert_eq!(kit.get("/investors/me", kit.token(Role::SuperAdmin)).await.status, 403, "it is an investor's own");
    kit.end().await;
}
