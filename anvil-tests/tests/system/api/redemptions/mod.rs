//! Redemptions over HTTP, on a real chain: what holders ask for, what is decided, and what is paid.

mod faults;
mod node;
mod refusals;
mod way;

use alloy::primitives::{B256, Bytes, U256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct;
use tokenx::local::suite;
use tokenx_contracts::bindings::{RedemptionDesk, RentDistributor, SecurityToken, TestUSD};
use tokenx_indexer::read;
use tokenx_keeper::{Contract, Redemption};

use super::tokens::life::{Life, REFUSES, tokens, usd};
use super::tokens::refused;
use super::*;

/// Who pays into funds.
pub(super) const TREASURY: Address = Address::repeat_byte(0x77);

/// The sample token, redeemed at 30 USDT out of a fund of 3,000; Dora has 100 in a wallet of her own.
pub(super) struct Desk {
    pub(super) life: Life,
    pub(super) token_id: String,
    pub(super) token: Address,
    /// Dora's access token, her key, and the id of its wallet.
    pub(super) dora: String,
    pub(super) key: PrivateKeySigner,
    pub(super) wallet: Value,
}

impl Desk {
    async fn open() -> Desk {
        Desk::funded(3_000).await
    }

    async fn funded(count: u64) -> Desk {
        let desk = Desk::of(|_| {}).await;
        desk.mint("units", &desk.wallet, "100").await;
        if count > 0 {
            desk.pay_in(count).await;
        }
        desk
    }

    /// The sample token, said otherwise, with no units and no funds.
    pub(super) async fn of(change: impl FnOnce(&mut Value)) -> Desk {
        let life = Life::start().await;
        let mut sample = life.ground.sample();
        change(&mut sample);
        let token_id = life.ground.add(&sample).await["id"].as_str().unwrap().to_owned();
        life.does(&token_id, "deploy", Role::Issuer, 4).await;
        let kit = life.kit();
        let instrument = read::instrument(&kit.pool, kit.settings.chain.chain_id, "TKN").await.unwrap().unwrap();
        let dora = kit.investor("dora").await;
        let key = PrivateKeySigner::random();
        let proof = kit.proof(&dora, &key).await;
        let wallet = kit.register(&dora, &proof).await["id"].clone();
        assert_eq!(kit.decide(&wallet, "approve", &json!({})).await.status, 202);
        kit.wallet_becomes(&dora, &wallet, "approved").await;
        let desk = Desk { token_id, token: instrument.token, dora, key, wallet, life };
        desk.follows().await;
        desk
    }

    pub(super) fn kit(&self) -> &Kit {
        self.life.kit()
    }

    pub(super) fn money(&self) -> Address {
        self.life.deployment.suite.payment_token.unwrap()
    }

    pub(super) fn at(&self) -> Address {
        self.life.deployment.nodes[0].node.contracts.redemption_desk
    }

    pub(super) async fn mint(&self, command_id: &str, wallet_id: &Value, amount: &str) {
        let body =
            json!({ "command_id": command_id, "instrument_id": "TKN", "wallet_id": wallet_id, "amount": amount });
        self.tokenizes("mint", body).await;
    }

    /// As the transfer agent, and waits until the chain has done it.
    pub(super) async fn tokenizes(&self, act: &str, body: Value) {
        let agent = self.kit().token(Role::TransferAgent);
        let answer = self.kit().post(&format!("/tokenization/{act}"), agent, &body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let path = format!("/api/admin/commands/{}", body["command_id"].as_str().unwrap());
        eventually(&format!("{path} is confirmed"), || async {
            let command = self.kit().get(&path, agent).await;
            let state = (command.status == 200).then(|| command.json()["state"].clone())?;
            assert_ne!(state, "failed", "{}", command.text);
            (state == "confirmed" || state == "final").then_some(())
        })
        .await;
    }

    /// Waits until the node's contracts say what record and price say.
    pub(super) async fn follows(&self) {
        eventually("terms are what the record says", || async {
            let due: i64 =
                sqlx::query_scalar("SELECT count(*) FROM token_terms_wanted WHERE wanted IS DISTINCT FROM said")
                    .fetch_one(&self.kit().pool)
                    .await
                    .unwrap();
            (due == 0).then_some(())
        })
        .await;
    }

    /// The treasury pays into the token's fund.
    pub(super) async fn pay_in(&self, count: u64) {
        let world = self.kit()._world.as_ref().unwrap();
        suite::give(&world.chain.url(), self.money(), &[(TREASURY, usd(count))]).await.unwrap();
        let (spender, value) = (self.at(), usd(count));
        self.kit().transact(TREASURY, self.money(), TestUSD::approveCall { spender, value }).await;
        let fund = RedemptionDesk::fundCall { token: self.token, paymentToken: self.money(), amount: value };
        self.kit().transact(TREASURY, spender, fund).await;
        eventually("the fund is indexed", || async {
            let funds = read::node::funds_of_token(&self.kit().pool, self.kit().settings.chain.chain_id, self.token);
            let funds = funds.await.unwrap();
            funds.iter().any(|fund| fund.contract == spender && fund.available >= value).then_some(())
        })
        .await;
    }

    /// One period of rent is paid in, and thus opened and paid: it was due long ago.
    pub(super) async fn rents(&self) {
        let distributor = self.life.deployment.nodes[0].node.contracts.rent_distributor;
        let world = self.kit()._world.as_ref().unwrap();
        suite::give(&world.chain.url(), self.money(), &[(TREASURY, usd(100))]).await.unwrap();
        let approve = TestUSD::approveCall { spender: distributor, value: usd(100) };
        self.kit().transact(TREASURY, self.money(), approve).await;
        let fund = RentDistributor::fundCall { token: self.token, paymentToken: self.money(), amount: usd(100) };
        self.kit().transact(TREASURY, distributor, fund).await;
    }

    /// What Dora's own key signs, as a request.
    pub(super) fn signed(&self, quantity: &str, min_price: Option<u64>, name: &str) -> Value {
        let whole: u64 = quantity.parse().unwrap();
        let redemption = Redemption {
            wallet: self.key.address(),
            quantity: tokens(whole),
            payment_token: self.money(),
            min_payout: usd(whole * min_price.unwrap_or_default()),
            deadline: U256::from(in_an_hour()),
            salt: keccak256(name),
        };
        self.body(quantity, min_price, &redemption)
    }

    fn body(&self, quantity: &str, min_price: Option<u64>, redemption: &Redemption) -> Value {
        let domain = Contract::RedemptionDesk.domain(self.kit().settings.chain.chain_id, self.at());
        let digest = redemption.of(self.token).eip712_signing_hash(&domain);
        let signature = Bytes::from(self.key.sign_hash_sync(&digest).unwrap().as_bytes());
        let mut body = json!({
            "instrument_id": "TKN",
            "wallet_id": self.wallet,
            "quantity": quantity,
            "intent": {
                "wallet": redemption.wallet,
                "token": self.token,
                "quantity": redemption.quantity.to_string(),
                "paymentToken": redemption.payment_token,
                "minPayout": redemption.min_payout.to_string(),
                "deadline": redemption.deadline.to_string(),
                "salt": redemption.salt,
            },
            "signature": signature,
        });
        if let Some(price) = min_price {
            body["min_price"] = price.into();
        }
        body
    }

    pub(super) async fn ask(&self, body: &Value) -> Answer {
        self.kit().post("/investor/redemptions", Some(&self.dora), body).await
    }

    /// Asks, and waits until the desk holds the units.
    pub(super) async fn holds(&self, body: &Value) -> Value {
        let answer = self.ask(body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let asked = answer.json();
        assert_eq!((&asked["status"], &asked["request_id"]), (&json!("requested"), &Value::Null));
        self.becomes(&asked["id"], "held").await
    }

    pub(super) async fn becomes(&self, id: &Value, status: &str) -> Value {
        self.becomes_to(&self.dora, id, status).await
    }

    /// The same as another party sees it.
    async fn becomes_to(&self, whom: &str, id: &Value, status: &str) -> Value {
        eventually(&format!("the redemption is {status}"), || async {
            let answer = self.kit().get("/investor/redemptions", Some(whom)).await;
            let page = (answer.status == 200).then(|| answer.json())?;
            let found = page["items"].as_array()?.iter().find(|item| item["id"] == *id)?.clone();
            (found["status"] == status).then_some(found)
        })
        .await
    }

    /// As the transfer agent.
    pub(super) async fn decide(&self, id: &Value, act: &str, body: &Value) -> Answer {
        let path = format!("/transfer-agent/redemptions/{}/{act}", id.as_str().unwrap());
        self.kit().post(&path, self.kit().token(Role::TransferAgent), body).await
    }

    async fn waiting(&self) -> Vec<Value> {
        let answer = self.kit().get("/transfer-agent/redemptions", self.kit().token(Role::TransferAgent)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["items"].as_array().unwrap().clone()
    }

    /// What the chain's newest state says.
    pub(super) async fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let call = json!([{ "to": to, "data": Bytes::from(call.abi_encode()) }, "latest"]);
        let answer = self.kit()._world.as_ref().unwrap().chain.rpc("eth_call", call).await.unwrap();
        let answer: Bytes = serde_json::from_value(answer).unwrap();
        C::abi_decode_returns(&answer).unwrap()
    }

    /// Units and money that a wallet has, and what the fund has left.
    async fn books(&self, account: Address) -> [U256; 3] {
        let units = self.view(self.token, SecurityToken::balanceOfCall { account }).await;
        let money = self.view(self.money(), TestUSD::balanceOfCall { account }).await;
        let call = RedemptionDesk::fundOfCall { token: self.token, paymentToken: self.money() };
        [units, money, self.view(self.at(), call).await.available]
    }

    pub(super) async fn end(self) {
        self.life.ground.kit.end().await;
    }
}

fn in_an_hour() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() + 3_600
}

pub(super) fn code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["reason_code"].as_str().unwrap_or_default().to_owned())
}
