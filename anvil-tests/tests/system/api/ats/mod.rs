//! Trading over HTTP, settled on a real chain.

mod events;
mod life;
mod many;
mod plain;
mod refusals;

use alloy::primitives::{B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct;
use tokenx::local::suite;
use tokenx_contracts::bindings::TestUSD;
use tokenx_contracts::ids::InstrumentId;
use tokenx_keeper::{Contract, MarketTerms, Order, Side, Trade};

use super::tokens::life::{Life, tokens, usd};
use super::*;

const REASON: B256 = B256::repeat_byte(3);

pub(crate) fn tkn() -> InstrumentId {
    InstrumentId::parse("TKN").unwrap()
}

/// A token that is offered to all and traded between 25.5 and 35.5, in whole tokens.
pub(crate) struct Floor {
    pub(crate) life: Life,
    pub(crate) offering: Value,
    pub(crate) token_id: String,
    pub(crate) token: Address,
    pub(crate) money: Address,
    pub(crate) market: Address,
}

/// An investor with one approved wallet.
#[derive(Clone)]
pub(crate) struct Trader {
    pub(crate) token: String,
    pub(crate) wallet_id: Value,
    pub(crate) wallet: Address,
    pub(crate) key: Option<PrivateKeySigner>,
}

impl Floor {
    pub(crate) async fn open() -> Floor {
        Floor::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Floor {
        let life = Life::with(change).await;
        let token_id = life.draft().await;
        let ground = &life.ground;
        assert_eq!(ground.change(&token_id, &json!({ "is_open_to_secondary_market": true })).await.status, 200);
        life.does(&token_id, "deploy", Role::Issuer, 4).await;
        let offering = ground.offer(&token_id, json!({ "exemption": "506c" })).await["id"].clone();
        ground.publish(&offering).await;
        ground.approve(&offering).await;
        ground.offering_becomes(&offering, "published").await;
        let (money, market) =
            (life.deployment.suite.payment_token.unwrap(), life.deployment.nodes[0].node.contracts.secondary_market);
        let shown = ground.show(&token_id, Role::Issuer).await.json();
        let token = shown["contract"]["address"].as_str().unwrap().parse().unwrap();
        let floor = Floor { life, offering, token_id, token, money, market };
        floor.trades_on("terms", true, 0).await;
        floor
    }

    pub(crate) fn kit(&self) -> &Kit {
        self.life.kit()
    }

    /// Sets the market's terms, and waits until the book says so.
    pub(crate) async fn trades_on(&self, name: &str, open: bool, fee_bps: u16) {
        self.sets_terms(name, |terms| (terms.open, terms.fee_bps) = (open, fee_bps)).await;
        eventually("the book knows", || async { (self.book().await["open"] == open).then_some(()) }).await;
    }

    /// Sets its usual terms, but for what is changed.
    pub(crate) async fn sets_terms(&self, name: &str, change: impl FnOnce(&mut MarketTerms)) {
        let mut terms = MarketTerms {
            payment_token: self.money,
            open: true,
            fee_bps: 0,
            lot: tokens(1),
            min_price: U256::from(25_500_000),
            max_price: U256::from(35_500_000),
        };
        change(&mut terms);
        self.life.runs(name, Trade::SetMarketTerms { instrument: tkn(), terms, reason: REASON }).await;
    }

    pub(crate) async fn book(&self) -> Value {
        let path = format!("/ats/orderbook/{}", self.offering.as_str().unwrap());
        let answer = self.kit().get(&path, self.kit().token(Role::Investor)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn trades(&self) -> Vec<Value> {
        let path = format!("/ats/trades?offering_id={}", self.offering.as_str().unwrap());
        let answer = self.kit().get(&path, self.kit().token(Role::Investor)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["items"].as_array().unwrap().clone()
    }

    /// An investor with a hosted wallet, or one of its own, that has so many tokens and so much money.
    pub(crate) async fn trader(&self, party_id: &str, own: bool, units: u64, money: u64) -> Trader {
        let kit = self.kit();
        let token = kit.investor(party_id).await;
        let key = own.then(PrivateKeySigner::random);
        let body = match &key {
            Some(key) => kit.proof(&token, key).await,
            None => json!({}),
        };
        let wallet = eventually("a wallet is registered", || async {
            let answer = kit.post("/investors/wallets", Some(&token), &body).await;
            (answer.status == 201).then(|| answer.json())
        })
        .await;
        assert_eq!(kit.decide(&wallet["id"], "approve", &json!({})).await.status, 202);
        kit.wallet_becomes(&token, &wallet["id"], "approved").await;
        let address: Address = wallet["address"].as_str().unwrap().parse().unwrap();
        if units > 0 {
            let body = json!({
                "command_id": format!("units-{party_id}"), "instrument_id": "TKN", "party_id": party_id,
                "amount": units.to_string(),
            });
            let minted = kit.post("/api/admin/mint", kit.token(Role::TransferAgent), &body).await;
            assert_eq!(minted.status, 200, "{}", minted.text);
            eventually("it has its tokens", || async { (self.units(address).await == tokens(units)).then_some(()) })
                .await;
            self.is_indexed(address, units).await;
        }
        if money > 0 {
            let url = kit._world.as_ref().unwrap().chain.url();
            suite::give(&url, self.money, &[(address, usd(money))]).await.unwrap();
        }
        Trader { token, wallet_id: wallet["id"].clone(), wallet: address, key }
    }

    async fn is_indexed(&self, wallet: Address, units: u64) {
        eventually("its tokens are indexed", || async {
            let held: Option<String> =
                sqlx::query_scalar("SELECT balance::text FROM holdings WHERE token = $1 AND wallet = $2")
                    .bind(self.token.as_slice())
                    .bind(wallet.as_slice())
                    .fetch_optional(&self.kit().pool)
                    .await
                    .unwrap();
            (held == Some(tokens(units).to_string())).then_some(())
        })
        .await;
    }

    pub(crate) async fn units(&self, wallet: Address) -> U256 {
        self.balance(self.token, wallet).await
    }

    pub(crate) async fn cash(&self, wallet: Address) -> U256 {
        self.balance(self.money, wallet).await
    }

    async fn balance(&self, token: Address, account: Address) -> U256 {
        let data = Bytes::from(TestUSD::balanceOfCall { account }.abi_encode());
        let chain = &self.kit()._world.as_ref().unwrap().chain;
        let answer = chain.rpc("eth_call", json!([{ "to": token, "data": data }, "latest"])).await.unwrap();
        let bytes: Bytes = serde_json::from_value(answer).unwrap();
        TestUSD::balanceOfCall::abi_decode_returns(&bytes).unwrap()
    }

    /// A limit order's body.
    pub(crate) fn limit(&self, trader: &Trader, id: &str, side: &str, quantity: u64, price: &str) -> Value {
        json!({
            "client_order_id": id, "offering_id": self.offering, "wallet_id": trader.wallet_id, "side": side,
            "type": "limit", "quantity": quantity.to_string(), "limit_price": price, "time_in_force": "gtc",
        })
    }

    pub(crate) async fn ask(&self, trader: &Trader, body: &Value) -> Answer {
        self.kit().post("/ats/orders", Some(&trader.token), body).await
    }

    /// Places an order that is taken.
    pub(crate) async fn place(&self, trader: &Trader, body: &Value) -> Value {
        let answer = self.ask(trader, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn order(&self, trader: &Trader, id: &Value) -> Value {
        let page = self.kit().get("/ats/orders?limit=1000", Some(&trader.token)).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        page["items"].as_array().unwrap().iter().find(|order| order["id"] == *id).unwrap().clone()
    }

    pub(crate) async fn becomes(&self, trader: &Trader, id: &Value, state: &str) -> Value {
        eventually(&format!("the order is {state}"), || async {
            let order = self.order(trader, id).await;
            (order["state"] == state).then_some(order)
        })
        .await
    }

    pub(crate) async fn cancel(&self, trader: &Trader, id: &Value) -> Answer {
        let path = format!("/ats/orders/{}", id.as_str().unwrap());
        self.kit().send(Method::DELETE, &path, Some(&trader.token), None).await
    }

    /// Waits until every trade has been settled, or has come to nothing.
    pub(crate) async fn all_settled(&self) -> Vec<Value> {
        eventually("every trade has been settled or refused", || async {
            let trades = self.trades().await;
            let over =
                |trade: &Value| trade["settlement"]["settled"] == true || trade["settlement"]["state"] == "failed";
            trades.iter().all(over).then_some(trades)
        })
        .await
    }

    /// The same order as its wallet's own key signs it, with an allowance for what it gives.
    pub(crate) async fn signed(&self, trader: &Trader, mut body: Value, terms: (Side, u64, u64)) -> Value {
        let (side, quantity, limit) = terms;
        let key = trader.key.as_ref().unwrap();
        let chain = &self.kit()._world.as_ref().unwrap().chain;
        let head = chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
        let now = u64::from_str_radix(head["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        let order = Order {
            wallet: trader.wallet,
            payment_token: self.money,
            quantity: tokens(quantity),
            limit_price: U256::from(limit),
            max_fee_bps: 100,
            valid_from: now - 60,
            expiry: now + 86_400,
            salt: B256::from(rand::random::<[u8; 32]>()),
        };
        let chain_id = self.kit().settings.chain.chain_id;
        let domain = Contract::SecondaryMarket.domain(chain_id, self.market);
        let digest = order.of(self.token, side).eip712_signing_hash(&domain);
        let hex = |hash: &B256| format!("0x{}", alloy::hex::encode(key.sign_hash_sync(hash).unwrap().as_bytes()));
        body["signature"] = hex(&digest).into();
        body["intent"] = json!({
            "wallet": order.wallet, "token": self.token, "paymentToken": self.money,
            "side": (side as u8).to_string(), "quantity": order.quantity.to_string(),
            "limitPrice": order.limit_price.to_string(), "maxFeeBps": "100",
            "validFrom": order.valid_from.to_string(), "expiry": order.expiry.to_string(), "salt": order.salt,
        });
        body
    }

    /// Lets the market take what the wallet gives, by a transaction of its own.
    pub(crate) async fn allows(&self, trader: &Trader) {
        for token in [self.token, self.money] {
            let call = TestUSD::approveCall { spender: self.market, value: U256::MAX };
            self.kit().transact(trader.wallet, token, call).await;
        }
    }

    pub(crate) async fn end(self) {
        self.life.ground.kit.end().await;
    }
}
