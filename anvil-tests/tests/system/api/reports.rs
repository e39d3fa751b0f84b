//! What compliance reads: lockups, cap tables of any block, Form D's figures. Each as JSON, and as CSV that other programs open.

use std::process::Command;

use alloy::primitives::{B256, U256, Uint};
use tokenx::local::suite;
use tokenx_anvil_tests::skipped;
use tokenx_contracts::bindings::{Listing, SecurityToken, TestUSD};
use tokenx_indexer::read;

use super::tokens::life::{Life, tokens, usd};
use super::*;

/// A party whose name is a formula to a spreadsheet.
const MALLORY: &str = "=HYPERLINK(\"http://x\",\"y\")";

impl Kit {
    /// Approved, and with so many rCC.
    async fn holder(&self, party_id: &str, amount: &str) {
        let wallet = NewWallet { party_id: PartyId::parse(party_id).unwrap(), kind: WalletKind::Hosted };
        eventually("a hosted key is ready", || async {
            admin::add_wallet(&self.pool, &self.commands, BY, wallet.clone()).await.ok()
        })
        .await;
        eventually("the units are minted", || async {
            let minted = self.mint(&format!("mint-{}", party_id.len()), party_id, amount).await;
            (minted.status == 200).then_some(())
        })
        .await;
        let supply = |held: &Value| held["total"].as_u64();
        eventually("they are held", || async {
            let holdings = format!("/data/admin/holdings?limit=1&party_id={}", urlencoded(party_id));
            let held = self.get(&holdings, self.token(Role::SuperAdmin)).await.json();
            (supply(&held) == Some(1)).then_some(())
        })
        .await;
    }

    async fn report(&self, path: &str) -> Value {
        let answer = self.get(&format!("/compliance/{path}"), self.token(Role::ComplianceOfficer)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn csv(&self, path: &str) -> Answer {
        let url = format!("{}/compliance/{path}", self.url);
        let request = self.client.get(url).bearer_auth(self.token(Role::ComplianceOfficer).unwrap());
        let answer = read(request.header("accept", "text/csv")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.header("content-type").unwrap().starts_with("text/csv"));
        assert!(answer.header("content-disposition").unwrap().starts_with("attachment"));
        answer
    }
}

fn urlencoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A CSV text, each row by its columns' names.
fn parse(text: &str) -> Vec<HashMap<String, String>> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>().unwrap()
}

/// Whole tokens with up to 18 decimals, as one number.
fn units(text: &str) -> u128 {
    let (whole, fraction) = text.split_once('.').unwrap();
    format!("{whole}{fraction:0<18}").parse().unwrap()
}

/// Whether a spreadsheet shows a number that was written with more zeros.
fn same_number(written: &str, shown: &str) -> bool {
    written.contains('.') && written.trim_end_matches('0').trim_end_matches('.') == shown
}

/// What LibreOffice shows of a CSV text, row by row; `None` where it is not installed.
fn opened_by_libreoffice(text: &str) -> Option<Vec<Vec<String>>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.csv");
    std::fs::write(&file, text).unwrap();
    let profile = format!("-env:UserInstallation=file://{}", folder.path().join("profile").display());
    // Through a spreadsheet of its own and back: what a formula would have come to is what is written.
    for (target, source) in [("ods", file.clone()), ("csv", folder.path().join("out/report.ods"))] {
        let ran = Command::new("soffice")
            .args([&profile, "--headless", "--convert-to", target, "--outdir"])
            .arg(folder.path().join("out"))
            .arg(source)
            .output();
        assert!(ran.ok()?.status.success());
    }
    let shown = std::fs::read(folder.path().join("out/report.csv")).unwrap();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&shown[..]);
    Some(reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect())
}

#[tokio::test]
async fn a_cap_table_of_any_block_or_time_adds_up_in_every_form() {
    let kit = Kit::whole().await;
    kit.add_party(MALLORY).await;
    let before = kit.report("reports/cap-table/rCC").await;
    assert_eq!((&before["holders"], &before["total_supply"]), (&json!(1), &json!("1000.0")));
    assert_eq!((&before["rows"][0]["party_id"], &before["rows"][0]["percentage"]), (&json!(ALICE), &json!("100.0")));
    // Blocks of one second cannot be told by their time.
    kit._world.as_ref().unwrap().chain.rpc("evm_increaseTime", json!([60])).await.unwrap();
    kit.holder(MALLORY, "500.5").await;

    let now = kit.report("reports/cap-table/rCC").await;
    assert_eq!((&now["holders"], &now["total_supply"]), (&json!(2), &json!("1500.5")));
    let rows = now["rows"].as_array().unwrap();
    assert_eq!((&rows[1]["party_id"], &rows[1]["quantity"]), (&json!(MALLORY), &json!("500.5")));
    assert_eq!((&rows[0]["percentage"], &rows[1]["percentage"]), (&json!("66.644452"), &json!("33.355548")));

    // As it was, by the block and by its time.
    let block = before["as_of"]["block_number"].as_u64().unwrap();
    let then = kit.report(&format!("reports/cap-table/rCC?at_block={block}")).await;
    assert_eq!(then["rows"], before["rows"]);
    let time = before["as_of"]["block_time"].as_str().unwrap();
    let by_time = kit.report(&format!("reports/cap-table/rCC?at={time}")).await;
    assert_eq!(by_time["total_supply"], then["total_supply"]);
    assert!(by_time["as_of"]["block_number"].as_u64() >= Some(block), "{by_time}");
    let first = kit.settings.chain.start_block;
    let none = kit.report(&format!("reports/cap-table/rCC?at_block={first}")).await;
    assert_eq!((&none["rows"], &none["total_supply"]), (&json!([]), &json!("0.0")));

    // Other programs open it: the totals are equal, and no cell is a formula.
    let text = kit.csv("reports/cap-table/rCC").await.text;
    let parsed = parse(&text);
    let sum: u128 = parsed.iter().map(|row| units(&row["quantity"])).sum();
    assert_eq!((parsed.len(), sum), (2, units(&parsed[0]["total_supply"])));
    assert_eq!(parsed[1]["party_id"], format!("'{MALLORY}"));
    let report = text.clone();
    match tokio::task::spawn_blocking(move || opened_by_libreoffice(&report)).await.unwrap() {
        None => skipped("LibreOffice (soffice) is not installed: reports were not opened by it"),
        Some(shown) => {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let own: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
            assert_eq!(own.len(), shown.len());
            for (own, shown) in own.iter().flatten().zip(shown.iter().flatten()) {
                assert!(own == shown || same_number(own, shown), "written {own}, shown {shown}");
            }
            assert!(shown.iter().flatten().any(|cell| cell.contains("HYPERLINK")), "{shown:?}");
        }
    }

    // Whose it is: an issuer's own alone; and what is asked wrongly is named.
    let (_, stranger) = kit.service_token(Role::Issuer, Some(1), &[Scope::ComplianceRead]).await;
    let path = "/v1/compliance/reports/cap-table/rCC";
    assert_eq!(kit.get(path, kit.token(Role::Issuer)).await.status, 200);
    assert_eq!(kit.get(path, Some(&stranger)).await.status, 404);
    let officer = kit.token(Role::ComplianceOfficer);
    for unknown in ["rXX", "00000000-0000-0000-0000-000000000000", "%ff"] {
        let answer = kit.get(&format!("/compliance/reports/cap-table/{unknown}"), officer).await;
        assert_eq!(answer.status, 404, "{unknown}");
    }
    for bad in ["at_block=99999999", "at_block=x", "at=yesterday", "at_block=1&at=2025-01-01T00:00:00Z", "format=xml"] {
        assert_eq!(kit.get(&format!("{path}?{bad}"), officer).await.status, 400, "{bad}");
    }
    kit.end().await;
}

#[tokio::test]
async fn lockups_are_listed_until_they_end_those_that_end_first_before_the_others() {
    let kit = Kit::whole().await;
    let chain_id = kit.settings.chain.chain_id;
    let instrument = read::instrument(&kit.pool, chain_id, "rCC").await.unwrap().unwrap();
    let alice = admin::list_wallets(&kit.pool, chain_id).await.unwrap()[0].address;
    let chain = &kit._world.as_ref().unwrap().chain;
    let head = read::cursor(&kit.pool, chain_id).await.unwrap().unwrap().block_time.unwrap();
    let day = 86_400;
    for (kind, days) in [(3_u8, 20_u64), (2, 10), (2, 30)] {
        let (to, amount, until) = (alice, tokens(1), Uint::from(head + days * day));
        let call = SecurityToken::mintLockedCall { to, amount, kind, until, reason: B256::ZERO };
        kit.transact(instrument.executor.unwrap(), instrument.token, call).await;
    }
    // An agent's hold is no lockup.
    let hold = SecurityToken::placeHoldCall {
        account: alice,
        amount: tokens(1),
        until: Uint::from(head + day),
        reason: B256::ZERO,
    };
    kit.transact(instrument.executor.unwrap(), instrument.token, hold).await;
    let all = eventually("all three are indexed", || async {
        let page = kit.report("transfer-restrictions").await;
        (page["items"].as_array().unwrap().len() == 3).then_some(page)
    })
    .await;
    let items = all["items"].as_array().unwrap();
    let kinds: Vec<&str> = items.iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reg_d", "reg_s", "reg_d"]);
    assert_eq!((&items[0]["party_id"], &items[0]["instrument_id"]), (&json!(ALICE), &json!("rCC")));
    assert_eq!(items[0]["wallet"], alice.to_checksum(None));
    // A lockup ends at midnight.
    assert!(items.iter().all(|item| item["ends_at"].as_str().unwrap().ends_with("T00:00:00Z")), "{all}");

    let count = async |query: &str| {
        kit.report(&format!("transfer-restrictions?{query}")).await["items"].as_array().unwrap().len()
    };
    assert_eq!((count("kind=reg_d").await, count("kind=reg_s").await), (2, 1));
    assert_eq!((count("party_id=alice%3A%3A122...").await, count("party_id=nobody").await), (3, 0));
    assert_eq!((count("instrument_id=rDD").await, count(&format!("party_id={alice}")).await), (0, 3));
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = kit.report(&format!("transfer-restrictions?limit=1{cursor}")).await;
        walked.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(&walked, items);
    for bad in ["kind=reg_a", "limit=0", "cursor=x", "instrument_id=a%20b"] {
        let path = format!("/compliance/transfer-restrictions?{bad}");
        assert_eq!(kit.get(&path, kit.token(Role::ComplianceOfficer)).await.status, 400, "{bad}");
    }

    chain.rpc("evm_increaseTime", json!([25 * day])).await.unwrap();
    eventually("two have ended", || async {
        let page = kit.report("transfer-restrictions").await;
        (page["items"].as_array().unwrap() == &items[2..]).then_some(())
    })
    .await;
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn form_d_tells_what_an_offering_sold_and_to_whom() {
    let life = Life::start().await;
    let id = life.draft().await;
    life.does(&id, "deploy", Role::Issuer, 4).await;
    let (kit, ground) = (life.kit(), &life.ground);
    let offered = ground.offer(&id, json!({ "exemption": "506b" })).await;
    let offering = offered["id"].clone();
    let path = format!("reports/reg-d/{}", offering.as_str().unwrap());
    let draft = kit.report(&path).await;
    assert_eq!((&draft["investors"], &draft["sold_amount"]), (&json!(0), &json!("0.0")));
    assert!(draft["first_sale_at"].is_null());
    ground.publish(&offering).await;
    ground.approve(&offering).await;
    ground.offering_becomes(&offering, "published").await;

    let money = life.deployment.suite.payment_token.unwrap();
    let price = offered["price"]["amount"].as_u64().unwrap();
    let cost = U256::from(price) * usd(7);
    suite::give(&kit._world.as_ref().unwrap().chain.url(), money, &[(life.alice, cost)]).await.unwrap();
    let listing = life.deployment.nodes[0].node.contracts.listing;
    kit.transact(life.alice, money, TestUSD::approveCall { spender: listing, value: cost }).await;
    let instrument = read::instrument(&kit.pool, kit.settings.chain.chain_id, "TKN").await.unwrap().unwrap();
    for part in [3, 4] {
        let (token, quantity, max_cost) = (instrument.token, tokens(part), U256::from(price) * usd(part));
        let buy = Listing::buyCall { token, quantity, paymentToken: money, maxCost: max_cost };
        kit.transact(life.alice, listing, buy).await;
    }
    let report = eventually("both purchases are told", || async {
        let report = kit.report(&path).await;
        (report["rows"][0]["purchases"] == 2).then_some(report)
    })
    .await;
    let sold = format!("{}.0", price * 7);
    assert_eq!((&report["exemption"], &report["instrument_id"]), (&json!("506b"), &json!("TKN")));
    assert_eq!((&report["investors"], &report["sold_amount"]), (&json!(1), &json!(sold)));
    assert_eq!((&report["non_accredited_investors"], &report["non_accredited_limit"]), (&json!(0), &json!(35)));
    assert_eq!((&report["within_rule"], &report["currency"]), (&json!(true), &json!("USDT")));
    let row = &report["rows"][0];
    assert_eq!((&row["party_id"], &row["quantity"], &row["amount"]), (&json!(ALICE), &json!("7.0"), &json!(sold)));
    assert_eq!((&row["country"], &row["accredited"]), (&json!(404), &json!(true)));
    let [all, rest] = ["offering_amount", "remaining_amount"].map(|name| units(report[name].as_str().unwrap()));
    assert_eq!(all - rest, units(&sold));
    let parsed = parse(&kit.csv(&path).await.text);
    assert_eq!((parsed.len(), &parsed[0]["amount"], &parsed[0]["country"]), (1, &sold, &"404".to_owned()));

    // Out of every class: not accredited, of whom 506(c) allows none; nor whom nobody has verified.
    sqlx::query("UPDATE parties SET investor_class = 0").execute(&kit.pool).await.unwrap();
    let poor = kit.report(&path).await;
    assert_eq!((&poor["non_accredited_investors"], &poor["within_rule"]), (&json!(1), &json!(true)));
    sqlx::query("UPDATE offerings SET exemption = '506c'").execute(&kit.pool).await.unwrap();
    let open = kit.report(&path).await;
    assert_eq!((&open["unverified_investors"], &open["within_rule"]), (&json!(1), &json!(false)));
    // Verified, and not ended when she first bought.
    let verified = async |until: &str| {
        sqlx::query("UPDATE parties SET accreditation_method = 'tax returns', accredited_until = $1::timestamptz")
            .bind(until)
            .execute(&kit.pool)
            .await
            .unwrap();
        kit.report(&path).await
    };
    let good = verified("2100-01-01").await;
    assert_eq!((&good["non_accredited_investors"], &good["within_rule"]), (&json!(0), &json!(true)));
    assert_eq!(good["rows"][0]["verification_method"], "tax returns");
    let ended = verified("2000-01-01").await;
    assert_eq!((&ended["unverified_investors"], &ended["within_rule"]), (&json!(1), &json!(false)));
    sqlx::query("UPDATE offerings SET exemption = 'reg_s'").execute(&kit.pool).await.unwrap();
    let officer = kit.token(Role::ComplianceOfficer);
    assert_eq!(kit.get(&format!("/compliance/{path}"), officer).await.status, 409);
    assert_eq!(kit.get("/compliance/reports/reg-d/TKN", officer).await.status, 404);
    // The cap table goes by the offering, too.
    let table = kit.report(&format!("reports/cap-table/{}", offering.as_str().unwrap())).await;
    assert_eq!((&table["instrument_id"], &table["total_supply"]), (&json!("TKN"), &json!("7.0")));
    life.ground.kit.end().await;
}
