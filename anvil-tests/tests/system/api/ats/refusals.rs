//! What stands in an order's way: what cannot be read, and every rule, each by its code.

use std::cell::RefCell;
use std::collections::HashSet;

use alloy::sol_types::SolEvent;
use tokenx_api::ats::check::PRE_TRADE;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::TestUSD::Transfer;
use tokenx_contracts::bindings::{Investor, InvestorRegistry, TestUSD};
use tokenx_keeper::{CountryMode, Operation};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_is_anothers_is_told_by_its_field() {
    let floor = Floor::open().await;
    let anna = floor.trader("anna", false, 10, 0).await;
    for (field, bad) in [
        ("quantity", json!("0")),
        ("quantity", json!("-1")),
        ("limit_price", json!("1e2")),
        ("side", json!("hold")),
        ("type", json!("iceberg")),
        ("time_in_force", json!("never")),
        ("stop_price", json!("30")),
        ("client_order_id", json!("a b")),
        ("offering_id", json!("7")),
        ("extra", json!(1)),
    ] {
        let mut body = floor.limit(&anna, "refused", "sell", 1, "30");
        body[field] = bad;
        let answer = floor.ask(&anna, &body).await;
        assert_eq!(answer.status, 400, "{field}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], field, "{}", answer.text);
    }
    let ben = floor.trader("ben", true, 10, 0).await;
    let unsigned = floor.ask(&ben, &floor.limit(&ben, "unsigned", "sell", 1, "30")).await;
    assert_eq!((unsigned.status.as_u16(), &unsigned.json()["errors"][0]["field"]), (400, &json!("intent")));
    let body = floor.limit(&ben, "other", "sell", 2, "30");
    let other = floor.ask(&ben, &floor.signed(&ben, body, (Side::Sell, 1, 30_000_000)).await).await;
    assert_eq!((other.status.as_u16(), &other.json()["errors"][0]["field"]), (400, &json!("intent.quantity")));
    let theirs = Trader { token: anna.token.clone(), ..ben };
    assert_eq!(floor.ask(&theirs, &floor.limit(&theirs, "x", "sell", 1, "30")).await.status, 404, "another's wallet");
    let mut nowhere = floor.limit(&anna, "nowhere", "sell", 1, "30");
    nowhere["offering_id"] = Uuid::now_v7().to_string().into();
    assert_eq!(floor.ask(&anna, &nowhere).await.status, 404);
    floor.end().await;
}

/// A floor that keeps in mind by which codes it has refused. Anna has 10 units and 100 USDT.
struct Gate {
    floor: Floor,
    anna: Trader,
    met: RefCell<HashSet<ReasonCode>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_by_which_an_order_is_refused_is_met() {
    let floor = Floor::with(|settings| {
        let rules = json!({ "instrument_id": "TKN", "tick": "0.5", "opens": null, "closes": null });
        settings.market.instruments = vec![serde_json::from_value(rules).unwrap()];
    })
    .await;
    let anna = floor.trader("anna", false, 10, 100).await;
    let gate = Gate { floor, anna, met: RefCell::default() };
    gate.figures().await;
    gate.what_the_wallet_has().await;
    gate.permits().await;
    gate.people().await;
    gate.rules_of_the_token().await;
    gate.the_market().await;
    let never: Vec<_> = PRE_TRADE.iter().filter(|code| !gate.met.borrow().contains(code)).collect();
    assert!(never.is_empty(), "no case has met {never:?}");
    gate.floor.end().await;
}

impl Gate {
    async fn refuses(&self, trader: &Trader, body: &Value, code: ReasonCode) {
        self.says(&self.floor.ask(trader, body).await, 422, code);
    }

    fn says(&self, answer: &Answer, status: u16, code: ReasonCode) {
        let json = answer.json();
        assert_eq!((answer.status.as_u16(), &json["reason_code"]), (status, &json!(code)), "{}", answer.text);
        assert_eq!(json["errors"][0]["field"].is_string(), status == 422, "{json}");
        self.met.borrow_mut().insert(code);
    }

    fn sell(&self, quantity: u64, price: &str) -> Value {
        self.floor.limit(&self.anna, "refused", "sell", quantity, price)
    }

    fn buy(&self, quantity: u64, price: &str) -> Value {
        self.floor.limit(&self.anna, "refused", "buy", quantity, price)
    }

    async fn runs(&self, name: &str, operation: Operation) {
        self.floor.life.runs(name, operation).await;
    }

    async fn figures(&self) {
        let (floor, anna) = (&self.floor, &self.anna);
        let mut half = self.sell(1, "30");
        half["quantity"] = "0.5".into();
        self.refuses(anna, &half, ReasonCode::NotWholeLots).await;
        for price in ["25", "36"] {
            self.refuses(anna, &self.sell(1, price), ReasonCode::PriceOutsideBand).await;
        }
        self.refuses(anna, &self.sell(1, "30.25"), ReasonCode::PriceOffTick).await;
        let mut market = self.sell(1, "30");
        market["type"] = "market".into();
        market
            .as_object_mut()
            .unwrap()
            .retain(|member, _| !["limit_price", "time_in_force"].contains(&member.as_str()));
        self.refuses(anna, &market, ReasonCode::NoLiquidity).await;
        // A lot of one base unit is worth nothing.
        floor.sets_terms("fine-lots", |terms| terms.lot = U256::ONE).await;
        self.refuses(anna, &self.sell(1, "30"), ReasonCode::TradeTooSmall).await;
        floor.sets_terms("whole-lots", |_| {}).await;
    }

    async fn what_the_wallet_has(&self) {
        let (floor, anna) = (&self.floor, &self.anna);
        self.refuses(anna, &self.sell(11, "30"), ReasonCode::InsufficientSpendable).await;
        self.refuses(anna, &self.buy(4, "30"), ReasonCode::InsufficientFunds).await;
        // What is promised once is not promised twice.
        let units = floor.place(anna, &floor.limit(anna, "units", "sell", 8, "35")).await;
        self.refuses(anna, &self.sell(3, "30"), ReasonCode::InsufficientSpendable).await;
        let money = floor.place(anna, &floor.limit(anna, "money", "buy", 3, "26")).await;
        self.refuses(anna, &self.buy(1, "26"), ReasonCode::InsufficientFunds).await;
        for id in [&units["id"], &money["id"]] {
            floor.becomes(anna, id, "open").await;
            assert_eq!(floor.cancel(anna, id).await.status, 200);
            floor.becomes(anna, id, "cancelled").await;
        }
    }

    async fn permits(&self) {
        let ben = self.floor.trader("ben", true, 10, 0).await;
        let body = self.floor.limit(&ben, "permitted", "sell", 1, "30");
        let mut body = self.floor.signed(&ben, body, (Side::Sell, 1, 30_000_000)).await;
        let until = body["intent"]["expiry"].clone();
        body["permit"] = json!({ "value": tokens(1).to_string(), "deadline": until, "signature": "0x12" });
        self.refuses(&ben, &body, ReasonCode::InvalidSignature).await;
        body["permit"]["deadline"] = "1".into();
        self.refuses(&ben, &body, ReasonCode::IntentExpired).await;
    }

    /// One whom nobody knows, and one who comes to be known, and barred.
    async fn people(&self) {
        let (floor, kit) = (&self.floor, self.floor.kit());
        let stranger = async |token: String| {
            let wallet = kit.register(&token, &json!({})).await;
            let address = wallet["address"].as_str().unwrap().parse().unwrap();
            Trader { token, wallet_id: wallet["id"].clone(), wallet: address, key: None }
        };
        let sells = |trader: &Trader| floor.limit(trader, "refused", "sell", 1, "30");
        let nobody = stranger(kit.unknown("nobody").await).await;
        self.refuses(&nobody, &sells(&nobody), ReasonCode::KycNotApproved).await;
        let users = kit.get("/admin/users?role=investor", kit.token(Role::SuperAdmin)).await.json();
        let user =
            users["items"].as_array().unwrap().iter().find(|user| user["email"] == "nobody@example.org").unwrap();
        let suspend = format!("/admin/users/{}/suspend", user["id"].as_str().unwrap());
        assert_eq!(kit.post(&suspend, kit.token(Role::SuperAdmin), &json!({})).await.status, 200);
        self.says(&floor.ask(&nobody, &sells(&nobody)).await, 403, ReasonCode::AccountSuspended);

        let known = stranger(kit.investor("known").await).await;
        self.refuses(&known, &sells(&known), ReasonCode::WalletNotWhitelisted).await;
        let (wallet, reason) = (known.wallet, REASON);
        let me = kit.get("/investors/me", Some(&known.token)).await.json();
        let investor_id = me["investor_id"].as_u64().unwrap();
        let expired =
            Operation::Whitelist { wallet, investor_id, country: 404, investor_class: 1, kyc_expires_at: 1, reason };
        self.runs("expired", expired).await;
        self.refuses(&known, &sells(&known), ReasonCode::KycExpired).await;
        let registry = kit.settings.chain.registry.unwrap();
        let sanctioned = Investor { flags: 3, ..kit.registered(&json!({ "address": wallet })).await };
        let call = InvestorRegistry::setInvestorCall { wallet, investor: sanctioned, reason };
        kit.transact(kit.settings.chain.executors[0], registry, call).await;
        let barred = eventually("who is under sanctions is barred", || async {
            let answer = floor.ask(&known, &sells(&known)).await;
            (answer.status == 403).then_some(answer)
        })
        .await;
        self.says(&barred, 403, ReasonCode::SanctionsHit);
    }

    async fn rules_of_the_token(&self) {
        let (anna, instrument, reason) = (&self.anna, tkn(), REASON);
        let (account, amount) = (anna.wallet, tokens(9));
        let id = || instrument.clone();
        let limits =
            |max_holders, max_balance| Operation::SetLimits { instrument: id(), max_holders, max_balance, reason };
        self.runs("most-units", limits(0, tokens(10))).await;
        self.refuses(anna, &self.buy(1, "30"), ReasonCode::BalanceLimit).await;
        // Anna and Ben hold units.
        self.runs("most-holders", limits(2, U256::ZERO)).await;
        let carl = self.floor.trader("carl", false, 0, 100).await;
        let buys = self.floor.limit(&carl, "refused", "buy", 1, "30");
        self.refuses(&carl, &buys, ReasonCode::HolderLimit).await;
        self.runs("no-limits", limits(0, U256::ZERO)).await;
        let mode = CountryMode::Refuse;
        self.runs("a-country", Operation::SetCountryRule { instrument: id(), mode, countries: vec![404], reason })
            .await;
        self.refuses(&carl, &buys, ReasonCode::RecipientCountry).await;

        self.runs("partly", Operation::Freeze { instrument: id(), account, amount, reason }).await;
        self.refuses(anna, &self.sell(2, "30"), ReasonCode::AmountFrozen).await;
        self.runs("partly-no-more", Operation::Unfreeze { instrument: id(), account, amount, reason }).await;
        self.runs("held", Operation::PlaceHold { instrument: id(), account, amount, until: 0, reason }).await;
        self.refuses(anna, &self.sell(2, "30"), ReasonCode::AmountHeld).await;
        let everywhere = false;
        self.runs("frozen", Operation::FreezeAddress { instrument: id(), account, reason, everywhere }).await;
        for body in [self.sell(1, "30"), self.buy(1, "30")] {
            self.refuses(anna, &body, ReasonCode::WalletFrozen).await;
        }
        self.runs("paused", Operation::Pause { instrument: id(), reason }).await;
        self.refuses(anna, &self.sell(1, "30"), ReasonCode::TokenPaused).await;
        self.runs("resumed", Operation::Unpause { instrument: id(), reason }).await;
    }

    async fn the_market(&self) {
        let (floor, anna, kit) = (&self.floor, &self.anna, self.floor.kit());
        // Another process, for which it is open at a time of day that is far away.
        let mut settings = kit.settings.clone();
        let morning = time::OffsetDateTime::now_utc().hour() < 12;
        let (opens, closes) = if morning { ("20:00", "21:00") } else { ("02:00", "03:00") };
        let rules = json!({ "instrument_id": "TKN", "tick": null, "opens": opens, "closes": closes });
        settings.market.instruments = vec![serde_json::from_value(rules).unwrap()];
        let elsewhere = Kit::open_beside_with(kit, settings).await;
        let asked = kit.client.post(format!("{}/ats/orders", elsewhere.url)).bearer_auth(&anna.token);
        let asked = asked.header("content-type", "application/json").body(self.sell(1, "30").to_string());
        self.says(&read(asked).await, 422, ReasonCode::OutsideHours);
        elsewhere.stop.cancel();

        floor.sets_terms("another-money", |terms| terms.payment_token = floor.token).await;
        self.refuses(anna, &self.sell(1, "30"), ReasonCode::WrongPaymentToken).await;
        floor.trades_on("closed", false, 0).await;
        self.refuses(anna, &self.sell(1, "30"), ReasonCode::MarketClosed).await;
        floor.life.does(&floor.token_id, "delist", Role::Issuer, 5).await;
        self.refuses(anna, &self.sell(1, "30"), ReasonCode::NotListed).await;
        // As of a node that was deployed without a market.
        let market = floor.market.as_slice();
        sqlx::query("DELETE FROM watched WHERE address = $1").bind(market).execute(&kit.pool).await.unwrap();
        // Markets are read once a block.
        eventually("another block is read", || async {
            let answer = floor.ask(anna, &self.sell(1, "30")).await;
            (answer.json()["reason_code"] != ReasonCode::NotListed.as_str()).then_some(())
        })
        .await;
        self.refuses(anna, &self.sell(1, "30"), ReasonCode::NodeContractMissing).await;
        self.tells_of_more_than_there_is().await;
        self.refuses(anna, &self.sell(1, "30"), ReasonCode::InstrumentInexact).await;
    }

    /// The token says that a wallet has given away what it never had, and the books of it end there.
    async fn tells_of_more_than_there_is(&self) {
        let (floor, kit) = (&self.floor, self.floor.kit());
        let topics = [B256::repeat_byte(1), B256::repeat_byte(2), Transfer::SIGNATURE_HASH];
        // It stores one as the amount, and logs that with the topics, whatever it is asked.
        let pushes: String = topics.iter().map(|topic| format!("7f{}", alloy::hex::encode(topic))).collect();
        floor.life.code(floor.token, &format!("0x6001600052{pushes}60206000a300")).await;
        kit.transact(floor.money, floor.token, TestUSD::nameCall {}).await;
        eventually("the books of the token have ended", || async {
            let ended: i64 = sqlx::query_scalar("SELECT count(*) FROM instruments WHERE inexact_block IS NOT NULL")
                .fetch_one(&kit.pool)
                .await
                .unwrap();
            (ended > 0).then_some(())
        })
        .await;
    }
}
