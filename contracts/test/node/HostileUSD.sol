// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A payment token with every vice: it takes a fee, says no without reverting, says yes without paying, refuses
/// wallets, in a word or with all the gas and memory there is, and calls back in the middle of a transfer.
contract HostileUSD is ERC20 {
    enum Vice {
        None,
        TakesFee,
        ReturnsFalse,
        PaysNothing,
        TakesMoreFromSender,
        BurnsGas,
        ShoutsNo
    }

    Vice public vice;
    mapping(address account => bool) public refused;
    address private _target;
    bytes private _call;
    /// @notice Whether the last call back went through.
    bool public reentered;
    bytes4 public answer;

    constructor() ERC20("Hostile USD", "HUSD") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setVice(Vice vice_) external {
        vice = vice_;
    }

    function refuse(address account, bool on) external {
        refused[account] = on;
    }

    /// @notice From now on each transfer calls `target`.
    function callBack(address target, bytes calldata data) external {
        (_target, _call) = (target, data);
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        if (vice == Vice.ReturnsFalse) return false;
        if (vice == Vice.PaysNothing) return true;
        return super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        if (vice == Vice.ReturnsFalse) return false;
        if (vice == Vice.PaysNothing) return true;
        return super.transferFrom(from, to, value);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @dev As if the wallet itself were asked, and made the worst of it.
    function _refuse() private view {
        if (vice == Vice.BurnsGas) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (vice == Vice.ShoutsNo) {
            assembly ("memory-safe") {
                revert(0, 100000)
            }
        }
        revert("refused");
    }

    function _update(address from, address to, uint256 value) internal override {
        if (refused[from] || refused[to]) _refuse();
        super._update(from, to, value);
        if (from == address(0) || to == address(0)) return;
        if (vice == Vice.TakesFee) _burn(to, value / 100 + 1);
        if (vice == Vice.TakesMoreFromSender) _burn(from, value / 100 + 1);
        if (_target != address(0)) {
            bytes memory data;
            (reentered, data) = _target.call(_call);
            if (!reentered) answer = bytes4(data);
        }
    }
}
