// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SecurityToken, Token} from "../sol/SecurityToken.sol";
import {IExecutor} from "../sol/interfaces/IExecutor.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {Base} from "./Base.sol";

/// @notice Gas of whole transactions, 21,000 and call data included, for the table of the README and its gate.
/// @dev Only figures of `forge test --isolate` mean anything: there each call is a transaction of its own.
contract GasTest is Base {
    uint256 private constant AMOUNT = 123_456e15;

    function setUp() public override {
        super.setUp();
        give(alice, 1_000e18);
        give(bob, 1_000e18);
    }

    function test_gas_transfer() public {
        vm.prank(alice);
        token.transfer(bob, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer");
    }

    function test_gas_transfer_to_new_holder() public {
        whitelist(carol, 3);
        vm.prank(alice);
        token.transfer(carol, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer to a new holder");
    }

    function test_gas_transfer_without_proxy() public {
        SecurityToken direct = new SecurityToken();
        vm.store(address(direct), 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00, 0);
        ISecurityToken.TokenInit memory init = ISecurityToken.TokenInit(
            INSTRUMENT,
            "n",
            "s",
            18,
            MAX_SUPPLY,
            address(registry),
            admin,
            ADMIN_DELAY,
            address(executor),
            factory.nodeOf(NODE_KEY).contracts
        );
        direct.initialize(init);
        token = Token(address(direct));
        give(alice, 1_000e18);
        give(bob, 1_000e18);
        vm.prank(alice);
        token.transfer(bob, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer, implementation called directly");
        give(alice, AMOUNT);
        vm.snapshotGasLastCall("gas", "mint to a holder, implementation called directly");
    }

    function test_gas_mint() public {
        give(alice, AMOUNT);
        vm.snapshotGasLastCall("gas", "mint to a holder");
        whitelist(carol, 3);
        give(carol, AMOUNT);
        vm.snapshotGasLastCall("gas", "mint to a new holder");
    }

    function test_gas_burn() public {
        vm.prank(address(executor));
        token.burn(alice, AMOUNT, REASON);
        vm.snapshotGasLastCall("gas", "burn");
    }

    function test_gas_forced_transfer() public {
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, AMOUNT, REASON);
        vm.snapshotGasLastCall("gas", "forced transfer");
        freeze(alice, 1_000e18);
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, AMOUNT, REASON);
        vm.snapshotGasLastCall("gas", "forced transfer that unfreezes");
    }

    function test_gas_holds() public {
        vm.prank(address(executor));
        token.mintLocked(alice, AMOUNT, 2, uint40(START + 1), REASON);
        vm.snapshotGasLastCall("gas", "locked mint");
        vm.prank(address(executor));
        token.mintLocked(alice, AMOUNT, 2, uint40(START + 1), REASON);
        vm.snapshotGasLastCall("gas", "locked mint into a lockup");
        vm.prank(alice);
        token.transfer(bob, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer beside a hold");
        vm.prank(address(executor));
        token.placeHold(bob, AMOUNT, 0, REASON);
        vm.snapshotGasLastCall("gas", "place a hold");
        vm.prank(address(executor));
        token.executeHold(bob, 2, REASON);
        vm.snapshotGasLastCall("gas", "execute a hold");
        whitelist(carol, 1);
        registry.revoke(alice, REASON);
        uint256 balance = token.balanceOf(alice);
        vm.prank(address(executor));
        token.recover(alice, carol, balance, REASON);
        vm.snapshotGasLastCall("gas", "recover a wallet with a lockup");
    }

    function test_gas_rules() public {
        vm.prank(address(executor));
        token.setLimits(100, 1_000_000e18, REASON);
        vm.prank(address(executor));
        token.setCountryRule(2, [type(uint256).max, 0, type(uint256).max, 0], REASON);
        vm.snapshotGasLastCall("gas", "set a country rule");
        vm.prank(alice);
        token.transfer(bob, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer under limits and a country rule");
    }

    function test_gas_freeze() public {
        freeze(alice, AMOUNT);
        vm.snapshotGasLastCall("gas", "first partial freeze");
        freezeAddress(bob, true);
        vm.snapshotGasLastCall("gas", "freeze of a wallet");
    }

    function test_gas_whitelist() public {
        whitelist(carol, 3);
        vm.snapshotGasLastCall("gas", "whitelist one wallet");
    }

    /// @dev What rent adds to transfers: nothing to speak of before the first period.
    function test_gas_rent() public {
        openRent(1);
        vm.prank(alice);
        token.transfer(bob, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer, first since a rent period");
        openRent(2);
        vm.prank(alice);
        token.transfer(bob, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer, first since another rent period");
        vm.prank(alice);
        token.transfer(bob, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer between rent periods");
        vm.prank(admin);
        token = Token(factory.deployToken(tokenConfig(NODE_KEY, "minimum")));
        vm.prank(address(executor));
        token.setRentMinimum(50e18, REASON);
        give(alice, 1_000e18);
        give(bob, 1_000e18);
        give(bob, 1);
        vm.prank(alice);
        token.transfer(bob, AMOUNT);
        vm.snapshotGasLastCall("gas", "transfer under a rent minimum");
        vm.prank(alice);
        token.transfer(bob, 850e18);
        vm.snapshotGasLastCall("gas", "transfer across a rent minimum");
    }

    function openRent(uint256 period) private {
        vm.prank(address(rents));
        token.openRent(period, 1e12);
    }

    function test_gas_single_command() public {
        execute(command("first", address(token), mintCall(alice, AMOUNT)));
        execute(command("id", address(token), mintCall(alice, AMOUNT)));
        vm.snapshotGasLastCall("gas", "mint to a holder through the Executor, alone");
        execute(command("id", address(token), mintCall(alice, AMOUNT)));
        vm.snapshotGasLastCall("gas", "replay");
    }

    function test_gas_batches() public {
        execute(command("first", address(token), mintCall(alice, AMOUNT)));
        uint256 used = batch(100, 1_000);
        vm.snapshotValue("gas", "mint to a new holder, each of a batch of 100", used / 100);
        used = batch(100, 1_000);
        vm.snapshotValue("gas", "mint to a holder, each of a batch of 100", used / 100);
        used = batch(200, 2_000);
        vm.snapshotValue("gas", "batch of 200 mints to new holders", used);
    }

    function test_gas_deployments() public {
        vm.prank(admin);
        factory.deployNode(nodeConfig("second"));
        vm.snapshotGasLastCall("gas", "deploy a node");
        vm.prank(admin);
        factory.deployToken(tokenConfig("second", "second"));
        vm.snapshotGasLastCall("gas", "deploy a token");
    }

    /// @dev Gas of one batch of mints to wallets numbered from `base`; ids differ from batch to batch. All of it runs: it
    /// fits a transaction.
    function batch(uint256 n, uint160 base) private returns (uint256) {
        IExecutor.Command[] memory items = new IExecutor.Command[](n);
        for (uint160 i = 0; i < n; ++i) {
            address wallet = address(uint160(uint256(keccak256(abi.encode(base + i)))));
            if (registry.investorOf(wallet).investorId == 0) whitelist(wallet, 10);
            bytes32 id = keccak256(abi.encode(base + i, token.balanceOf(wallet)));
            items[i] = command(id, address(token), mintCall(wallet, AMOUNT));
        }
        vm.prank(keeper);
        // A transaction may have 2^24 gas (EIP-7825); its call data and its start take their part first.
        IExecutor.Result[] memory results = executor.execute{gas: (1 << 24) - 21_000 - n * 2_800}(items);
        uint256 used = vm.lastCallGas().gasTotalUsed;
        for (uint256 i = 0; i < n; ++i) {
            assertStatus(results[i].status, IExecutor.Status.Executed);
        }
        return used;
    }
}
