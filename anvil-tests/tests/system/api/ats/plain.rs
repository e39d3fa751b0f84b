//! Orders paid for in a token that knows no permit: a hosted wallet approves by itself, and who holds his own key is told what
//! to send.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Bytes, TxKind};
use tokenx_contracts::bindings::PlainUSD;

use super::*;

impl Floor {
    /// A floor whose payment token knows permits no longer: it keeps what it says of whom.
    async fn plain() -> Floor {
        let floor = Floor::open().await;
        floor.rpc("anvil_setCode", json!([floor.money, PlainUSD::DEPLOYED_BYTECODE])).await;
        floor
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        self.kit()._world.as_ref().unwrap().chain.rpc(method, params).await.unwrap()
    }

    async fn approval(&self, token: &str, wallet_id: &Value, rest: &str) -> Answer {
        let (wallet, offering) = (wallet_id.as_str().unwrap(), self.offering.as_str().unwrap());
        let path = format!("/investors/wallets/{wallet}/approval?offering_id={offering}&contract={rest}");
        self.kit().get(&path, Some(token)).await
    }

    /// What is to be sent so that the market may take so much.
    async fn to_send(&self, trader: &Trader, amount: &str) -> Value {
        let answer =
            self.approval(&trader.token, &trader.wallet_id, &format!("secondary_market&amount={amount}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Signs a transaction as it was told with the wallet's own key, sends it, and waits for its block.
    async fn sends(&self, trader: &Trader, told: &Value) {
        self.rpc("anvil_setBalance", json!([trader.wallet, "0xde0b6b3a7640000"])).await;
        let nonce: U256 =
            serde_json::from_value(self.rpc("eth_getTransactionCount", json!([trader.wallet, "latest"])).await)
                .unwrap();
        assert_eq!(told["from"].as_str().unwrap().parse::<Address>().unwrap(), trader.wallet);
        let transaction = TxEip1559 {
            chain_id: told["chain_id"].as_u64().unwrap(),
            nonce: nonce.to(),
            gas_limit: 100_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(told["to"].as_str().unwrap().parse().unwrap()),
            value: told["value"].as_str().unwrap().parse().unwrap(),
            access_list: Default::default(),
            input: told["data"].as_str().unwrap().parse().unwrap(),
        };
        let signature = trader.key.as_ref().unwrap().sign_hash_sync(&transaction.signature_hash()).unwrap();
        let raw = Bytes::from(TxEnvelope::from(transaction.into_signed(signature)).encoded_2718());
        let hash = self.rpc("eth_sendRawTransaction", json!([raw])).await;
        eventually("it is in a block", || async {
            let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await;
            assert_ne!(receipt["status"], "0x0", "the token refused");
            receipt["status"].is_string().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permits_a_hosted_buyer_approves_by_itself_and_another_one_is_told_what_to_send() {
    let floor = Floor::plain().await;
    let anna = floor.trader("anna", false, 20, 0).await;
    let ben = floor.trader("ben", false, 0, 1_000).await;
    let dora = floor.trader("dora", true, 0, 1_000).await;
    let sell = floor.place(&anna, &floor.limit(&anna, "sell", "sell", 20, "30")).await;
    floor.becomes(&anna, &sell["id"], "open").await;

    let buy = floor.place(&ben, &floor.limit(&ben, "buy", "buy", 5, "30")).await;
    floor.becomes(&ben, &buy["id"], "filled").await;
    let trades = floor.all_settled().await;
    assert_eq!(trades[0]["settlement"]["settled"], true, "{trades:?}");
    assert_eq!((floor.units(ben.wallet).await, floor.cash(ben.wallet).await), (tokens(5), usd(850)));
    let sent: U256 =
        serde_json::from_value(floor.rpc("eth_getTransactionCount", json!([ben.wallet, "latest"])).await).unwrap();
    assert_eq!(sent, U256::ONE);

    // Dora holds her own key: without an allowance she can pay nothing.
    let signed = |id: &'static str, quantity: u64| {
        let body = floor.limit(&dora, id, "buy", quantity, "30");
        floor.signed(&dora, body, (Side::Buy, quantity, 30_000_000))
    };
    let refused = floor.ask(&dora, &signed("too-soon", 5).await).await;
    assert_eq!((refused.status.as_u16(), refused.text.contains("INSUFFICIENT_FUNDS")), (422, true), "{}", refused.text);
    let told = floor.to_send(&dora, "151.5").await;
    let list = told["transactions"].as_array().unwrap();
    assert_eq!((list.len(), &told["allowance"]), (1, &json!("0.0")), "{told}");
    let call = TestUSD::approveCall { spender: floor.market, value: U256::from(151_500_000) };
    assert_eq!(list[0]["data"].as_str().unwrap(), Bytes::from(call.abi_encode()).to_string());
    floor.sends(&dora, &list[0]).await;
    let buy = eventually("the order is taken", || async {
        let answer = floor.ask(&dora, &signed("bought", 5).await).await;
        (answer.status == 201).then(|| answer.json())
    })
    .await;
    floor.becomes(&dora, &buy["id"], "filled").await;
    let trades = floor.all_settled().await;
    assert!(trades.iter().all(|trade| trade["settlement"]["settled"] == true), "{trades:?}");
    assert_eq!((floor.units(dora.wallet).await, floor.cash(dora.wallet).await), (tokens(5), usd(850)));

    // What is left of it is taken back before more is allowed, and what is enough is left as it is.
    let told = eventually("what she has paid is known", || async {
        let told = floor.to_send(&dora, "300").await;
        (told["allowance"] == "1.5").then_some(told)
    })
    .await;
    let list = told["transactions"].as_array().unwrap();
    assert_eq!(list.len(), 2, "{told}");
    for one in list {
        floor.sends(&dora, one).await;
    }
    eventually("there is nothing more to send", || async {
        (floor.to_send(&dora, "300").await["transactions"] == json!([])).then_some(())
    })
    .await;

    for (rest, status) in [
        ("listing&amount=1", 200),
        ("otc_desk&amount=1", 422),
        ("fee_vault&amount=1", 400),
        ("secondary_market&amount=1.0000001", 400),
        ("secondary_market&amount=-1", 400),
        ("secondary_market", 400),
    ] {
        let answer = floor.approval(&dora.token, &dora.wallet_id, rest).await;
        assert_eq!(answer.status, status, "{rest}: {}", answer.text);
    }
    let rest = "secondary_market&amount=1";
    assert_eq!(floor.approval(&ben.token, &ben.wallet_id, rest).await.status, 409, "its key is held here");
    assert_eq!(floor.approval(&ben.token, &dora.wallet_id, rest).await.status, 404, "it is another one's");
    floor.end().await;
}
