// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ITokenFunds
/// @notice What an issuer has paid in for one of its tokens, and what of it is owed to holders. Each token's books are
/// its own: what one token's fund owes, no other's pays.
interface ITokenFunds {
    /// @param paymentToken What is paid in and out; changes only while there is nothing of it.
    /// @param available Paid in and not spoken for.
    /// @param owed Spoken for and not paid out.
    struct Fund {
        address paymentToken;
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
    event Funded(address indexed token, address indexed payer, uint256 amount, uint256 available);
    event FundWithdrawn(
        address indexed token,
        address indexed treasury,
        uint256 amount,
        uint256 available,
        bytes32 reason,
        address operator
    );

    /// @notice Not the fund's payment token, or none is set.
    error WrongPaymentToken(address token, address expected, address given);

    /// @notice The payment token is the fund's as long as there is anything in it.
    error FundNotEmpty(address token);

    error FundTooSmall(address token, uint256 available, uint256 needed);

    /// @notice Pays into the fund of a token, by the caller's allowance.
    /// @custom:access anyone
    function fund(address token, address paymentToken, uint256 amount) external;

    /// @notice Pays into a fund for the wallet that has signed.
    /// @custom:access the token's CARRIER_ROLE
    function fundFor(Funding calldata funding, bytes calldata signature) external;

    /// @notice Pays what is not spoken for to the treasury.
    /// @custom:access the token's TERMS_ROLE
    function withdraw(address token, uint256 amount, bytes32 reason) external;

    function fundOf(address token) external view returns (Fund memory);
}
