//! A portfolio beside figures that were worked out by hand, on a real chain.

use alloy::primitives::{B256, Bytes, U256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct;
use tokenx::local::suite;
use tokenx_contracts::bindings::{Listing, OtcDesk, SecurityToken, TestUSD};
use tokenx_contracts::ids::InstrumentId;
use tokenx_keeper::{Contract, Deal, ListingTerms, Sale};

use super::redemptions::Desk;
use super::tokens::life::{tokens, usd};
use super::*;

/// A second that no test gets to.
const NEVER_OVER: u64 = 4_000_000_000;

struct Market {
    desk: Desk,
    erin: String,
    erins: PrivateKeySigner,
}

impl Market {
    /// The sample token is on sale at 30 and open to deals; Dora and Erin have 1,000 USDT each, in wallets of their own.
    async fn open() -> Market {
        let desk = Box::pin(Desk::of(|token| token["is_open_to_otc"] = json!(true))).await;
        let kit = desk.kit();
        let erin = kit.investor("erin").await;
        let erins = PrivateKeySigner::random();
        let proof = kit.proof(&erin, &erins).await;
        let wallet = kit.register(&erin, &proof).await["id"].clone();
        assert_eq!(kit.decide(&wallet, "approve", &json!({})).await.status, 202);
        kit.wallet_becomes(&erin, &wallet, "approved").await;
        let instrument = || InstrumentId::parse("TKN").unwrap();
        let terms = ListingTerms {
            payment_token: desk.money(),
            price: usd(30),
            opens_at: 0,
            closes_at: 0,
            min_purchase: tokens(1),
            max_purchase: tokens(500),
            max_fees: U256::ZERO,
            salable_bps: 8_000,
        };
        let reason = B256::ZERO;
        desk.life.runs("terms", Sale::SetListingTerms { instrument: instrument(), terms, reason }).await;
        desk.life.runs("listing", Sale::List { instrument: instrument(), reason }).await;
        let gifts = [(desk.key.address(), usd(1_000)), (erins.address(), usd(1_000))];
        suite::give(&kit._world.as_ref().unwrap().chain.url(), desk.money(), &gifts).await.unwrap();
        Market { desk, erin, erins }
    }

    fn contracts(&self) -> tokenx_keeper::deploy::Implementations {
        self.desk.life.deployment.nodes[0].node.contracts
    }

    async fn allows(&self, owner: Address, token: Address, spender: Address, value: U256) {
        self.desk.kit().transact(owner, token, TestUSD::approveCall { spender, value }).await;
    }

    async fn buys(&self, count: u64) {
        let (dora, money) = (self.desk.key.address(), self.desk.money());
        let (listing, cost) = (self.contracts().listing, usd(30 * count));
        self.allows(dora, money, listing, cost).await;
        let (token, quantity) = (self.desk.token, tokens(count));
        let buy = Listing::buyCall { token, quantity, paymentToken: money, maxCost: cost };
        self.desk.kit().transact(dora, listing, buy).await;
    }

    /// Dora sells to Erin, over the counter.
    async fn deals(&self, count: u64, payment: u64) {
        let (dora, erin) = (self.desk.key.address(), self.erins.address());
        let (desk, token) = (self.contracts().otc_desk, self.desk.token);
        self.allows(dora, token, desk, tokens(count)).await;
        self.allows(erin, self.desk.money(), desk, usd(payment)).await;
        let deal = Deal {
            seller: dora,
            buyer: erin,
            quantity: tokens(count),
            payment_token: self.desk.money(),
            payment: usd(payment),
            max_fee_bps: 0,
            valid_from: 0,
            deadline: NEVER_OVER,
            terms: B256::ZERO,
            salt: keccak256("deal"),
        };
        let domain = Contract::OtcDesk.domain(self.desk.kit().settings.chain.chain_id, desk);
        let digest = deal.of(token).eip712_signing_hash(&domain);
        let signature = Bytes::from(self.erins.sign_hash_sync(&digest).unwrap().as_bytes());
        // Who calls need not sign.
        let settle =
            OtcDesk::settleCall { deal: deal.of(token), sellerSignature: Bytes::new(), buyerSignature: signature };
        self.desk.kit().transact(dora, desk, settle).await;
    }

    async fn portfolio(&self, token: &str) -> Value {
        let answer = self.desk.kit().get("/investors/portfolio", Some(token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Dora's position in the token, once it is so.
    async fn position(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async {
            let answer = self.desk.kit().get("/investors/portfolio", Some(&self.desk.dora)).await;
            let page = (answer.status == 200).then(|| answer.json())?;
            let found = page["items"].as_array()?.iter().find(|item| item["instrument_id"] == "TKN")?.clone();
            so(&found).then_some(found)
        })
        .await
    }
}

/// The one sum of a list, none = null.
fn sum(list: &Value) -> Value {
    let list = list.as_array().unwrap();
    assert!(list.len() <= 1, "{list:?}");
    list.first().map_or(Value::Null, |sum| sum["amount"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_party_has_cost_and_earned_is_what_the_events_of_the_chain_add_up_to() {
    let market = Market::open().await;
    let (desk, dora) = (&market.desk, market.desk.key.address());
    let kit = desk.kit();
    assert_eq!(market.portfolio(&market.erin).await["items"], json!([]), "nothing yet");

    // 10 for nothing, 20 for 600: each costs 20.
    desk.mint("gift", &desk.wallet, "10").await;
    market.buys(20).await;
    let bought = market.position("she has 30", |item| item["quantity"] == "30.0").await;
    assert_eq!((sum(&bought["cost_basis"]), &bought["value"]["amount"]), (json!(600), &json!(900)));
    assert_eq!((sum(&bought["unrealised_pnl"]), sum(&bought["realised_pnl"])), (json!(300), Value::Null));
    assert_eq!((&bought["nav"]["amount"], &bought["nav_source"]), (&json!(30), &json!("token_price")));

    // Five are given away, and take 100 along; five are sold for 200, which had cost 100.
    let transfer = SecurityToken::transferCall { to: desk.life.alice, value: tokens(5) };
    kit.transact(dora, desk.token, transfer).await;
    market.deals(5, 200).await;
    let sold = market.position("she has 20", |item| item["quantity"] == "20.0").await;
    assert_eq!((sum(&sold["cost_basis"]), sum(&sold["realised_pnl"])), (json!(400), json!(100)));

    // Ten are redeemed at 28.5.
    desk.pay_in(1_000).await;
    let held = desk.holds(&desk.signed("10", None, "ten")).await;
    let holding = market.position("ten are held", |item| item["locked"] == "10.0").await;
    assert_eq!((&holding["spendable"], &holding["quantity"]), (&json!("10.0"), &json!("20.0")));
    assert_eq!(desk.decide(&held["id"], "approve", &json!({ "price": 28.5 })).await.status, 202);
    desk.becomes(&held["id"], "paid").await;
    let redeemed = market.position("she has 10", |item| item["quantity"] == "10.0").await;
    assert_eq!((sum(&redeemed["cost_basis"]), sum(&redeemed["realised_pnl"])), (json!(200), json!(185)));

    // All the rent is hers: the others have too little to earn.
    desk.rents().await;
    let price = json!({ "price": 32, "source": "appraisal" });
    let path = format!("/v2/admin/token/{}/prices", desk.token_id);
    assert_eq!(kit.post(&path, kit.token(Role::Issuer), &price).await.status, 201);
    let paid = market.position("the rent is paid", |item| !sum(&item["rent_received"]).is_null()).await;
    assert_eq!(sum(&paid["rent_received"]), json!(99.999_999));
    assert_eq!((sum(&paid["unrealised_pnl"]), &paid["value"]["amount"]), (json!(120), &json!(320)));
    assert_eq!(&paid["nav_source"], "appraisal");

    // What is asked for and not done is reserved.
    let rpc = |method: &'static str, params| kit._world.as_ref().unwrap().chain.rpc(method, params);
    rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    assert_eq!(desk.ask(&desk.signed("4", None, "four")).await.status, 202);
    let reserved = market.position("four are reserved", |item| item["reserved"] == "4.0").await;
    assert_eq!((&reserved["spendable"], &reserved["wallets"][0]["reserved"]), (&json!("10.0"), &json!("4.0")));
    rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    market.position("four are held", |item| item["locked"] == "4.0" && item["reserved"] == "0.0").await;

    let whole = market.portfolio(&desk.dora).await;
    assert!(whole["as_of"]["block_number"].is_u64());
    let total = &whole["totals"][0];
    let figure = |name: &str| total[name]["amount"].clone();
    assert_eq!(
        ["value", "cost_basis", "unrealised_pnl", "realised_pnl", "rent_received"].map(figure),
        [json!(320), json!(200), json!(120), json!(185), json!(99.999_999)]
    );
    assert_eq!((&total["currency"], whole["totals"].as_array().unwrap().len()), (&json!("USDT"), 1));
    let balance = desk.view(desk.token, SecurityToken::balanceOfCall { account: dora }).await;
    assert_eq!(balance, tokens(10), "the chain's own");

    // Erin has paid more than it is worth now; what Alice was given cost her nothing, and nobody says what rCC is worth.
    let erins = market.portfolio(&market.erin).await["items"][0].clone();
    assert_eq!((sum(&erins["cost_basis"]), sum(&erins["unrealised_pnl"])), (json!(200), json!(-40)));
    let alices = market.portfolio(kit.token(Role::Investor).unwrap()).await;
    let of = |id: &str| alices["items"].as_array().unwrap().iter().find(|item| item["instrument_id"] == id).unwrap();
    assert_eq!((&of("TKN")["cost_basis"], sum(&of("TKN")["unrealised_pnl"])), (&json!([]), json!(160)));
    assert_eq!((&of("rCC")["quantity"], &of("rCC")["nav"]), (&json!("1000.0"), &Value::Null));
    assert_eq!((&of("rCC")["value"], &of("rCC")["unrealised_pnl"]), (&Value::Null, &json!([])));
    market.desk.end().await;
}
