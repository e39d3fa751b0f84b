// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {INodeFactory} from "../../sol/interfaces/INodeFactory.sol";
import {IExecutor} from "../../sol/interfaces/IExecutor.sol";
import {ISecondaryMarket} from "../../sol/interfaces/ISecondaryMarket.sol";
import {ISecurityToken} from "../../sol/interfaces/ISecurityToken.sol";
import {RestrictionCodes} from "../../sol/lib/RestrictionCodes.sol";
import {SecondaryMarket} from "../../sol/node/SecondaryMarket.sol";
import {Trading} from "../../sol/node/Trading.sol";
import {HostileUSD} from "./HostileUSD.sol";
import {ContractWallet, NodeBase} from "./NodeBase.sol";
import {TypedData} from "./TypedData.sol";

/// @notice Ann sells, ben buys.
contract SecondaryMarketTest is NodeBase {
    uint256 private constant PRICE = 30 * DOLLAR;
    uint128 private constant LOW = uint128(255 * DOLLAR / 10);
    uint128 private constant HIGH = uint128(355 * DOLLAR / 10);
    uint16 private constant FEE = 50;
    uint72 private constant LOT = 1e12;

    function setUp() public override {
        super.setUp();
        give(ann, 100e18);
        vm.prank(ann);
        token.approve(address(market), type(uint256).max);
        allow(ben, address(market));
        set(terms());
    }

    // ---------------------------------------------------------------- settlement

    function test_a_match_moves_both_legs_and_the_fee_of_the_taker() public {
        ISecondaryMarket.Match memory m = matched();
        (bytes32 sell, bytes32 buy) = (market.hashOf(m.sell), market.hashOf(m.buy));
        uint256 cost = 300 * DOLLAR;
        uint256 fee = cost * FEE / 10_000;
        ISecondaryMarket.Trade memory trade =
            ISecondaryMarket.Trade(ann, ben, 10e18, address(usd), PRICE, cost, fee, false, 10e18, 10e18);
        (uint256 anns, uint256 bens) = (usd.balanceOf(ann), usd.balanceOf(ben));
        vm.expectEmit(address(market));
        emit ISecondaryMarket.Traded(address(token), sell, buy, trade);
        settle(m);
        // The buyer came second: it pays the fee on top.
        vm.assertEq(usd.balanceOf(ann) - anns, cost);
        vm.assertEq(bens - usd.balanceOf(ben), cost + fee);
        vm.assertEq(feeVault.potOf(address(token), address(usd)), fee);
        vm.assertEq(usd.balanceOf(address(feeVault)), fee);
        vm.assertEq(token.balanceOf(ben), 10e18);
        vm.assertEq(market.filledOf(ann, sell), 10e18);
    }

    function test_the_order_that_rests_sets_the_price_and_the_other_pays_the_fee() public {
        ISecondaryMarket.Match memory m = matched();
        (m.sell.limitPrice, m.buy.limitPrice, m.buyRests) = (28 * DOLLAR, 32 * DOLLAR, true);
        uint256 anns = usd.balanceOf(ann);
        settle(m);
        vm.assertEq(usd.balanceOf(ann) - anns, 320 * DOLLAR - 320 * DOLLAR * FEE / 10_000);
        (m.sell.salt, m.buy.salt, m.buyRests) = ("another", "another", false);
        anns = usd.balanceOf(ann);
        settle(m);
        vm.assertEq(usd.balanceOf(ann) - anns, 280 * DOLLAR);
    }

    /// @dev Whoever came second bears the fraction of a base unit; the fee is never more than its share.
    function testFuzz_rounding_is_against_the_taker(uint256 quantity, uint128 price, bool buyRests) public {
        ISecondaryMarket.Match memory m = matched();
        price = uint128(bound(price, LOW, HIGH));
        m.quantity = bound(quantity, 1, 100e18 / LOT) * LOT;
        (m.sell.quantity, m.buy.quantity, m.buyRests) = (100e18, 100e18, buyRests);
        (m.sell.limitPrice, m.buy.limitPrice) = (price, price);
        (uint256 anns, uint256 bens, uint256 vaults) =
            (usd.balanceOf(ann), usd.balanceOf(ben), usd.balanceOf(address(feeVault)));
        settle(m);
        uint256 got = usd.balanceOf(ann) - anns;
        uint256 paid = bens - usd.balanceOf(ben);
        uint256 fee = usd.balanceOf(address(feeVault)) - vaults;
        uint256 exact = m.quantity * price;
        vm.assertEq(paid, got + fee);
        uint256 cost = buyRests ? paid : got;
        if (buyRests) vm.assertTrue(cost * 1e18 <= exact && exact - cost * 1e18 < 1e18);
        else vm.assertTrue(cost * 1e18 >= exact && cost * 1e18 - exact < 1e18);
        vm.assertTrue(fee * 10_000 <= cost * FEE && cost * FEE - fee * 10_000 < 10_000);
    }

    function test_an_order_is_filled_in_parts_and_never_above_its_size() public {
        ISecondaryMarket.Match memory m = matched();
        m.sell.quantity = 25e18;
        settle(m);
        m.buy.salt = "second";
        settle(m);
        bytes32 sell = market.hashOf(m.sell);
        m.buy.salt = "third";
        m.buy.quantity = m.quantity = 6e18;
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.OrderOverfilled.selector, sell, 5e18, 6e18));
        m.quantity = 5e18;
        settle(m);
        vm.assertEq(market.filledOf(ann, sell), 25e18);
        m.quantity = 1e18;
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.OrderOverfilled.selector, sell, 0, 1e18));
    }

    function test_nothing_settles_outside_the_band_or_the_limits() public {
        ISecondaryMarket.Match memory m = matched();
        (m.sell.limitPrice, m.buy.limitPrice) = (PRICE + 1, PRICE);
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.PriceOutsideLimits.selector, PRICE + 1, PRICE + 1, PRICE));
        (m.sell.limitPrice, m.buy.limitPrice) = (LOW - 1, HIGH + 1);
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.PriceOutsideBand.selector, LOW - 1, LOW, HIGH));
        m.buyRests = true;
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.PriceOutsideBand.selector, HIGH + 1, LOW, HIGH));
        m.buy.limitPrice = HIGH;
        settle(m);
        (m.sell.limitPrice, m.buyRests) = (LOW, false);
        m.buy.salt = "another";
        settle(m);
    }

    function test_orders_that_do_not_match_are_refused() public {
        vm.prank(admin);
        address other = factory.deployToken(tokenConfig(NODE_KEY, "other"));
        for (uint256 i = 0; i < 6; ++i) {
            ISecondaryMarket.Match memory m = matched();
            if (i == 0) m.sell.side = ISecondaryMarket.Side.Buy;
            if (i == 1) m.buy.side = ISecondaryMarket.Side.Sell;
            if (i == 2) m.buy.token = other;
            if (i == 3) m.buy.paymentToken = address(hostile);
            if (i == 4) m.sell.paymentToken = address(hostile);
            if (i == 5) m.buy.wallet = ann;
            refuse(m, abi.encodeWithSelector(ISecondaryMarket.OrdersDoNotMatch.selector));
        }
    }

    /// @dev However an order is cut into parts, each is worth being rounded.
    function test_only_whole_lots_are_traded() public {
        ISecondaryMarket.Match memory m = matched();
        uint256[4] memory refused = [uint256(0), 1, LOT - 1, 10e18 - 1];
        for (uint256 i = 0; i < refused.length; ++i) {
            m.quantity = refused[i];
            refuse(m, abi.encodeWithSelector(ISecondaryMarket.NotWholeLots.selector, LOT, refused[i]));
        }
        m.quantity = LOT;
        settle(m);
        m.quantity = 2 * LOT;
        settle(m);
    }

    function test_nobody_sells_for_nothing() public {
        ISecondaryMarket.MarketTerms memory next = terms();
        next.lot = 1;
        set(next);
        ISecondaryMarket.Match memory m = matched();
        // Worth nothing, rounded.
        (m.quantity, m.buyRests) = (1, true);
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.TradeTooSmall.selector, 0, 0));
        // The fee is all that it is worth.
        next.feeBps = 10_000;
        set(next);
        (m.quantity, m.sell.maxFeeBps, m.buy.maxFeeBps) = (1e18, 10_000, 10_000);
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.TradeTooSmall.selector, PRICE, PRICE));
        // Where the buyer pays it on top, the seller has something.
        m.buyRests = false;
        uint256 anns = usd.balanceOf(ann);
        settle(m);
        vm.assertEq(usd.balanceOf(ann) - anns, PRICE);
    }

    function test_an_order_counts_in_its_time() public {
        for (uint256 i = 0; i < 2; ++i) {
            ISecondaryMarket.Match memory m = matched();
            ISecondaryMarket.Order memory order = i == 0 ? m.sell : m.buy;
            (order.validFrom, order.expiry) = (uint64(START + 10), uint64(START + 20));
            order.salt = bytes32(i);
            bytes memory refusal = abi.encodeWithSelector(
                ISecondaryMarket.OrderNotValid.selector, market.hashOf(order), START + 10, START + 20
            );
            vm.warp(START + 9);
            refuse(m, refusal);
            vm.warp(START + 20);
            refuse(m, refusal);
            vm.warp(START + 19);
            settle(m);
            vm.warp(START);
        }
    }

    // ---------------------------------------------------------------- who

    function test_the_matcher_alone_settles_and_only_what_both_have_signed() public {
        ISecondaryMarket.Match memory m = matched();
        (bytes memory sells, bytes memory buys) = signatures(m);
        vm.expectRevert(unauthorized(keeper, "MATCHER_ROLE"));
        vm.prank(keeper);
        market.settle(m, sells, buys);
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidSignature.selector, ann));
        operator();
        market.settle(m, buys, buys);
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidSignature.selector, ben));
        operator();
        market.settle(m, sells, sells);
        m.buy.limitPrice += 1;
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidSignature.selector, ben));
        operator();
        market.settle(m, sells, buys);
        m = matched();
        bytes memory data = abi.encodeCall(market.settle, (m, sells, buys));
        assertStatus(execute(command("match", address(market), data)).status, IExecutor.Status.Executed);
    }

    function test_a_contract_wallet_trades_by_its_answer() public {
        ContractWallet wallet = new ContractWallet();
        whitelist(address(wallet), 13);
        usd.mint(address(wallet), 1_000 * DOLLAR);
        wallet.approve(address(usd), address(market));
        ISecondaryMarket.Match memory m = matched();
        m.buy.wallet = address(wallet);
        refuse(m, abi.encodeWithSelector(INodeContract.InvalidSignature.selector, address(wallet)));
        wallet.sign(market.hashOf(m.buy));
        settle(m);
        vm.assertEq(token.balanceOf(address(wallet)), 10e18);
    }

    function test_a_taker_pays_no_more_fee_than_it_has_signed() public {
        ISecondaryMarket.Match memory m = matched();
        m.sell.maxFeeBps = 0;
        settle(m);
        (m.buy.salt, m.buyRests) = ("another", true);
        refuse(m, abi.encodeWithSelector(Trading.FeeAboveLimit.selector, FEE, 0));
        m.sell.maxFeeBps = FEE - 1;
        refuse(m, abi.encodeWithSelector(Trading.FeeAboveLimit.selector, FEE, FEE - 1));
        m.sell.maxFeeBps = FEE;
        settle(m);
    }

    function test_without_a_fee_there_is_none() public {
        ISecondaryMarket.MarketTerms memory next = terms();
        next.feeBps = 0;
        set(next);
        settle(matched());
        vm.assertEq(usd.balanceOf(address(feeVault)), 0);
    }

    // ---------------------------------------------------------------- cancelling

    function test_a_wallet_cancels_whatever_is_closed() public {
        ISecondaryMarket.Match memory m = matched();
        bytes32 sell = market.hashOf(m.sell);
        ISecondaryMarket.MarketTerms memory next = terms();
        next.open = false;
        set(next);
        operator();
        token.pause(REASON);
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.MarketClosed.selector, address(token)));
        // Another's word about it counts for nothing.
        vm.prank(ben);
        market.cancel(sell);
        vm.assertEq(market.filledOf(ann, sell), 0);
        vm.expectEmit(address(market));
        emit ISecondaryMarket.OrderCancelled(ann, sell);
        vm.prank(ann);
        market.cancel(sell);
        set(terms());
        operator();
        token.unpause(REASON);
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.OrderIsCancelled.selector, sell));
    }

    function test_a_cancellation_is_carried_too() public {
        ISecondaryMarket.Match memory m = matched();
        bytes32 sell = market.hashOf(m.sell);
        bytes32 structHash = keccak256(abi.encode(TypedData.CANCELLATION, ann, sell));
        bytes memory signature = sign(BOB_KEY, address(market), structHash);
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidSignature.selector, ann));
        market.cancelFor(ann, sell, signature);
        market.cancelFor(ann, sell, sign(ALICE_KEY, address(market), structHash));
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.OrderIsCancelled.selector, sell));
    }

    function test_all_orders_up_to_a_time_are_cancelled_at_once() public {
        ISecondaryMarket.Match memory m = matched();
        vm.expectRevert(abi.encodeWithSelector(ISecondaryMarket.TimeInFuture.selector, START + 1));
        vm.prank(ann);
        market.cancelAllBefore(uint64(START + 1));
        vm.expectEmit(address(market));
        emit ISecondaryMarket.OrdersCancelledBefore(ann, uint64(START));
        vm.prank(ann);
        market.cancelAllBefore(uint64(START));
        refuse(m, abi.encodeWithSelector(ISecondaryMarket.OrderIsCancelled.selector, market.hashOf(m.sell)));
        // Never back.
        vm.expectEmit(address(market));
        emit ISecondaryMarket.OrdersCancelledBefore(ann, uint64(START));
        vm.prank(ann);
        market.cancelAllBefore(1);
        vm.assertEq(market.cancelledBefore(ann), START);
        m.sell.validFrom = uint64(START);
        settle(m);
    }

    // ---------------------------------------------------------------- both legs or none

    function test_a_leg_that_fails_takes_the_other_back() public {
        ISecondaryMarket.Match memory m = matched();
        uint256 bens = usd.balanceOf(ben);
        freezeAddress(ann, true);
        refuse(
            m,
            abi.encodeWithSelector(
                ISecurityToken.TransferRestricted.selector, ann, ben, 10e18, RestrictionCodes.SENDER_FROZEN
            )
        );
        freezeAddress(ann, false);
        vm.prank(ann);
        token.approve(address(market), 9e18);
        refuse(
            m, abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(market), 9e18, 10e18)
        );
        vm.assertEq(usd.balanceOf(ben), bens);
        vm.assertEq(market.filledOf(ann, market.hashOf(m.sell)), 0);
        vm.assertEq(feeVault.potOf(address(token), address(usd)), 0);
    }

    function test_a_hostile_payment_token_settles_nothing_it_does_not_pay() public {
        ISecondaryMarket.MarketTerms memory next = terms();
        next.paymentToken = address(hostile);
        set(next);
        ISecondaryMarket.Match memory m = matched();
        (m.sell.paymentToken, m.buy.paymentToken) = (address(hostile), address(hostile));
        uint256 cost = 300 * DOLLAR;
        hostile.setVice(HostileUSD.Vice.TakesFee);
        refuse(m, inexact(ann, cost, cost - cost / 100 - 1));
        hostile.setVice(HostileUSD.Vice.PaysNothing);
        refuse(m, inexact(ann, cost, 0));
        hostile.setVice(HostileUSD.Vice.ReturnsFalse);
        refuse(m, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(hostile)));
        hostile.setVice(HostileUSD.Vice.None);
        hostile.refuse(ann, true);
        refuse(m, abi.encodeWithSignature("Error(string)", "refused"));
        hostile.refuse(ann, false);
        (bytes memory sells, bytes memory buys) = signatures(m);
        bytes32 role = keccak256("MATCHER_ROLE");
        vm.prank(admin);
        token.grantRole(role, address(hostile));
        hostile.callBack(address(market), abi.encodeCall(market.settle, (m, sells, buys)));
        operator();
        market.settle(m, sells, buys);
        assertShut();
        vm.assertEq(token.balanceOf(ben), 10e18);
    }

    // ---------------------------------------------------------------- terms

    function test_terms_that_make_no_sense_are_refused() public {
        for (uint256 i = 0; i < 5; ++i) {
            ISecondaryMarket.MarketTerms memory next = terms();
            if (i == 0) next.paymentToken = carol;
            if (i == 1) next.feeBps = 10_001;
            if (i == 2) next.minPrice = 0;
            if (i == 3) next.maxPrice = next.minPrice - 1;
            if (i == 4) next.lot = 0;
            vm.expectRevert(abi.encodeWithSelector(ISecondaryMarket.InvalidMarketTerms.selector, address(token)));
            operator();
            market.setMarketTerms(address(token), next, REASON);
        }
        vm.assertEq(abi.encode(market.marketTermsOf(address(token))), abi.encode(terms()));
        vm.expectRevert(unauthorized(keeper, "TERMS_ROLE"));
        vm.prank(keeper);
        market.setMarketTerms(address(token), terms(), REASON);
    }

    /// @dev A node without a vault has nowhere to put a fee.
    function test_without_a_vault_there_is_no_fee() public {
        INodeFactory.NodeContracts memory only;
        only.secondaryMarket = factory.implementations().secondaryMarket;
        vm.prank(admin);
        factory.setImplementations(only);
        vm.prank(admin);
        factory.deployNode(nodeConfig("bare"));
        market = SecondaryMarket(factory.nodeOf("bare").contracts.secondaryMarket);
        vm.expectRevert(abi.encodeWithSelector(ISecondaryMarket.InvalidMarketTerms.selector, address(token)));
        operator();
        market.setMarketTerms(address(token), terms(), REASON);
        ISecondaryMarket.MarketTerms memory next = terms();
        next.feeBps = 0;
        set(next);
    }

    // ---------------------------------------------------------------- short ways

    function terms() private view returns (ISecondaryMarket.MarketTerms memory) {
        return ISecondaryMarket.MarketTerms(address(usd), true, FEE, LOT, LOW, HIGH);
    }

    function set(ISecondaryMarket.MarketTerms memory next) private {
        vm.expectEmit(address(market));
        emit ISecondaryMarket.MarketTermsChanged(address(token), next, REASON, address(executor));
        operator();
        market.setMarketTerms(address(token), next, REASON);
    }

    function matched() private view returns (ISecondaryMarket.Match memory m) {
        m.sell = ISecondaryMarket.Order(
            ann,
            address(token),
            address(usd),
            ISecondaryMarket.Side.Sell,
            50e18,
            PRICE,
            FEE,
            uint64(START - 1),
            uint64(START + 1 days),
            SALT
        );
        m.buy = ISecondaryMarket.Order(
            ben,
            address(token),
            address(usd),
            ISecondaryMarket.Side.Buy,
            10e18,
            PRICE,
            FEE,
            uint64(START - 1),
            uint64(START + 1 days),
            SALT
        );
        m.quantity = 10e18;
    }

    function signatures(ISecondaryMarket.Match memory m) private view returns (bytes memory, bytes memory) {
        return (sign(ALICE_KEY, address(market), hashOf(m.sell)), sign(BOB_KEY, address(market), hashOf(m.buy)));
    }

    function hashOf(ISecondaryMarket.Order memory order) private pure returns (bytes32) {
        return keccak256(abi.encode(TypedData.ORDER, order));
    }

    function settle(ISecondaryMarket.Match memory m) private {
        (bytes memory sells, bytes memory buys) = signatures(m);
        operator();
        market.settle(m, sells, buys);
    }

    function refuse(ISecondaryMarket.Match memory m, bytes memory refusal) private {
        (bytes memory sells, bytes memory buys) = signatures(m);
        vm.expectRevert(refusal);
        operator();
        market.settle(m, sells, buys);
    }
}
