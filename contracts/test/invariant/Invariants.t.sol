// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Executor} from "../../sol/Executor.sol";
import {InvestorRegistry} from "../../sol/InvestorRegistry.sol";
import {IInvestorRegistry} from "../../sol/interfaces/IInvestorRegistry.sol";
import {ITokenHolds} from "../../sol/interfaces/ITokenHolds.sol";
import {HoldKinds} from "../../sol/lib/Holds.sol";
import {Base, Vm} from "../Base.sol";
import {Books} from "./Books.sol";
import {CommandActs} from "./CommandActs.sol";
import {HoldActs} from "./HoldActs.sol";
import {HolderActs} from "./HolderActs.sol";
import {IssuerActs} from "./IssuerActs.sol";
import {NodeLaws} from "./NodeLaws.sol";
import {PayoutActs} from "./PayoutActs.sol";
import {RegistryActs} from "./RegistryActs.sol";
import {Replica} from "./Replica.sol";
import {RuleActs} from "./RuleActs.sol";
import {SaleActs} from "./SaleActs.sol";
import {TradeActs} from "./TradeActs.sol";
import {World} from "./World.sol";

/// @notice The laws that hold after any acts of anybody, in any order. Numbers are those of the design; those of the
/// node's contracts are in `NodeLaws`.
contract InvariantsTest is NodeLaws {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    address private constant desk = address(uint160(uint256(keccak256("desk"))));

    CommandActs private commands;
    FuzzSelector[] private _targets;

    function setUp() public override {
        vm.recordLogs();
        super.setUp();
        InvestorRegistry other = new InvestorRegistry(admin, ADMIN_DELAY);
        bytes32 registrar = other.REGISTRAR_ROLE();
        vm.prank(admin);
        other.grantRole(registrar, address(this));
        world = new World(token, [registry, other], executor, admin, keeper, address(this), desk);
        bytes32 holdRole = token.HOLD_ROLE();
        vm.prank(admin);
        token.grantRole(holdRole, desk);
        replica = world.replica();
        _equip();
        for (uint256 i = 0; i < world.WALLETS() - 2; ++i) {
            IInvestorRegistry.Investor memory record = investor(world.investorId(i));
            registry.setInvestor(world.wallet(i), record, REASON);
            other.setInvestor(world.wallet(i), record, REASON);
            if (i % 2 == 0) _endow(world.wallet(i));
        }
        _credit(world.wallet(0));
        _credit(world.wallet(2));
        _fees();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        replica.follow(logs);
        world.nodeReplica().follow(logs);
        _target();
    }

    /// @notice What forge calls, and nothing else.
    function targetSelectors() external view returns (FuzzSelector[] memory) {
        return _targets;
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](_targets.length);
        for (uint256 i = 0; i < targets.length; ++i) {
            targets[i] = _targets[i].addr;
        }
    }

    function invariant_I1_supply_is_the_sum_of_balances_and_minted_less_burned() public view {
        address[] memory wallets = replica.wallets();
        uint256 sum;
        for (uint256 i = 0; i < wallets.length; ++i) {
            sum += token.balanceOf(wallets[i]);
        }
        vm.assertEq(token.totalSupply(), sum, "the sum of balances");
        vm.assertEq(token.totalSupply(), replica.minted() - replica.burned(), "minted less burned");
    }

    function invariant_I2_held_is_the_sum_of_unexpired_holds_and_never_more_than_there_is() public view {
        vm.assertEq(replica.breach(2), "");
        address[] memory wallets = replica.wallets();
        for (uint256 i = 0; i < wallets.length; ++i) {
            ITokenHolds.Hold[] memory holds = token.holdsOf(wallets[i]);
            uint256 sum;
            for (uint256 h = 0; h < holds.length; ++h) {
                if (holds[h].until == 0 || holds[h].until > block.timestamp) sum += holds[h].amount;
                vm.assertTrue(holds[h].amount != 0, "a hold of nothing");
                vm.assertTrue(h == 0 || holds[h].id > holds[h - 1].id, "oldest first");
            }
            uint256 balance = token.balanceOf(wallets[i]);
            uint256 bound = sum + token.getFrozenTokens(wallets[i]);
            if (token.isFrozen(wallets[i]) || bound > balance) bound = balance;
            vm.assertEq(token.heldOf(wallets[i]), sum, "held");
            vm.assertLe(sum, balance, "held and there");
            vm.assertLe(holds.length, 16, "holds");
            vm.assertEq(token.spendableOf(wallets[i]), balance - bound, "spendable");
        }
    }

    function invariant_I3_a_transfer_succeeds_iff_nothing_restricts_it_and_funds_suffice() public view {
        vm.assertEq(replica.breach(3), "");
    }

    function invariant_I4_nothing_goes_to_a_wallet_that_may_not_receive() public view {
        vm.assertEq(replica.breach(4), "");
    }

    function invariant_I5_paused_means_no_user_movement() public view {
        vm.assertEq(replica.breach(5), "");
    }

    function invariant_I6_an_id_changes_state_at_most_once_and_only_with_its_first_payload() public view {
        vm.assertEq(replica.breach(6), "");
        Executor[] memory doors = world.executors();
        for (uint256 i = 0; i < commands.ids(); ++i) {
            bytes32 id = commands.idOf(i);
            for (uint256 d = 0; d < doors.length; ++d) {
                (, bytes24 payload) = doors[d].receiptOf(id);
                vm.assertEq(bytes32(payload), bytes32(commands.consumedBy(doors[d], id)), "what it remembers");
            }
            vm.assertLe(commands.effects(id), 1, "effects of one id");
        }
    }

    function invariant_I7_the_holder_count_is_the_number_of_wallets_with_a_balance() public view {
        address[] memory wallets = replica.wallets();
        uint256 holders;
        for (uint256 i = 0; i < wallets.length; ++i) {
            if (token.balanceOf(wallets[i]) != 0) ++holders;
        }
        vm.assertEq(token.holderCount(), holders);
    }

    function invariant_I12_a_replica_of_the_logs_equals_the_state() public view {
        vm.assertEq(replica.breach(12), "");
        _compareToken();
        _compareNode();
        address[] memory wallets = replica.wallets();
        for (uint256 i = 0; i < wallets.length; ++i) {
            Books.Account memory account = replica.accountOf(wallets[i]);
            vm.assertEq(token.balanceOf(wallets[i]), account.balance, "balance");
            vm.assertEq(token.getFrozenTokens(wallets[i]), account.frozen, "frozen");
            vm.assertEq(token.isFrozen(wallets[i]), account.addressFrozen, "wallet frozen");
            vm.assertEq(abi.encode(token.holdsOf(wallets[i])), abi.encode(account.holds));
            for (uint256 r = 0; r < 2; ++r) {
                InvestorRegistry books = world.registries(r);
                bytes memory known = abi.encode(replica.investorOf(address(books), wallets[i]));
                vm.assertEq(abi.encode(books.investorOf(wallets[i])), known);
            }
        }
    }

    function _compareToken() private view {
        vm.assertEq(token.totalSupply(), replica.supply(), "supply");
        vm.assertEq(token.maxSupply(), replica.maxSupply(), "max supply");
        vm.assertEq(token.holderCount(), replica.holders(), "holders");
        vm.assertEq(token.paused(), replica.transfersPaused(), "paused");
        vm.assertEq(token.supplyPaused(), replica.supplyPaused(), "supply paused");
        vm.assertEq(token.registry(), replica.registry());
        (uint32 maxHolders, uint104 maxBalance) = token.limits();
        vm.assertEq(maxHolders, replica.maxHolders(), "most holders");
        vm.assertEq(maxBalance, replica.maxBalance(), "most a wallet may have");
        (uint8 mode, uint256[4] memory countries) = token.countryRule();
        vm.assertEq(abi.encode(mode, countries), abi.encode(replica.countryMode(), replica.countries()));
        bytes32[] memory names = replica.documentNames();
        for (uint256 i = 0; i < names.length; ++i) {
            (bytes32 hash, uint40 modifiedAt) = token.documentOf(names[i]);
            Books.Document memory document = replica.documentOf(names[i]);
            vm.assertEq(abi.encode(hash, modifiedAt), abi.encode(document.hash, document.modifiedAt));
        }
    }

    function _endow(address wallet) private {
        give(wallet, 1_000e18);
        vm.prank(address(executor));
        token.mintLocked(wallet, 50e18, HoldKinds.REG_D, uint40(START + 3 days), REASON);
        vm.prank(desk);
        token.placeHold(wallet, 100e18, 0, REASON);
    }

    // ---------------------------------------------------------------- targets

    function _target() private {
        commands = new CommandActs(world);
        _targets.push(FuzzSelector(address(commands), new bytes4[](4)));
        _targets[0].selectors[0] = CommandActs.execute.selector;
        _targets[0].selectors[1] = CommandActs.executeStarved.selector;
        _targets[0].selectors[2] = CommandActs.executeThroughOldDoor.selector;
        _targets[0].selectors[3] = CommandActs.succeed.selector;

        _targets.push(FuzzSelector(address(new HolderActs(world)), new bytes4[](3)));
        _targets[1].selectors[0] = HolderActs.transfer.selector;
        _targets[1].selectors[1] = HolderActs.transferFrom.selector;
        _targets[1].selectors[2] = HolderActs.wait.selector;

        _targets.push(FuzzSelector(address(new IssuerActs(world)), new bytes4[](8)));
        _targets[2].selectors[0] = IssuerActs.mint.selector;
        _targets[2].selectors[1] = IssuerActs.mintBatch.selector;
        _targets[2].selectors[2] = IssuerActs.burn.selector;
        _targets[2].selectors[3] = IssuerActs.freeze.selector;
        _targets[2].selectors[4] = IssuerActs.freezeWallet.selector;
        _targets[2].selectors[5] = IssuerActs.forcedTransfer.selector;
        _targets[2].selectors[6] = IssuerActs.forcedBurn.selector;
        _targets[2].selectors[7] = IssuerActs.pause.selector;

        _targets.push(FuzzSelector(address(new HoldActs(world)), new bytes4[](6)));
        _targets[3].selectors[0] = HoldActs.mintLocked.selector;
        _targets[3].selectors[1] = HoldActs.placeHold.selector;
        _targets[3].selectors[2] = HoldActs.releaseHold.selector;
        _targets[3].selectors[3] = HoldActs.executeHold.selector;
        _targets[3].selectors[4] = HoldActs.reclaimExpired.selector;
        _targets[3].selectors[5] = HoldActs.recover.selector;

        _targets.push(FuzzSelector(address(new RuleActs(world)), new bytes4[](4)));
        _targets[4].selectors[0] = RuleActs.setLimits.selector;
        _targets[4].selectors[1] = RuleActs.setCountryRule.selector;
        _targets[4].selectors[2] = RuleActs.setDocument.selector;
        _targets[4].selectors[3] = RuleActs.removeDocument.selector;

        _targets.push(FuzzSelector(address(new RegistryActs(world)), new bytes4[](5)));
        _targets[5].selectors[0] = RegistryActs.setInvestor.selector;
        _targets[5].selectors[1] = RegistryActs.setInvestors.selector;
        _targets[5].selectors[2] = RegistryActs.revoke.selector;
        _targets[5].selectors[3] = RegistryActs.renew.selector;
        _targets[5].selectors[4] = RegistryActs.setRegistry.selector;
        _targetNode();
    }

    function _targetNode() private {
        _targets.push(FuzzSelector(address(new SaleActs(world)), new bytes4[](11)));
        _targets[6].selectors[0] = SaleActs.setTerms.selector;
        _targets[6].selectors[1] = SaleActs.changeStatus.selector;
        _targets[6].selectors[2] = SaleActs.buy.selector;
        _targets[6].selectors[3] = SaleActs.buyFor.selector;
        _targets[6].selectors[4] = SaleActs.reserveFees.selector;
        _targets[6].selectors[5] = SaleActs.allocate.selector;
        _targets[6].selectors[6] = SaleActs.setFeeTerms.selector;
        _targets[6].selectors[7] = SaleActs.release.selector;
        _targets[6].selectors[8] = SaleActs.draw.selector;
        _targets[6].selectors[9] = SaleActs.refuse.selector;
        _targets[6].selectors[10] = SaleActs.moveFees.selector;

        _targets.push(FuzzSelector(address(new PayoutActs(world)), new bytes4[](14)));
        _targets[7].selectors[0] = PayoutActs.fund.selector;
        _targets[7].selectors[1] = PayoutActs.withdraw.selector;
        _targets[7].selectors[2] = PayoutActs.request.selector;
        _targets[7].selectors[3] = PayoutActs.cancel.selector;
        _targets[7].selectors[4] = PayoutActs.reject.selector;
        _targets[7].selectors[5] = PayoutActs.approve.selector;
        _targets[7].selectors[6] = PayoutActs.draw.selector;
        _targets[7].selectors[7] = PayoutActs.moveCredit.selector;
        _targets[7].selectors[8] = PayoutActs.open.selector;
        _targets[7].selectors[9] = PayoutActs.claim.selector;
        _targets[7].selectors[10] = PayoutActs.push.selector;
        _targets[7].selectors[11] = PayoutActs.moveRent.selector;
        _targets[7].selectors[12] = PayoutActs.setRedemptionTerms.selector;
        _targets[7].selectors[13] = PayoutActs.setRentTerms.selector;

        trades = new TradeActs(world);
        _targets.push(FuzzSelector(address(trades), new bytes4[](7)));
        _targets[8].selectors[0] = TradeActs.setMarketTerms.selector;
        _targets[8].selectors[1] = TradeActs.settle.selector;
        _targets[8].selectors[2] = TradeActs.cancelOrder.selector;
        _targets[8].selectors[3] = TradeActs.cancelAllBefore.selector;
        _targets[8].selectors[4] = TradeActs.setOtcTerms.selector;
        _targets[8].selectors[5] = TradeActs.deal.selector;
        _targets[8].selectors[6] = TradeActs.cancelDeal.selector;
    }
}
