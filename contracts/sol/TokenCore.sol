// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ContextUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/ContextUpgradeable.sol";
import {IERC7943Fungible} from "./interfaces/IERC7943.sol";
import {IInvestorRegistry} from "./interfaces/IInvestorRegistry.sol";
import {ISecurityToken} from "./interfaces/ISecurityToken.sol";
import {ITokenHolds} from "./interfaces/ITokenHolds.sol";
import {Holds} from "./lib/Holds.sol";
import {HolderSlot} from "./lib/HolderSlot.sol";
import {RestrictionCodes} from "./lib/RestrictionCodes.sol";
import {TokenRoles} from "./lib/TokenRoles.sol";
import {TokenHead, TokenHeads, TokenSupplies, TokenSupply} from "./lib/TokenWords.sol";

/// @title TokenCore
/// @notice What a token and its extension share: storage, the rules, and the one place where balances change.
/// @dev One function each decides on transfers, mints and burns, for the predictor and for the movement; whether the
/// sender's balance suffices is not its affair but ERC20InsufficientBalance. `_settle`, `_issue` and `_destroy` alone
/// write balances, supply and holder count.
abstract contract TokenCore is ContextUpgradeable {
    using Holds for ITokenHolds.Hold[];

    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    bytes32 public constant BURNER_ROLE = keccak256("BURNER_ROLE");
    bytes32 public constant FREEZER_ROLE = keccak256("FREEZER_ROLE");
    bytes32 public constant ENFORCER_ROLE = keccak256("ENFORCER_ROLE");
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");
    bytes32 public constant HOLD_ROLE = keccak256("HOLD_ROLE");
    bytes32 public constant RULES_ROLE = keccak256("RULES_ROLE");

    /// @dev Modes of the country rule; 0 is none.
    uint8 internal constant REFUSE_LISTED = 1;
    uint8 internal constant ADMIT_LISTED = 2;

    struct Document {
        bytes32 hash;
        uint40 modifiedAt;
    }

    /// @dev A wallet's own word, and its holds, which are read only where the word says that there are any.
    struct Holder {
        HolderSlot slot;
        ITokenHolds.Hold[] holds;
    }

    /// @dev `earning` counts the units that earn, and only where there is a minimum: else all do. `perUnit` is what a unit
    /// has earned up to a period, `accrued` what a wallet has up to the period in its word; both Q128.
    struct RentStorage {
        address distributor;
        bool bound;
        uint104 minimum;
        uint104 earning;
        uint256 carry;
        mapping(uint256 period => uint256) perUnit;
        mapping(address account => uint256) accrued;
    }

    /// @custom:storage-location erc7201:tokenx.storage.SecurityToken
    struct TokenStorage {
        TokenHead head;
        TokenSupply supply;
        uint104 maxBalance;
        uint8 countryMode;
        uint256[4] countries;
        mapping(address account => Holder) holders;
        mapping(bytes32 name => Document) documents;
        string instrumentId;
        RentStorage rent;
    }

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.SecurityToken")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant TOKEN_STORAGE = 0xd9f226a1495dba0a8e14b62d8ae52e8f929ab675fae625be6956d66ca03af000;

    // ---------------------------------------------------------------- movements

    /// @dev A transfer under all rules.
    function _move(address from, address to, uint256 value) internal {
        TokenStorage storage $ = _token();
        (Holder storage giver, Holder storage taker) = ($.holders[from], $.holders[to]);
        (HolderSlot sender, uint256 held) = _meet(from, giver);
        HolderSlot receiver = taker.slot;
        TokenHead head = $.head;
        uint8 code = _transferRestriction($, head, from, to, value, sender, held, receiver);
        if (code != RestrictionCodes.OK) _refuse(from, to, value, code, sender);
        _settle(head, from, to, value, giver, sender, taker, receiver);
    }

    /// @dev A mint under all rules, told.
    function _issue(address to, uint256 amount, bytes32 reason) internal {
        if (to == address(0)) revert IERC20Errors.ERC20InvalidReceiver(to);
        TokenStorage storage $ = _token();
        Holder storage taker = $.holders[to];
        (HolderSlot receiver, TokenSupply supply, TokenHead head) = (taker.slot, $.supply, $.head);
        uint8 code = _mintRestriction($, head, supply, to, amount, receiver);
        if (code != RestrictionCodes.OK) _refuse(address(0), to, amount, code, receiver);
        if (head.hasRent()) receiver = _earn($, head, to, receiver, receiver.balance() + amount);
        supply = supply.changedBy(amount);
        if (receiver.balance() == 0 && amount != 0) supply = supply.changedBy(TokenSupplies.ONE_HOLDER);
        receiver = receiver.plus(amount);
        (taker.slot, $.supply) = (receiver, supply);
        emit IERC20.Transfer(address(0), to, amount);
        emit ISecurityToken.Minted(to, amount, receiver.balance(), supply.total(), reason, _msgSender());
    }

    /// @dev Moves units between two wallets; no rule is asked. A transfer to oneself changes nothing. `sender` and
    /// `receiver` are what is stored for both, but for changes that are to be stored with the new balances.
    function _settle(
        TokenHead head,
        address from,
        address to,
        uint256 value,
        Holder storage giver,
        HolderSlot sender,
        Holder storage taker,
        HolderSlot receiver
    ) internal {
        _checkBalance(from, sender, value);
        if (from != to) {
            if (head.hasRent()) {
                sender = _earn(_token(), head, from, sender, sender.balance() - value);
                receiver = _earn(_token(), head, to, receiver, receiver.balance() + value);
            }
            uint256 change;
            unchecked {
                if (value != 0 && sender.balance() == value) change -= TokenSupplies.ONE_HOLDER;
                if (value != 0 && receiver.balance() == 0) change += TokenSupplies.ONE_HOLDER;
            }
            (giver.slot, taker.slot) = (sender.minus(value), receiver.plus(value));
            if (change != 0) {
                TokenStorage storage $ = _token();
                $.supply = $.supply.changedBy(change);
            }
        }
        emit IERC20.Transfer(from, to, value);
    }

    /// @dev Takes units of a wallet out of the supply; no rule is asked. Gives back the balance and the supply that
    /// result.
    function _destroy(address from, uint256 value, Holder storage giver, HolderSlot sender)
        internal
        returns (uint256 balance, uint256 total)
    {
        _checkBalance(from, sender, value);
        TokenStorage storage $ = _token();
        TokenHead head = $.head;
        if (head.hasRent()) sender = _earn($, head, from, sender, sender.balance() - value);
        uint256 change;
        unchecked {
            change -= value;
            if (value != 0 && sender.balance() == value) change -= TokenSupplies.ONE_HOLDER;
        }
        TokenSupply supply = $.supply.changedBy(change);
        sender = sender.minus(value);
        (giver.slot, $.supply) = (sender, supply);
        emit IERC20.Transfer(from, address(0), value);
        return (sender.balance(), supply.total());
    }

    function _checkBalance(address from, HolderSlot sender, uint256 value) internal pure {
        if (sender.balance() < value) revert IERC20Errors.ERC20InsufficientBalance(from, sender.balance(), value);
    }

    /// @dev The sender of a movement: ends its expired holds, sums the others.
    function _meet(address account, Holder storage holder) internal returns (HolderSlot slot, uint256 held) {
        slot = holder.slot;
        if (slot.hasHolds()) {
            held = holder.holds.sweep(account);
            // Held units are more than none: nothing held, no hold.
            if (held == 0) holder.slot = slot = slot.withHolds(false);
        }
    }

    // ---------------------------------------------------------------- rent

    /// @dev The hook: before the balance of a wallet becomes `balance`, what it has earned by the one it has goes to its
    /// account. Calls nobody and cannot fail: what a wallet earns is part of what was opened, 2^248 at most.
    function _earn(TokenStorage storage $, TokenHead head, address account, HolderSlot slot, uint256 balance)
        internal
        returns (HolderSlot)
    {
        uint256 period = head.rentPeriod();
        if (slot.rentPeriod() != period) {
            $.rent.accrued[account] = _accrued($, head, account, slot);
            slot = slot.withRentPeriod(period);
        }
        if (head.has(TokenHeads.HAS_RENT_MINIMUM)) _count($.rent, slot.balance(), balance);
        return slot;
    }

    /// @dev What a wallet has earned up to the last period, by a balance it has had since the one in its word.
    function _accrued(TokenStorage storage $, TokenHead head, address account, HolderSlot slot)
        internal
        view
        returns (uint256 accrued)
    {
        RentStorage storage rent_ = $.rent;
        accrued = rent_.accrued[account];
        uint256 balance = slot.balance();
        if (balance != 0 && (!head.has(TokenHeads.HAS_RENT_MINIMUM) || balance >= rent_.minimum)) {
            unchecked {
                accrued += balance * (rent_.perUnit[head.rentPeriod()] - rent_.perUnit[slot.rentPeriod()]);
            }
        }
    }

    /// @dev Units earn where a wallet has the minimum, all of them or none.
    function _count(RentStorage storage rent_, uint256 before, uint256 balance) private {
        uint256 minimum = rent_.minimum;
        if (before < minimum) before = 0;
        if (balance < minimum) balance = 0;
        if (balance != before) {
            unchecked {
                // Units that earn are part of the supply.
                // forge-lint: disable-next-line(unsafe-typecast)
                rent_.earning = uint104(rent_.earning + balance - before);
            }
        }
    }

    // ---------------------------------------------------------------- rules

    /// @dev Why `amount` may not go from one wallet to another.
    /// @param sender What is stored for `from`, `held` units of it under holds.
    /// @param receiver What is stored for `to`.
    function _transferRestriction(
        TokenStorage storage $,
        TokenHead head,
        address from,
        address to,
        uint256 amount,
        HolderSlot sender,
        uint256 held,
        HolderSlot receiver
    ) internal view returns (uint8 code) {
        if (head.has(TokenHeads.TRANSFERS_PAUSED)) return RestrictionCodes.TOKEN_PAUSED;
        code = _amountRestriction(sender, held, amount);
        if (code != RestrictionCodes.OK) return code;
        code = _receiverRestriction($, head, from, to, receiver);
        if (code != RestrictionCodes.OK) return code;
        // What is not moved cannot break a limit.
        if (head.has(TokenHeads.HAS_LIMITS) && from != to) return _limitRestriction($, head, amount, sender, receiver);
    }

    /// @dev Why `amount` may not be minted.
    function _mintRestriction(
        TokenStorage storage $,
        TokenHead head,
        TokenSupply supply,
        address to,
        uint256 amount,
        HolderSlot receiver
    ) internal view returns (uint8 code) {
        if (head.has(TokenHeads.SUPPLY_PAUSED)) return RestrictionCodes.SUPPLY_PAUSED;
        code = _receiverRestriction($, head, address(0), to, receiver);
        if (code != RestrictionCodes.OK) return code;
        if (amount > supply.left()) return RestrictionCodes.MAX_SUPPLY_EXCEEDED;
        if (head.has(TokenHeads.HAS_LIMITS)) {
            return _limitRestriction($, head, amount, HolderSlot.wrap(0), receiver);
        }
    }

    /// @dev Why `amount` may not be burned. It is the issuer's act: what the registry thinks of the holder does not stop
    /// it.
    function _burnRestriction(TokenStorage storage $, HolderSlot sender, uint256 held, uint256 amount)
        internal
        view
        returns (uint8)
    {
        if ($.head.has(TokenHeads.SUPPLY_PAUSED)) return RestrictionCodes.SUPPLY_PAUSED;
        return _amountRestriction(sender, held, amount);
    }

    /// @dev Why `amount` may not leave a wallet, whoever gets it.
    function _amountRestriction(HolderSlot sender, uint256 held, uint256 amount) internal pure returns (uint8) {
        if (sender.isPlain()) return RestrictionCodes.OK;
        if (sender.addressFrozen()) return RestrictionCodes.SENDER_FROZEN;
        // Above the whole balance it is neither freeze nor hold that stands in the way.
        if (amount > sender.freeBeside(held) && amount <= sender.balance()) {
            return amount > sender.free() ? RestrictionCodes.AMOUNT_FROZEN : RestrictionCodes.AMOUNT_HELD;
        }
        return RestrictionCodes.OK;
    }

    /// @dev Why `to` may not receive, whatever the amount, or `from` not send; a `from` of zero is not asked about.
    function _receiverRestriction(TokenStorage storage $, TokenHead head, address from, address to, HolderSlot receiver)
        internal
        view
        returns (uint8 code)
    {
        if (receiver.addressFrozen()) return RestrictionCodes.RECIPIENT_FROZEN;
        uint256 country;
        (code, country) = _ask(head.registry(), from, to);
        if (head.has(TokenHeads.HAS_COUNTRY_RULE) && code == RestrictionCodes.OK && !_admits($, country)) {
            return RestrictionCodes.RECIPIENT_COUNTRY;
        }
    }

    /// @dev Why a movement between two wallets, or a mint, would break the limits.
    function _limitRestriction(
        TokenStorage storage $,
        TokenHead head,
        uint256 amount,
        HolderSlot sender,
        HolderSlot receiver
    ) private view returns (uint8) {
        if (amount == 0) return RestrictionCodes.OK;
        (uint256 most, uint256 balance) = (head.maxHolders(), receiver.balance());
        // A sender that gives all away makes room. Minting has no sender, and thus a balance of 0.
        if (most != 0 && balance == 0 && amount != sender.balance() && $.supply.holders() >= most) {
            return RestrictionCodes.HOLDER_LIMIT;
        }
        most = $.maxBalance;
        if (most != 0 && (balance > most || amount > most - balance)) return RestrictionCodes.BALANCE_LIMIT;
        return RestrictionCodes.OK;
    }

    function _admits(TokenStorage storage $, uint256 country) private view returns (bool) {
        bool listed = country < 1024 && ($.countries[country / 256] >> (country % 256)) & 1 != 0;
        return listed == ($.countryMode == ADMIT_LISTED);
    }

    /// @dev The registry's answer. One that fails, is missing or talks nonsense counts as a refusal, so that views
    /// never revert and nothing moves unseen.
    function _ask(address registry, address from, address to) internal view returns (uint8, uint256) {
        (uint256 selector, uint256 sender, uint256 receiver) =
            (uint32(IInvestorRegistry.check.selector), uint256(uint160(from)), uint256(uint160(to)));
        bool ok;
        uint256 code;
        uint256 country;
        assembly ("memory-safe") {
            // The call's 68 bytes begin with the last four of the first word.
            let data := mload(0x40)
            mstore(data, selector)
            mstore(add(data, 0x20), sender)
            mstore(add(data, 0x40), receiver)
            ok := staticcall(gas(), registry, add(data, 0x1c), 0x44, 0x00, 0x40)
            code := mload(0x00)
            country := mload(0x20)
            // Two words, of 8 and 16 bits.
            ok := and(ok, and(eq(returndatasize(), 0x40), iszero(or(shr(8, code), shr(16, country)))))
        }
        if (!ok) return (RestrictionCodes.REGISTRY_UNAVAILABLE, 0);
        // forge-lint: disable-next-line(unsafe-typecast)
        return (uint8(code), country);
    }

    /// @dev Reverts with what a code means: units that are frozen have an error of ERC-7943's own.
    function _refuse(address from, address to, uint256 amount, uint8 code, HolderSlot sender) internal pure {
        if (code == RestrictionCodes.AMOUNT_FROZEN) {
            revert IERC7943Fungible.ERC7943InsufficientUnfrozenBalance(from, amount, sender.free());
        }
        revert ISecurityToken.TransferRestricted(from, to, amount, code);
    }

    // ---------------------------------------------------------------- freezing

    function _tellFrozen(address account, uint256 oldAmount, uint256 newAmount, bytes32 reason) internal {
        emit IERC7943Fungible.Frozen(account, newAmount);
        emit ISecurityToken.FrozenChanged(account, oldAmount, newAmount, reason, _msgSender());
    }

    // ---------------------------------------------------------------- storage

    function _token() internal pure returns (TokenStorage storage $) {
        assembly ("memory-safe") {
            $.slot := TOKEN_STORAGE
        }
    }

    /// @dev What the one who operates a token holds: all but the admin's role.
    function _operatingRoles() internal pure returns (bytes32[11] memory) {
        return [
            MINTER_ROLE,
            BURNER_ROLE,
            FREEZER_ROLE,
            ENFORCER_ROLE,
            PAUSER_ROLE,
            HOLD_ROLE,
            RULES_ROLE,
            TokenRoles.TERMS_ROLE,
            TokenRoles.MATCHER_ROLE,
            TokenRoles.PAYOUT_ROLE,
            TokenRoles.CARRIER_ROLE
        ];
    }
}
