// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC7943Fungible} from "../../sol/interfaces/IERC7943.sol";
import {IInvestorRegistry} from "../../sol/interfaces/IInvestorRegistry.sol";
import {ISecurityToken} from "../../sol/interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../../sol/interfaces/ITokenExtension.sol";
import {ITokenHolds} from "../../sol/interfaces/ITokenHolds.sol";
import {Vm} from "../Base.sol";
import {Books} from "./Books.sol";
import {Breaches} from "./Breaches.sol";

/// @notice A token and its registries rebuilt from their logs alone. While it follows, it notes the first log that
/// contradicts what the logs before it said, under the number of the law it breaks.
contract Replica is Books, Breaches {
    /// @dev A movement that the holders' rules forbid, until force or recovery is found behind it.
    struct Movement {
        uint8 law;
        address from;
        address to;
        uint256 amount;
    }

    address public immutable token;

    /// @dev What ERC-7943's own events said last, for those of ours behind them, which say it again.
    uint256 private _frozenSaid;
    bytes32 private _forceSaid;
    /// @dev By how much the frozen amount fell since the last forced movement.
    uint256 private _thawed;

    mapping(address wallet => bool) private _known;
    Movement[] private _unexplained;

    constructor(address token_) {
        token = token_;
    }

    /// @notice Takes in the logs of one transaction.
    function follow(Vm.Log[] calldata logs) external {
        _thawed = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes32 topic = logs[i].topics[0];
            if (topic == IInvestorRegistry.InvestorChanged.selector) _investorChanged(logs[i]);
            if (logs[i].emitter != token) continue;
            if (topic == IERC20.Transfer.selector) _transfer(logs[i]);
            else if (!_label(topic, logs[i]) && !_account(topic, logs[i])) _setting(topic, logs[i]);
        }
        while (_unexplained.length > 0) {
            bool paused = _unexplained[_unexplained.length - 1].law == 5;
            note(paused ? 5 : 4, paused ? "units moved during a pause" : "units went to a wallet that may not receive");
            _unexplained.pop();
        }
    }

    // ---------------------------------------------------------------- units

    function _transfer(Vm.Log calldata log) private {
        (address from, address to) = (_address(log.topics[1]), _address(log.topics[2]));
        uint256 amount = abi.decode(log.data, (uint256));
        bool ofSupply = from == address(0) || to == address(0);
        if (ofSupply ? supplyPaused : transfersPaused) _unexplained.push(Movement(5, from, to, amount));
        if (to != address(0) && !mayReceive(to)) _unexplained.push(Movement(4, from, to, amount));
        if (from == address(0)) supply += amount;
        else _take(_of(from), amount);
        if (to == address(0)) supply -= amount;
        else _give(_of(to), amount);
    }

    function _take(Account storage account, uint256 amount) private {
        if (amount > account.balance) return note(12, "a Transfer takes more than the logs gave");
        account.balance -= amount;
        if (amount != 0 && account.balance == 0) --holders;
    }

    function _give(Account storage account, uint256 amount) private {
        if (amount != 0 && account.balance == 0) ++holders;
        account.balance += amount;
    }

    /// @dev Events that say what a `Transfer` was, with figures that must agree.
    function _label(bytes32 topic, Vm.Log calldata log) private returns (bool) {
        if (topic == ISecurityToken.Minted.selector || topic == ISecurityToken.Burned.selector) {
            (uint256 amount, uint256 balance, uint256 supplyAfter,,) =
                abi.decode(log.data, (uint256, uint256, uint256, bytes32, address));
            if (topic == ISecurityToken.Minted.selector) minted += amount;
            else burned += amount;
            _agree(_address(log.topics[1]), balance, supplyAfter);
        } else if (topic == ISecurityToken.ForcedBurnExecuted.selector) {
            (uint256 amount, uint256 unfrozen, uint256 balance, uint256 supplyAfter,,) =
                abi.decode(log.data, (uint256, uint256, uint256, uint256, bytes32, address));
            burned += amount;
            _thaw(unfrozen);
            _agree(_address(log.topics[1]), balance, supplyAfter);
            _explain(5, _address(log.topics[1]), address(0), amount);
        } else if (topic == ISecurityToken.ForcedTransferExecuted.selector) {
            (uint256 amount, uint256 unfrozen,,) = abi.decode(log.data, (uint256, uint256, bytes32, address));
            _thaw(unfrozen);
            if (_forceSaid != keccak256(abi.encode(log.topics[1], log.topics[2], amount))) {
                note(12, "ForcedTransfer and ForcedTransferExecuted disagree");
            }
            _explain(5, _address(log.topics[1]), _address(log.topics[2]), amount);
        } else if (topic == IERC7943Fungible.ForcedTransfer.selector) {
            _forceSaid = keccak256(abi.encode(log.topics[1], log.topics[2], abi.decode(log.data, (uint256))));
        } else if (topic == ITokenExtension.WalletRecovered.selector) {
            (uint256 amount,,) = abi.decode(log.data, (uint256, bytes32, address));
            _explain(5, _address(log.topics[1]), _address(log.topics[2]), amount);
            // The freeze of the whole wallet arrives before the units.
            _explain(4, _address(log.topics[1]), _address(log.topics[2]), amount);
        } else {
            return false;
        }
        return true;
    }

    function _thaw(uint256 unfrozen) private {
        if (unfrozen > _thawed) note(12, "force says it unfroze more than FrozenChanged does");
        _thawed = 0;
    }

    function _agree(address wallet, uint256 balance, uint256 supplyAfter) private {
        if (_accounts[wallet].balance != balance || supply != supplyAfter) note(12, "a label ends in other sums");
    }

    function _explain(uint8 law, address from, address to, uint256 amount) private {
        for (uint256 i = 0; i < _unexplained.length; ++i) {
            Movement storage movement = _unexplained[i];
            if (movement.law == law && movement.from == from && movement.to == to && movement.amount == amount) {
                _unexplained[i] = _unexplained[_unexplained.length - 1];
                _unexplained.pop();
                return;
            }
        }
    }

    // ---------------------------------------------------------------- one wallet

    function _account(bytes32 topic, Vm.Log calldata log) private returns (bool) {
        if (topic == ITokenHolds.HoldChanged.selector) {
            _holdChanged(log);
        } else if (topic == ISecurityToken.FrozenChanged.selector) {
            (uint256 oldAmount, uint256 newAmount,,) = abi.decode(log.data, (uint256, uint256, bytes32, address));
            Account storage account = _of(_address(log.topics[1]));
            if (account.frozen != oldAmount) note(12, "FrozenChanged starts from another amount");
            if (_frozenSaid != newAmount) note(12, "Frozen and FrozenChanged disagree");
            _thawed = oldAmount > newAmount ? oldAmount - newAmount : 0;
            account.frozen = newAmount;
        } else if (topic == IERC7943Fungible.Frozen.selector) {
            _frozenSaid = abi.decode(log.data, (uint256));
        } else if (topic == ISecurityToken.AddressFreezeChanged.selector) {
            (bool on,,) = abi.decode(log.data, (bool, bytes32, address));
            _of(_address(log.topics[1])).addressFrozen = on;
        } else {
            return false;
        }
        return true;
    }

    function _holdChanged(Vm.Log calldata log) private {
        (uint8 kind, uint104 oldAmount, uint104 newAmount, uint40 until, address agent,,,) =
            abi.decode(log.data, (uint8, uint104, uint104, uint40, address, uint8, bytes32, address));
        // The topic holds 48 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint48 id = uint48(uint256(log.topics[2]));
        ITokenHolds.Hold[] storage holds = _of(_address(log.topics[1])).holds;
        uint256 index;
        while (index < holds.length && holds[index].id != id) ++index;
        if ((index < holds.length ? holds[index].amount : 0) != oldAmount) {
            note(12, "HoldChanged starts from another amount");
        } else if (oldAmount == 0) {
            holds.push(ITokenHolds.Hold(newAmount, id, until, kind, agent));
        } else if (newAmount != 0) {
            holds[index].amount = newAmount;
        } else {
            for (; index + 1 < holds.length; ++index) {
                holds[index] = holds[index + 1];
            }
            holds.pop();
        }
    }

    function _investorChanged(Vm.Log calldata log) private {
        (uint16 country, uint8 class, uint40 expiry, uint8 flags,,) =
            abi.decode(log.data, (uint16, uint8, uint40, uint8, bytes32, address));
        // The topic holds 64 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 id = uint64(uint256(log.topics[2]));
        address wallet = _address(log.topics[1]);
        _of(wallet);
        _investors[log.emitter][wallet] = IInvestorRegistry.Investor(id, country, class, expiry, flags);
    }

    // ---------------------------------------------------------------- the token

    function _setting(bytes32 topic, Vm.Log calldata log) private {
        if (topic == ITokenExtension.PauseChanged.selector) {
            (transfersPaused, supplyPaused,,) = abi.decode(log.data, (bool, bool, bytes32, address));
        } else if (topic == ITokenExtension.LimitsChanged.selector) {
            (maxHolders, maxBalance,,) = abi.decode(log.data, (uint32, uint104, bytes32, address));
        } else if (topic == ITokenExtension.CountryRuleChanged.selector) {
            (countryMode, _countries,,) = abi.decode(log.data, (uint8, uint256[4], bytes32, address));
        } else if (topic == ITokenExtension.DocumentChanged.selector) {
            (string memory uri, bytes32 hash,) = abi.decode(log.data, (string, bytes32, address));
            Document storage document = _documents[log.topics[1]];
            if (document.hash == 0) _documentNames.push(log.topics[1]);
            (document.hash, document.uri) = (hash, uri);
            document.modifiedAt = hash == 0 ? 0 : block.timestamp;
        } else if (topic == ISecurityToken.RegistryChanged.selector) {
            (, registry,,) = abi.decode(log.data, (address, address, bytes32, address));
        } else if (topic == ISecurityToken.TokenInitialized.selector) {
            (,,,, maxSupply, registry,,) =
                abi.decode(log.data, (string, string, string, uint8, uint256, address, address, address));
        }
    }

    // ---------------------------------------------------------------- helpers

    function _of(address wallet) private returns (Account storage) {
        if (!_known[wallet]) {
            _known[wallet] = true;
            _wallets.push(wallet);
        }
        return _accounts[wallet];
    }

    function _address(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}
