// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {IExecutor} from "../../sol/interfaces/IExecutor.sol";
import {IOtcDesk} from "../../sol/interfaces/IOtcDesk.sol";
import {ISecurityToken} from "../../sol/interfaces/ISecurityToken.sol";
import {RestrictionCodes} from "../../sol/lib/RestrictionCodes.sol";
import {Trading} from "../../sol/node/Trading.sol";
import {HostileUSD} from "./HostileUSD.sol";
import {ContractWallet, NodeBase} from "./NodeBase.sol";
import {TypedData} from "./TypedData.sol";

/// @notice Ann sells, ben buys.
contract OtcDeskTest is NodeBase {
    uint256 private constant PAYMENT = 1_000 * DOLLAR + 1;
    uint16 private constant FEE = 25;

    function setUp() public override {
        super.setUp();
        give(ann, 100e18);
        vm.prank(ann);
        token.approve(address(otc), type(uint256).max);
        allow(ben, address(otc));
        open(true);
    }

    // ---------------------------------------------------------------- settlement

    function test_a_deal_moves_both_legs_once() public {
        IOtcDesk.Deal memory d = deal();
        bytes32 hash = otc.hashOf(d);
        // 25 hundredths of a per cent of 1,000.000001 dollars, rounded down.
        uint256 fee = 2_500_000;
        (uint256 anns, uint256 bens) = (usd.balanceOf(ann), usd.balanceOf(ben));
        (bytes memory sellers, bytes memory buyers) = signatures(d);
        bytes memory data = abi.encodeCall(otc.settle, (d, sellers, buyers));
        vm.expectEmit(address(otc));
        emit IOtcDesk.DealSettled(address(token), hash, ann, ben, 40e18, address(usd), PAYMENT, fee);
        assertStatus(execute(command("deal", address(otc), data)).status, IExecutor.Status.Executed);
        vm.assertEq(usd.balanceOf(ann) - anns, PAYMENT - fee);
        vm.assertEq(bens - usd.balanceOf(ben), PAYMENT);
        vm.assertEq(feeVault.potOf(address(token), address(usd)), fee);
        vm.assertEq(token.balanceOf(ben), 40e18);
        vm.assertTrue(otc.stateOf(hash) == IOtcDesk.DealState.Settled);
        refuse(d, done(hash, IOtcDesk.DealState.Settled));
    }

    function test_a_party_that_calls_need_not_sign() public {
        IOtcDesk.Deal memory d = deal();
        (bytes memory sellers, bytes memory buyers) = signatures(d);
        vm.prank(ben);
        otc.settle(d, sellers, "");
        d.salt = "another";
        (sellers, buyers) = signatures(d);
        vm.prank(ann);
        otc.settle(d, "", buyers);
        vm.assertEq(token.balanceOf(ben), 80e18);
    }

    function test_nobody_settles_without_both() public {
        IOtcDesk.Deal memory d = deal();
        (bytes memory sellers, bytes memory buyers) = signatures(d);
        vm.expectRevert(unauthorized(keeper, "CARRIER_ROLE"));
        vm.prank(keeper);
        otc.settle(d, sellers, buyers);
        vm.expectRevert(invalid(ann));
        operator();
        otc.settle(d, buyers, buyers);
        vm.expectRevert(invalid(ben));
        operator();
        otc.settle(d, sellers, sellers);
        vm.expectRevert(invalid(ann));
        vm.prank(ben);
        otc.settle(d, "", buyers);
        vm.expectRevert(invalid(ben));
        vm.prank(ann);
        otc.settle(d, sellers, "");
        d.payment -= 1;
        vm.expectRevert(invalid(ann));
        operator();
        otc.settle(d, sellers, buyers);
    }

    function test_contract_wallets_deal_by_their_answer() public {
        ContractWallet seller = new ContractWallet();
        ContractWallet buyer = new ContractWallet();
        whitelist(address(seller), 13);
        whitelist(address(buyer), 14);
        give(address(seller), 40e18);
        usd.mint(address(buyer), PAYMENT);
        seller.approve(address(token), address(otc));
        buyer.approve(address(usd), address(otc));
        IOtcDesk.Deal memory d = deal();
        (d.seller, d.buyer) = (address(seller), address(buyer));
        bytes32 hash = otc.hashOf(d);
        seller.sign(hash);
        vm.expectRevert(invalid(address(buyer)));
        operator();
        otc.settle(d, "", "");
        buyer.sign(hash);
        operator();
        otc.settle(d, "", "");
        vm.assertEq(token.balanceOf(address(buyer)), 40e18);
        vm.assertEq(usd.balanceOf(address(buyer)), 0);
    }

    function test_a_deal_counts_in_its_time() public {
        IOtcDesk.Deal memory d = deal();
        (d.validFrom, d.deadline) = (uint64(START + 10), uint64(START + 20));
        bytes memory refusal =
            abi.encodeWithSelector(IOtcDesk.DealNotValid.selector, otc.hashOf(d), START + 10, START + 20);
        vm.warp(START + 9);
        refuse(d, refusal);
        vm.warp(START + 21);
        refuse(d, refusal);
        vm.warp(START + 20);
        settle(d);
    }

    function test_a_deal_has_two_parties_units_and_a_payment() public {
        for (uint256 i = 0; i < 3; ++i) {
            IOtcDesk.Deal memory d = deal();
            if (i == 0) d.buyer = ann;
            if (i == 1) d.quantity = 0;
            if (i == 2) d.payment = 0;
            refuse(d, abi.encodeWithSelector(IOtcDesk.InvalidDeal.selector, otc.hashOf(d)));
        }
        // Nor does the fee take all of it.
        operator();
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(true, 10_000), REASON);
        IOtcDesk.Deal memory whole = deal();
        whole.maxFeeBps = 10_000;
        refuse(whole, abi.encodeWithSelector(IOtcDesk.InvalidDeal.selector, otc.hashOf(whole)));
    }

    function test_the_parties_pay_no_more_fee_than_they_have_signed() public {
        IOtcDesk.Deal memory d = deal();
        d.maxFeeBps = FEE - 1;
        refuse(d, abi.encodeWithSelector(Trading.FeeAboveLimit.selector, FEE, FEE - 1));
    }

    function testFuzz_the_fee_comes_out_of_the_payment_and_is_never_above_its_share(uint128 payment, uint16 bps)
        public
    {
        bps = uint16(bound(bps, 0, 9_999));
        operator();
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(true, bps), REASON);
        IOtcDesk.Deal memory d = deal();
        d.payment = bound(payment, 1, type(uint128).max);
        d.maxFeeBps = bps;
        usd.mint(ben, d.payment);
        uint256 anns = usd.balanceOf(ann);
        settle(d);
        uint256 fee = usd.balanceOf(address(feeVault));
        vm.assertEq(usd.balanceOf(ann) - anns + fee, d.payment);
        vm.assertTrue(fee * 10_000 <= d.payment * bps && d.payment * bps - fee * 10_000 < 10_000);
    }

    // ---------------------------------------------------------------- cancelling

    function test_either_party_cancels_whatever_is_closed() public {
        open(false);
        IOtcDesk.Deal memory d = deal();
        bytes32 hash = otc.hashOf(d);
        refuse(d, abi.encodeWithSelector(IOtcDesk.OtcClosed.selector, address(token)));
        vm.expectRevert(abi.encodeWithSelector(IOtcDesk.NotParty.selector, hash, carol));
        vm.prank(carol);
        otc.cancel(d);
        vm.expectEmit(address(otc));
        emit IOtcDesk.DealCancelled(hash, ben);
        vm.prank(ben);
        otc.cancel(d);
        vm.expectRevert(done(hash, IOtcDesk.DealState.Cancelled));
        vm.prank(ann);
        otc.cancel(d);
        open(true);
        refuse(d, done(hash, IOtcDesk.DealState.Cancelled));
        d.salt = "another";
        vm.prank(ann);
        otc.cancel(d);
    }

    function test_a_cancellation_is_carried_too() public {
        IOtcDesk.Deal memory d = deal();
        bytes32 hash = otc.hashOf(d);
        bytes32 structHash = keccak256(abi.encode(TypedData.CANCELLATION, ben, hash));
        bytes memory signature = sign(ALICE_KEY, address(otc), structHash);
        vm.expectRevert(invalid(ben));
        otc.cancelFor(d, ben, signature);
        otc.cancelFor(d, ben, sign(BOB_KEY, address(otc), structHash));
        refuse(d, done(hash, IOtcDesk.DealState.Cancelled));
    }

    // ---------------------------------------------------------------- both legs or none

    function test_a_leg_that_fails_takes_the_other_back() public {
        IOtcDesk.Deal memory d = deal();
        uint256 bens = usd.balanceOf(ben);
        registry.revoke(ben, REASON);
        refuse(
            d,
            abi.encodeWithSelector(
                ISecurityToken.TransferRestricted.selector, ann, ben, 40e18, RestrictionCodes.RECIPIENT_NOT_WHITELISTED
            )
        );
        vm.assertEq(usd.balanceOf(ben), bens);
        vm.assertTrue(otc.stateOf(otc.hashOf(d)) == IOtcDesk.DealState.Unknown);
        whitelist(ben, 12);
        settle(d);
    }

    function test_a_hostile_payment_token_settles_nothing_it_does_not_pay() public {
        IOtcDesk.Deal memory d = deal();
        (d.paymentToken, d.payment) = (address(hostile), 10_000);
        hostile.setVice(HostileUSD.Vice.TakesFee);
        refuse(d, inexact(ann, 9_975, 9_975 - 100));
        hostile.setVice(HostileUSD.Vice.PaysNothing);
        refuse(d, inexact(ann, 9_975, 0));
        hostile.setVice(HostileUSD.Vice.ReturnsFalse);
        refuse(d, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(hostile)));
        hostile.setVice(HostileUSD.Vice.None);
        hostile.refuse(address(feeVault), true);
        refuse(d, abi.encodeWithSignature("Error(string)", "refused"));
        hostile.refuse(address(feeVault), false);
        IOtcDesk.Deal memory inner = deal();
        inner.salt = "inner";
        (bytes memory sellers, bytes memory buyers) = signatures(inner);
        bytes32 role = keccak256("CARRIER_ROLE");
        vm.prank(admin);
        token.grantRole(role, address(hostile));
        hostile.callBack(address(otc), abi.encodeCall(otc.settle, (inner, sellers, buyers)));
        settle(d);
        assertShut();
        vm.assertEq(token.balanceOf(ben), 40e18);
    }

    // ---------------------------------------------------------------- terms

    function test_terms_are_the_operators() public {
        vm.expectRevert(unauthorized(keeper, "TERMS_ROLE"));
        vm.prank(keeper);
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(true, 0), REASON);
        vm.expectRevert(abi.encodeWithSelector(IOtcDesk.InvalidOtcTerms.selector, address(token)));
        operator();
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(true, 10_001), REASON);
        vm.assertEq(abi.encode(otc.otcTermsOf(address(token))), abi.encode(IOtcDesk.OtcTerms(true, FEE)));
    }

    // ---------------------------------------------------------------- short ways

    function open(bool on) private {
        vm.expectEmit(address(otc));
        emit IOtcDesk.OtcTermsChanged(address(token), IOtcDesk.OtcTerms(on, FEE), REASON, address(executor));
        operator();
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(on, FEE), REASON);
    }

    function deal() private view returns (IOtcDesk.Deal memory) {
        return IOtcDesk.Deal({
            token: address(token),
            seller: ann,
            buyer: ben,
            quantity: 40e18,
            paymentToken: address(usd),
            payment: PAYMENT,
            maxFeeBps: FEE,
            validFrom: 0,
            deadline: uint64(LATER),
            terms: 0,
            salt: SALT
        });
    }

    function signatures(IOtcDesk.Deal memory d) private view returns (bytes memory, bytes memory) {
        bytes32 structHash = keccak256(abi.encode(TypedData.DEAL, d));
        return (sign(ALICE_KEY, address(otc), structHash), sign(BOB_KEY, address(otc), structHash));
    }

    function settle(IOtcDesk.Deal memory d) private {
        (bytes memory sellers, bytes memory buyers) = signatures(d);
        operator();
        otc.settle(d, sellers, buyers);
    }

    function refuse(IOtcDesk.Deal memory d, bytes memory refusal) private {
        (bytes memory sellers, bytes memory buyers) = signatures(d);
        vm.expectRevert(refusal);
        operator();
        otc.settle(d, sellers, buyers);
    }

    function done(bytes32 hash, IOtcDesk.DealState state) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IOtcDesk.DealIsDone.selector, hash, state);
    }

    function invalid(address wallet) private pure returns (bytes memory) {
        return abi.encodeWithSelector(INodeContract.InvalidSignature.selector, wallet);
    }
}
