// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IOtcDesk
/// @notice Settles deals that two wallets have agreed on: both legs or none, once, before the deadline.
interface IOtcDesk {
    enum DealState {
        Unknown,
        Settled,
        Cancelled
    }

    /// @notice What both parties sign; who settles it itself need not.
    /// @param payment Base units of the payment token for all of it; the fee comes out of it.
    /// @param maxFeeBps Most of the fee, in hundredths of a per cent of the payment, that they accept.
    /// @param terms Hash of what else they have agreed on; 0 = nothing.
    struct Deal {
        address token;
        address seller;
        address buyer;
        uint256 quantity;
        address paymentToken;
        uint256 payment;
        uint16 maxFeeBps;
        uint64 validFrom;
        uint64 deadline;
        bytes32 terms;
        bytes32 salt;
    }

    /// @param feeBps Of the payment, in hundredths of a per cent, rounded down.
    struct OtcTerms {
        bool open;
        uint16 feeBps;
    }

    event OtcTermsChanged(address indexed token, OtcTerms terms, bytes32 reason, address operator);
    /// @param fee Out of `payment`: the seller has the rest.
    event DealSettled(
        address indexed token,
        bytes32 indexed deal,
        address indexed seller,
        address buyer,
        uint256 quantity,
        address paymentToken,
        uint256 payment,
        uint256 fee
    );
    event DealCancelled(bytes32 indexed deal, address indexed wallet);

    error InvalidOtcTerms(address token);

    error OtcClosed(address token);

    /// @notice Without two parties or units, or nothing would be left for the seller.
    error InvalidDeal(bytes32 deal);

    /// @notice Before its time, or past it.
    error DealNotValid(bytes32 deal, uint256 validFrom, uint256 deadline);

    /// @notice Settled or cancelled.
    error DealIsDone(bytes32 deal, DealState state);

    /// @notice Neither the seller nor the buyer.
    error NotParty(bytes32 deal, address account);

    /// @custom:access the token's DEFAULT_ADMIN_ROLE, TERMS_ROLE
    function setOtcTerms(address token, OtcTerms calldata terms, bytes32 reason) external;

    /// @notice Moves units and money. A party that calls needs no signature of its own.
    /// @custom:access the seller, the buyer, the token's CARRIER_ROLE
    function settle(Deal calldata deal, bytes calldata sellerSignature, bytes calldata buyerSignature) external;

    /// @notice Takes back the caller's consent. Works always.
    /// @custom:access the seller, the buyer
    function cancel(Deal calldata deal) external;

    /// @notice Takes back the consent of the party that has signed so.
    /// @custom:access anyone
    function cancelFor(Deal calldata deal, address party, bytes calldata signature) external;

    function otcTermsOf(address token) external view returns (OtcTerms memory);

    /// @notice What a deal is known by: its EIP-712 digest.
    function hashOf(Deal calldata deal) external view returns (bytes32);

    function stateOf(bytes32 deal) external view returns (DealState);
}
