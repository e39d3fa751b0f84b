// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Executor} from "../../sol/Executor.sol";
import {InvestorRegistry} from "../../sol/InvestorRegistry.sol";
import {Token} from "../../sol/SecurityToken.sol";
import {Replica} from "./Replica.sol";

/// @notice What all handlers act on: one token, its registries, the line of its Executors, a few wallets.
contract World {
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
    }

    function wallet(uint256 seed) public pure returns (address) {
        // Small numbers are precompiles, hashes are nobody.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(uint256(keccak256(abi.encode("wallet", seed % WALLETS)))));
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
