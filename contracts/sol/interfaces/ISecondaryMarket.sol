// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ISecondaryMarket
/// @notice Settles orders that have been matched elsewhere: both legs or none, at the price of the order that was there
/// first, inside the token's price band. Prices are base units of the payment token for one whole token. What is rounded
/// is rounded against the taker, the order that came second.
interface ISecondaryMarket {
    enum Side {
        Buy,
        Sell
    }

    /// @notice What a wallet signs. A market or stop order signs its worst price.
    /// @param limitPrice Most that a buyer pays, least that a seller takes.
    /// @param maxFeeBps Most of the fee, in hundredths of a per cent of the cost, that the wallet accepts as taker.
    /// @param validFrom Unix second from which it counts.
    /// @param expiry Unix second from which it no longer counts.
    struct Order {
        address wallet;
        address token;
        address paymentToken;
        Side side;
        uint256 quantity;
        uint256 limitPrice;
        uint16 maxFeeBps;
        uint64 validFrom;
        uint64 expiry;
        bytes32 salt;
    }

    /// @param buyRests Whether the buy order was there first.
    struct Match {
        Order sell;
        Order buy;
        uint256 quantity;
        bool buyRests;
    }

    /// @param minPrice Lower end of the band, `maxPrice` its upper end; both are inside.
    /// @param feeBps Fee of the taker, in hundredths of a per cent of the cost, rounded down.
    /// @param lot Base units of the token, at least 1: only whole multiples are traded, so that no order is worn down by
    /// what rounding takes.
    struct MarketTerms {
        address paymentToken;
        bool open;
        uint16 feeBps;
        uint72 lot;
        uint128 minPrice;
        uint128 maxPrice;
    }

    /// @param cost What the quantity is worth at `price`: rounded up where the buyer is the taker, else down. The buyer
    /// pays it, with the fee on top as taker; the seller gets it, less the fee as taker.
    /// @param sellFilled What of the order has been filled with this trade.
    struct Trade {
        address seller;
        address buyer;
        uint256 quantity;
        address paymentToken;
        uint256 price;
        uint256 cost;
        uint256 fee;
        bool buyRests;
        uint256 sellFilled;
        uint256 buyFilled;
    }

    event MarketTermsChanged(address indexed token, MarketTerms terms, bytes32 reason, address operator);
    /// @param sell Hash of the sell order, `buy` of the other.
    event Traded(address indexed token, bytes32 indexed sell, bytes32 indexed buy, Trade trade);
    event OrderCancelled(address indexed wallet, bytes32 indexed order);
    /// @notice No order of `wallet` counts that was valid from before `time`.
    event OrdersCancelledBefore(address indexed wallet, uint64 time);

    /// @notice The terms contradict themselves.
    error InvalidMarketTerms(address token);

    error MarketClosed(address token);

    /// @notice Not a multiple of the lot above none.
    error NotWholeLots(uint256 lot, uint256 quantity);

    /// @notice The seller would get nothing.
    error TradeTooSmall(uint256 cost, uint256 fee);

    /// @notice Not a sale and a purchase of one token for the market's payment token by two wallets.
    error OrdersDoNotMatch();

    /// @notice Below the seller's limit or above the buyer's.
    error PriceOutsideLimits(uint256 price, uint256 sellLimit, uint256 buyLimit);

    error PriceOutsideBand(uint256 price, uint256 minPrice, uint256 maxPrice);

    /// @notice Before its time, or past it.
    error OrderNotValid(bytes32 order, uint256 validFrom, uint256 expiry);

    /// @notice The wallet has cancelled it.
    error OrderIsCancelled(bytes32 order);

    error OrderOverfilled(bytes32 order, uint256 left, uint256 quantity);

    /// @notice Times to come are not cancelled: orders of then could not be placed at all.
    error TimeInFuture(uint256 time);

    /// @custom:access the token's DEFAULT_ADMIN_ROLE, TERMS_ROLE
    function setMarketTerms(address token, MarketTerms calldata terms, bytes32 reason) external;

    /// @notice Moves `quantity` from seller to buyer, and the money the other way.
    /// @custom:access the token's MATCHER_ROLE
    function settle(Match calldata matched, bytes calldata sellSignature, bytes calldata buySignature) external;

    /// @notice Cancels an order of the caller. Works always, whatever is closed or paused.
    function cancel(bytes32 order) external;

    /// @notice Cancels an order for the wallet that has signed so.
    /// @custom:access anyone
    function cancelFor(address wallet, bytes32 order, bytes calldata signature) external;

    /// @notice Cancels all orders of the caller that are valid from before `time`, which lies not in the future. Orders
    /// that count only from later on are cancelled one by one.
    function cancelAllBefore(uint64 time) external;

    function marketTermsOf(address token) external view returns (MarketTerms memory);

    /// @notice What an order is known by: its EIP-712 digest.
    function hashOf(Order calldata order) external view returns (bytes32);

    /// @notice What has been filled of an order; 2^256 − 1 where the wallet has cancelled it.
    function filledOf(address wallet, bytes32 order) external view returns (uint256);

    function cancelledBefore(address wallet) external view returns (uint64);
}
