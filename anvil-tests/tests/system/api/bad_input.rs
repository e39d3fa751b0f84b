//! Everything that may be wrong with a mint or a burn: each is refused by name, and none leaves a trace.

use super::*;

/// 2^256 base units, one more than fits, as whole tokens of 18 decimals.
const ABOVE_UINT256: &str = "115792089237316195423570985008687907853269984665640564039457.584007913129639936";

#[tokio::test]
async fn every_bad_field_is_named_and_nothing_is_left_behind() {
    let kit = Kit::whole().await;
    let supply = kit.supply_of().await;
    let commands = kit.count("commands").await;
    let audited = kit.count("audit_log").await;

    // The amount, as it is written in the body.
    let amounts = [
        "\"\"",
        "\"-1\"",
        "-1",
        "-0.1",
        "0",
        "\"0\"",
        "\"0.000\"",
        "\"NaN\"",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "\"1e2\"",
        "\"abc\"",
        "\" 1\"",
        "\"1,5\"",
        "\"0x10\"",
        "\"+1\"",
        "\".5\"",
        "\"5.\"",
        "null",
        "true",
        "{}",
        "[]",
        "\"0.0000000000000000001\"",
        "1e-19",
        &format!("\"{ABOVE_UINT256}\""),
        ABOVE_UINT256,
        "\"１\"",
    ];
    for which in ["mint", "burn"] {
        for amount in amounts {
            let answer = kit.supply(which, "bad-1", ALICE, amount).await;
            assert_eq!(answer.bad_fields(), ["amount: value_error"], "{which} {amount}");
        }
        for (party_id, kind) in
            [("", "value_error"), (" ", "value_error"), ("nobody", "unknown_party"), (CAROL, "wallet_not_whitelisted")]
        {
            let answer = kit.supply(which, "bad-1", party_id, "\"1\"").await;
            assert_eq!(answer.bad_fields(), [format!("party_id: {kind}")], "{which} {party_id:?}");
        }
        for command_id in ["", "a b", "é", "a\nb", &"x".repeat(129)] {
            let answer = kit.supply(which, command_id, ALICE, "\"1\"").await;
            assert_eq!(answer.bad_fields(), ["command_id: value_error"], "{which} {command_id:?}");
        }
        for (instrument_id, kind) in [("", "value_error"), ("r CC", "value_error"), ("rXX", "unknown_instrument")] {
            let body =
                json!({ "command_id": "bad-1", "instrument_id": instrument_id, "party_id": ALICE, "amount": "1" });
            let answer = kit.post(&format!("/api/admin/{which}"), kit.token(Role::TransferAgent), &body).await;
            assert_eq!(answer.bad_fields(), [format!("instrument_id: {kind}")], "{which} {instrument_id:?}");
        }
    }
    // An address that no registry knows.
    let stranger = kit.mint("bad-1", &CAROL_WALLET.to_checksum(None), "\"1\"").await;
    assert_eq!(stranger.bad_fields(), ["party_id: wallet_not_whitelisted"]);
    // More than Alice can spend, and more than may ever exist.
    assert_eq!(
        kit.burn("bad-1", ALICE, "\"1000.000000000000000001\"").await.bad_fields(),
        ["amount: insufficient_spendable"]
    );
    assert_eq!(
        kit.mint("bad-1", ALICE, "\"20282409603651670423947251286016\"").await.bad_fields(),
        ["amount: max_supply_exceeded"]
    );

    assert_eq!(kit.supply_of().await, supply);
    assert_eq!(kit.count("commands").await, commands);
    assert_eq!(kit.count("audit_log").await, audited);
    // The id that all of these used is still free.
    assert_eq!(kit.mint("bad-1", ALICE, "\"1\"").await.status, 200);
    kit.end().await;
}

#[tokio::test]
async fn one_answer_names_all_that_is_wrong() {
    let kit = Kit::whole().await;
    let token = kit.token(Role::TransferAgent);
    let send = async |body: &str| kit.send(Method::POST, "/api/admin/mint", token, Some(body.to_owned())).await;
    assert_eq!(
        send("{}").await.bad_fields(),
        ["command_id: missing", "instrument_id: missing", "party_id: missing", "amount: missing"]
    );
    assert_eq!(
        send(r#"{"command_id": 1, "instrument_id": "rXX", "party_id": "nobody", "amount": -1}"#).await.bad_fields(),
        [
            "command_id: string_type",
            "instrument_id: unknown_instrument",
            "party_id: unknown_party",
            "amount: value_error"
        ]
    );
    // What no token can hold is wrong whichever was meant.
    for amount in ["1e400".to_owned(), format!("\"{}\"", "9".repeat(400)), format!("{}.5", "9".repeat(400))] {
        let body = format!(r#"{{"command_id": "a", "instrument_id": "rXX", "party_id": "carol", "amount": {amount}}}"#);
        assert_eq!(
            send(&body).await.bad_fields(),
            ["instrument_id: unknown_instrument", "amount: value_error", "party_id: wallet_not_whitelisted"],
            "{amount}"
        );
    }
    assert_eq!(
        send(r#"{"command_id": "a", "command_id": "b", "instrument_id": "rCC", "party_id": "carol", "amount": 0}"#)
            .await
            .bad_fields(),
        ["command_id: duplicate_field", "amount: value_error", "party_id: wallet_not_whitelisted"]
    );
    for broken in ["", "{", "[]", "null", "\"x\"", "{\"a\":1,}", "{} {}", "\u{feff}{}"] {
        assert_eq!(send(broken).await.bad_fields(), ["body: json_invalid"], "{broken:?}");
    }
    let form = kit.client.post(format!("{}/api/admin/mint", kit.url)).bearer_auth(token.unwrap());
    let form = read(form.header("content-type", "application/x-www-form-urlencoded").body("amount=1")).await;
    assert_eq!(form.bad_fields(), ["body: json_invalid"]);
    kit.end().await;
}

#[tokio::test]
async fn a_refusal_of_state_speaks_in_whole_tokens_and_names_the_wallet() {
    let kit = Kit::whole().await;
    let asked = "\"1000.000000000000000001\"";
    let by_keeper = kit.burn("much-1", ALICE, asked).await;
    // A bad field elsewhere, and the api itself says what it finds.
    let by_api = kit.burn("much 1", ALICE, asked).await;
    let told = |answer: &Answer, place: usize| answer.json()["detail"][place]["msg"].as_str().unwrap().to_owned();
    assert_eq!(told(&by_keeper, 0), told(&by_api, 1));
    let ending = " is 1000.0, 1000.000000000000000001 were asked";
    assert!(told(&by_keeper, 0).contains("0x") && told(&by_keeper, 0).ends_with(ending), "{}", by_keeper.text);
    let carol = CAROL_WALLET.to_checksum(None);
    let refused = kit.mint("stranger-1", &carol, "\"1\"").await;
    assert_eq!(told(&refused, 0), format!("the wallet is not whitelisted: {carol}"));
    kit.end().await;
}

#[tokio::test]
async fn a_page_out_of_range_is_refused_and_never_clamped() {
    let kit = Kit::bare().await;
    for (path, above) in [("mints", 1_001), ("burns", 1_001), ("holdings", 100_001)] {
        let get =
            async |query: &str| kit.get(&format!("/data/admin/{path}?{query}"), kit.token(Role::SuperAdmin)).await;
        assert_eq!(get("limit=0").await.bad_fields(), ["limit: greater_than_equal"], "{path}");
        assert_eq!(get("limit=-1").await.bad_fields(), ["limit: greater_than_equal"], "{path}");
        assert_eq!(get(&format!("limit={above}")).await.bad_fields(), ["limit: less_than_equal"], "{path}");
        assert_eq!(
            get("limit=ten&offset=-1").await.bad_fields(),
            ["limit: int_parsing", "offset: greater_than_equal"],
            "{path}"
        );
        assert_eq!(
            get("instrument_id=a%20b&party_id=").await.bad_fields(),
            ["party_id: value_error", "instrument_id: value_error"],
            "{path}"
        );
    }
    kit.end().await;
}

impl Kit {
    async fn supply_of(&self) -> Value {
        self.get("/data/admin/holdings", self.token(Role::SuperAdmin)).await.json()["holdings"].clone()
    }

    async fn count(&self, table: &str) -> i64 {
        let query = match table {
            "commands" => "SELECT count(*) FROM commands",
            _ => "SELECT count(*) FROM audit_log",
        };
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }
}
