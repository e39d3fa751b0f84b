// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {Executor} from "../../sol/Executor.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {INodeFactory} from "../../sol/interfaces/INodeFactory.sol";
import {NodeContract} from "../../sol/node/NodeContract.sol";
import {Vm} from "../Base.sol";
import {NodeBase} from "./NodeBase.sol";

/// @notice What holds of each contract of a node: how it is made, who upgrades it, what the Executor may do with it.
contract NodeContractsTest is NodeBase {
    function test_a_nodes_contracts_are_proxies_of_its_own_that_its_admin_owns() public {
        vm.prank(admin);
        factory.deployNode(nodeConfig("second"));
        address[] memory first = list(factory.nodeOf(NODE_KEY).contracts);
        address[] memory second = list(factory.nodeOf("second").contracts);
        address[] memory code = list(factory.implementations());
        for (uint256 i = 0; i < first.length; ++i) {
            vm.assertTrue(first[i] != second[i]);
            vm.assertEq(implementationOf(first[i]), code[i]);
            vm.assertEq(implementationOf(second[i]), code[i]);
            NodeContract made = NodeContract(first[i]);
            vm.assertEq(made.defaultAdmin(), admin);
            vm.assertEq(made.defaultAdminDelay(), ADMIN_DELAY);
            vm.assertEq(made.treasury(), treasury);
        }
    }

    function test_a_contract_is_initialised_once_and_its_implementation_never() public {
        INodeContract.NodeInit memory init;
        (init.admin, init.treasury) = (carol, carol);
        address[] memory made = list(factory.nodeOf(NODE_KEY).contracts);
        address[] memory code = list(factory.implementations());
        for (uint256 i = 0; i < made.length; ++i) {
            vm.expectRevert(Initializable.InvalidInitialization.selector);
            INodeContract(made[i]).initialize(init);
            vm.expectRevert(Initializable.InvalidInitialization.selector);
            INodeContract(code[i]).initialize(init);
        }
    }

    function test_its_admin_alone_upgrades_a_contract_and_everything_stays() public {
        address[] memory made = list(factory.nodeOf(NODE_KEY).contracts);
        address[] memory next = list(implementations());
        for (uint256 i = 0; i < made.length; ++i) {
            vm.prank(ann);
            INodeContract(made[i]).cancelIntent(SALT);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IAccessControl.AccessControlUnauthorizedAccount.selector, address(executor), bytes32(0)
                )
            );
            operator();
            UUPSUpgradeable(made[i]).upgradeToAndCall(next[i], "");
            vm.prank(admin);
            UUPSUpgradeable(made[i]).upgradeToAndCall(next[i], "");
            vm.assertEq(implementationOf(made[i]), next[i]);
            vm.assertEq(INodeContract(made[i]).treasury(), treasury);
            vm.assertTrue(INodeContract(made[i]).isIntentUsed(ann, SALT));
        }
    }

    function test_the_executor_may_do_what_a_contract_says_it_is_for_and_no_more() public view {
        address[] memory made = list(factory.nodeOf(NODE_KEY).contracts);
        for (uint256 i = 0; i < made.length; ++i) {
            bytes4[] memory selectors = INodeContract(made[i]).operations();
            vm.assertTrue(selectors.length != 0);
            for (uint256 s = 0; s < selectors.length; ++s) {
                vm.assertTrue(allowed(made[i], selectors[s]));
            }
            vm.assertFalse(allowed(made[i], INodeContract.setTreasury.selector));
            vm.assertFalse(allowed(made[i], UUPSUpgradeable.upgradeToAndCall.selector));
            vm.assertFalse(allowed(made[i], INodeContract.cancelIntent.selector));
        }
    }

    function test_the_factorys_admin_says_what_new_nodes_run() public {
        INodeFactory.NodeContracts memory next;
        next.listing = factory.implementations().listing;
        vm.expectRevert();
        factory.setImplementations(next);
        vm.expectEmit(address(factory));
        emit INodeFactory.ImplementationsChanged(next, admin);
        vm.prank(admin);
        factory.setImplementations(next);
        vm.prank(admin);
        Executor bare = Executor(factory.deployNode(nodeConfig("bare")));
        INodeFactory.NodeContracts memory made = factory.nodeOf("bare").contracts;
        vm.assertTrue(made.listing != address(0) && made.feeVault == address(0));
        vm.assertTrue(made.otcDesk == address(0) && made.redemptionDesk == address(0));
        vm.prank(address(bare));
        factory.deployToken(tokenConfig("bare", "bare"));
        next.listing = address(0);
        vm.prank(admin);
        factory.setImplementations(next);
        vm.prank(admin);
        bare = Executor(factory.deployNode(nodeConfig("barer")));
        vm.prank(address(bare));
        factory.deployToken(tokenConfig("barer", "bare"));
        next.feeVault = carol;
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.InvalidImplementation.selector, carol));
        vm.prank(admin);
        factory.setImplementations(next);
    }

    function test_initial_values_are_told() public {
        vm.recordLogs();
        vm.prank(admin);
        factory.deployNode(nodeConfig("second"));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        address[] memory made = list(factory.nodeOf("second").contracts);
        uint256 told;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != INodeContract.TreasuryChanged.selector) continue;
            vm.assertEq(logs[i].emitter, made[told++]);
            vm.assertEq(logs[i].data, abi.encode(address(0), treasury, address(factory)));
        }
        vm.assertEq(told, made.length);
    }

    function allowed(address target, bytes4 selector) private view returns (bool is_) {
        (is_,,,) = executor.ruleOf(target, selector);
    }

    function implementationOf(address proxy) private view returns (address) {
        bytes32 slot = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;
        return address(uint160(uint256(vm.load(proxy, slot))));
    }

    /// @dev Those that are there, in the factory's order.
    function list(INodeFactory.NodeContracts memory contracts) private pure returns (address[] memory) {
        address[6] memory all = [
            contracts.listing,
            contracts.secondaryMarket,
            contracts.otcDesk,
            contracts.rentDistributor,
            contracts.feeVault,
            contracts.redemptionDesk
        ];
        uint256 count;
        for (uint256 i = 0; i < 6; ++i) {
            if (all[i] != address(0)) ++count;
        }
        address[] memory there = new address[](count);
        for (uint256 i = 6; i > 0; --i) {
            if (all[i - 1] != address(0)) there[--count] = all[i - 1];
        }
        return there;
    }
}
