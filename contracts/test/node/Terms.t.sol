// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Executor} from "../../sol/Executor.sol";
import {Token} from "../../sol/SecurityToken.sol";
import {IExecutor} from "../../sol/interfaces/IExecutor.sol";
import {IFeeVault} from "../../sol/interfaces/IFeeVault.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {INodeFactory} from "../../sol/interfaces/INodeFactory.sol";
import {IOtcDesk} from "../../sol/interfaces/IOtcDesk.sol";
import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ISecondaryMarket} from "../../sol/interfaces/ISecondaryMarket.sol";
import {NodeBase} from "./NodeBase.sol";

/// @notice Who sets the terms on which a node's contracts deal: prices, limits, beneficiaries, fees, payment tokens.
contract TermsTest is NodeBase {
    function test_terms_are_the_admins_and_of_whoever_has_the_role_for_it() public {
        (address[6] memory targets, bytes[6] memory calls) = setters(factory.nodeOf(NODE_KEY).contracts);
        bytes32 role = keccak256("TERMS_ROLE");
        bytes memory refusal = unauthorized(ann, "TERMS_ROLE");
        for (uint256 i = 0; i < 6; ++i) {
            set(ann, targets[i], calls[i], false, refusal);
            set(admin, targets[i], calls[i], true, "");
            vm.prank(admin);
            token.grantRole(role, ann);
            set(ann, targets[i], calls[i], true, "");
            vm.prank(admin);
            token.revokeRole(role, ann);
            set(ann, targets[i], calls[i], false, refusal);
        }
    }

    /// @dev The contract's own admin, who upgrades it, sets nothing for a token of somebody else.
    function test_terms_are_asked_of_the_token_and_not_of_the_contract() public {
        INodeFactory.NodeConfig memory config = nodeConfig("theirs");
        config.admin = carol;
        vm.prank(admin);
        factory.deployNode(config);
        vm.prank(carol);
        token = Token(factory.deployToken(tokenConfig("theirs", INSTRUMENT)));
        (address[6] memory targets, bytes[6] memory calls) = setters(factory.nodeOf(NODE_KEY).contracts);
        for (uint256 i = 0; i < 6; ++i) {
            set(admin, targets[i], calls[i], false, unauthorized(admin, "TERMS_ROLE"));
        }
    }

    function test_within_the_terms_the_admin_does_nothing_itself() public {
        bytes[4] memory calls = [
            abi.encodeCall(listing.list, (address(token), REASON)),
            abi.encodeCall(listing.delist, (address(token), REASON)),
            abi.encodeCall(listing.passivate, (address(token), REASON)),
            abi.encodeCall(listing.reserveFees, (address(token), 1e18, REASON))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            set(admin, address(listing), calls[i], false, unauthorized(admin, "TERMS_ROLE"));
        }
    }

    function test_a_keepers_key_sets_no_terms() public {
        (address[6] memory targets, bytes[6] memory calls) = setters(factory.nodeOf(NODE_KEY).contracts);
        for (uint256 i = 0; i < 6; ++i) {
            IExecutor.Result memory result = execute(command(bytes32(i + 1), targets[i], calls[i]));
            vm.assertEq(
                result.returnData, abi.encodeWithSelector(IExecutor.NotAllowed.selector, targets[i], bytes4(calls[i]))
            );
        }
    }

    function test_a_keepers_key_sets_terms_where_the_node_was_deployed_so() public {
        INodeFactory.NodeConfig memory config = nodeConfig("trusting");
        config.keeperSetsTerms = true;
        vm.prank(admin);
        executor = Executor(factory.deployNode(config));
        vm.prank(admin);
        token = Token(factory.deployToken(tokenConfig("trusting", INSTRUMENT)));
        (address[6] memory targets, bytes[6] memory calls) = setters(factory.nodeOf("trusting").contracts);
        for (uint256 i = 0; i < 6; ++i) {
            IExecutor.Result memory result = execute(command(bytes32(i + 1), targets[i], calls[i]));
            assertStatus(result.status, IExecutor.Status.Executed);
        }
    }

    /// @dev Later, by the admin, as any wider rule: announced, and after its delay.
    function test_the_admin_may_let_the_keeper_set_terms_later() public {
        (address[6] memory targets, bytes[6] memory calls) = setters(factory.nodeOf(NODE_KEY).contracts);
        IExecutor.Rule memory rule = IExecutor.Rule(targets[0], bytes4(calls[0]), 0, 0);
        vm.prank(admin);
        executor.scheduleRule(rule);
        IExecutor.Result memory result = execute(command("early", targets[0], calls[0]));
        assertStatus(result.status, IExecutor.Status.Failed);
        vm.warp(START + ADMIN_DELAY);
        executor.applyRule(targets[0], bytes4(calls[0]));
        result = execute(command("now", targets[0], calls[0]));
        assertStatus(result.status, IExecutor.Status.Executed);
    }

    function test_a_function_sets_terms_or_works_within_them() public view {
        (address[6] memory targets, bytes[6] memory calls) = setters(factory.nodeOf(NODE_KEY).contracts);
        for (uint256 i = 0; i < 6; ++i) {
            bytes4[] memory terms = INodeContract(targets[i]).termSetters();
            vm.assertEq(terms.length, 1);
            vm.assertEq(bytes32(terms[0]), bytes32(bytes4(calls[i])));
            bytes4[] memory operations = INodeContract(targets[i]).operations();
            for (uint256 o = 0; o < operations.length; ++o) {
                vm.assertTrue(operations[o] != terms[0]);
            }
        }
    }

    /// @dev The setter of each of a node's contracts, with terms for the token that count.
    function setters(INodeFactory.NodeContracts memory node)
        private
        view
        returns (address[6] memory targets, bytes[6] memory calls)
    {
        IListing.Terms memory sale = IListing.Terms(address(usd), 0, 0, 1, 0, 0, 0, 8_000);
        IFeeVault.Beneficiaries memory parties = IFeeVault.Beneficiaries(ann, ann, ann);
        IFeeVault.Split memory shares = IFeeVault.Split(10_000, 0, 0);
        IRedemptionDesk.RedemptionTerms memory redemption = IRedemptionDesk.RedemptionTerms(address(usd), 1);
        IRentDistributor.RentTerms memory rent = IRentDistributor.RentTerms(address(usd), 0, 0);
        ISecondaryMarket.MarketTerms memory trade = ISecondaryMarket.MarketTerms(address(usd), true, 0, 1, 1, 1);
        targets = [
            node.listing, node.feeVault, node.redemptionDesk, node.rentDistributor, node.secondaryMarket, node.otcDesk
        ];
        calls = [
            abi.encodeCall(listing.setTerms, (address(token), sale, REASON)),
            abi.encodeCall(feeVault.setFeeTerms, (address(token), parties, shares, REASON)),
            abi.encodeCall(redemptions.setRedemptionTerms, (address(token), redemption, REASON)),
            abi.encodeCall(rents.setRentTerms, (address(token), rent, REASON)),
            abi.encodeCall(market.setMarketTerms, (address(token), trade, REASON)),
            abi.encodeCall(otc.setOtcTerms, (address(token), IOtcDesk.OtcTerms(true, 0), REASON))
        ];
    }

    function set(address who, address target, bytes memory data, bool expected, bytes memory refusal) private {
        vm.prank(who);
        (bool ok, bytes memory answer) = target.call(data);
        vm.assertEq(ok, expected);
        if (!expected) vm.assertEq(answer, refusal);
    }
}
