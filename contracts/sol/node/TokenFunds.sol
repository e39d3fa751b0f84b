// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITokenFunds} from "../interfaces/ITokenFunds.sol";
import {Payments} from "../lib/Payments.sol";
import {TokenRoles} from "../lib/TokenRoles.sol";
import {NodeContract} from "./NodeContract.sol";

/// @title TokenFunds
/// @notice Funds per token, for contracts that pay holders out of what the issuer has paid in.
/// @dev The contract has at least Σ (available + owed) of each payment token: a book grows by what came in, measured,
/// and shrinks only by what goes out in the same guarded call. The token concerned may be anybody's and call back: what
/// is to be paid is owed before it is called.
abstract contract TokenFunds is ITokenFunds, NodeContract {
    /// @custom:storage-location erc7201:tokenx.storage.TokenFunds
    struct FundStorage {
        mapping(address token => mapping(address paymentToken => Fund)) funds;
    }

    bytes32 private constant FUNDING = keccak256(
        "Funding(address wallet,address token,address paymentToken,uint256 amount,uint256 deadline,bytes32 salt)"
    );

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.TokenFunds")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant FUND_STORAGE = 0x6a64d4ff8aa3d292331b9e3f5c7de2613a0b073d72921700ee56ec017d006f00;

    /// @inheritdoc ITokenFunds
    function fund(address token, address paymentToken, uint256 amount) external nonReentrant {
        _fund(_msgSender(), token, paymentToken, amount);
    }

    /// @inheritdoc ITokenFunds
    function fundFor(Funding calldata funding, bytes calldata signature)
        external
        nonReentrant
        onlyTokenRole(funding.token, TokenRoles.CARRIER_ROLE)
    {
        bytes32 structHash = keccak256(abi.encode(FUNDING, funding));
        _useIntent(funding.wallet, funding.salt, funding.deadline, structHash, signature);
        _fund(funding.wallet, funding.token, funding.paymentToken, funding.amount);
    }

    /// @inheritdoc ITokenFunds
    function withdraw(address token, address paymentToken, uint256 amount, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.TERMS_ROLE)
    {
        uint256 available = _take(_book(token, paymentToken), token, paymentToken, amount);
        address to = treasury();
        Payments.push(paymentToken, to, amount);
        emit FundWithdrawn(token, paymentToken, to, amount, available, reason, _msgSender());
    }

    /// @inheritdoc ITokenFunds
    function fundOf(address token, address paymentToken) external view returns (Fund memory) {
        return _book(token, paymentToken);
    }

    // ---------------------------------------------------------------- internal

    /// @dev What the terms of a token say it is paid in; zero = there are none.
    function _paymentToken(address token) internal view virtual returns (address);

    /// @dev That the terms say `paymentToken`.
    function _checkPaymentToken(address token, address paymentToken) internal view {
        address expected = _paymentToken(token);
        if (paymentToken != expected || paymentToken == address(0)) {
            revert WrongPaymentToken(token, expected, paymentToken);
        }
    }

    /// @dev Speaks for `amount` of what is available; says what is left of that.
    function _owe(address token, address paymentToken, uint256 amount) internal returns (uint256 available) {
        Fund storage book = _book(token, paymentToken);
        available = _take(book, token, paymentToken, amount);
        book.owed += amount;
    }

    function _book(address token, address paymentToken) internal view returns (Fund storage) {
        FundStorage storage $;
        assembly ("memory-safe") {
            $.slot := FUND_STORAGE
        }
        return $.funds[token][paymentToken];
    }

    // ---------------------------------------------------------------- private

    /// @dev Takes `amount` out of what is available; says what is left of that.
    function _take(Fund storage book, address token, address paymentToken, uint256 amount)
        private
        returns (uint256 available)
    {
        available = book.available;
        if (amount > available) revert FundTooSmall(token, paymentToken, available, amount);
        available -= amount;
        book.available = available;
    }

    function _fund(address payer, address token, address paymentToken, uint256 amount) private {
        _checkPaymentToken(token, paymentToken);
        uint256 available = _book(token, paymentToken).available += amount;
        Payments.pull(paymentToken, payer, address(this), amount);
        emit Funded(token, paymentToken, payer, amount, available);
    }
}
