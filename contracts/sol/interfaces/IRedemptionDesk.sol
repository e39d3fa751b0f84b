// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IRedemptionDesk
/// @notice Units back for money. A request puts a hold on them where they are; its approval burns them and pays, both or
/// neither. A request's number is that of its hold.
interface IRedemptionDesk {
    /// @param paymentToken What redemptions are paid in.
    /// @param maxPrice Most that may be paid for one whole token, in base units of it.
    struct RedemptionTerms {
        address paymentToken;
        uint128 maxPrice;
    }

    /// @param quantity Base units of the token, under the hold.
    /// @param minPayout Least that the wallet takes for all of it, in base units of `paymentToken`.
    /// @param paymentToken What the wallet takes, and nothing else.
    struct Request {
        address wallet;
        uint104 quantity;
        uint256 minPayout;
        address paymentToken;
    }

    /// @notice What a wallet signs to have a request carried.
    struct Redemption {
        address wallet;
        address token;
        uint256 quantity;
        address paymentToken;
        uint256 minPayout;
        uint256 deadline;
        bytes32 salt;
    }

    event RedemptionTermsChanged(address indexed token, RedemptionTerms terms, bytes32 reason, address operator);
    event RedemptionRequested(
        address indexed token,
        uint256 indexed requestId,
        address indexed wallet,
        uint256 quantity,
        address paymentToken,
        uint256 minPayout
    );
    /// @param available What the fund has left.
    /// @param credit What the wallet has to draw, where it was refused the money; 0 = it has been paid.
    event RedemptionApproved(
        address indexed token,
        uint256 indexed requestId,
        address indexed wallet,
        uint256 quantity,
        address paymentToken,
        uint256 payout,
        uint256 available,
        uint256 credit,
        bytes32 reason,
        address operator
    );
    /// @notice Closed without a payment; what was still held is free. `operator` is the wallet itself, or who rejected.
    event RedemptionClosed(
        address indexed token,
        uint256 indexed requestId,
        address indexed wallet,
        uint256 quantity,
        bytes32 reason,
        address operator
    );
    event CreditDrawn(address indexed token, address indexed paymentToken, address indexed wallet, uint256 amount);
    /// @param credit What `to` has to draw now.
    event CreditMoved(
        address indexed token,
        address indexed from,
        address indexed to,
        address paymentToken,
        uint256 amount,
        uint256 credit,
        bytes32 reason,
        address operator
    );

    /// @notice No such request, or it is closed.
    error UnknownRequest(address token, uint256 requestId);

    /// @notice Only the wallet that has asked takes a request back.
    error NotRequester(address account);

    error PayoutTooLow(uint256 minPayout, uint256 payout);

    /// @notice More than the terms allow for as many units.
    error PayoutTooHigh(uint256 maxPayout, uint256 payout);

    /// @notice Nothing to draw.
    error NoCredit(address token, address paymentToken, address wallet);

    /// @notice `wallet` may not be paid now; its credit stays its own.
    error CreditWithheld(address wallet);

    /// @notice `from` is still whitelisted, or `to` is not, or another investor's.
    error NotReplaced(address from, address to);

    /// @notice The sale of the token must have ended for ever before the token does.
    error StillOnSale(address token);

    /// @notice Only this contract calls itself.
    error NotSelf(address account);

    /// @notice Says what redemptions of a token are paid in, and how much at most. What was paid in in another payment
    /// token stays there, to be withdrawn or drawn.
    /// @custom:access the token's DEFAULT_ADMIN_ROLE, TERMS_ROLE
    function setRedemptionTerms(address token, RedemptionTerms calldata terms, bytes32 reason) external;

    /// @notice Asks for the caller, whose units are held until the request ends.
    /// @custom:access anyone
    function request(address token, uint256 quantity, address paymentToken, uint256 minPayout)
        external
        returns (uint256 requestId);

    /// @notice Asks for the wallet that has signed.
    /// @custom:access the token's CARRIER_ROLE
    function requestFor(Redemption calldata redemption, bytes calldata signature) external returns (uint256 requestId);

    /// @notice Takes a request of the caller back.
    function cancel(address token, uint256 requestId) external;

    /// @notice Burns what is held and pays for it, out of the token's fund. Where the payment token refuses the wallet, it
    /// has a credit instead. A request in a payment token that the terms no longer name waits for it, or is closed.
    /// @param payout For all of it, in base units of the payment token.
    /// @custom:access the token's PAYOUT_ROLE
    function approve(address token, uint256 requestId, uint256 payout, bytes32 reason) external;

    /// @custom:access the token's PAYOUT_ROLE
    function reject(address token, uint256 requestId, bytes32 reason) external;

    /// @notice Pays a wallet its credit, if it may be paid rent.
    /// @custom:access anyone: it goes to `wallet`
    function draw(address token, address paymentToken, address wallet) external returns (uint256 amount);

    /// @notice Gives the credit of a lost wallet to another one of the same investor, the lost one being revoked and the
    /// other one whitelisted. The admin alone may give it to another investor: an heir, or whom a court names.
    /// @custom:access the token's ENFORCER_ROLE; DEFAULT_ADMIN_ROLE
    function moveCredit(address token, address paymentToken, address from, address to, bytes32 reason) external;

    /// @notice Ends a token that has no units left, and whose sale has ended.
    /// @custom:access the token's PAYOUT_ROLE
    function retire(address token, bytes32 reason) external;

    function requestOf(address token, uint256 requestId) external view returns (Request memory);

    function redemptionTermsOf(address token) external view returns (RedemptionTerms memory);

    function creditOf(address token, address paymentToken, address wallet) external view returns (uint256);
}
