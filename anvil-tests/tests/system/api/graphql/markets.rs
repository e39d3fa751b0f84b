//! What is sold, taken back and paid: here and in REST the same, for the same people.

use tokenx_contracts::bindings::{Listing, TestUSD};

use super::super::redemptions::Desk;
use super::super::tokens::life::{tokens, usd};
use super::statements::counted;
use super::*;

/// The type's fields that need no argument, theirs included, as a selection.
async fn all_fields(kit: &Kit, of: &str) -> String {
    let query = format!(
        "{{ __type(name: {of:?}) {{ fields {{ name args {{ name }} type
            {{ kind name ofType {{ kind name ofType {{ kind name ofType {{ kind name }} }} }} }} }} }} }}"
    );
    let fields = kit.data(None, &query).await["__type"]["fields"].clone();
    let mut selection = String::from("{");
    for field in fields.as_array().unwrap_or_else(|| panic!("there is no type {of}")) {
        if field["args"].as_array().is_some_and(|args| !args.is_empty()) {
            continue;
        }
        let mut kind = &field["type"];
        while !kind["ofType"].is_null() {
            kind = &kind["ofType"];
        }
        selection.push_str(&format!(" {}", field["name"].as_str().unwrap()));
        if kind["kind"] == "OBJECT" {
            selection.push_str(&Box::pin(all_fields(kit, kind["name"].as_str().unwrap())).await);
        }
    }
    selection + " }"
}

/// A field's name in REST.
fn in_rest(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, letter| {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        snake
    })
}

/// Both say the same: the same members, and what is a number there as a text here.
fn assert_same(here: &Value, rest: &Value, place: &str) {
    match (here, rest) {
        (Value::Object(here), Value::Object(rest)) => {
            let names: Vec<String> = here.keys().map(|name| in_rest(name)).collect();
            let missing: Vec<&String> = rest.keys().filter(|name| !names.contains(name)).collect();
            assert!(missing.is_empty(), "{place}: GraphQL lacks {missing:?}");
            for (name, value) in here {
                let theirs = rest.get(&in_rest(name)).unwrap_or_else(|| panic!("{place}: REST lacks {name}"));
                assert_same(value, theirs, &format!("{place}.{name}"));
            }
        }
        (Value::Array(here), Value::Array(rest)) => {
            assert_eq!(here.len(), rest.len(), "{place}");
            here.iter().zip(rest).for_each(|(here, rest)| assert_same(here, rest, place));
        }
        (Value::String(here), Value::Number(rest)) => assert_eq!(here.parse().ok(), rest.as_f64(), "{place}"),
        _ => assert_eq!(here, rest, "{place}"),
    }
}

/// Dora's token on sale, of which she has bought 20 and will buy 5; 4 and 3 wait to be redeemed; one period of rent. No more
/// blocks come.
struct Market {
    desk: Desk,
    offering: Value,
}

impl Market {
    async fn open() -> Market {
        let desk = Box::pin(Desk::of(|_| {})).await;
        let ground = &desk.life.ground;
        let offering = ground.offer(&desk.token_id, json!({ "exemption": "506c" })).await["id"].clone();
        let market = Market { desk, offering };
        market.is_seen_by_nobody_else_as_a_draft().await;
        let ground = &market.desk.life.ground;
        ground.publish(&market.offering).await;
        ground.approve(&market.offering).await;
        ground.offering_becomes(&market.offering, "published").await;
        market.subscribes("first", 20).await;
        market.buys(20).await;
        market.subscribes("second", 5).await;
        market.desk.pay_in(1_000).await;
        for (quantity, name) in [("4", "four"), ("3", "three")] {
            market.desk.holds(&market.desk.signed(quantity, Some(30), name)).await;
        }
        market.desk.rents().await;
        eventually("the rent is opened and paid", || async {
            let rent = market.rest(&market.rent(), Some(&market.desk.dora)).await;
            (rent["own"][0]["paid"]["amount"].as_f64()? > 0.0).then_some(())
        })
        .await;
        let world = market.kit()._world.as_ref().unwrap();
        world.chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
        market
    }

    fn kit(&self) -> &Kit {
        self.desk.kit()
    }

    fn rent(&self) -> String {
        format!("/v2/admin/token/{}/rent", self.desk.token_id)
    }

    async fn rest(&self, path: &str, token: Option<&str>) -> Value {
        let answer = self.kit().get(path, token).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// Dora says that her own wallet will buy.
    async fn subscribes(&self, command_id: &str, quantity: u64) {
        let path = format!("/offerings/{}/subscribe", self.offering.as_str().unwrap());
        let body = json!({ "command_id": command_id, "wallet_id": self.desk.wallet, "quantity": quantity });
        tokenx::local::suite::give(
            &self.kit()._world.as_ref().unwrap().chain.url(),
            self.desk.money(),
            &[(self.desk.key.address(), usd(30 * quantity))],
        )
        .await
        .unwrap();
        let spender = self.desk.life.deployment.nodes[0].node.contracts.listing;
        let approve = TestUSD::approveCall { spender, value: usd(30 * quantity) };
        self.kit().transact(self.desk.key.address(), self.desk.money(), approve).await;
        eventually("she may subscribe", || async {
            let answer = self.kit().post(&path, Some(&self.desk.dora), &body).await;
            assert!([202, 422].contains(&answer.status.as_u16()), "{}", answer.text);
            (answer.status == 202).then_some(())
        })
        .await;
    }

    async fn buys(&self, quantity: u64) {
        let listing = self.desk.life.deployment.nodes[0].node.contracts.listing;
        let (token, money) = (self.desk.token, self.desk.money());
        let buy =
            Listing::buyCall { token, quantity: tokens(quantity), paymentToken: money, maxCost: usd(30 * quantity) };
        self.kit().transact(self.desk.key.address(), listing, buy).await;
        eventually("she has bought", || async {
            let page = self.rest("/investors/subscriptions", Some(&self.desk.dora)).await;
            (page["items"][0]["status"] == "completed").then_some(())
        })
        .await;
    }

    async fn is_seen_by_nobody_else_as_a_draft(&self) {
        let query = format!("{{ offerings {{ totalCount }} offering(id: {}) {{ status }} }}", self.offering);
        let (stranger, issuer) = (self.kit().other_issuer().await, self.kit().token(Role::Issuer));
        let own = json!({ "offerings": { "totalCount": 1 }, "offering": { "status": "draft" } });
        assert_eq!(self.kit().data(issuer, &query).await, own);
        for token in [stranger.as_str(), &self.desk.dora] {
            let nothing = json!({ "offerings": { "totalCount": 0 }, "offering": null });
            assert_eq!(self.kit().data(Some(token), &query).await, nothing);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_redemptions_rent_and_portfolios_are_in_graphql_what_they_are_in_rest() {
    let market = Box::pin(Market::open()).await;
    let (kit, offering, token_id) = (market.kit(), &market.offering, &market.desk.token_id);
    let dora = Some(market.desk.dora.as_str());
    let (staff, issuer) = (kit.token(Role::TransferAgent), kit.token(Role::Issuer));
    let of_it = format!("/offerings/{}/subscriptions", offering.as_str().unwrap());
    let named = format!("subscriptions(filter: {{ offeringId: {offering} }})");
    for (field, of, path, askers) in [
        ("offerings", "Offering", "/offerings", vec![dora, staff, issuer]),
        ("subscriptions", "OfferingSubscription", "/investors/subscriptions", vec![dora]),
        (named.as_str(), "OfferingSubscription", of_it.as_str(), vec![staff, issuer]),
        ("redemptions", "Redemption", "/investor/redemptions", vec![dora]),
        ("redemptions", "Redemption", "/transfer-agent/redemptions?status=all", vec![staff]),
    ] {
        let fields = all_fields(kit, of).await;
        for token in askers {
            let data = kit.data(token, &format!("{{ list: {field} {{ totalCount nodes {fields} }} }}")).await;
            let rest = market.rest(path, token).await["items"].clone();
            assert_same(&data["list"]["nodes"], &rest, path);
            let count = rest.as_array().unwrap().len();
            assert_eq!(data["list"]["totalCount"], count);
            assert_eq!(count, if of == "Offering" { 1 } else { 2 }, "{path}");
        }
    }

    let fields = all_fields(kit, "Offering").await;
    let data = kit.data(dora, &format!("{{ offering(id: {offering}) {fields} }}")).await;
    assert_same(&data["offering"], &market.rest(&format!("/offerings/{}", offering.as_str().unwrap()), dora).await, "");

    let mut rest = eventually("all of it is as of the last block", || async {
        let rest = market.rest("/investors/portfolio", dora).await;
        (rest["money"][0]["block_number"] == rest["as_of"]["block_number"]).then_some(rest)
    })
    .await;
    rest.as_object_mut().unwrap().remove("as_of");
    let data = kit.data(dora, &format!("{{ portfolio {} }}", all_fields(kit, "Portfolio").await)).await;
    assert_same(&data["portfolio"], &rest, "portfolio");
    assert_eq!(data["portfolio"]["items"][0]["rentReceived"][0]["symbol"], "USDT");

    let (fields, periods) = (all_fields(kit, "Rent").await, all_fields(kit, "RentPeriod").await);
    let fields = fields.strip_suffix('}').unwrap();
    for token in [dora, staff, issuer] {
        let query =
            format!("{{ rent(tokenId: {token_id:?}) {fields} items: periods {{ totalCount nodes {periods} }} }} }}");
        let mut here = kit.data(token, &query).await["rent"].take();
        let mut rest = market.rest(&market.rent(), token).await;
        rest.as_object_mut().unwrap().remove("next_cursor");
        assert_eq!(here["items"]["totalCount"], 1);
        here["items"] = here["items"]["nodes"].take();
        assert_same(&here, &rest, "rent");
    }
    others_see_nothing(&market).await;
    pages_join(&market).await;
    statements_do_not_grow_with_rows(market).await;
}

async fn others_see_nothing(market: &Market) {
    let (kit, offering, token_id) = (market.kit(), &market.offering, &market.desk.token_id);
    let erin = kit.investor("erin").await;
    let stranger = kit.log_in("other-issuer@example.org").await["access_token"].as_str().unwrap().to_owned();
    let subscriptions = format!("{{ subscriptions(filter: {{ offeringId: {offering} }}) {{ totalCount }} }}");
    let rent = format!("{{ rent(tokenId: {token_id:?}) {{ instrumentId }} }}");
    let redemptions = "{ redemptions { totalCount } }";
    let of_dora = r#"{ redemptions(filter: { party: "dora" }) { totalCount } }"#;
    for (token, query, expected) in [
        (&erin, subscriptions.as_str(), json!({ "subscriptions": { "totalCount": 0 } })),
        (&erin, redemptions, json!({ "redemptions": { "totalCount": 0 } })),
        (&erin, rent.as_str(), json!({ "rent": null })),
        (&erin, "{ portfolio { items { instrumentId } } }", json!({ "portfolio": { "items": [] } })),
        (&stranger, subscriptions.as_str(), json!({ "subscriptions": null })),
        (&stranger, rent.as_str(), json!({ "rent": null })),
    ] {
        assert_eq!(kit.data(Some(token), query).await, expected, "{query}");
    }
    for (token, query, code) in [
        (Some(&erin), of_dora, "FORBIDDEN"),
        (Some(&stranger), redemptions, "FORBIDDEN"),
        (Some(&stranger), "{ portfolio { items { instrumentId } } }", "FORBIDDEN"),
        (Some(&stranger), "{ subscriptions { totalCount } }", "BAD_USER_INPUT"),
        (Some(&stranger), r#"{ offering(id: "x") { id } }"#, "BAD_USER_INPUT"),
        (Some(&stranger), r#"{ offerings(filter: { exemption: "507" }) { totalCount } }"#, "BAD_USER_INPUT"),
        (None, redemptions, "UNAUTHENTICATED"),
        (None, "{ offerings { totalCount } }", "UNAUTHENTICATED"),
        (None, "{ portfolio { items { instrumentId } } }", "UNAUTHENTICATED"),
    ] {
        assert_eq!(kit.code(token.map(String::as_str), query).await, code, "{query}");
    }
}

/// Pages of one row, from either end, are the whole list.
async fn pages_join(market: &Market) {
    let (kit, dora) = (market.kit(), Some(market.desk.dora.as_str()));
    for field in ["subscriptions", "redemptions", "offerings"] {
        let ids = async |arguments: &str| {
            let query =
                format!("{{ list: {field}({arguments}) {{ nodes {{ id }} pageInfo {{ endCursor startCursor }} }} }}");
            let list = kit.data(dora, &query).await["list"].take();
            (list["nodes"].as_array().unwrap().clone(), list["pageInfo"].clone())
        };
        let (all, _) = ids("first: 9").await;
        let (first, info) = ids("first: 1").await;
        let (rest, _) = ids(&format!("first: 1, after: {}", info["endCursor"])).await;
        assert_eq!([first, rest].concat(), all, "{field}");
        let (last, info) = ids("last: 1").await;
        let (before, _) = ids(&format!("last: 1, before: {}", info["startCursor"])).await;
        assert_eq!([before, last].concat(), all, "{field}");
        let (mut oldest, _) = ids("order: OLDEST_FIRST").await;
        oldest.reverse();
        assert_eq!(oldest, all, "{field}");
    }
}

async fn statements_do_not_grow_with_rows(mut market: Market) {
    let dora = market.desk.dora.clone();
    let lists = ["subscriptions { nodes { id", "redemptions { nodes { id nav { amount }"];
    let (url, statements, thread) = counted(market.kit());
    let own = std::mem::replace(&mut market.desk.life.ground.kit.url, url);
    for list in lists {
        let mut counts = Vec::new();
        for first in [1, 2] {
            let before = statements.of_requests().len();
            let query = format!("{{ {} }} }} }}", list.replacen(" {", &format!("(first: {first}) {{"), 1));
            let data = market.kit().data(Some(&dora), &query).await;
            counts.push(statements.of_requests().len() - before);
            assert!(counts[0] > 0 && data.to_string().matches("\"id\"").count() == first, "{data}");
        }
        assert_eq!(counts[0], counts[1], "{list}");
    }
    market.desk.life.ground.kit.url = own;
    market.desk.end().await;
    thread.join().unwrap();
}
