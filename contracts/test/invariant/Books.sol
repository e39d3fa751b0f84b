// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInvestorRegistry} from "../../sol/interfaces/IInvestorRegistry.sol";
import {ITokenHolds} from "../../sol/interfaces/ITokenHolds.sol";

/// @notice What an indexer would know of a token and its registries, and the rules told a second time over it.
abstract contract Books {
    struct Account {
        uint256 balance;
        uint256 frozen;
        bool addressFrozen;
        ITokenHolds.Hold[] holds;
    }

    struct Document {
        bytes32 hash;
        string uri;
        uint256 modifiedAt;
    }

    uint8 private constant WHITELISTED = 1;
    uint8 private constant SANCTIONED = 2;
    uint8 private constant ADMIT_LISTED = 2;
    uint256 private constant MOST_HOLDS = 16;

    uint256 public supply;
    uint256 public maxSupply;
    uint256 public holders;
    bool public transfersPaused;
    bool public supplyPaused;
    address public registry;
    uint32 public maxHolders;
    uint104 public maxBalance;
    uint8 public countryMode;
    uint256[4] internal _countries;

    /// @notice Sums of the labels; balances and supply follow from `Transfer`.
    uint256 public minted;
    uint256 public burned;

    address[] internal _wallets;
    bytes32[] internal _documentNames;
    mapping(address wallet => Account) internal _accounts;
    mapping(bytes32 name => Document) internal _documents;
    mapping(address registry => mapping(address wallet => IInvestorRegistry.Investor)) internal _investors;

    function wallets() external view returns (address[] memory) {
        return _wallets;
    }

    function accountOf(address wallet) external view returns (Account memory) {
        return _accounts[wallet];
    }

    function investorOf(address registry_, address wallet) external view returns (IInvestorRegistry.Investor memory) {
        return _investors[registry_][wallet];
    }

    function countries() external view returns (uint256[4] memory) {
        return _countries;
    }

    function documentNames() external view returns (bytes32[] memory) {
        return _documentNames;
    }

    function documentOf(bytes32 name) external view returns (Document memory) {
        return _documents[name];
    }

    // ---------------------------------------------------------------- amounts

    /// @notice Units under holds that still count, and how many holds those are.
    function heldOf(address wallet) public view returns (uint256 held, uint256 live) {
        ITokenHolds.Hold[] storage holds = _accounts[wallet].holds;
        for (uint256 i = 0; i < holds.length; ++i) {
            if (holds[i].until != 0 && holds[i].until <= block.timestamp) continue;
            held += holds[i].amount;
            ++live;
        }
    }

    /// @notice What neither freeze nor hold binds.
    function freeOf(address wallet) public view returns (uint256) {
        Account storage account = _accounts[wallet];
        (uint256 held,) = heldOf(wallet);
        uint256 bound = account.frozen + held;
        return account.balance > bound ? account.balance - bound : 0;
    }

    // ---------------------------------------------------------------- rules

    function maySend(address wallet) public view returns (bool) {
        return !_accounts[wallet].addressFrozen && _eligible(wallet);
    }

    function mayReceive(address wallet) public view returns (bool) {
        return !_accounts[wallet].addressFrozen && _eligible(wallet) && _admitted(wallet);
    }

    /// @notice Whether the token must let `amount` pass from one holder to another.
    function admits(address from, address to, uint256 amount) external view returns (bool) {
        return !transfersPaused && maySend(from) && mayReceive(to) && amount <= freeOf(from)
            && (from == to || _fits(_accounts[from].balance, to, amount));
    }

    function admitsMint(address to, uint256 amount) public view returns (bool) {
        return !supplyPaused && mayReceive(to) && amount <= maxSupply - supply && _fits(0, to, amount);
    }

    function admitsBurn(address from, uint256 amount) external view returns (bool) {
        return !supplyPaused && !_accounts[from].addressFrozen && amount <= freeOf(from);
    }

    /// @notice A hold of an agent; nothing but the wallet itself decides.
    function admitsHold(address wallet, uint256 amount) external view returns (bool) {
        (, uint256 live) = heldOf(wallet);
        return amount != 0 && !_accounts[wallet].addressFrozen && amount <= freeOf(wallet) && live < MOST_HOLDS;
    }

    /// @param day Start of the day from which the lockup no longer counts.
    function admitsLocked(address to, uint256 amount, uint8 kind, uint256 day) external view returns (bool) {
        if (amount == 0 || !admitsMint(to, amount)) return false;
        (, uint256 live) = heldOf(to);
        ITokenHolds.Hold[] storage holds = _accounts[to].holds;
        bool merges;
        for (uint256 i = 0; i < holds.length; ++i) {
            merges = merges || (holds[i].kind == kind && holds[i].until == day);
        }
        return merges || live < MOST_HOLDS;
    }

    function admitsRecovery(address lost, address replacement, uint256 amount) external view returns (bool) {
        IInvestorRegistry.Investor storage investor = _investors[registry][lost];
        return lost != replacement && investor.investorId != 0 && investor.flags & WHITELISTED == 0
            && investor.investorId == _investors[registry][replacement].investorId && mayReceive(replacement)
            && amount == _accounts[lost].balance;
    }

    // ---------------------------------------------------------------- private

    function _eligible(address wallet) private view returns (bool) {
        IInvestorRegistry.Investor storage investor = _investors[registry][wallet];
        return investor.flags & WHITELISTED != 0 && investor.flags & SANCTIONED == 0
            && (investor.kycExpiresAt == 0 || block.timestamp < investor.kycExpiresAt);
    }

    function _admitted(address wallet) private view returns (bool) {
        if (countryMode == 0) return true;
        uint16 country = _investors[registry][wallet].country;
        bool listed = country < 1024 && _countries[country / 256] & (1 << (country % 256)) != 0;
        return countryMode == ADMIT_LISTED ? listed : !listed;
    }

    /// @dev Whether one more holder and one larger balance are within the limits.
    function _fits(uint256 sent, address to, uint256 amount) private view returns (bool) {
        if (amount == 0) return true;
        uint256 balance = _accounts[to].balance;
        uint256 count = holders + (balance == 0 ? 1 : 0) - (sent == amount ? 1 : 0);
        // Who gives all away to a new holder makes room for it, even above the limit.
        if (maxHolders != 0 && count > maxHolders && count > holders) return false;
        return maxBalance == 0 || (balance <= maxBalance && amount <= maxBalance - balance);
    }
}
