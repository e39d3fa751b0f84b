// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeContract} from "../interfaces/INodeContract.sol";
import {IRentDistributor} from "../interfaces/IRentDistributor.sol";
import {ITokenFunds} from "../interfaces/ITokenFunds.sol";
import {ITokenRent} from "../interfaces/ITokenRent.sol";
import {Payments} from "../lib/Payments.sol";
import {TokenRoles} from "../lib/TokenRoles.sol";
import {NodeContract} from "./NodeContract.sol";
import {TokenFunds} from "./TokenFunds.sol";

/// @title RentDistributor
/// @notice Pays rental income out of what issuers have paid in.
/// @dev The token counts, exactly: what it says a wallet has earned, plus what it carries, is what its periods were
/// opened with. A token that said more would get no more: `owed` bounds it.
contract RentDistributor is IRentDistributor, TokenFunds {
    /// @custom:storage-location erc7201:tokenx.storage.RentDistributor
    struct RentStorage {
        mapping(address token => RentTerms) terms;
    }

    /// @dev What one pushed payment may take; several times what tokens known for payments do.
    uint256 private constant PUSH_GAS = 300_000;

    bytes32 private constant CLAIM = keccak256("Claim(address wallet,address token,uint256 deadline,bytes32 salt)");

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.RentDistributor")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant RENT_STORAGE = 0x84d792edbd5ab3e0210989246d4464d68b51c54f70aa59344f9470f2240e9400;

    constructor() NodeContract("tokenx RentDistributor") {}

    // ---------------------------------------------------------------- periods

    /// @inheritdoc IRentDistributor
    function setRentTerms(address token, RentTerms calldata terms, bytes32 reason)
        external
        nonReentrant
        onlyTerms(token)
    {
        if (terms.paymentToken.code.length == 0) revert InvalidAddress(terms.paymentToken);
        RentTerms storage current = _rent().terms[token];
        if (terms.paymentToken != current.paymentToken) {
            uint256 owed = _book(token, current.paymentToken).owed;
            if (owed != 0) revert RentOwedIn(token, current.paymentToken, owed);
        }
        _rent().terms[token] = terms;
        emit RentTermsChanged(token, terms, reason, _msgSender());
    }

    /// @inheritdoc IRentDistributor
    function open(address token, uint256 period, uint256 amount, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.PAYOUT_ROLE)
    {
        OpenedRent memory opened;
        (opened.paymentToken, opened.amount) = (_checkDue(token, period), amount);
        opened.available = _owe(token, opened.paymentToken, amount);
        (opened.perUnit, opened.earning, opened.carry) = ITokenRent(token).openRent(period, amount);
        emit RentOpened(token, period, opened, reason, _msgSender());
    }

    // ---------------------------------------------------------------- payments

    /// @inheritdoc IRentDistributor
    function claim(address token) external nonReentrant returns (uint256) {
        return _pay(token, _msgSender());
    }

    /// @inheritdoc IRentDistributor
    function claimFor(Claim calldata signed, bytes calldata signature)
        external
        nonReentrant
        onlyTokenRole(signed.token, TokenRoles.CARRIER_ROLE)
        returns (uint256)
    {
        bytes32 structHash = keccak256(abi.encode(CLAIM, signed));
        _useIntent(signed.wallet, signed.salt, signed.deadline, structHash, signature);
        return _pay(signed.token, signed.wallet);
    }

    /// @inheritdoc IRentDistributor
    function push(address token, address[] calldata wallets)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.PAYOUT_ROLE)
    {
        for (uint256 i = 0; i < wallets.length; ++i) {
            (bool ok, bytes4 refusal) = _tryPay(token, wallets[i]);
            if (!ok) emit RentPaymentFailed(token, wallets[i], refusal);
        }
    }

    /// @notice Pays one wallet, for this contract alone: a payment that fails takes nothing else back with it.
    function pay(address token, address wallet) external {
        if (_msgSender() != address(this)) revert NotSelf(_msgSender());
        _pay(token, wallet);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IRentDistributor
    function rentTermsOf(address token) external view returns (RentTerms memory) {
        return _rent().terms[token];
    }

    /// @inheritdoc IRentDistributor
    function claimable(address token, address wallet) external view returns (uint256) {
        return ITokenRent(token).rentOf(wallet) >> 128;
    }

    /// @inheritdoc INodeContract
    function operations() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](6);
        selectors[0] = IRentDistributor.open.selector;
        selectors[1] = IRentDistributor.claimFor.selector;
        selectors[2] = IRentDistributor.push.selector;
        selectors[3] = ITokenFunds.fundFor.selector;
        selectors[4] = ITokenFunds.withdraw.selector;
        selectors[5] = INodeContract.usePermit.selector;
    }

    /// @inheritdoc INodeContract
    function termSetters() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](1);
        selectors[0] = IRentDistributor.setRentTerms.selector;
    }

    // ---------------------------------------------------------------- internal

    function _paymentToken(address token) internal view override returns (address) {
        return _rent().terms[token].paymentToken;
    }

    // ---------------------------------------------------------------- private

    /// @dev Says what a period that is due is paid in. Period 0 is refused by the token, like all but the next one.
    function _checkDue(address token, uint256 period) private view returns (address) {
        RentTerms memory terms = _rent().terms[token];
        uint256 due = period == 0 ? 0 : terms.start + (period - 1) * terms.length;
        if (block.timestamp < due) revert PeriodNotDue(period, due);
        return terms.paymentToken;
    }

    /// @dev One payment with gas of its own, of whose refusal no more than the selector is looked at.
    function _tryPay(address token, address wallet) private returns (bool ok, bytes4 refusal) {
        // What is passed on is never more than 63 of 64 parts of what is left.
        if (gasleft() * 63 / 64 < PUSH_GAS) revert GasTooLow();
        bytes memory data = abi.encodeCall(this.pay, (token, wallet));
        assembly ("memory-safe") {
            mstore(0, 0)
            ok := call(PUSH_GAS, address(), 0, add(data, 0x20), mload(data), 0, 4)
            refusal := mload(0)
        }
    }

    /// @dev Rounds down: the fraction of a base unit stays in the wallet's account.
    function _pay(address token, address wallet) private returns (uint256 amount) {
        amount = ITokenRent(token).collectRent(wallet);
        if (amount == 0) revert NoRent(token, wallet);
        address paymentToken = _paymentToken(token);
        Fund storage book = _book(token, paymentToken);
        uint256 owed = book.owed;
        if (amount > owed) revert RentNotOwed(token, owed, amount);
        owed -= amount;
        book.owed = owed;
        Payments.push(paymentToken, wallet, amount);
        emit RentPaid(token, paymentToken, wallet, amount, owed);
    }

    function _rent() private pure returns (RentStorage storage $) {
        assembly ("memory-safe") {
            $.slot := RENT_STORAGE
        }
    }
}
