//! Rental income over HTTP, on a real chain whose time moves on: paid in, opened when it is due, paid out, once each.

use alloy::primitives::{B256, Bytes, FixedBytes, U256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolEvent, SolStruct};
use nix::sys::signal::Signal;
use tokenx::local::suite;
use tokenx_anvil_tests::Process;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::bindings::{RentDistributor, TestUSD};
use tokenx_keeper::{Claim, Contract, Funding};

use super::redemptions::{Desk, code};
use super::tokens::life::usd;
use super::tokens::refused;
use super::*;

const DAY: i64 = 86_400;
/// A second that no test gets to.
const NEVER_OVER: u64 = 4_000_000_000;

alloy::sol! {
    /// What ERC-2612 has wallets sign.
    struct PermitMessage {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// The sample token, of which Dora has 60 units, Alice, whose wallet is hosted, 40, and Carl 9, too few to earn. A period
/// of 30 days divides 100 USDT.
struct House {
    desk: Desk,
    alice: Address,
    alices: Value,
    carl: Value,
    /// Who pays in.
    payer: PrivateKeySigner,
}

impl House {
    /// The first period is due so many days from now.
    async fn starting_in(days: i64) -> House {
        let start = time::OffsetDateTime::now_utc() + time::Duration::days(days);
        let start = start.format(&time::format_description::well_known::Rfc3339).unwrap();
        let desk = Box::pin(Desk::of(|token| token["metric"]["rental_payment_start_date"] = json!(start))).await;
        let kit = desk.kit();
        let wallets = admin::list_wallets(&kit.pool, kit.settings.chain.chain_id).await.unwrap();
        let alice = wallets.iter().find(|wallet| wallet.party_id == ALICE).unwrap().clone();
        let carl = kit.investor("carl").await;
        let wallet = kit.register(&carl, &json!({})).await["id"].clone();
        assert_eq!(kit.decide(&wallet, "approve", &json!({})).await.status, 202);
        kit.wallet_becomes(&carl, &wallet, "approved").await;
        let alices = json!(alice.wallet_id);
        for (id, wallet, count) in [("m-d", &desk.wallet, "60"), ("m-a", &alices, "40"), ("m-c", &wallet, "9")] {
            desk.mint(id, wallet, count).await;
        }
        let payer = PrivateKeySigner::random();
        let world = kit._world.as_ref().unwrap();
        suite::give(&world.chain.url(), desk.money(), &[(payer.address(), usd(10_000))]).await.unwrap();
        House { alice: alice.address, alices, carl: wallet, payer, desk }
    }

    fn kit(&self) -> &Kit {
        self.desk.kit()
    }

    fn at(&self) -> Address {
        self.desk.life.deployment.nodes[0].node.contracts.rent_distributor
    }

    fn path(&self) -> String {
        format!("/v2/admin/token/{}/rent", self.desk.token_id)
    }

    async fn act(&self, token: Option<&str>, body: &Value) -> Answer {
        self.kit().post(&self.path(), token, body).await
    }

    async fn as_issuer(&self, body: &Value) -> Answer {
        self.act(self.kit().token(Role::Issuer), body).await
    }

    fn chain_id(&self) -> u64 {
        self.kit().settings.chain.chain_id
    }

    /// What the payer's key signs to pay in, money permit included.
    async fn funding(&self, count: u64, name: &str) -> Value {
        let (owner, value, money) = (self.payer.address(), usd(count), self.desk.money());
        let (deadline, salt) = (U256::from(NEVER_OVER), keccak256(name));
        let funding = Funding { wallet: owner, payment_token: money, amount: value, deadline, salt };
        let domain = Contract::RentDistributor.domain(self.chain_id(), self.at());
        let digest = funding.of(self.desk.token).eip712_signing_hash(&domain);
        let nonce = self.desk.view(money, TestUSD::noncesCall { owner }).await;
        let message = PermitMessage { owner, spender: self.at(), value, nonce, deadline };
        let id = Some(U256::from(self.chain_id()));
        let domain = Eip712Domain::new(Some("Test USD".into()), Some("1".into()), id, Some(money), None);
        // Its type's name is part of what is signed, and is the standard's.
        let kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        let message = keccak256([kind.as_slice(), &message.eip712_encode_data()].concat());
        let permit = keccak256([&[0x19, 1][..], domain.separator().as_slice(), message.as_slice()].concat());
        let sign = |digest: B256| Bytes::from(self.payer.sign_hash_sync(&digest).unwrap().as_bytes());
        json!({
            "action": "fund",
            "amount": count,
            "intent": {
                "wallet": owner,
                "token": self.desk.token,
                "paymentToken": money,
                "amount": value.to_string(),
                "deadline": deadline.to_string(),
                "salt": salt,
            },
            "signature": sign(digest),
            "permit": { "value": value.to_string(), "deadline": deadline.to_string(), "signature": sign(permit) },
        })
    }

    async fn pays_in(&self, count: u64, name: &str) {
        let before = self.rent(Role::Issuer).await["funded"]["amount"].as_u64().unwrap();
        let answer = self.as_issuer(&self.funding(count, name).await).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_eq!(answer.json()["operation"], "pay_in");
        self.until("it is paid in", |rent| rent["funded"]["amount"] == before + count).await;
    }

    fn claim(&self, name: &str) -> Value {
        let deadline = U256::from(NEVER_OVER);
        let claim = Claim { wallet: self.desk.key.address(), deadline, salt: keccak256(name) };
        let domain = Contract::RentDistributor.domain(self.chain_id(), self.at());
        let digest = claim.of(self.desk.token).eip712_signing_hash(&domain);
        json!({
            "action": "claim",
            "wallet_id": self.desk.wallet,
            "intent": {
                "wallet": claim.wallet,
                "token": self.desk.token,
                "deadline": deadline.to_string(),
                "salt": claim.salt,
            },
            "signature": Bytes::from(self.desk.key.sign_hash_sync(&digest).unwrap().as_bytes()),
        })
    }

    async fn rent(&self, role: Role) -> Value {
        let answer = self.kit().get(&self.path(), self.kit().token(role)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Waits until the rent, as its issuer sees it, is so.
    async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async {
            let answer = self.kit().get(&self.path(), self.kit().token(Role::Issuer)).await;
            let rent = (answer.status == 200).then(|| answer.json())?;
            so(&rent).then_some(rent)
        })
        .await
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        self.kit()._world.as_ref().unwrap().chain.rpc(method, params).await.unwrap()
    }

    async fn days_pass(&self, days: i64) {
        self.rpc("evm_increaseTime", json!([days * DAY])).await;
    }

    async fn money_of(&self, account: Address) -> U256 {
        self.desk.view(self.desk.money(), TestUSD::balanceOfCall { account }).await
    }

    /// How often the distributor has said so, by its chain's logs.
    async fn said(&self, event: FixedBytes<32>) -> Vec<Value> {
        let filter = json!([{ "address": self.at(), "fromBlock": "0x0", "topics": [event] }]);
        self.rpc("eth_getLogs", filter).await.as_array().unwrap().clone()
    }

    /// What was opened is what was paid and what the distributor owes; and it was opened so often.
    async fn adds_up(&self, periods: u64) {
        let rent = self.rent(Role::TransferAgent).await;
        let micros = |name: &str| {
            // Small ones are written with an exponent on their way through here.
            let raw = serde_json::value::to_raw_value(&rent[name]["amount"]).unwrap();
            Amount::parse_json(&raw, 6).map_or(0, |amount| amount.base().to::<u64>())
        };
        assert_eq!(micros("opened"), periods * 100_000_000, "{rent}");
        assert_eq!(micros("paid") + micros("owed"), micros("opened"), "{rent}");
        assert_eq!(micros("funded"), micros("opened") + micros("available") + micros("withdrawn"), "{rent}");
        let book = RentDistributor::fundOfCall { token: self.desk.token, paymentToken: self.desk.money() };
        let book = self.desk.view(self.at(), book).await;
        assert_eq!(book.owed, U256::from(micros("owed")));
        assert_eq!(book.available, U256::from(micros("available")));
        assert_eq!(self.said(RentDistributor::RentOpened::SIGNATURE_HASH).await.len() as u64, periods);
        assert_eq!(rent["items"].as_array().unwrap().len() as u64, periods);
    }

    async fn end(self) {
        self.desk.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn due_periods_are_opened_by_themselves_when_funds_are_there_and_everybody_is_paid_once_each() {
    let house = House::starting_in(10).await;
    let rent = house.rent(Role::Issuer).await;
    assert_eq!((&rent["minimum"], &rent["next"]["period"]), (&json!("10.0"), &json!(1)));
    assert_eq!((&rent["next"]["status"], &rent["next"]["income"]["amount"]), (&json!("waits"), &json!(100)));
    house.pays_in(250, "first").await;
    assert_eq!(house.said(RentDistributor::RentOpened::SIGNATURE_HASH).await.len(), 0, "nothing is due");

    let (dora, lost) = (house.desk.key.address(), U256::ONE);
    house.days_pass(11).await;
    house.until("the first period is paid", |rent| rent["paid"]["amount"].as_f64() > Some(99.0)).await;
    // Fractions of the smallest unit stay in the accounts.
    assert_eq!(house.money_of(dora).await, usd(60) - lost);
    assert_eq!(house.money_of(house.alice).await, usd(40) - lost);
    house.adds_up(1).await;
    let own = house.kit().get(&house.path(), Some(&house.desk.dora)).await.json();
    assert_eq!(own["own"][0]["paid"]["amount"], 59.999_999);
    assert!(own["own"][0]["withheld"].is_null());

    house.days_pass(60).await;
    // Two more are due, and there is money for one.
    let waiting = house.until("the third waits", |rent| rent["next"]["status"] == "unfunded").await;
    assert_eq!((&waiting["next"]["period"], &waiting["available"]["amount"]), (&json!(3), &json!(50)));
    house.pays_in(50, "second").await;
    house.until("the third is paid, late", |rent| rent["paid"]["amount"].as_f64() > Some(299.0)).await;
    house.adds_up(3).await;
    let paid = house.said(RentDistributor::RentPaid::SIGNATURE_HASH).await.len();
    assert!(paid <= 6, "two wallets, three periods: {paid}");
    assert_eq!(house.money_of(dora).await + house.money_of(house.alice).await, usd(300) - lost - lost);

    let orders: Vec<String> = sqlx::query_scalar("SELECT command_id FROM rent_openings ORDER BY period, attempt")
        .fetch_all(&house.kit().pool)
        .await
        .unwrap();
    let id = &house.desk.token_id;
    assert_eq!(orders, [1, 2, 3].map(|period| format!("rent:{id}:{period}:1")), "each once");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_withheld_goes_on_accruing_and_claims_when_free() {
    let house = House::starting_in(-1).await;
    let freeze = |id: &str| json!({ "command_id": id, "instrument_id": "TKN", "wallet_id": house.desk.wallet });
    house.desk.tokenizes("freeze", freeze("freeze")).await;
    house.pays_in(100, "first").await;
    house.until("who may be paid is paid", |rent| rent["paid"]["amount"].as_f64() > Some(39.0)).await;
    let dora = house.desk.key.address();
    assert_eq!((house.money_of(dora).await, house.money_of(house.alice).await), (U256::ZERO, usd(40) - U256::ONE));
    let own = house.kit().get(&house.path(), Some(&house.desk.dora)).await.json();
    assert_eq!((&own["own"][0]["withheld"], &own["own"][0]["owed"]["amount"]), (&json!("frozen"), &json!(59.999_999)));
    let token = Some(house.desk.dora.as_str());
    assert_eq!(code(&house.act(token, &house.claim("early")).await), (422, "RENT_WITHHELD".into()));
    house.desk.tokenizes("unfreeze", freeze("unfreeze")).await;
    let claimed = house.act(token, &house.claim("claim")).await;
    // Whichever comes first, it is paid once: the claim, or the next look at who may be paid.
    assert!(claimed.status == 202 || code(&claimed) == (422, "NOTHING_TO_PAY".into()), "{}", claimed.text);
    house.until("it is paid", |rent| rent["paid"]["amount"].as_f64() > Some(99.0)).await;
    assert_eq!(house.money_of(dora).await, usd(60) - U256::ONE);
    eventually("nothing is left to claim", || async {
        let answer = house.act(token, &house.claim("again")).await;
        (code(&answer) == (422, "NOTHING_TO_PAY".into())).then_some(())
    })
    .await;
    house.adds_up(1).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_is_for_whom_it_is_and_each_refusal_has_its_code() {
    let house = House::starting_in(10).await;
    let kit = house.kit();
    let (issuer, dora) = (kit.token(Role::Issuer), Some(house.desk.dora.as_str()));
    assert_eq!(refused(&house.as_issuer(&json!({})).await), ["action"]);
    assert_eq!(refused(&house.as_issuer(&json!({ "action": "spend" })).await), ["action"]);
    assert_eq!(refused(&house.as_issuer(&json!({ "action": "fund" })).await), ["amount", "signature", "intent"]);
    for (token, action) in [(issuer, "claim"), (dora, "fund"), (dora, "open")] {
        assert_eq!(house.act(token, &json!({ "action": action })).await.status, 403, "{action}");
    }
    let stranger = house.desk.life.ground.stranger().await;
    let eve = kit.investor("eve").await;
    for token in [&stranger, &eve] {
        assert_eq!(house.act(Some(token), &json!({ "action": "open" })).await.status, 404);
        assert_eq!(kit.get(&house.path(), Some(token)).await.status, 404);
    }
    let funding = house.funding(100, "one").await;
    for (member, value) in [("amount", json!(99)), ("signature", json!("0x"))] {
        let mut body = funding.clone();
        body[member] = value;
        assert!(!refused(&house.as_issuer(&body).await).is_empty(), "{member}");
    }
    let other = |wallet: &Value| {
        let mut body = house.claim("other");
        body["wallet_id"] = wallet.clone();
        body
    };
    for wallet in [&house.alices, &house.carl, &json!(Uuid::now_v7())] {
        assert_eq!(house.act(dora, &other(wallet)).await.status, 404);
    }
    assert_eq!(code(&house.act(dora, &house.claim("nothing")).await), (422, "NOTHING_TO_PAY".into()));

    assert_eq!(code(&house.as_issuer(&json!({ "action": "open" })).await), (422, "RENT_PERIOD".into()));
    house.days_pass(11).await;
    house.until("it is due", |rent| rent["next"]["status"] == "unfunded").await;
    assert_eq!(code(&house.as_issuer(&json!({ "action": "open" })).await), (422, "FUND_TOO_SMALL".into()));
    assert_eq!(code(&house.as_issuer(&json!({ "action": "open", "period": 2 })).await), (422, "RENT_PERIOD".into()));
    house.pays_in(60, "two").await;

    // Less than the record says, and twice under one key.
    let body = json!({ "action": "open", "amount": 60 });
    let keyed = async |body: &Value| {
        let request = kit.client.post(format!("{}{}", kit.url, house.path())).bearer_auth(issuer.unwrap());
        let request = request.header("idempotency-key", "open-1").header("content-type", "application/json");
        read(request.body(body.to_string())).await
    };
    let first = keyed(&body).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let second = keyed(&body).await;
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.json()["command_id"], second.json()["command_id"]);
    assert_eq!(keyed(&json!({ "action": "open" })).await.status, 409);
    house.until("it is paid", |rent| rent["paid"]["amount"].as_f64() > Some(59.0)).await;
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action IN ('rent.open', 'rent.fund')")
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    assert_eq!(seen, 2);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_each_period_is_opened_once_and_each_wallet_paid_once() {
    let mut house = House::starting_in(-61).await;
    let funding = house.funding(300, "all").await;
    let settings = house.desk.life.ground.kit.moves_out().await;
    let first = Process::start(&settings, &["api"], "").unwrap();
    house.kit().is_served().await;
    assert_eq!(house.as_issuer(&funding).await.status, 202);
    first.signal(Signal::SIGKILL).unwrap();
    drop(first);
    let after = ["prepare", "send", "prepare", "send", "prepare"].map(|at| format!("keeper.after_{at}:kill"));
    for failpoint in after.iter().map(String::as_str).chain(["projection.included:kill@2"]) {
        let mut doomed = Process::start(&settings, &["run"], failpoint).unwrap();
        eventually_within(PROCESS, &format!("the process dies at {failpoint}"), || {
            let ended = doomed.ended().unwrap();
            async move { ended }
        })
        .await;
        assert!(doomed.was_killed().unwrap(), "{failpoint}\n{}", doomed.log());
    }
    let _last = Process::start(&settings, &["run"], "").unwrap();
    house.kit().is_served().await;
    house.until("all is paid", |rent| rent["paid"]["amount"].as_f64() > Some(299.0)).await;
    house.adds_up(3).await;
    assert_eq!(
        house.money_of(house.desk.key.address()).await + house.money_of(house.alice).await,
        usd(300) - U256::from(2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorg_takes_back_is_opened_and_paid_again_and_once() {
    let house = House::starting_in(-1).await;
    house.pays_in(100, "first").await;
    house.until("it is paid", |rent| rent["paid"]["amount"].as_f64() > Some(99.0)).await;
    house.rpc("evm_setIntervalMining", json!([0])).await;
    house.rpc("anvil_reorg", json!([5, []])).await;
    house.rpc("evm_setIntervalMining", json!([1])).await;
    eventually("it is paid on the branch that stands", || async {
        let answer = house.kit().get(&house.path(), house.kit().token(Role::Issuer)).await;
        let rent = (answer.status == 200).then(|| answer.json())?;
        let paid = house.said(RentDistributor::RentPaid::SIGNATURE_HASH).await.len();
        (rent["paid"]["amount"].as_f64() > Some(99.0) && paid == 2).then_some(())
    })
    .await;
    house.adds_up(1).await;
    house.end().await;
}
