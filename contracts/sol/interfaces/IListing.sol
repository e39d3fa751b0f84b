// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IListing
/// @notice Primary sale of a node's tokens against a payment token. The proceeds go straight to the treasury; the listing
/// never holds money or tokens. Quantities are base units of the token, always whole tokens.
interface IListing {
    /// @notice Where a sale stands. Terms may be set until it is passive, which is for ever.
    enum Status {
        NotListed,
        Listed,
        Delisted,
        Passive
    }

    /// @param paymentToken What is paid with.
    /// @param price Base units of it for one whole token.
    /// @param opensAt Unix second from which is sold; 0 = at once.
    /// @param closesAt Unix second from which is sold no more; 0 = never.
    /// @param minPurchase What an investor must have bought after a purchase, at least.
    /// @param maxPurchase What an investor may buy in all, over all its wallets; 0 = no limit.
    /// @param maxFees What may be set aside for fees, at most.
    /// @param salableBps Hundredths of a per cent of the maximum supply that are for sale, 1 to 10,000.
    struct Terms {
        address paymentToken;
        uint48 opensAt;
        uint48 closesAt;
        uint128 price;
        uint104 minPurchase;
        uint104 maxPurchase;
        uint104 maxFees;
        uint16 salableBps;
    }

    /// @param listed Salable share of the maximum supply, whole tokens.
    /// @param purchased What investors have bought.
    /// @param fees What is set aside for fees; with `purchased` it is what is sold, never above `listed`.
    struct Supply {
        uint104 listed;
        uint104 purchased;
        uint104 fees;
    }

    /// @notice What a wallet signs to have a purchase carried.
    /// @param maxCost Most of `paymentToken` that it pays.
    struct Purchase {
        address wallet;
        address token;
        uint256 quantity;
        address paymentToken;
        uint256 maxCost;
        uint256 deadline;
        bytes32 salt;
    }

    /// @param listed What results from the share.
    event ListingTermsChanged(address indexed token, Terms terms, uint256 listed, bytes32 reason, address operator);
    event ListingStatusChanged(address indexed token, Status status, bytes32 reason, address operator);
    event FeesReserved(
        address indexed token, uint256 amount, uint256 fees, uint256 sold, bytes32 reason, address operator
    );
    event Purchased(
        address indexed token,
        address indexed buyer,
        uint64 indexed investorId,
        uint256 quantity,
        address paymentToken,
        uint256 cost,
        uint256 purchasedByInvestor,
        uint256 purchased,
        uint256 sold
    );

    /// @notice The terms contradict themselves, list less than is sold, or allow less for fees than is set aside.
    error InvalidTerms(address token);

    /// @notice Not from here to there.
    error InvalidStatusChange(address token, Status from, Status to);

    /// @notice Not listed, or outside the window.
    error NotOnSale(address token, Status status);

    /// @notice Not a whole number of tokens above none.
    error NotWhole(uint256 quantity);

    /// @notice More than the terms allow for fees.
    error FeesAboveLimit(uint256 maxFees, uint256 fees);

    /// @notice Fewer are left.
    error SoldOut(uint256 left, uint256 quantity);

    /// @notice The investor would have bought fewer than it must, or more than it may.
    error PurchaseOutOfRange(uint256 min, uint256 max, uint256 total);

    /// @notice More, or something else, than the buyer agreed to.
    error CostAboveLimit(address paymentToken, uint256 cost, uint256 maxCost);

    /// @notice Sets the terms of a sale. What is sold already stays sold.
    /// @custom:access the token's DEFAULT_ADMIN_ROLE, TERMS_ROLE
    function setTerms(address token, Terms calldata terms, bytes32 reason) external;

    /// @notice Starts the sale, or goes on with it.
    /// @custom:access the token's TERMS_ROLE
    function list(address token, bytes32 reason) external;

    /// @custom:access the token's TERMS_ROLE
    function delist(address token, bytes32 reason) external;

    /// @notice Ends the sale for ever.
    /// @custom:access the token's TERMS_ROLE
    function passivate(address token, bytes32 reason) external;

    /// @notice Sets whole tokens of the listed ones aside for fees; `IFeeVault` gives them out.
    /// @custom:access the token's TERMS_ROLE
    function reserveFees(address token, uint256 amount, bytes32 reason) external;

    /// @notice Buys for the caller, by its allowance.
    /// @param maxCost Most of `paymentToken` that it pays.
    /// @custom:access anyone that may hold the token
    function buy(address token, uint256 quantity, address paymentToken, uint256 maxCost) external returns (uint256 cost);

    /// @notice Buys for the wallet that has signed.
    /// @custom:access the token's CARRIER_ROLE
    function buyFor(Purchase calldata purchase, bytes calldata signature) external returns (uint256 cost);

    function termsOf(address token) external view returns (Terms memory);

    function supplyOf(address token) external view returns (Supply memory);

    function statusOf(address token) external view returns (Status);

    function purchasedBy(address token, uint64 investorId) external view returns (uint256);
}
