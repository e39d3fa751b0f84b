//! `/graphql` on a real chain, with the indexer and the keeper at work.

mod abuse;
mod holders;
mod holds;
mod lists;
mod markets;
mod parties;
mod scans;
mod socket;
mod statements;

use super::*;

impl Kit {
    /// Asks as somebody, or as nobody.
    async fn ask(&self, token: Option<&str>, query: &str) -> Value {
        self.ask_with(token, query, json!({})).await
    }

    async fn ask_with(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let answer = self.post("/graphql", token, &json!({ "query": query, "variables": variables })).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// What was asked for, and no error.
    async fn data(&self, token: Option<&str>, query: &str) -> Value {
        let mut answer = self.ask(token, query).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// The code of its errors.
    async fn code(&self, token: Option<&str>, query: &str) -> String {
        let answer = self.ask(token, query).await;
        let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("no error: {query}: {answer}"));
        let codes: Vec<&str> =
            errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("none")).collect();
        assert!(codes.windows(2).all(|pair| pair[0] == pair[1]), "{answer}");
        codes[0].to_owned()
    }

    /// Signs in a user of the second issuer.
    async fn other_issuer(&self) -> String {
        let user = NewUser {
            email: "other-issuer@example.org".to_owned(),
            password: PASSWORD.to_owned().into(),
            role: Role::Issuer,
            issuer_id: Some(self.issuers[1]),
            party_id: None,
        };
        admin::add_user(&self.pool, &self.settings.auth, BY, user).await.unwrap();
        self.log_in("other-issuer@example.org").await["access_token"].as_str().unwrap().to_owned()
    }

    fn chain(&self) -> &tokenx::local::Anvil {
        &self._world.as_ref().unwrap().chain
    }

    /// Mints so many times one token to Alice and waits until all of it is held.
    async fn mint_some(&self, times: usize) {
        for n in 0..times {
            assert_eq!(self.mint(&format!("some-{n}"), ALICE, "1").await.status, 200);
        }
        self.holding(&format!("{}.0", 1000 + times)).await;
    }
}
