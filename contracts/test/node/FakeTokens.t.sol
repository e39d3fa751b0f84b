// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ITokenFunds} from "../../sol/interfaces/ITokenFunds.sol";
import {NodeBase} from "./NodeBase.sol";

/// @notice Anybody may bring a token of its own, which gives itself every role and worthless money to be paid in. It gets
/// at no other token's fund.
contract FakeTokensTest is NodeBase {
    uint256 private constant FUND = 1_000 * DOLLAR;

    FakeToken private fake;

    function setUp() public override {
        super.setUp();
        allow(treasury, address(redemptions));
        allow(treasury, address(rents));
        allow(ann, address(redemptions));
        allow(ann, address(rents));
        operator();
        redemptions.setRedemptionTerms(address(token), paidIn(address(usd)), REASON);
        operator();
        rents.setRentTerms(address(token), IRentDistributor.RentTerms(address(usd), 0, 0), REASON);
        vm.prank(treasury);
        redemptions.fund(address(token), address(usd), FUND);
        vm.prank(treasury);
        rents.fund(address(token), address(usd), FUND);
        fake = new FakeToken();
        redemptions.setRedemptionTerms(address(fake), paidIn(address(hostile)), REASON);
        rents.setRentTerms(address(fake), IRentDistributor.RentTerms(address(hostile), 0, 0), REASON);
    }

    /// @dev The whole fund is asked for, and while it is spoken for the money becomes another.
    function test_a_redemption_is_paid_in_what_the_fund_was_paid_in() public {
        ask();
        fake.callBack(address(redemptions), otherMoney());
        uint256 before = hostile.balanceOf(ann);
        vm.expectEmit(address(redemptions));
        emit IRedemptionDesk.RedemptionApproved(
            address(fake), 1, ann, 1, address(hostile), FUND, 0, 0, REASON, address(this)
        );
        redemptions.approve(address(fake), 1, FUND, REASON);
        assertFakeShut();
        vm.assertEq(hostile.balanceOf(ann) - before, FUND);
        assertFund(address(redemptions), address(hostile), 0, 0);
        untouched(address(redemptions));
    }

    /// @dev Likewise where the worthless money refuses the wallet: the credit is one in that money.
    function test_a_refused_payment_is_a_credit_in_what_the_fund_was_paid_in() public {
        ask();
        fake.callBack(address(redemptions), otherMoney());
        hostile.refuse(ann, true);
        redemptions.approve(address(fake), 1, FUND, REASON);
        assertFakeShut();
        vm.assertEq(redemptions.creditOf(address(fake), address(hostile), ann), FUND);
        vm.assertEq(redemptions.creditOf(address(fake), address(usd), ann), 0);
        assertFund(address(redemptions), address(hostile), 0, FUND);
        // Other terms change nothing of it.
        redemptions.setRedemptionTerms(address(fake), paidIn(address(usd)), REASON);
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.NoCredit.selector, address(fake), address(usd), ann));
        redemptions.draw(address(fake), address(usd), ann);
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "refused"));
        redemptions.draw(address(fake), address(hostile), ann);
        hostile.refuse(ann, false);
        uint256 before = hostile.balanceOf(ann);
        redemptions.draw(address(fake), address(hostile), ann);
        vm.assertEq(hostile.balanceOf(ann) - before, FUND);
        untouched(address(redemptions));
    }

    /// @dev The worthless money may be the one that calls back, in the middle of its own payment.
    function test_money_that_calls_back_changes_no_terms() public {
        ask();
        hostile.callBack(address(fake), abi.encodeCall(fake.forward, (address(redemptions), otherMoney())));
        redemptions.approve(address(fake), 1, FUND, REASON);
        assertFakeShut();
        vm.assertEq(redemptions.redemptionTermsOf(address(fake)).paymentToken, address(hostile));
        untouched(address(redemptions));
    }

    /// @dev The book alone would hold, without any guard: what is being paid is owed.
    function test_what_is_being_paid_is_owed_meanwhile() public {
        ask();
        fake.callBack(address(redemptions), abi.encodeCall(redemptions.fundOf, (address(fake), address(hostile))));
        redemptions.approve(address(fake), 1, FUND, REASON);
        vm.assertEq(fake.answer(), abi.encode(0, FUND));
    }

    function test_nothing_of_a_desk_is_called_while_it_pays() public {
        bytes[7] memory calls = [
            otherMoney(),
            abi.encodeCall(redemptions.approve, (address(fake), 1, FUND, REASON)),
            abi.encodeCall(redemptions.reject, (address(fake), 1, REASON)),
            abi.encodeCall(redemptions.draw, (address(fake), address(hostile), ann)),
            abi.encodeCall(redemptions.moveCredit, (address(fake), address(hostile), ann, ben, REASON)),
            abi.encodeCall(redemptions.withdraw, (address(fake), address(hostile), 1, REASON)),
            abi.encodeCall(redemptions.fund, (address(fake), address(hostile), 1))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            ask();
            fake.callBack(address(redemptions), calls[i]);
            redemptions.approve(address(fake), fake.holds(), FUND, REASON);
            assertFakeShut();
        }
        untouched(address(redemptions));
    }

    function test_rent_is_paid_in_what_the_fund_was_paid_in() public {
        vm.prank(ann);
        rents.fund(address(fake), address(hostile), FUND);
        IRentDistributor.RentTerms memory other = IRentDistributor.RentTerms(address(usd), 0, 0);
        fake.callBack(address(rents), abi.encodeCall(rents.setRentTerms, (address(fake), other, REASON)));
        rents.open(address(fake), 1, FUND, REASON);
        assertFakeShut();
        uint256 before = hostile.balanceOf(ann);
        vm.prank(ann);
        rents.claim(address(fake));
        assertFakeShut();
        vm.assertEq(hostile.balanceOf(ann) - before, FUND);
        assertFund(address(rents), address(hostile), 0, 0);
        untouched(address(rents));
    }

    // ---------------------------------------------------------------- short ways

    /// @dev All that the fake token's fund has is asked for.
    function ask() private {
        vm.prank(ann);
        redemptions.fund(address(fake), address(hostile), FUND);
        vm.prank(ann);
        redemptions.request(address(fake), 1, address(hostile), 0);
    }

    function otherMoney() private view returns (bytes memory) {
        return abi.encodeCall(redemptions.setRedemptionTerms, (address(fake), paidIn(address(usd)), REASON));
    }

    function paidIn(address paymentToken) private pure returns (IRedemptionDesk.RedemptionTerms memory) {
        return IRedemptionDesk.RedemptionTerms(paymentToken, type(uint128).max);
    }

    function assertFund(address desk, address paymentToken, uint256 available, uint256 owed) private view {
        bytes memory fund = abi.encode(ITokenFunds(desk).fundOf(address(fake), paymentToken));
        vm.assertEq(fund, abi.encode(available, owed));
    }

    /// @dev The fake token called back, and found the door shut.
    function assertFakeShut() private view {
        vm.assertFalse(fake.reentered());
        vm.assertEq(
            fake.answer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
    }

    /// @dev What the real token's fund was paid is there.
    function untouched(address desk) private view {
        vm.assertEq(usd.balanceOf(desk), FUND);
        vm.assertEq(abi.encode(ITokenFunds(desk).fundOf(address(token), address(usd))), abi.encode(FUND, 0));
    }
}

/// @notice A token that gives every role, and calls back whenever it is asked to end a hold or to count rent.
contract FakeToken {
    uint256 public holds;
    /// @notice Whether the last call back went through.
    bool public reentered;
    bytes public answer;
    address private _target;
    bytes private _call;

    function callBack(address target, bytes calldata data) external {
        (_target, _call) = (target, data);
    }

    function forward(address target, bytes calldata data) public {
        (reentered, answer) = target.call(data);
    }

    function hasRole(bytes32, address) external pure returns (bool) {
        return true;
    }

    function canSend(address) external pure returns (bool) {
        return true;
    }

    function decimals() external pure returns (uint8) {
        return 0;
    }

    function placeHold(address, uint256, uint40, bytes32) external returns (uint256) {
        return ++holds;
    }

    function executeHold(address, uint256, bytes32) external {
        _callBack();
    }

    function openRent(uint256, uint256) external returns (uint256, uint256, uint256) {
        _callBack();
    }

    function collectRent(address) external returns (uint256) {
        _callBack();
        return 1_000e6;
    }

    function _callBack() private {
        if (_target != address(0)) this.forward(_target, _call);
    }
}
