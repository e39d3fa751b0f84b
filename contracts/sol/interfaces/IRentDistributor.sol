// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IRentDistributor
/// @notice Rental income: an issuer funds, a period divides part of the fund among the units there are at that moment,
/// holders draw what they have earned or are paid it. The token counts (`ITokenRent`), this contract pays.
interface IRentDistributor {
    /// @param paymentToken What rent is paid in; another one only once nothing is owed in it, for the token counts in one.
    /// @param start Unix second from which the first period may be opened.
    /// @param length Seconds from one period to the next; 0 = no schedule.
    struct RentTerms {
        address paymentToken;
        uint48 start;
        uint48 length;
    }

    /// @notice What a wallet signs to have its rent drawn.
    struct Claim {
        address wallet;
        address token;
        uint256 deadline;
        bytes32 salt;
    }

    /// @param amount Of `paymentToken`, divided with what the period before carried.
    /// @param earning Units that have earned.
    /// @param perUnit What a unit has earned since the first period, in base units times 2^128.
    /// @param carry What was too little to be divided, times 2^128; part of the next period.
    /// @param available What the fund has left.
    struct OpenedRent {
        address paymentToken;
        uint256 amount;
        uint256 earning;
        uint256 perUnit;
        uint256 carry;
        uint256 available;
    }

    event RentTermsChanged(address indexed token, RentTerms terms, bytes32 reason, address operator);
    /// @notice Who holds at this log has earned.
    event RentOpened(
        address indexed token, uint256 indexed period, OpenedRent opened, bytes32 reason, address operator
    );
    /// @param owed What the token's holders have to get still.
    event RentPaid(
        address indexed token, address indexed paymentToken, address indexed wallet, uint256 amount, uint256 owed
    );
    /// @notice One of many could not be paid; `refusal` is the selector of what refused. What it has earned stays its own.
    event RentPaymentFailed(address indexed token, address indexed wallet, bytes4 refusal);

    /// @notice Rent is owed in the payment token that there is.
    error RentOwedIn(address token, address paymentToken, uint256 owed);

    /// @notice Not before `due`.
    error PeriodNotDue(uint256 period, uint256 due);

    /// @notice Less than one base unit.
    error NoRent(address token, address wallet);

    /// @notice The token says more than it has been given.
    error RentNotOwed(address token, uint256 owed, uint256 amount);

    /// @notice Too little gas to give one more payment all that it may take.
    error GasTooLow();

    /// @notice Only this contract calls itself.
    error NotSelf(address account);

    /// @custom:access the token's DEFAULT_ADMIN_ROLE, TERMS_ROLE
    function setRentTerms(address token, RentTerms calldata terms, bytes32 reason) external;

    /// @notice Divides `amount` of the token's fund among those who hold now.
    /// @param period One more than the last.
    /// @custom:access the token's PAYOUT_ROLE
    function open(address token, uint256 period, uint256 amount, bytes32 reason) external;

    /// @notice Pays the caller.
    function claim(address token) external returns (uint256 amount);

    /// @notice Pays the wallet that has signed.
    /// @custom:access the token's CARRIER_ROLE
    function claimFor(Claim calldata signed, bytes calldata signature) external returns (uint256 amount);

    /// @notice Pays many, each its own; who cannot be paid, or takes more than 300,000 gas, hinders nobody.
    /// @custom:access the token's PAYOUT_ROLE
    function push(address token, address[] calldata wallets) external;

    function rentTermsOf(address token) external view returns (RentTerms memory);

    /// @notice What `wallet` could be paid, in whole base units of the payment token.
    function claimable(address token, address wallet) external view returns (uint256);
}
