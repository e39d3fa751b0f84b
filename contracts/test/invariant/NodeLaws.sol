// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFeeVault} from "../../sol/interfaces/IFeeVault.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {IOtcDesk} from "../../sol/interfaces/IOtcDesk.sol";
import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ISecondaryMarket} from "../../sol/interfaces/ISecondaryMarket.sol";
import {ITokenFunds} from "../../sol/interfaces/ITokenFunds.sol";
import {ITokenRent} from "../../sol/interfaces/ITokenRent.sol";
import {Base} from "../Base.sol";
import {HostileUSD} from "../node/HostileUSD.sol";
import {NodeReplica} from "./NodeReplica.sol";
import {Replica} from "./Replica.sol";
import {TradeActs} from "./TradeActs.sol";
import {World} from "./World.sol";

/// @notice The laws of the node's contracts, I8 to I11, and their part of I12.
abstract contract NodeLaws is Base {
    World internal world;
    Replica internal replica;
    TradeActs internal trades;
    HostileUSD private usd;
    HostileUSD private eur;

    function invariant_I8_rent_paid_and_claimable_and_carried_and_undistributed_is_what_was_deposited() public view {
        vm.assertEq(replica.breach(8), "");
        NodeReplica books = world.nodeReplica();
        vm.assertEq(books.breach(8), "");
        ITokenFunds[2] memory desks = [ITokenFunds(rents), ITokenFunds(redemptions)];
        uint256 owed;
        for (uint256 i = 0; i < 4; ++i) {
            (ITokenFunds desk, HostileUSD money) = (desks[i / 2], i % 2 == 0 ? usd : eur);
            (,, uint256 paidIn, uint256 paidOut) = books.funds(address(desk), address(money));
            ITokenFunds.Fund memory fund = desk.fundOf(address(token), address(money));
            vm.assertEq(fund.available + fund.owed, paidIn - paidOut, "what is left of it");
            vm.assertEq(money.balanceOf(address(desk)), paidIn - paidOut, "what is there");
            bool named = address(money) == rents.rentTermsOf(address(token)).paymentToken;
            if (i < 2 && !named) vm.assertEq(fund.owed, 0, "rent is owed in one payment token");
            if (i < 2) owed += fund.owed;
        }
        // Claimable and carried, to the last fraction.
        uint256 sum = token.rent().carry;
        address[] memory wallets = books.wallets();
        for (uint256 i = 0; i < wallets.length; ++i) {
            sum += token.rentOf(wallets[i]);
        }
        vm.assertEq(sum, owed << 128, "what is owed");
        // What trades have paid is in the pot or somebody's to draw.
        sum = feeVault.potOf(address(token), address(usd));
        for (uint256 i = 0; i < world.WALLETS(); ++i) {
            sum += feeVault.creditOf(address(usd), world.wallet(i));
        }
        vm.assertEq(usd.balanceOf(address(feeVault)), sum, "fees");
    }

    function invariant_I9_sold_is_purchased_and_fees_and_never_more_than_listed() public view {
        vm.assertEq(replica.breach(9), "");
        vm.assertEq(world.nodeReplica().breach(9), "");
        IListing.Supply memory supply = listing.supplyOf(address(token));
        uint256 sold = uint256(supply.purchased) + supply.fees;
        uint256 salable = token.maxSupply() * listing.termsOf(address(token)).salableBps / 10_000;
        vm.assertLe(sold, supply.listed, "sold");
        vm.assertLe(supply.fees, listing.termsOf(address(token)).maxFees, "set aside");
        vm.assertLe(supply.listed, salable, "listed");
        IFeeVault.Split memory given = feeVault.allocatedOf(address(token));
        vm.assertLe(given.platformOwner + given.nodeOwner + given.node, supply.fees, "given out");
        vm.assertEq(usd.balanceOf(address(listing)), 0, "money in is money out");
    }

    function invariant_I10_no_order_fills_above_its_size_or_outside_the_band() public view {
        vm.assertEq(replica.breach(10), "");
        vm.assertEq(world.nodeReplica().breach(10), "");
        ISecondaryMarket.Order[] memory orders = trades.orders();
        for (uint256 i = 0; i < orders.length; ++i) {
            uint256 filled = market.filledOf(orders[i].wallet, market.hashOf(orders[i]));
            vm.assertTrue(filled == type(uint256).max || filled <= orders[i].quantity, "filled");
        }
        vm.assertEq(usd.balanceOf(address(market)) + token.balanceOf(address(market)), 0, "nothing stays");
    }

    function invariant_I11_a_deal_settles_once_both_legs_or_none() public view {
        vm.assertEq(replica.breach(11), "");
        vm.assertEq(world.nodeReplica().breach(11), "");
        IOtcDesk.Deal[] memory deals = trades.deals();
        for (uint256 i = 0; i < deals.length; ++i) {
            vm.assertLe(trades.settled(otc.hashOf(deals[i])), 1, "settled");
        }
        vm.assertEq(usd.balanceOf(address(otc)) + token.balanceOf(address(otc)), 0, "nothing stays");
    }

    /// @dev Sets the node's contracts to work and gives all wallets money. Before there are units: rent has a minimum.
    function _equip() internal {
        (usd, eur) = (new HostileUSD(), new HostileUSD());
        world.equip(World.Node(usd, eur, listing, feeVault, redemptions, rents, market, otc, treasury));
        for (uint256 i = 0; i <= world.WALLETS(); ++i) {
            address wallet = i == world.WALLETS() ? treasury : world.wallet(i);
            usd.mint(wallet, 1e30);
            eur.mint(wallet, 1e30);
            address[5] memory spenders =
                [address(listing), address(market), address(otc), address(redemptions), address(rents)];
            for (uint256 s = 0; s < 5; ++s) {
                vm.prank(wallet);
                usd.approve(spenders[s], type(uint256).max);
                vm.prank(wallet);
                eur.approve(spenders[s], type(uint256).max);
                vm.prank(wallet);
                token.approve(spenders[s], type(uint256).max);
            }
        }
        address operator = address(executor);
        vm.prank(operator);
        token.setRentMinimum(200e18, REASON);
        vm.prank(operator);
        listing.setTerms(address(token), IListing.Terms(address(usd), 0, 0, 5e6, 0, 0, 9_000e18, 5_000), REASON);
        vm.prank(operator);
        listing.list(address(token), REASON);
        IFeeVault.Beneficiaries memory parties =
            IFeeVault.Beneficiaries(world.wallet(0), world.wallet(2), world.wallet(4));
        vm.prank(operator);
        feeVault.setFeeTerms(address(token), parties, IFeeVault.Split(5_000, 2_500, 2_500), REASON);
        vm.prank(operator);
        redemptions.setRedemptionTerms(address(token), IRedemptionDesk.RedemptionTerms(address(usd), 1e6), REASON);
        vm.prank(operator);
        rents.setRentTerms(address(token), IRentDistributor.RentTerms(address(usd), 0, 0), REASON);
        vm.prank(operator);
        market.setMarketTerms(
            address(token), ISecondaryMarket.MarketTerms(address(usd), true, 50, 1, 10e6, 20e6), REASON
        );
        vm.prank(operator);
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(true, 50), REASON);
        vm.prank(treasury);
        rents.fund(address(token), address(usd), 1_000_000e6);
        vm.prank(treasury);
        redemptions.fund(address(token), address(usd), 1_000_000e6);
    }

    /// @dev A wallet with units redeems some and is refused the money: it has a credit from the start.
    function _credit(address wallet) internal {
        vm.prank(wallet);
        uint256 id = redemptions.request(address(token), 10e18, address(usd), 0);
        usd.refuse(wallet, true);
        vm.prank(address(executor));
        redemptions.approve(address(token), id, 3e6, REASON);
        usd.refuse(wallet, false);
    }

    /// @dev A trade has paid, and its fee is released: the parties have something to draw from the start, and one base
    /// unit stays in the pot.
    function _fees() internal {
        usd.mint(address(feeVault), 4_001);
        vm.prank(address(otc));
        feeVault.accrue(address(token), address(usd), 4_001);
        feeVault.release(address(token), address(usd));
    }

    // ---------------------------------------------------------------- replica

    function _compareNode() internal view {
        NodeReplica books = world.nodeReplica();
        vm.assertEq(books.breach(12), "");
        _compareSale(books);
        _compareRent(books);
        _compareTrades(books);
        address[] memory wallets = books.wallets();
        for (uint256 i = 0; i < wallets.length; ++i) {
            address wallet = wallets[i];
            vm.assertEq(token.rentOf(wallet), books.earned(wallet), "earned");
            for (uint256 m = 0; m < 2; ++m) {
                address money = m == 0 ? address(usd) : address(eur);
                uint256 credit = redemptions.creditOf(address(token), money, wallet);
                vm.assertEq(credit, books.credits(money, wallet), "credit");
            }
            vm.assertEq(feeVault.creditOf(address(usd), wallet), books.feeCredits(wallet), "fees to draw");
            vm.assertEq(market.cancelledBefore(wallet), books.cancelledBefore(wallet), "cancelled before");
            for (uint256 salt = 0; salt < 64; ++salt) {
                bool used = books.used(address(listing), wallet, bytes32(salt));
                vm.assertEq(listing.isIntentUsed(wallet, bytes32(salt)), used, "salt");
            }
        }
        uint256[] memory ids = books.requestIds();
        for (uint256 i = 0; i < ids.length; ++i) {
            bytes memory request = abi.encode(redemptions.requestOf(address(token), ids[i]));
            vm.assertEq(request, abi.encode(books.requestOf(ids[i])));
        }
    }

    function _compareSale(NodeReplica books) private view {
        (IListing.Terms memory terms, IListing.Supply memory supply) = books.sale();
        vm.assertEq(abi.encode(listing.termsOf(address(token))), abi.encode(terms));
        vm.assertEq(abi.encode(listing.supplyOf(address(token))), abi.encode(supply));
        vm.assertTrue(listing.statusOf(address(token)) == books.status());
        for (uint64 id = 0; id < 6; ++id) {
            vm.assertEq(listing.purchasedBy(address(token), id), books.purchasedBy(id), "purchased by");
        }
        (IFeeVault.Beneficiaries memory to, IFeeVault.Split memory shares, IFeeVault.Split memory given) =
            books.feeTerms();
        (IFeeVault.Beneficiaries memory realTo, IFeeVault.Split memory realShares) = feeVault.feeTermsOf(address(token));
        vm.assertEq(abi.encode(realTo, realShares), abi.encode(to, shares));
        vm.assertEq(abi.encode(feeVault.allocatedOf(address(token))), abi.encode(given));
        vm.assertEq(feeVault.potOf(address(token), address(usd)), books.pot(), "pot");
        vm.assertEq(books.treasuries(address(listing)), listing.treasury());
    }

    function _compareRent(NodeReplica books) private view {
        (IRentDistributor.RentTerms memory terms, ITokenRent.Rent memory rent) = books.rent();
        vm.assertEq(abi.encode(rents.rentTermsOf(address(token))), abi.encode(terms));
        vm.assertEq(abi.encode(token.rent()), abi.encode(rent));
        ITokenFunds[2] memory desks = [ITokenFunds(rents), ITokenFunds(redemptions)];
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 m = 0; m < 2; ++m) {
                address money = m == 0 ? address(usd) : address(eur);
                (uint256 available, uint256 owed,,) = books.funds(address(desks[i]), money);
                vm.assertEq(abi.encode(desks[i].fundOf(address(token), money)), abi.encode(available, owed));
            }
        }
        bytes memory redemption = abi.encode(redemptions.redemptionTermsOf(address(token)));
        vm.assertEq(redemption, abi.encode(books.redemptionTerms()));
    }

    function _compareTrades(NodeReplica books) private view {
        (ISecondaryMarket.MarketTerms memory terms, IOtcDesk.OtcTerms memory otcTerms) = books.tradeTerms();
        vm.assertEq(abi.encode(market.marketTermsOf(address(token))), abi.encode(terms));
        vm.assertEq(abi.encode(otc.otcTermsOf(address(token))), abi.encode(otcTerms));
        ISecondaryMarket.Order[] memory orders = trades.orders();
        for (uint256 i = 0; i < orders.length; ++i) {
            bytes32 hash = market.hashOf(orders[i]);
            uint256 filled = books.filled(orders[i].wallet, hash);
            vm.assertEq(market.filledOf(orders[i].wallet, hash), filled, "filled");
        }
        IOtcDesk.Deal[] memory deals = trades.deals();
        for (uint256 i = 0; i < deals.length; ++i) {
            bytes32 hash = otc.hashOf(deals[i]);
            vm.assertTrue(otc.stateOf(hash) == books.deals(hash));
        }
    }
}
