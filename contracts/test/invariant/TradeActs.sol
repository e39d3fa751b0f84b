// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOtcDesk} from "../../sol/interfaces/IOtcDesk.sol";
import {ISecondaryMarket} from "../../sol/interfaces/ISecondaryMarket.sol";
import {OtcDesk} from "../../sol/node/OtcDesk.sol";
import {SecondaryMarket} from "../../sol/node/SecondaryMarket.sol";
import {NodeHandler} from "./NodeHandler.sol";
import {World} from "./World.sol";
import {TypedData} from "../node/TypedData.sol";

/// @notice Orders and deals, proper and improper. Watches I10 and I11.
contract TradeActs is NodeHandler {
    /// @dev The terms, told a second time; prices around the band.
    uint256 private constant LOW = 10e6;
    uint256 private constant BAND = 10e6;
    uint256 private constant LOT = 1e9;
    uint256 private constant KEPT = 64;

    SecondaryMarket private immutable market;
    OtcDesk private immutable otc;

    /// @notice Orders that have been settled or cancelled, with the numbers of their wallets.
    ISecondaryMarket.Order[] private _orders;
    uint256[] private _signers;
    IOtcDesk.Deal[] private _deals;
    mapping(bytes32 deal => uint256) public settled;

    constructor(World world_) NodeHandler(world_) {
        (market, otc) = (world_.node().market, world_.node().otc);
    }

    function orders() external view returns (ISecondaryMarket.Order[] memory) {
        return _orders;
    }

    function deals() external view returns (IOtcDesk.Deal[] memory) {
        return _deals;
    }

    // ---------------------------------------------------------------- market

    /// @dev Mostly open.
    function setMarketTerms(uint256 seed) external followed {
        ISecondaryMarket.MarketTerms memory terms = ISecondaryMarket.MarketTerms({
            paymentToken: address(usd),
            open: seed % 8 != 0,
            feeBps: uint16((seed >> 8) % 200),
            lot: uint72(seed % 8 < 4 ? 1 : LOT),
            minPrice: uint128(LOW + (seed >> 32) % 1e6),
            maxPrice: uint128(LOW + BAND + (seed >> 64) % 1e6)
        });
        vm.assume(direct(address(market), abi.encodeCall(market.setMarketTerms, (address(token), terms, REASON))));
    }

    /// @dev New orders and old ones, in every order.
    function settle(uint256 seller, uint256 buyer, uint256 quantity, uint256 seed) external followed {
        ISecondaryMarket.Match memory m;
        uint256[2] memory numbers;
        (m.sell, numbers[0]) = _order(sellerOf(seller), ISecondaryMarket.Side.Sell, quantity, seed);
        (m.buy, numbers[1]) = _order(buyerOf(buyer), ISecondaryMarket.Side.Buy, quantity, seed >> 64);
        m.quantity = amountNear(quantity, replica.freeOf(m.sell.wallet) / 4);
        if (seed >> 136 & 3 != 3) m.quantity -= m.quantity % LOT;
        m.buyRests = (seed >> 128) % 2 == 0;
        bool admitted = _admits(m) && !forged(seed >> 130);
        uint256 held = token.balanceOf(m.buy.wallet);
        bytes memory sells = sign(numbers[0], seed >> 130, address(market), _hashOf(m.sell));
        bytes memory buys = sign(numbers[1], 0, address(market), _hashOf(m.buy));
        bool ok = direct(address(market), abi.encodeCall(market.settle, (m, sells, buys)));
        if (ok != admitted) replica.note(10, "a match ends otherwise than the rules say");
        if (token.balanceOf(m.buy.wallet) - held != (ok ? m.quantity : 0)) replica.note(10, "a leg is missing");
        vm.assume(ok || admitted);
        _keep(m.sell, numbers[0]);
        _keep(m.buy, numbers[1]);
    }

    function cancelOrder(uint256 which) external followed {
        vm.assume(_orders.length != 0);
        ISecondaryMarket.Order memory order = _orders[which % _orders.length];
        if (!attempt(order.wallet, address(market), abi.encodeCall(market.cancel, (market.hashOf(order))))) {
            replica.note(10, "an order cannot be cancelled");
        }
    }

    function cancelAllBefore(uint256 wallet, uint256 ago) external followed {
        uint64 time = uint64(block.timestamp - ago % 3 days);
        vm.assume(
            ago % 16 == 7
                && attempt(world.wallet(wallet), address(market), abi.encodeCall(market.cancelAllBefore, (time)))
        );
    }

    // ---------------------------------------------------------------- deals

    function setOtcTerms(uint256 seed) external followed {
        IOtcDesk.OtcTerms memory terms = IOtcDesk.OtcTerms(seed % 8 != 0, uint16((seed >> 8) % 200));
        vm.assume(direct(address(otc), abi.encodeCall(otc.setOtcTerms, (address(token), terms, REASON))));
    }

    function deal(uint256 seller, uint256 buyer, uint256 quantity, uint256 seed) external followed {
        (uint256 from, uint256 to) = (sellerOf(seller), buyerOf(buyer));
        IOtcDesk.Deal memory d;
        if (seed % 8 == 0 && _deals.length != 0) {
            d = _deals[(seed >> 8) % _deals.length];
            for (uint256 i = 0; i < world.WALLETS(); ++i) {
                if (world.wallet(i) == d.seller) from = i;
                if (world.wallet(i) == d.buyer) to = i;
            }
        } else {
            d = IOtcDesk.Deal({
                token: address(token),
                seller: world.wallet(from),
                buyer: world.wallet(to),
                quantity: amountNear(quantity, replica.freeOf(world.wallet(from)) / 4),
                paymentToken: address(usd),
                payment: (seed >> 16) % 1_000e6,
                maxFeeBps: uint16(180 + (seed >> 64) % 200),
                validFrom: 0,
                deadline: uint64(block.timestamp + (seed >> 80) % 5 days),
                terms: 0,
                salt: bytes32(seed)
            });
        }
        bool admitted = _admits(d) && !forged(seed >> 96);
        (uint256 units, uint256 money) = (token.balanceOf(d.buyer), usd.balanceOf(d.buyer));
        bytes32 structHash = _hashOf(d);
        bytes memory sellers = sign(from, seed >> 96, address(otc), structHash);
        bytes memory buyers = sign(to, 0, address(otc), structHash);
        bool ok = direct(address(otc), abi.encodeCall(otc.settle, (d, sellers, buyers)));
        if (ok != admitted) replica.note(11, "a deal ends otherwise than the rules say");
        if (token.balanceOf(d.buyer) - units != (ok ? d.quantity : 0)) replica.note(11, "the units' leg is wrong");
        if (money - usd.balanceOf(d.buyer) != (ok ? d.payment : 0)) replica.note(11, "the money's leg is wrong");
        vm.assume(ok || admitted);
        if (ok) ++settled[otc.hashOf(d)];
        if (_deals.length < KEPT) _deals.push(d);
    }

    function cancelDeal(uint256 which, uint256 seed) external followed {
        vm.assume(_deals.length != 0);
        IOtcDesk.Deal memory d = _deals[which % _deals.length];
        if (seed % 2 == 0) {
            d.salt = keccak256(abi.encode(seed));
            if (_deals.length < KEPT) _deals.push(d);
        }
        bool admitted = otc.stateOf(otc.hashOf(d)) == IOtcDesk.DealState.Unknown;
        bool ok = attempt(d.seller, address(otc), abi.encodeCall(otc.cancel, (d)));
        if (ok != admitted) replica.note(11, "a deal is cancelled otherwise than the rules say");
        vm.assume(ok);
    }

    // ---------------------------------------------------------------- the rules, once more

    function _admits(ISecondaryMarket.Match memory m) private view returns (bool) {
        (ISecondaryMarket.MarketTerms memory terms,) = nodeReplica.tradeTerms();
        uint256 price = m.buyRests ? m.buy.limitPrice : m.sell.limitPrice;
        uint256 exact = m.quantity > type(uint128).max ? 0 : m.quantity * price;
        uint256 cost = m.buyRests ? exact / 1e18 : (exact + 1e18 - 1) / 1e18;
        if (m.quantity % terms.lot != 0) return false;
        return terms.open && m.sell.wallet != m.buy.wallet && m.sell.limitPrice <= m.buy.limitPrice
            && price >= terms.minPrice && price <= terms.maxPrice && cost != 0
            && terms.feeBps <= (m.buyRests ? m.sell : m.buy).maxFeeBps && _counts(m.sell, m.quantity)
            && _counts(m.buy, m.quantity) && pays(m.buy.wallet, m.sell.wallet)
            && replica.admits(m.sell.wallet, m.buy.wallet, m.quantity) && m.quantity <= token.balanceOf(m.sell.wallet);
    }

    function _counts(ISecondaryMarket.Order memory order, uint256 quantity) private view returns (bool) {
        uint256 filled = nodeReplica.filled(order.wallet, market.hashOf(order));
        return filled != type(uint256).max && filled + quantity <= order.quantity && block.timestamp >= order.validFrom
            && block.timestamp < order.expiry && order.validFrom >= nodeReplica.cancelledBefore(order.wallet);
    }

    function _admits(IOtcDesk.Deal memory d) private view returns (bool) {
        (, IOtcDesk.OtcTerms memory terms) = nodeReplica.tradeTerms();
        return terms.open && d.seller != d.buyer && d.quantity != 0 && d.payment != 0 && block.timestamp <= d.deadline
            && terms.feeBps <= d.maxFeeBps && nodeReplica.deals(otc.hashOf(d)) == IOtcDesk.DealState.Unknown
            && pays(d.buyer, d.seller) && replica.admits(d.seller, d.buyer, d.quantity)
            && d.quantity <= token.balanceOf(d.seller);
    }

    // ---------------------------------------------------------------- private

    /// @dev One time in four an order of that side that is known.
    function _order(uint256 number, ISecondaryMarket.Side side, uint256 quantity, uint256 seed)
        private
        view
        returns (ISecondaryMarket.Order memory, uint256)
    {
        for (uint256 i = 0; seed % 4 == 0 && i < _orders.length; ++i) {
            uint256 at = (seed % 256 + i) % _orders.length;
            if (_orders[at].side == side) return (_orders[at], _signers[at]);
        }
        bool sells = side == ISecondaryMarket.Side.Sell;
        uint256 spread = (seed >> 2) % 8e6;
        return (
            ISecondaryMarket.Order({
                wallet: world.wallet(number),
                token: address(token),
                paymentToken: address(usd),
                side: side,
                quantity: quantity % 16 < 7 ? type(uint128).max : quantity % 10_000e18,
                limitPrice: sells ? LOW + spread : LOW + BAND - spread / 2,
                maxFeeBps: uint16(180 + (seed >> 32) % 200),
                validFrom: uint64(block.timestamp - (seed >> 40) % 2 days),
                expiry: uint64(block.timestamp + (seed >> 48) % 20 days),
                salt: bytes32(seed)
            }),
            number
        );
    }

    function _keep(ISecondaryMarket.Order memory order, uint256 number) private {
        if (_orders.length == KEPT) return;
        _orders.push(order);
        _signers.push(number);
    }

    function _hashOf(ISecondaryMarket.Order memory order) private pure returns (bytes32) {
        return keccak256(abi.encode(TypedData.ORDER, order));
    }

    function _hashOf(IOtcDesk.Deal memory d) private pure returns (bytes32) {
        return keccak256(abi.encode(TypedData.DEAL, d));
    }
}
