// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RestrictionCodes} from "../../sol/lib/RestrictionCodes.sol";
import {Handler, World} from "./World.sol";

/// @notice What the operator does with supply, freezes, force and pauses, past the Executor's daily limits.
contract IssuerActs is Handler {
    constructor(World world_) Handler(world_) {}

    function mint(uint256 to, uint256 amount) external followed {
        address wallet = taker(to);
        amount = amountNear(amount, (token.maxSupply() - token.totalSupply()) / 4);
        _agree(
            replica.admitsMint(wallet, amount),
            token.detectTransferRestriction(address(0), wallet, amount) == RestrictionCodes.OK,
            abi.encodeCall(token.mint, (wallet, amount, REASON))
        );
    }

    function burn(uint256 from, uint256 amount) external followed {
        address wallet = giver(from);
        amount = amountNear(amount, replica.freeOf(wallet));
        _agree(
            replica.admitsBurn(wallet, amount),
            token.detectTransferRestriction(wallet, address(0), amount) == RestrictionCodes.OK
                && amount <= token.balanceOf(wallet),
            abi.encodeCall(token.burn, (wallet, amount, REASON))
        );
    }

    function freeze(uint256 account, uint256 amount) external followed {
        address wallet = world.wallet(account);
        amount = amountNear(amount, token.balanceOf(wallet));
        operate(abi.encodeWithSignature("setFrozenTokens(address,uint256,bytes32)", wallet, amount, REASON));
    }

    /// @dev Mostly off, or nobody would move for long.
    function freezeWallet(uint256 account, uint256 on) external followed {
        operate(abi.encodeCall(token.setAddressFrozen, (world.wallet(account), on % 4 == 0, REASON)));
    }

    function forcedTransfer(uint256 from, uint256 to, uint256 amount) external followed {
        (address lost, address winner) = (world.wallet(from), taker(to));
        uint256 balance = token.balanceOf(lost);
        amount = amountNear(amount, balance);
        bool may = lost != winner && replica.mayReceive(winner) && amount <= balance;
        _agree(
            may,
            may,
            abi.encodeWithSignature("forcedTransfer(address,address,uint256,bytes32)", lost, winner, amount, REASON)
        );
    }

    function forcedBurn(uint256 from, uint256 amount) external followed {
        address wallet = world.wallet(from);
        uint256 balance = token.balanceOf(wallet);
        amount = amountNear(amount, balance);
        _agree(amount <= balance, amount <= balance, abi.encodeCall(token.forcedBurn, (wallet, amount, REASON)));
    }

    /// @dev Mostly off, too.
    function pause(uint256 way) external followed {
        way %= 8;
        if (way == 0) operate(abi.encodeCall(token.pause, (REASON)));
        else if (way < 4) operate(abi.encodeCall(token.unpause, (REASON)));
        else if (way == 4) operate(abi.encodeCall(token.pauseSupply, (REASON)));
        else operate(abi.encodeCall(token.unpauseSupply, (REASON)));
    }

    /// @dev Of one mind, as for transfers (I3).
    function _agree(bool admitted, bool predicted, bytes memory data) private {
        bool ok = attempt(address(world.executor()), address(token), data);
        if (ok != predicted) replica.note(3, "an operation ends otherwise than predicted");
        else if (ok != admitted) replica.note(3, "an operation ends otherwise than the rules say");
        vm.assume(ok || predicted || admitted);
    }
}
