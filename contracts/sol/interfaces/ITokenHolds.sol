// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ITokenHolds
/// @notice Units that a wallet owns but may not move: claims of an agent, and lockups. A hold that has expired blocks
/// nothing, whether or not anybody has ended it.
interface ITokenHolds {
    /// @param amount Base units, never 0.
    /// @param id Unique in this token; older holds have lower ones.
    /// @param until Unix second from which it has expired; 0 = never.
    /// @param kind One of `HoldKinds`: 1 redemption, 2 Reg D lockup, 3 Reg S lockup.
    /// @param agent Who may release or execute it; zero for a lockup.
    struct Hold {
        uint104 amount;
        uint48 id;
        uint40 until;
        uint8 kind;
        address agent;
    }

    /// @param newAmount What results; 0 = the hold has ended. Force alone makes a hold smaller, and only a lockup.
    /// @param cause One of `HoldCauses`: 1 placed, 2 merged (a lockup grew), 3 released, 4 executed, 5 expired,
    /// 6 forced, 7 recovered.
    event HoldChanged(
        address indexed account,
        uint256 indexed holdId,
        uint8 kind,
        uint256 oldAmount,
        uint256 newAmount,
        uint40 until,
        address agent,
        uint8 cause,
        bytes32 reason,
        address operator
    );

    /// @notice Not the kind of a lockup.
    error InvalidHoldKind(uint8 kind);

    /// @notice Nothing would be held.
    error InvalidHoldAmount(uint256 amount);

    /// @notice Does not lie in the future.
    error InvalidUntil(uint40 until);

    /// @notice `account` has no such hold.
    error UnknownHold(address account, uint256 holdId);

    /// @notice `caller` may not do this to this hold: it is not its agent.
    error NotHoldAgent(address account, uint256 holdId, address caller);

    /// @notice The hold has expired; its units are the holder's again.
    error HoldExpired(address account, uint256 holdId);

    /// @notice `account` has 16 holds, the most there can be.
    error TooManyHolds(address account);

    /// @notice Mints units under a lockup of kind 2 or 3. `until` counts from the next 00:00 UTC on, so that lockups of
    /// one kind and day are one hold.
    /// @custom:access MINTER_ROLE
    function mintLocked(address to, uint256 amount, uint8 kind, uint40 until, bytes32 reason) external;

    /// @notice Holds free units of a wallet that is not frozen, for the caller. Neither pauses nor the registry stop it.
    /// @param until Unix second in the future; 0 = never expires.
    /// @custom:access HOLD_ROLE
    function placeHold(address account, uint256 amount, uint40 until, bytes32 reason) external returns (uint256 holdId);

    /// @notice Ends a hold, expired or not; the units are free again. Lockups are nobody's to release.
    /// @custom:access the hold's agent, whether or not it still has HOLD_ROLE, and ENFORCER_ROLE: an agent may be gone
    function releaseHold(address account, uint256 holdId, bytes32 reason) external;

    /// @notice Burns the units of a hold. Refused while supply is paused or the wallet frozen, and where less than its
    /// frozen amount would be left; other holds do not stand in the way.
    /// @custom:access HOLD_ROLE, and the hold's agent
    function executeHold(address account, uint256 holdId, bytes32 reason) external;

    /// @notice Ends the expired holds of a wallet; says how many.
    /// @custom:access anyone
    function reclaimExpired(address account) external returns (uint256 ended);
}
