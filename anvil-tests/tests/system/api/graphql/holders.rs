//! Who holds a token, by size and by party; and what was frozen and recovered.

use alloy::primitives::{B256, U256};
use tokenx_contracts::bindings::{Investor, InvestorRegistry, SecurityToken};

use super::*;

const REASON: B256 = B256::repeat_byte(7);

/// Carol's second wallet, and wallets of nobody that the platform knows.
const SECOND: Address = Address::repeat_byte(0xc2);
const STRANGERS: [Address; 2] = [Address::repeat_byte(0x51), Address::repeat_byte(0x52)];

impl Kit {
    /// Gives rCC to two wallets of Carol, 300 in all, and 200 each to two strangers. Alice has 1,000.
    async fn share_out(&self) -> (Address, Address, Address) {
        let (token, executor, alice) = self.ground().await;
        let doors = Doors::of(&self.settings.chain);
        let (registry, operator) = (doors.registry.unwrap(), doors.registry_executor.unwrap());
        let carol: i64 = sqlx::query_scalar("SELECT investor_id FROM parties WHERE party_id = $1")
            .bind(CAROL)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        let carol = u64::try_from(carol).unwrap();
        let owners = [(CAROL_WALLET, carol), (SECOND, carol), (STRANGERS[0], 900_001), (STRANGERS[1], 900_002)];
        for ((wallet, investor_id), amount) in owners.into_iter().zip([100, 200, 200, 200]) {
            let investor = Investor {
                investorId: investor_id,
                country: 404,
                investorClass: 1,
                kycExpiresAt: alloy::primitives::Uint::ZERO,
                flags: 1,
            };
            let call = InvestorRegistry::setInvestorCall { wallet, investor, reason: REASON };
            self.transact(operator, registry, call).await;
            let amount = U256::from(amount) * U256::from(10).pow(U256::from(18));
            self.transact(executor, token, SecurityToken::mintCall { to: wallet, amount, reason: REASON }).await;
        }
        eventually("all is indexed", || async {
            let data = self.data(None, "{ token(instrumentId: \"rCC\") { totalSupply } }").await;
            (data["token"]["totalSupply"] == "1700.0").then_some(())
        })
        .await;
        (token, executor, alice)
    }
}

#[tokio::test]
async fn holders_are_parties_by_size_and_a_total_order_pages_through_equal_ones() {
    let kit = Kit::whole().await;
    let (_, _, alice) = kit.share_out().await;
    let all =
        "{ token(instrumentId: \"rCC\") { holders { totalCount nodes { id party { partyId } wallets balance } } } }";
    let staff = kit.data(kit.token(Role::SuperAdmin), all).await["token"]["holders"].take();
    assert_eq!(staff["totalCount"], 4);
    let strangers = STRANGERS.map(|wallet| wallet.to_checksum(None));
    let mut carols = [CAROL_WALLET, SECOND].map(|wallet| wallet.to_checksum(None));
    carols.sort_by_key(|wallet| wallet.to_lowercase());
    let shown: Vec<_> = staff["nodes"].as_array().unwrap().iter().collect();
    let row = |n: usize| (&shown[n]["party"]["partyId"], &shown[n]["wallets"], &shown[n]["balance"]);
    assert_eq!(row(0), (&json!(ALICE), &json!([alice.to_checksum(None)]), &json!("1000.0")));
    assert_eq!(row(1), (&json!(CAROL), &json!(carols), &json!("300.0")), "an investor's wallets are one holder");
    assert_eq!(row(2), (&json!(strangers[1]), &json!([strangers[1]]), &json!("200.0")));
    assert_eq!(row(3).0, &json!(strangers[0]), "whom the platform does not know is named by the wallet");
    let nobody = kit.data(None, all).await["token"]["holders"]["nodes"].take();
    assert!(nobody.as_array().unwrap().iter().all(|holder| holder["party"].is_null() && holder["balance"].is_string()));

    // One at a time, equal ones among them, from either end.
    for (page, order) in [("first: 1", "LARGEST_FIRST"), ("first: 1", "SMALLEST_FIRST"), ("last: 1", "LARGEST_FIRST")] {
        let (mut walked, mut at) = (Vec::new(), String::new());
        loop {
            let query = format!(
                "{{ token(instrumentId: \"rCC\") {{ holders({page} {at} order: {order}) {{ nodes {{ id }}
                    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"
            );
            let list = kit.data(None, &query).await["token"]["holders"].take();
            walked.push(list["nodes"][0]["id"].clone());
            let info = &list["pageInfo"];
            let (more, next) = match page {
                "first: 1" => (&info["hasNextPage"], format!("after: {}", info["endCursor"])),
                _ => (&info["hasPreviousPage"], format!("before: {}", info["startCursor"])),
            };
            if *more == false {
                break;
            }
            at = next;
        }
        if (page, order) != ("first: 1", "LARGEST_FIRST") {
            walked.reverse();
        }
        assert_eq!(walked, shown.iter().map(|holder| holder["id"].clone()).collect::<Vec<_>>(), "{page} {order}");
    }

    let by_size = "{ holdings(first: 2, order: LARGEST_FIRST) { nodes { balance } pageInfo { endCursor } } }";
    let page = kit.data(None, by_size).await["holdings"].take();
    assert_eq!(page["nodes"], json!([{ "balance": "1000.0" }, { "balance": "200.0" }]));
    let rest = format!(
        "{{ holdings(after: {}, order: LARGEST_FIRST) {{ nodes {{ balance }} }} }}",
        page["pageInfo"]["endCursor"]
    );
    let rest = kit.data(None, &rest).await["holdings"]["nodes"].take();
    assert_eq!(rest, json!([{ "balance": "200.0" }, { "balance": "200.0" }, { "balance": "100.0" }]));

    let of = |filter: String| {
        format!("{{ token(instrumentId: \"rCC\") {{ holders(filter: {{ {filter} }}) {{ totalCount }} }} }}")
    };
    for (filter, expected) in [
        (format!("party: \"{CAROL}\""), 1),
        (format!("balanceRaw_gte: \"3{}\"", "0".repeat(20)), 2),
        (format!("balanceRaw_lt: \"3{}\"", "0".repeat(20)), 2),
    ] {
        let data = kit.data(kit.token(Role::SuperAdmin), &of(filter.clone())).await;
        assert_eq!(data["token"]["holders"]["totalCount"], expected, "{filter}");
    }
    assert_eq!(kit.code(None, &of(format!("party: \"{CAROL}\""))).await, "FORBIDDEN");
    kit.end().await;
}

#[tokio::test]
async fn freezes_and_recoveries_are_lists_like_the_others() {
    let kit = Kit::whole().await;
    let (token, executor, alice) = kit.ground().await;
    let amount = U256::from(5) * U256::from(10).pow(U256::from(18));
    kit.transact(executor, token, SecurityToken::setFrozenTokens_0Call { account: alice, amount, reason: REASON })
        .await;
    let freeze = SecurityToken::setAddressFrozenCall { account: alice, frozen: true, reason: REASON };
    kit.transact(executor, token, freeze).await;
    let query = "{ freezes { totalCount nodes { amount addressFrozen wallet reason party { partyId } token { symbol } } }
                   token(instrumentId: \"rCC\") { freezes(first: 1) { totalCount nodes { addressFrozen } }
                                                  recoveries { totalCount } } recoveries { totalCount nodes { lost } } }";
    let data = eventually("both are indexed", || async {
        let data = kit.data(kit.token(Role::ComplianceOfficer), query).await;
        (data["freezes"]["totalCount"] == 2).then_some(data)
    })
    .await;
    let (newest, oldest) = (&data["freezes"]["nodes"][0], &data["freezes"]["nodes"][1]);
    assert_eq!((&newest["amount"], &newest["addressFrozen"]), (&json!("5.0"), &json!(true)));
    assert_eq!((&oldest["amount"], &oldest["addressFrozen"]), (&json!("5.0"), &json!(false)));
    assert_eq!((&newest["party"]["partyId"], &newest["wallet"]), (&json!(ALICE), &json!(alice.to_checksum(None))));
    assert_eq!(data["token"]["freezes"], json!({ "totalCount": 2, "nodes": [{ "addressFrozen": true }] }));
    assert_eq!(data["recoveries"], json!({ "totalCount": 0, "nodes": [] }));
    assert_eq!(data["token"]["recoveries"]["totalCount"], 0);
    kit.end().await;
}
