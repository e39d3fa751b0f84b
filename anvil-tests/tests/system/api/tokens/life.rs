//! A token's whole life: each status is true only when the chain says so.

use alloy::primitives::{B256, U256};
use tokenx::local::suite::{self, COLD_KEY};
use tokenx_contracts::bindings::{Listing, TestUSD};
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope as CommandScope};
use tokenx_indexer::read;
use tokenx_keeper::{Beneficiaries, FeeAmounts, FeeShares, ListingTerms, NewCommand, Operation, Sale, State};

use super::fields::assert_documented;
use super::*;

/// Code that refuses every call.
pub(crate) const REFUSES: &str = "0x60006000fd";
const REASON: B256 = B256::repeat_byte(1);

pub(crate) fn tokens(count: u64) -> U256 {
    U256::from(count) * U256::from(10).pow(U256::from(18))
}

pub(crate) fn usd(count: u64) -> U256 {
    U256::from(count) * U256::from(1_000_000)
}

fn tkn() -> InstrumentId {
    InstrumentId::parse("TKN").unwrap()
}

/// The key that deployed the suite: admin of every node and token of it.
pub(crate) fn admin() -> Address {
    COLD_KEY.parse::<alloy::signers::local::PrivateKeySigner>().unwrap().address()
}

/// The api, the chain, and what was deployed there.
pub(crate) struct Life {
    pub(crate) ground: Ground,
    pub(crate) deployment: Deployment,
    pub(crate) alice: Address,
}

impl Life {
    pub(crate) async fn start() -> Life {
        Life::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Life {
        let mut deployed = None;
        let kit = Kit::whole_with(|settings, deployment| {
            change(settings);
            deployed = Some(deployment.clone());
        })
        .await;
        let deployment = deployed.unwrap();
        let chain_id = kit.settings.chain.chain_id;
        let address = deployment.suite.payment_token.unwrap();
        let money = NewCurrency { chain_id, address, symbol: "USDT".into(), decimals: 6 };
        let usdt = admin::add_currency(&kit.pool, BY, money).await.unwrap();
        let known = admin::list_nodes(&kit.pool).await.unwrap();
        let id = |n: usize| {
            let executor = deployment.nodes[n].node.executor;
            known.iter().find(|node| node.executor == executor).unwrap().node_id.clone()
        };
        let nodes = [id(0), id(1)];
        let wallets = admin::list_wallets(&kit.pool, chain_id).await.unwrap();
        let alice = wallets.iter().find(|wallet| wallet.party_id == ALICE).unwrap().address;
        Life { ground: Ground { kit, nodes, usdt }, deployment, alice }
    }

    pub(crate) fn kit(&self) -> &Kit {
        &self.ground.kit
    }

    pub(crate) async fn draft(&self) -> String {
        self.ground.add(&self.ground.sample()).await["id"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, id: &str, action: &str, role: Role) -> Answer {
        let path = format!("/v2/admin/token/{id}/{action}");
        self.kit().send(Method::POST, &path, self.kit().token(role), None).await
    }

    /// Asks, and waits until the token is in the status that follows.
    pub(crate) async fn does(&self, id: &str, action: &str, role: Role, status: u8) -> Value {
        let answer = self.ask(id, action, role).await;
        assert_eq!(answer.status, 202, "{action}: {}", answer.text);
        self.becomes(id, status).await;
        answer.json()
    }

    pub(crate) async fn becomes(&self, id: &str, status: u8) -> Value {
        eventually(&format!("the token's status is {status}"), || async {
            let token = self.ground.show(id, Role::Issuer).await.json();
            assert_documented(&token);
            (token["status"] == status).then_some(token)
        })
        .await
    }

    /// Has the keeper do what no route of the api asks for yet.
    pub(crate) async fn runs(&self, name: &str, operation: impl Into<Operation>) {
        let command_id = CommandId::parse(name).unwrap();
        let new = NewCommand {
            scope: CommandScope::Ops,
            command_id: command_id.clone(),
            operation: operation.into(),
            requested_by: "test".into(),
            request_id: "test".into(),
            answer: "{}".into(),
            valid_until: None,
        };
        self.kit().commands.accept(&new).await.unwrap();
        eventually(&format!("{name} is confirmed"), || async {
            let view = self.kit().commands.view(&CommandScope::Ops, &command_id).await.unwrap().unwrap();
            assert!(view.state != State::Failed, "{view:?}");
            matches!(view.state, State::Confirmed | State::Final).then_some(())
        })
        .await;
    }

    pub(crate) async fn code(&self, at: Address, code: &str) -> String {
        let chain = &self.kit()._world.as_ref().unwrap().chain;
        let was = chain.rpc("eth_getCode", json!([at, "latest"])).await.unwrap();
        chain.rpc("anvil_setCode", json!([at, code])).await.unwrap();
        was.as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_from_draft_to_its_end_with_the_figures_of_the_example_on_its_way() {
    let life = Life::start().await;
    let id = life.draft().await;
    assert_eq!(life.ground.show(&id, Role::Issuer).await.json()["status"], 1);
    for (action, role) in [("delist", Role::Issuer), ("passivate", Role::TransferAgent), ("burn", Role::Issuer)] {
        assert_eq!(life.ask(&id, action, role).await.status, 409, "{action} of a draft");
    }
    let stranger = life.ground.stranger().await;
    let theirs = life.kit().post(&format!("/v2/admin/token/{id}/deploy"), Some(&stranger), &json!({})).await;
    assert_eq!(theirs.status, 404);

    let command = life.does(&id, "deploy", Role::Issuer, 4).await;
    assert_eq!((&command["operation"], &command["instrument_id"]), (&json!("deploy_token"), &json!("TKN")));
    let instrument =
        read::instrument(&life.kit().pool, life.kit().settings.chain.chain_id, "TKN").await.unwrap().unwrap();
    let shown = life.ground.show(&id, Role::Issuer).await.json();
    assert_eq!(shown["contract"]["address"], instrument.token.to_checksum(None));
    assert_eq!(shown["contract"]["tx_hash"], format!("{:#x}", instrument.created_tx.unwrap()));
    assert_eq!((instrument.name.as_str(), instrument.max_supply), ("tkn", Some(tokens(1_000))));
    for kept in
        [json!({ "token_symbol": "TKN2" }), json!({ "value": { "max_supply": 2_000 } }), json!({ "decimals": 0 })]
    {
        assert_eq!(life.ground.change(&id, &kept).await.status, 409, "{kept}");
    }
    assert_eq!(life.ground.change(&id, &json!({ "name": "Harbour" })).await.status, 200);
    assert_eq!(life.ask(&id, "deploy", Role::Issuer).await.status, 409);
    assert_eq!(
        life.ask(&id, "list", Role::SuperAdmin).await.status,
        409,
        "the first listing is an offering's approval"
    );

    let money = life.deployment.suite.payment_token.unwrap();
    let terms = ListingTerms {
        payment_token: money,
        price: usd(30),
        opens_at: 0,
        closes_at: 0,
        min_purchase: tokens(1),
        max_purchase: tokens(500),
        max_fees: tokens(50),
        salable_bps: 8_000,
    };
    life.runs("terms", Sale::SetListingTerms { instrument: tkn(), terms, reason: REASON }).await;
    life.runs("first-listing", Sale::List { instrument: tkn(), reason: REASON }).await;
    life.becomes(&id, 6).await;
    let world = life.kit()._world.as_ref().unwrap();
    suite::give(&world.chain.url(), money, &[(life.alice, usd(4_500))]).await.unwrap();
    let listing = life.deployment.nodes[0].node.contracts.listing;
    life.kit().transact(life.alice, money, TestUSD::approveCall { spender: listing, value: usd(4_500) }).await;
    let (token, quantity) = (instrument.token, tokens(150));
    let buy = Listing::buyCall { token, quantity, paymentToken: money, maxCost: usd(4_500) };
    life.kit().transact(life.alice, listing, buy).await;
    let beneficiaries = Beneficiaries { platform_owner: life.alice, node_owner: life.alice, node: life.alice };
    let shares = FeeShares { platform_owner: 5_000, node_owner: 3_000, node: 2_000 };
    life.runs("fee-terms", Sale::SetFeeTerms { instrument: tkn(), beneficiaries, shares, reason: REASON }).await;
    life.runs("fees", Sale::ReserveFees { instrument: tkn(), amount: tokens(50), reason: REASON }).await;
    let amounts = FeeAmounts { platform_owner: tokens(10), node_owner: tokens(5), node: tokens(15) };
    life.runs("allocate", Sale::AllocateFees { instrument: tkn(), amounts, reason: REASON }).await;

    let listed = life.becomes(&id, 6).await;
    let figure = |name: &str| listed["value"][name].as_u64().unwrap();
    let figures = ["max_supply", "purchased_supply", "listed_supply", "sold_supply", "total_fee_supply"].map(figure);
    assert_eq!(figures, [1_000, 150, 800, 200, 50]);
    assert_eq!(listed["value"]["salable_value"]["amount"], 9_600);
    assert_eq!(listed["fee"], json!({ "platform_owner_amount": 10, "node_owner_amount": 5, "node_amount": 15 }));
    let contracts = life.deployment.nodes[0].node.contracts;
    let expected = json!({
        "listing_contract_address": contracts.listing.to_checksum(None),
        "rent_contract_address": contracts.rent_distributor.to_checksum(None),
        "burn_contract_address": contracts.redemption_desk.to_checksum(None),
        "fee_contract_address": contracts.fee_vault.to_checksum(None),
        "secondary_contract_address": contracts.secondary_market.to_checksum(None),
        "otc_contract_address": contracts.otc_desk.to_checksum(None),
    });
    assert_eq!(listed["node_contract"], expected);

    life.does(&id, "delist", Role::Issuer, 5).await;
    assert_eq!(life.ask(&id, "list", Role::Issuer).await.status, 403);
    let listed = life.kit().get("/v2/admin/token?status=5", life.kit().token(Role::Issuer)).await.json();
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &json!(id)));
    life.does(&id, "list", Role::SuperAdmin, 6).await;
    let again = life.does(&id, "delist", Role::TransferAgent, 5).await;
    assert!(again["command_id"].as_str().unwrap().ends_with(":2"), "{again}");
    life.does(&id, "passivate", Role::Issuer, 7).await;
    let early = life.ask(&id, "burn", Role::Issuer).await;
    assert_eq!(early.status, 409);
    assert!(early.json()["detail"].as_str().unwrap().contains("180.0"), "{}", early.text);
    let body = json!({ "command_id": "the-rest", "instrument_id": "TKN", "party_id": ALICE, "amount": "180" });
    let burnt = life.kit().post("/api/admin/burn", life.kit().token(Role::TransferAgent), &body).await;
    assert_eq!(burnt.status, 200, "{}", burnt.text);
    eventually("nothing is left", || async {
        let answer = life.ask(&id, "burn", Role::Issuer).await;
        (answer.status == 202).then_some(())
    })
    .await;
    life.becomes(&id, 8).await;
    for action in ["deploy", "delist", "passivate", "burn"] {
        assert_eq!(life.ask(&id, action, Role::TransferAgent).await.status, 409, "{action} of what has ended");
    }
    life.ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_fails_is_an_error_and_may_be_tried_again() {
    let life = Life::start().await;
    let id = life.draft().await;
    let factory = life.deployment.suite.factory;
    let code = life.code(factory, REFUSES).await;
    let first = life.does(&id, "deploy", Role::Issuer, 3).await;
    assert!(life.ground.show(&id, Role::Issuer).await.json()["contract"].is_null());
    life.code(factory, &code).await;
    // What has failed may be put right.
    assert_eq!(life.ground.change(&id, &json!({ "token_name": "tkn two" })).await.status, 200);
    let second = life.does(&id, "deploy", Role::TransferAgent, 4).await;
    assert_ne!(first["command_id"], second["command_id"]);
    let instrument =
        read::instrument(&life.kit().pool, life.kit().settings.chain.chain_id, "TKN").await.unwrap().unwrap();
    assert_eq!(instrument.name, "tkn two");
    life.ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_repeated_is_one_command() {
    let life = Life::start().await;
    let id = life.draft().await;
    // The chain stands still: the command waits.
    let world = life.kit()._world.as_ref().unwrap();
    world.chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    let path = format!("{}/v2/admin/token/{id}/deploy", life.kit().url);
    let ask = async |key: Option<&str>, body: Option<Value>| {
        let mut request = life.kit().client.post(&path).bearer_auth(life.kit().token(Role::Issuer).unwrap());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        read(request).await
    };
    let (one, other) = tokio::join!(ask(Some("mine"), None), ask(Some("mine"), None));
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (202, 202), "{} {}", one.text, other.text);
    let command = one.json()["command_id"].clone();
    assert_eq!(command, other.json()["command_id"]);
    assert_eq!([&one, &other].iter().filter(|answer| answer.header("idempotent-replayed").is_some()).count(), 1);
    assert_eq!(ask(None, None).await.json()["command_id"], command);
    assert_eq!(ask(Some("mine"), Some(json!({ "daily_mint_limit": 1 }))).await.status, 409);
    assert_eq!(refused(&ask(Some("a b"), None).await), ["idempotency-key"]);
    assert_eq!(refused(&ask(None, Some(json!({ "daily_mint_limit": 1_001 }))).await), ["daily_mint_limit"]);
    assert_eq!(refused(&ask(None, Some(json!({ "limit": 1 }))).await), ["limit"]);
    assert_eq!(life.ground.show(&id, Role::Issuer).await.json()["status"], 2);
    assert_eq!(life.ground.change(&id, &json!({ "token_name": "x" })).await.status, 409);
    world.chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    life.becomes(&id, 4).await;
    let later = ask(Some("mine"), None).await;
    assert_eq!((later.status.as_u16(), &later.json()["command_id"]), (202, &command));
    assert_eq!(ask(Some("another"), None).await.status, 409);
    life.ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_a_reorg_takes_back_is_made_again() {
    let life = Life::start().await;
    let id = life.draft().await;
    life.does(&id, "deploy", Role::Issuer, 4).await;
    let before = life.ground.show(&id, Role::Issuer).await.json();
    let (pool, chain_id) = (&life.kit().pool, life.kit().settings.chain.chain_id);
    let instrument = read::instrument(pool, chain_id, "TKN").await.unwrap().unwrap();
    let chain = &life.kit()._world.as_ref().unwrap().chain;
    // Between its blocks: where a reorg meets the making of one, anvil can lose it for good.
    chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    let head = chain.rpc("eth_blockNumber", json!([])).await.unwrap();
    let head = u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    chain.rpc("anvil_reorg", json!([head - instrument.created_block + 1, []])).await.unwrap();
    chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    eventually("the reorg is noticed", || async {
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM reorgs").fetch_one(pool).await.unwrap();
        (known > 0).then_some(())
    })
    .await;
    let after = life.becomes(&id, 4).await;
    assert_eq!(after["contract"]["address"], before["contract"]["address"]);
    let receipt = chain.rpc("eth_getTransactionReceipt", json!([after["contract"]["tx_hash"]])).await.unwrap();
    assert_eq!(receipt["status"], "0x1", "the transaction that is shown is one of the chain that is there");
    let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM token_commands").fetch_one(pool).await.unwrap();
    assert_eq!(asked, 1);
    life.ground.kit.end().await;
}
