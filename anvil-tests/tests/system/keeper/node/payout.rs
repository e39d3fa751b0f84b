//! Redemptions, rent, and the end of a token.

use alloy::primitives::{Address, U256};
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{RedemptionDesk, RentDistributor, SecurityToken};
use tokenx_keeper::{Claim, Contract, Fund, Funding, Operation, Payout, Redemption, RedemptionTerms, RentTerms};

use super::super::{Running, Stack};
use super::{ALICE, BOB, CAROL, REASON, TREASURY, in_an_hour, rcc, sale, salt, tokens, usd};

/// Code that refuses whatever it is asked: PUSH1 0 PUSH1 0 REVERT.
const REFUSES: &str = "0x60006000fd";

pub(super) fn mint(to: Address, count: u64) -> Operation {
    Operation::Mint { instrument: rcc(), to, amount: tokens(count), reason: REASON }
}

fn burn(from: Address, count: u64) -> Operation {
    Operation::Burn { instrument: rcc(), from, amount: tokens(count), reason: REASON }
}

pub(super) fn approve(request_id: u64, payout: U256) -> Operation {
    Payout::ApproveRedemption { instrument: rcc(), request_id, payout, reason: REASON }.into()
}

pub(super) fn open_rent(period: u16, amount: U256) -> Operation {
    Payout::OpenRent { instrument: rcc(), period, amount, reason: REASON }.into()
}

fn withdraw(fund: Fund, payment_token: Address, amount: U256) -> Operation {
    Payout::Withdraw { instrument: rcc(), fund, payment_token, amount, reason: REASON }.into()
}

impl Stack {
    /// Alice has 100 units and Bob 50; redemptions are paid at up to 3 TestUSD, out of 300.
    async fn open_for_redemptions() -> (Self, Running) {
        let (stack, keeper) = Self::with_money().await;
        let terms = RedemptionTerms { payment_token: stack.money(), max_price: usd(3) };
        stack.done("terms", Payout::SetRedemptionTerms { instrument: rcc(), terms, reason: REASON }.into()).await;
        stack.pay_in(Fund::Redemption, 300).await;
        stack.done("mint-alice", mint(ALICE.0, 100)).await;
        stack.done("mint-bob", mint(BOB.0, 50)).await;
        (stack, keeper)
    }

    /// Carol pays into a fund, with a permit.
    pub(super) async fn pay_in(&self, fund: Fund, count: u64) {
        let (contract, name) = (fund.contract(), fund.contract().name());
        let funding = Funding {
            wallet: CAROL.0,
            payment_token: self.money(),
            amount: usd(count),
            deadline: U256::from(in_an_hour()),
            salt: salt(name),
        };
        let signature = self.sign(CAROL, contract, &funding.of(self.token()));
        let permit = self.money_permit(CAROL, contract, usd(count)).await;
        self.done(&format!("permit-{name}"), permit).await;
        let pay_in = Payout::PayIn { instrument: rcc(), fund, funding, signature };
        self.done(&format!("pay-in-{name}"), pay_in.into()).await;
    }

    fn request(&self, wallet: (Address, &str), count: u64, least: u64) -> Operation {
        let redemption = Redemption {
            wallet: wallet.0,
            quantity: tokens(count),
            payment_token: self.money(),
            min_payout: usd(least),
            deadline: U256::from(in_an_hour()),
            salt: salt(&format!("{}-{count}", wallet.0)),
        };
        let signature = self.sign(wallet, Contract::RedemptionDesk, &redemption.of(self.token()));
        Payout::RequestRedemption { instrument: rcc(), redemption, signature }.into()
    }

    /// The newest hold, by whose number a request is known.
    pub(super) async fn newest_hold(&self) -> u64 {
        let id: i64 = sqlx::query_scalar("SELECT max(hold_id) FROM hold_changes").fetch_one(self.pool()).await.unwrap();
        id.unsigned_abs()
    }

    async fn fund(&self, fund: Fund) -> (U256, U256) {
        let call = RedemptionDesk::fundOfCall { token: self.token(), paymentToken: self.money() };
        let book = self.ask(self.at(fund.contract()), call).await;
        (book.available, book.owed)
    }

    fn claim(&self, wallet: (Address, &str), intent: &str) -> Operation {
        let claim = Claim { wallet: wallet.0, deadline: U256::from(in_an_hour()), salt: salt(intent) };
        let signature = self.sign(wallet, Contract::RentDistributor, &claim.of(self.token()));
        Payout::ClaimRent { instrument: rcc(), claim, signature }.into()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_holds_units_and_its_approval_burns_them_and_pays() {
    let (stack, keeper) = Stack::open_for_redemptions().await;
    stack.is_refused(stack.request(ALICE, 101, 1), ReasonCode::InsufficientSpendable).await;
    stack.done("request", stack.request(ALICE, 40, 80)).await;
    let request = stack.newest_hold().await;
    stack.is_refused(burn(ALICE.0, 61), ReasonCode::AmountHeld).await;
    stack.is_refused(approve(request, usd(79)), ReasonCode::PayoutTooLow).await;
    stack.fails("too-much", approve(request, usd(121)), ReasonCode::PayoutTooHigh).await;
    stack.done("approve", approve(request, usd(100))).await;
    assert_eq!((stack.units_of(ALICE.0).await, stack.money_of(ALICE.0).await), (tokens(60), usd(1_100)));
    assert_eq!(stack.fund(Fund::Redemption).await, (usd(200), U256::ZERO));
    stack.is_refused(approve(request, usd(100)), ReasonCode::UnknownRequest).await;

    stack.done("request-bob", stack.request(BOB, 10, 1)).await;
    let request = stack.newest_hold().await;
    let reject = Payout::RejectRedemption { instrument: rcc(), request_id: request, reason: REASON };
    stack.done("reject", reject.into()).await;
    stack.done("free-again", burn(BOB.0, 50)).await;

    stack.fails("beyond", withdraw(Fund::Redemption, stack.money(), usd(201)), ReasonCode::FundTooSmall).await;
    stack.done("withdraw", withdraw(Fund::Redemption, stack.money(), usd(50))).await;
    assert_eq!((stack.fund(Fund::Redemption).await.0, stack.money_of(TREASURY).await), (usd(150), usd(50)));
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wallet_was_refused_is_its_credit_and_after_its_loss_its_investors() {
    let (stack, keeper) = Stack::open_for_redemptions().await;
    let payment_token = stack.money();
    let draw = |wallet| Operation::from(Payout::DrawCredit { instrument: rcc(), payment_token, wallet });
    stack.fails("nothing", draw(ALICE.0), ReasonCode::NothingToPay).await;
    for (id, count) in [("first", 40), ("second", 20)] {
        stack.done(&format!("request-{id}"), stack.request(ALICE, count, 1)).await;
        let request = stack.newest_hold().await;
        let code = stack.set_code(payment_token, REFUSES).await;
        stack.done(&format!("approve-{id}"), approve(request, usd(count))).await;
        stack.set_code(payment_token, &code).await;
        assert_eq!(stack.fund(Fund::Redemption).await.1, usd(count));
        if id == "first" {
            stack.done("draw", draw(ALICE.0)).await;
            assert_eq!((stack.money_of(ALICE.0).await, stack.fund(Fund::Redemption).await.1), (usd(1_040), U256::ZERO));
        }
    }
    // Another wallet of Alice's investor takes the place of the one that is lost.
    let found = Address::repeat_byte(0xf0);
    let move_credit = |to| {
        Operation::from(Payout::MoveCredit { instrument: rcc(), payment_token, from: ALICE.0, to, reason: REASON })
    };
    stack.is_refused(move_credit(BOB.0), ReasonCode::NotSameInvestor).await;
    let whitelist = Operation::Whitelist {
        wallet: found,
        investor_id: 1,
        country: 276,
        investor_class: 1,
        kyc_expires_at: 0,
        reason: REASON,
    };
    stack.done("found", whitelist).await;
    stack.is_refused(move_credit(found), ReasonCode::WalletNotRevoked).await;
    stack.done("revoke", Operation::Revoke { wallet: ALICE.0, reason: REASON }).await;
    stack.done("move", move_credit(found)).await;
    stack.done("draw-found", draw(found)).await;
    assert_eq!(stack.money_of(found).await, usd(20));
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rent_is_paid_in_divided_claimed_and_pushed() {
    let (stack, keeper) = Stack::with_money().await;
    let terms = RentTerms { payment_token: stack.money(), start: 0, length: 0 };
    stack.done("terms", Payout::SetRentTerms { instrument: rcc(), terms, reason: REASON }.into()).await;
    let minimum = |minimum| Operation::from(Payout::SetRentMinimum { instrument: rcc(), minimum, reason: REASON });
    stack.done("minimum", minimum(tokens(10))).await;
    // Carol has too little to earn.
    for (id, to, count) in [("m-a", ALICE.0, 60), ("m-b", BOB.0, 40), ("m-c", CAROL.0, 9)] {
        stack.done(id, mint(to, count)).await;
    }
    stack.is_refused(minimum(U256::ZERO), ReasonCode::StillHeld).await;
    stack.pay_in(Fund::Rent, 300).await;
    stack.fails("beyond", open_rent(1, usd(301)), ReasonCode::FundTooSmall).await;
    stack.done("open", open_rent(1, usd(200))).await;
    stack.fails("open-again", open_rent(1, usd(100)), ReasonCode::RentPeriod).await;
    assert_eq!(stack.fund(Fund::Rent).await, (usd(100), usd(200)));
    let desk = stack.at(Contract::RentDistributor);
    let earned = |wallet| RentDistributor::claimableCall { token: stack.token(), wallet };
    // What is not a whole base unit stays owed.
    let lost = U256::ONE;
    assert_eq!(stack.ask(desk, earned(ALICE.0)).await, usd(120) - lost);

    stack.done("claim", stack.claim(ALICE, "claim")).await;
    assert_eq!(stack.money_of(ALICE.0).await, usd(1_120) - lost);
    stack.fails("claim-again", stack.claim(ALICE, "again"), ReasonCode::NothingToPay).await;
    // Who has nothing to get hinders nobody.
    let wallets = [ALICE.0, BOB.0, CAROL.0].into();
    stack.done("push", Payout::PushRent { instrument: rcc(), wallets }.into()).await;
    assert_eq!(
        (stack.money_of(BOB.0).await, stack.fund(Fund::Rent).await),
        (usd(1_080) - lost, (usd(100), lost + lost))
    );
    stack.done("withdraw", withdraw(Fund::Rent, stack.money(), usd(100))).await;
    assert_eq!(stack.money_of(TREASURY).await, usd(100));
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_units_is_retired_once_its_sale_has_ended() {
    let (stack, keeper) = Stack::with_money().await;
    stack.done("mint", mint(ALICE.0, 1)).await;
    let retire = || Operation::from(Payout::Retire { instrument: rcc(), reason: REASON });
    stack.is_refused(retire(), ReasonCode::StillHeld).await;
    stack.done("burn", burn(ALICE.0, 1)).await;
    stack.fails("on-sale", retire(), ReasonCode::StillOnSale).await;
    stack.done("passivate", sale::passivate()).await;
    stack.done("retire", retire()).await;
    assert!(stack.ask(stack.token(), SecurityToken::supplyPausedCall {}).await);
    let unpause = Operation::UnpauseSupply { instrument: rcc(), reason: REASON };
    stack.fails("for-ever", unpause, ReasonCode::TokenRetired).await;
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}
