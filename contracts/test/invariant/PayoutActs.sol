// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ITokenFunds} from "../../sol/interfaces/ITokenFunds.sol";
import {RedemptionDesk} from "../../sol/node/RedemptionDesk.sol";
import {RentDistributor} from "../../sol/node/RentDistributor.sol";
import {HostileUSD} from "../node/HostileUSD.sol";
import {NodeHandler} from "./NodeHandler.sol";
import {World} from "./World.sol";

/// @notice Funds, redemptions, rent, in two payment tokens. Watches I8.
contract PayoutActs is NodeHandler {
    RedemptionDesk private immutable redemptions;
    RentDistributor private immutable rents;

    constructor(World world_) NodeHandler(world_) {
        (redemptions, rents) = (world_.node().redemptions, world_.node().rents);
    }

    /// @dev Mostly in what the terms say; anything else is refused.
    function fund(uint256 amount, bool rent, bool other) external followed {
        ITokenFunds desk = _desk(rent);
        address paymentToken = address(money(other));
        bool admitted = paymentToken == _named(rent);
        amount = amountNear(amount, 1_000_000e6) % 1e15;
        bytes memory data = abi.encodeCall(desk.fund, (address(token), paymentToken, amount));
        bool ok = attempt(world.node().treasury, address(desk), data);
        if (ok != admitted) replica.note(8, "a fund is paid into otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    /// @dev Whatever the terms say by now.
    function withdraw(uint256 amount, bool rent, bool other) external followed {
        ITokenFunds desk = _desk(rent);
        address paymentToken = address(money(other));
        (uint256 available,,,) = nodeReplica.funds(address(desk), paymentToken);
        amount = amountNear(amount, available / 4);
        bytes memory data = abi.encodeCall(desk.withdraw, (address(token), paymentToken, amount, REASON));
        bool ok = direct(address(desk), data);
        if (ok != amount <= available) replica.note(8, "a fund is taken out of otherwise than the rules say");
        vm.assume(ok);
    }

    /// @dev The admin's as well as the operator's.
    function setRedemptionTerms(uint256 seed) external followed {
        IRedemptionDesk.RedemptionTerms memory terms =
            IRedemptionDesk.RedemptionTerms(address(money(seed % 8 == 0)), uint128(1 + (seed >> 8) % 4e6));
        bytes memory data = abi.encodeCall(redemptions.setRedemptionTerms, (address(token), terms, REASON));
        if (!attempt(_setter(seed), address(redemptions), data)) replica.note(8, "terms cannot be changed");
    }

    function setRentTerms(uint256 seed) external followed {
        address paymentToken = address(money(seed % 4 == 0));
        (, uint256 owed,,) = nodeReplica.funds(address(rents), _named(true));
        bool admitted = paymentToken == _named(true) || owed == 0;
        IRentDistributor.RentTerms memory terms = IRentDistributor.RentTerms(paymentToken, uint48(seed >> 16) % 9, 0);
        bytes memory data = abi.encodeCall(rents.setRentTerms, (address(token), terms, REASON));
        bool ok = attempt(_setter(seed), address(rents), data);
        if (ok != admitted) replica.note(8, "terms of rent change otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    // ---------------------------------------------------------------- redemptions

    function request(uint256 from, uint256 quantity, uint256 minPayout) external followed {
        address wallet = giver(from);
        quantity = amountNear(quantity, replica.freeOf(wallet));
        address paymentToken = (minPayout >> 64) % 16 == 0 ? address(eur) : _named(false);
        bool admitted = replica.admitsHold(wallet, quantity) && paymentToken == _named(false);
        bytes memory data =
            abi.encodeCall(redemptions.request, (address(token), quantity, paymentToken, minPayout % 2e6));
        bool ok = attempt(wallet, address(redemptions), data);
        if (ok != admitted) replica.note(2, "a request ends otherwise than the rules of holds say");
        vm.assume(ok || admitted);
    }

    /// @dev Seldom, like rejections: requests are there to be decided on.
    function cancel(uint256 which) external followed {
        vm.assume(which % 4 == 1);
        (uint256 id, address wallet) = _request(which);
        vm.assume(attempt(wallet, address(redemptions), abi.encodeCall(redemptions.cancel, (address(token), id))));
    }

    function reject(uint256 which) external followed {
        vm.assume(which % 4 == 1);
        (uint256 id,) = _request(which);
        vm.assume(direct(address(redemptions), abi.encodeCall(redemptions.reject, (address(token), id, REASON))));
    }

    /// @dev Burned and paid, or neither. Half of the wallets are refused the money.
    function approve(uint256 which, uint256 payout) external followed {
        (uint256 id, address wallet) = _request(which);
        IRedemptionDesk.Request memory asked = nodeReplica.requestOf(id);
        HostileUSD paymentToken = HostileUSD(asked.paymentToken);
        if (payout >> 64 & 1 != 0) paymentToken.refuse(wallet, true);
        payout = payout >> 68 & 1 == 0 ? _most(asked) + (payout >> 70 & 1) : payout % 4e6;
        (uint256 supply, uint256 balance) = (token.totalSupply(), paymentToken.balanceOf(wallet));
        bool refused = paymentToken.refused(wallet);
        bool ok =
            direct(address(redemptions), abi.encodeCall(redemptions.approve, (address(token), id, payout, REASON)));
        uint256 burned = supply - token.totalSupply();
        uint256 paid = paymentToken.balanceOf(wallet) - balance;
        if (burned != (ok ? asked.quantity : 0)) replica.note(8, "an approval burns something else");
        if (paid != (ok && !refused ? payout : 0)) replica.note(8, "an approval pays something else");
        if (ok && payout < asked.minPayout) replica.note(8, "an approval pays less than was signed");
        if (ok && payout > _most(asked)) replica.note(8, "an approval pays more than the terms allow");
        if (ok && asked.paymentToken != _named(false)) replica.note(8, "an approval pays in what no terms name");
        vm.assume(ok);
    }

    function draw(uint256 seed) external followed {
        (address wallet, HostileUSD paymentToken) = _creditor(seed);
        if (seed >> 64 & 1 != 0) paymentToken.refuse(wallet, false);
        bool admitted = replica.maySend(wallet) && !paymentToken.refused(wallet);
        bytes memory data = abi.encodeCall(redemptions.draw, (address(token), address(paymentToken), wallet));
        bool ok = attempt(address(this), address(redemptions), data);
        if (ok != admitted) replica.note(8, "a credit is drawn otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    /// @dev The operator's within an investor, the admin's to whomever.
    function moveCredit(uint256 seed) external followed {
        (address wallet, HostileUSD paymentToken) = _creditor(seed);
        address to = world.wallet(seed >> 16);
        for (uint256 i = 0; i < world.WALLETS(); ++i) {
            if (world.wallet(i) == wallet && seed % 4 != 0) to = world.wallet(i ^ 1);
        }
        if (seed % 4 != 1) {
            attempt(
                world.registrar(), token.registry(), abi.encodeWithSignature("revoke(address,bytes32)", wallet, REASON)
            );
            follow();
        }
        bytes memory data =
            abi.encodeCall(redemptions.moveCredit, (address(token), address(paymentToken), wallet, to, REASON));
        bool anybodys = seed >> 24 & 1 != 0;
        uint64 id = replica.investorOf(token.registry(), wallet).investorId;
        bool related = id == replica.investorOf(token.registry(), to).investorId;
        bool ok = attempt(anybodys ? world.admin() : address(world.executor()), address(redemptions), data);
        if (ok && !anybodys && !related) replica.note(8, "the operator gives a credit to another investor");
        vm.assume(ok);
    }

    // ---------------------------------------------------------------- rent

    function open(uint256 seed) external followed {
        (uint256 available,,,) = nodeReplica.funds(address(rents), _named(true));
        uint256 period = uint256(token.rent().period) + (seed % 16 == 0 ? 2 : 1);
        uint256 amount = amountNear(seed >> 8, available / 2);
        bool admitted = seed % 16 != 0 && amount <= available && token.rent().earning != 0;
        bool ok = direct(address(rents), abi.encodeCall(rents.open, (address(token), period, amount, REASON)));
        if (ok != admitted) replica.note(8, "a period is opened otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    function claim(uint256 seed) external followed {
        address wallet = _earner(seed);
        HostileUSD paymentToken = HostileUSD(_named(true));
        uint256 balance = paymentToken.balanceOf(wallet);
        uint256 due = nodeReplica.earned(wallet) >> 128;
        bool admitted = due != 0 && replica.maySend(wallet) && !paymentToken.refused(wallet);
        bool ok = attempt(wallet, address(rents), abi.encodeCall(rents.claim, (address(token))));
        if (ok != admitted) replica.note(8, "a claim ends otherwise than the rules say");
        uint256 paid = paymentToken.balanceOf(wallet) - balance;
        if (paid != (ok ? due : 0)) replica.note(8, "a claim pays something else");
        vm.assume(ok || admitted);
    }

    /// @dev Whoever cannot be paid hinders nobody.
    function push(uint256 seed) external followed {
        address[] memory wallets = new address[](4);
        for (uint256 i = 0; i < 4; ++i) {
            wallets[i] = world.wallet(seed >> (8 * i));
        }
        if (!direct(address(rents), abi.encodeCall(rents.push, (address(token), wallets)))) {
            replica.note(8, "a push fails as a whole");
        }
        follow();
        for (uint256 i = 0; i < 4; ++i) {
            bool left = nodeReplica.earned(wallets[i]) >> 128 != 0;
            if (left && replica.maySend(wallets[i]) && !HostileUSD(_named(true)).refused(wallets[i])) {
                replica.note(8, "a push leaves out who could be paid");
            }
        }
    }

    /// @dev The admin's alone: whatever it is, to whomever may be paid it.
    function moveRent(uint256 seed) external followed {
        (address from, address to) = (_earner(seed), world.wallet(seed >> 3));
        bool admin = seed % 8 != 0;
        bool admitted = admin && from != to && nodeReplica.earned(from) != 0 && replica.maySend(to);
        (uint256 sum, uint256 other) = (token.rentOf(from) + token.rentOf(to), token.rentOf(world.wallet(seed >> 6)));
        bytes memory data = abi.encodeCall(token.moveRent, (from, to, REASON));
        bool ok = attempt(admin ? world.admin() : address(world.executor()), address(token), data);
        if (ok != admitted) replica.note(8, "rent moves otherwise than the rules say");
        if (from != to && token.rentOf(from) + token.rentOf(to) != sum) replica.note(8, "rent is made or lost");
        bool apart = world.wallet(seed >> 6) != from && world.wallet(seed >> 6) != to;
        if (apart && token.rentOf(world.wallet(seed >> 6)) != other) replica.note(8, "another's rent moves");
        vm.assume(ok || admitted);
    }

    // ---------------------------------------------------------------- private

    function _desk(bool rent) private view returns (ITokenFunds) {
        return rent ? ITokenFunds(rents) : ITokenFunds(redemptions);
    }

    /// @dev What the terms of rent, or of redemptions, say is paid in.
    function _named(bool rent) private view returns (address) {
        (IRentDistributor.RentTerms memory terms,) = nodeReplica.rent();
        return rent ? terms.paymentToken : nodeReplica.redemptionTerms().paymentToken;
    }

    function _setter(uint256 seed) private view returns (address) {
        return seed >> 64 & 1 != 0 ? world.admin() : address(world.executor());
    }

    /// @dev What may be paid for a request, by the terms of now.
    function _most(IRedemptionDesk.Request memory asked) private view returns (uint256) {
        return uint256(asked.quantity) * nodeReplica.redemptionTerms().maxPrice / 1e18;
    }

    /// @dev One of the open requests; discarded if there is none.
    function _request(uint256 which) private view returns (uint256 id, address wallet) {
        uint256[] memory ids = nodeReplica.requestIds();
        vm.assume(ids.length != 0);
        for (uint256 i = 0; i < ids.length && wallet == address(0); ++i) {
            id = ids[(which % ids.length + i) % ids.length];
            wallet = nodeReplica.requestOf(id).wallet;
        }
        vm.assume(wallet != address(0));
    }

    function _creditor(uint256 seed) private view returns (address wallet, HostileUSD paymentToken) {
        for (uint256 i = 0; i < 2 * world.WALLETS(); ++i) {
            (wallet, paymentToken) = (world.wallet(seed % 256 + i / 2), money((i + (seed >> 8)) % 2 == 0));
            if (nodeReplica.credits(address(paymentToken), wallet) != 0) return (wallet, paymentToken);
        }
        vm.assume(false);
    }

    function _earner(uint256 seed) private view returns (address wallet) {
        for (uint256 i = 0; (seed >> 8) % 4 != 0 && i < world.WALLETS(); ++i) {
            wallet = world.wallet(seed % 256 + i);
            if (nodeReplica.earned(wallet) >> 128 != 0) return wallet;
        }
        return world.wallet(seed);
    }
}
