//! The contracts of nodes, act by act: what the tables and subscribers have of them. What chance makes of them all is the
//! campaign's.

use alloy::primitives::{Address, B256, U256, Uint, bytes};
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use serde_json::json;
use sqlx::{query, query_scalar};
use tokenx_anvil_tests::eventually;
use tokenx_contracts::bindings::{
    Beneficiaries, FeeVault, Listing, ListingTerms, NodeFactory, RedemptionDesk, RentDistributor, RentTerms, Split,
    TestUSD, TokenConfig,
};
use tokenx_indexer::read::{self, node};
use tokenx_indexer::{Rebuild, Report};
use tokenx_keeper::deploy::Implementations;

use super::campaign::compare::tables;
use super::foreign::cold;
use super::sweep::rotated;
use super::{ALICE, BOB, CHAIN, Stage, id};

/// Answers every call with one.
const YES: alloy::primitives::Bytes = bytes!("60015f5260205ff3");

fn whole(tokens: u64) -> U256 {
    U256::from(tokens) * U256::from(10).pow(U256::from(18))
}

impl Stage {
    fn node(&self) -> Implementations {
        self.deployment.nodes[0].node.contracts
    }

    /// A command for one of the first node's contracts.
    async fn command(&self, name: &str, at: Address, call: impl SolCall) -> Result<()> {
        let executor = self.deployment.nodes[0].node.executor;
        self.execute(executor, vec![(id(name), at, call.abi_encode())]).await?;
        self.mine(1).await
    }

    /// A transaction of somebody's own.
    async fn act(&self, from: Address, at: Address, call: impl SolCall) -> Result<()> {
        let hash = self.send(from, Some(at), call.abi_encode()).await?;
        self.mine(1).await?;
        let receipt = self.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        assert_eq!(receipt["status"], "0x1", "what {from} asks of {at}: {receipt}");
        Ok(())
    }

    /// Everybody may send, and has what it takes to.
    async fn open_to_all(&self, accounts: &[Address]) -> Result<()> {
        self.world.chain.rpc("anvil_autoImpersonateAccount", json!([true])).await?;
        for account in accounts {
            self.world.chain.rpc("anvil_setBalance", json!([account, U256::from(10).pow(U256::from(24))])).await?;
        }
        Ok(())
    }

    /// A token of which there can be 1,000, with a sale of 80 per cent of them for a dollar each.
    async fn thousand(&self) -> Result<Address> {
        let node = &self.deployment.nodes[0].node;
        let config = TokenConfig {
            nodeKey: node.key,
            instrumentId: "rTH".to_owned(),
            name: "a thousand".to_owned(),
            symbol: "TH".to_owned(),
            decimals: 18,
            maxSupply: whole(1_000),
            dailyMintLimit: Uint::ZERO,
            dailyBurnLimit: Uint::ZERO,
            dailyForceLimit: Uint::ZERO,
        };
        self.act(cold()?, self.deployment.suite.factory, NodeFactory::deployTokenCall { config }).await?;
        let call = NodeFactory::tokenOfCall { nodeKey: node.key, instrumentId: "rTH".to_owned() };
        let token = self.view(self.deployment.suite.factory, call).await?;
        let terms = ListingTerms {
            paymentToken: self.usd()?,
            opensAt: Uint::ZERO,
            closesAt: Uint::ZERO,
            price: 1_000_000,
            minPurchase: Uint::ZERO,
            maxPurchase: Uint::ZERO,
            maxFees: whole(100).to(),
            salableBps: 8_000,
        };
        let call = Listing::setTermsCall { token, terms, reason: B256::ZERO };
        self.act(cold()?, self.node().listing, call).await?;
        Ok(token)
    }

    async fn buys(&self, buyer: Address, token: Address, tokens: u64) -> Result<()> {
        let (usd, listing) = (self.usd()?, self.node().listing);
        self.act(buyer, usd, TestUSD::mintCall { to: buyer, amount: U256::from(tokens * 1_000_000) }).await?;
        self.act(buyer, usd, TestUSD::approveCall { spender: listing, value: U256::MAX }).await?;
        let call = Listing::buyCall { token, quantity: whole(tokens), paymentToken: usd, maxCost: U256::MAX };
        self.act(buyer, listing, call).await
    }

    /// A first period of rent: a dollar for all that Alice and Bob have, of two that are paid in.
    async fn opens_rent(&self, token: Address) -> Result<()> {
        let (usd, at) = (self.usd()?, self.node().rent_distributor);
        let terms = RentTerms { paymentToken: usd, start: Uint::ZERO, length: Uint::ZERO };
        self.act(cold()?, at, RentDistributor::setRentTermsCall { token, terms, reason: B256::ZERO }).await?;
        let amount = U256::from(2_000_000);
        self.act(BOB, usd, TestUSD::mintCall { to: BOB, amount }).await?;
        self.act(BOB, usd, TestUSD::approveCall { spender: at, value: amount }).await?;
        self.act(BOB, at, RentDistributor::fundCall { token, paymentToken: usd, amount }).await?;
        let (period, amount) = (U256::ONE, U256::from(1_000_000));
        self.command("open", at, RentDistributor::openCall { token, period, amount, reason: B256::ZERO }).await
    }

    /// What subscribers were told of nodes' contracts, in order: kind and what was bought, asked or paid.
    async fn told(&self) -> Result<Vec<String>> {
        let select = "SELECT kind || coalesce(' ' || (payload->>'quantity'), '')
                        FROM outbox
                       WHERE payload->>'contract' IS NOT NULL
                       ORDER BY xid, seq";
        Ok(query_scalar(select).fetch_all(&self.world.pool).await?)
    }

    async fn rebuilt(&self) -> Result<Report> {
        Ok(Rebuild::new(&self.settings, Vec::new()).verify(|_| {}).await?)
    }
}

#[tokio::test]
async fn the_figures_of_the_token_details_text_are_read_from_the_tables() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.open_to_all(&[ALICE, BOB, cold()?]).await?;
    stage.whitelist(&[ALICE, BOB]).await?;
    let (token, at) = (stage.thousand().await?, stage.node());
    stage.command("list", at.listing, Listing::listCall { token, reason: B256::ZERO }).await?;
    stage.buys(ALICE, token, 100).await?;
    stage.buys(BOB, token, 50).await?;
    let reserve = Listing::reserveFeesCall { token, amount: whole(50), reason: B256::ZERO };
    stage.command("reserve", at.listing, reserve).await?;
    let beneficiaries = Beneficiaries { platformOwner: ALICE, nodeOwner: BOB, node: ALICE };
    let shares = Split { platformOwner: U256::from(5_000), nodeOwner: U256::from(2_500), node: U256::from(2_500) };
    let call = FeeVault::setFeeTermsCall { token, beneficiaries, shares, reason: B256::ZERO };
    stage.act(cold()?, at.fee_vault, call).await?;
    let amounts = Split { platformOwner: whole(10), nodeOwner: whole(5), node: whole(15) };
    stage.command("allocate", at.fee_vault, FeeVault::allocateCall { token, amounts, reason: B256::ZERO }).await?;
    stage.settles(&[ALICE, BOB]).await?;

    let listing = node::listings_of_tokens(pool, CHAIN, &[token]).await?[&token];
    assert_eq!(listing.status, node::ListingStatus::Listed);
    assert_eq!([listing.listed, listing.purchased, listing.fees, listing.sold], [800, 150, 50, 200].map(whole));
    let fees = node::fees_of_tokens(pool, CHAIN, &[token]).await?[&token];
    let allocated = fees.allocated;
    assert_eq!([allocated.platform_owner, allocated.node_owner, allocated.node], [10, 5, 15].map(whole));
    assert_eq!(read::contracts_of_token(pool, CHAIN, token).await?.listing, Some(at.listing));
    let executor = stage.deployment.nodes[0].node.executor;
    assert_eq!(read::contracts_of_executor(pool, CHAIN, executor).await?.fee_vault, Some(at.fee_vault));

    // What the keeper had done bears its command, what wallets did does not.
    let commands = |table: &'static str| query_scalar::<_, Option<Vec<u8>>>(table).fetch_all(pool);
    assert_eq!(commands("SELECT command_key::bytea FROM listing_statuses").await?, [Some(id("list").to_vec())]);
    assert_eq!(commands("SELECT command_key::bytea FROM fee_allocations").await?, [Some(id("allocate").to_vec())]);
    let part = node::Part { before: None, limit: 10 };
    let purchases = node::purchases(pool, CHAIN, node::Of::Token(token), part).await?;
    let bought: Vec<_> = purchases.iter().map(|p| (p.buyer, p.quantity, p.origin.command_key)).collect();
    assert_eq!(bought, [(BOB, whole(50), None), (ALICE, whole(100), None)], "newest first");
    let newest = purchases[0].origin;
    let part = node::Part { before: Some((newest.block_number, newest.log_index)), limit: 10 };
    assert_eq!(node::purchases(pool, CHAIN, node::Of::Token(token), part).await?, purchases[1..]);
    let part = node::Part { before: None, limit: 1 };
    assert_eq!(node::purchases(pool, CHAIN, node::Of::Wallet(BOB), part).await?, purchases[..1]);

    assert_eq!(stage.rebuilt().await?.differences, []);
    indexer.stop().await
}

#[tokio::test]
async fn what_a_reorg_takes_back_of_a_sale_is_gone_and_told() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.open_to_all(&[ALICE, BOB, cold()?]).await?;
    stage.whitelist(&[ALICE, BOB]).await?;
    let (token, at) = (stage.thousand().await?, stage.node());
    stage.command("list", at.listing, Listing::listCall { token, reason: B256::ZERO }).await?;
    stage.buys(ALICE, token, 3).await?;
    stage.settles(&[ALICE, BOB]).await?;
    let before = tables(pool).await?;
    let head = stage.head().await?.0;

    stage.command("delist", at.listing, Listing::delistCall { token, reason: B256::ZERO }).await?;
    stage.command("list again", at.listing, Listing::listCall { token, reason: B256::ZERO }).await?;
    stage.buys(BOB, token, 4).await?;
    stage.settles(&[ALICE, BOB]).await?;
    let bought = node::listings_of_tokens(pool, CHAIN, &[token]).await?[&token].purchased;
    assert_eq!(bought, whole(7));

    stage.turn(stage.head().await?.0 - head).await?;
    stage.settles(&[ALICE, BOB]).await?;
    for ((table, rows), (_, after)) in before.into_iter().zip(tables(pool).await?) {
        assert_eq!(rows, after, "{table} is what it was");
    }
    assert_eq!(node::listings_of_tokens(pool, CHAIN, &[token]).await?[&token].purchased, whole(3));
    let (three, four) = (whole(3), whole(4));
    let expected = [
        "listing.listed".to_owned(),
        format!("purchase {three}"),
        "listing.delisted".to_owned(),
        "listing.listed".to_owned(),
        format!("purchase {four}"),
        format!("purchase.removed {four}"),
        "listing.listed.removed".to_owned(),
        "listing.delisted.removed".to_owned(),
    ];
    assert_eq!(stage.told().await?, expected);
    assert_eq!(stage.rebuilt().await?.differences, []);
    indexer.stop().await
}

#[tokio::test]
async fn a_token_of_somebodys_own_making_is_kept_raw_and_in_no_other_row() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.open_to_all(&[ALICE]).await?;
    let (fake, at) = (Address::repeat_byte(0xfa), stage.node());
    stage.world.chain.rpc("anvil_setCode", json!([fake, YES])).await?;
    stage.act(ALICE, at.listing, Listing::passivateCall { token: fake, reason: B256::ZERO }).await?;
    let terms = RentTerms { paymentToken: fake, start: Uint::ZERO, length: Uint::ZERO };
    let call = RentDistributor::setRentTermsCall { token: fake, terms, reason: B256::ZERO };
    stage.act(ALICE, at.rent_distributor, call).await?;
    // The desk places its hold at the fake token, which says that it is hold number one.
    let terms = tokenx_contracts::bindings::redemption_desk::IRedemptionDesk::RedemptionTerms {
        paymentToken: fake,
        maxPrice: 1,
    };
    let call = RedemptionDesk::setRedemptionTermsCall { token: fake, terms, reason: B256::ZERO };
    stage.act(ALICE, at.redemption_desk, call).await?;
    let call =
        RedemptionDesk::requestCall { token: fake, quantity: U256::from(7), paymentToken: fake, minPayout: U256::ZERO };
    stage.act(ALICE, at.redemption_desk, call).await?;
    stage.settles(&[ALICE]).await?;

    let kept: i64 = query_scalar("SELECT count(*) FROM logs WHERE decoded AND position($1 IN topics) > 0")
        .bind(fake.as_slice())
        .fetch_one(pool)
        .await?;
    assert_eq!(kept, 4);
    for (table, rows) in tables(pool).await?.into_iter().filter(|(table, _)| *table != "logs") {
        let named = rows.iter().find(|row| row.contains("fafafafafafafafa"));
        assert_eq!(named, None, "{table} speaks of the fake token");
    }
    assert_eq!(stage.told().await?, Vec::<String>::new());
    indexer.stop().await
}

/// The statement of the migration that brought them.
fn migration() -> &'static str {
    let all = include_str!("../../../../migrations/sql/0014_node_contracts.sql");
    let from = all.find("INSERT INTO watched").unwrap();
    let to = from + all[from..].find(';').unwrap();
    &all[from..to]
}

/// Forgets nodes' contracts and all that they have said.
const FORGET: [&str; 6] = [
    "DELETE FROM logs
      WHERE address IN (SELECT address
                          FROM watched
                         WHERE kind NOT IN ('factory', 'registry', 'executor', 'token', 'followed'))",
    "DELETE FROM watched WHERE kind NOT IN ('factory', 'registry', 'executor', 'token', 'followed')",
    "DELETE FROM listing_terms",
    "DELETE FROM listing_statuses",
    "DELETE FROM purchases",
    "DELETE FROM treasuries",
];

#[tokio::test]
async fn contracts_of_nodes_known_before_they_were_watched_have_their_past_read_late() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.open_to_all(&[ALICE, BOB, cold()?]).await?;
    stage.whitelist(&[ALICE, BOB]).await?;
    let (token, at) = (stage.thousand().await?, stage.node());
    stage.command("list", at.listing, Listing::listCall { token, reason: B256::ZERO }).await?;
    stage.buys(ALICE, token, 3).await?;
    stage.settles(&[ALICE, BOB]).await?;
    indexer.stop().await?;
    let whole = tables(pool).await?;

    // As a database is that was made before: none of their logs, and none of what they say.
    for statement in FORGET {
        query(statement).execute(pool).await?;
    }
    assert_eq!(node::listings_of_tokens(pool, CHAIN, &[token]).await?.len(), 0);
    let found = query(migration()).execute(pool).await?.rows_affected();
    assert_eq!(found, 12, "six of each node");

    let indexer = stage.follow().await;
    for contract in [at.listing, at.fee_vault, at.redemption_desk, at.rent_distributor] {
        eventually("its past is read", || async {
            read::caught_up(pool, CHAIN, contract).await.is_ok_and(|all| all).then_some(())
        })
        .await;
    }
    let late = "SELECT count(*) FROM watched WHERE filled_to IS NOT NULL";
    eventually("all are read", || async {
        (query_scalar::<_, i64>(late).fetch_one(pool).await.ok()? == 0).then_some(())
    })
    .await;
    indexer.stop().await?;
    for ((table, rows), (_, after)) in whole.into_iter().zip(tables(pool).await?) {
        assert_eq!(rows, after, "{table} is what it would have been");
    }
    assert_eq!(stage.rebuilt().await?.differences, []);
    Ok(())
}

#[tokio::test]
async fn a_token_that_has_ended_says_when() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.open_to_all(&[cold()?]).await?;
    let (token, at) = (stage.thousand().await?, stage.node());
    stage.command("end the sale", at.listing, Listing::passivateCall { token, reason: B256::ZERO }).await?;
    let retire = RedemptionDesk::retireCall { token, reason: B256::ZERO };
    stage.command("retire", at.redemption_desk, retire).await?;
    let time = stage.time().await?;
    stage.settles(&[]).await?;
    assert_eq!(node::retired_at(pool, CHAIN, token).await?, Some(time));
    assert_eq!(node::retired_at(pool, CHAIN, stage.token()).await?, None);
    let ended = read::instrument_of_token(pool, CHAIN, token).await?.context("the token")?;
    assert!(ended.supply_paused, "and nothing is minted any more");
    let status = node::listings_of_tokens(pool, CHAIN, &[token]).await?[&token].status;
    assert_eq!(status, node::ListingStatus::Passive);
    indexer.stop().await
}

/// A change by hand, what puts it back, and the figures that it makes wrong.
const BY_HAND: [(&str, &str, &[&str]); 6] = [
    (
        "UPDATE purchases SET purchased = purchased + 1",
        "UPDATE purchases SET purchased = purchased - 1",
        &["listed_supply"],
    ),
    ("UPDATE listing_statuses SET status = 2", "UPDATE listing_statuses SET status = 1", &["listing_status"]),
    (
        "UPDATE fund_changes SET available = available + 1 WHERE cause = 4",
        "UPDATE fund_changes SET available = available - 1 WHERE cause = 4",
        &["fund"],
    ),
    ("UPDATE rent_periods SET carry = carry + 1", "UPDATE rent_periods SET carry = carry - 1", &["rent"]),
    ("UPDATE rent_payments SET amount = amount + 1", "UPDATE rent_payments SET amount = amount - 1", &["fund", "rent"]),
    (
        "INSERT INTO fee_allocations
         SELECT chain_id, block_number, log_index, block_time, tx_hash, v.contract, token, operator, operator, operator,
                1, 2, 3, 1, 2, 3, reason, operator, NULL
           FROM listing_statuses s
           JOIN token_contracts v USING (chain_id, token)
          WHERE v.kind = 'fee_vault'",
        "DELETE FROM fee_allocations",
        &["fees_allocated"],
    ),
];

#[tokio::test]
async fn every_figure_of_a_node_changed_by_hand_is_told_by_the_sweep() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.open_to_all(&[ALICE, BOB, cold()?]).await?;
    stage.whitelist(&[ALICE, BOB]).await?;
    let (token, at) = (stage.thousand().await?, stage.node());
    stage.command("list", at.listing, Listing::listCall { token, reason: B256::ZERO }).await?;
    stage.buys(ALICE, token, 2).await?;
    stage.buys(BOB, token, 1).await?;
    stage.opens_rent(token).await?;
    stage.act(ALICE, at.rent_distributor, RentDistributor::claimCall { token }).await?;
    stage.settles(&[ALICE, BOB]).await?;
    let alice = node::rent_account(pool, CHAIN, token, ALICE).await?;
    assert_eq!(alice.paid >> 128, U256::from(666_666), "two thirds of a dollar");
    assert_eq!(alice.accrued, alice.earned - alice.paid);
    assert_eq!(node::rent_account(pool, CHAIN, token, BOB).await?.claimable(), U256::from(333_333));
    let status = rotated(pool).await?;
    assert_eq!((status.mismatches, status.first), (0, Vec::new()));
    for (change, back, told) in BY_HAND {
        assert!(query(change).execute(pool).await?.rows_affected() > 0, "{change}");
        rotated(pool).await?;
        let open = "SELECT DISTINCT what FROM reconciliation_mismatches WHERE resolved_at IS NULL ORDER BY what";
        assert_eq!(query_scalar::<_, String>(open).fetch_all(pool).await?, told, "{change}");
        assert!(query(back).execute(pool).await?.rows_affected() > 0, "{back}");
        assert_eq!(rotated(pool).await?.mismatches, 0, "{back}");
    }
    indexer.stop().await
}
