// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC1404} from "./IERC1404.sol";
import {IERC7943Fungible} from "./IERC7943.sol";
import {INodeFactory} from "./INodeFactory.sol";
import {ITokenHolds} from "./ITokenHolds.sol";

/// @title ISecurityToken
/// @notice One instrument; what it does rarely is in `ITokenExtension`. Amounts are base units. Each change emits who,
/// what, how much and why, with the value that results. Rich events label; balances follow from `Transfer` alone.
interface ISecurityToken is IERC20, IERC7943Fungible, IERC1404 {
    /// @param instrumentId The instrument's id on this platform.
    /// @param decimals 0 to 18.
    /// @param maxSupply Base units, 1 to 2^104 − 1.
    /// @param registry The `IInvestorRegistry` that is asked.
    /// @param admin Cold key: default admin of the token.
    /// @param adminDelay Seconds that a change of admin waits.
    /// @param operator Holder of all operating roles: the node's Executor.
    /// @param contracts The node's contracts, which get the roles that they need; zero where there is none.
    struct TokenInit {
        string instrumentId;
        string name;
        string symbol;
        uint8 decimals;
        uint256 maxSupply;
        address registry;
        address admin;
        uint48 adminDelay;
        address operator;
        INodeFactory.NodeContracts contracts;
    }

    event TokenInitialized(
        string instrumentId,
        string name,
        string symbol,
        uint8 decimals,
        uint256 maxSupply,
        address registry,
        address node,
        address admin
    );
    event Minted(
        address indexed to,
        uint256 amount,
        uint256 balanceAfter,
        uint256 totalSupplyAfter,
        bytes32 reason,
        address operator
    );
    event Burned(
        address indexed from,
        uint256 amount,
        uint256 balanceAfter,
        uint256 totalSupplyAfter,
        bytes32 reason,
        address operator
    );
    event FrozenChanged(
        address indexed account, uint256 oldAmount, uint256 newAmount, bytes32 reason, address operator
    );
    event AddressFreezeChanged(address indexed account, bool frozen, bytes32 reason, address operator);
    /// @param unfrozen How many of the units taken were frozen and under no hold. The frozen amount may fall by more: what
    /// it covered beyond the balance, or of held units, is cut too. `FrozenChanged` carries what results.
    event ForcedTransferExecuted(
        address indexed from, address indexed to, uint256 amount, uint256 unfrozen, bytes32 reason, address operator
    );
    event ForcedBurnExecuted(
        address indexed from,
        uint256 amount,
        uint256 unfrozen,
        uint256 balanceAfter,
        uint256 totalSupplyAfter,
        bytes32 reason,
        address operator
    );
    event RegistryChanged(address oldRegistry, address newRegistry, bytes32 reason, address operator);
    event OperatorReplaced(address indexed from, address indexed to, address admin);

    /// @notice The rules refuse this movement; `code` is one of `RestrictionCodes`.
    /// @dev `from` is zero for a mint, `to` is zero for a burn.
    error TransferRestricted(address from, address to, uint256 amount, uint8 code);

    /// @notice A forced transfer to oneself.
    error SelfTransfer(address account);

    /// @notice Not 0 to 18.
    error InvalidDecimals(uint8 decimals);

    /// @notice Not 1 to 2^104 − 1.
    error InvalidMaxSupply(uint256 maxSupply);

    /// @notice No contract stands there.
    error InvalidRegistry(address registry);

    /// @notice Sets up a new token; once.
    function initialize(TokenInit calldata init) external;

    /// @custom:access MINTER_ROLE
    function mint(address to, uint256 amount, bytes32 reason) external;

    /// @notice Destroys free units of `from`; those frozen or held need `forcedBurn`.
    /// @custom:access BURNER_ROLE
    function burn(address from, uint256 amount, bytes32 reason) external;

    /// @notice Sets the absolute frozen amount, kept as min(amount, 2^104 − 1).
    /// @custom:access FREEZER_ROLE
    function setFrozenTokens(address account, uint256 amount, bytes32 reason) external returns (bool);

    /// @notice Freezes or unfreezes a whole wallet: it neither sends nor receives.
    /// @custom:access FREEZER_ROLE
    function setAddressFrozen(address account, bool frozen, bytes32 reason) external;

    /// @notice Takes free units, then frozen ones, then those under holds, newest first: a hold of an agent ends whole, a
    /// lockup gives only what is missing. Works while paused, to a wallet that may receive.
    /// @custom:access ENFORCER_ROLE
    function forcedTransfer(address from, address to, uint256 amount, bytes32 reason) external returns (bool);

    /// @notice Destroys units as `forcedTransfer` takes them. Works while paused.
    /// @custom:access ENFORCER_ROLE
    function forcedBurn(address from, uint256 amount, bytes32 reason) external;

    function isFrozen(address account) external view returns (bool);

    function paused() external view returns (bool);

    function supplyPaused() external view returns (bool);

    function instrumentId() external view returns (string memory);

    function registry() external view returns (address);

    function maxSupply() external view returns (uint256);

    /// @notice Units of `account` under holds that have not expired.
    function heldOf(address account) external view returns (uint256);

    /// @notice The holds of `account` as they are stored, expired ones that nobody has ended included.
    function holdsOf(address account) external view returns (ITokenHolds.Hold[] memory);

    /// @notice What `account` may move as far as freezes and holds are concerned.
    function spendableOf(address account) external view returns (uint256);

    /// @notice Wallets with a balance.
    function holderCount() external view returns (uint256);

    /// @notice 0 = no limit.
    function limits() external view returns (uint32 maxHolders, uint104 maxBalance);

    function countryRule() external view returns (uint8 mode, uint256[4] memory countries);

    /// @notice Hash and Unix second of the last change; zero if there is no such document.
    function documentOf(bytes32 name) external view returns (bytes32 hash, uint40 modifiedAt);
}
