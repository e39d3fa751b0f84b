//! Primary sale and fees.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use tokenx::local::suite::COLD_KEY;
use tokenx_anvil_tests::eventually;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{Executor, FeeVault, Listing};
use tokenx_keeper::{Beneficiaries, Contract, FeeAmounts, FeeShares, ListingTerms, Operation, Purchase, Sale};

use super::super::{Stack, key};
use super::{ALICE, BOB, CAROL, REASON, TREASURY, in_an_hour, rcc, salt, tokens, usd};

impl Stack {
    fn listing_terms(&self, payment_token: Address) -> Operation {
        let terms = ListingTerms {
            payment_token,
            price: usd(2),
            opens_at: 0,
            closes_at: 0,
            min_purchase: tokens(2),
            max_purchase: tokens(100),
            max_fees: tokens(10),
            salable_bps: 10_000,
        };
        Sale::SetListingTerms { instrument: rcc(), terms, reason: REASON }.into()
    }

    /// The instrument is on sale at 2 TestUSD.
    pub(super) async fn listed(&self) {
        self.listed_for(self.money()).await;
    }

    /// The instrument is on sale at 2 of this payment token.
    pub(super) async fn listed_for(&self, payment_token: Address) {
        self.done("listing-terms", self.listing_terms(payment_token)).await;
        self.done("list", list()).await;
    }

    pub(super) fn purchase(&self, wallet: Address, count: u64, intent: &str) -> Purchase {
        Purchase {
            wallet,
            quantity: tokens(count),
            payment_token: self.money(),
            max_cost: usd(2 * count),
            deadline: U256::from(in_an_hour()),
            salt: salt(intent),
        }
    }

    fn buy(&self, wallet: (Address, &str), count: u64, intent: &str) -> Operation {
        let purchase = self.purchase(wallet.0, count, intent);
        let signature = self.sign(wallet, Contract::Listing, &purchase.of(self.token()));
        Sale::Buy { instrument: rcc(), purchase, signature }.into()
    }
}

fn list() -> Operation {
    Sale::List { instrument: rcc(), reason: REASON }.into()
}

pub(super) fn passivate() -> Operation {
    Sale::Passivate { instrument: rcc(), reason: REASON }.into()
}

fn reserve(count: u64) -> Operation {
    Sale::ReserveFees { instrument: rcc(), amount: tokens(count), reason: REASON }.into()
}

/// Half to Alice, three tenths to Bob, two to Carol.
pub(super) fn fee_terms() -> Operation {
    let beneficiaries = Beneficiaries { platform_owner: ALICE.0, node_owner: BOB.0, node: CAROL.0 };
    let shares = FeeShares { platform_owner: 5_000, node_owner: 3_000, node: 2_000 };
    Sale::SetFeeTerms { instrument: rcc(), beneficiaries, shares, reason: REASON }.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_goes_from_terms_through_a_purchase_with_a_permit_to_its_end() {
    let (stack, keeper) = Stack::with_money().await;
    stack.listed().await;
    // Accepted at once: the permit goes first, since it is of the same wallet.
    let permit = stack.money_permit(ALICE, Contract::Listing, usd(20)).await;
    let buy = stack.buy(ALICE, 10, "first");
    stack.accept("permit", permit.clone()).await.unwrap();
    let first = stack.accept("buy", buy.clone()).await.unwrap();
    stack.confirmed("permit").await;
    stack.confirmed("buy").await;
    let again = stack.accept("buy", buy.clone()).await.unwrap();
    assert!(again.replayed && again.answer == first.answer);
    assert_eq!((stack.units_of(ALICE.0).await, stack.money_of(TREASURY).await), (tokens(10), usd(20)));
    let sold = stack.ask(stack.at(Contract::Listing), Listing::supplyOfCall { token: stack.token() }).await;
    assert_eq!(U256::from(sold.purchased), tokens(10));

    stack.fails("unpaid", stack.buy(ALICE, 2, "second"), ReasonCode::AllowanceTooSmall).await;
    stack.done("permit-bob", stack.money_permit(BOB, Contract::Listing, usd(400)).await).await;
    stack.fails("too-few", stack.buy(BOB, 1, "third"), ReasonCode::PurchaseOutOfRange).await;
    stack.fails("too-many", stack.buy(BOB, 101, "fourth"), ReasonCode::PurchaseOutOfRange).await;
    let of_another = {
        let purchase = stack.purchase(BOB.0, 2, "fifth");
        let signature = stack.sign(ALICE, Contract::Listing, &purchase.of(stack.token()));
        Sale::Buy { instrument: rcc(), purchase, signature }
    };
    stack.fails("forged", of_another, ReasonCode::InvalidSignature).await;

    stack.done("delist", Sale::Delist { instrument: rcc(), reason: REASON }.into()).await;
    stack.fails("closed", stack.buy(BOB, 2, "sixth"), ReasonCode::NotOnSale).await;
    stack.done("list-again", list()).await;
    stack.done("buy-bob", stack.buy(BOB, 2, "sixth")).await;
    stack.done("passivate", passivate()).await;
    stack.fails("for-ever", list(), ReasonCode::InvalidStatusChange).await;
    assert_eq!(stack.ask(stack.at(Contract::Listing), Listing::statusOfCall { token: stack.token() }).await, 3);
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_intent_is_carried_once_whatever_the_commands_are_called() {
    let (stack, keeper) = Stack::with_money().await;
    stack.listed().await;
    stack.done("permit", stack.money_permit(ALICE, Contract::Listing, usd(100)).await).await;
    keeper.stop().await;
    let buy = stack.buy(ALICE, 5, "once");
    for id in ["one", "two"] {
        stack.accept(id, buy.clone()).await.unwrap();
    }
    let keeper = stack.keeper().await;
    stack.confirmed("one").await;
    let two = stack.until("two", "ends", |view| view.state.is_ended()).await;
    assert_eq!(two.reason_code.as_deref(), Some(ReasonCode::IntentUsed.as_str()), "{two:?}");
    assert_eq!((stack.units_of(ALICE.0).await, stack.money_of(TREASURY).await), (tokens(5), usd(10)));
    // What is known by now is refused at once, whether it was used or taken back.
    stack.is_refused(buy.clone(), ReasonCode::IntentUsed).await;
    let back = Listing::cancelIntentCall { salt: salt("taken back") }.abi_encode();
    stack.send(ALICE.0, stack.at(Contract::Listing), back).await;
    eventually("the intent is taken back", || async {
        let known = "SELECT count(*) FROM intents WHERE cancelled";
        (stack.count(known).await == 1).then_some(())
    })
    .await;
    stack.is_refused(stack.buy(ALICE, 5, "taken back"), ReasonCode::IntentUsed).await;
    assert!(stack.accept("one", buy).await.unwrap().replayed, "the first answer stays the answer");
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_set_aside_within_the_terms_and_given_out() {
    let (stack, keeper) = Stack::with_money().await;
    stack.listed().await;
    stack.done("fee-terms", fee_terms()).await;
    stack
        .is_refused(Sale::ReserveFees { instrument: rcc(), amount: U256::ONE, reason: REASON }, ReasonCode::NotWhole)
        .await;
    stack.done("reserve", reserve(10)).await;
    stack.fails("beyond", reserve(1), ReasonCode::FeesAboveLimit).await;

    let allocate = |platform_owner, node_owner, node| -> Operation {
        let (platform_owner, node_owner, node) = (tokens(platform_owner), tokens(node_owner), tokens(node));
        let amounts = FeeAmounts { platform_owner, node_owner, node };
        Sale::AllocateFees { instrument: rcc(), amounts, reason: REASON }.into()
    };
    stack.done("allocate", allocate(5, 3, 0)).await;
    stack.fails("allocate-beyond", allocate(3, 0, 0), ReasonCode::FeeSupplyExceeded).await;
    let given = stack.ask(stack.at(Contract::FeeVault), FeeVault::allocatedOfCall { token: stack.token() }).await;
    assert_eq!((given.platformOwner, given.nodeOwner, given.node), (tokens(5), tokens(3), U256::ZERO));
    assert_eq!((stack.units_of(ALICE.0).await, stack.units_of(BOB.0).await), (tokens(5), tokens(3)));
    let nothing = Sale::DrawFees { instrument: rcc(), payment_token: stack.money(), wallet: ALICE.0 };
    stack.fails("draw-nothing", nothing, ReasonCode::NothingToPay).await;
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_the_admins_alone_where_the_keeper_may_not_set_them() {
    let (stack, keeper) = Stack::with_money().await;
    let (executor, target) = (stack.deployment.nodes[0].node.executor, stack.at(Contract::Listing));
    let selector = Listing::setTermsCall::SELECTOR.into();
    let admin = key(COLD_KEY).address();
    stack.send(admin, executor, Executor::removeRuleCall { target, selector }.abi_encode()).await;
    eventually("the rule is gone", || async {
        let rule = stack.ask(executor, Executor::ruleOfCall { target, selector }).await;
        (!rule.allowed).then_some(())
    })
    .await;
    stack.indexed().await;
    stack.fails("terms", stack.listing_terms(stack.money()), ReasonCode::ActionNotAllowed).await;
    stack.fails("list", list(), ReasonCode::InvalidStatusChange).await;
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}
