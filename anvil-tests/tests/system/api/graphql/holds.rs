//! What holds a wallet's units back, and what a token says of itself.

use alloy::primitives::{B256, U256, Uint};
use tokenx_contracts::bindings::SecurityToken;

use super::*;

const DAY: u64 = 86_400;
const REASON: B256 = B256::repeat_byte(7);

#[tokio::test]
async fn holds_bind_until_they_end_or_expire_and_rest_agrees() {
    let kit = Kit::whole().await;
    let (token, executor, wallet) = kit.ground().await;
    let block = kit.chain().rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    let now = u64::from_str_radix(block["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let units = |tokens: u64| U256::from(tokens) * U256::from(10).pow(U256::from(18));
    let until = Uint::from(now + DAY);
    let lock = SecurityToken::mintLockedCall { to: wallet, amount: units(10), kind: 2, until, reason: REASON };
    kit.transact(executor, token, lock).await;
    let hold = SecurityToken::placeHoldCall { account: wallet, amount: units(5), until: Uint::ZERO, reason: REASON };
    kit.transact(executor, token, hold).await;

    let query = "{ holdings { nodes { balance held heldRaw locked spendable
                     holds { id kind amount amountRaw until agent } } } }";
    let holding = eventually("both holds are indexed", || async {
        let holding = kit.data(None, query).await["holdings"]["nodes"][0].take();
        (holding["held"] == "15.0").then_some(holding)
    })
    .await;
    assert_eq!(
        (&holding["balance"], &holding["locked"], &holding["spendable"]),
        (&json!("1010.0"), &json!("15.0"), &json!("995.0"))
    );
    assert_eq!(holding["heldRaw"], units(15).to_string());
    let midnight = time::OffsetDateTime::from_unix_timestamp((now + DAY).next_multiple_of(DAY).cast_signed()).unwrap();
    let midnight = midnight.format(&time::format_description::well_known::Rfc3339).unwrap();
    let lockup = json!({ "id": 1, "kind": "REG_D", "amount": "10.0", "amountRaw": units(10).to_string(),
                         "until": midnight, "agent": null });
    let claim = json!({ "id": 2, "kind": "REDEMPTION", "amount": "5.0", "amountRaw": units(5).to_string(),
                        "until": null, "agent": executor.to_checksum(None) });
    assert_eq!(holding["holds"], json!([lockup, claim]));
    kit.rows(&[("995.0", false), ("15.0", true)]).await;

    // Days later the lockup has expired, though no log says so.
    kit.chain().rpc("evm_increaseTime", json!([3 * DAY])).await.unwrap();
    eventually("the lockup has expired", || async {
        let holding = kit.data(None, query).await["holdings"]["nodes"][0].take();
        (holding["locked"] == "5.0" && holding["holds"] == json!([claim])).then_some(())
    })
    .await;
    kit.rows(&[("1005.0", false), ("5.0", true)]).await;
    kit.end().await;
}

#[tokio::test]
async fn a_token_shows_its_limits_its_country_rule_and_its_documents() {
    let kit = Kit::whole().await;
    let (token, executor, _) = kit.ground().await;
    let query = "{ token(instrumentId: \"rCC\") { maxHolders maxBalance maxBalanceRaw countryRule { mode countries }
                     documents { name uri hash changedAt changedBlockNumber changedTransactionHash } } }";
    let bare = kit.data(None, query).await["token"].take();
    let nothing =
        json!({ "maxHolders": null, "maxBalance": null, "maxBalanceRaw": null, "countryRule": null, "documents": [] });
    assert_eq!(bare, nothing);

    let most = Uint::from(10u64.pow(18) * 5);
    kit.transact(executor, token, SecurityToken::setLimitsCall { maxHolders: 99, maxBalance: most, reason: REASON })
        .await;
    let mut countries = [U256::ZERO; 4];
    countries[276 / 256].set_bit(276 % 256, true);
    countries[840 / 256].set_bit(840 % 256, true);
    kit.transact(executor, token, SecurityToken::setCountryRuleCall { mode: 2, countries, reason: REASON }).await;
    let (name, hash) = (B256::repeat_byte(0x0d), B256::repeat_byte(0x4a));
    let document = |uri: &str| SecurityToken::setDocumentCall { name, uri: uri.to_owned(), hash };
    kit.transact(executor, token, document("ipfs://first")).await;
    kit.transact(executor, token, document("ipfs://second")).await;
    let shown = eventually("the second document is indexed", || async {
        let shown = kit.data(None, query).await["token"].take();
        (shown["documents"][0]["uri"] == "ipfs://second").then_some(shown)
    })
    .await;
    assert_eq!((&shown["maxHolders"], &shown["maxBalance"]), (&json!(99), &json!("5.0")));
    assert_eq!(shown["countryRule"], json!({ "mode": "ADMIT", "countries": [276, 840] }));
    assert_eq!(shown["documents"].as_array().map(Vec::len), Some(1));
    assert_eq!(shown["documents"][0]["hash"], format!("{hash:#x}"));

    kit.transact(executor, token, SecurityToken::removeDocumentCall { name }).await;
    eventually("the document is gone", || async {
        (kit.data(None, query).await["token"]["documents"] == json!([])).then_some(())
    })
    .await;
    kit.end().await;
}

impl Kit {
    /// The token `rCC`, who may do everything to it, and Alice's wallet.
    pub(super) async fn ground(&self) -> (Address, Address, Address) {
        let data = self
            .data(None, "{ token(instrumentId: \"rCC\") { address executor holdings { nodes { wallet } } } }")
            .await;
        let address = |value: &Value| value.as_str().unwrap().parse().unwrap();
        let token = &data["token"];
        (address(&token["address"]), address(&token["executor"]), address(&token["holdings"]["nodes"][0]["wallet"]))
    }

    /// Waits until Alice's rows of the holdings list are these.
    async fn rows(&self, expected: &[(&str, bool)]) {
        eventually(&format!("the holdings list shows {expected:?}"), || async {
            let page = self.get("/data/admin/holdings?instrument_id=rCC", self.token(Role::SuperAdmin)).await.json();
            let rows = page["holdings"].as_array()?;
            let shown: Vec<(&str, bool)> =
                rows.iter().map(|row| (row["amount"].as_str().unwrap(), row["locked"].as_bool().unwrap())).collect();
            (shown.len() == expected.len() && expected.iter().all(|row| shown.contains(row))).then_some(())
        })
        .await;
    }
}
