// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITokenExtension} from "../../sol/interfaces/ITokenExtension.sol";
import {ITokenHolds} from "../../sol/interfaces/ITokenHolds.sol";
import {HoldKinds} from "../../sol/lib/Holds.sol";
import {RestrictionCodes} from "../../sol/lib/RestrictionCodes.sol";
import {Handler} from "./Handler.sol";
import {World} from "./World.sol";

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

    /// @dev What single mints would do, or nothing.
    function mintBatch(uint256 to, uint256 amount) external followed {
        address[] memory wallets = new address[](3);
        uint256[] memory amounts = new uint256[](to % 8 == 0 ? 2 : 3);
        for (uint256 i = 0; i < 3; ++i) {
            wallets[i] = taker(to >> (16 * i));
            if (i < amounts.length) amounts[i] = (amount >> (64 * i)) % 1_000e18;
        }
        operate(abi.encodeCall(ITokenExtension.mintBatch, (wallets, amounts, REASON)));
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
        amount = amountNear(amount, token.balanceOf(lost));
        _force(
            lost,
            amount,
            lost != winner && replica.mayReceive(winner),
            abi.encodeWithSignature("forcedTransfer(address,address,uint256,bytes32)", lost, winner, amount, REASON)
        );
    }

    function forcedBurn(uint256 from, uint256 amount) external followed {
        address wallet = world.wallet(from);
        amount = amountNear(amount, token.balanceOf(wallet));
        _force(wallet, amount, true, abi.encodeCall(token.forcedBurn, (wallet, amount, REASON)));
    }

    /// @dev Mostly off, too.
    function pause(uint256 way) external followed {
        way %= 8;
        if (way == 0) operate(abi.encodeCall(token.pause, (REASON)));
        else if (way < 4) operate(abi.encodeCall(token.unpause, (REASON)));
        else if (way == 4) operate(abi.encodeCall(token.pauseSupply, (REASON)));
        else operate(abi.encodeCall(token.unpauseSupply, (REASON)));
    }

    /// @dev Force asks the receiver and the balance only, and leaves nothing bound that is not there (I2).
    function _force(address from, uint256 amount, bool may, bytes memory data) private {
        (uint256 balance, uint256 frozen, uint256 held) =
            (token.balanceOf(from), token.getFrozenTokens(from), token.heldOf(from));
        ITokenHolds.Hold[] memory live = _live(from);
        bool touched = amount > replica.freeOf(from);
        may = may && amount <= balance;
        _agree(may, may, data);
        uint256 left = token.heldOf(from);
        if (touched) {
            // From the newest on, only as many end as must; what they leave stays frozen.
            uint256 rest = balance - amount;
            held = _cut(live, held, rest);
            if (left != held || keccak256(abi.encode(token.holdsOf(from))) != keccak256(abi.encode(live))) {
                replica.note(2, "force ends or cuts the wrong holds");
            } else if (token.getFrozenTokens(from) != (frozen < rest - left ? frozen : rest - left)) {
                replica.note(2, "force leaves the wrong units frozen");
            }
        } else if (left != held || token.getFrozenTokens(from) != frozen) {
            replica.note(2, "force takes bound units before free ones");
        }
    }

    /// @dev What force leaves of holds: those of agents are whole or gone, a lockup gives what is missing.
    function _cut(ITokenHolds.Hold[] memory live, uint256 held, uint256 most) private pure returns (uint256) {
        uint256 keep = live.length;
        while (held > most) {
            ITokenHolds.Hold memory newest = live[--keep];
            uint256 missing = held - most;
            if (newest.kind == HoldKinds.REDEMPTION || newest.amount <= missing) {
                held -= newest.amount;
            } else {
                // It has more than that.
                // forge-lint: disable-next-line(unsafe-typecast)
                newest.amount -= uint104(missing);
                held = most;
                ++keep;
            }
        }
        assembly ("memory-safe") {
            mstore(live, keep)
        }
        return held;
    }

    /// @dev The holds that have not expired.
    function _live(address wallet) private view returns (ITokenHolds.Hold[] memory live) {
        live = token.holdsOf(wallet);
        uint256 count;
        for (uint256 i = 0; i < live.length; ++i) {
            if (live[i].until == 0 || live[i].until > block.timestamp) live[count++] = live[i];
        }
        assembly ("memory-safe") {
            mstore(live, count)
        }
    }

    /// @dev Of one mind, as for transfers (I3).
    function _agree(bool admitted, bool predicted, bytes memory data) private {
        bool ok = attempt(address(world.executor()), address(token), data);
        if (ok != predicted) replica.note(3, "an operation ends otherwise than predicted");
        else if (ok != admitted) replica.note(3, "an operation ends otherwise than the rules say");
        vm.assume(ok || predicted || admitted);
    }
}
