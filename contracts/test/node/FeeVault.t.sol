// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IFeeVault} from "../../sol/interfaces/IFeeVault.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {ISecurityToken} from "../../sol/interfaces/ISecurityToken.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {INodeFactory} from "../../sol/interfaces/INodeFactory.sol";
import {Token} from "../../sol/SecurityToken.sol";
import {RestrictionCodes} from "../../sol/lib/RestrictionCodes.sol";
import {HostileUSD} from "./HostileUSD.sol";
import {NodeBase} from "./NodeBase.sol";

contract FeeVaultTest is NodeBase {
    address private constant platform = address(uint160(uint256(keccak256("platform owner"))));
    address private constant owner = address(uint160(uint256(keccak256("node owner"))));
    address private constant node = address(uint160(uint256(keccak256("node's wallet"))));

    address private source;

    function setUp() public override {
        super.setUp();
        source = factory.nodeOf(NODE_KEY).contracts.otcDesk;
        whitelist(platform, 21);
        whitelist(owner, 22);
        whitelist(node, 23);
        set(IFeeVault.Split(3_000, 2_500, 4_500));
    }

    // ---------------------------------------------------------------- fee supply

    /// @dev The figures of the token-details text, out of the state of real contracts.
    function test_the_supply_figures_of_the_text_come_out() public {
        INodeFactory.TokenConfig memory config = tokenConfig(NODE_KEY, "TKN");
        config.maxSupply = 1_000e18;
        vm.prank(admin);
        token = Token(factory.deployToken(config));
        set(IFeeVault.Split(3_000, 2_500, 4_500));
        operator();
        listing.setTerms(
            address(token), IListing.Terms(address(usd), 0, 0, uint128(30 * DOLLAR), 1e18, 150e18, 50e18, 8_000), REASON
        );
        operator();
        listing.list(address(token), REASON);
        allow(ann, address(listing));
        vm.prank(ann);
        listing.buy(address(token), 150e18, address(usd), 4_500 * DOLLAR);
        reserve(50e18);
        allocate(IFeeVault.Split(10e18, 5e18, 15e18));

        IListing.Supply memory supply = listing.supplyOf(address(token));
        vm.assertEq(token.maxSupply(), 1_000e18);
        vm.assertEq(listing.termsOf(address(token)).salableBps, 8_000);
        vm.assertEq(supply.listed, 800e18);
        vm.assertEq(supply.purchased, 150e18);
        vm.assertEq(supply.fees, 50e18);
        vm.assertEq(uint256(supply.purchased) + supply.fees, 200e18);
        vm.assertEq(abi.encode(feeVault.allocatedOf(address(token))), abi.encode(IFeeVault.Split(10e18, 5e18, 15e18)));
        vm.assertEq(token.balanceOf(platform), 10e18);
        vm.assertEq(token.balanceOf(owner), 5e18);
        vm.assertEq(token.balanceOf(node), 15e18);
        vm.assertEq(token.totalSupply(), 180e18);
    }

    function test_fee_supply_is_part_of_what_is_listed() public {
        sell();
        vm.expectEmit(address(listing));
        emit IListing.FeesReserved(address(token), 799_999e18, 799_999e18, 799_999e18, REASON, address(executor));
        reserve(799_999e18);
        vm.expectRevert(abi.encodeWithSelector(IListing.SoldOut.selector, 1e18, 2e18));
        reserve(2e18);
        vm.expectRevert(abi.encodeWithSelector(IListing.NotWhole.selector, 1));
        reserve(1);
        reserve(1e18);
    }

    function test_no_more_is_given_out_than_is_set_aside() public {
        sell();
        reserve(50e18);
        vm.expectEmit(address(feeVault));
        emit IFeeVault.FeesAllocated(
            address(token),
            IFeeVault.Beneficiaries(platform, owner, node),
            IFeeVault.Split(10e18, 0, 1),
            IFeeVault.Split(10e18, 0, 1),
            REASON,
            address(executor)
        );
        allocate(IFeeVault.Split(10e18, 0, 1));
        uint256 left = 40e18 - 1;
        vm.expectRevert(abi.encodeWithSelector(IFeeVault.FeeSupplyExceeded.selector, left, left + 1));
        allocate(IFeeVault.Split(left, 1, 0));
        allocate(IFeeVault.Split(0, left, 0));
        vm.expectRevert(abi.encodeWithSelector(IFeeVault.FeeSupplyExceeded.selector, 0, 1));
        allocate(IFeeVault.Split(0, 0, 1));
        vm.assertEq(token.totalSupply(), 50e18);
    }

    function test_a_party_that_may_not_hold_the_token_gets_none() public {
        sell();
        reserve(50e18);
        registry.revoke(owner, REASON);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISecurityToken.TransferRestricted.selector,
                address(0),
                owner,
                1,
                RestrictionCodes.RECIPIENT_NOT_WHITELISTED
            )
        );
        allocate(IFeeVault.Split(1, 1, 1));
        vm.assertEq(token.totalSupply(), 0);
    }

    function test_only_the_tokens_own_operator_decides() public {
        vm.expectRevert(unauthorized(keeper, "TERMS_ROLE"));
        vm.prank(keeper);
        feeVault.allocate(address(token), IFeeVault.Split(1, 0, 0), REASON);
        vm.expectRevert(unauthorized(keeper, "TERMS_ROLE"));
        vm.prank(keeper);
        feeVault.setFeeTerms(
            address(token), IFeeVault.Beneficiaries(platform, owner, node), IFeeVault.Split(10_000, 0, 0), REASON
        );
    }

    function test_three_parties_share_a_whole() public {
        IFeeVault.Beneficiaries[4] memory parties = [
            IFeeVault.Beneficiaries(platform, owner, node),
            IFeeVault.Beneficiaries(address(0), owner, node),
            IFeeVault.Beneficiaries(platform, address(0), node),
            IFeeVault.Beneficiaries(platform, owner, address(0))
        ];
        for (uint256 i = 0; i < parties.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IFeeVault.InvalidFeeTerms.selector, address(token)));
            operator();
            feeVault.setFeeTerms(
                address(token), parties[i], IFeeVault.Split(3_000, 2_500, i == 0 ? 4_501 : 4_500), REASON
            );
        }
        (IFeeVault.Beneficiaries memory to, IFeeVault.Split memory shares) = feeVault.feeTermsOf(address(token));
        vm.assertEq(abi.encode(to), abi.encode(parties[0]));
        vm.assertEq(abi.encode(shares), abi.encode(IFeeVault.Split(3_000, 2_500, 4_500)));
    }

    // ---------------------------------------------------------------- trade fees

    function test_fees_of_trades_are_split_and_wait_to_be_drawn() public {
        pay(usd.mint, 1_001);
        vm.expectEmit(address(feeVault));
        emit IFeeVault.FeeAccrued(address(token), address(usd), source, 1_001, 1_001);
        accrue(address(usd), 1_001);
        vm.assertEq(feeVault.potOf(address(token), address(usd)), 1_001);
        IFeeVault.Split memory amounts = IFeeVault.Split(300, 250, 450);
        vm.expectEmit(address(feeVault));
        emit IFeeVault.FeesReleased(
            address(token), address(usd), IFeeVault.Beneficiaries(platform, owner, node), amounts, amounts, 1
        );
        feeVault.release(address(token), address(usd));
        vm.assertEq(feeVault.creditOf(address(usd), platform), 300);
        vm.expectEmit(address(feeVault));
        emit IFeeVault.FeesDrawn(address(usd), owner, 250);
        vm.assertEq(feeVault.draw(address(usd), owner), 250);
        vm.assertEq(usd.balanceOf(owner), 250);
        vm.expectRevert(abi.encodeWithSelector(IFeeVault.NoFees.selector, address(usd), owner));
        feeVault.draw(address(usd), owner);
        vm.expectRevert(abi.encodeWithSelector(IFeeVault.NoFees.selector, address(usd), address(token)));
        feeVault.release(address(token), address(usd));
        // What could not be divided is part of the next release.
        vm.assertEq(feeVault.potOf(address(token), address(usd)), 1);
        pay(usd.mint, 19);
        accrue(address(usd), 19);
        feeVault.release(address(token), address(usd));
        vm.assertEq(feeVault.creditOf(address(usd), node), 450 + 9);
        vm.assertEq(feeVault.potOf(address(token), address(usd)), 0);
    }

    /// @dev Nothing is lost or made, whatever the shares; one wallet may be more than one party.
    function testFuzz_what_is_split_is_what_was_paid(uint128 amount, uint256 a, uint256 b, bool same) public {
        a = bound(a, 0, 10_000);
        b = bound(b, 0, 10_000 - a);
        amount = uint128(bound(amount, 1, type(uint128).max));
        operator();
        feeVault.setFeeTerms(
            address(token),
            IFeeVault.Beneficiaries(platform, same ? platform : owner, same ? platform : node),
            IFeeVault.Split(a, b, 10_000 - a - b),
            REASON
        );
        pay(usd.mint, amount);
        accrue(address(usd), amount);
        uint256[3] memory shares =
            [uint256(amount) * a / 10_000, uint256(amount) * b / 10_000, uint256(amount) * (10_000 - a - b) / 10_000];
        uint256 sum = shares[0] + shares[1] + shares[2];
        if (sum == 0) {
            vm.expectRevert(abi.encodeWithSelector(IFeeVault.NoFees.selector, address(usd), address(token)));
        }
        feeVault.release(address(token), address(usd));
        uint256 dust = feeVault.potOf(address(token), address(usd));
        vm.assertEq(dust, amount - sum);
        vm.assertLe(dust, 2, "dust");
        vm.assertEq(feeVault.creditOf(address(usd), platform), same ? sum : shares[0]);
        vm.assertEq(feeVault.creditOf(address(usd), owner), same ? 0 : shares[1]);
        vm.assertEq(feeVault.creditOf(address(usd), node), same ? 0 : shares[2]);
    }

    function test_the_fees_of_a_lost_wallet_are_the_admins_to_move() public {
        pay(usd.mint, 1_000);
        accrue(address(usd), 1_000);
        feeVault.release(address(token), address(usd));
        address[3] memory others = [address(executor), keeper, owner];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, others[i], bytes32(0))
            );
            vm.prank(others[i]);
            feeVault.moveFees(address(usd), owner, node, REASON);
        }
        vm.expectRevert(abi.encodeWithSelector(INodeContract.InvalidAddress.selector, address(0)));
        vm.prank(admin);
        feeVault.moveFees(address(usd), owner, address(0), REASON);
        vm.expectEmit(address(feeVault));
        emit IFeeVault.FeesMoved(address(usd), owner, node, 250, 700, REASON, admin);
        vm.prank(admin);
        feeVault.moveFees(address(usd), owner, node, REASON);
        vm.expectRevert(abi.encodeWithSelector(IFeeVault.NoFees.selector, address(usd), owner));
        vm.prank(admin);
        feeVault.moveFees(address(usd), owner, node, REASON);
        // To itself: as it was.
        vm.prank(admin);
        feeVault.moveFees(address(usd), node, node, REASON);
        vm.assertEq(feeVault.draw(address(usd), node), 700);
        vm.assertEq(feeVault.draw(address(usd), platform), 300);
    }

    function test_only_the_nodes_own_contracts_book_fees() public {
        vm.expectRevert(abi.encodeWithSelector(IFeeVault.NotFeeSource.selector, address(executor)));
        operator();
        feeVault.accrue(address(token), address(usd), 1);
        // Without shares nobody is entitled, and nothing is lost.
        vm.prank(admin);
        address other = factory.deployToken(tokenConfig(NODE_KEY, "other"));
        vm.prank(source);
        feeVault.accrue(other, address(usd), 5);
        vm.expectRevert(abi.encodeWithSelector(IFeeVault.InvalidFeeTerms.selector, other));
        feeVault.release(other, address(usd));
        vm.assertEq(feeVault.potOf(other, address(usd)), 5);
    }

    // ---------------------------------------------------------------- hostile payment tokens

    function test_a_refused_party_hinders_nobody_and_loses_nothing() public {
        pay(hostile.mint, 1_000);
        accrue(address(hostile), 1_000);
        feeVault.release(address(token), address(hostile));
        hostile.refuse(owner, true);
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "refused"));
        feeVault.draw(address(hostile), owner);
        feeVault.draw(address(hostile), node);
        feeVault.draw(address(hostile), platform);
        hostile.refuse(owner, false);
        feeVault.draw(address(hostile), owner);
        vm.assertEq(hostile.balanceOf(address(feeVault)), 0);
    }

    function test_a_token_that_takes_more_than_it_was_told_is_refused() public {
        pay(hostile.mint, 1_000);
        accrue(address(hostile), 1_000);
        feeVault.release(address(token), address(hostile));
        hostile.setVice(HostileUSD.Vice.TakesMoreFromSender);
        vm.expectRevert(inexact(address(feeVault), 250, 253));
        feeVault.draw(address(hostile), owner);
        hostile.setVice(HostileUSD.Vice.PaysNothing);
        vm.expectRevert(inexact(address(feeVault), 250, 0));
        feeVault.draw(address(hostile), owner);
        hostile.setVice(HostileUSD.Vice.None);
        hostile.callBack(address(feeVault), abi.encodeCall(feeVault.draw, (address(hostile), node)));
        feeVault.draw(address(hostile), owner);
        assertShut();
    }

    // ---------------------------------------------------------------- short ways

    function set(IFeeVault.Split memory shares) private {
        operator();
        feeVault.setFeeTerms(address(token), IFeeVault.Beneficiaries(platform, owner, node), shares, REASON);
    }

    function sell() private {
        operator();
        listing.setTerms(address(token), IListing.Terms(address(usd), 0, 0, 1, 0, 0, 800_000e18, 8_000), REASON);
    }

    function reserve(uint256 amount) private {
        operator();
        listing.reserveFees(address(token), amount, REASON);
    }

    function allocate(IFeeVault.Split memory amounts) private {
        operator();
        feeVault.allocate(address(token), amounts, REASON);
    }

    function pay(function(address, uint256) external mint, uint256 amount) private {
        mint(address(feeVault), amount);
    }

    function accrue(address paymentToken, uint256 amount) private {
        vm.prank(source);
        feeVault.accrue(address(token), paymentToken, amount);
    }
}
