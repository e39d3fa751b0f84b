// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IInvestorRegistry} from "../sol/interfaces/IInvestorRegistry.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base, Vm} from "./Base.sol";

contract InvestorRegistryTest is Base {
    function testFuzz_a_record_is_kept_whole_and_told_whole(IInvestorRegistry.Investor memory record, address wallet)
        public
    {
        vm.assume(wallet != address(0) && wallet != alice && wallet != bob && record.investorId != 0);
        vm.expectEmit(address(registry));
        emit IInvestorRegistry.InvestorChanged(
            wallet,
            record.investorId,
            record.country,
            record.investorClass,
            record.kycExpiresAt,
            record.flags,
            REASON,
            address(this)
        );
        registry.setInvestor(wallet, record, REASON);
        vm.assertEq(abi.encode(registry.investorOf(wallet)), abi.encode(record));
    }

    function test_a_record_is_one_word() public {
        IInvestorRegistry.Investor memory record =
            IInvestorRegistry.Investor(type(uint64).max, type(uint16).max, type(uint8).max, type(uint40).max, 255);
        registry.setInvestor(carol, record, REASON);
        bytes32 slot;
        // The mapping is the first own variable after those of the roles.
        for (uint256 i = 0; i < 8; ++i) {
            slot = vm.load(address(registry), keccak256(abi.encode(carol, i)));
            if (slot != 0) break;
        }
        vm.assertEq(uint256(slot), type(uint136).max);
    }

    function test_a_wallet_never_moves_to_another_investor() public {
        vm.expectRevert(abi.encodeWithSelector(IInvestorRegistry.WalletBelongsTo.selector, alice, 1));
        registry.setInvestor(alice, investor(9), REASON);
        registry.revoke(alice, REASON);
        vm.expectRevert(abi.encodeWithSelector(IInvestorRegistry.WalletBelongsTo.selector, alice, 1));
        registry.setInvestor(alice, investor(9), REASON);
        registry.setInvestor(alice, investor(1), REASON);
    }

    function test_a_revocation_keeps_the_rest_of_the_record() public {
        vm.expectEmit(address(registry));
        emit IInvestorRegistry.InvestorChanged(alice, 1, 756, 1, uint40(START + 365 days), 0, REASON, address(this));
        registry.revoke(alice, REASON);
        answers(address(0), alice, RestrictionCodes.RECIPIENT_NOT_WHITELISTED, 0);
        vm.expectRevert(abi.encodeWithSelector(IInvestorRegistry.UnknownWallet.selector, carol));
        registry.revoke(carol, REASON);
    }

    function test_nobody_and_no_investor_are_refused() public {
        vm.expectRevert(IInvestorRegistry.InvalidWallet.selector);
        registry.setInvestor(address(0), investor(3), REASON);
        vm.expectRevert(IInvestorRegistry.InvalidInvestorId.selector);
        registry.setInvestor(carol, investor(0), REASON);
    }

    function test_a_batch_tells_what_single_calls_tell() public {
        IInvestorRegistry.Entry[] memory entries = new IInvestorRegistry.Entry[](2);
        entries[0] = IInvestorRegistry.Entry(carol, investor(3), REASON);
        entries[1] = IInvestorRegistry.Entry(treasury, investor(4), "other");
        vm.recordLogs();
        registry.setInvestors(entries);
        Vm.Log[] memory batch = vm.getRecordedLogs();
        registry.setInvestor(carol, investor(3), REASON);
        registry.setInvestor(treasury, investor(4), "other");
        Vm.Log[] memory single = vm.getRecordedLogs();
        vm.assertEq(abi.encode(batch), abi.encode(single));
    }

    function test_only_the_registrar_writes_and_only_the_admin_rewires() public {
        bytes32 registrar = registry.REGISTRAR_ROLE();
        bytes memory refusal =
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, admin, registrar);
        vm.prank(admin);
        vm.expectRevert(refusal);
        registry.setInvestor(carol, investor(3), REASON);
        vm.prank(admin);
        vm.expectRevert(refusal);
        registry.setInvestors(new IInvestorRegistry.Entry[](0));
        vm.prank(admin);
        vm.expectRevert(refusal);
        registry.revoke(alice, REASON);
        vm.expectRevert();
        registry.replaceOperator(address(this), carol);
        vm.prank(admin);
        registry.replaceOperator(address(this), carol);
        vm.assertFalse(registry.hasRole(registrar, address(this)));
        vm.assertTrue(registry.hasRole(registrar, carol));
    }

    function test_a_side_that_is_nobody_is_not_looked_at() public view {
        answers(address(0), address(0), RestrictionCodes.OK, 0);
        answers(alice, address(0), RestrictionCodes.OK, 0);
        answers(carol, alice, RestrictionCodes.SENDER_NOT_WHITELISTED, 0);
    }

    function test_a_recipient_that_may_receive_comes_with_its_country() public {
        IInvestorRegistry.Investor memory record = investor(2);
        record.country = 840;
        registry.setInvestor(bob, record, REASON);
        answers(alice, bob, RestrictionCodes.OK, 840);
        answers(address(0), bob, RestrictionCodes.OK, 840);
        answers(bob, alice, RestrictionCodes.OK, 756);
        registry.revoke(bob, REASON);
        answers(alice, bob, RestrictionCodes.RECIPIENT_NOT_WHITELISTED, 0);
    }

    function answers(address from, address to, uint8 wanted, uint16 wantedCountry) private view {
        (uint8 code, uint16 country) = registry.check(from, to);
        vm.assertEq(code, wanted, "code");
        vm.assertEq(country, wantedCountry, "country");
    }
}
