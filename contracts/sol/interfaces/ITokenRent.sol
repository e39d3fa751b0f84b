// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ITokenRent
/// @notice What holders have earned by their balances. The token keeps the count and a distributor the money: rent
/// follows the units within the token, so that no transfer ever calls anybody for it.
/// @dev Figures marked Q128 are base units of the payment token, times 2^128: nothing is rounded until it is paid.
interface ITokenRent {
    /// @param distributor Who opened the periods, and pays; zero = nobody ever.
    /// @param bound Whether it may open more.
    /// @param period Last period opened; 0 = none.
    /// @param minimum What a wallet must have to earn, in base units; 0 = anything.
    /// @param earning Units that would earn now.
    /// @param perUnit What a unit has earned since the first period, Q128.
    /// @param carry What was too little to be divided, Q128; part of the next period.
    struct Rent {
        address distributor;
        bool bound;
        uint16 period;
        uint104 minimum;
        uint104 earning;
        uint256 perUnit;
        uint256 carry;
    }

    event RentDistributorChanged(address indexed distributor, bool bound, bytes32 reason, address operator);
    event RentMinimumChanged(uint104 minimum, bytes32 reason, address operator);
    /// @notice What `from` had earned is `to`'s, Q128: within a recovery after its `Transfer`, or by itself.
    event RentMoved(
        address indexed from, address indexed to, uint256 amount, uint256 accruedAfter, bytes32 reason, address operator
    );

    /// @notice Not the distributor, or no longer bound.
    error NotRentDistributor(address account);

    /// @notice Periods have been opened by another one, who owes them.
    error RentOwedBy(address distributor);

    /// @notice Units are there, and who earned by them is decided.
    error RentMinimumFixed();

    /// @notice No unit earns.
    error NobodyEarns();

    /// @notice The next period is `next`; there are 65,535.
    error NotNextPeriod(uint256 next, uint256 period);

    /// @notice More than 2^104 − 1.
    error RentTooLarge(uint256 amount);

    /// @notice `account` has earned nothing that could be given to another one.
    error NoRentToMove(address account);

    /// @notice `account` may not be paid now; what it has earned stays its own.
    error RentWithheld(address account);

    /// @notice Binds a distributor, or lets it go: then no period can be opened, and what is owed is owed still.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function setRentDistributor(address distributor, bool bound, bytes32 reason) external;

    /// @notice Sets what a wallet must have to earn. Only while there are no units.
    /// @custom:access RULES_ROLE
    function setRentMinimum(uint104 minimum, bytes32 reason) external;

    /// @notice Opens the next period: divides `amount` among the units that earn at this moment.
    /// @return perUnit What a unit has earned in all from now on, Q128.
    /// @return earning Units that earned.
    /// @return carry What is left over, Q128.
    /// @custom:access the distributor that is bound
    function openRent(uint256 period, uint256 amount) external returns (uint256 perUnit, uint256 earning, uint256 carry);

    /// @notice Takes what `account` has earned out of the count, to be paid: whole base units, the fraction stays.
    /// @custom:access the distributor
    function collectRent(address account) external returns (uint256 amount);

    /// @notice Gives what a wallet has earned to another one that may be paid: that of an heir, or of whom a court names.
    /// Of a lost wallet's investor, `recover` does.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function moveRent(address from, address to, bytes32 reason) external;

    function rent() external view returns (Rent memory);

    /// @notice What `account` has earned and not been paid, Q128.
    function rentOf(address account) external view returns (uint256);
}
