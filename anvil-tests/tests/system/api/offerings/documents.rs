//! Documents of tokens and offerings, and their hashes in the token's contract.

use alloy::primitives::{B256, Bytes};
use sha2::{Digest, Sha256};
use tokenx_contracts::bindings::SecurityToken;
use tokenx_indexer::read as chain;

use super::super::tokens::files::{BOUNDARY, Form, PDF};
use super::*;

/// Another one.
const SECOND: &[u8] = b"%PDF-1.7\n2 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";
const PUBLIC: &str = "https://api.example.com";

impl Ground {
    pub(super) async fn bring(&self, path: &str, token: Option<&str>, bytes: &[u8]) -> Answer {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let form = Form::default().file(bytes, "prospectus.pdf").body();
        let request = self.kit.client.post(format!("{}{path}/documents", self.kit.url)).header("content-type", kind);
        read(token.iter().fold(request.body(form), reqwest::RequestBuilder::bearer_auth)).await
    }

    /// The newest document of an offering.
    async fn document(&self, id: &Value) -> Value {
        self.offering(id).await["documents"].as_array().unwrap().last().unwrap().clone()
    }
}

impl Life {
    /// The hash that the token's contract has under a document's name.
    async fn on_chain(&self, file_id: &Value) -> B256 {
        let (pool, chain_id) = (&self.kit().pool, self.kit().settings.chain.chain_id);
        let token = chain::instrument(pool, chain_id, "TKN").await.unwrap().unwrap().token;
        let name = B256::right_padding_from(file_id.as_str().unwrap().as_bytes());
        let data = Bytes::from(SecurityToken::documentOfCall { name }.abi_encode());
        let call = json!([{ "to": token, "data": data }, "latest"]);
        let chain = &self.kit()._world.as_ref().unwrap().chain;
        let answer: Bytes = serde_json::from_value(chain.rpc("eth_call", call).await.unwrap()).unwrap();
        SecurityToken::documentOfCall::abi_decode_returns(&answer).unwrap()._0
    }

    pub(super) async fn has_on_chain(&self, file_id: &Value, hash: B256) {
        eventually(&format!("the contract's hash of {file_id} is {hash}"), || async {
            (self.on_chain(file_id).await == hash).then_some(())
        })
        .await;
    }
}

pub(super) fn hash(bytes: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_documents_hash_is_named_by_the_tokens_contract_whenever_the_document_came() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::with(|settings| settings.files.path = folder.path().join("files")).await;
    let ground = &life.ground;
    let token_id = life.draft().await;
    let token = format!("/v2/admin/token/{token_id}");
    let issuer = ground.kit.token(Role::Issuer);
    let early = ground.bring(&token, issuer, PDF).await.json()["meta"]["documents"][0]["id"].clone();
    let id = ground.offer(&token_id, json!({ "exemption": "506c" })).await["id"].clone();
    assert_eq!(ground.bring(&place(&id), issuer, PDF).await.status, 201);
    assert!(ground.document(&id).await["anchor"].is_null(), "there is no contract yet");
    life.does(&token_id, "deploy", Role::Issuer, 4).await;
    life.has_on_chain(&early, hash(PDF)).await;
    let late = ground.bring(&token, issuer, SECOND).await.json()["meta"]["documents"][1]["id"].clone();
    life.has_on_chain(&late, hash(SECOND)).await;

    let document = eventually("the offering's document says where it is anchored", || async {
        let document = ground.document(&id).await;
        (document["anchor"]["state"] == "confirmed" || document["anchor"]["state"] == "final").then_some(document)
    })
    .await;
    assert_eq!(life.on_chain(&document["id"]).await, hash(PDF));
    assert_eq!(document["anchor"]["command_id"], format!("anchor:{}:-:1", document["id"].as_str().unwrap()));
    let chain = &life.kit()._world.as_ref().unwrap().chain;
    let receipt =
        chain.rpc("eth_getTransactionReceipt", json!([document["anchor"]["transaction_hash"]])).await.unwrap();
    assert_eq!(receipt["status"], "0x1");

    // What is taken away is taken back there, and nothing else is.
    let remove = async |path: String| ground.kit.send(Method::DELETE, &path, issuer, None).await.status;
    assert_eq!(remove(format!("{token}/documents/{}", early.as_str().unwrap())).await, 200);
    life.has_on_chain(&early, B256::ZERO).await;
    assert_eq!(remove(format!("{}/documents/{}", place(&id), document["id"].as_str().unwrap())).await, 200);
    life.has_on_chain(&document["id"], B256::ZERO).await;
    assert_eq!(life.on_chain(&late).await, hash(SECOND));
    eventually("the offering's document says so", || async {
        (ground.document(&id).await["removal"]["transaction_hash"].is_string()).then_some(())
    })
    .await;
    let asked: Vec<(String, i64)> =
        sqlx::query_as("SELECT kind, count(*) FROM commands WHERE kind LIKE '%_document' GROUP BY kind ORDER BY kind")
            .fetch_all(&ground.kit.pool)
            .await
            .unwrap();
    assert_eq!(asked, [("remove_document".to_owned(), 2), ("set_document".to_owned(), 3)]);
    life.ground.kit.end().await;
}

#[tokio::test]
async fn an_offerings_documents_are_its_own_and_stay_while_it_is_decided_on() {
    let folder = tempfile::tempdir().unwrap();
    let kit = Kit::bare_with(|settings| {
        settings.files.path = folder.path().join("files");
        settings.server.public_url = Some(format!("{PUBLIC}/"));
    });
    let ground = Ground::on(kit.await).await;
    let token = ground.add(&ground.sample()).await;
    let id = ground.offer(token["id"].as_str().unwrap(), json!({})).await["id"].clone();
    let (kit, issuer, path) = (&ground.kit, ground.kit.token(Role::Issuer), place(&id));
    let stranger = ground.stranger().await;
    for (token, status) in [
        (None, 401),
        (Some(stranger.as_str()), 404),
        (kit.token(Role::Investor), 403),
        (kit.token(Role::TransferAgent), 403),
    ] {
        assert_eq!(ground.bring(&path, token, PDF).await.status, status);
    }
    assert_eq!(refused(&ground.bring(&path, issuer, b"<html>").await), ["file"]);
    let brought = ground.bring(&path, issuer, PDF).await;
    assert_eq!((brought.status.as_u16(), brought.header("etag")), (201, Some("\"2\"")), "{}", brought.text);
    let again = ground.bring(&path, issuer, PDF).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (200, Some("\"2\"")));
    let document = ground.document(&id).await;
    let named = ["name", "type", "hash", "anchor", "removal", "deleted_at"].map(|name| document[name].clone());
    let expected = [json!("prospectus.pdf"), json!(1), json!(hex(PDF)), Value::Null, Value::Null, Value::Null];
    assert_eq!(named, expected);
    assert_eq!(ground.show(token["id"].as_str().unwrap(), Role::Issuer).await.json()["meta"]["documents"], json!([]));

    let link = document["url"].as_str().unwrap().strip_prefix(PUBLIC).unwrap().to_owned();
    let bare = link.split('?').next().unwrap();
    assert_eq!(kit.get(&link, None).await.text.as_bytes(), PDF);
    for (token, status) in
        [(None, 404), (Some(stranger.as_str()), 404), (kit.token(Role::Investor), 404), (issuer, 200)]
    {
        assert_eq!(kit.get(bare, token).await.status, status);
    }
    // As if it waited for a decision, which takes a token that is deployed.
    sqlx::query("UPDATE offerings SET state = 'pending_approval', published_by = 'user:x', published_at = now()")
        .execute(&kit.pool)
        .await
        .unwrap();
    let entry = format!("{path}/documents/{}", document["id"].as_str().unwrap());
    assert_eq!(ground.bring(&path, issuer, SECOND).await.status, 409);
    assert_eq!(kit.send(Method::DELETE, &entry, issuer, None).await.status, 409);
    sqlx::query("UPDATE offerings SET state = 'rejected', rejection = 'no'").execute(&kit.pool).await.unwrap();
    assert_eq!(kit.send(Method::DELETE, &entry, Some(&stranger), None).await.status, 404);
    let removed = kit.send(Method::DELETE, &entry, issuer, None).await;
    assert!(removed.json()["documents"][0]["deleted_at"].is_string(), "{}", removed.text);
    assert_eq!(kit.send(Method::DELETE, &entry, issuer, None).await.status, 404);
    assert_eq!(kit.get(&link, issuer).await.status, 404);
    ground.kit.end().await;
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", hash(bytes))
}
