//! Deals between two parties over HTTP, settled on a real chain.

mod events;
mod faults;
mod life;
mod refusals;

use alloy::primitives::{B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::sol_types::SolStruct;
use tokenx_contracts::bindings;
use tokenx_keeper::{Contract, OtcTerms, Trade};

use super::ats::{Floor, Trader, tkn};
use super::tokens::life::{tokens, usd};
use super::*;

const REASON: B256 = B256::repeat_byte(4);

/// A token that is offered to all and open to deals, for a fee of one in a hundred.
struct Counter {
    floor: Floor,
}

impl Counter {
    async fn open() -> Counter {
        Counter::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Counter {
        let floor = Box::pin(Floor::with(change)).await;
        let opened = floor.life.ground.change(&floor.token_id, &json!({ "is_open_to_otc": true })).await;
        assert_eq!(opened.status, 200, "{}", opened.text);
        let counter = Counter { floor };
        counter.is_said(true, 0).await;
        counter.deals_on("otc", true, 100).await;
        counter
    }

    fn kit(&self) -> &Kit {
        self.floor.kit()
    }

    fn desk(&self) -> Address {
        self.floor.life.deployment.nodes[0].node.contracts.otc_desk
    }

    /// Sets the desk's terms, and waits until they are known.
    async fn deals_on(&self, name: &str, open: bool, fee_bps: u16) {
        let terms = OtcTerms { open, fee_bps };
        self.floor.life.runs(name, Trade::SetOtcTerms { instrument: tkn(), terms, reason: REASON }).await;
        self.is_said(open, fee_bps).await;
    }

    async fn is_said(&self, open: bool, fee_bps: u16) {
        eventually("the desk's terms are known", || async {
            let last: Option<(bool, i32)> = sqlx::query_as(
                "SELECT is_open, fee_bps FROM otc_terms ORDER BY block_number DESC, log_index DESC LIMIT 1",
            )
            .fetch_optional(&self.kit().pool)
            .await
            .unwrap();
            (last == Some((open, i32::from(fee_bps)))).then_some(())
        })
        .await;
    }

    /// A proposal's body; `with` is a party's id or a wallet's address.
    fn body(&self, maker: &Trader, id: &str, side: &str, with: &str, quantity: u64, total: u64) -> Value {
        json!({
            "client_deal_id": id, "offering_id": self.floor.offering, "wallet_id": maker.wallet_id, "side": side,
            "counterparty": with, "quantity": quantity.to_string(), "total": total.to_string(),
        })
    }

    async fn ask(&self, maker: &Trader, body: &Value) -> Answer {
        self.kit().post("/otc/deals", Some(&maker.token), body).await
    }

    /// Proposes what is taken.
    async fn propose(&self, maker: &Trader, body: &Value) -> Value {
        let answer = self.ask(maker, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    async fn act(&self, party: &Trader, id: &Value, act: &str, body: &Value) -> Answer {
        self.kit().post(&format!("/otc/deals/{}/{act}", id.as_str().unwrap()), Some(&party.token), body).await
    }

    async fn accept(&self, taker: &Trader, id: &Value) -> Answer {
        self.act(taker, id, "accept", &json!({ "wallet_id": taker.wallet_id })).await
    }

    async fn agree(&self, taker: &Trader, id: &Value) -> Value {
        let answer = self.accept(taker, id).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()
    }

    async fn cancel(&self, party: &Trader, id: &Value) -> Answer {
        self.act(party, id, "cancel", &json!({})).await
    }

    async fn deal(&self, party: &Trader, id: &Value) -> Value {
        let answer = self.kit().get(&format!("/otc/deals/{}", id.as_str().unwrap()), Some(&party.token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn becomes(&self, party: &Trader, id: &Value, state: &str) -> Value {
        eventually(&format!("the deal is {state}"), || async {
            let deal = self.deal(party, id).await;
            (deal["state"] == state).then_some(deal)
        })
        .await
    }

    async fn listed(&self, party: &Trader, query: &str) -> Vec<Value> {
        let page = self.kit().get(&format!("/otc/deals{query}"), Some(&party.token)).await;
        assert_eq!(page.status, 200, "{}", page.text);
        page.json()["items"].as_array().unwrap().clone()
    }

    /// What both have, in tokens and dollars.
    async fn books(&self, one: &Trader, other: &Trader) -> [U256; 4] {
        let floor = &self.floor;
        let (units, money) = (floor.units(one.wallet).await, floor.cash(one.wallet).await);
        [units, money, floor.units(other.wallet).await, floor.cash(other.wallet).await]
    }

    /// How often the desk's log says that it has settled.
    async fn settlements(&self) -> usize {
        use alloy::sol_types::SolEvent;
        let topic = bindings::OtcDesk::DealSettled::SIGNATURE_HASH;
        let filter = json!([{ "address": self.desk(), "fromBlock": "0x0", "topics": [topic] }]);
        let logs = self.kit()._world.as_ref().unwrap().chain.rpc("eth_getLogs", filter).await.unwrap();
        logs.as_array().unwrap().len()
    }

    /// Signs a deal's message with the wallet's own key.
    fn sign(&self, signer: &Trader, message: &bindings::Deal) -> Bytes {
        let domain = Contract::OtcDesk.domain(self.kit().settings.chain.chain_id, self.desk());
        let digest = message.eip712_signing_hash(&domain);
        signer.key.as_ref().unwrap().sign_hash_sync(&digest).unwrap().as_bytes().into()
    }

    /// The same with intent and signature.
    async fn signed(&self, maker: &Trader, mut body: Value, taker: Address) -> Value {
        let chain = &self.kit()._world.as_ref().unwrap().chain;
        let head = chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
        let now = u64::from_str_radix(head["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        let sells = body["side"] == "sell";
        let (seller, buyer) = if sells { (maker.wallet, taker) } else { (taker, maker.wallet) };
        let whole = |name: &str| body[name].as_str().unwrap().parse::<u64>().unwrap();
        let message = bindings::Deal {
            token: self.floor.token,
            seller,
            buyer,
            quantity: tokens(whole("quantity")),
            paymentToken: self.floor.money,
            payment: usd(whole("total")),
            maxFeeBps: 100,
            validFrom: now - 60,
            deadline: now + 86_400,
            terms: B256::ZERO,
            salt: B256::from(rand::random::<[u8; 32]>()),
        };
        body["signature"] = json!(self.sign(maker, &message));
        body["intent"] = json!({
            "token": message.token, "seller": seller, "buyer": buyer, "quantity": message.quantity.to_string(),
            "paymentToken": message.paymentToken, "payment": message.payment.to_string(), "maxFeeBps": "100",
            "validFrom": message.validFrom.to_string(), "deadline": message.deadline.to_string(),
            "terms": message.terms, "salt": message.salt,
        });
        body
    }

    /// An acceptance as the taker's own wallet signs it: what the deal shows, word for word.
    fn countersigned(&self, taker: &Trader, deal: &Value) -> Value {
        let mut intent = deal["message"].clone();
        for name in ["desk", "digest"] {
            intent.as_object_mut().unwrap().remove(name);
        }
        let digest: B256 = deal["message"]["digest"].as_str().unwrap().parse().unwrap();
        let signature = Bytes::from(taker.key.as_ref().unwrap().sign_hash_sync(&digest).unwrap().as_bytes());
        json!({ "wallet_id": taker.wallet_id, "intent": intent, "signature": signature })
    }

    /// Lets the desk take what the wallet gives, by a transaction of its own.
    async fn allows(&self, trader: &Trader) {
        for token in [self.floor.token, self.floor.money] {
            let call = bindings::TestUSD::approveCall { spender: self.desk(), value: U256::MAX };
            self.kit().transact(trader.wallet, token, call).await;
        }
    }

    async fn end(self) {
        self.floor.end().await;
    }
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["reason_code"].as_str().unwrap_or_default().to_owned())
}
