// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7943Fungible} from "../interfaces/IERC7943.sol";
import {IInvestorRegistry} from "../interfaces/IInvestorRegistry.sol";
import {INodeContract} from "../interfaces/INodeContract.sol";
import {IRedemptionDesk} from "../interfaces/IRedemptionDesk.sol";
import {ISecurityToken} from "../interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../interfaces/ITokenExtension.sol";
import {ITokenFunds} from "../interfaces/ITokenFunds.sol";
import {ITokenHolds} from "../interfaces/ITokenHolds.sol";
import {InvestorFlags} from "../lib/InvestorFlags.sol";
import {Payments} from "../lib/Payments.sol";
import {TokenRoles} from "../lib/TokenRoles.sol";
import {NodeContract} from "./NodeContract.sol";
import {TokenFunds} from "./TokenFunds.sol";

/// @title RedemptionDesk
/// @notice Takes units back for money.
/// @dev Has the tokens' HOLD_ROLE and BURNER_ROLE. It holds only what a wallet has asked it to and burns only what it
/// holds; the rest of its power is to retire a token without units.
contract RedemptionDesk is IRedemptionDesk, TokenFunds {
    /// @custom:storage-location erc7201:tokenx.storage.RedemptionDesk
    struct DeskStorage {
        mapping(address token => mapping(uint256 requestId => Request)) requests;
        mapping(address token => mapping(address wallet => uint256)) credits;
    }

    bytes32 private constant REDEMPTION = keccak256(
        "Redemption(address wallet,address token,uint256 quantity,address paymentToken,uint256 minPayout,uint256 deadline,bytes32 salt)"
    );

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.RedemptionDesk")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant DESK_STORAGE = 0x9b11fdcd1a83f7120006b37e46da10c29698596647bab05dc829aee7afc99b00;

    constructor() NodeContract("tokenx RedemptionDesk") {}

    /// @inheritdoc IRedemptionDesk
    function setRedemptionTerms(address token, address paymentToken, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.TERMS_ROLE)
    {
        _setPaymentToken(token, paymentToken);
        emit RedemptionTermsChanged(token, paymentToken, reason, _msgSender());
    }

    // ---------------------------------------------------------------- requests

    /// @inheritdoc IRedemptionDesk
    function request(address token, uint256 quantity, address paymentToken, uint256 minPayout)
        external
        nonReentrant
        returns (uint256)
    {
        return _request(_msgSender(), token, quantity, paymentToken, minPayout);
    }

    /// @inheritdoc IRedemptionDesk
    function requestFor(Redemption calldata redemption, bytes calldata signature)
        external
        nonReentrant
        onlyTokenRole(redemption.token, TokenRoles.CARRIER_ROLE)
        returns (uint256)
    {
        Redemption calldata r = redemption;
        _useIntent(r.wallet, r.salt, r.deadline, keccak256(abi.encode(REDEMPTION, r)), signature);
        return _request(r.wallet, r.token, r.quantity, r.paymentToken, r.minPayout);
    }

    /// @inheritdoc IRedemptionDesk
    function cancel(address token, uint256 requestId) external nonReentrant {
        if (_desk().requests[token][requestId].wallet != _msgSender()) revert NotRequester(_msgSender());
        _close(token, requestId, "cancelled");
    }

    // ---------------------------------------------------------------- decisions

    /// @inheritdoc IRedemptionDesk
    function approve(address token, uint256 requestId, uint256 payout, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.PAYOUT_ROLE)
    {
        Request memory asked = _end(token, requestId);
        _checkPaymentToken(token, asked.paymentToken);
        if (payout < asked.minPayout) revert PayoutTooLow(asked.minPayout, payout);
        Fund storage book = _owe(token, payout);
        ITokenHolds(token).executeHold(asked.wallet, requestId, reason);
        uint256 credit = _pay(token, asked.wallet, asked.paymentToken, payout);
        emit RedemptionApproved(
            token,
            requestId,
            asked.wallet,
            asked.quantity,
            asked.paymentToken,
            payout,
            book.available,
            credit,
            reason,
            _msgSender()
        );
    }

    /// @inheritdoc IRedemptionDesk
    function reject(address token, uint256 requestId, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.PAYOUT_ROLE)
    {
        _close(token, requestId, reason);
    }

    /// @inheritdoc IRedemptionDesk
    function retire(address token, bytes32 reason) external onlyTokenRole(token, TokenRoles.PAYOUT_ROLE) {
        ITokenExtension(token).retire(reason);
    }

    // ---------------------------------------------------------------- credits

    /// @inheritdoc IRedemptionDesk
    function draw(address token, address wallet) external nonReentrant returns (uint256 amount) {
        if (!IERC7943Fungible(token).canSend(wallet)) revert CreditWithheld(wallet);
        amount = _takeCredit(token, wallet);
        Fund storage book = _book(token);
        book.owed -= amount;
        Payments.push(book.paymentToken, wallet, amount);
        emit CreditDrawn(token, wallet, amount);
    }

    /// @inheritdoc IRedemptionDesk
    function moveCredit(address token, address from, address to, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, keccak256("ENFORCER_ROLE"))
    {
        IInvestorRegistry registry = IInvestorRegistry(ISecurityToken(token).registry());
        IInvestorRegistry.Investor memory lost = registry.investorOf(from);
        IInvestorRegistry.Investor memory found = registry.investorOf(to);
        bool replaced = lost.investorId == found.investorId && lost.flags & InvestorFlags.WHITELISTED == 0
            && found.flags & InvestorFlags.WHITELISTED != 0;
        if (!replaced) revert NotReplaced(from, to);
        uint256 amount = _takeCredit(token, from);
        uint256 credit = _desk().credits[token][to] += amount;
        emit CreditMoved(token, from, to, amount, credit, reason, _msgSender());
    }

    /// @notice Pays out of this contract, for itself alone: a payment that fails takes nothing else back with it.
    function pay(address paymentToken, address to, uint256 amount) external {
        if (_msgSender() != address(this)) revert NotSelf(_msgSender());
        Payments.push(paymentToken, to, amount);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IRedemptionDesk
    function requestOf(address token, uint256 requestId) external view returns (Request memory) {
        return _desk().requests[token][requestId];
    }

    /// @inheritdoc IRedemptionDesk
    function creditOf(address token, address wallet) external view returns (uint256) {
        return _desk().credits[token][wallet];
    }

    /// @inheritdoc INodeContract
    function operations() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](10);
        selectors[0] = IRedemptionDesk.setRedemptionTerms.selector;
        selectors[1] = IRedemptionDesk.requestFor.selector;
        selectors[2] = IRedemptionDesk.approve.selector;
        selectors[3] = IRedemptionDesk.reject.selector;
        selectors[4] = IRedemptionDesk.draw.selector;
        selectors[5] = IRedemptionDesk.moveCredit.selector;
        selectors[6] = IRedemptionDesk.retire.selector;
        selectors[7] = ITokenFunds.fundFor.selector;
        selectors[8] = ITokenFunds.withdraw.selector;
        selectors[9] = INodeContract.usePermit.selector;
    }

    // ---------------------------------------------------------------- private

    function _request(address wallet, address token, uint256 quantity, address paymentToken, uint256 minPayout)
        private
        returns (uint256 requestId)
    {
        _checkPaymentToken(token, paymentToken);
        requestId = ITokenHolds(token).placeHold(wallet, quantity, 0, "redemption");
        // What is held is part of a balance.
        // forge-lint: disable-next-line(unsafe-typecast)
        _desk().requests[token][requestId] = Request(wallet, uint104(quantity), minPayout, paymentToken);
        emit RedemptionRequested(token, requestId, wallet, quantity, paymentToken, minPayout);
    }

    /// @dev Takes a request out of the books.
    function _end(address token, uint256 requestId) private returns (Request memory asked) {
        DeskStorage storage $ = _desk();
        asked = $.requests[token][requestId];
        if (asked.wallet == address(0)) revert UnknownRequest(token, requestId);
        delete $.requests[token][requestId];
    }

    /// @dev Force and recovery end holds: a request whose hold is gone can only be closed.
    function _close(address token, uint256 requestId, bytes32 reason) private {
        Request memory asked = _end(token, requestId);
        try ITokenHolds(token).releaseHold(asked.wallet, requestId, reason) {}
        catch (bytes memory refusal) {
            if (bytes4(refusal) != ITokenHolds.UnknownHold.selector) {
                assembly ("memory-safe") {
                    revert(add(refusal, 0x20), mload(refusal))
                }
            }
        }
        emit RedemptionClosed(token, requestId, asked.wallet, asked.quantity, reason, _msgSender());
    }

    /// @dev What is owed is paid, or is the wallet's to draw: then says how much that is in all.
    function _pay(address token, address wallet, address paymentToken, uint256 payout)
        private
        returns (uint256 credit)
    {
        try this.pay(paymentToken, wallet, payout) {
            _book(token).owed -= payout;
        } catch {
            credit = _desk().credits[token][wallet] += payout;
        }
    }

    function _takeCredit(address token, address wallet) private returns (uint256 amount) {
        mapping(address wallet => uint256) storage credits = _desk().credits[token];
        amount = credits[wallet];
        if (amount == 0) revert NoCredit(token, wallet);
        credits[wallet] = 0;
    }

    function _desk() private pure returns (DeskStorage storage $) {
        assembly ("memory-safe") {
            $.slot := DESK_STORAGE
        }
    }
}
