// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ITokenFunds} from "../../sol/interfaces/ITokenFunds.sol";
import {ITokenRent} from "../../sol/interfaces/ITokenRent.sol";
import {Token} from "../../sol/SecurityToken.sol";
import {Vm} from "../Base.sol";
import {HostileUSD} from "./HostileUSD.sol";
import {NodeBase} from "./NodeBase.sol";
import {TypedData} from "./TypedData.sol";

contract RentDistributorTest is NodeBase {
    uint256 private constant Q128 = 1 << 128;

    function setUp() public override {
        super.setUp();
        allow(treasury, address(rents));
        terms(address(usd), 0, 0);
        give(ann, 60e18);
        give(ben, 40e18);
        fund(address(usd), 1_000);
    }

    // ---------------------------------------------------------------- periods

    function test_a_period_divides_part_of_the_fund_and_says_how() public {
        uint256 perUnit = 100 * Q128 / 100e18;
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentOpened(
            address(token),
            1,
            IRentDistributor.OpenedRent(address(usd), 100, 100e18, perUnit, 100 * Q128 - perUnit * 100e18, 900),
            REASON,
            address(executor)
        );
        open(1, 100);
        vm.assertEq(abi.encode(rents.fundOf(address(token), address(usd))), abi.encode(900, 100));
        // Fractions are carried: the first period pays no more than it can.
        vm.assertEq(rents.claimable(address(token), ann), 59);
        vm.assertEq(rents.claimable(address(token), ben), 39);
        open(2, 100);
        open(3, 800);
        uint256 paid = claim(ann);
        paid += claim(ben);
        vm.assertEq(paid, 599 + 399);
        vm.assertEq(paid + rents.fundOf(address(token), address(usd)).owed, 1_000);
    }

    function test_periods_have_a_schedule() public {
        terms(address(usd), uint48(START + 100), 30 days);
        vm.expectRevert(abi.encodeWithSelector(IRentDistributor.PeriodNotDue.selector, 1, START + 100));
        open(1, 1);
        vm.warp(START + 100);
        open(1, 1);
        vm.expectRevert(abi.encodeWithSelector(IRentDistributor.PeriodNotDue.selector, 2, START + 100 + 30 days));
        open(2, 1);
        vm.warp(START + 100 + 30 days);
        open(2, 1);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NotNextPeriod.selector, 3, 2));
        open(2, 1);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NotNextPeriod.selector, 3, 0));
        open(0, 1);
        IRentDistributor.RentTerms memory now_ = rents.rentTermsOf(address(token));
        vm.assertEq(abi.encode(now_), abi.encode(address(usd), START + 100, 30 days));
    }

    function test_no_more_is_divided_than_the_fund_has() public {
        vm.expectRevert(tooSmall(1_000, 1_001));
        open(1, 1_001);
        open(1, 1_000);
        vm.expectRevert(tooSmall(0, 1));
        operator();
        rents.withdraw(address(token), address(usd), 1, REASON);
    }

    function test_roles_are_the_tokens() public {
        vm.expectRevert(unauthorized(keeper, "TERMS_ROLE"));
        vm.prank(keeper);
        rents.setRentTerms(address(token), IRentDistributor.RentTerms(address(usd), 0, 0), REASON);
        vm.expectRevert(unauthorized(keeper, "PAYOUT_ROLE"));
        vm.prank(keeper);
        rents.open(address(token), 1, 1, REASON);
        vm.expectRevert(unauthorized(keeper, "PAYOUT_ROLE"));
        vm.prank(keeper);
        rents.push(address(token), new address[](0));
        vm.expectRevert(abi.encodeWithSelector(IRentDistributor.NotSelf.selector, keeper));
        vm.prank(keeper);
        rents.pay(address(token), ann);
    }

    // ---------------------------------------------------------------- payments

    function test_a_wallet_draws_what_it_has_earned_once() public {
        open(1, 1_000);
        uint256 before = usd.balanceOf(ann);
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentPaid(address(token), address(usd), ann, 599, 401);
        vm.assertEq(claim(ann), 599);
        vm.assertEq(usd.balanceOf(ann) - before, 599);
        vm.expectRevert(abi.encodeWithSelector(IRentDistributor.NoRent.selector, address(token), ann));
        claim(ann);
        vm.expectRevert(abi.encodeWithSelector(IRentDistributor.NoRent.selector, address(token), alice));
        claim(alice);
    }

    function test_the_role_alone_draws_for_nobody() public {
        open(1, 1_000);
        IRentDistributor.Claim memory c = IRentDistributor.Claim(ann, address(token), LATER, SALT);
        bytes32 structHash = keccak256(abi.encode(TypedData.CLAIM, c));
        bytes memory signature = sign(BOB_KEY, address(rents), structHash);
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidSignature.selector, ann));
        operator();
        rents.claimFor(c, signature);
        signature = sign(ALICE_KEY, address(rents), structHash);
        vm.expectRevert(unauthorized(keeper, "CARRIER_ROLE"));
        vm.prank(keeper);
        rents.claimFor(c, signature);
        operator();
        vm.assertEq(rents.claimFor(c, signature), 599);
    }

    function test_many_are_paid_and_who_cannot_be_hinders_nobody() public {
        whitelist(carol, 3);
        give(carol, 100e18);
        terms(address(hostile), 0, 0);
        fund(address(hostile), 2_000);
        open(1, 2_000);
        hostile.refuse(ann, true);
        freezeAddress(ben, true);
        address[] memory wallets = new address[](5);
        (wallets[0], wallets[1], wallets[2], wallets[3], wallets[4]) = (ann, ben, carol, alice, carol);
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentPaymentFailed(address(token), ann, bytes4(keccak256("Error(string)")));
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentPaymentFailed(address(token), ben, ITokenRent.RentWithheld.selector);
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentPaid(address(token), address(hostile), carol, 999, 1_001);
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentPaymentFailed(address(token), alice, IRentDistributor.NoRent.selector);
        push(wallets);
        vm.assertEq(hostile.balanceOf(carol), 999);
        hostile.refuse(ann, false);
        freezeAddress(ben, false);
        push(wallets);
        vm.assertEq(rents.fundOf(address(token), address(hostile)).owed, hostile.balanceOf(address(rents)));
        vm.assertLe(rents.fundOf(address(token), address(hostile)).owed, 3, "a fraction each");
    }

    /// @dev Neither by the gas it takes nor by the length of what it says.
    function test_no_recipient_takes_more_than_its_share_of_the_gas() public {
        terms(address(hostile), 0, 0);
        fund(address(hostile), 2_000);
        open(1, 1_000);
        hostile.refuse(ann, true);
        address[] memory wallets = new address[](2);
        (wallets[0], wallets[1]) = (ann, ben);
        hostile.setVice(HostileUSD.Vice.BurnsGas);
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentPaymentFailed(address(token), ann, bytes4(0));
        vm.assertTrue(pushWith(wallets, 1_000_000));
        vm.assertLe(gasOfLastCall(), 450_000, "gas of one that burns all of its own");
        vm.assertEq(rents.claimable(address(token), ben), 0);
        open(2, 1_000);
        hostile.setVice(HostileUSD.Vice.ShoutsNo);
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentPaymentFailed(address(token), ann, bytes4(0));
        vm.assertTrue(pushWith(wallets, 1_000_000));
        vm.assertLe(gasOfLastCall(), 450_000, "gas of one that says too much");
        vm.assertEq(rents.claimable(address(token), ben), 0);
        vm.assertEq(rents.claimable(address(token), ann), 1_199);
        vm.assertEq(rents.fundOf(address(token), address(hostile)).owed, hostile.balanceOf(address(rents)));
    }

    function test_of_who_is_paid_no_failure_is_told() public {
        open(1, 1_000);
        address[] memory wallets = new address[](2);
        (wallets[0], wallets[1]) = (ann, ben);
        vm.recordLogs();
        push(wallets);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            vm.assertTrue(logs[i].topics[0] != IRentDistributor.RentPaymentFailed.selector);
        }
    }

    /// @dev Who sends too little gas pays nobody, rather than some and none of the others.
    function test_a_push_gives_each_payment_its_gas_or_does_nothing() public {
        open(1, 1_000);
        address[] memory wallets = new address[](2);
        (wallets[0], wallets[1]) = (ann, ben);
        operator();
        (bool ok, bytes memory refusal) =
            address(rents).call{gas: 310_000}(abi.encodeCall(rents.push, (address(token), wallets)));
        vm.assertFalse(ok);
        vm.assertEq(refusal, abi.encodeWithSelector(IRentDistributor.GasTooLow.selector));
        uint256 limit = 320_000;
        while (!pushWith(wallets, limit)) {
            vm.assertEq(rents.claimable(address(token), ann), 599);
            vm.assertEq(rents.claimable(address(token), ben), 399);
            limit += 5_003;
        }
        vm.assertEq(rents.claimable(address(token), ann) + rents.claimable(address(token), ben), 0);
    }

    /// @dev The token counts in one unit: what holders have earned in it is never turned into another.
    function test_rent_keeps_its_payment_token_while_any_is_owed() public {
        open(1, 1_000);
        claim(ann);
        bytes memory refusal =
            abi.encodeWithSelector(IRentDistributor.RentOwedIn.selector, address(token), address(usd), 401);
        IRentDistributor.RentTerms memory next = IRentDistributor.RentTerms(address(hostile), 0, 0);
        vm.expectRevert(refusal);
        operator();
        rents.setRentTerms(address(token), next, REASON);
        vm.expectRevert(refusal);
        vm.prank(admin);
        rents.setRentTerms(address(token), next, REASON);
        // All but the payment token may change.
        terms(address(usd), uint48(START), 30 days);
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidAddress.selector, carol));
        operator();
        rents.setRentTerms(address(token), IRentDistributor.RentTerms(carol, 0, 0), REASON);
    }

    function test_another_payment_token_strands_nothing() public {
        allow(ann, address(rents));
        vm.prank(ann);
        rents.fund(address(token), address(usd), 1);
        terms(address(hostile), 0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                ITokenFunds.WrongPaymentToken.selector, address(token), address(hostile), address(usd)
            )
        );
        fund(address(usd), 1);
        fund(address(hostile), 500);
        vm.expectEmit(address(rents));
        emit ITokenFunds.FundWithdrawn(address(token), address(usd), treasury, 1_001, 0, REASON, address(executor));
        operator();
        rents.withdraw(address(token), address(usd), 1_001, REASON);
        open(1, 500);
        vm.assertEq(abi.encode(rents.fundOf(address(token), address(hostile))), abi.encode(0, 500));
        vm.assertEq(abi.encode(rents.fundOf(address(token), address(usd))), abi.encode(0, 0));
    }

    /// @dev What an heir is given is paid out of the same fund.
    function test_rent_that_is_given_to_another_wallet_is_paid_to_it() public {
        open(1, 1_000);
        registry.revoke(ann, REASON);
        vm.prank(admin);
        token.moveRent(ann, ben, REASON);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.RentWithheld.selector, ann));
        claim(ann);
        vm.assertEq(claim(ben), 999);
        vm.assertEq(rents.fundOf(address(token), address(usd)).owed, 1);
    }

    /// @dev A thousand holders, a minimum, a blacklisted one, dust: to the last base unit.
    function test_a_thousand_holders_get_what_there_is() public {
        vm.prank(admin);
        token = tokenOf("thousand");
        terms(address(hostile), 0, 0);
        operator();
        token.setRentMinimum(10e18, REASON);
        address[] memory wallets = new address[](1_000);
        uint256 earning;
        for (uint256 i = 0; i < 1_000; ++i) {
            wallets[i] = address(uint160(uint256(keccak256(abi.encode("holder", i)))));
            whitelist(wallets[i], uint64(1_000 + i));
            uint256 amount = (1 + i % 37) * 1e18 + i;
            give(wallets[i], amount);
            if (amount >= 10e18) earning += amount;
        }
        uint256 amount_ = 1_000_000_007;
        fund(address(hostile), amount_);
        hostile.refuse(wallets[500], true);
        open(1, amount_);
        vm.assertEq(token.rent().earning, earning);
        push(wallets);
        uint256 paid;
        uint256 fractions;
        for (uint256 i = 0; i < 1_000; ++i) {
            uint256 balance = token.balanceOf(wallets[i]);
            uint256 share = balance < 10e18 ? 0 : amount_ * balance / earning;
            uint256 got = hostile.balanceOf(wallets[i]);
            paid += got;
            fractions += token.rentOf(wallets[i]);
            if (i == 500) vm.assertEq(got, 0);
            else vm.assertTrue(got == share || got + 1 == share, "exact to one base unit");
        }
        vm.assertEq(rents.fundOf(address(token), address(hostile)).owed, amount_ - paid);
        vm.assertEq(fractions + token.rent().carry, (amount_ - paid) * Q128);
    }

    /// @dev They are no investors: nothing can be sent to them, thus they have nothing that could earn.
    function test_the_nodes_contracts_hold_nothing_and_earn_nothing() public {
        address[6] memory contracts =
            [address(listing), address(feeVault), address(redemptions), address(rents), address(market), address(otc)];
        for (uint256 i = 0; i < contracts.length; ++i) {
            vm.assertFalse(token.canReceive(contracts[i]));
            vm.expectRevert();
            vm.prank(ann);
            token.transfer(contracts[i], 1);
        }
        open(1, 1_000);
        for (uint256 i = 0; i < contracts.length; ++i) {
            vm.assertEq(rents.claimable(address(token), contracts[i]), 0);
        }
    }

    // ---------------------------------------------------------------- hostile tokens

    function test_a_hostile_payment_token_takes_nothing_from_others() public {
        terms(address(hostile), 0, 0);
        hostile.setVice(HostileUSD.Vice.TakesFee);
        vm.expectRevert(inexact(address(rents), 1_000, 989));
        fund(address(hostile), 1_000);
        hostile.setVice(HostileUSD.Vice.None);
        fund(address(hostile), 1_000);
        open(1, 1_000);
        hostile.setVice(HostileUSD.Vice.TakesMoreFromSender);
        vm.expectRevert(inexact(address(rents), 599, 605));
        claim(ann);
        hostile.setVice(HostileUSD.Vice.PaysNothing);
        vm.expectRevert(inexact(address(rents), 599, 0));
        claim(ann);
        hostile.setVice(HostileUSD.Vice.None);
        hostile.callBack(address(rents), abi.encodeCall(rents.claim, (address(token))));
        vm.assertEq(claim(ann), 599);
        assertShut();
        vm.assertEq(claim(ben), 399);
    }

    /// @dev A token that lies about what is earned gets what was opened for it, and no other token's money.
    function test_a_lying_token_is_bounded_by_its_own_books() public {
        Liar liar = new Liar();
        rents.setRentTerms(address(liar), IRentDistributor.RentTerms(address(usd), 0, 0), REASON);
        vm.prank(treasury);
        rents.fund(address(liar), address(usd), 5);
        rents.open(address(liar), 1, 5, REASON);
        vm.expectRevert(abi.encodeWithSelector(IRentDistributor.RentNotOwed.selector, address(liar), 5, 1_000));
        rents.claim(address(liar));
    }

    // ---------------------------------------------------------------- short ways

    function tokenOf(string memory instrumentId) private returns (Token) {
        return Token(factory.deployToken(tokenConfig(NODE_KEY, instrumentId)));
    }

    function terms(address paymentToken, uint48 start, uint48 length) private {
        IRentDistributor.RentTerms memory next = IRentDistributor.RentTerms(paymentToken, start, length);
        vm.expectEmit(address(rents));
        emit IRentDistributor.RentTermsChanged(address(token), next, REASON, address(executor));
        operator();
        rents.setRentTerms(address(token), next, REASON);
    }

    function tooSmall(uint256 available, uint256 needed) private view returns (bytes memory) {
        return
            abi.encodeWithSelector(ITokenFunds.FundTooSmall.selector, address(token), address(usd), available, needed);
    }

    function fund(address paymentToken, uint256 amount) private {
        vm.prank(treasury);
        rents.fund(address(token), paymentToken, amount);
    }

    function open(uint256 period, uint256 amount) private {
        operator();
        rents.open(address(token), period, amount, REASON);
    }

    function claim(address wallet) private returns (uint256) {
        vm.prank(wallet);
        return rents.claim(address(token));
    }

    function pushWith(address[] memory wallets, uint256 limit) private returns (bool ok) {
        operator();
        (ok,) = address(rents).call{gas: limit}(abi.encodeCall(rents.push, (address(token), wallets)));
    }

    function gasOfLastCall() private view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed;
    }

    function push(address[] memory wallets) private {
        operator();
        rents.push(address(token), wallets);
    }
}

/// @notice A token that gives every role and says that everybody has earned a thousand.
contract Liar {
    function hasRole(bytes32, address) external pure returns (bool) {
        return true;
    }

    function openRent(uint256, uint256) external pure returns (uint256, uint256, uint256) {}

    function collectRent(address) external pure returns (uint256) {
        return 1_000;
    }
}
