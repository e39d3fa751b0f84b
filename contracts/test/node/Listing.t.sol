// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IExecutor} from "../../sol/interfaces/IExecutor.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {ISecurityToken} from "../../sol/interfaces/ISecurityToken.sol";
import {RestrictionCodes} from "../../sol/lib/RestrictionCodes.sol";
import {HostileUSD} from "./HostileUSD.sol";
import {ContractWallet, NodeBase} from "./NodeBase.sol";
import {TypedData} from "./TypedData.sol";

contract ListingTest is NodeBase {
    uint256 private constant WHOLE = 1e18;
    uint256 private constant PRICE = 30 * DOLLAR;
    uint256 private constant LISTED = 800_000e18;

    function setUp() public override {
        super.setUp();
        allow(ann, address(listing));
        allow(ben, address(listing));
        set(terms());
        operator();
        listing.list(address(token), REASON);
    }

    // ---------------------------------------------------------------- terms

    function test_terms_are_told_whole_and_list_the_salable_share() public {
        IListing.Terms memory next = terms();
        next.salableBps = 3_333;
        next.price = 7;
        vm.expectEmit(address(listing));
        emit IListing.ListingTermsChanged(address(token), next, 333_300e18, REASON, address(executor));
        set(next);
        vm.assertEq(abi.encode(listing.termsOf(address(token))), abi.encode(next));
        vm.assertEq(listing.supplyOf(address(token)).listed, 333_300e18);
    }

    /// @dev A share is cut to whole tokens: sales are whole.
    function testFuzz_listed_are_the_whole_tokens_of_the_share(uint16 bps) public {
        IListing.Terms memory next = terms();
        next.salableBps = uint16(bound(bps, 1, 10_000));
        set(next);
        uint256 listed = listing.supplyOf(address(token)).listed;
        uint256 share = MAX_SUPPLY * next.salableBps / 10_000;
        vm.assertEq(listed % WHOLE, 0);
        vm.assertTrue(listed <= share && share - listed < WHOLE);
    }

    function test_terms_that_make_no_sense_are_refused() public {
        for (uint256 i = 0; i < 9; ++i) {
            IListing.Terms memory next = terms();
            if (i == 0) next.paymentToken = carol;
            if (i == 1) next.price = 0;
            if (i == 2) next.salableBps = 0;
            if (i == 3) next.salableBps = 10_001;
            if (i == 4) (next.opensAt, next.closesAt) = (10, 10);
            if (i == 5) (next.minPurchase, next.maxPurchase) = (2, 1);
            if (i == 6) next.paymentToken = address(0);
            if (i == 7) {
                buy(ann, 90e18);
                next.salableBps = 0;
            }
            if (i == 8) {
                operator();
                listing.reserveFees(address(token), 2 * WHOLE, REASON);
                next.maxFees = uint104(2 * WHOLE) - 1;
            }
            vm.expectRevert(abi.encodeWithSelector(IListing.InvalidTerms.selector, address(token)));
            set(next);
        }
    }

    function test_no_less_is_listed_than_is_sold() public {
        IListing.Terms memory next = terms();
        (next.minPurchase, next.maxPurchase) = (0, 0);
        set(next);
        buy(ann, 30_000e18);
        operator();
        listing.reserveFees(address(token), 70_000e18, REASON);
        next.salableBps = 999;
        vm.expectRevert(abi.encodeWithSelector(IListing.InvalidTerms.selector, address(token)));
        set(next);
        next.salableBps = 1_000;
        set(next);
        refuse(ann, WHOLE, abi.encodeWithSelector(IListing.SoldOut.selector, 0, WHOLE));
    }

    function test_no_more_is_set_aside_for_fees_than_the_terms_allow() public {
        operator();
        listing.reserveFees(address(token), 69_999e18, REASON);
        vm.expectRevert(abi.encodeWithSelector(IListing.FeesAboveLimit.selector, 70_000e18, 70_001e18));
        operator();
        listing.reserveFees(address(token), 2e18, REASON);
        operator();
        listing.reserveFees(address(token), WHOLE, REASON);
        vm.expectRevert(abi.encodeWithSelector(IListing.FeesAboveLimit.selector, 70_000e18, 70_001e18));
        operator();
        listing.reserveFees(address(token), WHOLE, REASON);
        IListing.Terms memory next = terms();
        next.maxFees += uint104(WHOLE);
        set(next);
        operator();
        listing.reserveFees(address(token), WHOLE, REASON);
        vm.assertEq(listing.supplyOf(address(token)).fees, 70_001e18);
    }

    function test_only_the_tokens_own_operator_sets_anything() public {
        bytes memory refusal = unauthorized(keeper, "TERMS_ROLE");
        bytes[5] memory calls = [
            abi.encodeCall(listing.setTerms, (address(token), terms(), REASON)),
            abi.encodeCall(listing.list, (address(token), REASON)),
            abi.encodeCall(listing.delist, (address(token), REASON)),
            abi.encodeCall(listing.passivate, (address(token), REASON)),
            abi.encodeCall(listing.reserveFees, (address(token), WHOLE, REASON))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(keeper);
            (bool ok, bytes memory data) = address(listing).call(calls[i]);
            vm.assertFalse(ok);
            vm.assertEq(data, refusal);
        }
    }

    // ---------------------------------------------------------------- status

    function test_a_sale_goes_from_status_to_status_and_ends_for_ever() public {
        vm.expectEmit(address(listing));
        emit IListing.ListingStatusChanged(address(token), IListing.Status.Delisted, REASON, address(executor));
        change(listing.delist.selector);
        refuse(ann, WHOLE, notOnSale(IListing.Status.Delisted));
        stuck(listing.delist.selector, IListing.Status.Delisted, IListing.Status.Delisted);
        change(listing.list.selector);
        stuck(listing.list.selector, IListing.Status.Listed, IListing.Status.Listed);
        buy(ann, 10e18);
        change(listing.passivate.selector);
        vm.assertTrue(listing.statusOf(address(token)) == IListing.Status.Passive);
        refuse(ann, WHOLE, notOnSale(IListing.Status.Passive));
        stuck(listing.list.selector, IListing.Status.Passive, IListing.Status.Listed);
        stuck(listing.delist.selector, IListing.Status.Passive, IListing.Status.Delisted);
        stuck(listing.passivate.selector, IListing.Status.Passive, IListing.Status.Passive);
        vm.expectRevert(notOnSale(IListing.Status.Passive));
        set(terms());
    }

    function test_a_token_without_terms_cannot_be_listed() public {
        vm.prank(admin);
        address other = factory.deployToken(tokenConfig(NODE_KEY, "other"));
        vm.expectRevert(
            abi.encodeWithSelector(
                IListing.InvalidStatusChange.selector, other, IListing.Status.NotListed, IListing.Status.Listed
            )
        );
        operator();
        listing.list(other, REASON);
        vm.expectRevert(abi.encodeWithSelector(IListing.NotWhole.selector, WHOLE));
        operator();
        listing.reserveFees(other, WHOLE, REASON);
    }

    function test_a_sale_has_a_window() public {
        IListing.Terms memory next = terms();
        (next.opensAt, next.closesAt) = (uint48(START + 10), uint48(START + 20));
        set(next);
        refuse(ann, 10e18, notOnSale(IListing.Status.Listed));
        vm.warp(START + 10);
        buy(ann, 10e18);
        vm.warp(START + 19);
        buy(ann, 10e18);
        vm.warp(START + 20);
        refuse(ann, 10e18, notOnSale(IListing.Status.Listed));
    }

    // ---------------------------------------------------------------- purchases

    function test_a_purchase_mints_for_what_the_treasury_gets() public {
        uint256 before = usd.balanceOf(treasury);
        vm.expectEmit(address(listing));
        emit IListing.Purchased(address(token), ann, 11, 20e18, address(usd), 20 * PRICE, 20e18, 20e18, 20e18);
        vm.assertEq(buy(ann, 20e18), 20 * PRICE);
        vm.assertEq(token.balanceOf(ann), 20e18);
        vm.assertEq(usd.balanceOf(treasury) - before, 20 * PRICE);
        vm.assertEq(usd.balanceOf(address(listing)), 0);
        buy(ben, 30e18);
        IListing.Supply memory supply = listing.supplyOf(address(token));
        vm.assertEq(supply.purchased, 50e18);
        vm.assertEq(listing.purchasedBy(address(token), 12), 30e18);
    }

    function testFuzz_money_in_is_the_price_of_the_units_out(uint256 whole, uint128 price) public {
        IListing.Terms memory next = terms();
        next.price = uint128(bound(price, 1, 1_000_000 * DOLLAR));
        (next.minPurchase, next.maxPurchase) = (0, 0);
        set(next);
        uint256 quantity = bound(whole, 1, 800_000) * WHOLE;
        uint256 cost = quantity / WHOLE * next.price;
        usd.mint(ann, cost);
        uint256 before = usd.balanceOf(treasury);
        vm.assertEq(buy(ann, quantity), cost);
        vm.assertEq(usd.balanceOf(treasury) - before, cost);
        vm.assertEq(token.balanceOf(ann), quantity);
    }

    function test_only_whole_tokens_are_sold() public {
        refuse(ann, WHOLE + 1, abi.encodeWithSelector(IListing.NotWhole.selector, WHOLE + 1));
        refuse(ann, 0, abi.encodeWithSelector(IListing.NotWhole.selector, 0));
        refuse(ann, WHOLE / 2, abi.encodeWithSelector(IListing.NotWhole.selector, WHOLE / 2));
    }

    /// @dev The investor counts, not the wallet.
    function test_an_investor_buys_within_its_range_over_all_its_wallets() public {
        refuse(ann, 9e18, abi.encodeWithSelector(IListing.PurchaseOutOfRange.selector, 10e18, 100e18, 9e18));
        buy(ann, 95e18);
        address second = vm.addr(uint256(keccak256("ann's second key")));
        whitelist(second, 11);
        usd.mint(second, 1_000 * DOLLAR);
        allow(second, address(listing));
        refuse(second, 6e18, abi.encodeWithSelector(IListing.PurchaseOutOfRange.selector, 10e18, 100e18, 101e18));
        buy(second, 5e18);
        vm.assertEq(listing.purchasedBy(address(token), 11), 100e18);
        buy(ben, 10e18);
    }

    function test_a_buyer_pays_no_more_and_nothing_else_than_it_said() public {
        vm.expectRevert(
            abi.encodeWithSelector(IListing.CostAboveLimit.selector, address(usd), 10 * PRICE, 10 * PRICE - 1)
        );
        vm.prank(ann);
        listing.buy(address(token), 10e18, address(usd), 10 * PRICE - 1);
        vm.expectRevert(abi.encodeWithSelector(IListing.CostAboveLimit.selector, address(usd), 10 * PRICE, 10 * PRICE));
        vm.prank(ann);
        listing.buy(address(token), 10e18, address(hostile), 10 * PRICE);
    }

    function test_who_may_not_hold_the_token_pays_nothing() public {
        usd.mint(carol, 1_000 * DOLLAR);
        allow(carol, address(listing));
        refuse(
            carol,
            10e18,
            abi.encodeWithSelector(
                ISecurityToken.TransferRestricted.selector,
                address(0),
                carol,
                10e18,
                RestrictionCodes.RECIPIENT_NOT_WHITELISTED
            )
        );
        vm.assertEq(usd.balanceOf(carol), 1_000 * DOLLAR);
        operator();
        token.pauseSupply(REASON);
        refuse(
            ann,
            10e18,
            abi.encodeWithSelector(
                ISecurityToken.TransferRestricted.selector, address(0), ann, 10e18, RestrictionCodes.SUPPLY_PAUSED
            )
        );
    }

    function test_the_treasury_changes_by_its_admin_alone() public {
        vm.expectRevert();
        listing.setTreasury(carol);
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidAddress.selector, address(0)));
        listing.setTreasury(address(0));
        vm.expectEmit(address(listing));
        emit INodeContract.TreasuryChanged(treasury, carol, admin);
        vm.prank(admin);
        listing.setTreasury(carol);
        buy(ann, 10e18);
        vm.assertEq(usd.balanceOf(carol), 10 * PRICE);
    }

    // ---------------------------------------------------------------- intents

    function test_the_executor_carries_what_a_wallet_has_signed_once() public {
        IListing.Purchase memory purchase = intent();
        bytes memory data = abi.encodeCall(listing.buyFor, (purchase, signed(ALICE_KEY, purchase)));
        vm.expectEmit(address(listing));
        emit INodeContract.IntentConsumed(ann, SALT, false);
        assertStatus(execute(command("buy", address(listing), data)).status, IExecutor.Status.Executed);
        vm.assertEq(token.balanceOf(ann), 10e18);
        vm.assertTrue(listing.isIntentUsed(ann, SALT));
        IExecutor.Result memory again = execute(command("again", address(listing), data));
        assertStatus(again.status, IExecutor.Status.Failed);
        vm.assertEq(again.returnData, abi.encodeWithSelector(INodeContract.IntentUsed.selector, ann, SALT));
    }

    function test_the_role_alone_moves_nobodys_money() public {
        IListing.Purchase memory purchase = intent();
        refuseFor(purchase, signed(BOB_KEY, purchase), invalid(ann));
        refuseFor(purchase, "", invalid(ann));
        bytes memory signature = signed(ALICE_KEY, purchase);
        purchase.quantity = 20e18;
        refuseFor(purchase, signature, invalid(ann));
        purchase = intent();
        purchase.maxCost -= 1;
        refuseFor(
            purchase,
            signed(ALICE_KEY, purchase),
            abi.encodeWithSelector(IListing.CostAboveLimit.selector, address(usd), 10 * PRICE, 10 * PRICE - 1)
        );
        // Nor does the signature alone: who carries it answers for when.
        vm.expectRevert(unauthorized(keeper, "CARRIER_ROLE"));
        vm.prank(keeper);
        listing.buyFor(purchase, signature);
    }

    function test_an_intent_ends_by_its_deadline_or_its_wallet() public {
        IListing.Purchase memory purchase = intent();
        bytes memory signature = signed(ALICE_KEY, purchase);
        vm.warp(LATER + 1);
        refuseFor(purchase, signature, abi.encodeWithSelector(INodeContract.IntentExpired.selector, LATER));
        vm.warp(LATER);
        vm.expectEmit(address(listing));
        emit INodeContract.IntentConsumed(ann, SALT, true);
        vm.prank(ann);
        listing.cancelIntent(SALT);
        refuseFor(purchase, signature, abi.encodeWithSelector(INodeContract.IntentUsed.selector, ann, SALT));
        vm.expectRevert(abi.encodeWithSelector(INodeContract.IntentUsed.selector, ann, SALT));
        vm.prank(ann);
        listing.cancelIntent(SALT);
        // Another wallet's salt is another.
        vm.prank(ben);
        listing.cancelIntent(SALT);
    }

    function test_a_contract_wallet_signs_by_its_answer() public {
        ContractWallet wallet = new ContractWallet();
        whitelist(address(wallet), 13);
        usd.mint(address(wallet), 1_000 * DOLLAR);
        wallet.approve(address(usd), address(listing));
        IListing.Purchase memory purchase = intent();
        purchase.wallet = address(wallet);
        refuseFor(purchase, "", invalid(address(wallet)));
        wallet.sign(digestOf(address(listing), hashOf(purchase)));
        operator();
        listing.buyFor(purchase, "");
        vm.assertEq(token.balanceOf(address(wallet)), 10e18);
    }

    function test_a_permit_spares_the_wallet_a_transaction() public {
        vm.prank(ann);
        usd.approve(address(listing), 0);
        (uint8 v, bytes32 r, bytes32 s) = permit();
        bytes memory data = abi.encodeCall(listing.usePermit, (address(usd), ann, 10 * PRICE, LATER, v, r, s));
        assertStatus(execute(command("permit", address(listing), data)).status, IExecutor.Status.Executed);
        vm.assertEq(usd.allowance(ann, address(listing)), 10 * PRICE);
        IListing.Purchase memory purchase = intent();
        bytes memory signature = signed(ALICE_KEY, purchase);
        operator();
        listing.buyFor(purchase, signature);
        vm.assertEq(usd.allowance(ann, address(listing)), 0);
    }

    /// @dev Whoever sees it on its way may bring it first; what it allows is there all the same.
    function test_a_permit_that_somebody_else_has_brought_hinders_nobody() public {
        vm.prank(ann);
        usd.approve(address(listing), 0);
        (uint8 v, bytes32 r, bytes32 s) = permit();
        vm.prank(carol);
        usd.permit(ann, address(listing), 10 * PRICE, LATER, v, r, s);
        bytes memory data = abi.encodeCall(listing.usePermit, (address(usd), ann, 10 * PRICE, LATER, v, r, s));
        assertStatus(execute(command("permit", address(listing), data)).status, IExecutor.Status.Executed);
        vm.assertEq(usd.allowance(ann, address(listing)), 10 * PRICE);
    }

    function test_a_permit_that_allows_nothing_fails_as_the_token_says() public {
        vm.prank(ann);
        usd.approve(address(listing), 10 * PRICE - 1);
        (uint8 v, bytes32 r, bytes32 s) = permit();
        vm.expectRevert(abi.encodeWithSelector(ERC20Permit.ERC2612ExpiredSignature.selector, LATER - 1));
        vm.warp(LATER);
        listing.usePermit(address(usd), ann, 10 * PRICE, LATER - 1, v, r, s);
        vm.assertEq(usd.allowance(ann, address(listing)), 10 * PRICE - 1);
    }

    // ---------------------------------------------------------------- hostile payment tokens

    function test_a_token_that_does_not_pay_in_full_buys_nothing() public {
        hostileTerms();
        uint256 cost = 10 * PRICE;
        hostile.setVice(HostileUSD.Vice.TakesFee);
        refuse(ann, 10e18, inexact(treasury, cost, cost - (cost / 100 + 1)));
        hostile.setVice(HostileUSD.Vice.PaysNothing);
        refuse(ann, 10e18, inexact(treasury, cost, 0));
        hostile.setVice(HostileUSD.Vice.ReturnsFalse);
        refuse(ann, 10e18, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(hostile)));
        hostile.setVice(HostileUSD.Vice.None);
        hostile.refuse(treasury, true);
        refuse(ann, 10e18, abi.encodeWithSignature("Error(string)", "refused"));
        hostile.refuse(treasury, false);
        vm.prank(ann);
        hostile.approve(address(listing), cost - 1);
        refuse(
            ann,
            10e18,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(listing), cost - 1, cost)
        );
        vm.assertEq(token.totalSupply(), 0);
        vm.assertEq(listing.supplyOf(address(token)).purchased, 0);
    }

    function test_a_token_that_calls_back_finds_the_door_shut() public {
        hostileTerms();
        hostile.callBack(address(listing), abi.encodeCall(listing.buy, (address(token), 10e18, address(hostile), 1e18)));
        buy(ann, 10e18);
        assertShut();
        vm.assertEq(token.totalSupply(), 10e18);
    }

    // ---------------------------------------------------------------- short ways

    function terms() private view returns (IListing.Terms memory) {
        return IListing.Terms({
            paymentToken: address(usd),
            opensAt: 0,
            closesAt: 0,
            price: uint128(PRICE),
            minPurchase: 10e18,
            maxPurchase: 100e18,
            maxFees: 70_000e18,
            salableBps: 8_000
        });
    }

    function set(IListing.Terms memory next) private {
        operator();
        listing.setTerms(address(token), next, REASON);
    }

    function hostileTerms() private {
        IListing.Terms memory next = terms();
        next.paymentToken = address(hostile);
        set(next);
    }

    function change(bytes4 selector) private {
        operator();
        (bool ok,) = address(listing).call(abi.encodeWithSelector(selector, address(token), REASON));
        vm.assertTrue(ok);
    }

    function stuck(bytes4 selector, IListing.Status from, IListing.Status to) private {
        operator();
        (bool ok, bytes memory data) = address(listing).call(abi.encodeWithSelector(selector, address(token), REASON));
        vm.assertFalse(ok);
        vm.assertEq(data, abi.encodeWithSelector(IListing.InvalidStatusChange.selector, address(token), from, to));
    }

    function buy(address buyer, uint256 quantity) private returns (uint256) {
        address paymentToken = listing.termsOf(address(token)).paymentToken;
        vm.prank(buyer);
        return listing.buy(address(token), quantity, paymentToken, type(uint256).max);
    }

    function refuse(address buyer, uint256 quantity, bytes memory refusal) private {
        address paymentToken = listing.termsOf(address(token)).paymentToken;
        vm.expectRevert(refusal);
        vm.prank(buyer);
        listing.buy(address(token), quantity, paymentToken, type(uint256).max);
    }

    function intent() private view returns (IListing.Purchase memory) {
        return IListing.Purchase({
            wallet: ann,
            token: address(token),
            quantity: 10e18,
            paymentToken: address(usd),
            maxCost: 10 * PRICE,
            deadline: LATER,
            salt: SALT
        });
    }

    /// @dev Ann's, for ten tokens.
    function permit() private view returns (uint8, bytes32, bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                ann,
                address(listing),
                10 * PRICE,
                0,
                LATER
            )
        );
        return vm.sign(ALICE_KEY, digestOf(address(usd), structHash));
    }

    function hashOf(IListing.Purchase memory purchase) private pure returns (bytes32) {
        return keccak256(abi.encode(TypedData.PURCHASE, purchase));
    }

    function signed(uint256 key, IListing.Purchase memory purchase) private view returns (bytes memory) {
        return sign(key, address(listing), hashOf(purchase));
    }

    function refuseFor(IListing.Purchase memory purchase, bytes memory signature, bytes memory refusal) private {
        vm.expectRevert(refusal);
        operator();
        listing.buyFor(purchase, signature);
    }

    function invalid(address wallet) private pure returns (bytes memory) {
        return abi.encodeWithSelector(INodeContract.InvalidSignature.selector, wallet);
    }

    function notOnSale(IListing.Status status) private view returns (bytes memory) {
        return abi.encodeWithSelector(IListing.NotOnSale.selector, address(token), status);
    }
}
