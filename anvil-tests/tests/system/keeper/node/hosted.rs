//! Wallets whose keys are here: they ask, and the keeper signs when it builds the call. None of them ever has gas.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolStruct;
use serde_json::json;
use tokenx_anvil_tests::{Fault, FaultProxy, eventually};
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::TestUSD;
use tokenx_keeper::{
    Claim, Consent, Contract, Deal, Fund, Operation, Order, Payout, Permit, Redemption, RedemptionTerms, RentTerms,
    Sale, Side, State, Trade, hosted,
};

use super::super::{Running, Stack};
use super::payout::{approve, mint, open_rent};
use super::trade::otc_terms;
use super::{CAROL, REASON, in_an_hour, rcc, sale, salt, tokens, usd};

impl Stack {
    /// A world with money in which two hosted wallets are whitelisted and have 1,000 TestUSD each.
    pub(super) async fn with_hosted() -> (Self, Running, [Address; 2]) {
        let (stack, keeper) = Self::with_money().await;
        let wallets = [stack.claimed("party:anna").await, stack.claimed("party:ben").await];
        for (investor_id, wallet) in (4..).zip(wallets) {
            let whitelist = Operation::Whitelist {
                wallet,
                investor_id,
                country: 276,
                investor_class: 1,
                kyc_expires_at: 0,
                reason: REASON,
            };
            stack.done(&format!("whitelist-{investor_id}"), whitelist).await;
        }
        stack.give(&wallets).await;
        (stack, keeper, wallets)
    }

    /// A ready address, claimed as a registration does.
    pub(super) async fn claimed(&self, owner: &str) -> Address {
        eventually("a hosted address is ready", || async {
            hosted::claim(&mut self.pool().acquire().await.unwrap(), owner).await.ok()
        })
        .await
    }

    /// A permit of TestUSD that the keeper is to sign.
    fn lets_pay(&self, owner: Address, contract: Contract, value: U256) -> Operation {
        self.lets_take(owner, contract, self.money(), value)
    }

    pub(super) fn lets_take(
        &self,
        owner: Address,
        contract: Contract,
        payment_token: Address,
        value: U256,
    ) -> Operation {
        let permit = Permit { owner, value, deadline: U256::from(in_an_hour()) };
        Consent::UsePermit { instrument: rcc(), contract, payment_token, permit, signature: Bytes::new() }.into()
    }

    /// A permit of units that the keeper is to sign.
    fn lets_give(&self, owner: Address, contract: Contract, value: U256) -> Operation {
        let permit = Permit { owner, value, deadline: U256::from(in_an_hour()) };
        let spender = self.at(contract);
        Consent::Permit { instrument: rcc(), spender, permit, signature: Bytes::new() }.into()
    }

    fn buys(&self, wallet: Address, count: u64, intent: &str) -> Operation {
        let purchase = self.purchase(wallet, count, intent);
        Sale::Buy { instrument: rcc(), purchase, signature: Bytes::new() }.into()
    }

    /// Accepts commands at once, in order, and waits for all.
    pub(super) async fn all_done(&self, commands: impl IntoIterator<Item = (&str, Operation)>) {
        let mut ids = Vec::new();
        for (id, operation) in commands {
            self.accept(id, operation).await.unwrap();
            ids.push(id);
        }
        for id in ids {
            self.confirmed(id).await;
        }
    }

    pub(super) async fn has_sent_nothing(&self, wallet: Address) {
        for method in ["eth_getBalance", "eth_getTransactionCount"] {
            assert_eq!(
                self.world.chain.rpc(method, json!([wallet, "latest"])).await.unwrap(),
                json!("0x0"),
                "{method}"
            );
        }
    }
}

fn settle(sell: &Order, buy: &Order, count: u64) -> Operation {
    Trade::SettleOrders {
        instrument: rcc(),
        sell: sell.clone(),
        buy: buy.clone(),
        quantity: tokens(count),
        buy_rests: true,
        sell_signature: Bytes::new(),
        buy_signature: Bytes::new(),
    }
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn hosted_wallets_buy_trade_and_deal_on_the_keepers_signatures() {
    let (stack, keeper, [anna, ben]) = Stack::with_hosted().await;
    stack.listed().await;
    stack
        .all_done([("permit", stack.lets_pay(anna, Contract::Listing, usd(100))), ("buy", stack.buys(anna, 50, "buy"))])
        .await;
    assert_eq!((stack.units_of(anna).await, stack.money_of(anna).await), (tokens(50), usd(900)));

    // Allowances go before the fill that draws on them; so does what waits for another permit of the same wallet.
    let market = Contract::SecondaryMarket;
    stack.done("fee-terms", sale::fee_terms()).await;
    stack.done("market", stack.market_terms(true)).await;
    let (sell, buy) = (stack.order(anna, 20, 2, "sell"), stack.order(ben, 20, 3, "buys"));
    stack
        .all_done([
            ("units", stack.lets_give(anna, market, tokens(20))),
            ("money", stack.lets_pay(ben, market, usd(60))),
            ("fill-1", settle(&sell, &buy, 5)),
            ("fill-2", settle(&sell, &buy, 10)),
        ])
        .await;
    assert_eq!((stack.units_of(anna).await, stack.units_of(ben).await), (tokens(35), tokens(15)));
    let order = buy.of(stack.token(), Side::Buy).eip712_signing_hash(&market.domain(stack.chain(), stack.at(market)));
    let cancel = Trade::CancelOrder { instrument: rcc(), wallet: ben, order, signature: Bytes::new() };
    stack.done("cancel", cancel.into()).await;
    stack.fails("cancelled", settle(&sell, &buy, 1), ReasonCode::OrderCancelled).await;

    let desk = Contract::OtcDesk;
    stack.done("otc", otc_terms(true)).await;
    let deal = Deal { seller: anna, ..stack.deal(ben, "deal") };
    let (instrument, none) = (rcc(), Bytes::new);
    let settle = Trade::SettleDeal { instrument, deal, seller_signature: none(), buyer_signature: none() };
    stack
        .all_done([
            ("units-desk", stack.lets_take(anna, desk, stack.token(), tokens(10))),
            ("money-desk", stack.lets_pay(ben, desk, usd(100))),
            ("deal", settle.into()),
        ])
        .await;
    assert_eq!((stack.units_of(anna).await, stack.units_of(ben).await), (tokens(25), tokens(25)));
    let deal = Deal { seller: anna, ..stack.deal(ben, "never") };
    let back = Trade::CancelDeal { instrument: rcc(), deal, party: ben, signature: Bytes::new() };
    stack.done("deal-cancelled", back.into()).await;

    stack.has_sent_nothing(anna).await;
    stack.has_sent_nothing(ben).await;
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosted_wallets_redeem_and_claim_on_the_keepers_signatures() {
    let (stack, keeper, [anna, _]) = Stack::with_hosted().await;
    stack.done("mint", mint(anna, 100)).await;
    let (instrument, reason, payment_token) = (rcc(), REASON, stack.money());
    let terms = RedemptionTerms { payment_token, max_price: usd(3) };
    stack.done("terms", Payout::SetRedemptionTerms { instrument, terms, reason }.into()).await;
    stack.pay_in(Fund::Redemption, 300).await;
    let redemption = Redemption {
        wallet: anna,
        quantity: tokens(40),
        payment_token,
        min_payout: usd(80),
        deadline: U256::from(in_an_hour()),
        salt: salt("redemption"),
    };
    let request = Payout::RequestRedemption { instrument: rcc(), redemption, signature: Bytes::new() };
    stack.done("request", request.into()).await;
    stack.done("approve", approve(stack.newest_hold().await, usd(100))).await;
    assert_eq!((stack.units_of(anna).await, stack.money_of(anna).await), (tokens(60), usd(1_100)));

    let terms = RentTerms { payment_token, start: 0, length: 0 };
    stack.done("rent-terms", Payout::SetRentTerms { instrument: rcc(), terms, reason }.into()).await;
    stack.pay_in(Fund::Rent, 60).await;
    stack.done("open", open_rent(1, usd(60))).await;
    let claim = Claim { wallet: anna, deadline: U256::from(in_an_hour()), salt: salt("claim") };
    stack.done("claim", Payout::ClaimRent { instrument: rcc(), claim, signature: Bytes::new() }.into()).await;
    // What is not a whole base unit stays owed.
    assert_eq!(stack.money_of(anna).await, usd(1_160) - U256::ONE);
    stack.has_sent_nothing(anna).await;
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_hosted_here_gives_a_proof_and_a_token_without_permits_an_allowance() {
    let (stack, keeper, [anna, _]) = Stack::with_hosted().await;
    stack.listed().await;
    stack.is_refused(stack.buys(CAROL.0, 5, "carol"), ReasonCode::InvalidSignature).await;
    stack.is_refused(stack.lets_pay(CAROL.0, Contract::Listing, usd(1)), ReasonCode::InvalidSignature).await;
    // An address that nobody has claimed is nobody's.
    let ready: Vec<u8> = sqlx::query_scalar("SELECT address::bytea FROM hosted_keys WHERE owner IS NULL LIMIT 1")
        .fetch_one(stack.pool())
        .await
        .unwrap();
    let permit = stack.lets_pay(Address::from_slice(&ready), Contract::Listing, usd(1));
    stack.is_refused(permit, ReasonCode::InvalidSignature).await;
    // Any contract that is no token.
    let no_permits = stack.lets_take(anna, Contract::Listing, stack.at(Contract::FeeVault), usd(1));
    stack.fails("no-permits", no_permits, ReasonCode::PermitUnsupported).await;
    stack.fails("unpaid", stack.buys(anna, 5, "unpaid"), ReasonCode::AllowanceTooSmall).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permits_of_one_wallet_go_one_after_another_whatever_they_are_for() {
    let (stack, keeper, [anna, _]) = Stack::with_hosted().await;
    keeper.stop().await;
    let contracts = [Contract::Listing, Contract::SecondaryMarket, Contract::OtcDesk, Contract::RedemptionDesk];
    let ids = contracts.map(Contract::name);
    for (id, contract) in ids.iter().zip(contracts) {
        stack.accept(id, stack.lets_pay(anna, contract, usd(10))).await.unwrap();
    }
    // Less than is allowed by then: it would only lower it.
    stack.accept("less", stack.lets_pay(anna, Contract::Listing, usd(5))).await.unwrap();
    let keeper = stack.keeper().await;
    for id in ids.into_iter().chain(["less"]) {
        stack.confirmed(id).await;
    }
    for contract in contracts {
        let allowance = TestUSD::allowanceCall { owner: anna, spender: stack.at(contract) };
        assert_eq!(stack.ask(stack.money(), allowance).await, usd(10), "{}", contract.name());
    }
    assert_eq!(stack.ask(stack.money(), TestUSD::noncesCall { owner: anna }).await, U256::from(4));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_for_a_hosted_wallet_before_a_crash_happens_once() {
    let (stack, keeper, [anna, _]) = Stack::with_hosted().await;
    stack.listed().await;
    keeper.stop().await;
    let proxy = FaultProxy::start(&stack.world.chain.url(), 0).await.unwrap();
    proxy.rule("eth_sendRawTransaction", Fault::Hang, 1.0);
    let mut through = stack.settings.clone();
    through.chain.rpc_url = proxy.url().into();
    stack.accept("permit", stack.lets_pay(anna, Contract::Listing, usd(20))).await.unwrap();
    stack.accept("buy", stack.buys(anna, 10, "once")).await.unwrap();
    let keeper = stack.keeper_by(&through).await;
    stack.until("buy", "is prepared", |view| view.state == State::Prepared).await;
    keeper.crash().await;
    let attempts = stack.count("SELECT count(*) FROM attempts").await;
    let keeper = stack.keeper().await;
    stack.confirmed("permit").await;
    stack.confirmed("buy").await;
    assert_eq!(stack.count("SELECT count(*) FROM attempts").await, attempts, "the same bytes");
    assert_eq!((stack.runs("permit").await, stack.runs("buy").await), (1, 1));
    assert_eq!((stack.units_of(anna).await, stack.money_of(anna).await), (tokens(10), usd(980)));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_another_master_key_mandates_wait_and_the_lane_says_why() {
    let (stack, keeper, [anna, _]) = Stack::with_hosted().await;
    stack.listed().await;
    keeper.stop().await;
    let mut other = stack.settings.clone();
    other.signer.master_key = B256::repeat_byte(0x5a).to_string().into();
    let keeper = stack.keeper_by(&other).await;
    stack.accept("permit", stack.lets_pay(anna, Contract::Listing, usd(20))).await.unwrap();
    stack.accept("buy", stack.buys(anna, 10, "later")).await.unwrap();
    eventually("the lane says why", || async {
        let said = "SELECT count(*) FROM lanes WHERE problem LIKE '%does not open: signer.master_key is not the one%'";
        (stack.count(said).await > 0).then_some(())
    })
    .await;
    // Others go on.
    stack.done("mint", mint(CAROL.0, 1)).await;
    assert_eq!(stack.view("buy").await.state, State::Accepted);
    keeper.stop().await;
    let keeper = stack.keeper().await;
    stack.confirmed("buy").await;
    keeper.stop().await;
}
