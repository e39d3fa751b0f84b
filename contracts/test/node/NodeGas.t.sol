// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFeeVault} from "../../sol/interfaces/IFeeVault.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {IOtcDesk} from "../../sol/interfaces/IOtcDesk.sol";
import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ISecondaryMarket} from "../../sol/interfaces/ISecondaryMarket.sol";
import {NodeBase} from "./NodeBase.sol";
import {TypedData} from "./TypedData.sol";

/// @notice Gas of whole transactions with a node's contracts, through their proxies and with TestUSD. Allowances are
/// there and do not end, wallets have had dollars and units before.
contract NodeGasTest is NodeBase {
    address private constant owner = address(uint160(uint256(keccak256("owner"))));

    function setUp() public override {
        super.setUp();
        address[6] memory spenders =
            [address(listing), address(market), address(otc), address(redemptions), address(rents), address(feeVault)];
        address[3] memory wallets = [ann, ben, treasury];
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 s = 0; s < 6; ++s) {
                allow(wallets[i], spenders[s]);
            }
        }
        vm.prank(ann);
        token.approve(address(otc), type(uint256).max);
        vm.prank(ann);
        token.approve(address(market), type(uint256).max);
        give(ann, 1_000e18);
        give(ben, 1_000e18);
        whitelist(owner, 20);
        operator();
        feeVault.setFeeTerms(
            address(token), IFeeVault.Beneficiaries(owner, owner, owner), IFeeVault.Split(10_000, 0, 0), REASON
        );
    }

    function test_gas_sales() public {
        operator();
        listing.setTerms(
            address(token), IListing.Terms(address(usd), 0, 0, uint128(DOLLAR), 0, 0, 10e18, 8_000), REASON
        );
        vm.snapshotGasLastCall("gas", "listing: set terms");
        operator();
        listing.list(address(token), REASON);
        vm.snapshotGasLastCall("gas", "listing: list");
        buy(1e18);
        vm.snapshotGasLastCall("gas", "listing: first purchase of all");
        buy(1e18);
        vm.snapshotGasLastCall("gas", "listing: another purchase");
        IListing.Purchase memory p = IListing.Purchase(ann, address(token), 1e18, address(usd), DOLLAR, LATER, SALT);
        bytes memory signature = sign(ALICE_KEY, address(listing), keccak256(abi.encode(TypedData.PURCHASE, p)));
        operator();
        listing.buyFor(p, signature);
        vm.snapshotGasLastCall("gas", "listing: another purchase, carried");
        operator();
        listing.reserveFees(address(token), 10e18, REASON);
        vm.snapshotGasLastCall("gas", "listing: reserve fees");
        operator();
        feeVault.allocate(address(token), IFeeVault.Split(1, 1, 1), REASON);
        vm.snapshotGasLastCall("gas", "fees: first allocation to three");
    }

    function test_gas_redemptions() public {
        operator();
        redemptions.setRedemptionTerms(
            address(token), IRedemptionDesk.RedemptionTerms(address(usd), uint128(DOLLAR)), REASON
        );
        vm.prank(treasury);
        redemptions.fund(address(token), address(usd), 100 * DOLLAR);
        vm.snapshotGasLastCall("gas", "redemption: first payment into the fund");
        vm.prank(ann);
        redemptions.request(address(token), 5e18, address(usd), DOLLAR);
        vm.snapshotGasLastCall("gas", "redemption: request");
        vm.prank(ben);
        redemptions.request(address(token), 5e18, address(usd), DOLLAR);
        operator();
        redemptions.approve(address(token), 1, DOLLAR, REASON);
        vm.snapshotGasLastCall("gas", "redemption: approve, burn and pay");
        operator();
        redemptions.reject(address(token), 2, REASON);
        vm.snapshotGasLastCall("gas", "redemption: reject");
    }

    function test_gas_rent() public {
        operator();
        rents.setRentTerms(address(token), IRentDistributor.RentTerms(address(usd), 0, 0), REASON);
        vm.prank(treasury);
        rents.fund(address(token), address(usd), 1_000 * DOLLAR);
        open(1);
        vm.snapshotGasLastCall("gas", "rent: open the first period");
        claim();
        vm.snapshotGasLastCall("gas", "rent: first claim of a wallet");
        open(2);
        vm.snapshotGasLastCall("gas", "rent: open a period");
        claim();
        vm.snapshotGasLastCall("gas", "rent: claim");
        address[] memory wallets = new address[](100);
        for (uint256 i = 0; i < 100; ++i) {
            wallets[i] = address(uint160(uint256(keccak256(abi.encode("holder", i)))));
            whitelist(wallets[i], uint64(100 + i));
            give(wallets[i], 1e18 + i);
            usd.mint(wallets[i], 1);
        }
        open(3);
        push(wallets);
        open(4);
        uint256 used = push(wallets);
        vm.snapshotValue("gas", "rent: pushed to 100 wallets, each", used / 100);
    }

    function test_gas_trades() public {
        operator();
        market.setMarketTerms(
            address(token),
            ISecondaryMarket.MarketTerms(address(usd), true, 50, 1e15, uint128(DOLLAR), uint128(9 * DOLLAR)),
            REASON
        );
        operator();
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(true, 0), REASON);
        IOtcDesk.Deal memory d =
            IOtcDesk.Deal(address(token), ann, ben, 5e18, address(usd), 5 * DOLLAR, 50, 0, uint64(LATER), 0, SALT);
        (bytes memory sellers, bytes memory buyers) = signed(d);
        operator();
        otc.settle(d, sellers, buyers);
        vm.snapshotGasLastCall("gas", "otc: settle, without a fee");
        operator();
        otc.setOtcTerms(address(token), IOtcDesk.OtcTerms(true, 50), REASON);
        d.salt = "first fee";
        (sellers, buyers) = signed(d);
        operator();
        otc.settle(d, sellers, buyers);
        d.salt = "fee";
        (sellers, buyers) = signed(d);
        operator();
        otc.settle(d, sellers, buyers);
        vm.snapshotGasLastCall("gas", "otc: settle, with a fee");
        d.salt = "accept";
        (sellers, buyers) = signed(d);
        vm.prank(ben);
        otc.settle(d, sellers, "");
        vm.snapshotGasLastCall("gas", "otc: settled by the buyer, with a fee");
        ISecondaryMarket.Match memory m;
        m.sell = order(ann, ISecondaryMarket.Side.Sell);
        m.buy = order(ben, ISecondaryMarket.Side.Buy);
        m.quantity = 5e18;
        bytes memory sells = sign(ALICE_KEY, address(market), hashOf(m.sell));
        bytes memory buys = sign(BOB_KEY, address(market), hashOf(m.buy));
        operator();
        market.settle(m, sells, buys);
        vm.snapshotGasLastCall("gas", "market: settle two new orders");
        operator();
        market.settle(m, sells, buys);
        vm.snapshotGasLastCall("gas", "market: settle more of two orders");
        vm.prank(ann);
        market.cancel(SALT);
        vm.snapshotGasLastCall("gas", "market: cancel an order");
        feeVault.release(address(token), address(usd));
        vm.snapshotGasLastCall("gas", "fees: first release of a pot");
        feeVault.draw(address(usd), owner);
        vm.snapshotGasLastCall("gas", "fees: first draw");
    }

    function buy(uint256 quantity) private {
        vm.prank(ann);
        listing.buy(address(token), quantity, address(usd), type(uint256).max);
    }

    function open(uint256 period) private {
        operator();
        rents.open(address(token), period, 10 * DOLLAR, REASON);
    }

    function claim() private {
        vm.prank(ann);
        rents.claim(address(token));
    }

    function push(address[] memory wallets) private returns (uint256) {
        operator();
        rents.push(address(token), wallets);
        return vm.lastCallGas().gasTotalUsed;
    }

    function signed(IOtcDesk.Deal memory d) private view returns (bytes memory, bytes memory) {
        bytes32 structHash = keccak256(abi.encode(TypedData.DEAL, d));
        return (sign(ALICE_KEY, address(otc), structHash), sign(BOB_KEY, address(otc), structHash));
    }

    function order(address wallet, ISecondaryMarket.Side side) private view returns (ISecondaryMarket.Order memory) {
        return ISecondaryMarket.Order(
            wallet, address(token), address(usd), side, 50e18, 2 * DOLLAR, 50, 0, uint64(LATER), SALT
        );
    }

    function hashOf(ISecondaryMarket.Order memory o) private pure returns (bytes32) {
        return keccak256(abi.encode(TypedData.ORDER, o));
    }
}
