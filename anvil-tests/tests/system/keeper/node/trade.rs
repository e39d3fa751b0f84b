//! Orders and deals between holders.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolStruct};
use serde_json::json;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{Cancellation, FeeVault, OtcDesk, SecondaryMarket, TestUSD};
use tokenx_keeper::{Contract, Deal, MarketTerms, Operation, Order, OtcTerms, Sale, Side, Trade};

use super::super::{Running, Stack};
use super::{ALICE, BOB, CAROL, CONTRACT_WALLET, REASON, in_an_hour, rcc, sale, salt, tokens, usd};

impl Stack {
    /// Alice has 50 units, and market and OTC desk are open at one in a hundred.
    async fn open_for_trade() -> (Self, Running) {
        let (stack, keeper) = Self::with_money().await;
        let (instrument, reason) = (rcc(), REASON);
        stack.done("mint", Operation::Mint { instrument, to: ALICE.0, amount: tokens(50), reason }).await;
        stack.done("fee-terms", sale::fee_terms()).await;
        stack.done("market", stack.market_terms(true)).await;
        stack.done("otc", otc_terms(true)).await;
        (stack, keeper)
    }

    pub(super) fn market_terms(&self, open: bool) -> Operation {
        let terms = MarketTerms {
            payment_token: self.money(),
            open,
            fee_bps: 100,
            lot: tokens(1),
            min_price: usd(2),
            max_price: usd(4),
        };
        Trade::SetMarketTerms { instrument: rcc(), terms, reason: REASON }.into()
    }

    pub(super) fn order(&self, wallet: Address, count: u64, price: u64, name: &str) -> Order {
        Order {
            wallet,
            payment_token: self.money(),
            quantity: tokens(count),
            limit_price: usd(price),
            max_fee_bps: 100,
            valid_from: 0,
            expiry: in_an_hour(),
            salt: salt(name),
        }
    }

    /// Alice sells to Bob, whose order was there first.
    fn settle(&self, sell: &Order, buy: &Order, count: u64) -> Operation {
        let market = Contract::SecondaryMarket;
        Trade::SettleOrders {
            instrument: rcc(),
            sell: sell.clone(),
            buy: buy.clone(),
            quantity: tokens(count),
            buy_rests: true,
            sell_signature: self.sign(ALICE, market, &sell.of(self.token(), Side::Sell)),
            buy_signature: self.sign(BOB, market, &buy.of(self.token(), Side::Buy)),
        }
        .into()
    }

    pub(super) fn deal(&self, buyer: Address, name: &str) -> Deal {
        Deal {
            seller: ALICE.0,
            buyer,
            quantity: tokens(10),
            payment_token: self.money(),
            payment: usd(100),
            max_fee_bps: 100,
            valid_from: 0,
            deadline: in_an_hour(),
            terms: B256::ZERO,
            salt: salt(name),
        }
    }

    fn settle_deal(&self, deal: &Deal, buyer_signature: Bytes) -> Operation {
        let seller_signature = self.sign(ALICE, Contract::OtcDesk, &deal.of(self.token()));
        Trade::SettleDeal { instrument: rcc(), deal: deal.clone(), seller_signature, buyer_signature }.into()
    }
}

pub(super) fn otc_terms(open: bool) -> Operation {
    Trade::SetOtcTerms { instrument: rcc(), terms: OtcTerms { open, fee_bps: 100 }, reason: REASON }.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_filled_within_the_band_until_they_are_cancelled_and_pay_their_fee() {
    let (stack, keeper) = Stack::open_for_trade().await;
    let market = Contract::SecondaryMarket;
    let (sell, buy) = (stack.order(ALICE.0, 20, 2, "sell"), stack.order(BOB.0, 30, 3, "buy"));
    stack.fails("no-allowance", stack.settle(&sell, &buy, 5), ReasonCode::AllowanceTooSmall).await;
    stack.done("units", stack.units_permit(ALICE, market, tokens(20)).await).await;
    stack.done("money", stack.money_permit(BOB, market, usd(300)).await).await;
    // Two parts of the same two orders; in whichever order, both run.
    stack.accept("fill-1", stack.settle(&sell, &buy, 5)).await.unwrap();
    stack.accept("fill-2", stack.settle(&sell, &buy, 10)).await.unwrap();
    stack.confirmed("fill-1").await;
    stack.confirmed("fill-2").await;
    // 15 at Bob's 3, of which Alice, who came second, pays one in a hundred.
    assert_eq!((stack.units_of(ALICE.0).await, stack.units_of(BOB.0).await), (tokens(35), tokens(15)));
    let fee = U256::from(450_000);
    assert_eq!((stack.money_of(ALICE.0).await, stack.money_of(BOB.0).await), (usd(1_045) - fee, usd(955)));
    stack.fails("overfilled", stack.settle(&sell, &buy, 6), ReasonCode::OrderOverfilled).await;

    let (dear, dearly) = (stack.order(ALICE.0, 5, 5, "dear"), stack.order(BOB.0, 5, 5, "dearly"));
    stack.fails("out-of-band", stack.settle(&dear, &dearly, 1), ReasonCode::PriceOutsideBand).await;

    let order = buy.of(stack.token(), Side::Buy).eip712_signing_hash(&market.domain(stack.chain(), stack.at(market)));
    let signature = stack.sign(BOB, market, &Cancellation { wallet: BOB.0, id: order });
    stack.done("cancel", Trade::CancelOrder { instrument: rcc(), wallet: BOB.0, order, signature }.into()).await;
    stack.fails("cancelled", stack.settle(&sell, &buy, 1), ReasonCode::OrderCancelled).await;
    let filled = stack.ask(stack.at(market), SecondaryMarket::filledOfCall { wallet: BOB.0, order }).await;
    assert_eq!(filled, U256::MAX);

    let payment_token = stack.money();
    stack.done("release", Sale::ReleaseFees { instrument: rcc(), payment_token }.into()).await;
    let draw = |wallet| Operation::from(Sale::DrawFees { instrument: rcc(), payment_token, wallet });
    stack.done("draw", draw(CAROL.0)).await;
    assert_eq!(stack.money_of(CAROL.0).await, usd(1_000) + fee / U256::from(5));
    let vault = stack.at(Contract::FeeVault);
    let credit = FeeVault::creditOfCall { paymentToken: payment_token, wallet: ALICE.0 };
    assert_eq!(stack.ask(vault, credit).await, fee / U256::from(2));

    stack.done("close", stack.market_terms(false)).await;
    stack.fails("closed", stack.settle(&sell, &stack.order(BOB.0, 5, 3, "late"), 1), ReasonCode::MarketClosed).await;
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_settled_once_between_keys_and_with_a_contract() {
    let (stack, keeper) = Stack::open_for_trade().await;
    let desk = Contract::OtcDesk;
    stack.done("units", stack.units_permit(ALICE, desk, tokens(50)).await).await;
    stack.done("money", stack.money_permit(BOB, desk, usd(500)).await).await;
    let deal = stack.deal(BOB.0, "first");
    let settle = stack.settle_deal(&deal, stack.sign(BOB, desk, &deal.of(stack.token())));
    stack.done("deal", settle.clone()).await;
    assert_eq!((stack.units_of(BOB.0).await, stack.money_of(ALICE.0).await), (tokens(10), usd(1_099)));
    stack.fails("twice", settle, ReasonCode::DealDone).await;

    let deal = stack.deal(BOB.0, "second");
    let consent = stack.sign(BOB, desk, &deal.of(stack.token()));
    let id = deal.of(stack.token()).eip712_signing_hash(&desk.domain(stack.chain(), stack.at(desk)));
    let signature = stack.sign(ALICE, desk, &Cancellation { wallet: ALICE.0, id });
    let cancel = Trade::CancelDeal { instrument: rcc(), deal: deal.clone(), party: ALICE.0, signature };
    stack.done("cancel", cancel.into()).await;
    assert_eq!(stack.ask(stack.at(desk), OtcDesk::stateOfCall { deal: id }).await, 2);
    stack.fails("cancelled", stack.settle_deal(&deal, consent), ReasonCode::DealDone).await;

    // A wallet that is a contract buys; what it takes for a signature is its own affair.
    let wallet = Address::repeat_byte(0xc0);
    stack.set_code(wallet, CONTRACT_WALLET).await;
    stack.whitelist(&[ALICE.0, BOB.0, CAROL.0, wallet]).await;
    stack.give(&[wallet]).await;
    let allow = TestUSD::approveCall { spender: stack.at(desk), value: usd(500) }.abi_encode();
    stack.world.chain.rpc("anvil_setBalance", json!([wallet, "0xde0b6b3a7640000"])).await.unwrap();
    stack.world.chain.rpc("anvil_impersonateAccount", json!([wallet])).await.unwrap();
    stack.send(wallet, stack.money(), allow).await;
    stack.mine().await;
    let deal = stack.deal(wallet, "third");
    let proof = Bytes::from_static(b"as we have agreed");
    stack.fails("not-agreed", stack.settle_deal(&deal, proof.clone()), ReasonCode::InvalidSignature).await;
    let digest = deal.of(stack.token()).eip712_signing_hash(&desk.domain(stack.chain(), stack.at(desk)));
    stack.agrees(wallet, digest).await;
    stack.done("agreed", stack.settle_deal(&deal, proof)).await;
    assert_eq!((stack.units_of(wallet).await, stack.money_of(wallet).await), (tokens(10), usd(900)));

    stack.done("close", otc_terms(false)).await;
    let late = stack.deal(BOB.0, "late");
    let consent = stack.sign(BOB, desk, &late.of(stack.token()));
    stack.fails("closed", stack.settle_deal(&late, consent), ReasonCode::MarketClosed).await;
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}
