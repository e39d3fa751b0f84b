// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7943Fungible} from "../../sol/interfaces/IERC7943.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {INodeFactory} from "../../sol/interfaces/INodeFactory.sol";
import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {ITokenExtension} from "../../sol/interfaces/ITokenExtension.sol";
import {ITokenFunds} from "../../sol/interfaces/ITokenFunds.sol";
import {ITokenHolds} from "../../sol/interfaces/ITokenHolds.sol";
import {Token} from "../../sol/SecurityToken.sol";
import {RedemptionDesk} from "../../sol/node/RedemptionDesk.sol";
import {RedemptionBase} from "./RedemptionBase.sol";
import {TypedData} from "./TypedData.sol";

contract RedemptionDeskTest is RedemptionBase {
    // ---------------------------------------------------------------- requests

    function test_a_request_holds_units_and_an_approval_burns_them_and_pays() public {
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.RedemptionRequested(address(token), 1, ann, 40e18, address(usd), 20 * DOLLAR);
        uint256 id = request(ann, 40e18, 20 * DOLLAR);
        vm.assertEq(id, 1);
        vm.assertEq(token.heldOf(ann), 40e18);
        vm.assertEq(token.spendableOf(ann), 60e18);
        vm.assertEq(
            abi.encode(redemptions.requestOf(address(token), 1)),
            abi.encode(IRedemptionDesk.Request(ann, 40e18, 20 * DOLLAR, address(usd)))
        );
        uint256 before = usd.balanceOf(ann);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.RedemptionApproved(
            address(token), 1, ann, 40e18, address(usd), 25 * DOLLAR, FUND - 25 * DOLLAR, 0, REASON, address(executor)
        );
        approve(1, 25 * DOLLAR);
        vm.assertEq(token.balanceOf(ann), 60e18);
        vm.assertEq(token.totalSupply(), 160e18);
        vm.assertEq(usd.balanceOf(ann) - before, 25 * DOLLAR);
        vm.assertEq(token.heldOf(ann), 0);
        unknown(1);
    }

    function test_a_request_that_is_rejected_or_taken_back_frees_the_units() public {
        request(ann, 40e18, 0);
        request(ann, 60e18, 0);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.RedemptionClosed(address(token), 1, ann, 40e18, REASON, address(executor));
        operator();
        redemptions.reject(address(token), 1, REASON);
        vm.assertEq(token.heldOf(ann), 60e18);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.NotRequester.selector, ben));
        vm.prank(ben);
        redemptions.cancel(address(token), 2);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.RedemptionClosed(address(token), 2, ann, 60e18, "cancelled", ann);
        vm.prank(ann);
        redemptions.cancel(address(token), 2);
        vm.assertEq(token.spendableOf(ann), 100e18);
        unknown(1);
        unknown(2);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.UnknownRequest.selector, address(token), 2));
        operator();
        redemptions.reject(address(token), 2, REASON);
    }

    function test_a_payout_is_not_below_what_was_signed_and_not_above_the_fund() public {
        request(ann, 40e18, 20 * DOLLAR);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.PayoutTooLow.selector, 20 * DOLLAR, 20 * DOLLAR - 1));
        approve(1, 20 * DOLLAR - 1);
        vm.expectRevert(
            abi.encodeWithSelector(ITokenFunds.FundTooSmall.selector, address(token), address(usd), FUND, FUND + 1)
        );
        approve(1, FUND + 1);
        // It waits, as it was.
        vm.assertEq(token.heldOf(ann), 40e18);
        approve(1, FUND);
        vm.assertEq(redemptions.fundOf(address(token), paidIn).available, 0);
    }

    function test_only_free_units_are_asked_for_and_frozen_wallets_wait() public {
        freeze(ann, 61e18);
        vm.expectRevert(
            abi.encodeWithSelector(IERC7943Fungible.ERC7943InsufficientUnfrozenBalance.selector, ann, 40e18, 39e18)
        );
        request(ann, 40e18, 0);
        request(ann, 39e18, 0);
        freezeAddress(ann, true);
        vm.expectRevert();
        approve(1, 1);
        freezeAddress(ann, false);
        // What the registry thinks does not keep anybody in.
        registry.revoke(ann, REASON);
        approve(1, 1);
    }

    /// @dev Force ends the hold; the request can only be closed.
    function test_a_request_whose_hold_is_gone_burns_and_pays_nothing() public {
        request(ann, 40e18, 0);
        operator();
        token.forcedTransfer(ann, ben, 100e18, REASON);
        vm.expectRevert(abi.encodeWithSelector(ITokenHolds.UnknownHold.selector, ann, 1));
        approve(1, 1);
        operator();
        redemptions.reject(address(token), 1, REASON);
        unknown(1);
    }

    function test_a_hold_that_cannot_be_released_keeps_its_request() public {
        request(ann, 40e18, 0);
        bytes32 role = token.HOLD_ROLE();
        vm.prank(admin);
        token.revokeRole(role, address(redemptions));
        // An agent that has lost its role may still release.
        vm.prank(ann);
        redemptions.cancel(address(token), 1);
        vm.etch(address(token), hex"5f5ffd");
        vm.expectRevert();
        operator();
        redemptions.reject(address(token), 1, REASON);
    }

    function test_a_token_that_refuses_a_release_is_believed() public {
        Stubborn stubborn = new Stubborn();
        redemptions.setRedemptionTerms(address(stubborn), IRedemptionDesk.RedemptionTerms(address(usd), 0), REASON);
        vm.prank(ann);
        redemptions.request(address(stubborn), 5, address(usd), 0);
        vm.expectRevert(abi.encodeWithSelector(Stubborn.No.selector, 7));
        redemptions.reject(address(stubborn), 7, REASON);
        vm.assertEq(redemptions.requestOf(address(stubborn), 7).wallet, ann);
    }

    function test_roles_are_the_tokens() public {
        request(ann, 40e18, 0);
        address[2] memory strangers = [keeper, ann];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(unauthorized(strangers[i], "PAYOUT_ROLE"));
            vm.prank(strangers[i]);
            redemptions.approve(address(token), 1, 1, REASON);
            vm.expectRevert(unauthorized(strangers[i], "PAYOUT_ROLE"));
            vm.prank(strangers[i]);
            redemptions.reject(address(token), 1, REASON);
            vm.expectRevert(unauthorized(strangers[i], "PAYOUT_ROLE"));
            vm.prank(strangers[i]);
            redemptions.retire(address(token), REASON);
            vm.expectRevert(unauthorized(strangers[i], "TERMS_ROLE"));
            vm.prank(strangers[i]);
            redemptions.setRedemptionTerms(address(token), termsIn(address(usd)), REASON);
            vm.expectRevert(unauthorized(strangers[i], "TERMS_ROLE"));
            vm.prank(strangers[i]);
            redemptions.withdraw(address(token), paidIn, 1, REASON);
            vm.expectRevert(unauthorized(strangers[i], "ENFORCER_ROLE"));
            vm.prank(strangers[i]);
            redemptions.moveCredit(address(token), paidIn, ann, ben, REASON);
            vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.NotSelf.selector, strangers[i]));
            vm.prank(strangers[i]);
            redemptions.pay(address(usd), ann, 1);
        }
    }

    function test_the_role_alone_asks_for_nobody() public {
        IRedemptionDesk.Redemption memory r =
            IRedemptionDesk.Redemption(ann, address(token), 40e18, address(usd), DOLLAR, LATER, SALT);
        bytes32 structHash = keccak256(abi.encode(TypedData.REDEMPTION, r));
        bytes memory signature = sign(BOB_KEY, address(redemptions), structHash);
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidSignature.selector, ann));
        operator();
        redemptions.requestFor(r, signature);
        signature = sign(ALICE_KEY, address(redemptions), structHash);
        vm.expectRevert(unauthorized(keeper, "CARRIER_ROLE"));
        vm.prank(keeper);
        redemptions.requestFor(r, signature);
        operator();
        vm.assertEq(redemptions.requestFor(r, signature), 1);
        vm.assertEq(token.heldOf(ann), 40e18);
        vm.expectRevert(abi.encodeWithSelector(INodeContract.IntentUsed.selector, ann, SALT));
        operator();
        redemptions.requestFor(r, signature);
    }

    function test_what_is_paid_in_is_what_was_agreed_to() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                ITokenFunds.WrongPaymentToken.selector, address(token), address(usd), address(hostile)
            )
        );
        vm.prank(ann);
        redemptions.request(address(token), 1, address(hostile), 0);
        vm.prank(admin);
        address other = factory.deployToken(tokenConfig(NODE_KEY, "other"));
        vm.expectRevert(abi.encodeWithSelector(ITokenFunds.WrongPaymentToken.selector, other, address(0), address(0)));
        vm.prank(ann);
        redemptions.request(other, 1, address(0), 0);
    }

    /// @dev The wallet has signed for one payment token; the fund has another by the time of the decision.
    function test_a_request_is_paid_in_what_was_asked_for_or_not_at_all() public {
        request(ann, 40e18, 20 * DOLLAR);
        request(ann, 10e18, 0);
        fundHostile();
        bytes memory other = abi.encodeWithSelector(
            ITokenFunds.WrongPaymentToken.selector, address(token), address(hostile), address(usd)
        );
        vm.expectRevert(other);
        approve(1, 20 * DOLLAR);
        vm.expectRevert(other);
        approve(2, 0);
        vm.assertEq(token.heldOf(ann), 50e18);
        vm.prank(ann);
        redemptions.cancel(address(token), 2);
        // Named again: what was paid in then is there still.
        terms(address(usd));
        uint256 before = usd.balanceOf(ann);
        approve(1, 20 * DOLLAR);
        vm.assertEq(usd.balanceOf(ann) - before, 20 * DOLLAR);
    }

    // ---------------------------------------------------------------- funds

    function test_no_payout_is_above_the_price_of_its_units() public {
        request(ann, 0.5e18, 0);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.PayoutTooHigh.selector, 50 * DOLLAR, 50 * DOLLAR + 1));
        approve(1, 50 * DOLLAR + 1);
        approve(1, 50 * DOLLAR);
        // Too few units to be worth anything.
        request(ann, 9_999_999_999, 0);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.PayoutTooHigh.selector, 0, 1));
        approve(2, 1);
        approve(2, 0);
        vm.assertEq(abi.encode(redemptions.redemptionTermsOf(address(token))), abi.encode(termsIn(address(usd))));
    }

    /// @dev What was signed for stands; the price counts when it is decided.
    function test_a_lower_price_leaves_a_request_that_asks_for_more_unpaid() public {
        request(ann, 1e18, 60 * DOLLAR);
        operator();
        redemptions.setRedemptionTerms(
            address(token), IRedemptionDesk.RedemptionTerms(address(usd), uint128(60 * DOLLAR - 1)), REASON
        );
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.PayoutTooHigh.selector, 60 * DOLLAR - 1, 60 * DOLLAR));
        approve(1, 60 * DOLLAR);
        vm.prank(ann);
        redemptions.cancel(address(token), 1);
    }

    /// @dev Old money is withdrawn, old credits are drawn, old requests wait; the new money pays for none of it.
    function test_another_payment_token_strands_nothing() public {
        fundHostile();
        request(ann, 40e18, 0);
        request(ben, 40e18, 0);
        hostile.refuse(ann, true);
        approve(1, 100);
        hostile.refuse(ann, false);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.RedemptionTermsChanged(address(token), termsIn(address(usd)), REASON, address(executor));
        terms(address(usd));
        vm.expectRevert(
            abi.encodeWithSelector(
                ITokenFunds.WrongPaymentToken.selector, address(token), address(usd), address(hostile)
            )
        );
        approve(2, 100);
        vm.assertEq(redemptions.draw(address(token), address(hostile), ann), 100);
        uint256 before = hostile.balanceOf(treasury);
        vm.expectEmit(address(redemptions));
        emit ITokenFunds.FundWithdrawn(
            address(token), address(hostile), treasury, FUND - 200, 100, REASON, address(executor)
        );
        operator();
        redemptions.withdraw(address(token), address(hostile), FUND - 200, REASON);
        vm.assertEq(hostile.balanceOf(treasury) - before, FUND - 200);
        terms(address(hostile));
        approve(2, 100);
        vm.assertEq(hostile.balanceOf(address(redemptions)), 0);
        vm.assertEq(usd.balanceOf(address(redemptions)), FUND);
        vm.assertEq(redemptions.fundOf(address(token), address(usd)).available, FUND);
    }

    /// @dev Two tokens of a node, one payment token: what one has, the other neither spends nor owes.
    function test_what_one_token_owes_no_other_pays() public {
        vm.prank(admin);
        Token other = Token(factory.deployToken(tokenConfig(NODE_KEY, "other")));
        operator();
        redemptions.setRedemptionTerms(address(other), termsIn(address(usd)), REASON);
        vm.prank(treasury);
        redemptions.fund(address(other), address(usd), 5);
        vm.assertEq(abi.encode(redemptions.fundOf(address(other), address(usd))), abi.encode(5, 0));
        vm.expectRevert(abi.encodeWithSelector(ITokenFunds.FundTooSmall.selector, address(other), address(usd), 5, 6));
        operator();
        redemptions.withdraw(address(other), address(usd), 6, REASON);
        request(ann, 40e18, 0);
        approve(1, FUND);
        vm.assertEq(abi.encode(redemptions.fundOf(address(token), address(usd))), abi.encode(0, 0));
        vm.assertEq(abi.encode(redemptions.fundOf(address(other), address(usd))), abi.encode(5, 0));
    }

    /// @dev Anybody may pay in; nobody holds up anything with it.
    function test_a_payment_of_a_stranger_hinders_no_change_of_terms() public {
        allow(ann, address(redemptions));
        vm.prank(ann);
        redemptions.fund(address(token), address(usd), 1);
        terms(address(hostile));
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidAddress.selector, carol));
        terms(carol);
        vm.expectRevert(
            abi.encodeWithSelector(
                ITokenFunds.WrongPaymentToken.selector, address(token), address(hostile), address(usd)
            )
        );
        fund(address(usd), 1);
        operator();
        redemptions.withdraw(address(token), address(usd), FUND + 1, REASON);
        vm.expectRevert(abi.encodeWithSelector(ITokenFunds.FundTooSmall.selector, address(token), address(usd), 0, 1));
        operator();
        redemptions.withdraw(address(token), address(usd), 1, REASON);
    }

    function test_a_fund_is_paid_into_by_whoever_has_signed() public {
        ITokenFunds.Funding memory funding =
            ITokenFunds.Funding(ann, address(token), address(usd), 5 * DOLLAR, LATER, SALT);
        bytes32 structHash = keccak256(abi.encode(TypedData.FUNDING, funding));
        allow(ann, address(redemptions));
        bytes memory signature = sign(ALICE_KEY, address(redemptions), structHash);
        vm.expectRevert(unauthorized(keeper, "CARRIER_ROLE"));
        vm.prank(keeper);
        redemptions.fundFor(funding, signature);
        vm.expectEmit(address(redemptions));
        emit ITokenFunds.Funded(address(token), address(usd), ann, 5 * DOLLAR, FUND + 5 * DOLLAR);
        operator();
        redemptions.fundFor(funding, signature);
    }

    // ---------------------------------------------------------------- the end

    function test_a_token_does_not_end_before_its_sale() public {
        request(ann, 100e18, 0);
        approve(1, 1);
        request(ben, 100e18, 0);
        approve(2, 1);
        bytes memory refusal = abi.encodeWithSelector(IRedemptionDesk.StillOnSale.selector, address(token));
        vm.expectRevert(refusal);
        operator();
        redemptions.retire(address(token), REASON);
        IListing.Terms memory sale = IListing.Terms(address(usd), 0, 0, 1, 0, 0, 0, 1);
        operator();
        listing.setTerms(address(token), sale, REASON);
        bytes4[2] memory steps = [IListing.list.selector, IListing.delist.selector];
        for (uint256 i = 0; i < 2; ++i) {
            operator();
            (bool ok,) = address(listing).call(abi.encodeWithSelector(steps[i], address(token), REASON));
            vm.assertTrue(ok);
            vm.expectRevert(refusal);
            operator();
            redemptions.retire(address(token), REASON);
        }
        passivate();
        operator();
        redemptions.retire(address(token), REASON);
    }

    function test_where_nothing_is_sold_a_token_just_ends() public {
        INodeFactory.NodeContracts memory only;
        only.redemptionDesk = factory.implementations().redemptionDesk;
        vm.prank(admin);
        factory.setImplementations(only);
        vm.prank(admin);
        address door = factory.deployNode(nodeConfig("bare"));
        redemptions = RedemptionDesk(factory.nodeOf("bare").contracts.redemptionDesk);
        vm.prank(admin);
        Token bare = Token(factory.deployToken(tokenConfig("bare", INSTRUMENT)));
        vm.prank(door);
        redemptions.retire(address(bare), REASON);
        vm.expectRevert(ITokenExtension.Retired.selector);
        vm.prank(door);
        bare.unpauseSupply(REASON);
    }

    function test_a_token_is_retired_when_the_last_unit_is_redeemed() public {
        passivate();
        request(ann, 100e18, 0);
        approve(1, 1);
        vm.expectRevert(abi.encodeWithSelector(ITokenExtension.StillHeld.selector, 100e18));
        operator();
        redemptions.retire(address(token), REASON);
        request(ben, 100e18, 0);
        approve(2, 1);
        vm.expectEmit(address(token));
        emit ITokenExtension.TokenRetired(REASON, address(redemptions));
        operator();
        redemptions.retire(address(token), REASON);
        vm.expectRevert();
        give(ann, 1);
    }
}

/// @notice A token that gives every role and releases no hold.
contract Stubborn {
    error No(uint256 id);

    function decimals() external pure returns (uint8) {
        return 0;
    }

    function hasRole(bytes32, address) external pure returns (bool) {
        return true;
    }

    function placeHold(address, uint256, uint40, bytes32) external pure returns (uint256) {
        return 7;
    }

    function releaseHold(address, uint256 id, bytes32) external pure {
        revert No(id);
    }
}
