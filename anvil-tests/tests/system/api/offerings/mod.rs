//! Offerings from their draft to the sale, over HTTP.

mod crash;
mod decisions;
mod documents;
mod listing;
mod records;

use super::tokens::life::Life;
use super::tokens::{Ground, refused};
use super::*;

impl Ground {
    /// An offering of a token, as its issuer makes it.
    pub(crate) async fn offer(&self, token_id: &str, body: Value) -> Value {
        let answer = self.ask_to_offer(token_id, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let offering = answer.json();
        let location = format!("/offerings/{}", offering["id"].as_str().unwrap());
        assert_eq!(answer.header("location"), Some(location.as_str()));
        offering
    }

    pub(crate) async fn ask_to_offer(&self, token_id: &str, mut body: Value) -> Answer {
        body["token_id"] = token_id.into();
        self.kit.post("/offerings", self.kit.token(Role::Issuer), &body).await
    }

    pub(crate) async fn offering(&self, id: &Value) -> Value {
        let answer = self.kit.get(&place(id), self.kit.token(Role::Issuer)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Changes the newest version.
    pub(crate) async fn amend(&self, id: &Value, body: &Value) -> Answer {
        let read = self.kit.get(&place(id), self.kit.token(Role::Issuer)).await;
        self.amend_version(id, read.header("etag"), body).await
    }

    pub(crate) async fn amend_version(&self, id: &Value, version: Option<&str>, body: &Value) -> Answer {
        let mut request = self.kit.client.patch(format!("{}{}", self.kit.url, place(id)));
        if let Some(version) = version {
            request = request.header("if-match", version);
        }
        let request = request.bearer_auth(self.kit.token(Role::Issuer).unwrap());
        read(request.header("content-type", "application/json").body(body.to_string())).await
    }

    pub(crate) async fn decide(&self, id: &Value, act: &str, token: Option<&str>) -> Answer {
        self.kit.send(Method::POST, &format!("{}/{act}", place(id)), token, None).await
    }

    pub(crate) async fn publish(&self, id: &Value) {
        let answer = self.decide(id, "publish", self.kit.token(Role::Issuer)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("pending_approval")));
    }

    pub(crate) async fn approve(&self, id: &Value) -> Value {
        let answer = self.decide(id, "approve", self.kit.token(Role::SuperAdmin)).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn offering_becomes(&self, id: &Value, status: &str) -> Value {
        eventually(&format!("the offering is {status}"), || async {
            let offering = self.offering(id).await;
            (offering["status"] == status).then_some(offering)
        })
        .await
    }

    /// A second super admin.
    pub(crate) async fn another_admin(&self) -> String {
        self.kit.add_user("another@example.org", Role::SuperAdmin).await;
        self.kit.log_in("another@example.org").await["access_token"].as_str().unwrap().to_owned()
    }
}

impl Life {
    /// The sample token, deployed.
    async fn deployed(&self) -> String {
        let token_id = self.draft().await;
        self.does(&token_id, "deploy", Role::Issuer, 4).await;
        token_id
    }
}

fn place(id: &Value) -> String {
    format!("/offerings/{}", id.as_str().unwrap())
}
