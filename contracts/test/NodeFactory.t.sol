// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {UpgradeableBeacon} from "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
import {Executor} from "../sol/Executor.sol";
import {ExecutorDeployer} from "../sol/ExecutorDeployer.sol";
import {NodeFactory} from "../sol/NodeFactory.sol";
import {SecurityToken, Token} from "../sol/SecurityToken.sol";
import {IExecutor} from "../sol/interfaces/IExecutor.sol";
import {INodeFactory} from "../sol/interfaces/INodeFactory.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {Base, Vm} from "./Base.sol";

contract NodeFactoryTest is Base {
    // ---------------------------------------------------------------- nodes

    function test_a_node_is_wired_and_announced() public {
        bytes32 key = keccak256("second");
        vm.recordLogs();
        vm.prank(admin);
        address made = factory.deployNode(nodeConfig(key));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory last = logs[logs.length - 1];
        vm.assertEq(last.topics[0], INodeFactory.NodeDeployed.selector);
        vm.assertEq(last.topics[1], key);
        vm.assertEq(last.topics[2], ISSUER);
        vm.assertEq(last.topics[3], bytes32(uint256(uint160(made))));
        INodeFactory.Node memory node = factory.nodeOf(key);
        vm.assertEq(last.data, abi.encode(treasury, admin, node.contracts));
        vm.assertEq(node.executor, made);
        vm.assertEq(node.treasury, treasury);
        vm.assertEq(node.issuer, ISSUER);
        Executor door = Executor(made);
        vm.assertEq(door.defaultAdmin(), admin);
        vm.assertEq(door.defaultAdminDelay(), ADMIN_DELAY);
        vm.assertTrue(door.hasRole(door.KEEPER_ROLE(), keeper));
        vm.assertTrue(door.hasRole(door.GUARDIAN_ROLE(), guardian));
        (bool allowed,,,) = door.ruleOf(address(factory), INodeFactory.deployToken.selector);
        vm.assertTrue(allowed);
    }

    function test_a_node_key_is_used_once_and_by_a_deployer() public {
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.NodeExists.selector, NODE_KEY));
        factory.deployNode(nodeConfig(NODE_KEY));
        vm.prank(admin);
        vm.expectRevert(INodeFactory.InvalidNodeKey.selector);
        factory.deployNode(nodeConfig(0));
        bytes32 role = factory.DEPLOYER_ROLE();
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), role)
        );
        factory.deployNode(nodeConfig("other"));
    }

    function test_executors_come_from_the_factory_alone() public {
        vm.prank(address(factory));
        ExecutorDeployer deployer = new ExecutorDeployer();
        vm.assertEq(deployer.factory(), address(factory));
        vm.expectRevert(abi.encodeWithSelector(ExecutorDeployer.NotFactory.selector, address(this)));
        deployer.deploy(0, registryExecutorConfig());
    }

    function test_a_node_goes_on_with_the_executor_that_succeeds_its_own() public {
        Executor next = new Executor(successor(address(executor)));
        vm.expectEmit(address(factory));
        emit INodeFactory.NodeExecutorReplaced(NODE_KEY, address(executor), address(next), admin);
        vm.prank(admin);
        factory.replaceExecutor(NODE_KEY, address(next));
        vm.assertEq(factory.nodeOf(NODE_KEY).executor, address(next));
        vm.assertEq(factory.nodeOf(NODE_KEY).issuer, ISSUER);
        // It alone deploys and operates from now on.
        bytes memory data = abi.encodeCall(factory.deployToken, (tokenConfig(NODE_KEY, "kept")));
        IExecutor.Command memory item = command("old", address(factory), data);
        item.gasLimit = 3_000_000;
        assertStatus(execute(item).status, IExecutor.Status.Failed);
        item.id = "new";
        executor = next;
        assertStatus(execute(item).status, IExecutor.Status.Executed);
        token = Token(factory.tokenOf(NODE_KEY, "kept"));
        assertStatus(execute(command("mint", address(token), mintCall(alice, 1))).status, IExecutor.Status.Executed);
        // Ids of the line are one.
        assertStatus(execute(command("old", address(factory), data)).status, IExecutor.Status.Skipped);
    }

    function test_an_executor_is_replaced_by_its_admin_and_its_successor_only() public {
        Executor next = new Executor(successor(address(executor)));
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.NotNodeOperator.selector, keeper));
        vm.prank(keeper);
        factory.replaceExecutor(NODE_KEY, address(next));
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.UnknownNode.selector, bytes32("nowhere")));
        vm.prank(admin);
        factory.replaceExecutor("nowhere", address(next));
        vm.prank(admin);
        factory.replaceExecutor(NODE_KEY, address(next));
        // Neither a second successor of the first one, nor one that this factory could not register tokens with.
        refuseSuccessor(address(new Executor(successor(address(executor)))), address(next));
        IExecutor.ExecutorConfig memory config = successor(address(next));
        config.factory = address(0);
        refuseSuccessor(address(new Executor(config)), address(next));
    }

    function test_the_tokens_follow_the_factorys_admin_and_nobody_else() public {
        UpgradeableBeacon beacon = UpgradeableBeacon(factory.beacon());
        address next = address(new SecurityToken());
        vm.assertEq(beacon.owner(), address(factory));
        vm.prank(admin);
        factory.beginDefaultAdminTransfer(carol);
        vm.warp(START + ADMIN_DELAY + 1);
        vm.prank(carol);
        factory.acceptDefaultAdminTransfer();
        address[2] memory strangers = [admin, alice];
        for (uint256 i = 0; i < strangers.length; ++i) {
            vm.prank(strangers[i]);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IAccessControl.AccessControlUnauthorizedAccount.selector, strangers[i], bytes32(0)
                )
            );
            factory.upgradeTokens(next);
            vm.prank(strangers[i]);
            vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, strangers[i]));
            beacon.upgradeTo(next);
        }
        vm.prank(carol);
        factory.upgradeTokens(next);
        vm.assertEq(beacon.implementation(), next);
    }

    // ---------------------------------------------------------------- tokens

    function testFuzz_a_token_is_where_it_was_predicted(bytes32 nodeKey, bytes32 issuer, uint256 seed) public {
        vm.assume(nodeKey != 0 && nodeKey != NODE_KEY);
        INodeFactory.NodeConfig memory node = nodeConfig(nodeKey);
        node.issuer = issuer;
        string memory instrumentId = instrument(seed);
        address predicted = factory.predictToken(nodeKey, issuer, instrumentId);
        vm.assertEq(predicted.code.length, 0);
        vm.prank(admin);
        factory.deployNode(node);
        vm.prank(admin);
        vm.assertEq(factory.deployToken(tokenConfig(nodeKey, instrumentId)), predicted);
        vm.assertEq(factory.tokenOf(nodeKey, instrumentId), predicted);
        vm.assertEq(Token(predicted).instrumentId(), instrumentId);
    }

    function test_a_token_is_announced_last() public {
        vm.recordLogs();
        vm.prank(admin);
        address made = factory.deployToken(tokenConfig(NODE_KEY, "second"));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory last = logs[logs.length - 1];
        vm.assertEq(last.emitter, address(factory));
        vm.assertEq(last.topics[0], INodeFactory.TokenDeployed.selector);
        vm.assertEq(last.topics[1], bytes32(uint256(uint160(made))));
        vm.assertEq(last.topics[2], bytes32(uint256(uint160(address(executor)))));
        vm.assertEq(last.topics[3], ISSUER);
        bytes32 salt = keccak256(abi.encode(NODE_KEY, ISSUER, "second"));
        vm.assertEq(last.data, abi.encode("second", "Rental Cash Certificate", "RCC", uint8(18), MAX_SUPPLY, salt));
        uint256 initialised;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == ISecurityToken.TokenInitialized.selector) {
                ++initialised;
                vm.assertEq(
                    logs[i].data,
                    abi.encode(
                        "second",
                        "Rental Cash Certificate",
                        "RCC",
                        uint8(18),
                        MAX_SUPPLY,
                        address(registry),
                        address(executor),
                        admin
                    )
                );
            }
        }
        vm.assertEq(initialised, 1);
    }

    function test_the_keeper_deploys_a_token_through_its_node_and_can_operate_it() public {
        bytes memory data = abi.encodeCall(factory.deployToken, (tokenConfig(NODE_KEY, "kept")));
        IExecutor.Command memory item = command("deploy", address(factory), data);
        item.gasLimit = 3_000_000;
        assertStatus(execute(item).status, IExecutor.Status.Executed);
        token = Token(factory.tokenOf(NODE_KEY, "kept"));
        vm.assertEq(token.defaultAdmin(), admin);
        assertStatus(execute(command("mint", address(token), mintCall(alice, 100))).status, IExecutor.Status.Executed);
        whitelist(carol, 3);
        whitelist(treasury, 3);
        registry.revoke(treasury, REASON);
        bytes[20] memory operations = [
            abi.encodeWithSignature("setFrozenTokens(address,uint256,bytes32)", alice, 5, REASON),
            abi.encodeCall(token.setAddressFrozen, (alice, true, REASON)),
            abi.encodeWithSignature("forcedTransfer(address,address,uint256,bytes32)", alice, bob, 1, REASON),
            abi.encodeCall(token.forcedBurn, (alice, 1, REASON)),
            abi.encodeCall(token.burn, (bob, 1, REASON)),
            abi.encodeCall(token.pause, (REASON)),
            abi.encodeCall(token.unpause, (REASON)),
            abi.encodeCall(token.pauseSupply, (REASON)),
            abi.encodeCall(token.unpauseSupply, (REASON)),
            abi.encodeCall(token.mintLocked, (bob, 20, 2, uint40(START + 1), REASON)),
            abi.encodeWithSignature("setFrozenTokens(address,uint256,bytes32)", bob, 0, REASON),
            abi.encodeCall(token.recover, (treasury, carol, 0, REASON)),
            abi.encodeCall(token.setAddressFrozen, (alice, false, REASON)),
            abi.encodeCall(token.placeHold, (alice, 1, 0, REASON)),
            abi.encodeCall(token.releaseHold, (alice, 2, REASON)),
            abi.encodeCall(token.reclaimExpired, (alice)),
            abi.encodeCall(token.setLimits, (5, 500, REASON)),
            abi.encodeCall(token.setCountryRule, (1, [uint256(0), 0, 0, 0], REASON)),
            abi.encodeCall(token.setDocument, ("name", "uri", "hash")),
            abi.encodeCall(token.removeDocument, ("name"))
        ];
        for (uint256 i = 0; i < operations.length; ++i) {
            IExecutor.Result memory result = execute(command(bytes32(i + 1), address(token), operations[i]));
            assertStatus(result.status, IExecutor.Status.Executed);
        }
        execute(command("hold", address(token), abi.encodeCall(token.placeHold, (alice, 1, 0, REASON))));
        IExecutor.Result memory executed =
            execute(command("burn it", address(token), abi.encodeCall(token.executeHold, (alice, 3, REASON))));
        assertStatus(executed.status, IExecutor.Status.Executed);
    }

    function test_locked_mints_and_recoveries_count_against_daily_limits_of_their_own() public {
        bytes memory data = abi.encodeCall(token.mintLocked, (alice, DAILY_MINT, 2, uint40(START + 1), REASON));
        assertStatus(execute(command("a", address(token), data)).status, IExecutor.Status.Executed);
        data = abi.encodeCall(token.mintLocked, (alice, 1, 2, uint40(START + 1), REASON));
        vm.assertEq(
            execute(command("b", address(token), data)).returnData,
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_MINT, DAILY_MINT, 1)
        );
        registry.revoke(alice, REASON);
        whitelist(carol, 1);
        data = abi.encodeCall(token.recover, (alice, carol, DAILY_MINT, REASON));
        vm.assertEq(
            execute(command("c", address(token), data)).returnData,
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_FORCE, 0, DAILY_MINT)
        );
    }

    function test_a_batch_of_mints_which_no_limit_can_count_is_not_the_keepers() public {
        bytes memory data = abi.encodeCall(token.mintBatch, (new address[](0), new uint256[](0), REASON));
        vm.assertEq(
            execute(command("a", address(token), data)).returnData,
            abi.encodeWithSelector(IExecutor.NotAllowed.selector, address(token), token.mintBatch.selector)
        );
    }

    function test_a_token_is_of_its_node_only() public {
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.NotNodeOperator.selector, address(this)));
        factory.deployToken(tokenConfig(NODE_KEY, "x"));
        INodeFactory.NodeConfig memory other = nodeConfig("other");
        other.admin = carol;
        vm.prank(admin);
        Executor door = Executor(factory.deployNode(other));
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.NotNodeOperator.selector, carol));
        factory.deployToken(tokenConfig(NODE_KEY, "x"));
        vm.prank(carol);
        Token theirs = Token(factory.deployToken(tokenConfig("other", "x")));
        vm.assertEq(theirs.defaultAdmin(), carol);
        vm.assertFalse(theirs.hasRole(theirs.MINTER_ROLE(), address(executor)));
        vm.assertTrue(theirs.hasRole(theirs.MINTER_ROLE(), address(door)));
        // Neither node's Executor may do anything with the other's token.
        (bool allowed,,,) = executor.ruleOf(address(theirs), theirs.mint.selector);
        vm.assertFalse(allowed);
        (allowed,,,) = door.ruleOf(address(theirs), theirs.mint.selector);
        vm.assertTrue(allowed);
        (allowed,,,) = door.ruleOf(address(token), token.mint.selector);
        vm.assertFalse(allowed);
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.UnknownNode.selector, bytes32("nowhere")));
        factory.deployToken(tokenConfig("nowhere", "x"));
    }

    function test_nodes_may_use_the_same_instrument_id() public {
        INodeFactory.NodeConfig memory other = nodeConfig("other");
        other.issuer = "another";
        vm.prank(admin);
        factory.deployNode(other);
        vm.prank(admin);
        address theirs = factory.deployToken(tokenConfig("other", INSTRUMENT));
        vm.assertEq(theirs, factory.predictToken("other", "another", INSTRUMENT));
        vm.assertEq(factory.tokenOf("other", INSTRUMENT), theirs);
        vm.assertEq(factory.tokenOf(NODE_KEY, INSTRUMENT), address(token));
        vm.assertEq(factory.tokenOf("nowhere", INSTRUMENT), address(0));
    }

    function test_an_instrument_is_deployed_once_and_a_failure_frees_its_id() public {
        INodeFactory.TokenConfig memory config = tokenConfig(NODE_KEY, "once");
        config.decimals = 19;
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(ISecurityToken.InvalidDecimals.selector, 19));
        factory.deployToken(config);
        vm.assertEq(factory.tokenOf(NODE_KEY, "once"), address(0));
        config.decimals = 0;
        vm.prank(admin);
        address made = factory.deployToken(config);
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.InstrumentExists.selector, "once", made));
        factory.deployToken(config);
    }

    function test_the_largest_supply_is_2_to_104_less_1() public {
        INodeFactory.TokenConfig memory config = tokenConfig(NODE_KEY, "big");
        uint256[2] memory refused = [uint256(0), 1 << 104];
        for (uint256 i = 0; i < 2; ++i) {
            config.maxSupply = refused[i];
            vm.prank(admin);
            vm.expectRevert(abi.encodeWithSelector(ISecurityToken.InvalidMaxSupply.selector, refused[i]));
            factory.deployToken(config);
        }
        config.maxSupply = (1 << 104) - 1;
        vm.prank(admin);
        factory.deployToken(config);
    }

    function test_instrument_ids_are_1_to_32_of_their_alphabet() public {
        string[6] memory refused = ["", "a b", unicode"é", "a/b", "a\x00", "012345678901234567890123456789012"];
        for (uint256 i = 0; i < refused.length; ++i) {
            vm.prank(admin);
            vm.expectRevert(abi.encodeWithSelector(INodeFactory.InvalidInstrumentId.selector, refused[i]));
            factory.deployToken(tokenConfig(NODE_KEY, refused[i]));
        }
        vm.prank(admin);
        factory.deployToken(tokenConfig(NODE_KEY, "AZaz09._-AZaz09._-AZaz09._-AZaz0"));
    }

    function test_a_registry_must_be_there() public {
        vm.expectRevert(abi.encodeWithSelector(ISecurityToken.InvalidRegistry.selector, carol));
        new NodeFactory(admin, 0, carol, address(token));
    }

    /// @dev An Executor made by hand that goes on where `previous` stops.
    function successor(address previous) private view returns (IExecutor.ExecutorConfig memory config) {
        config = registryExecutorConfig();
        (config.factory, config.previous) = (address(factory), previous);
        config.rules = new IExecutor.Rule[](1);
        config.rules[0] = IExecutor.Rule(address(factory), INodeFactory.deployToken.selector, 0, 0);
    }

    function refuseSuccessor(address candidate, address present) private {
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(INodeFactory.NotSuccessor.selector, candidate, present));
        factory.replaceExecutor(NODE_KEY, candidate);
    }

    function instrument(uint256 seed) private pure returns (string memory) {
        bytes memory alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
        bytes memory text = new bytes(1 + seed % 32);
        for (uint256 i = 0; i < text.length; ++i) {
            text[i] = alphabet[(seed >> (8 * (i % 30))) % alphabet.length];
        }
        // Not the one that stands already.
        if (keccak256(text) == keccak256(bytes(INSTRUMENT))) text[0] = "x";
        return string(text);
    }
}
