// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IFeeVault} from "../../sol/interfaces/IFeeVault.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {IOtcDesk} from "../../sol/interfaces/IOtcDesk.sol";
import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ISecondaryMarket} from "../../sol/interfaces/ISecondaryMarket.sol";
import {ITokenExtension} from "../../sol/interfaces/ITokenExtension.sol";
import {ITokenFunds} from "../../sol/interfaces/ITokenFunds.sol";
import {ITokenRent} from "../../sol/interfaces/ITokenRent.sol";
import {Vm} from "../Base.sol";
import {Breaches} from "./Breaches.sol";

/// @notice A node's contracts, rebuilt from their logs and the token's alone. Rent is counted the slow way: at each period
/// every wallet gets its share.
contract NodeReplica is Breaches {
    struct Fund {
        uint256 available;
        uint256 owed;
        uint256 paidIn;
        uint256 paidOut;
    }

    address public immutable token;

    // The listing.
    IListing.Terms private _terms;
    IListing.Status public status;
    IListing.Supply private _supply;
    mapping(uint64 investorId => uint256) public purchasedBy;
    /// @notice What all purchases have cost.
    uint256 public takings;

    // The fee vault.
    IFeeVault.Beneficiaries private _beneficiaries;
    IFeeVault.Split private _shares;
    IFeeVault.Split private _allocated;
    uint256 public pot;
    mapping(address wallet => uint256) public feeCredits;

    // Redemptions and rent.
    mapping(address desk => mapping(address paymentToken => Fund)) public funds;
    IRedemptionDesk.RedemptionTerms private _redemptionTerms;
    mapping(uint256 requestId => IRedemptionDesk.Request) private _requests;
    uint256[] private _requestIds;
    mapping(address paymentToken => mapping(address wallet => uint256)) public credits;
    IRentDistributor.RentTerms private _rentTerms;
    ITokenRent.Rent private _rent;
    mapping(address wallet => uint256) public earned;

    // The market and the OTC desk.
    ISecondaryMarket.MarketTerms private _marketTerms;
    mapping(address wallet => mapping(bytes32 order => uint256)) public filled;
    mapping(address wallet => uint64) public cancelledBefore;
    IOtcDesk.OtcTerms private _otcTerms;
    mapping(bytes32 deal => IOtcDesk.DealState) public deals;

    mapping(address desk => address) public treasuries;
    mapping(address desk => mapping(address wallet => mapping(bytes32 salt => bool))) public used;

    mapping(address wallet => uint256) private _balances;
    mapping(address wallet => bool) private _known;
    address[] private _wallets;

    constructor(address token_) {
        token = token_;
    }

    /// @notice Takes in the logs of one transaction.
    function follow(Vm.Log[] calldata logs) external {
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes32 topic = logs[i].topics[0];
            if (logs[i].emitter == token) {
                _token(topic, logs[i]);
            } else if (!_node(topic, logs[i]) && !_sale(topic, logs[i]) && !_fees(topic, logs[i])) {
                if (!_fund(topic, logs[i]) && !_redemption(topic, logs[i])) {
                    if (!_rents(topic, logs[i])) _trades(topic, logs[i]);
                }
            }
        }
    }

    function wallets() external view returns (address[] memory) {
        return _wallets;
    }

    function requestIds() external view returns (uint256[] memory) {
        return _requestIds;
    }

    function requestOf(uint256 id) external view returns (IRedemptionDesk.Request memory) {
        return _requests[id];
    }

    function sale() external view returns (IListing.Terms memory, IListing.Supply memory) {
        return (_terms, _supply);
    }

    function feeTerms()
        external
        view
        returns (IFeeVault.Beneficiaries memory, IFeeVault.Split memory, IFeeVault.Split memory)
    {
        return (_beneficiaries, _shares, _allocated);
    }

    function redemptionTerms() external view returns (IRedemptionDesk.RedemptionTerms memory) {
        return _redemptionTerms;
    }

    function rent() external view returns (IRentDistributor.RentTerms memory, ITokenRent.Rent memory) {
        return (_rentTerms, _rent);
    }

    function tradeTerms() external view returns (ISecondaryMarket.MarketTerms memory, IOtcDesk.OtcTerms memory) {
        return (_marketTerms, _otcTerms);
    }

    // ---------------------------------------------------------------- the token

    function _token(bytes32 topic, Vm.Log calldata log) private {
        if (topic == IERC20.Transfer.selector) {
            (address from, address to) = (_address(log.topics[1]), _address(log.topics[2]));
            uint256 amount = abi.decode(log.data, (uint256));
            if (from != address(0)) _change(from, _balances[from] - amount);
            if (to != address(0)) _change(to, _balances[to] + amount);
        } else if (topic == ITokenRent.RentDistributorChanged.selector) {
            _rent.distributor = _address(log.topics[1]);
            (_rent.bound,,) = abi.decode(log.data, (bool, bytes32, address));
        } else if (topic == ITokenRent.RentMinimumChanged.selector) {
            (_rent.minimum,,) = abi.decode(log.data, (uint104, bytes32, address));
        } else if (topic == ITokenRent.RentMoved.selector) {
            (address from, address to) = (_address(log.topics[1]), _address(log.topics[2]));
            (uint256 amount, uint256 sum,,) = abi.decode(log.data, (uint256, uint256, bytes32, address));
            // It need not have had any units.
            _know(to);
            earned[to] += amount;
            if (earned[from] != amount || earned[to] != sum) note(8, "other rent moves than was earned");
            earned[from] -= amount;
        } else if (topic == ITokenExtension.WalletRecovered.selector) {
            if (earned[_address(log.topics[1])] != 0) note(8, "a recovery leaves rent behind");
        }
    }

    function _know(address wallet) private {
        if (_known[wallet]) return;
        _known[wallet] = true;
        _wallets.push(wallet);
    }

    function _change(address wallet, uint256 balance) private {
        _know(wallet);
        _rent.earning -= uint104(_earning(_balances[wallet]));
        _balances[wallet] = balance;
        _rent.earning += uint104(_earning(balance));
    }

    function _earning(uint256 balance) private view returns (uint256) {
        return balance >= _rent.minimum ? balance : 0;
    }

    // ---------------------------------------------------------------- what all have

    function _node(bytes32 topic, Vm.Log calldata log) private returns (bool) {
        if (topic == INodeContract.TreasuryChanged.selector) {
            (, treasuries[log.emitter],) = abi.decode(log.data, (address, address, address));
        } else if (topic == INodeContract.IntentConsumed.selector) {
            mapping(bytes32 salt => bool) storage salts = used[log.emitter][_address(log.topics[1])];
            if (salts[log.topics[2]]) note(12, "an intent is used twice");
            salts[log.topics[2]] = true;
        } else {
            return false;
        }
        return true;
    }

    // ---------------------------------------------------------------- sales and fees

    function _sale(bytes32 topic, Vm.Log calldata log) private returns (bool) {
        if (topic == IListing.ListingTermsChanged.selector) {
            uint256 listed;
            (_terms, listed,,) = abi.decode(log.data, (IListing.Terms, uint256, bytes32, address));
            _supply.listed = uint104(listed);
        } else if (topic == IListing.ListingStatusChanged.selector) {
            (status,,) = abi.decode(log.data, (IListing.Status, bytes32, address));
        } else if (topic == IListing.FeesReserved.selector) {
            (uint256 amount, uint256 fees, uint256 sold,,) =
                abi.decode(log.data, (uint256, uint256, uint256, bytes32, address));
            _supply.fees += uint104(amount);
            if (fees != _supply.fees || sold != fees + _supply.purchased) note(9, "a reservation ends in other sums");
        } else if (topic == IListing.Purchased.selector) {
            (uint256 quantity,, uint256 cost, uint256 total, uint256 purchased, uint256 sold) =
                abi.decode(log.data, (uint256, address, uint256, uint256, uint256, uint256));
            uint64 investorId = uint64(uint256(log.topics[3]));
            _supply.purchased += uint104(quantity);
            purchasedBy[investorId] += quantity;
            takings += cost;
            if (purchased != _supply.purchased || sold != purchased + _supply.fees) {
                note(9, "a purchase ends in other sums");
            }
            if (total != purchasedBy[investorId]) note(9, "an investor has bought something else");
            if (cost != quantity / 1e18 * _terms.price) note(9, "a purchase costs something else");
        } else {
            return false;
        }
        return true;
    }

    function _fees(bytes32 topic, Vm.Log calldata log) private returns (bool) {
        if (topic == IFeeVault.FeeTermsChanged.selector) {
            (_beneficiaries, _shares,,) =
                abi.decode(log.data, (IFeeVault.Beneficiaries, IFeeVault.Split, bytes32, address));
        } else if (topic == IFeeVault.FeesAllocated.selector) {
            (,, _allocated,,) =
                abi.decode(log.data, (IFeeVault.Beneficiaries, IFeeVault.Split, IFeeVault.Split, bytes32, address));
        } else if (topic == IFeeVault.FeeAccrued.selector) {
            (uint256 amount, uint256 result) = abi.decode(log.data, (uint256, uint256));
            pot += amount;
            if (pot != result) note(12, "a fee ends in another pot");
        } else if (topic == IFeeVault.FeesReleased.selector) {
            _released(log);
        } else if (topic == IFeeVault.FeesDrawn.selector) {
            feeCredits[_address(log.topics[2])] -= abi.decode(log.data, (uint256));
        } else if (topic == IFeeVault.FeesMoved.selector) {
            (uint256 amount, uint256 credit,,) = abi.decode(log.data, (uint256, uint256, bytes32, address));
            feeCredits[_address(log.topics[2])] -= amount;
            feeCredits[_address(log.topics[3])] += amount;
            if (feeCredits[_address(log.topics[3])] != credit) note(12, "a move of fees ends in another credit");
        } else {
            return false;
        }
        return true;
    }

    /// @dev What cannot be divided stays: less than there are parties.
    function _released(Vm.Log calldata log) private {
        (IFeeVault.Beneficiaries memory to, IFeeVault.Split memory amounts, IFeeVault.Split memory sums, uint256 left) =
            abi.decode(log.data, (IFeeVault.Beneficiaries, IFeeVault.Split, IFeeVault.Split, uint256));
        pot -= amounts.platformOwner + amounts.nodeOwner + amounts.node;
        if (pot != left || left > 2) note(12, "a release leaves another pot");
        feeCredits[to.platformOwner] += amounts.platformOwner;
        feeCredits[to.nodeOwner] += amounts.nodeOwner;
        feeCredits[to.node] += amounts.node;
        bool same = feeCredits[to.platformOwner] == sums.platformOwner && feeCredits[to.nodeOwner] == sums.nodeOwner
            && feeCredits[to.node] == sums.node;
        if (!same) note(12, "a release ends in other credits");
    }

    // ---------------------------------------------------------------- funds, redemptions, rent

    function _fund(bytes32 topic, Vm.Log calldata log) private returns (bool) {
        bool funded = topic == ITokenFunds.Funded.selector;
        if (!funded && topic != ITokenFunds.FundWithdrawn.selector) return false;
        Fund storage fund = funds[log.emitter][_address(log.topics[2])];
        if (funded) {
            (uint256 amount, uint256 available) = abi.decode(log.data, (uint256, uint256));
            (fund.available, fund.paidIn) = (fund.available + amount, fund.paidIn + amount);
            if (fund.available != available) note(8, "a fund ends in another sum");
        } else {
            (uint256 amount, uint256 available,,) = abi.decode(log.data, (uint256, uint256, bytes32, address));
            (fund.available, fund.paidOut) = (fund.available - amount, fund.paidOut + amount);
            if (fund.available != available) note(8, "a fund ends in another sum");
        }
        return true;
    }

    function _redemption(bytes32 topic, Vm.Log calldata log) private returns (bool) {
        if (topic == IRedemptionDesk.RedemptionTermsChanged.selector) {
            (_redemptionTerms,,) = abi.decode(log.data, (IRedemptionDesk.RedemptionTerms, bytes32, address));
        } else if (topic == IRedemptionDesk.RedemptionRequested.selector) {
            (uint256 quantity, address paymentToken, uint256 minPayout) =
                abi.decode(log.data, (uint256, address, uint256));
            uint256 id = uint256(log.topics[2]);
            _requestIds.push(id);
            address wallet = _address(log.topics[3]);
            _requests[id] = IRedemptionDesk.Request(wallet, uint104(quantity), minPayout, paymentToken);
        } else if (topic == IRedemptionDesk.RedemptionApproved.selector) {
            (, address paymentToken, uint256 payout, uint256 available, uint256 credit,,) =
                abi.decode(log.data, (uint256, address, uint256, uint256, uint256, bytes32, address));
            address wallet = _address(log.topics[3]);
            IRedemptionDesk.Request storage asked = _requests[uint256(log.topics[2])];
            if (paymentToken != asked.paymentToken) note(8, "an approval pays in something else");
            if (payout * 1e18 > asked.quantity * uint256(_redemptionTerms.maxPrice)) {
                note(8, "an approval pays too much");
            }
            delete _requests[uint256(log.topics[2])];
            Fund storage fund = funds[log.emitter][paymentToken];
            fund.available -= payout;
            if (fund.available != available) note(12, "an approval leaves another fund");
            if (credit == 0) {
                fund.paidOut += payout;
            } else {
                fund.owed += payout;
                credits[paymentToken][wallet] += payout;
                if (credits[paymentToken][wallet] != credit) note(12, "an approval ends in another credit");
            }
        } else if (topic == IRedemptionDesk.RedemptionClosed.selector) {
            delete _requests[uint256(log.topics[2])];
        } else if (topic == IRedemptionDesk.CreditDrawn.selector) {
            uint256 amount = abi.decode(log.data, (uint256));
            address paymentToken = _address(log.topics[2]);
            credits[paymentToken][_address(log.topics[3])] -= amount;
            Fund storage fund = funds[log.emitter][paymentToken];
            (fund.owed, fund.paidOut) = (fund.owed - amount, fund.paidOut + amount);
        } else if (topic == IRedemptionDesk.CreditMoved.selector) {
            (address paymentToken, uint256 amount, uint256 credit,,) =
                abi.decode(log.data, (address, uint256, uint256, bytes32, address));
            mapping(address wallet => uint256) storage sums = credits[paymentToken];
            sums[_address(log.topics[2])] -= amount;
            sums[_address(log.topics[3])] += amount;
            if (sums[_address(log.topics[3])] != credit) note(12, "a move of a credit ends in another one");
        } else {
            return false;
        }
        return true;
    }

    function _rents(bytes32 topic, Vm.Log calldata log) private returns (bool) {
        if (topic == IRentDistributor.RentTermsChanged.selector) {
            (_rentTerms,,) = abi.decode(log.data, (IRentDistributor.RentTerms, bytes32, address));
        } else if (topic == IRentDistributor.RentOpened.selector) {
            (IRentDistributor.OpenedRent memory opened,,) =
                abi.decode(log.data, (IRentDistributor.OpenedRent, bytes32, address));
            Fund storage fund = funds[log.emitter][opened.paymentToken];
            (fund.available, fund.owed) = (fund.available - opened.amount, fund.owed + opened.amount);
            if (fund.available != opened.available) note(8, "a period leaves another fund");
            if (opened.paymentToken != _rentTerms.paymentToken) note(8, "a period is opened in something else");
            if (opened.earning != _rent.earning) note(8, "other units earn");
            _divide(opened.perUnit - _rent.perUnit);
            (_rent.period, _rent.perUnit) = (uint16(uint256(log.topics[2])), opened.perUnit);
            _rent.carry = opened.carry;
        } else if (topic == IRentDistributor.RentPaid.selector) {
            (uint256 amount, uint256 owed) = abi.decode(log.data, (uint256, uint256));
            Fund storage fund = funds[log.emitter][_address(log.topics[2])];
            address wallet = _address(log.topics[3]);
            if (amount != earned[wallet] >> 128) note(8, "a wallet is paid something else than it has earned");
            earned[wallet] -= amount << 128;
            (fund.owed, fund.paidOut) = (fund.owed - amount, fund.paidOut + amount);
            if (fund.owed != owed) note(8, "a payment leaves another debt");
        } else {
            return false;
        }
        return true;
    }

    function _divide(uint256 perUnit) private {
        for (uint256 i = 0; i < _wallets.length; ++i) {
            earned[_wallets[i]] += _earning(_balances[_wallets[i]]) * perUnit;
        }
    }

    // ---------------------------------------------------------------- trades

    function _trades(bytes32 topic, Vm.Log calldata log) private {
        if (topic == ISecondaryMarket.MarketTermsChanged.selector) {
            (_marketTerms,,) = abi.decode(log.data, (ISecondaryMarket.MarketTerms, bytes32, address));
        } else if (topic == ISecondaryMarket.Traded.selector) {
            ISecondaryMarket.Trade memory t = abi.decode(log.data, (ISecondaryMarket.Trade));
            bool inside = t.price >= _marketTerms.minPrice && t.price <= _marketTerms.maxPrice && _marketTerms.open;
            if (!inside) note(10, "a trade outside the band");
            filled[t.seller][log.topics[2]] += t.quantity;
            filled[t.buyer][log.topics[3]] += t.quantity;
            if (filled[t.seller][log.topics[2]] != t.sellFilled || filled[t.buyer][log.topics[3]] != t.buyFilled) {
                note(10, "a trade ends in other fills");
            }
        } else if (topic == ISecondaryMarket.OrderCancelled.selector) {
            filled[_address(log.topics[1])][log.topics[2]] = type(uint256).max;
        } else if (topic == ISecondaryMarket.OrdersCancelledBefore.selector) {
            cancelledBefore[_address(log.topics[1])] = abi.decode(log.data, (uint64));
        } else if (topic == IOtcDesk.OtcTermsChanged.selector) {
            (_otcTerms,,) = abi.decode(log.data, (IOtcDesk.OtcTerms, bytes32, address));
        } else if (topic == IOtcDesk.DealSettled.selector) {
            if (deals[log.topics[2]] != IOtcDesk.DealState.Unknown) note(11, "a deal settles that is done");
            deals[log.topics[2]] = IOtcDesk.DealState.Settled;
        } else if (topic == IOtcDesk.DealCancelled.selector) {
            if (deals[log.topics[1]] != IOtcDesk.DealState.Unknown) note(11, "a deal is cancelled that is done");
            deals[log.topics[1]] = IOtcDesk.DealState.Cancelled;
        }
    }

    function _address(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}
