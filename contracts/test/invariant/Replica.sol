// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC7943Fungible} from "../../sol/interfaces/IERC7943.sol";
import {IInvestorRegistry} from "../../sol/interfaces/IInvestorRegistry.sol";
import {ISecurityToken} from "../../sol/interfaces/ISecurityToken.sol";
import {Vm} from "../Base.sol";

/// @notice What an indexer would know: a token and its registries, rebuilt from their logs alone. While it follows,
/// it notes the first log that contradicts what the logs before it said, under the number of the law it breaks.
contract Replica {
    struct Account {
        uint256 balance;
        uint256 frozen;
        bool addressFrozen;
    }

    struct Movement {
        address from;
        address to;
        uint256 amount;
    }

    uint8 private constant WHITELISTED = 1;
    uint8 private constant SANCTIONED = 2;

    address public immutable token;

    uint256 public supply;
    uint256 public maxSupply;
    bool public transfersPaused;
    bool public supplyPaused;
    address public registry;

    /// @notice Sums of the labels; balances and supply follow from `Transfer`.
    uint256 public minted;
    uint256 public burned;

    /// @notice The first breach of each law, in words; empty = it held so far.
    mapping(uint8 law => string) public breach;

    address[] private _wallets;
    mapping(address wallet => bool) private _known;
    mapping(address wallet => Account) private _accounts;
    mapping(address registry => mapping(address wallet => IInvestorRegistry.Investor)) private _investors;

    /// @dev Movements of this transaction that a pause forbids to all but force and recovery.
    Movement[] private _unexplained;

    constructor(address token_) {
        token = token_;
    }

    /// @notice Takes in the logs of one transaction.
    function follow(Vm.Log[] calldata logs) external {
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes32 topic = logs[i].topics[0];
            if (topic == IInvestorRegistry.InvestorChanged.selector) _investorChanged(logs[i]);
            if (logs[i].emitter != token) continue;
            if (topic == IERC20.Transfer.selector) _transfer(logs[i]);
            else if (!_label(topic, logs[i])) _setting(topic, logs[i]);
        }
        if (_unexplained.length > 0) {
            note(5, "units moved during a pause and no force says why");
            delete _unexplained;
        }
    }

    /// @notice Notes that a law is broken; the first word stays.
    function note(uint8 law, string memory what) public {
        if (bytes(breach[law]).length == 0) breach[law] = what;
    }

    // ---------------------------------------------------------------- what it knows

    function wallets() external view returns (address[] memory) {
        return _wallets;
    }

    function accountOf(address wallet) external view returns (Account memory) {
        return _accounts[wallet];
    }

    function investorOf(address registry_, address wallet) external view returns (IInvestorRegistry.Investor memory) {
        return _investors[registry_][wallet];
    }

    /// @notice What a holder may part with of its own will, as far as amounts go.
    function freeOf(address wallet) public view returns (uint256) {
        Account storage account = _accounts[wallet];
        return account.balance > account.frozen ? account.balance - account.frozen : 0;
    }

    function maySend(address wallet) public view returns (bool) {
        return !_accounts[wallet].addressFrozen && _eligible(wallet);
    }

    function mayReceive(address wallet) public view returns (bool) {
        return !_accounts[wallet].addressFrozen && _eligible(wallet);
    }

    /// @notice Whether the token must let `amount` pass from one holder to another: the rules, told a second time.
    function admits(address from, address to, uint256 amount) external view returns (bool) {
        return !transfersPaused && maySend(from) && mayReceive(to) && amount <= freeOf(from);
    }

    function admitsMint(address to, uint256 amount) external view returns (bool) {
        return !supplyPaused && mayReceive(to) && amount <= maxSupply - supply;
    }

    function admitsBurn(address from, uint256 amount) external view returns (bool) {
        return !supplyPaused && !_accounts[from].addressFrozen && amount <= freeOf(from);
    }

    // ---------------------------------------------------------------- logs

    function _transfer(Vm.Log calldata log) private {
        (address from, address to) = (_address(log.topics[1]), _address(log.topics[2]));
        uint256 amount = abi.decode(log.data, (uint256));
        bool ofSupply = from == address(0) || to == address(0);
        if (ofSupply ? supplyPaused : transfersPaused) _unexplained.push(Movement(from, to, amount));
        if (to != address(0) && !mayReceive(to)) note(4, "units went to a wallet that may not receive");
        if (from == address(0)) supply += amount;
        else _take(from, amount);
        if (to == address(0)) supply -= amount;
        else _account(to).balance += amount;
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
            (uint256 amount,, uint256 balance, uint256 supplyAfter,,) =
                abi.decode(log.data, (uint256, uint256, uint256, uint256, bytes32, address));
            burned += amount;
            _agree(_address(log.topics[1]), balance, supplyAfter);
            _explain(_address(log.topics[1]), address(0), amount);
        } else if (topic == ISecurityToken.ForcedTransferExecuted.selector) {
            (uint256 amount,,,) = abi.decode(log.data, (uint256, uint256, bytes32, address));
            _explain(_address(log.topics[1]), _address(log.topics[2]), amount);
        } else {
            return false;
        }
        return true;
    }

    /// @dev Events that carry the value that results.
    function _setting(bytes32 topic, Vm.Log calldata log) private {
        if (topic == ISecurityToken.FrozenChanged.selector) {
            (uint256 oldAmount, uint256 newAmount,,) = abi.decode(log.data, (uint256, uint256, bytes32, address));
            Account storage account = _account(_address(log.topics[1]));
            if (account.frozen != oldAmount) note(12, "FrozenChanged starts from another amount");
            account.frozen = newAmount;
        } else if (topic == ISecurityToken.AddressFreezeChanged.selector) {
            (bool on,,) = abi.decode(log.data, (bool, bytes32, address));
            _account(_address(log.topics[1])).addressFrozen = on;
        } else if (topic == keccak256("PauseChanged(bool,bool,bytes32,address)")) {
            (transfersPaused, supplyPaused,,) = abi.decode(log.data, (bool, bool, bytes32, address));
        } else if (topic == ISecurityToken.RegistryChanged.selector) {
            (, registry,,) = abi.decode(log.data, (address, address, bytes32, address));
        } else if (topic == ISecurityToken.TokenInitialized.selector) {
            (,,,, maxSupply, registry,,) =
                abi.decode(log.data, (string, string, string, uint8, uint256, address, address, address));
        }
    }

    function _investorChanged(Vm.Log calldata log) private {
        (uint16 country, uint8 class, uint40 expiry, uint8 flags,,) =
            abi.decode(log.data, (uint16, uint8, uint40, uint8, bytes32, address));
        // The topic holds 64 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 id = uint64(uint256(log.topics[2]));
        address wallet = _address(log.topics[1]);
        _account(wallet);
        _investors[log.emitter][wallet] = IInvestorRegistry.Investor(id, country, class, expiry, flags);
    }

    // ---------------------------------------------------------------- helpers

    function _eligible(address wallet) private view returns (bool) {
        IInvestorRegistry.Investor storage investor = _investors[registry][wallet];
        return investor.flags & WHITELISTED != 0 && investor.flags & SANCTIONED == 0
            && (investor.kycExpiresAt == 0 || block.timestamp < investor.kycExpiresAt);
    }

    function _account(address wallet) private returns (Account storage) {
        if (!_known[wallet]) {
            _known[wallet] = true;
            _wallets.push(wallet);
        }
        return _accounts[wallet];
    }

    function _take(address from, uint256 amount) private {
        Account storage account = _account(from);
        if (account.balance < amount) note(12, "a Transfer takes more than the logs gave");
        else account.balance -= amount;
    }

    function _agree(address wallet, uint256 balance, uint256 supplyAfter) private {
        if (_accounts[wallet].balance != balance || supply != supplyAfter) note(12, "a label ends in other sums");
    }

    function _explain(address from, address to, uint256 amount) private {
        for (uint256 i = 0; i < _unexplained.length; ++i) {
            Movement storage movement = _unexplained[i];
            if (movement.from == from && movement.to == to && movement.amount == amount) {
                _unexplained[i] = _unexplained[_unexplained.length - 1];
                _unexplained.pop();
                return;
            }
        }
    }

    function _address(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}
