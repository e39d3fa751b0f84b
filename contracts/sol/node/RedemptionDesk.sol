// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IERC7943Fungible} from "../interfaces/IERC7943.sol";
import {IInvestorRegistry} from "../interfaces/IInvestorRegistry.sol";
import {IListing} from "../interfaces/IListing.sol";
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
        address listing;
        mapping(address token => Redeemed) tokens;
    }

    /// @dev `unit` is one whole token in base units.
    struct Redeemed {
        RedemptionTerms terms;
        uint256 unit;
        mapping(uint256 requestId => Request) requests;
        mapping(address paymentToken => mapping(address wallet => uint256)) credits;
    }

    bytes32 private constant REDEMPTION = keccak256(
        "Redemption(address wallet,address token,uint256 quantity,address paymentToken,uint256 minPayout,uint256 deadline,bytes32 salt)"
    );

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.RedemptionDesk")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant DESK_STORAGE = 0x9b11fdcd1a83f7120006b37e46da10c29698596647bab05dc829aee7afc99b00;

    constructor() NodeContract("tokenx RedemptionDesk") {}

    /// @inheritdoc IRedemptionDesk
    function setRedemptionTerms(address token, RedemptionTerms calldata terms, bytes32 reason)
        external
        nonReentrant
        onlyTerms(token)
    {
        if (terms.paymentToken.code.length == 0) revert InvalidAddress(terms.paymentToken);
        Redeemed storage redeemed = _of(token);
        (redeemed.terms, redeemed.unit) = (terms, 10 ** IERC20Metadata(token).decimals());
        emit RedemptionTermsChanged(token, terms, reason, _msgSender());
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
        if (_of(token).requests[requestId].wallet != _msgSender()) revert NotRequester(_msgSender());
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
        _checkPrice(token, asked.quantity, payout);
        uint256 available = _owe(token, asked.paymentToken, payout);
        ITokenHolds(token).executeHold(asked.wallet, requestId, reason);
        uint256 credit = _pay(token, asked.wallet, asked.paymentToken, payout);
        emit RedemptionApproved(
            token,
            requestId,
            asked.wallet,
            asked.quantity,
            asked.paymentToken,
            payout,
            available,
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
        address listing = _desk().listing;
        bool ended = listing == address(0) || IListing(listing).statusOf(token) == IListing.Status.Passive;
        if (!ended) revert StillOnSale(token);
        ITokenExtension(token).retire(reason);
    }

    // ---------------------------------------------------------------- credits

    /// @inheritdoc IRedemptionDesk
    function draw(address token, address paymentToken, address wallet) external nonReentrant returns (uint256 amount) {
        if (!IERC7943Fungible(token).canSend(wallet)) revert CreditWithheld(wallet);
        amount = _takeCredit(token, paymentToken, wallet);
        _book(token, paymentToken).owed -= amount;
        Payments.push(paymentToken, wallet, amount);
        emit CreditDrawn(token, paymentToken, wallet, amount);
    }

    /// @inheritdoc IRedemptionDesk
    function moveCredit(address token, address paymentToken, address from, address to, bytes32 reason)
        external
        nonReentrant
    {
        bool anybodys = _hasTokenRole(token, DEFAULT_ADMIN_ROLE);
        if (!anybodys) _checkTokenRole(token, keccak256("ENFORCER_ROLE"));
        IInvestorRegistry registry = IInvestorRegistry(ISecurityToken(token).registry());
        IInvestorRegistry.Investor memory lost = registry.investorOf(from);
        IInvestorRegistry.Investor memory found = registry.investorOf(to);
        bool replaced = (anybodys || lost.investorId == found.investorId) && lost.flags & InvestorFlags.WHITELISTED == 0
            && found.flags & InvestorFlags.WHITELISTED != 0;
        if (!replaced) revert NotReplaced(from, to);
        uint256 amount = _takeCredit(token, paymentToken, from);
        uint256 credit = _of(token).credits[paymentToken][to] += amount;
        emit CreditMoved(token, from, to, paymentToken, amount, credit, reason, _msgSender());
    }

    /// @notice Pays out of this contract, for itself alone: a payment that fails takes nothing else back with it.
    function pay(address paymentToken, address to, uint256 amount) external {
        if (_msgSender() != address(this)) revert NotSelf(_msgSender());
        Payments.push(paymentToken, to, amount);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IRedemptionDesk
    function requestOf(address token, uint256 requestId) external view returns (Request memory) {
        return _of(token).requests[requestId];
    }

    /// @inheritdoc IRedemptionDesk
    function redemptionTermsOf(address token) external view returns (RedemptionTerms memory) {
        return _of(token).terms;
    }

    /// @inheritdoc IRedemptionDesk
    function creditOf(address token, address paymentToken, address wallet) external view returns (uint256) {
        return _of(token).credits[paymentToken][wallet];
    }

    /// @inheritdoc INodeContract
    function operations() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](9);
        selectors[0] = IRedemptionDesk.requestFor.selector;
        selectors[1] = IRedemptionDesk.approve.selector;
        selectors[2] = IRedemptionDesk.reject.selector;
        selectors[3] = IRedemptionDesk.draw.selector;
        selectors[4] = IRedemptionDesk.moveCredit.selector;
        selectors[5] = IRedemptionDesk.retire.selector;
        selectors[6] = ITokenFunds.fundFor.selector;
        selectors[7] = ITokenFunds.withdraw.selector;
        selectors[8] = INodeContract.usePermit.selector;
    }

    /// @inheritdoc INodeContract
    function termSetters() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](1);
        selectors[0] = IRedemptionDesk.setRedemptionTerms.selector;
    }

    // ---------------------------------------------------------------- internal

    function _wire(NodeInit calldata init) internal override {
        _desk().listing = init.contracts.listing;
    }

    function _paymentToken(address token) internal view override returns (address) {
        return _of(token).terms.paymentToken;
    }

    // ---------------------------------------------------------------- private

    /// @dev No fund is paid out for a few units: what the terms allow for one whole token bounds each payout.
    function _checkPrice(address token, uint256 quantity, uint256 payout) private view {
        Redeemed storage redeemed = _of(token);
        uint256 maxPayout = Math.mulDiv(quantity, redeemed.terms.maxPrice, redeemed.unit);
        if (payout > maxPayout) revert PayoutTooHigh(maxPayout, payout);
    }

    function _request(address wallet, address token, uint256 quantity, address paymentToken, uint256 minPayout)
        private
        returns (uint256 requestId)
    {
        _checkPaymentToken(token, paymentToken);
        requestId = ITokenHolds(token).placeHold(wallet, quantity, 0, "redemption");
        // What is held is part of a balance.
        // forge-lint: disable-next-line(unsafe-typecast)
        _of(token).requests[requestId] = Request(wallet, uint104(quantity), minPayout, paymentToken);
        emit RedemptionRequested(token, requestId, wallet, quantity, paymentToken, minPayout);
    }

    /// @dev Takes a request out of the books.
    function _end(address token, uint256 requestId) private returns (Request memory asked) {
        mapping(uint256 requestId => Request) storage requests = _of(token).requests;
        asked = requests[requestId];
        if (asked.wallet == address(0)) revert UnknownRequest(token, requestId);
        delete requests[requestId];
    }

    /// @dev Force and recovery end holds: a request whose hold is gone can only be closed.
    function _close(address token, uint256 requestId, bytes32 reason) private {
        Request memory asked = _end(token, requestId);
        try ITokenHolds(token).releaseHold(asked.wallet, requestId, reason) {}
        catch (bytes memory refusal) {
            if (bytes4(refusal) != ITokenHolds.UnknownHold.selector) _refuse(refusal);
        }
        emit RedemptionClosed(token, requestId, asked.wallet, asked.quantity, reason, _msgSender());
    }

    /// @dev What is owed is paid, or is the wallet's to draw: then says how much that is in all.
    function _pay(address token, address wallet, address paymentToken, uint256 payout)
        private
        returns (uint256 credit)
    {
        try this.pay(paymentToken, wallet, payout) {
            _book(token, paymentToken).owed -= payout;
        } catch {
            credit = _of(token).credits[paymentToken][wallet] += payout;
        }
    }

    function _takeCredit(address token, address paymentToken, address wallet) private returns (uint256 amount) {
        mapping(address wallet => uint256) storage credits = _of(token).credits[paymentToken];
        amount = credits[wallet];
        if (amount == 0) revert NoCredit(token, paymentToken, wallet);
        credits[wallet] = 0;
    }

    function _of(address token) private view returns (Redeemed storage) {
        return _desk().tokens[token];
    }

    function _desk() private pure returns (DeskStorage storage $) {
        assembly ("memory-safe") {
            $.slot := DESK_STORAGE
        }
    }
}
