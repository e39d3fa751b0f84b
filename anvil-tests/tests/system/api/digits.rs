//! Amounts survive every surface digit for digit.

use alloy::primitives::U256;
use tokenx::local::suite::COLD_KEY;
use tokenx_config::Follow;
use tokenx_contracts::bindings::TestUSD;

use super::*;

/// 2^256 − 2: the most that one holder can have beside another one.
const ALMOST_ALL: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639934";
/// 2^256 − 1, in base units and in whole tokens of six decimals.
const ALL: [&str; 2] = [
    "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    "115792089237316195423570985008687907853269984665640564039457584007913129.639935",
];

#[tokio::test]
async fn two_to_the_256_less_one_survives_database_rest_and_graphql() {
    let kit = Kit::whole_with(|settings, deployment| {
        let token = deployment.suite.payment_token.unwrap();
        settings.chain.follow = vec![Follow { token, instrument_id: "USD.all".to_owned(), start_block: None }];
    })
    .await;
    let cold = COLD_KEY.parse::<alloy::signers::local::PrivateKeySigner>().unwrap().address();
    let usd = kit.settings.chain.follow[0].token;
    let (rich, poor) = (Address::repeat_byte(0x11), Address::repeat_byte(0x22));
    for (to, amount) in [(rich, U256::MAX - U256::from(1)), (poor, U256::from(1))] {
        kit.transact(cold, usd, TestUSD::mintCall { to, amount }).await;
    }

    let admin = kit.token(Role::SuperAdmin);
    let page = eventually("both are confirmed", || async {
        let page = kit.get("/data/admin/holdings?instrument_id=USD.all", admin).await.json();
        (page["total"] == 2).then_some(page)
    })
    .await;
    let amount = |wallet: Address| {
        let rows = page["holdings"].as_array().unwrap();
        rows.iter().find(|row| row["party_id"] == wallet.to_checksum(None)).unwrap()["amount"].clone()
    };
    let almost_all = ALL[1].replace("639935", "639934");
    assert_eq!((amount(rich), amount(poor)), (json!(almost_all), json!("0.000001")));
    let mints = kit.get("/data/admin/mints?instrument_id=USD.all", admin).await.json();
    let minted: Vec<&Value> = mints.as_array().unwrap().iter().map(|row| &row["amount"]).collect();
    assert_eq!(minted, [&json!("0.000001"), &json!(almost_all)]);

    let query = "{ token(instrumentId: \"USD.all\") { totalSupply totalSupplyRaw
                     holdings { nodes { balance balanceRaw spendableRaw lockedRaw } } mints { nodes { amountRaw } } } }";
    let body = json!({ "query": query });
    let token = kit.post("/graphql", None, &body).await.json()["data"]["token"].take();
    assert_eq!((&token["totalSupplyRaw"], &token["totalSupply"]), (&json!(ALL[0]), &json!(ALL[1])));
    let first = &token["holdings"]["nodes"][0];
    assert_eq!((&first["balanceRaw"], &first["balance"]), (&json!(ALMOST_ALL), &json!(almost_all)));
    assert_eq!((&first["spendableRaw"], &first["lockedRaw"]), (&json!(ALMOST_ALL), &json!("0")));
    assert_eq!(token["mints"]["nodes"], json!([{ "amountRaw": "1" }, { "amountRaw": ALMOST_ALL }]));

    let status = eventually("the monitor has seen it", || async {
        let status = kit.get("/status", admin).await.json();
        (status["tokens"]["USD.all"]["unique_holders"] == 2).then_some(status)
    })
    .await;
    assert_eq!(status["tokens"]["USD.all"]["total_supply"], ALL[1]);

    let stored: Vec<String> = sqlx::query_scalar("SELECT balance::text FROM holdings WHERE token = $1 ORDER BY wallet")
        .bind(usd.as_slice())
        .fetch_all(&kit.pool)
        .await
        .unwrap();
    assert_eq!(stored, [ALMOST_ALL, "1"]);
    kit.end().await;
}
