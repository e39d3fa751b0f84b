// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IInvestorRegistry} from "../sol/interfaces/IInvestorRegistry.sol";
import {IERC7943Fungible} from "../sol/interfaces/IERC7943.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base} from "./Base.sol";

/// @notice Answers what it is told to, in the ways a broken registry might.
contract OddRegistry {
    bytes private _answer;
    bool private _fails;

    function set(bytes calldata answer, bool fails) external {
        (_answer, _fails) = (answer, fails);
    }

    fallback() external {
        bytes memory answer = _answer;
        bool fails = _fails;
        assembly ("memory-safe") {
            if fails { revert(add(answer, 0x20), mload(answer)) }
            return(add(answer, 0x20), mload(answer))
        }
    }
}

/// @notice Each reason, and that the predictor and the movement agree on it.
contract RestrictionsTest is Base {
    function setUp() public override {
        super.setUp();
        give(alice, 100);
        give(bob, 100);
    }

    // ---------------------------------------------------------------- one by one

    function test_code_0_ok() public {
        agree(alice, bob, 100, RestrictionCodes.OK);
    }

    function test_code_10_token_paused() public {
        vm.prank(address(executor));
        token.pause(REASON);
        agree(alice, bob, 1, RestrictionCodes.TOKEN_PAUSED);
    }

    function test_code_11_sender_frozen() public {
        freezeAddress(alice, true);
        agree(alice, bob, 1, RestrictionCodes.SENDER_FROZEN);
        agree(alice, address(0), 1, RestrictionCodes.SENDER_FROZEN);
    }

    function test_code_12_recipient_frozen() public {
        freezeAddress(bob, true);
        agree(alice, bob, 1, RestrictionCodes.RECIPIENT_FROZEN);
        agree(address(0), bob, 1, RestrictionCodes.RECIPIENT_FROZEN);
    }

    function test_code_13_amount_frozen() public {
        freeze(alice, 60);
        agree(alice, bob, 40, RestrictionCodes.OK);
        freeze(alice, 60);
        agree(alice, bob, 41, RestrictionCodes.AMOUNT_FROZEN);
        agree(alice, address(0), 41, RestrictionCodes.AMOUNT_FROZEN);
        agree(alice, alice, 41, RestrictionCodes.AMOUNT_FROZEN);
    }

    function test_code_14_amount_held() public {
        vm.prank(address(executor));
        token.placeHold(alice, 50, uint40(START + 1), REASON);
        agree(alice, bob, 51, RestrictionCodes.AMOUNT_HELD);
        agree(alice, address(0), 51, RestrictionCodes.AMOUNT_HELD);
        agree(alice, alice, 51, RestrictionCodes.AMOUNT_HELD);
        agree(alice, alice, 50, RestrictionCodes.OK);
        freeze(alice, 30);
        agree(alice, bob, 21, RestrictionCodes.AMOUNT_HELD);
        agree(alice, bob, 70, RestrictionCodes.AMOUNT_HELD);
        agree(alice, bob, 71, RestrictionCodes.AMOUNT_FROZEN);
        agree(alice, bob, 20, RestrictionCodes.OK);
        vm.warp(START + 1);
        agree(alice, bob, 50, RestrictionCodes.OK);
    }

    function test_code_15_supply_paused() public {
        vm.prank(address(executor));
        token.pauseSupply(REASON);
        agree(address(0), bob, 1, RestrictionCodes.SUPPLY_PAUSED);
        agree(alice, address(0), 1, RestrictionCodes.SUPPLY_PAUSED);
        agree(alice, bob, 1, RestrictionCodes.OK);
    }

    function test_code_16_max_supply_exceeded() public {
        agree(address(0), bob, MAX_SUPPLY - 199, RestrictionCodes.MAX_SUPPLY_EXCEEDED);
        agree(address(0), bob, type(uint256).max, RestrictionCodes.MAX_SUPPLY_EXCEEDED);
        agree(address(0), bob, MAX_SUPPLY - 200, RestrictionCodes.OK);
    }

    function test_code_20_sender_not_whitelisted() public {
        registry.revoke(alice, REASON);
        agree(alice, bob, 1, RestrictionCodes.SENDER_NOT_WHITELISTED);
    }

    function test_code_21_recipient_not_whitelisted() public {
        agree(alice, carol, 1, RestrictionCodes.RECIPIENT_NOT_WHITELISTED);
        agree(address(0), carol, 1, RestrictionCodes.RECIPIENT_NOT_WHITELISTED);
    }

    function test_codes_22_and_23_kyc_expired() public {
        IInvestorRegistry.Investor memory record = investor(2);
        record.kycExpiresAt = 0;
        registry.setInvestor(bob, record, REASON);
        vm.warp(START + 365 days - 1);
        agree(alice, bob, 1, RestrictionCodes.OK);
        vm.warp(START + 365 days);
        agree(alice, bob, 1, RestrictionCodes.SENDER_KYC_EXPIRED);
        agree(bob, alice, 1, RestrictionCodes.RECIPIENT_KYC_EXPIRED);
    }

    function test_codes_24_and_25_sanctioned_even_where_not_whitelisted() public {
        IInvestorRegistry.Investor memory record = investor(1);
        record.flags = registry.SANCTIONED();
        registry.setInvestor(alice, record, REASON);
        agree(alice, bob, 1, RestrictionCodes.SENDER_SANCTIONED);
        agree(bob, alice, 1, RestrictionCodes.RECIPIENT_SANCTIONED);
    }

    function test_code_26_recipient_country() public {
        vm.prank(address(executor));
        token.setCountryRule(2, [uint256(0), 0, 0, 0], REASON);
        agree(alice, bob, 1, RestrictionCodes.RECIPIENT_COUNTRY);
        agree(address(0), bob, 1, RestrictionCodes.RECIPIENT_COUNTRY);
        agree(alice, address(0), 1, RestrictionCodes.OK);
    }

    function test_codes_30_and_31_holder_and_balance_limit() public {
        whitelist(carol, 3);
        vm.prank(address(executor));
        token.setLimits(2, 110, REASON);
        agree(alice, carol, 1, RestrictionCodes.HOLDER_LIMIT);
        agree(alice, bob, 11, RestrictionCodes.BALANCE_LIMIT);
        agree(address(0), bob, 11, RestrictionCodes.BALANCE_LIMIT);
        agree(alice, bob, 10, RestrictionCodes.OK);
    }

    function test_code_29_registry_unavailable() public {
        OddRegistry odd = new OddRegistry();
        vm.prank(admin);
        token.setRegistry(address(odd), REASON);
        odd.set("", false);
        agree(alice, bob, 1, RestrictionCodes.REGISTRY_UNAVAILABLE);
        odd.set(abi.encode(0, 0), true);
        agree(alice, bob, 1, RestrictionCodes.REGISTRY_UNAVAILABLE);
        odd.set(abi.encode(0), false);
        agree(alice, bob, 1, RestrictionCodes.REGISTRY_UNAVAILABLE);
        odd.set(abi.encode(0, 0, 0), false);
        agree(alice, bob, 1, RestrictionCodes.REGISTRY_UNAVAILABLE);
        odd.set(abi.encode(256, 0), false);
        agree(alice, bob, 1, RestrictionCodes.REGISTRY_UNAVAILABLE);
        odd.set(abi.encode(0, 65_536), false);
        agree(alice, bob, 1, RestrictionCodes.REGISTRY_UNAVAILABLE);
        odd.set(abi.encode(200, 0), false);
        agree(alice, bob, 1, 200);
        odd.set(abi.encode(0, 65_535), false);
        agree(alice, bob, 1, RestrictionCodes.OK);
        vm.etch(address(odd), "");
        agree(alice, bob, 1, RestrictionCodes.REGISTRY_UNAVAILABLE);
        vm.assertFalse(token.canSend(alice));
        vm.assertFalse(token.canReceive(alice));
    }

    function test_an_amount_above_the_balance_is_no_restriction() public {
        freeze(alice, 60);
        vm.assertEq(token.detectTransferRestriction(alice, bob, 101), RestrictionCodes.OK);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 100, 101));
        token.transfer(bob, 101);
    }

    // ---------------------------------------------------------------- all together

    /// @dev I3 and I4 and I5 over any state: it moves if and only if the code is 0 and the funds suffice.
    function testFuzz_a_transfer_succeeds_exactly_if_the_code_is_0_and_funds_suffice(uint256 seed, uint256 amount)
        public
    {
        scramble(alice, 1, seed);
        scramble(bob, 2, seed >> 64);
        tighten(seed >> 160);
        if (seed >> 128 & 7 == 0) {
            vm.prank(address(executor));
            token.pause(REASON);
        }
        address to = seed >> 140 & 7 == 0 ? alice : bob;
        amount = bound(amount, 0, 120);
        uint8 code = token.detectTransferRestriction(alice, to, amount);
        vm.assertEq(token.canTransfer(alice, to, amount), code == 0, "canTransfer");
        vm.assertTrue(code != 0 || (token.canSend(alice) && token.canReceive(to)), "canSend and canReceive");
        (uint256 before, uint256 beforeTo) = (token.balanceOf(alice), token.balanceOf(to));
        vm.prank(alice);
        try token.transfer(to, amount) returns (bool) {
            vm.assertTrue(code == 0 && amount <= before, "moved against the code");
            vm.assertTrue(to == alice || token.balanceOf(to) == beforeTo + amount, "moved wrongly");
        } catch {
            vm.assertTrue(code != 0 || amount > before, "refused against the code");
        }
        vm.assertEq(token.balanceOf(alice) + token.balanceOf(bob), token.totalSupply(), "sum");
    }

    function testFuzz_a_mint_and_a_burn_succeed_exactly_if_the_code_is_0(uint256 seed, uint256 amount) public {
        scramble(bob, 2, seed);
        tighten(seed >> 160);
        if (seed >> 128 & 7 == 0) {
            vm.prank(address(executor));
            token.pauseSupply(REASON);
        }
        if (seed >> 140 & 1 == 0) amount = bound(amount, 0, 120);
        uint8 code = token.detectTransferRestriction(address(0), bob, amount);
        vm.prank(address(executor));
        (bool ok,) = address(token).call(mintCall(bob, amount));
        vm.assertEq(ok, code == 0, "mint");
        uint256 balance = token.balanceOf(bob);
        code = token.detectTransferRestriction(bob, address(0), amount);
        vm.prank(address(executor));
        (ok,) = address(token).call(abi.encodeCall(token.burn, (bob, amount, REASON)));
        vm.assertEq(ok, code == 0 && amount <= balance, "burn");
    }

    function testFuzz_the_views_never_revert(
        address from,
        address to,
        uint256 amount,
        bytes calldata answer,
        bool fails
    ) public {
        OddRegistry odd = new OddRegistry();
        vm.prank(admin);
        token.setRegistry(address(odd), REASON);
        odd.set(answer, fails);
        token.detectTransferRestriction(from, to, amount);
        token.canTransfer(from, to, amount);
        token.canSend(from);
        token.canReceive(to);
    }

    // ---------------------------------------------------------------- helpers

    /// @dev A wallet in a state chosen by `seed`: record, freeze, partial freeze.
    function scramble(address wallet, uint64 id, uint256 seed) private {
        IInvestorRegistry.Investor memory record = investor(id);
        record.flags = uint8(seed % 5 == 0 ? seed >> 8 & 3 : 1);
        record.kycExpiresAt = seed >> 16 & 7 == 0 ? uint40(START + 1) : 0;
        registry.setInvestor(wallet, record, REASON);
        freezeAddress(wallet, seed >> 24 & 7 == 0);
        uint256 held = seed >> 48 & 1 == 0 ? 0 : (seed >> 49) % 101;
        if (held != 0 && !token.isFrozen(wallet)) {
            vm.prank(address(executor));
            token.placeHold(wallet, held, seed >> 56 & 1 == 0 ? 0 : uint40(START + 1), REASON);
        }
        freeze(wallet, seed >> 32 & 3 == 0 ? 0 : uint8(seed >> 40));
    }

    /// @dev Rules of the token chosen by `seed`, and perhaps a second later.
    function tighten(uint256 seed) private {
        uint256[4] memory countries;
        countries[2] = seed & 1 == 0 ? type(uint256).max : 0;
        vm.prank(address(executor));
        token.setCountryRule(seed >> 1 & 3 == 0 ? uint8(2 - (seed >> 3 & 1)) : 0, countries, REASON);
        vm.prank(address(executor));
        token.setLimits(uint32(seed >> 4 & 3), uint104((seed >> 6 & 1) * 150), REASON);
        vm.warp(START + (seed >> 7 & 1));
    }

    /// @dev The predictor says `code`, and the movement is refused with it or, at 0, happens.
    function agree(address from, address to, uint256 amount, uint8 code) private {
        vm.assertEq(token.detectTransferRestriction(from, to, amount), code, "predicted");
        vm.assertEq(token.canTransfer(from, to, amount), code == 0, "canTransfer");
        if (code == RestrictionCodes.AMOUNT_FROZEN) {
            uint256 free = token.balanceOf(from) - token.getFrozenTokens(from);
            vm.expectRevert(
                abi.encodeWithSelector(IERC7943Fungible.ERC7943InsufficientUnfrozenBalance.selector, from, amount, free)
            );
        } else if (code != RestrictionCodes.OK) {
            vm.expectRevert(abi.encodeWithSelector(ISecurityToken.TransferRestricted.selector, from, to, amount, code));
        }
        if (from == address(0)) {
            vm.prank(address(executor));
            token.mint(to, amount, REASON);
        } else if (to == address(0)) {
            vm.prank(address(executor));
            token.burn(from, amount, REASON);
        } else {
            vm.prank(from);
            token.transfer(to, amount);
        }
    }
}
