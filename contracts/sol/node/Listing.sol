// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IInvestorRegistry} from "../interfaces/IInvestorRegistry.sol";
import {IListing} from "../interfaces/IListing.sol";
import {INodeContract} from "../interfaces/INodeContract.sol";
import {ISecurityToken} from "../interfaces/ISecurityToken.sol";
import {Payments} from "../lib/Payments.sol";
import {TokenRoles} from "../lib/TokenRoles.sol";
import {NodeContract} from "./NodeContract.sol";

/// @title Listing
/// @notice Primary sale. Whole tokens at a price per whole token: nothing is ever rounded.
/// @dev Has the tokens' MINTER_ROLE and uses it for what has been paid in full, no more.
contract Listing is IListing, NodeContract {
    /// @custom:storage-location erc7201:tokenx.storage.Listing
    struct ListingStorage {
        mapping(address token => Sale) sales;
    }

    /// @dev `unit` is one whole token in base units, 0 where no terms have been set.
    struct Sale {
        Terms terms;
        Supply supply;
        uint104 unit;
        Status status;
        mapping(uint64 investorId => uint256) purchases;
    }

    bytes32 private constant PURCHASE = keccak256(
        "Purchase(address wallet,address token,uint256 quantity,address paymentToken,uint256 maxCost,uint256 deadline,bytes32 salt)"
    );
    uint256 private constant ALL_BPS = 10_000;

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.Listing")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant LISTING_STORAGE = 0x54cc8ff63871e7197df75e000951f17ce33e7330b6823e31c7b4e7089968b100;

    constructor() NodeContract("tokenx Listing") {}

    // ---------------------------------------------------------------- terms

    /// @inheritdoc IListing
    function setTerms(address token, Terms calldata terms, bytes32 reason) external onlyTerms(token) {
        Sale storage sale = _sale(token);
        if (sale.status == Status.Passive) revert NotOnSale(token, sale.status);
        uint256 unit = 10 ** IERC20Metadata(token).decimals();
        uint256 listed = ISecurityToken(token).maxSupply() * terms.salableBps / ALL_BPS / unit * unit;
        Supply memory supply = sale.supply;
        bool sound = terms.paymentToken.code.length != 0 && terms.price != 0 && terms.salableBps <= ALL_BPS
            && (terms.closesAt == 0 || terms.closesAt > terms.opensAt)
            && (terms.maxPurchase == 0 || terms.maxPurchase >= terms.minPurchase) && listed != 0
            && listed >= uint256(supply.purchased) + supply.fees && terms.maxFees >= supply.fees;
        if (!sound) revert InvalidTerms(token);
        // No token has more than 18 decimals, nor a supply above 104 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        (sale.terms, sale.supply.listed, sale.unit) = (terms, uint104(listed), uint104(unit));
        emit ListingTermsChanged(token, terms, listed, reason, _msgSender());
    }

    /// @inheritdoc IListing
    function list(address token, bytes32 reason) external {
        Status status = _sale(token).status;
        bool possible = status == Status.NotListed || status == Status.Delisted;
        _setStatus(token, Status.Listed, possible && _sale(token).unit != 0, reason);
    }

    /// @inheritdoc IListing
    function delist(address token, bytes32 reason) external {
        _setStatus(token, Status.Delisted, _sale(token).status == Status.Listed, reason);
    }

    /// @inheritdoc IListing
    function passivate(address token, bytes32 reason) external {
        _setStatus(token, Status.Passive, _sale(token).status != Status.Passive, reason);
    }

    /// @inheritdoc IListing
    function reserveFees(address token, uint256 amount, bytes32 reason)
        external
        onlyTokenRole(token, TokenRoles.TERMS_ROLE)
    {
        Sale storage sale = _sale(token);
        uint256 sold = _take(sale, amount);
        uint256 fees = sale.supply.fees + amount;
        uint256 maxFees = sale.terms.maxFees;
        if (fees > maxFees) revert FeesAboveLimit(maxFees, fees);
        // It is part of what is listed.
        // forge-lint: disable-next-line(unsafe-typecast)
        sale.supply.fees = uint104(fees);
        emit FeesReserved(token, amount, fees, sold, reason, _msgSender());
    }

    // ---------------------------------------------------------------- purchases

    /// @inheritdoc IListing
    function buy(address token, uint256 quantity, address paymentToken, uint256 maxCost)
        external
        nonReentrant
        returns (uint256)
    {
        return _buy(_msgSender(), token, quantity, paymentToken, maxCost);
    }

    /// @inheritdoc IListing
    function buyFor(Purchase calldata purchase, bytes calldata signature)
        external
        nonReentrant
        onlyTokenRole(purchase.token, TokenRoles.CARRIER_ROLE)
        returns (uint256)
    {
        bytes32 structHash = keccak256(abi.encode(PURCHASE, purchase));
        _useIntent(purchase.wallet, purchase.salt, purchase.deadline, structHash, signature);
        return _buy(purchase.wallet, purchase.token, purchase.quantity, purchase.paymentToken, purchase.maxCost);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IListing
    function termsOf(address token) external view returns (Terms memory) {
        return _sale(token).terms;
    }

    /// @inheritdoc IListing
    function supplyOf(address token) external view returns (Supply memory) {
        return _sale(token).supply;
    }

    /// @inheritdoc IListing
    function statusOf(address token) external view returns (Status) {
        return _sale(token).status;
    }

    /// @inheritdoc IListing
    function purchasedBy(address token, uint64 investorId) external view returns (uint256) {
        return _sale(token).purchases[investorId];
    }

    /// @inheritdoc INodeContract
    function operations() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](6);
        selectors[0] = IListing.list.selector;
        selectors[1] = IListing.delist.selector;
        selectors[2] = IListing.passivate.selector;
        selectors[3] = IListing.reserveFees.selector;
        selectors[4] = IListing.buyFor.selector;
        selectors[5] = INodeContract.usePermit.selector;
    }

    /// @inheritdoc INodeContract
    function termSetters() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](1);
        selectors[0] = IListing.setTerms.selector;
    }

    // ---------------------------------------------------------------- private

    /// @dev Books first, then the money, then the units: whatever fails takes all of it back.
    function _buy(address buyer, address token, uint256 quantity, address paymentToken, uint256 maxCost)
        private
        returns (uint256 cost)
    {
        Sale storage sale = _sale(token);
        Terms memory terms = sale.terms;
        _checkOpen(token, sale.status, terms);
        uint256 sold = _take(sale, quantity);
        cost = quantity / sale.unit * terms.price;
        if (paymentToken != terms.paymentToken || cost > maxCost) {
            revert CostAboveLimit(terms.paymentToken, cost, maxCost);
        }
        // It is part of what is listed.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 purchased = sale.supply.purchased += uint104(quantity);
        (uint64 investorId, uint256 total) = _count(sale, terms, buyer, token, quantity);

        Payments.pull(paymentToken, buyer, treasury(), cost);
        ISecurityToken(token).mint(buyer, quantity, "purchase");
        emit Purchased(token, buyer, investorId, quantity, paymentToken, cost, total, purchased, sold);
    }

    function _checkOpen(address token, Status status, Terms memory terms) private view {
        bool open = status == Status.Listed && block.timestamp >= terms.opensAt
            && (terms.closesAt == 0 || block.timestamp < terms.closesAt);
        if (!open) revert NotOnSale(token, status);
    }

    /// @dev Takes whole tokens out of what is left; says what is sold with them.
    function _take(Sale storage sale, uint256 quantity) private view returns (uint256 sold) {
        uint256 unit = sale.unit;
        if (unit == 0 || quantity == 0 || quantity % unit != 0) revert NotWhole(quantity);
        Supply memory supply = sale.supply;
        sold = uint256(supply.purchased) + supply.fees;
        if (quantity > supply.listed - sold) revert SoldOut(supply.listed - sold, quantity);
        sold += quantity;
    }

    /// @dev Holds a purchase against what the investor, not the wallet, must and may buy.
    function _count(Sale storage sale, Terms memory terms, address buyer, address token, uint256 quantity)
        private
        returns (uint64 investorId, uint256 total)
    {
        investorId = IInvestorRegistry(ISecurityToken(token).registry()).investorOf(buyer).investorId;
        total = sale.purchases[investorId] + quantity;
        if (total < terms.minPurchase || (terms.maxPurchase != 0 && total > terms.maxPurchase)) {
            revert PurchaseOutOfRange(terms.minPurchase, terms.maxPurchase, total);
        }
        sale.purchases[investorId] = total;
    }

    function _setStatus(address token, Status to, bool possible, bytes32 reason)
        private
        onlyTokenRole(token, TokenRoles.TERMS_ROLE)
    {
        Sale storage sale = _sale(token);
        if (!possible) revert InvalidStatusChange(token, sale.status, to);
        sale.status = to;
        emit ListingStatusChanged(token, to, reason, _msgSender());
    }

    function _sale(address token) private view returns (Sale storage) {
        ListingStorage storage $;
        assembly ("memory-safe") {
            $.slot := LISTING_STORAGE
        }
        return $.sales[token];
    }
}
