// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Executor} from "./Executor.sol";
import {IExecutor} from "./interfaces/IExecutor.sol";

/// @title ExecutorDeployer
/// @notice Holds the Executor's creation code, so that the factory need not.
contract ExecutorDeployer {
    /// @notice The only caller.
    address public immutable factory = msg.sender;

    /// @notice Not the factory.
    error NotFactory(address account);

    /// @notice Deploys an Executor by CREATE2.
    function deploy(bytes32 salt, IExecutor.ExecutorConfig calldata config) external returns (address) {
        if (msg.sender != factory) revert NotFactory(msg.sender);
        return address(new Executor{salt: salt}(config));
    }
}
