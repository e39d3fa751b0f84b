// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvestorRegistry} from "../../sol/interfaces/IInvestorRegistry.sol";
import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {InvestorFlags} from "../../sol/lib/InvestorFlags.sol";
import {HostileUSD} from "./HostileUSD.sol";
import {RedemptionBase} from "./RedemptionBase.sol";

/// @notice Redeemers whom the payment token refuses, and what becomes of their money.
contract RedemptionCreditsTest is RedemptionBase {
    // ---------------------------------------------------------------- hostile payment tokens

    function test_a_refused_recipient_is_credited_and_draws_later() public {
        fundHostile();
        request(ann, 40e18, 0);
        hostile.refuse(ann, true);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.RedemptionApproved(
            address(token), 1, ann, 40e18, address(hostile), 100, FUND - 100, 100, REASON, address(executor)
        );
        approve(1, 100);
        vm.assertEq(token.balanceOf(ann), 60e18);
        vm.assertEq(redemptions.creditOf(address(token), paidIn, ann), 100);
        vm.assertEq(abi.encode(redemptions.fundOf(address(token), paidIn)), abi.encode(FUND - 100, 100));
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "refused"));
        redemptions.draw(address(token), paidIn, ann);
        hostile.refuse(ann, false);
        uint256 before = hostile.balanceOf(ann);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.CreditDrawn(address(token), address(hostile), ann, 100);
        redemptions.draw(address(token), paidIn, ann);
        vm.assertEq(hostile.balanceOf(ann) - before, 100);
        vm.assertEq(redemptions.fundOf(address(token), paidIn).owed, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IRedemptionDesk.NoCredit.selector, address(token), address(hostile), ann)
        );
        redemptions.draw(address(token), paidIn, ann);
    }

    function test_a_lost_wallets_credit_goes_to_its_replacement() public {
        fundHostile();
        request(ann, 40e18, 0);
        hostile.refuse(ann, true);
        approve(1, 100);
        whitelist(carol, 11);
        refuseMove(ann, carol);
        registry.revoke(ann, REASON);
        refuseMove(ann, ben);
        refuseMove(ann, ann);
        refuseMove(guardian, keeper);
        registry.revoke(carol, REASON);
        refuseMove(ann, carol);
        whitelist(carol, 11);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.CreditMoved(
            address(token), ann, carol, address(hostile), 100, 100, REASON, address(executor)
        );
        operator();
        redemptions.moveCredit(address(token), paidIn, ann, carol, REASON);
        redemptions.draw(address(token), paidIn, carol);
        vm.assertEq(hostile.balanceOf(carol), 100);
    }

    /// @dev An heir, or whom a court names: no role of the Executor's reaches across investors.
    function test_the_admin_alone_gives_a_credit_to_another_investor() public {
        fundHostile();
        request(ann, 40e18, 0);
        hostile.refuse(ann, true);
        approve(1, 100);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.NotReplaced.selector, ann, ben));
        vm.prank(admin);
        redemptions.moveCredit(address(token), address(hostile), ann, ben, REASON);
        registry.revoke(ann, REASON);
        refuseMove(ann, ben);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.NotReplaced.selector, ann, carol));
        vm.prank(admin);
        redemptions.moveCredit(address(token), address(hostile), ann, carol, REASON);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.NoCredit.selector, address(token), address(usd), ann));
        vm.prank(admin);
        redemptions.moveCredit(address(token), address(usd), ann, ben, REASON);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.CreditMoved(address(token), ann, ben, address(hostile), 100, 100, REASON, admin);
        vm.prank(admin);
        redemptions.moveCredit(address(token), address(hostile), ann, ben, REASON);
        vm.assertEq(redemptions.draw(address(token), address(hostile), ben), 100);
        vm.assertEq(redemptions.fundOf(address(token), address(hostile)).owed, 0);
    }

    /// @dev Anybody may draw for it: whoever has a stolen key is not paid before the registrar has moved the credit.
    function test_a_credit_waits_while_its_wallet_may_not_be_paid() public {
        fundHostile();
        request(ann, 40e18, 0);
        hostile.refuse(ann, true);
        approve(1, 100);
        hostile.refuse(ann, false);
        registry.revoke(ann, REASON);
        withheld(ann);
        IInvestorRegistry.Investor memory sanctioned = investor(11);
        sanctioned.flags |= InvestorFlags.SANCTIONED;
        registry.setInvestor(ann, sanctioned, REASON);
        withheld(ann);
        whitelist(ann, 11);
        vm.warp(START + 366 days);
        withheld(ann);
        vm.warp(START);
        freezeAddress(ann, true);
        withheld(ann);
        freezeAddress(ann, false);
        redemptions.draw(address(token), paidIn, ann);
        vm.assertEq(redemptions.creditOf(address(token), paidIn, ann), 0);
    }

    function test_no_vice_of_a_payment_token_takes_more_than_its_own_payment() public {
        fundHostile();
        request(ann, 40e18, 0);
        request(ben, 40e18, 0);
        request(ann, 10e18, 0);
        hostile.setVice(HostileUSD.Vice.TakesMoreFromSender);
        approve(1, 1_000);
        vm.assertEq(hostile.balanceOf(address(redemptions)), FUND);
        vm.assertEq(redemptions.creditOf(address(token), paidIn, ann), 1_000);
        hostile.setVice(HostileUSD.Vice.ReturnsFalse);
        approve(2, 1_000);
        hostile.setVice(HostileUSD.Vice.PaysNothing);
        approve(3, 500);
        hostile.setVice(HostileUSD.Vice.None);
        hostile.callBack(address(redemptions), abi.encodeCall(redemptions.draw, (address(token), paidIn, ben)));
        redemptions.draw(address(token), paidIn, ann);
        assertShut();
        redemptions.draw(address(token), paidIn, ben);
        vm.assertEq(hostile.balanceOf(address(redemptions)), redemptions.fundOf(address(token), paidIn).available);
        hostile.setVice(HostileUSD.Vice.TakesFee);
        vm.expectRevert(inexact(address(redemptions), 1_000, 1_000 - 11));
        fund(address(hostile), 1_000);
    }
}
