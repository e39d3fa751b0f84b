// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {INodeContract} from "../interfaces/INodeContract.sol";
import {ISecondaryMarket} from "../interfaces/ISecondaryMarket.sol";
import {TokenRoles} from "../lib/TokenRoles.sol";
import {NodeContract} from "./NodeContract.sol";
import {Trading} from "./Trading.sol";

/// @title SecondaryMarket
/// @notice Settles matched orders. The matcher chooses who trades with whom and when; what each wallet gives and gets at
/// worst stands in what it has signed.
contract SecondaryMarket is ISecondaryMarket, Trading {
    /// @custom:storage-location erc7201:tokenx.storage.SecondaryMarket
    struct MarketStorage {
        mapping(address token => Market) markets;
        mapping(address wallet => mapping(bytes32 order => uint256)) filled;
        mapping(address wallet => uint64) cancelledBefore;
    }

    /// @dev `unit` is one whole token in base units.
    struct Market {
        MarketTerms terms;
        uint256 unit;
    }

    bytes32 private constant ORDER = keccak256(
        "Order(address wallet,address token,address paymentToken,uint8 side,uint256 quantity,uint256 limitPrice,uint16 maxFeeBps,uint64 validFrom,uint64 expiry,bytes32 salt)"
    );
    uint256 private constant CANCELLED = type(uint256).max;

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.SecondaryMarket")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant MARKET_STORAGE = 0x319b6c47ac5ca40712ce4b674a26ab12a9ac95bb5ee7b8d702c1d5ba347a6c00;

    constructor() NodeContract("tokenx SecondaryMarket") {}

    /// @inheritdoc ISecondaryMarket
    function setMarketTerms(address token, MarketTerms calldata terms, bytes32 reason) external onlyTerms(token) {
        bool sound = terms.paymentToken.code.length != 0 && _isFee(terms.feeBps) && terms.minPrice != 0
            && terms.minPrice <= terms.maxPrice && terms.lot != 0;
        if (!sound) revert InvalidMarketTerms(token);
        Market storage market = _market().markets[token];
        (market.terms, market.unit) = (terms, 10 ** IERC20Metadata(token).decimals());
        emit MarketTermsChanged(token, terms, reason, _msgSender());
    }

    // ---------------------------------------------------------------- orders

    /// @inheritdoc ISecondaryMarket
    function settle(Match calldata matched, bytes calldata sellSignature, bytes calldata buySignature)
        external
        nonReentrant
        onlyTokenRole(matched.sell.token, TokenRoles.MATCHER_ROLE)
    {
        Trade memory trade = _price(matched);
        bytes32 sell;
        bytes32 buy;
        (sell, trade.sellFilled) = _fill(matched.sell, matched.quantity, sellSignature);
        (buy, trade.buyFilled) = _fill(matched.buy, matched.quantity, buySignature);
        _swap(
            Swap({
                token: matched.sell.token,
                seller: trade.seller,
                buyer: trade.buyer,
                quantity: trade.quantity,
                paymentToken: trade.paymentToken,
                toSeller: _toSeller(trade),
                fee: trade.fee
            })
        );
        emit Traded(matched.sell.token, sell, buy, trade);
    }

    /// @inheritdoc ISecondaryMarket
    function cancel(bytes32 order) external {
        _cancel(_msgSender(), order);
    }

    /// @inheritdoc ISecondaryMarket
    function cancelFor(address wallet, bytes32 order, bytes calldata signature) external {
        _checkCancellation(wallet, order, signature);
        _cancel(wallet, order);
    }

    /// @inheritdoc ISecondaryMarket
    function cancelAllBefore(uint64 time) external {
        if (time > block.timestamp) revert TimeInFuture(time);
        MarketStorage storage $ = _market();
        if (time > $.cancelledBefore[_msgSender()]) $.cancelledBefore[_msgSender()] = time;
        emit OrdersCancelledBefore(_msgSender(), $.cancelledBefore[_msgSender()]);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc ISecondaryMarket
    function marketTermsOf(address token) external view returns (MarketTerms memory) {
        return _market().markets[token].terms;
    }

    /// @inheritdoc ISecondaryMarket
    function hashOf(Order calldata order) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ORDER, order)));
    }

    /// @inheritdoc ISecondaryMarket
    function filledOf(address wallet, bytes32 order) external view returns (uint256) {
        return _market().filled[wallet][order];
    }

    /// @inheritdoc ISecondaryMarket
    function cancelledBefore(address wallet) external view returns (uint64) {
        return _market().cancelledBefore[wallet];
    }

    /// @inheritdoc INodeContract
    function operations() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](3);
        selectors[0] = ISecondaryMarket.settle.selector;
        selectors[1] = ISecondaryMarket.cancelFor.selector;
        selectors[2] = INodeContract.usePermit.selector;
    }

    /// @inheritdoc INodeContract
    function termSetters() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](1);
        selectors[0] = ISecondaryMarket.setMarketTerms.selector;
    }

    // ---------------------------------------------------------------- private

    /// @dev What a match costs, by the terms of the market and of both orders.
    function _price(Match calldata matched) private view returns (Trade memory trade) {
        (Order calldata sell, Order calldata buy) = (matched.sell, matched.buy);
        Market storage market = _market().markets[sell.token];
        MarketTerms memory terms = market.terms;
        if (!terms.open) revert MarketClosed(sell.token);
        bool fits = sell.side == Side.Sell && buy.side == Side.Buy && sell.token == buy.token
            && sell.paymentToken == terms.paymentToken && buy.paymentToken == terms.paymentToken
            && sell.wallet != buy.wallet;
        if (!fits) revert OrdersDoNotMatch();
        uint256 price = matched.buyRests ? buy.limitPrice : sell.limitPrice;
        if (sell.limitPrice > buy.limitPrice) revert PriceOutsideLimits(price, sell.limitPrice, buy.limitPrice);
        if (price < terms.minPrice || price > terms.maxPrice) {
            revert PriceOutsideBand(price, terms.minPrice, terms.maxPrice);
        }
        if (matched.quantity == 0 || matched.quantity % terms.lot != 0) {
            revert NotWholeLots(terms.lot, matched.quantity);
        }
        (trade.seller, trade.buyer, trade.quantity) = (sell.wallet, buy.wallet, matched.quantity);
        (trade.paymentToken, trade.price, trade.buyRests) = (terms.paymentToken, price, matched.buyRests);
        // Against the taker: up where it pays, down where it is paid.
        Math.Rounding rounding = matched.buyRests ? Math.Rounding.Floor : Math.Rounding.Ceil;
        trade.cost = Math.mulDiv(matched.quantity, price, market.unit, rounding);
        trade.fee = _fee(trade.cost, terms.feeBps, (matched.buyRests ? sell : buy).maxFeeBps);
        // Nothing is given away for what rounds to nothing.
        if (_toSeller(trade) == 0) revert TradeTooSmall(trade.cost, trade.fee);
    }

    /// @dev The fee comes out of the cost where the seller is the taker.
    function _toSeller(Trade memory trade) private pure returns (uint256) {
        return trade.buyRests ? trade.cost - trade.fee : trade.cost;
    }

    /// @dev Fills part of an order that its wallet has signed and that counts now.
    function _fill(Order calldata order, uint256 quantity, bytes calldata signature)
        private
        returns (bytes32 hash, uint256 filled)
    {
        hash = hashOf(order);
        MarketStorage storage $ = _market();
        address wallet = order.wallet;
        if (block.timestamp < order.validFrom || block.timestamp >= order.expiry) {
            revert OrderNotValid(hash, order.validFrom, order.expiry);
        }
        filled = $.filled[wallet][hash];
        if (filled == CANCELLED || order.validFrom < $.cancelledBefore[wallet]) revert OrderIsCancelled(hash);
        if (quantity > order.quantity - filled) revert OrderOverfilled(hash, order.quantity - filled, quantity);
        _checkSignature(wallet, hash, signature);
        filled += quantity;
        $.filled[wallet][hash] = filled;
    }

    function _cancel(address wallet, bytes32 order) private {
        _market().filled[wallet][order] = CANCELLED;
        emit OrderCancelled(wallet, order);
    }

    function _market() private pure returns (MarketStorage storage $) {
        assembly ("memory-safe") {
            $.slot := MARKET_STORAGE
        }
    }
}
