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
    struct Schedule {
        uint48 start;
        uint48 length;
    }

    /// @custom:storage-location erc7201:tokenx.storage.RentDistributor
    struct RentStorage {
        mapping(address token => Schedule) schedules;
    }

    bytes32 private constant CLAIM = keccak256("Claim(address wallet,address token,uint256 deadline,bytes32 salt)");

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.RentDistributor")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant RENT_STORAGE = 0x84d792edbd5ab3e0210989246d4464d68b51c54f70aa59344f9470f2240e9400;

    constructor() NodeContract("tokenx RentDistributor") {}

    // ---------------------------------------------------------------- periods

    /// @inheritdoc IRentDistributor
    function setRentTerms(address token, RentTerms calldata terms, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.TERMS_ROLE)
    {
        _setPaymentToken(token, terms.paymentToken);
        _rent().schedules[token] = Schedule(terms.start, terms.length);
        emit RentTermsChanged(token, terms, reason, _msgSender());
    }

    /// @inheritdoc IRentDistributor
    function open(address token, uint256 period, uint256 amount, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.PAYOUT_ROLE)
    {
        _checkDue(token, period);
        Fund storage book = _owe(token, amount);
        (uint256 perUnit, uint256 earning, uint256 carry) = ITokenRent(token).openRent(period, amount);
        emit RentOpened(token, period, amount, earning, perUnit, carry, book.available, reason, _msgSender());
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
            try this.pay(token, wallets[i]) {}
            catch (bytes memory refusal) {
                emit RentPaymentFailed(token, wallets[i], bytes4(refusal));
            }
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
        Schedule memory schedule = _rent().schedules[token];
        return RentTerms(_book(token).paymentToken, schedule.start, schedule.length);
    }

    /// @inheritdoc IRentDistributor
    function claimable(address token, address wallet) external view returns (uint256) {
        return ITokenRent(token).rentOf(wallet) >> 128;
    }

    /// @inheritdoc INodeContract
    function operations() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](7);
        selectors[0] = IRentDistributor.setRentTerms.selector;
        selectors[1] = IRentDistributor.open.selector;
        selectors[2] = IRentDistributor.claimFor.selector;
        selectors[3] = IRentDistributor.push.selector;
        selectors[4] = ITokenFunds.fundFor.selector;
        selectors[5] = ITokenFunds.withdraw.selector;
        selectors[6] = INodeContract.usePermit.selector;
    }

    // ---------------------------------------------------------------- private

    /// @dev Period 0 is refused by the token, like all but the next one.
    function _checkDue(address token, uint256 period) private view {
        Schedule memory schedule = _rent().schedules[token];
        uint256 due = period == 0 ? 0 : schedule.start + (period - 1) * schedule.length;
        if (block.timestamp < due) revert PeriodNotDue(period, due);
    }

    /// @dev Rounds down: the fraction of a base unit stays in the wallet's account.
    function _pay(address token, address wallet) private returns (uint256 amount) {
        amount = ITokenRent(token).collectRent(wallet);
        if (amount == 0) revert NoRent(token, wallet);
        Fund storage book = _book(token);
        uint256 owed = book.owed;
        if (amount > owed) revert RentNotOwed(token, owed, amount);
        owed -= amount;
        book.owed = owed;
        Payments.push(book.paymentToken, wallet, amount);
        emit RentPaid(token, wallet, amount, owed);
    }

    function _rent() private pure returns (RentStorage storage $) {
        assembly ("memory-safe") {
            $.slot := RENT_STORAGE
        }
    }
}
