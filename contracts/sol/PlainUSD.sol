// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title PlainUSD
/// @notice Payment token for tests: 6 decimals, anyone may mint, no permit, and an allowance changes only from or to zero,
/// as that of the most used payment token does.
contract PlainUSD is ERC20 {
    constructor() ERC20("Plain USD", "PUSD") {}

    /// @notice `spender` may take `allowance` still: that goes to zero first.
    error AllowanceInUse(address spender, uint256 allowance);

    /// @notice Gives `amount` base units to `to`; free of charge and of permission.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @inheritdoc ERC20
    function approve(address spender, uint256 value) public override returns (bool) {
        uint256 left = allowance(msg.sender, spender);
        if (value != 0 && left != 0) revert AllowanceInUse(spender, left);
        return super.approve(spender, value);
    }

    /// @inheritdoc ERC20
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
