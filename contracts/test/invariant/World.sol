// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Executor} from "../../sol/Executor.sol";
import {InvestorRegistry} from "../../sol/InvestorRegistry.sol";
import {Token} from "../../sol/SecurityToken.sol";
import {FeeVault} from "../../sol/node/FeeVault.sol";
import {Listing} from "../../sol/node/Listing.sol";
import {OtcDesk} from "../../sol/node/OtcDesk.sol";
import {RedemptionDesk} from "../../sol/node/RedemptionDesk.sol";
import {RentDistributor} from "../../sol/node/RentDistributor.sol";
import {SecondaryMarket} from "../../sol/node/SecondaryMarket.sol";
import {Vm} from "../Base.sol";
import {HostileUSD} from "../node/HostileUSD.sol";
import {NodeReplica} from "./NodeReplica.sol";
import {Replica} from "./Replica.sol";

/// @notice What all handlers act on: one token, its registries, the line of its Executors, a few wallets.
contract World {
    struct Node {
        HostileUSD usd;
        HostileUSD eur;
        Listing listing;
        FeeVault feeVault;
        RedemptionDesk redemptions;
        RentDistributor rents;
        SecondaryMarket market;
        OtcDesk otc;
        address treasury;
    }

    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev Two wallets an investor; the last two start as strangers to the registry.
    uint256 public constant WALLETS = 8;

    Token public immutable token;
    Replica public immutable replica;
    address public immutable admin;
    address public immutable keeper;
    address public immutable registrar;
    /// @dev Places holds, as the operator does.
    address public immutable desk;

    InvestorRegistry[2] public registries;
    Executor[] private _executors;
    address[WALLETS] private _wallets;
    /// @dev The node's contracts and the payment token, once they are there.
    Node private _node;
    NodeReplica public nodeReplica;

    constructor(
        Token token_,
        InvestorRegistry[2] memory registries_,
        Executor executor_,
        address admin_,
        address keeper_,
        address registrar_,
        address desk_
    ) {
        (token, admin, keeper, registrar, desk) = (token_, admin_, keeper_, registrar_, desk_);
        registries = registries_;
        replica = new Replica(address(token_));
        _executors.push(executor_);
        for (uint256 i = 0; i < WALLETS; ++i) {
            _wallets[i] = vm.addr(key(i));
        }
    }

    function equip(Node calldata node_) external {
        _node = node_;
        nodeReplica = new NodeReplica(address(token));
    }

    function node() external view returns (Node memory) {
        return _node;
    }

    function wallet(uint256 seed) public view returns (address) {
        return _wallets[seed % WALLETS];
    }

    /// @notice What a wallet signs with.
    function key(uint256 seed) public pure returns (uint256) {
        return uint256(keccak256(abi.encode("wallet", seed % WALLETS)));
    }

    /// @notice The investor behind a wallet: 1 to 4.
    function investorId(uint256 seed) public pure returns (uint64) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64((seed % WALLETS) / 2 + 1);
    }

    /// @notice The Executor that operates the token now.
    function executor() public view returns (Executor) {
        return _executors[_executors.length - 1];
    }

    function executors() external view returns (Executor[] memory) {
        return _executors;
    }

    function succeed(Executor next) external {
        _executors.push(next);
    }
}
