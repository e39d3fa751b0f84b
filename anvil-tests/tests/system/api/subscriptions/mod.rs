//! Subscriptions over HTTP, on a real chain: what investors ask to buy, and what they come to have.

mod faults;
mod race;
mod refusals;
mod way;

use alloy::primitives::{B256, Bytes, U256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolStruct, SolValue};
use tokenx::local::suite;
use tokenx_contracts::bindings::{SecurityToken, TestUSD};
use tokenx_indexer::read;
use tokenx_keeper::{Contract, Purchase};

use super::tokens::life::{Life, tokens, usd};
use super::tokens::refused;
use super::*;

/// What each wallet has at first, in USDT.
const MONEY: u64 = 5_000;

/// The sample token on sale at 30 USDT. Dora has a hosted wallet and one of her own, each with 5,000 USDT.
struct Fair {
    life: Life,
    offering: Value,
    token: Address,
    dora: Buyer,
}

/// An investor and its wallets.
struct Buyer {
    /// Its access token.
    token: String,
    /// Id and address of the wallet whose key is held here.
    hosted: (Value, Address),
    /// Key and id of its own wallet.
    own: (PrivateKeySigner, Value),
}

impl Fair {
    async fn open(terms: Value) -> Fair {
        Fair::with(terms, |_| {}).await
    }

    async fn with(terms: Value, change: impl FnOnce(&mut Settings)) -> Fair {
        let life = Life::with(change).await;
        let token_id = life.draft().await;
        life.does(&token_id, "deploy", Role::Issuer, 4).await;
        let kit = life.kit();
        let token = read::instrument(&kit.pool, kit.settings.chain.chain_id, "TKN").await.unwrap().unwrap().token;
        let offering = life.ground.offer(&token_id, terms).await["id"].clone();
        life.ground.publish(&offering).await;
        life.ground.approve(&offering).await;
        let money = life.deployment.suite.payment_token.unwrap();
        let (dora, _) = tokio::join!(buyer(kit, money, "dora"), life.ground.offering_becomes(&offering, "published"));
        Fair { offering, token, dora, life }
    }

    fn kit(&self) -> &Kit {
        self.life.kit()
    }

    fn money(&self) -> Address {
        self.life.deployment.suite.payment_token.unwrap()
    }

    fn listing(&self) -> Address {
        self.life.deployment.nodes[0].node.contracts.listing
    }

    async fn another(&self, party_id: &str) -> Buyer {
        buyer(self.kit(), self.money(), party_id).await
    }

    fn path(&self) -> String {
        format!("/offerings/{}/subscribe", self.offering.as_str().unwrap())
    }

    async fn ask(&self, whom: &Buyer, body: &Value) -> Answer {
        self.kit().post(&self.path(), Some(&whom.token), body).await
    }

    /// For a hosted wallet.
    fn hosted(whom: &Buyer, command_id: &str, quantity: u64) -> Value {
        json!({ "command_id": command_id, "wallet_id": whom.hosted.0, "quantity": quantity })
    }

    /// For a wallet that buys by itself.
    fn own(whom: &Buyer, command_id: &str, quantity: u64) -> Value {
        json!({ "command_id": command_id, "wallet_id": whom.own.1, "quantity": quantity })
    }

    /// What a wallet's own key signs, with what it lets the listing take.
    async fn signed(&self, whom: &Buyer, command_id: &str, quantity: u64) -> Value {
        self.signed_for(whom, command_id, quantity, (quantity * 30, in_an_hour())).await
    }

    async fn signed_for(&self, whom: &Buyer, command_id: &str, quantity: u64, (most, deadline): (u64, u64)) -> Value {
        let (key, wallet_id) = &whom.own;
        let purchase = Purchase {
            wallet: key.address(),
            quantity: tokens(quantity),
            payment_token: self.money(),
            max_cost: usd(most),
            deadline: U256::from(deadline),
            salt: keccak256(command_id),
        };
        let domain = Contract::Listing.domain(self.kit().settings.chain.chain_id, self.listing());
        let signature = sign(key, purchase.of(self.token).eip712_signing_hash(&domain));
        let (value, until) = (usd(most), U256::from(in_an_hour()));
        let permit = self.permit(key, value, until).await;
        json!({
            "command_id": command_id,
            "wallet_id": wallet_id,
            "quantity": quantity.to_string(),
            "intent": {
                "wallet": purchase.wallet,
                "token": self.token,
                "quantity": purchase.quantity.to_string(),
                "paymentToken": purchase.payment_token,
                "maxCost": purchase.max_cost.to_string(),
                "deadline": purchase.deadline.to_string(),
                "salt": purchase.salt,
            },
            "signature": signature,
            "permit": { "value": value.to_string(), "deadline": until.to_string(), "signature": permit },
        })
    }

    /// A permit for the listing, as the payment token has it signed (ERC-2612).
    async fn permit(&self, key: &PrivateKeySigner, value: U256, deadline: U256) -> Bytes {
        let owner = key.address();
        let nonce = self.view(self.money(), TestUSD::noncesCall { owner }).await;
        let separator = self.view(self.money(), TestUSD::DOMAIN_SEPARATORCall {}).await;
        let kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        let words = (kind, owner, self.listing(), value, nonce, deadline).abi_encode();
        sign(key, keccak256([&[0x19, 1], separator.as_slice(), keccak256(words).as_slice()].concat()))
    }

    /// Asks, and waits until it has come so far.
    async fn subscribes(&self, whom: &Buyer, body: &Value, status: &str) -> Value {
        let answer = self.ask(whom, body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        self.becomes(whom, &answer.json()["id"], status).await
    }

    async fn becomes(&self, whom: &Buyer, id: &Value, status: &str) -> Value {
        eventually(&format!("the subscription is {status}"), || async {
            let answer = self.kit().get("/investors/subscriptions", Some(&whom.token)).await;
            let page = (answer.status == 200).then(|| answer.json())?;
            let found = page["items"].as_array()?.iter().find(|item| item["id"] == *id)?.clone();
            (found["status"] == status).then_some(found)
        })
        .await
    }

    /// What the chain's newest state says.
    async fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let call = json!([{ "to": to, "data": Bytes::from(call.abi_encode()) }, "latest"]);
        let answer = self.kit()._world.as_ref().unwrap().chain.rpc("eth_call", call).await.unwrap();
        let answer: Bytes = serde_json::from_value(answer).unwrap();
        C::abi_decode_returns(&answer).unwrap()
    }

    /// Units and money that a wallet has.
    async fn books(&self, account: Address) -> [U256; 2] {
        let units = self.view(self.token, SecurityToken::balanceOfCall { account }).await;
        [units, self.view(self.money(), TestUSD::balanceOfCall { account }).await]
    }

    /// Waits until the party is told so of the end of what its wallet was to buy by itself, and once.
    async fn is_told(&self, id: &Value, kind: &str) -> Value {
        let heard = eventually("the end is told", || async {
            let heard: Vec<(String, Value)> =
                sqlx::query_as("SELECT kind, payload FROM outbox WHERE subject = 'subscription:' || $1 AND kind <> 'offering.subscribe'")
                    .bind(id.as_str().unwrap())
                    .fetch_all(&self.kit().pool)
                    .await
                    .unwrap();
            (!heard.is_empty()).then_some(heard)
        })
        .await;
        assert_eq!((heard.len(), heard[0].0.as_str()), (1, kind));
        heard[0].1.clone()
    }

    /// Reservations that are still open.
    async fn open_reservations(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM subscriptions_open").fetch_one(&self.kit().pool).await.unwrap()
    }

    async fn end(self) {
        self.life.ground.kit.end().await;
    }
}

/// An investor whose KYC is approved, with two wallets that are.
async fn buyer(kit: &Kit, money: Address, party_id: &str) -> Buyer {
    let token = kit.investor(party_id).await;
    let key = PrivateKeySigner::random();
    let proof = kit.proof(&token, &key).await;
    let own = kit.register(&token, &proof).await["id"].clone();
    let hosted = kit.register(&token, &json!({ "kind": "hosted" })).await;
    for id in [&own, &hosted["id"]] {
        assert_eq!(kit.decide(id, "approve", &json!({})).await.status, 202);
    }
    for id in [&own, &hosted["id"]] {
        kit.wallet_becomes(&token, id, "approved").await;
    }
    let address: Address = hosted["address"].as_str().unwrap().parse().unwrap();
    let gifts = [(key.address(), usd(MONEY)), (address, usd(MONEY))];
    let chain = &kit._world.as_ref().unwrap().chain;
    suite::give(&chain.url(), money, &gifts).await.unwrap();
    let given = chain.rpc("eth_blockNumber", json!([])).await.unwrap();
    let given = u64::from_str_radix(given.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    eventually("the gifts are indexed", || async {
        let cursor = read::cursor(&kit.pool, kit.settings.chain.chain_id).await.ok()??;
        (cursor.number >= given).then_some(())
    })
    .await;
    Buyer { token, hosted: (hosted["id"].clone(), address), own: (key, own) }
}

fn sign(key: &PrivateKeySigner, digest: B256) -> Bytes {
    key.sign_hash_sync(&digest).unwrap().as_bytes().into()
}

fn in_an_hour() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() + 3_600
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["reason_code"].as_str().unwrap_or_default().to_owned())
}
