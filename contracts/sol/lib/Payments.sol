// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Payments
/// @notice Moves payment tokens, and believes balances, not answers: a token that takes a fee, or claims to have paid,
/// is refused before it can make a book say more than there is.
library Payments {
    using SafeERC20 for IERC20;

    /// @notice `account` was to get or give `expected`, and its balance changed by `actual`.
    error InexactPayment(address paymentToken, address account, uint256 expected, uint256 actual);

    /// @notice Moves `amount` between two accounts, by an allowance of `from` for this contract; the recipient has
    /// exactly that much more. Thus never to oneself.
    function pull(address paymentToken, address from, address to, uint256 amount) internal {
        IERC20 token = IERC20(paymentToken);
        uint256 before = token.balanceOf(to);
        token.safeTransferFrom(from, to, amount);
        _check(paymentToken, to, amount, before, token.balanceOf(to));
    }

    /// @notice Pays `amount` out of this contract, which has exactly that much less.
    function push(address paymentToken, address to, uint256 amount) internal {
        IERC20 token = IERC20(paymentToken);
        uint256 before = token.balanceOf(address(this));
        token.safeTransfer(to, amount);
        _check(paymentToken, address(this), amount, token.balanceOf(address(this)), before);
    }

    function _check(address paymentToken, address account, uint256 expected, uint256 low, uint256 high) private pure {
        uint256 actual = high > low ? high - low : 0;
        if (actual != expected) revert InexactPayment(paymentToken, account, expected, actual);
    }
}
