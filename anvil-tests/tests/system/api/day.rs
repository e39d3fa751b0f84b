//! A day in the life: a token is issued and sold, and its holders trade, earn and redeem, each step asked for over HTTP by
//! whoever's it is. After each one, what the API says of everybody's tokens and money is what the chain has.

use std::str::FromStr;

use alloy::primitives::{Bytes, U256};
use tokenx::local::suite;
use tokenx_contracts::amount::{Amount, AmountError};
use tokenx_contracts::bindings::{RedemptionDesk, RentDistributor, TestUSD};

use super::ats::{Floor, Trader};
use super::redemptions::TREASURY;
use super::tokens::life::{Life, tokens, usd};
use super::*;

/// What each of the two has at first, whole units of the payment token.
const MONEY: u64 = 10_000;

/// The token on sale at 30, open to orders and deals, with an income of 100 that is due; and who buys it.
struct Day {
    floor: Floor,
    alice: Trader,
    bob: Trader,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_investors_do_in_a_day_the_books_are_the_chains() {
    let day = Day::begin().await;
    day.stands("nothing was sold", [(0, MONEY), (0, MONEY)]).await;

    tokio::join!(day.subscribes(&day.alice, 100), day.subscribes(&day.bob, 50));
    day.stands("both have subscribed", [(100, 7_000), (50, 8_500)]).await;
    assert_eq!(day.floor.cash(TREASURY).await, usd(4_500), "the proceeds are the treasury's");

    day.trades().await;
    day.stands("they have traded", [(80, 7_620), (70, 7_880)]).await;

    day.deals().await;
    day.stands("they have made a deal", [(75, 7_820), (75, 7_680)]).await;

    day.earns().await;
    // A fraction of the smallest unit stays in the accounts.
    day.stands("rent was paid", [(75, 7_869), (75, 7_729)]).await;

    day.redeems(&day.alice, 30).await;
    day.stands("Alice has redeemed", [(45, 8_769), (75, 7_729)]).await;
    assert_eq!(day.floor.cash(TREASURY).await, usd(4_500 - 100 - 900));
    day.floor.end().await;
}

impl Day {
    async fn begin() -> Day {
        let life = Life::start().await;
        let (ground, kit) = (&life.ground, life.kit());
        let (alice, bob) = tokio::join!(comes(kit, "alice"), comes(kit, "bob"));
        let money = life.deployment.suite.payment_token.unwrap();
        let gifts = [(alice.wallet, usd(MONEY)), (bob.wallet, usd(MONEY))];
        suite::give(&kit._world.as_ref().unwrap().chain.url(), money, &gifts).await.unwrap();

        let mut body = ground.sample();
        (body["is_open_to_secondary_market"], body["is_open_to_otc"]) = (json!(true), json!(true));
        let token_id = ground.add(&body).await["id"].as_str().unwrap().to_owned();
        life.does(&token_id, "deploy", Role::Issuer, 4).await;
        let offering = ground.offer(&token_id, json!({ "exemption": "506c" })).await["id"].clone();
        ground.publish(&offering).await;
        ground.approve(&offering).await;
        ground.offering_becomes(&offering, "published").await;
        let shown = ground.show(&token_id, Role::Issuer).await.json();
        let token = shown["contract"]["address"].as_str().unwrap().parse().unwrap();
        let market = life.deployment.nodes[0].node.contracts.secondary_market;
        let floor = Floor { life, offering, token_id, token, money, market };
        eventually("the contracts say what the record says", || async {
            let rent = floor.kit().get(&floor.rent(), floor.kit().token(Role::Issuer)).await;
            (rent.status == 200 && rent.json()["minimum"] == "10.0" && floor.book().await["open"] == true).then_some(())
        })
        .await;
        Day { floor, alice, bob }
    }

    fn kit(&self) -> &Kit {
        self.floor.kit()
    }

    async fn subscribes(&self, whom: &Trader, quantity: u64) {
        let path = format!("/offerings/{}/subscribe", self.floor.offering.as_str().unwrap());
        let body = json!({ "command_id": "some-of-it", "wallet_id": whom.wallet_id, "quantity": quantity });
        let asked = self.kit().post(&path, Some(&whom.token), &body).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        self.has(whom, "/investors/subscriptions", &asked.json()["id"], "completed").await;
    }

    /// Bob takes what Alice asks for 20 of hers.
    async fn trades(&self) {
        let floor = &self.floor;
        let sell = floor.place(&self.alice, &floor.limit(&self.alice, "sell", "sell", 20, "31")).await;
        floor.becomes(&self.alice, &sell["id"], "open").await;
        let buy = floor.place(&self.bob, &floor.limit(&self.bob, "buy", "buy", 20, "32")).await;
        floor.becomes(&self.bob, &buy["id"], "filled").await;
        let trades = floor.all_settled().await;
        assert_eq!(
            (trades.len(), &trades[0]["price"], &trades[0]["settlement"]["settled"]),
            (1, &json!("31.0"), &json!(true))
        );
    }

    /// Over the counter: Alice would give Bob 5 of hers for 200, and he agrees.
    async fn deals(&self) {
        let (kit, alice, bob) = (self.kit(), &self.alice, &self.bob);
        let body = json!({
            "client_deal_id": "five", "instrument_id": "TKN", "side": "sell", "wallet_id": alice.wallet_id,
            "counterparty": "bob", "quantity": "5", "total": "200",
        });
        let proposed = kit.post("/otc/deals", Some(&alice.token), &body).await;
        assert_eq!(proposed.status, 201, "{}", proposed.text);
        let deal = format!("/otc/deals/{}", proposed.json()["id"].as_str().unwrap());
        let accepted =
            kit.post(&format!("{deal}/accept"), Some(&bob.token), &json!({ "wallet_id": bob.wallet_id })).await;
        assert_eq!(accepted.status, 202, "{}", accepted.text);
        eventually("the deal is settled", || async {
            let shown = kit.get(&deal, Some(&alice.token)).await;
            (shown.status == 200 && shown.json()["state"] == "settled").then_some(())
        })
        .await;
    }

    /// The treasury, a wallet like any other, pays in what a period divides; that one was due.
    async fn earns(&self) {
        let contract = self.floor.life.deployment.nodes[0].node.contracts.rent_distributor;
        let (token, money) = (self.floor.token, self.floor.money);
        self.pays(contract, 100, RentDistributor::fundCall { token, paymentToken: money, amount: usd(100) }).await;
        eventually("everybody is paid", || async {
            let rent = self.kit().get(&self.floor.rent(), self.kit().token(Role::Issuer)).await.json();
            (rent["paid"]["amount"].as_f64() > Some(99.0)).then_some(())
        })
        .await;
    }

    async fn redeems(&self, whom: &Trader, quantity: u64) {
        let contract = self.floor.life.deployment.nodes[0].node.contracts.redemption_desk;
        let (token, money, cost) = (self.floor.token, self.floor.money, usd(quantity * 30));
        self.pays(contract, quantity * 30, RedemptionDesk::fundCall { token, paymentToken: money, amount: cost }).await;
        let body = json!({ "instrument_id": "TKN", "wallet_id": whom.wallet_id, "quantity": quantity.to_string() });
        let asked = self.kit().post("/investor/redemptions", Some(&whom.token), &body).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        let id = &asked.json()["id"];
        self.has(whom, "/investor/redemptions", id, "held").await;
        let approve = format!("/transfer-agent/redemptions/{}/approve", id.as_str().unwrap());
        let agent = self.kit().token(Role::TransferAgent);
        eventually("the fund is known, and the redemption approved", || async {
            let approved = self.kit().post(&approve, agent, &json!({})).await;
            assert!([202, 422].contains(&approved.status.as_u16()), "{}", approved.text);
            (approved.status == 202).then_some(())
        })
        .await;
        self.has(whom, "/investor/redemptions", id, "paid").await;
    }

    async fn pays(&self, contract: Address, value: u64, call: impl SolCall) {
        let approve = TestUSD::approveCall { spender: contract, value: usd(value) };
        self.kit().transact(TREASURY, self.floor.money, approve).await;
        self.kit().transact(TREASURY, contract, call).await;
    }

    /// Waits until what somebody asked for has come so far.
    async fn has(&self, whom: &Trader, list: &str, id: &Value, status: &str) {
        eventually(&format!("one of {list} is {status}"), || async {
            let page = self.kit().get(list, Some(&whom.token)).await;
            let page = (page.status == 200).then(|| page.json())?;
            let found = page["items"].as_array()?.iter().find(|item| item["id"] == *id)?;
            (found["status"] == status).then_some(())
        })
        .await;
    }

    /// Tokens and whole units of money of the two are these on chain, and whatever the API says of them is the same.
    async fn stands(&self, after: &str, expected: [(u64, u64); 2]) {
        let mut all = U256::ZERO;
        let mut held = Vec::new();
        for (whom, (units, money)) in [&self.alice, &self.bob].into_iter().zip(expected) {
            let (has, cash) = (self.floor.units(whom.wallet).await, self.floor.cash(whom.wallet).await);
            assert_eq!((has, cash / usd(1)), (tokens(units), U256::from(money)), "{after}");
            eventually(&format!("{after}: the portfolio says {units} and {cash}"), || async {
                let portfolio = self.kit().get("/investors/portfolio", Some(&whom.token)).await;
                self.is_of(&portfolio, whom, has, cash).then_some(())
            })
            .await;
            all += has;
            held.push(has);
        }
        let read = async |path: &str| {
            let answer = self.kit().get(path, self.kit().token(Role::SuperAdmin)).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.json()
        };
        eventually(&format!("{after}: every view of the token has these holders"), || async {
            let cap_table = read("/compliance/reports/cap-table/TKN").await;
            let query = r#"{ tokens { nodes { instrumentId totalSupply } } }"#;
            let graph = self
                .kit()
                .post("/graphql", self.kit().token(Role::SuperAdmin), &json!({ "query": query }))
                .await
                .json();
            let nodes = graph["data"]["tokens"]["nodes"].as_array().unwrap();
            let supply = nodes.iter().find(|node| node["instrumentId"] == "TKN").unwrap()["totalSupply"].clone();
            let of_all = amount(&supply, 18) == all;
            let confirmed = read("/data/admin/holdings?instrument_id=TKN").await;
            let sums = |rows: &Value, member: &str| {
                let mut sums: Vec<U256> = rows.as_array().unwrap().iter().map(|row| amount(&row[member], 18)).collect();
                sums.sort_unstable_by(|one, other| other.cmp(one));
                sums
            };
            let mut expected: Vec<U256> = held.iter().copied().filter(|units| !units.is_zero()).collect();
            expected.sort_unstable_by(|one, other| other.cmp(one));
            let same =
                sums(&cap_table["rows"], "quantity") == expected && sums(&confirmed["holdings"], "amount") == expected;
            (of_all && same).then_some(())
        })
        .await;
        let supply = TestUSD::totalSupplyCall {}.abi_encode();
        let call = json!([{ "to": self.floor.token, "data": Bytes::from(supply) }, "latest"]);
        let chain = &self.kit()._world.as_ref().unwrap().chain;
        let supply: U256 = serde_json::from_value(chain.rpc("eth_call", call).await.unwrap()).unwrap();
        assert_eq!(supply, all, "{after}: nobody else has any");
    }

    /// Whether a portfolio shows just these tokens and this money of one wallet, and nothing of either promised.
    fn is_of(&self, portfolio: &Answer, whom: &Trader, units: U256, cash: U256) -> bool {
        assert_eq!(portfolio.status, 200, "{}", portfolio.text);
        let portfolio = portfolio.json();
        let item = portfolio["items"].as_array().unwrap().iter().find(|item| item["instrument_id"] == "TKN");
        let has = item.map_or(U256::ZERO, |item| amount(&item["quantity"], 18));
        let free = item.map_or(U256::ZERO, |item| amount(&item["spendable"], 18) - amount(&item["reserved"], 18));
        // It is watched once the wallet has asked to pay.
        let money = portfolio["money"]
            .as_array()
            .unwrap()
            .iter()
            .find(|money| money["wallet"] == whom.wallet.to_checksum(None));
        let known = money.map_or(usd(MONEY), |money| amount(&money["balance"]["amount"], 6));
        let promised = money.map_or(U256::ZERO, |money| amount(&money["reserved"]["amount"], 6));
        (has, free, known, promised) == (units, units, cash, U256::ZERO)
    }
}

impl Floor {
    fn rent(&self) -> String {
        format!("/v2/admin/token/{}/rent", self.token_id)
    }
}

/// An amount of an answer in base units, digit for digit.
fn amount(said: &Value, decimals: u8) -> U256 {
    let text = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
    match Amount::parse(&text, decimals) {
        Ok(amount) => amount.base(),
        Err(AmountError::Zero) => U256::ZERO,
        Err(error) => panic!("{text}: {error}"),
    }
}

/// An investor with a hosted wallet: the provider finds nothing, and an officer says yes to both.
async fn comes(kit: &Kit, party_id: &str) -> Trader {
    let token = kit.unknown(party_id).await;
    let id = kit.begin(&token, &json!({})).await["applicant_id"].clone();
    kit.provider_says(&id, "good").await;
    assert_eq!(kit.judge(&id, "approve", &json!({})).await.status, 200);
    let wallet = eventually("a wallet is registered", || async {
        let answer = kit.post("/investors/wallets", Some(&token), &json!({ "kind": "hosted" })).await;
        (answer.status == 201).then(|| answer.json())
    })
    .await;
    assert_eq!(kit.decide(&wallet["id"], "approve", &json!({})).await.status, 202);
    kit.wallet_becomes(&token, &wallet["id"], "approved").await;
    let address = Address::from_str(wallet["address"].as_str().unwrap()).unwrap();
    Trader { token, wallet_id: wallet["id"].clone(), wallet: address, key: None }
}
