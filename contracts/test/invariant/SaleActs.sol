// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFeeVault} from "../../sol/interfaces/IFeeVault.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {FeeVault} from "../../sol/node/FeeVault.sol";
import {Listing} from "../../sol/node/Listing.sol";
import {NodeHandler} from "./NodeHandler.sol";
import {World} from "./World.sol";
import {TypedData} from "../node/TypedData.sol";

/// @notice The primary sale, the fee supply, and what is left of trade fees. Watches I9.
contract SaleActs is NodeHandler {
    Listing private immutable listing;
    FeeVault private immutable feeVault;

    constructor(World world_) NodeHandler(world_) {
        (listing, feeVault) = (world_.node().listing, world_.node().feeVault);
    }

    function setTerms(uint256 seed) external followed {
        IListing.Terms memory terms = IListing.Terms({
            paymentToken: address(usd),
            opensAt: seed % 8 == 0 ? uint48(block.timestamp + 1 days) : 0,
            closesAt: seed % 8 == 1 ? uint48(block.timestamp + 3 days) : 0,
            price: uint128(1 + (seed >> 8) % 100e6),
            minPurchase: uint104((seed >> 40) % 3 * 1e18),
            maxPurchase: uint104((seed >> 48) % 2 * ((seed >> 56) % 100_000) * 1e18),
            maxFees: uint104((seed >> 96) % 2_000 * 1e18),
            salableBps: uint16((seed >> 80) % 10_001)
        });
        vm.assume(direct(address(listing), abi.encodeCall(listing.setTerms, (address(token), terms, REASON))));
    }

    /// @dev Mostly listed.
    function changeStatus(uint256 seed) external followed {
        bytes4 selector = seed % 4 == 0 ? listing.delist.selector : listing.list.selector;
        vm.assume(direct(address(listing), abi.encodeWithSelector(selector, address(token), REASON)));
    }

    function buy(uint256 buyer, uint256 quantity) external followed {
        address wallet = world.wallet(buyerOf(buyer));
        quantity = _quantity(quantity);
        bool admitted = _admits(wallet, quantity);
        uint256 before = usd.balanceOf(world.node().treasury);
        bytes memory data = abi.encodeCall(listing.buy, (address(token), quantity, address(usd), type(uint256).max));
        bool ok = attempt(wallet, address(listing), data);
        _settled(ok, admitted, quantity, before);
    }

    function buyFor(uint256 buyer, uint256 quantity, uint256 seed) external followed {
        uint256 number = buyerOf(buyer);
        quantity = _quantity(quantity);
        // Few salts, so that they meet.
        IListing.Purchase memory p = IListing.Purchase({
            wallet: world.wallet(number),
            token: address(token),
            quantity: quantity,
            paymentToken: address(usd),
            maxCost: type(uint256).max,
            deadline: block.timestamp,
            salt: bytes32((seed >> 8) % 64)
        });
        bytes memory signature = sign(number, seed, address(listing), keccak256(abi.encode(TypedData.PURCHASE, p)));
        bool admitted =
            _admits(p.wallet, quantity) && !forged(seed) && !nodeReplica.used(address(listing), p.wallet, p.salt);
        uint256 before = usd.balanceOf(world.node().treasury);
        bool ok = direct(address(listing), abi.encodeCall(listing.buyFor, (p, signature)));
        _settled(ok, admitted, quantity, before);
    }

    function reserveFees(uint256 amount) external followed {
        amount = _quantity(amount);
        (IListing.Terms memory terms, IListing.Supply memory supply) = nodeReplica.sale();
        bool admitted = amount != 0 && amount % 1e18 == 0 && supply.fees + amount <= terms.maxFees
            && supply.purchased + supply.fees + amount <= supply.listed;
        bool ok = direct(address(listing), abi.encodeCall(listing.reserveFees, (address(token), amount, REASON)));
        if (ok != admitted) replica.note(9, "fees are set aside otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    function allocate(uint256 seed) external followed {
        (,, IFeeVault.Split memory given) = nodeReplica.feeTerms();
        (, IListing.Supply memory supply) = nodeReplica.sale();
        uint256 left = supply.fees - given.platformOwner - given.nodeOwner - given.node;
        IFeeVault.Split memory amounts =
            IFeeVault.Split(seed % (left + 2), (seed >> 104) % (left / 2 + 1), (seed >> 208) % (left / 4 + 1));
        bool ok = direct(address(feeVault), abi.encodeCall(feeVault.allocate, (address(token), amounts, REASON)));
        if (ok && amounts.platformOwner + amounts.nodeOwner + amounts.node > left) {
            replica.note(9, "more fee supply is given out than set aside");
        }
        vm.assume(ok);
    }

    function setFeeTerms(uint256 seed) external followed {
        IFeeVault.Beneficiaries memory to =
            IFeeVault.Beneficiaries(world.wallet(seed), world.wallet(seed >> 8), world.wallet(seed >> 16));
        uint256 platform = (seed >> 24) % 10_001;
        uint256 owner = (seed >> 40) % (10_001 - platform);
        IFeeVault.Split memory shares = IFeeVault.Split(platform, owner, 10_000 - platform - owner);
        vm.assume(direct(address(feeVault), abi.encodeCall(feeVault.setFeeTerms, (address(token), to, shares, REASON))));
    }

    function release() external followed {
        vm.assume(
            attempt(address(this), address(feeVault), abi.encodeCall(feeVault.release, (address(token), address(usd))))
        );
    }

    function draw(uint256 seed) external followed {
        bytes memory data = abi.encodeCall(feeVault.draw, (address(usd), _party(seed)));
        vm.assume(attempt(address(this), address(feeVault), data));
    }

    function moveFees(uint256 seed) external followed {
        address to = world.wallet(seed >> 16);
        bytes memory data = abi.encodeCall(feeVault.moveFees, (address(usd), _party(seed), to, REASON));
        vm.assume(attempt(world.admin(), address(feeVault), data));
    }

    /// @dev The issuer of the payment token refuses a wallet now and then.
    function refuse(uint256 seed) external followed {
        usd.refuse(world.wallet(seed), (seed >> 8) % 8 == 1);
    }

    // ---------------------------------------------------------------- private

    /// @dev The next wallet that has fees to draw, if any has.
    function _party(uint256 seed) private view returns (address wallet) {
        wallet = world.wallet(seed);
        for (uint256 i = 0; nodeReplica.feeCredits(wallet) == 0 && i < world.WALLETS(); ++i) {
            wallet = world.wallet(seed % 256 + i);
        }
    }

    /// @dev Whole tokens, mostly few.
    function _quantity(uint256 seed) private pure returns (uint256) {
        uint256 whole = seed % 16 == 0 ? (seed >> 8) % 1_000_000 : (seed >> 8) % 200;
        return seed % 16 == 1 ? whole * 1e18 + 1 : whole * 1e18;
    }

    /// @dev The rules of a sale, told a second time.
    function _admits(address wallet, uint256 quantity) private view returns (bool) {
        (IListing.Terms memory terms, IListing.Supply memory supply) = nodeReplica.sale();
        uint64 investorId = replica.investorOf(replica.registry(), wallet).investorId;
        uint256 total = nodeReplica.purchasedBy(investorId) + quantity;
        return nodeReplica.status() == IListing.Status.Listed && block.timestamp >= terms.opensAt
            && (terms.closesAt == 0 || block.timestamp < terms.closesAt) && quantity != 0 && quantity % 1e18 == 0
            && supply.purchased + supply.fees + quantity <= supply.listed && total >= terms.minPurchase
            && (terms.maxPurchase == 0 || total <= terms.maxPurchase) && replica.admitsMint(wallet, quantity)
            && pays(wallet, world.node().treasury);
    }

    /// @dev Money in, units out.
    function _settled(bool ok, bool admitted, uint256 quantity, uint256 before) private {
        (IListing.Terms memory terms,) = nodeReplica.sale();
        uint256 got = usd.balanceOf(world.node().treasury) - before;
        if (ok != admitted) replica.note(9, "a purchase ends otherwise than the rules say");
        if (got != (ok ? quantity / 1e18 * terms.price : 0)) replica.note(9, "the treasury got something else");
        vm.assume(ok || admitted);
    }
}
