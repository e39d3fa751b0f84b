// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {NodeBase} from "./NodeBase.sol";

/// @notice A desk with a fund, and the ways to ask and decide.
abstract contract RedemptionBase is NodeBase {
    uint256 internal constant FUND = 1_000 * DOLLAR;
    uint256 internal constant MAX_PRICE = 100 * DOLLAR;

    /// @dev What the terms say.
    address internal paidIn;

    function setUp() public override {
        super.setUp();
        give(ann, 100e18);
        give(ben, 100e18);
        allow(treasury, address(redemptions));
        terms(address(usd));
        fund(address(usd), FUND);
    }

    function terms(address paymentToken) internal {
        paidIn = paymentToken;
        operator();
        redemptions.setRedemptionTerms(address(token), termsIn(paymentToken), REASON);
    }

    function termsIn(address paymentToken) internal pure returns (IRedemptionDesk.RedemptionTerms memory) {
        return IRedemptionDesk.RedemptionTerms(paymentToken, uint128(MAX_PRICE));
    }

    function passivate() internal {
        operator();
        listing.passivate(address(token), REASON);
    }

    function fund(address paymentToken, uint256 amount) internal {
        vm.prank(treasury);
        redemptions.fund(address(token), paymentToken, amount);
    }

    function fundHostile() internal {
        terms(address(hostile));
        fund(address(hostile), FUND);
    }

    function request(address wallet, uint256 quantity, uint256 minPayout) internal returns (uint256) {
        vm.prank(wallet);
        return redemptions.request(address(token), quantity, paidIn, minPayout);
    }

    function approve(uint256 id, uint256 payout) internal {
        operator();
        redemptions.approve(address(token), id, payout, REASON);
    }

    function unknown(uint256 id) internal {
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.UnknownRequest.selector, address(token), id));
        approve(id, 1);
    }

    function withheld(address wallet) internal {
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.CreditWithheld.selector, wallet));
        redemptions.draw(address(token), paidIn, wallet);
        vm.assertEq(redemptions.creditOf(address(token), paidIn, wallet), 100);
    }

    function refuseMove(address from, address to) internal {
        vm.expectRevert(abi.encodeWithSelector(IRedemptionDesk.NotReplaced.selector, from, to));
        operator();
        redemptions.moveCredit(address(token), paidIn, from, to, REASON);
    }
}
