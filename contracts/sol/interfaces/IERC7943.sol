// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title ERC-7943 for ERC-20 tokens (uRWA), as finalised; interface id 0x3edbb4c4
interface IERC7943Fungible is IERC165 {
    /// @notice `amount` was taken from `from` and given to `to` by an enforcer.
    event ForcedTransfer(address indexed from, address indexed to, uint256 amount);

    /// @notice The frozen amount of `account` is now `amount`, which may exceed its balance.
    event Frozen(address indexed account, uint256 amount);

    /// @notice `account` may not send.
    error ERC7943CannotSend(address account);

    /// @notice `account` may not receive.
    error ERC7943CannotReceive(address account);

    /// @notice This transfer is not allowed.
    error ERC7943CannotTransfer(address from, address to, uint256 amount);

    /// @notice `account` holds `amount`, but only `unfrozen` of it is free.
    error ERC7943InsufficientUnfrozenBalance(address account, uint256 amount, uint256 unfrozen);

    /// @notice Moves `amount` by force, frozen units included.
    function forcedTransfer(address from, address to, uint256 amount) external returns (bool result);

    /// @notice Sets the absolute frozen amount of `account`.
    function setFrozenTokens(address account, uint256 amount) external returns (bool result);

    /// @notice Whether `account`, as such, may send. Never reverts.
    function canSend(address account) external view returns (bool allowed);

    /// @notice Whether `account`, as such, may receive. Never reverts.
    function canReceive(address account) external view returns (bool allowed);

    /// @notice The absolute frozen amount of `account`; may exceed its balance.
    function getFrozenTokens(address account) external view returns (uint256 amount);

    /// @notice Whether the rules allow this transfer now; says nothing of plain balance. Never reverts.
    function canTransfer(address from, address to, uint256 amount) external view returns (bool allowed);
}
