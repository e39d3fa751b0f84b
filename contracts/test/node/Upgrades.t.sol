// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {SecurityToken, Token} from "../../sol/SecurityToken.sol";
import {IFeeVault} from "../../sol/interfaces/IFeeVault.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {INodeFactory} from "../../sol/interfaces/INodeFactory.sol";
import {IOtcDesk} from "../../sol/interfaces/IOtcDesk.sol";
import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ISecondaryMarket} from "../../sol/interfaces/ISecondaryMarket.sol";
import {FeeVault} from "../../sol/node/FeeVault.sol";
import {Listing} from "../../sol/node/Listing.sol";
import {OtcDesk} from "../../sol/node/OtcDesk.sol";
import {RedemptionDesk} from "../../sol/node/RedemptionDesk.sol";
import {RentDistributor} from "../../sol/node/RentDistributor.sol";
import {SecondaryMarket} from "../../sol/node/SecondaryMarket.sol";
import {NodeBase} from "./NodeBase.sol";
import {TypedData} from "./TypedData.sol";

/// @notice A node in the middle of its life, with something in every book, gets new code under all of it.
contract UpgradesTest is NodeBase {
    ISecondaryMarket.Match private matched;
    IOtcDesk.Deal private deal;

    function setUp() public override {
        super.setUp();
        address[6] memory spenders =
            [address(listing), address(market), address(otc), address(redemptions), address(rents), treasury];
        for (uint256 i = 0; i < 6; ++i) {
            allow(ann, spenders[i]);
            allow(ben, spenders[i]);
            allow(treasury, spenders[i]);
            vm.prank(ann);
            token.approve(spenders[i], type(uint256).max);
        }
        give(ann, 100e18);
        give(ben, 100e18);
        live();
    }

    // ---------------------------------------------------------------- a node's contracts

    function test_new_code_under_a_nodes_contracts_leaves_every_book_and_all_goes_on() public {
        bytes memory books = abi.encode(sales(), payouts(), trades());
        address[6] memory proxies = contracts();
        address[6] memory next = newer();
        for (uint256 i = 0; i < 6; ++i) {
            vm.assertEq(version(proxies[i]), 0);
            vm.prank(admin);
            UUPSUpgradeable(proxies[i]).upgradeToAndCall(next[i], "");
            vm.assertEq(version(proxies[i]), 2);
        }
        vm.assertEq(abi.encode(sales(), payouts(), trades()), books);
        // What was begun under the old code ends under the new.
        vm.prank(ann);
        listing.buy(address(token), 1e18, address(usd), DOLLAR);
        operator();
        redemptions.approve(address(token), 2, DOLLAR, REASON);
        redemptions.draw(address(token), address(hostile), ann);
        vm.prank(ben);
        rents.claim(address(token));
        settle();
        feeVault.release(address(token), address(usd));
        feeVault.draw(address(usd), ben);
        vm.expectRevert(
            abi.encodeWithSelector(IOtcDesk.DealIsDone.selector, otc.hashOf(deal), IOtcDesk.DealState.Settled)
        );
        vm.prank(ann);
        otc.cancel(deal);
    }

    /// @dev Neither who operates, nor who upgrades the tokens, nor another node's admin.
    function test_nobody_but_a_nodes_admin_puts_code_under_its_contracts() public {
        INodeFactory.NodeConfig memory config = nodeConfig("carol's");
        config.admin = carol;
        vm.prank(admin);
        address door = factory.deployNode(config);
        address[6] memory theirs = list(factory.nodeOf("carol's").contracts);
        address[6] memory next = newer();
        address[4] memory others = [admin, door, treasury, address(factory)];
        for (uint256 i = 0; i < 6; ++i) {
            for (uint256 o = 0; o < 4; ++o) {
                vm.expectRevert(
                    abi.encodeWithSelector(
                        IAccessControl.AccessControlUnauthorizedAccount.selector, others[o], bytes32(0)
                    )
                );
                vm.prank(others[o]);
                UUPSUpgradeable(theirs[i]).upgradeToAndCall(next[i], "");
            }
            vm.prank(carol);
            UUPSUpgradeable(theirs[i]).upgradeToAndCall(next[i], "");
            vm.assertEq(version(theirs[i]), 2);
        }
    }

    /// @dev Code that could never be replaced again is refused, and an implementation has no storage to be upgraded.
    function test_only_code_that_can_be_replaced_goes_under_a_contract() public {
        address[6] memory proxies = contracts();
        address[6] memory code = list(factory.implementations());
        address[6] memory next = newer();
        for (uint256 i = 0; i < 6; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(ERC1967Utils.ERC1967InvalidImplementation.selector, address(registry))
            );
            vm.prank(admin);
            UUPSUpgradeable(proxies[i]).upgradeToAndCall(address(registry), "");
            vm.expectRevert(UUPSUpgradeable.UUPSUnauthorizedCallContext.selector);
            vm.prank(admin);
            UUPSUpgradeable(code[i]).upgradeToAndCall(next[i], "");
        }
    }

    // ---------------------------------------------------------------- tokens

    function test_new_code_under_the_tokens_leaves_balances_holds_rent_and_rules() public {
        vm.prank(address(executor));
        token.mintLocked(ann, 7e18, 2, uint40(START + 3 days), REASON);
        freeze(ben, 3e18);
        vm.prank(address(executor));
        token.setLimits(9, 900e18, REASON);
        vm.prank(address(executor));
        token.setDocument("terms", "uri", "hash");
        bytes memory state = tokenState();
        address next = address(new NewToken());
        vm.prank(admin);
        factory.upgradeTokens(next);
        vm.assertEq(version(address(token)), 2);
        vm.assertEq(tokenState(), state);
        vm.prank(ann);
        require(token.transfer(ben, 1e18));
        vm.prank(ben);
        rents.claim(address(token));
        // A token of the time after runs the same code.
        vm.prank(admin);
        vm.assertEq(version(factory.deployToken(tokenConfig(NODE_KEY, "later"))), 2);
    }

    // ---------------------------------------------------------------- all that is there

    function sales() private view returns (bytes memory) {
        (IFeeVault.Beneficiaries memory to, IFeeVault.Split memory shares) = feeVault.feeTermsOf(address(token));
        return abi.encode(
            abi.encode(listing.termsOf(address(token)), listing.supplyOf(address(token))),
            abi.encode(listing.statusOf(address(token)), listing.purchasedBy(address(token), 11)),
            abi.encode(listing.treasury(), listing.defaultAdmin(), listing.isIntentUsed(ann, SALT)),
            abi.encode(to, shares, feeVault.allocatedOf(address(token))),
            abi.encode(feeVault.potOf(address(token), address(usd)), feeVault.creditOf(address(usd), ben))
        );
    }

    function payouts() private view returns (bytes memory) {
        return abi.encode(
            abi.encode(redemptions.redemptionTermsOf(address(token)), redemptions.requestOf(address(token), 2)),
            abi.encode(redemptions.creditOf(address(token), address(hostile), ann), redemptions.treasury()),
            abi.encode(redemptions.fundOf(address(token), address(usd))),
            abi.encode(redemptions.fundOf(address(token), address(hostile))),
            abi.encode(rents.rentTermsOf(address(token)), rents.fundOf(address(token), address(usd))),
            abi.encode(rents.claimable(address(token), ann), rents.claimable(address(token), ben))
        );
    }

    function trades() private view returns (bytes memory) {
        return abi.encode(
            market.marketTermsOf(address(token)),
            market.filledOf(ann, market.hashOf(matched.sell)),
            market.filledOf(ben, SALT),
            market.cancelledBefore(ben),
            otc.otcTermsOf(address(token)),
            otc.stateOf(otc.hashOf(deal))
        );
    }

    function tokenState() private view returns (bytes memory) {
        (uint32 holders, uint104 balance) = token.limits();
        return abi.encode(
            abi.encode(token.name(), token.symbol(), token.decimals(), token.maxSupply(), token.registry()),
            abi.encode(token.totalSupply(), token.holderCount(), token.balanceOf(ann), token.balanceOf(ben)),
            abi.encode(token.holdsOf(ann), token.holdsOf(ben), token.getFrozenTokens(ben), holders, balance),
            abi.encode(token.rent(), token.rentOf(ann), token.rentOf(ben), token.nonces(ann)),
            abi.encode(token.allowance(ann, address(market)), token.defaultAdmin(), token.instrumentId())
        );
    }

    // ---------------------------------------------------------------- the life before

    function live() private {
        operator();
        listing.setTerms(
            address(token), IListing.Terms(address(usd), 0, 0, uint128(DOLLAR), 0, 0, 10e18, 8_000), REASON
        );
        operator();
        listing.list(address(token), REASON);
        vm.prank(ann);
        listing.buy(address(token), 5e18, address(usd), 5 * DOLLAR);
        vm.prank(ann);
        listing.cancelIntent(SALT);
        operator();
        listing.reserveFees(address(token), 4e18, REASON);
        operator();
        feeVault.setFeeTerms(
            address(token), IFeeVault.Beneficiaries(ann, ben, ben), IFeeVault.Split(2_000, 3_000, 5_000), REASON
        );
        operator();
        feeVault.allocate(address(token), IFeeVault.Split(1e18, 1e18, 0), REASON);
        redeem();
        operator();
        rents.setRentTerms(address(token), IRentDistributor.RentTerms(address(usd), 0, 0), REASON);
        vm.prank(treasury);
        rents.fund(address(token), address(usd), 1_000);
        operator();
        rents.open(address(token), 1, 900, REASON);
        trade();
    }

    /// @dev One request is a credit in the money of then, another is open.
    function redeem() private {
        operator();
        redemptions.setRedemptionTerms(
            address(token), IRedemptionDesk.RedemptionTerms(address(hostile), uint128(DOLLAR)), REASON
        );
        vm.prank(treasury);
        redemptions.fund(address(token), address(hostile), 10 * DOLLAR);
        vm.prank(ann);
        redemptions.request(address(token), 2e18, address(hostile), 0);
        hostile.refuse(ann, true);
        operator();
        redemptions.approve(address(token), 1, DOLLAR, REASON);
        hostile.refuse(ann, false);
        operator();
        redemptions.setRedemptionTerms(
            address(token), IRedemptionDesk.RedemptionTerms(address(usd), uint128(DOLLAR)), REASON
        );
        vm.prank(treasury);
        redemptions.fund(address(token), address(usd), 10 * DOLLAR);
        vm.prank(ben);
        redemptions.request(address(token), 3e18, address(usd), DOLLAR);
    }

    function trade() private {
        operator();
        market.setMarketTerms(
            address(token), ISecondaryMarket.MarketTerms(address(usd), true, 50, 1, 1, type(uint128).max), REASON
        );
        matched.sell = order(ann, ISecondaryMarket.Side.Sell);
        matched.buy = order(ben, ISecondaryMarket.Side.Buy);
        matched.quantity = 1e18;
        settle();
        feeVault.release(address(token), address(usd));
        settle();
        vm.prank(ben);
        market.cancel(SALT);
        vm.prank(ben);
        market.cancelAllBefore(uint64(START - 1));
        operator();
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(true, 0), REASON);
        deal = IOtcDesk.Deal(address(token), ann, ben, 1e18, address(usd), 9, 0, 0, uint64(LATER), 0, SALT);
        bytes memory sellers = sign(ALICE_KEY, address(otc), keccak256(abi.encode(TypedData.DEAL, deal)));
        vm.prank(ben);
        otc.settle(deal, sellers, "");
    }

    function settle() private {
        bytes memory sells = sign(ALICE_KEY, address(market), keccak256(abi.encode(TypedData.ORDER, matched.sell)));
        bytes memory buys = sign(BOB_KEY, address(market), keccak256(abi.encode(TypedData.ORDER, matched.buy)));
        operator();
        market.settle(matched, sells, buys);
    }

    function order(address wallet, ISecondaryMarket.Side side) private view returns (ISecondaryMarket.Order memory) {
        return ISecondaryMarket.Order(
            wallet, address(token), address(usd), side, 50e18, 2 * DOLLAR, 50, uint64(START), uint64(LATER), "order"
        );
    }

    // ---------------------------------------------------------------- short ways

    function version(address proxy) private view returns (uint256) {
        (bool ok, bytes memory data) = proxy.staticcall(abi.encodeCall(Newer.version, ()));
        return ok && data.length == 32 ? abi.decode(data, (uint256)) : 0;
    }

    function contracts() private view returns (address[6] memory) {
        return list(factory.nodeOf(NODE_KEY).contracts);
    }

    function list(INodeFactory.NodeContracts memory of_) private pure returns (address[6] memory) {
        return [of_.listing, of_.secondaryMarket, of_.otcDesk, of_.rentDistributor, of_.feeVault, of_.redemptionDesk];
    }

    function newer() private returns (address[6] memory) {
        return [
            address(new NewListing()),
            address(new NewMarket()),
            address(new NewOtcDesk()),
            address(new NewRentDistributor()),
            address(new NewFeeVault()),
            address(new NewRedemptionDesk())
        ];
    }
}

/// @notice What the next version says of itself.
abstract contract Newer {
    function version() external pure returns (uint256) {
        return 2;
    }
}

contract NewListing is Listing, Newer {}

contract NewMarket is SecondaryMarket, Newer {}

contract NewOtcDesk is OtcDesk, Newer {}

contract NewRentDistributor is RentDistributor, Newer {}

contract NewFeeVault is FeeVault, Newer {}

contract NewRedemptionDesk is RedemptionDesk, Newer {}

contract NewToken is SecurityToken, Newer {}
