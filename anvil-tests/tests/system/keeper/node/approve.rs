//! Payment tokens without permits: a hosted wallet approves by itself, once, with gas that a lane gives it, once.

use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::sol_types::SolCall;
use serde_json::{Value, json};
use tokenx_anvil_tests::process::Process;
use tokenx_anvil_tests::{Fault, FaultProxy, eventually};
use tokenx_config::Settings;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::PlainUSD;
use tokenx_keeper::{Contract, Operation, Purchase, Sale, State, status};

use super::super::{Running, Stack};
use super::{CAROL, REASON, rcc, tokens, usd};

/// Answers `allowance` with nothing, and reverts on all else.
///
/// ```text
/// PUSH1 0 CALLDATALOAD PUSH1 224 SHR PUSH4 0xdd62ed3e EQ PUSH1 20 JUMPI PUSH1 0 PUSH1 0 REVERT
/// JUMPDEST PUSH1 32 PUSH1 0 RETURN
/// ```
const STUBBORN: &str = "0x60003560e01c63dd62ed3e1460145760006000fd5b60206000f3";

/// A world whose instrument is sold for PlainUSD.
struct Plain {
    stack: Stack,
    money: Address,
}

impl Plain {
    /// With two hosted wallets that have 1,000 each.
    async fn start() -> (Self, Running, [Address; 2]) {
        let (stack, keeper, wallets) = Stack::with_hosted().await;
        let money = stack.deploys(&PlainUSD::BYTECODE).await;
        let plain = Self { stack, money };
        for wallet in wallets {
            plain.gives(wallet).await;
        }
        plain.stack.listed_for(money).await;
        (plain, keeper, wallets)
    }

    async fn gives(&self, to: Address) {
        self.stack.send(CAROL.0, self.money, PlainUSD::mintCall { to, amount: usd(1_000) }.abi_encode()).await;
        self.stack.indexed().await;
    }

    /// Another hosted wallet that may buy, with 1,000.
    async fn another(&self, investor_id: u64) -> Address {
        let wallet = self.stack.claimed(&format!("party:{investor_id}")).await;
        let (country, investor_class, kyc_expires_at, reason) = (276, 1, 0, REASON);
        let whitelist = Operation::Whitelist { wallet, investor_id, country, investor_class, kyc_expires_at, reason };
        self.stack.accept(&format!("whitelist-{investor_id}"), whitelist).await.unwrap();
        self.gives(wallet).await;
        wallet
    }

    fn lets_pay(&self, wallet: Address, count: u64) -> Operation {
        self.stack.lets_take(wallet, Contract::Listing, self.money, usd(count))
    }

    fn buys(&self, wallet: Address, count: u64, intent: &str) -> Operation {
        let purchase = Purchase { payment_token: self.money, ..self.stack.purchase(wallet, count, intent) };
        Sale::Buy { instrument: rcc(), purchase, signature: Bytes::new() }.into()
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        self.stack.world.chain.rpc(method, params).await.unwrap()
    }

    async fn number(&self, method: &str, of: Address) -> U256 {
        serde_json::from_value(self.rpc(method, json!([of, "latest"])).await).unwrap()
    }

    async fn allowance(&self, owner: Address) -> U256 {
        let spender = self.stack.at(Contract::Listing);
        self.stack.ask(self.money, PlainUSD::allowanceCall { owner, spender }).await
    }

    /// Transactions by which the chain gave a wallet gas, approvals of it, and transactions of its own.
    async fn steps(&self, wallet: Address) -> (usize, usize, u64) {
        let topics = json!([keccak256("Approval(address,address,uint256)"), wallet.into_word()]);
        let filter = json!([{ "address": self.money, "fromBlock": "0x0", "topics": topics }]);
        let approvals = self.rpc("eth_getLogs", filter).await.as_array().unwrap().len();
        let head: U256 = serde_json::from_value(self.rpc("eth_blockNumber", json!([])).await).unwrap();
        let to = format!("{wallet:#x}");
        let mut gifts = 0;
        for number in 0..=head.to::<u64>() {
            let block = self.rpc("eth_getBlockByNumber", json!([format!("{number:#x}"), true])).await;
            let transactions = block["transactions"].as_array().unwrap();
            gifts += transactions.iter().filter(|one| one["to"] == to.as_str() && one["value"] != "0x0").count();
        }
        (gifts, approvals, self.number("eth_getTransactionCount", wallet).await.to())
    }

    /// What it was given is within the cap, and not all of it is spent.
    async fn has_change(&self, wallet: Address) {
        let cap = U256::from(self.stack.settings.keeper.approve_cap_gwei) * U256::from(1_000_000_000);
        let left = self.number("eth_getBalance", wallet).await;
        assert!(left > U256::ZERO && left <= cap, "{left} of {cap}");
    }

    async fn units_and_money(&self, wallet: Address) -> (U256, U256) {
        let money = self.stack.ask(self.money, PlainUSD::balanceOfCall { account: wallet }).await;
        (self.stack.units_of(wallet).await, money)
    }

    /// Runs a keeper of its own until it is killed at this failpoint.
    async fn dies_at(&self, failpoint: &str) {
        let mut settings: Settings = self.stack.settings.clone();
        settings.keeper.hosted_pool = 0;
        let mut process = Process::start(&settings, &["keeper"], failpoint).unwrap();
        let mut dead = false;
        for _ in 0..1_200 {
            dead = process.was_killed().unwrap();
            if dead {
                break;
            }
            self.stack.mined().await;
        }
        assert!(dead, "{failpoint}: {}", process.log());
    }
}

impl Stack {
    /// Waits for a block that comes by itself.
    async fn mined(&self) {
        let number = || self.world.chain.rpc("eth_blockNumber", json!([]));
        let before = number().await.unwrap();
        eventually("a block comes", || async { (number().await.unwrap() != before).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosted_wallet_pays_in_a_token_without_permits_by_one_approve_of_its_own() {
    let (plain, keeper, [anna, ben]) = Plain::start().await;
    plain.stack.all_done([("permit", plain.lets_pay(anna, 100)), ("buy", plain.buys(anna, 20, "buy"))]).await;
    assert_eq!(plain.units_and_money(anna).await, (tokens(20), usd(960)));
    assert_eq!(plain.allowance(anna).await, usd(60));
    assert_eq!(plain.steps(anna).await, (1, 1, 1));
    plain.has_change(anna).await;
    // As much is allowed.
    plain.stack.all_done([("less", plain.lets_pay(anna, 50)), ("buy-less", plain.buys(anna, 10, "less"))]).await;
    assert_eq!(plain.steps(anna).await, (1, 1, 1));
    // More is not, and this token takes an allowance back before it gives another one.
    plain.stack.all_done([("more", plain.lets_pay(anna, 150)), ("buy-more", plain.buys(anna, 50, "more"))]).await;
    assert_eq!(plain.units_and_money(anna).await, (tokens(80), usd(840)));
    let (_, approvals, own) = plain.steps(anna).await;
    assert_eq!((approvals, own), (3, 3));
    plain.has_change(anna).await;
    plain.stack.has_sent_nothing(ben).await;
    plain.stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_any_two_steps_a_wallet_is_given_gas_once_and_approves_once() {
    let (plain, keeper, _) = Plain::start().await;
    keeper.stop().await;
    let places = [
        "keeper.after_sign",
        "keeper.before_prepare",
        "keeper.after_prepare",
        "keeper.after_send",
        "keeper.before_settle",
        "keeper.after_settle",
        "wallet.after_approve",
    ];
    // The second time each of these comes by, it is the wallet's own transaction.
    let again = ["keeper.before_send", "keeper.after_send", "keeper.before_settle", "keeper.after_settle"];
    let places = places.map(str::to_owned).into_iter().map(|name| (name, ""));
    let places = places.chain(again.into_iter().map(|name| (name.to_owned(), "@2")));
    for (investor_id, (place, turn)) in (10..).zip(places) {
        let keeper = plain.stack.keeper().await;
        let wallet = plain.another(investor_id).await;
        plain.stack.confirmed(&format!("whitelist-{investor_id}")).await;
        keeper.stop().await;
        let (permit, buy) = (format!("permit-{investor_id}"), format!("buy-{investor_id}"));
        plain.stack.accept(&permit, plain.lets_pay(wallet, 20)).await.unwrap();
        plain.stack.accept(&buy, plain.buys(wallet, 10, &buy)).await.unwrap();
        let failpoint = format!("{place}:kill{turn}");
        plain.dies_at(failpoint.as_str()).await;
        let keeper = plain.stack.keeper().await;
        plain.stack.confirmed(&buy).await;
        assert_eq!((plain.stack.runs(&permit).await, plain.stack.runs(&buy).await), (1, 1), "{failpoint}");
        assert_eq!(plain.steps(wallet).await, (1, 1, 1), "{failpoint}");
        assert_eq!(plain.units_and_money(wallet).await, (tokens(10), usd(980)), "{failpoint}");
        keeper.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_takes_gas_and_approve_back_and_the_same_bytes_land_once_more() {
    let (plain, keeper, [anna, _]) = Plain::start().await;
    let first: U256 = serde_json::from_value(plain.rpc("eth_blockNumber", json!([])).await).unwrap();
    plain.stack.all_done([("permit", plain.lets_pay(anna, 20)), ("buy", plain.buys(anna, 10, "buy"))]).await;
    let before = plain.stack.view("buy").await;
    let attempts = plain.stack.count("SELECT count(*) FROM attempts").await;
    plain.rpc("evm_setIntervalMining", json!([0])).await;
    let head: U256 = serde_json::from_value(plain.rpc("eth_blockNumber", json!([])).await).unwrap();
    plain.rpc("anvil_reorg", json!([(head - first).to::<u64>(), []])).await;
    assert_eq!(plain.steps(anna).await, (0, 0, 0));
    plain.rpc("evm_setIntervalMining", json!([1])).await;
    plain
        .stack
        .until("buy", "is confirmed in another block", |view| {
            matches!(view.state, State::Confirmed | State::Final) && view.block_hash != before.block_hash
        })
        .await;
    assert_eq!(plain.stack.count("SELECT count(*) FROM attempts").await, attempts, "the same bytes");
    assert_eq!(plain.steps(anna).await, (1, 1, 1));
    assert_eq!((plain.stack.runs("permit").await, plain.stack.runs("buy").await), (1, 1));
    assert_eq!(plain.units_and_money(anna).await, (tokens(10), usd(980)));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_send_reply_lost_gas_and_approve_go_once() {
    let (plain, keeper, wallets) = Plain::start().await;
    keeper.stop().await;
    let proxy = FaultProxy::start(&plain.stack.world.chain.url(), 0).await.unwrap();
    proxy.rule("eth_sendRawTransaction", Fault::LoseReply, 1.0);
    let mut through = plain.stack.settings.clone();
    through.chain.rpc_url = proxy.url().into();
    let keeper = plain.stack.keeper_by(&through).await;
    for (at, wallet) in wallets.into_iter().enumerate() {
        plain.stack.accept(&format!("permit-{at}"), plain.lets_pay(wallet, 20)).await.unwrap();
        plain.stack.accept(&format!("buy-{at}"), plain.buys(wallet, 10, &format!("buy-{at}"))).await.unwrap();
    }
    for (at, wallet) in wallets.into_iter().enumerate() {
        plain.stack.confirmed(&format!("buy-{at}")).await;
        assert_eq!(plain.steps(wallet).await, (1, 1, 1));
    }
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_cap_nothing_is_sent_and_the_lane_says_why() {
    let (plain, keeper, [anna, ben]) = Plain::start().await;
    keeper.stop().await;
    let mut capped = plain.stack.settings.clone();
    capped.keeper.approve_cap_gwei = 1_000;
    let keeper = plain.stack.keeper_by(&capped).await;
    plain.stack.accept("permit", plain.lets_pay(anna, 20)).await.unwrap();
    plain.stack.accept("buy", plain.buys(anna, 10, "later")).await.unwrap();
    eventually("status says why", || async {
        let taken = status::read(plain.stack.pool(), plain.stack.chain()).await.unwrap()?;
        let why = format!("an approve by wallet {anna} costs up to");
        let says = |problem: &String| problem.contains(&why) && problem.contains("keeper.approve_cap_gwei");
        taken.snapshot.lanes.iter().any(|lane| lane.problem.as_ref().is_some_and(says)).then_some(())
    })
    .await;
    // Others go on, whatever they are to the whole instrument.
    let trade = plain.stack.lets_take(ben, Contract::SecondaryMarket, plain.money, usd(20));
    plain.stack.accept("trade", trade).await.unwrap();
    plain.stack.done("mint", super::payout::mint(CAROL.0, 1)).await;
    plain.stack.done("pause", Operation::Pause { instrument: rcc(), reason: REASON }).await;
    plain.stack.done("unpause", Operation::Unpause { instrument: rcc(), reason: REASON }).await;
    for waiting in ["buy", "trade"] {
        assert_eq!(plain.stack.view(waiting).await.state, State::Accepted, "{waiting}");
    }
    plain.stack.has_sent_nothing(anna).await;
    keeper.stop().await;
    let keeper = plain.stack.keeper().await;
    plain.stack.confirmed("buy").await;
    plain.stack.confirmed("trade").await;
    assert_eq!(plain.steps(anna).await, (1, 1, 1));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_that_run_away_are_followed_with_more_gas_and_the_same_nonce() {
    let (plain, keeper, [anna, _]) = Plain::start().await;
    plain.rpc("evm_setIntervalMining", json!([0])).await;
    plain.stack.accept("permit", plain.lets_pay(anna, 20)).await.unwrap();
    let sent = "SELECT count(*) FROM attempts WHERE kind = 'approve' AND first_sent_at IS NOT NULL";
    let given = "SELECT count(*)
                   FROM slots JOIN attempts USING (lane_id, nonce)
                  WHERE state = 'open' AND kind = 'fund' AND first_sent_at IS NOT NULL";
    eventually("the approve is sent, and no block comes that could hold it", || async {
        if plain.stack.count(given).await > 0 {
            plain.stack.mine().await;
        }
        (plain.stack.count(sent).await == 1).then_some(())
    })
    .await;
    // Out of reach of what it offers and of what the wallet has.
    plain.rpc("anvil_dropAllTransactions", json!([])).await;
    let spike = || plain.rpc("anvil_setNextBlockBaseFeePerGas", json!([U256::from(60_000_000_000u64)]));
    spike().await;
    plain.stack.mine().await;
    eventually("it offers more", || async {
        if plain.stack.count(sent).await > 1 {
            return Some(());
        }
        spike().await;
        plain.stack.mine().await;
        None
    })
    .await;
    let raised = "SELECT count(*)
                    FROM attempts a JOIN attempts b ON a.lane_id = b.lane_id AND a.nonce = b.nonce AND b.n = a.n + 1
                   WHERE a.kind = 'approve' AND b.max_fee::numeric * 1000 >= a.max_fee::numeric * 1125
                     AND b.max_priority_fee::numeric * 1000 >= a.max_priority_fee::numeric * 1125";
    assert!(plain.stack.count(raised).await >= 1);
    eventually("the permit is done", || async {
        plain.stack.mine().await;
        plain.stack.view("permit").await.state.is_ended().then_some(())
    })
    .await;
    plain.stack.confirmed("permit").await;
    let (gifts, approvals, own) = plain.steps(anna).await;
    assert_eq!((gifts, approvals, own), (2, 1, 1));
    plain.has_change(anna).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_refuses_the_approve_ends_the_command_at_no_cost() {
    let (plain, keeper, [anna, _]) = Plain::start().await;
    let stubborn = Address::repeat_byte(0x99);
    plain.stack.set_code(stubborn, STUBBORN).await;
    plain.stack.mine().await;
    let asked = plain.stack.lets_take(anna, Contract::Listing, stubborn, usd(1));
    plain.stack.fails("stubborn", asked, ReasonCode::PermitUnsupported).await;
    plain.stack.has_sent_nothing(anna).await;
    keeper.stop().await;
}
