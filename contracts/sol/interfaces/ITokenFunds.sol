// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ITokenFunds
/// @notice What an issuer has paid in for one of its tokens, and what of it is owed to holders. There is a book for each
/// token and payment token, and it stands alone: what one owes, no other pays.
interface ITokenFunds {
    /// @param available Paid in and not spoken for.
    /// @param owed Spoken for and not paid out.
    struct Fund {
        uint256 available;
        uint256 owed;
    }

    /// @notice What a wallet signs to have a payment into a fund carried.
    struct Funding {
        address wallet;
        address token;
        address paymentToken;
        uint256 amount;
        uint256 deadline;
        bytes32 salt;
    }

    /// @notice The fund has `available` now.
    event Funded(
        address indexed token, address indexed paymentToken, address indexed payer, uint256 amount, uint256 available
    );
    event FundWithdrawn(
        address indexed token,
        address indexed paymentToken,
        address indexed treasury,
        uint256 amount,
        uint256 available,
        bytes32 reason,
        address operator
    );

    /// @notice Not what the terms say, or they say nothing yet.
    error WrongPaymentToken(address token, address expected, address given);

    error FundTooSmall(address token, address paymentToken, uint256 available, uint256 needed);

    /// @notice Pays into the fund of a token, by the caller's allowance, what the terms say it is paid in.
    /// @custom:access anyone
    function fund(address token, address paymentToken, uint256 amount) external;

    /// @notice Pays into a fund for the wallet that has signed.
    /// @custom:access the token's CARRIER_ROLE
    function fundFor(Funding calldata funding, bytes calldata signature) external;

    /// @notice Pays what is not spoken for to the treasury.
    /// @custom:access the token's TERMS_ROLE
    function withdraw(address token, address paymentToken, uint256 amount, bytes32 reason) external;

    function fundOf(address token, address paymentToken) external view returns (Fund memory);
}
