//! Tokens, holdings, events and commands, from either end.

use alloy::primitives::U256;

use super::*;

#[tokio::test]
async fn what_is_public_is_read_without_a_token_as_of_one_block() {
    let kit = Kit::whole().await;
    let query = "{ _meta { block { number hash timestamp } chainId confirmedBlockNumber hasIndexingErrors }
                   tokens(filter: { instrumentId: \"rCC\" }) { totalCount nodes { instrumentId symbol decimals totalSupply totalSupplyRaw address
                     holdings { totalCount nodes { wallet balance balanceRaw locked spendable addressFrozen } } } }
                   mints { totalCount nodes { id amount amountRaw instrumentId blockNumber logIndex timestamp
                     transactionHash commandId wallet token { symbol } } }
                   transfers { totalCount nodes { from to amount forced } } burns { totalCount } }";
    let data = kit.data(None, query).await;
    assert_eq!(data["_meta"]["chainId"], 31_337);
    assert_eq!(data["_meta"]["hasIndexingErrors"], false);
    assert!(data["_meta"]["block"]["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    let hash = data["_meta"]["block"]["hash"].as_str().unwrap();
    let number = data["_meta"]["block"]["number"].as_u64().unwrap();
    let block = kit.chain().rpc("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await.unwrap();
    assert_eq!(block["hash"], hash, "the block it says is the block it is");

    assert_eq!(data["tokens"]["totalCount"], 1);
    let token = &data["tokens"]["nodes"][0];
    assert_eq!((&token["instrumentId"], &token["totalSupply"]), (&json!("rCC"), &json!("1000.0")));
    let decimals = usize::try_from(token["decimals"].as_u64().unwrap()).unwrap();
    assert_eq!(token["totalSupplyRaw"], format!("1000{}", "0".repeat(decimals)));
    assert_eq!(token["holdings"]["totalCount"], 1);
    let holding = &token["holdings"]["nodes"][0];
    assert_eq!(
        (&holding["balance"], &holding["locked"], &holding["spendable"], &holding["addressFrozen"]),
        (&json!("1000.0"), &json!("0.0"), &json!("1000.0"), &json!(false))
    );

    let mint = &data["mints"]["nodes"][0];
    assert_eq!((&mint["amount"], &mint["commandId"]), (&json!("1000.0"), &json!("seed")));
    assert_eq!(mint["wallet"], holding["wallet"]);
    assert_eq!(mint["id"], format!("{}:{}", mint["transactionHash"].as_str().unwrap(), mint["logIndex"]));
    assert_eq!((&data["transfers"]["totalCount"], &data["burns"]["totalCount"]), (&json!(1), &json!(0)));
    assert_eq!(data["transfers"]["nodes"][0]["from"], "0x0000000000000000000000000000000000000000");
    kit.end().await;
}

/// All ids of a list, a page at a time.
async fn walk(kit: &Kit, forward: bool, arguments: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut at = String::new();
    loop {
        let page = if forward { "first: 3" } else { "last: 3" };
        let query = format!(
            "{{ mints({page} {at} {arguments}) {{ edges {{ cursor node {{ id }} }}
                pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
        );
        let list = kit.data(None, &query).await["mints"].take();
        let ids = list["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned());
        let info = &list["pageInfo"];
        let more = if forward {
            all.extend(ids);
            at = format!("after: {}", info["endCursor"]);
            info["hasNextPage"] == true
        } else {
            all.splice(0..0, ids);
            at = format!("before: {}", info["startCursor"]);
            info["hasPreviousPage"] == true
        };
        if !more {
            return all;
        }
    }
}

#[tokio::test]
async fn a_list_reads_the_same_from_either_end_and_backwards_in_the_other_order() {
    let kit = Kit::whole().await;
    kit.mint_some(7).await;
    let data = kit.data(None, "{ mints { totalCount nodes { id blockNumber logIndex } } }").await;
    assert_eq!(data["mints"]["totalCount"], 8);
    let nodes = data["mints"]["nodes"].as_array().unwrap();
    let place = |node: &Value| (node["blockNumber"].as_u64().unwrap(), node["logIndex"].as_u64().unwrap());
    assert!(nodes.windows(2).all(|pair| place(&pair[0]) > place(&pair[1])), "newest first");
    let mut expected: Vec<String> = nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(walk(&kit, true, "").await, expected);
    assert_eq!(walk(&kit, false, "").await, expected);
    expected.reverse();
    assert_eq!(walk(&kit, true, "order: OLDEST_FIRST").await, expected);
    assert_eq!(walk(&kit, false, "order: OLDEST_FIRST").await, expected);

    // The same page of each token's list, by one statement.
    let nested = "{ tokens { nodes { instrumentId mints(last: 2) {
                    totalCount nodes { id } pageInfo { hasPreviousPage } } } } }";
    let mut tokens = kit.data(None, nested).await["tokens"]["nodes"].take();
    tokens.as_array_mut().unwrap().sort_by_key(|token| token["instrumentId"].to_string());
    let (full, empty) = (&tokens[0]["mints"], &tokens[1]["mints"]);
    assert_eq!(full["nodes"], json!([{ "id": expected[1] }, { "id": expected[0] }]));
    assert_eq!((&full["totalCount"], &full["pageInfo"]["hasPreviousPage"]), (&json!(8), &json!(true)));
    assert_eq!(*empty, json!({ "totalCount": 0, "nodes": [], "pageInfo": { "hasPreviousPage": false } }));
    kit.end().await;
}

#[tokio::test]
async fn filters_keep_what_matches_and_join_by_and() {
    let kit = Kit::whole().await;
    kit.mint_some(3).await;
    assert_eq!(kit.burn("burnt", ALICE, "2").await.status, 200);
    kit.holding("1001.0").await;
    let data = kit
        .data(
            None,
            "{ mints { nodes { blockNumber wallet transactionHash } } token(instrumentId: \"rCC\") { address symbol } }",
        )
        .await;
    let one = format!("1{}", "0".repeat(18));
    let symbol = &data["token"]["symbol"];
    let blocks: Vec<u64> =
        data["mints"]["nodes"].as_array().unwrap().iter().map(|node| node["blockNumber"].as_u64().unwrap()).collect();
    let (newest, oldest) = (blocks[0], blocks[blocks.len() - 1]);
    let hashes: Vec<&Value> =
        data["mints"]["nodes"].as_array().unwrap().iter().map(|node| &node["transactionHash"]).collect();
    let same_transaction = hashes.iter().filter(|hash| **hash == hashes[0]).count();
    let (wallet, token) = (&data["mints"]["nodes"][0]["wallet"], &data["token"]["address"]);
    let at = |condition: &dyn Fn(u64) -> bool| blocks.iter().filter(|block| condition(**block)).count();
    for (list, filter, expected) in [
        ("mints", "instrumentId: \"rCC\"".to_owned(), 4),
        ("mints", "instrumentId: \"rDD\"".to_owned(), 0),
        ("mints", "instrumentId_in: [\"rDD\", \"rCC\"]".to_owned(), 4),
        ("mints", format!("token: {token}, wallet: {wallet}"), 4),
        ("mints", format!("wallet_in: [{wallet}, \"0x00000000000000000000000000000000000000aa\"]"), 4),
        ("mints", "wallet: \"0x00000000000000000000000000000000000000aa\"".to_owned(), 0),
        ("mints", "instrumentId_not: \"rCC\"".to_owned(), 0),
        ("mints", "token_not: \"0x00000000000000000000000000000000000000aa\"".to_owned(), 4),
        ("mints", format!("wallet_not: {wallet}"), 0),
        ("mints", format!("amountRaw_gt: \"{one}\""), 1),
        ("mints", format!("amountRaw_gte: \"{one}\", amountRaw_lt: \"1{one}\""), 3),
        ("mints", format!("amountRaw: \"{one}\""), 3),
        ("mints", format!("amountRaw_gt: \"{}\"", U256::MAX), 0),
        ("mints", "timestamp_gte: \"2000-01-01T00:00:00Z\"".to_owned(), 4),
        ("mints", "timestamp_lt: \"2000-01-01T00:00:00Z\"".to_owned(), 0),
        ("mints", format!("blockNumber_gt: {oldest}"), at(&|block| block > oldest)),
        ("mints", format!("blockNumber_gte: {oldest}, blockNumber_lt: {newest}"), at(&|block| block < newest)),
        ("mints", format!("blockNumber: {newest}"), at(&|block| block == newest)),
        ("mints", format!("transactionHash: {}", hashes[0]), same_transaction),
        ("mints", format!("transactionHash_in: [{}]", hashes[0]), same_transaction),
        ("burns", "forced: false".to_owned(), 1),
        ("burns", "forced: true".to_owned(), 0),
        ("transfers", "to: \"0x0000000000000000000000000000000000000000\"".to_owned(), 1),
        ("transfers", format!("from: {wallet}"), 1),
        ("transfers", format!("wallet: {wallet}"), 5),
        ("transfers", format!("wallet_not: {wallet}"), 0),
        ("transfers", format!("from_not: {wallet}"), 4),
        ("transfers", format!("to_in: [{wallet}], instrumentId: \"rCC\""), 4),
        ("holdings", format!("wallet: {wallet}, instrumentId: \"rCC\""), 1),
        ("holdings", format!("token_in: [{token}]"), 1),
        ("holdings", format!("wallet_not: {wallet}"), 0),
        ("holdings", "addressFrozen: true".to_owned(), 0),
        ("holdings", format!("balanceRaw_gt: \"{one}\", addressFrozen: false"), 1),
        ("holdings", format!("balanceRaw_lte: \"{one}\""), 0),
        ("tokens", "instrumentId_in: [\"rCC\", \"nothing\"]".to_owned(), 1),
        ("tokens", format!("address: {token}, instrumentId: \"rDD\""), 0),
        ("tokens", format!("address_not: {token}"), 1),
        ("tokens", "instrumentId_not: \"nothing\", createdBlockNumber_gte: 0".to_owned(), 2),
        ("tokens", "totalSupplyRaw_gt: \"0\"".to_owned(), 1),
        ("tokens", format!("symbol: {symbol}"), 1),
        ("tokens", format!("symbol_not: {symbol}"), 1),
    ] {
        let query = format!("{{ {list}(filter: {{ {filter} }}) {{ totalCount nodes {{ id }} }} }}");
        let found = kit.data(None, &query).await[list].take();
        assert_eq!(found["totalCount"], expected, "{query}");
        assert_eq!(found["nodes"].as_array().unwrap().len(), expected, "{query}");
    }
    kit.end().await;
}

#[tokio::test]
async fn commands_show_to_whom_rest_shows_them() {
    let kit = Kit::whole().await;
    let query = "{ commands(filter: { commandId: \"seed\" }) { totalCount nodes {
        id commandId scope kind instrumentId amount amountRaw state attempts wallet transactionHash token { symbol } } } }";
    let command = eventually("the seed is final or confirmed", || async {
        let mut found = kit.data(kit.token(Role::TransferAgent), query).await["commands"].take();
        assert_eq!(found["totalCount"], 1);
        let command = found["nodes"][0].take();
        (command["state"] == "confirmed" || command["state"] == "final").then_some(command)
    })
    .await;
    assert_eq!(
        (&command["scope"], &command["kind"], &command["instrumentId"], &command["amount"]),
        (&json!("ops"), &json!("mint"), &json!("rCC"), &json!("1000.0"))
    );
    assert!(command["transactionHash"].is_string() && command["attempts"].as_u64().unwrap() >= 1);
    for (filter, expected) in [
        ("kind_not: \"whitelist\", state_not: failed", 1),
        ("instrumentId_not: \"rCC\"", 1),
        ("createdAt_gte: \"2000-01-01T00:00:00Z\"", 2),
        ("createdAt_lt: \"2000-01-01T00:00:00Z\"", 0),
    ] {
        let query = format!("{{ commands(filter: {{ {filter} }}) {{ totalCount }} }}");
        assert_eq!(kit.data(kit.token(Role::SuperAdmin), &query).await["commands"]["totalCount"], expected, "{query}");
    }
    let whitelists = "{ commands(filter: { kind_in: [\"whitelist\"], scope: \"system\" }) { totalCount } }";
    assert_eq!(kit.data(kit.token(Role::SuperAdmin), whitelists).await["commands"]["totalCount"], 1);
    let newest = "{ commands(first: 1) { nodes { commandId } } }";
    assert_eq!(kit.data(kit.token(Role::SuperAdmin), newest).await["commands"]["nodes"][0]["commandId"], "seed");
    let oldest = "{ commands(last: 1) { nodes { kind } } }";
    assert_eq!(kit.data(kit.token(Role::SuperAdmin), oldest).await["commands"]["nodes"][0]["kind"], "whitelist");
    assert_eq!(kit.code(None, query).await, "UNAUTHENTICATED");
    for role in [Role::Investor, Role::Issuer, Role::ComplianceOfficer] {
        assert_eq!(kit.code(kit.token(role), query).await, "FORBIDDEN", "{role}");
    }
    kit.end().await;
}
