// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITokenHolds} from "../interfaces/ITokenHolds.sol";

/// @title HoldKinds
/// @notice What a hold is for.
library HoldKinds {
    /// @dev Placed, released and executed by an agent.
    uint8 internal constant REDEMPTION = 1;
    /// @dev Lockups, made by a locked mint and ended by time, force or recovery alone.
    uint8 internal constant REG_D = 2;
    uint8 internal constant REG_S = 3;
}

/// @title HoldCauses
/// @notice Why a hold changed.
library HoldCauses {
    uint8 internal constant PLACED = 1;
    uint8 internal constant MERGED = 2;
    uint8 internal constant RELEASED = 3;
    uint8 internal constant EXECUTED = 4;
    uint8 internal constant EXPIRED = 5;
    uint8 internal constant FORCED = 6;
    uint8 internal constant RECOVERED = 7;
}

/// @title Holds
/// @notice The holds of one wallet, oldest first. Each change is told by `HoldChanged`; the flag in the wallet's
/// `HolderSlot` is the caller's affair.
library Holds {
    using Holds for ITokenHolds.Hold[];

    uint256 internal constant MOST = 16;

    /// @notice Sum of what is not expired.
    function held(ITokenHolds.Hold[] storage list) internal view returns (uint256 sum) {
        uint256 length = list.length;
        for (uint256 i = 0; i < length; ++i) {
            if (!isExpired(list[i].until)) sum += list[i].amount;
        }
    }

    /// @notice From its second `until` on, a hold blocks nothing; 0 = never.
    function isExpired(uint40 until) internal view returns (bool) {
        return until != 0 && block.timestamp >= until;
    }

    /// @notice Ends what is expired; gives back the sum of the rest. One pass: what stays moves down over what ends.
    function sweep(ITokenHolds.Hold[] storage list, address account) internal returns (uint256 sum) {
        uint256 length = list.length;
        uint256 kept;
        for (uint256 i = 0; i < length; ++i) {
            ITokenHolds.Hold storage hold = list[i];
            if (isExpired(hold.until)) {
                tell(account, hold, hold.amount, 0, HoldCauses.EXPIRED, 0);
            } else {
                sum += hold.amount;
                if (kept != i) _copy(hold, list[kept]);
                ++kept;
            }
        }
        for (; length > kept; --length) {
            list.pop();
        }
    }

    /// @notice Takes from the newest on until at most `most` of `sum` remain: a lockup gives only what is missing, since
    /// its other units stay locked; a hold of an agent, who counts on all of it, ends. Gives back what remains.
    function cut(ITokenHolds.Hold[] storage list, address account, uint256 sum, uint256 most, bytes32 reason)
        internal
        returns (uint256)
    {
        while (sum > most) {
            uint256 newest = list.length - 1;
            ITokenHolds.Hold memory hold = list[newest];
            uint256 left;
            unchecked {
                // What remains is not below 0: the holds are what was summed.
                sum -= hold.amount;
                if (sum < most && hold.kind != HoldKinds.REDEMPTION) left = most - sum;
            }
            if (left == 0) {
                list.pop();
            } else {
                // Less than there was, which fitted.
                // forge-lint: disable-next-line(unsafe-typecast)
                list[newest].amount = uint104(left);
                sum = most;
            }
            tell(account, hold, hold.amount, left, HoldCauses.FORCED, reason);
        }
        return sum;
    }

    /// @notice Adds a hold; its id must be higher than those before it.
    function add(
        ITokenHolds.Hold[] storage list,
        address account,
        ITokenHolds.Hold memory hold,
        uint8 cause,
        bytes32 reason
    ) internal {
        if (list.length == MOST) revert ITokenHolds.TooManyHolds(account);
        ITokenHolds.Hold storage added = list.push();
        (added.amount, added.id, added.until, added.kind) = (hold.amount, hold.id, hold.until, hold.kind);
        // A lockup has no agent and leaves its second word alone.
        if (hold.agent != address(0)) added.agent = hold.agent;
        tell(account, hold, 0, hold.amount, cause, reason);
    }

    /// @notice Adds `amount` to the hold at `index`.
    function grow(
        ITokenHolds.Hold[] storage list,
        address account,
        uint256 index,
        uint104 amount,
        uint8 cause,
        bytes32 reason
    ) internal {
        ITokenHolds.Hold memory hold = list[index];
        uint104 grown = hold.amount + amount;
        list[index].amount = grown;
        tell(account, hold, hold.amount, grown, cause, reason);
    }

    /// @notice Takes the hold at `index` out of the list, which keeps its order.
    function end(ITokenHolds.Hold[] storage list, address account, uint256 index, uint8 cause, bytes32 reason)
        internal
    {
        ITokenHolds.Hold memory hold = list[index];
        uint256 last = list.length - 1;
        for (uint256 i = index; i < last; ++i) {
            _copy(list[i + 1], list[i]);
        }
        list.pop();
        tell(account, hold, hold.amount, 0, cause, reason);
    }

    /// @notice Where the hold with this id is; reverts if it is not there.
    function find(ITokenHolds.Hold[] storage list, address account, uint256 id) internal view returns (uint256 index) {
        for (; index < list.length; ++index) {
            if (list[index].id == id) return index;
        }
        revert ITokenHolds.UnknownHold(account, id);
    }

    /// @notice Where the lockup of this kind and day is; the list's length if there is none.
    function findLockup(ITokenHolds.Hold[] storage list, uint8 kind, uint40 until)
        internal
        view
        returns (uint256 index)
    {
        for (; index < list.length; ++index) {
            if (list[index].kind == kind && list[index].until == until) return index;
        }
    }

    /// @notice Says that a hold had `oldAmount` and has `newAmount`.
    function tell(
        address account,
        ITokenHolds.Hold memory hold,
        uint256 oldAmount,
        uint256 newAmount,
        uint8 cause,
        bytes32 reason
    ) internal {
        emit ITokenHolds.HoldChanged(
            account, hold.id, hold.kind, oldAmount, newAmount, hold.until, hold.agent, cause, reason, msg.sender
        );
    }

    /// @dev A hold is two words; field by field it would be read and written five times.
    function _copy(ITokenHolds.Hold storage from, ITokenHolds.Hold storage to) private {
        assembly ("memory-safe") {
            sstore(to.slot, sload(from.slot))
            sstore(add(to.slot, 1), sload(add(from.slot, 1)))
        }
    }
}
