// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITokenHolds} from "./ITokenHolds.sol";
import {ITokenRent} from "./ITokenRent.sol";

/// @title ITokenExtension
/// @notice What a token does rarely: holds, batches, recovery, rent, pauses, limits, the country rule, documents. Its code
/// stands in a second contract, since one alone may not be that large; callers see one token.
interface ITokenExtension is ITokenHolds, ITokenRent {
    /// @notice After its `Transfer`: `replacement` has taken the place of `lost`, with all its units.
    event WalletRecovered(
        address indexed lost, address indexed replacement, uint256 amount, bytes32 reason, address operator
    );
    event PauseChanged(bool transfersPaused, bool supplyPaused, bytes32 reason, address operator);
    /// @notice No unit is left and none will come: supply is paused for ever.
    event TokenRetired(bytes32 reason, address operator);
    event LimitsChanged(uint32 maxHolders, uint104 maxBalance, bytes32 reason, address operator);
    event CountryRuleChanged(uint8 mode, uint256[4] countries, bytes32 reason, address operator);

    /// @notice The document `name` is now this one; without uri and hash it has been removed. The uri stands here only.
    event DocumentChanged(bytes32 indexed name, string uri, bytes32 hash, address operator);

    /// @notice Units are left.
    error StillHeld(uint256 totalSupply);

    /// @notice The token is retired.
    error Retired();

    /// @notice As many recipients as amounts are needed.
    error LengthMismatch();

    /// @notice `lost` is still whitelisted in the registry; revoke it there first.
    error WalletNotRevoked(address lost);

    /// @notice The registry does not know both wallets as one investor's.
    error NotSameInvestor(address lost, address replacement);

    /// @notice A recovery moves the whole balance: `expected`, not `given`.
    error RecoveryAmount(uint256 expected, uint256 given);

    /// @notice Not 0 to 2.
    error InvalidCountryRule(uint8 mode);

    /// @notice A document needs a hash.
    error InvalidDocument(bytes32 name);

    /// @notice There is no document of this name.
    error UnknownDocument(bytes32 name);

    /// @notice Mints to many; emits what as many single mints would.
    /// @custom:access MINTER_ROLE
    function mintBatch(address[] calldata to, uint256[] calldata amounts, bytes32 reason) external;

    /// @notice Moves everything from a lost wallet to another one of the same investor: balance, frozen amount, whole
    /// freeze (which `lost` keeps too) and lockups; ends all other holds of `lost`. Works while paused and beyond limits.
    /// @param lost No longer whitelisted in the registry.
    /// @param replacement May receive.
    /// @param amount The whole balance of `lost`.
    /// @custom:access ENFORCER_ROLE
    function recover(address lost, address replacement, uint256 amount, bytes32 reason) external;

    /// @notice Stops transfers between holders.
    /// @custom:access PAUSER_ROLE
    function pause(bytes32 reason) external;

    /// @custom:access PAUSER_ROLE
    function unpause(bytes32 reason) external;

    /// @notice Stops mint and burn.
    /// @custom:access PAUSER_ROLE
    function pauseSupply(bytes32 reason) external;

    /// @custom:access PAUSER_ROLE
    function unpauseSupply(bytes32 reason) external;

    /// @notice Ends a token that has no units: supply is paused for ever.
    /// @custom:access BURNER_ROLE
    function retire(bytes32 reason) external;

    /// @notice Limits how many wallets may hold the token, and how much each; 0 = no limit. Binds transfers and mints,
    /// neither force nor recovery; what is above already may stay.
    /// @custom:access RULES_ROLE
    function setLimits(uint32 maxHolders, uint104 maxBalance, bytes32 reason) external;

    /// @notice Says in which countries recipients may be, of all movements.
    /// @param mode 0 anywhere, 1 not in those listed, 2 only in those listed.
    /// @param countries ISO 3166-1 numeric codes 0 to 1023, code n as bit n % 256 of word n / 256; 0 = not given.
    /// @custom:access RULES_ROLE
    function setCountryRule(uint8 mode, uint256[4] calldata countries, bytes32 reason) external;

    /// @notice Adds or replaces a document.
    /// @custom:access RULES_ROLE
    function setDocument(bytes32 name, string calldata uri, bytes32 hash) external;

    /// @custom:access RULES_ROLE
    function removeDocument(bytes32 name) external;

    /// @notice Points the token at another registry.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function setRegistry(address registry, bytes32 reason) external;

    /// @notice Takes every operating role from one address and gives it to another, in that order.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function replaceOperator(address from, address to) external;
}
