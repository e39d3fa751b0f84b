// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRedemptionDesk} from "../../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../../sol/interfaces/IRentDistributor.sol";
import {ITokenFunds} from "../../sol/interfaces/ITokenFunds.sol";
import {RedemptionDesk} from "../../sol/node/RedemptionDesk.sol";
import {RentDistributor} from "../../sol/node/RentDistributor.sol";
import {NodeHandler} from "./NodeHandler.sol";
import {World} from "./World.sol";

/// @notice Funds, redemptions, rent. Watches I8.
contract PayoutActs is NodeHandler {
    RedemptionDesk private immutable redemptions;
    RentDistributor private immutable rents;

    constructor(World world_) NodeHandler(world_) {
        (redemptions, rents) = (world_.node().redemptions, world_.node().rents);
    }

    function fund(uint256 amount, bool rent) external followed {
        ITokenFunds desk = _desk(rent);
        amount = amountNear(amount, 1_000_000e6) % 1e15;
        bytes memory data = abi.encodeCall(desk.fund, (address(token), address(usd), amount));
        vm.assume(attempt(world.node().treasury, address(desk), data));
    }

    function withdraw(uint256 amount, bool rent) external followed {
        ITokenFunds desk = _desk(rent);
        (, uint256 available,,,) = nodeReplica.funds(address(desk));
        amount = amountNear(amount, available / 4);
        vm.assume(direct(address(desk), abi.encodeCall(desk.withdraw, (address(token), amount, REASON))));
    }

    // ---------------------------------------------------------------- redemptions

    function request(uint256 from, uint256 quantity, uint256 minPayout) external followed {
        address wallet = giver(from);
        quantity = amountNear(quantity, replica.freeOf(wallet));
        bool admitted = replica.admitsHold(wallet, quantity);
        bytes memory data =
            abi.encodeCall(redemptions.request, (address(token), quantity, address(usd), minPayout % 2e6));
        bool ok = attempt(wallet, address(redemptions), data);
        if (ok != admitted) replica.note(2, "a request ends otherwise than the rules of holds say");
        vm.assume(ok || admitted);
    }

    function cancel(uint256 which) external followed {
        (uint256 id, address wallet) = _request(which);
        vm.assume(attempt(wallet, address(redemptions), abi.encodeCall(redemptions.cancel, (address(token), id))));
    }

    function reject(uint256 which) external followed {
        (uint256 id,) = _request(which);
        vm.assume(direct(address(redemptions), abi.encodeCall(redemptions.reject, (address(token), id, REASON))));
    }

    /// @dev Burned and paid, or neither. Half of the wallets are refused the money.
    function approve(uint256 which, uint256 payout) external followed {
        (uint256 id, address wallet) = _request(which);
        IRedemptionDesk.Request memory asked = nodeReplica.requestOf(id);
        if (payout >> 64 & 1 != 0) usd.refuse(wallet, true);
        payout = payout % 4e6;
        (uint256 supply, uint256 balance) = (token.totalSupply(), usd.balanceOf(wallet));
        bool refused = usd.refused(wallet);
        bool ok =
            direct(address(redemptions), abi.encodeCall(redemptions.approve, (address(token), id, payout, REASON)));
        uint256 burned = supply - token.totalSupply();
        uint256 paid = usd.balanceOf(wallet) - balance;
        if (burned != (ok ? asked.quantity : 0)) replica.note(8, "an approval burns something else");
        if (paid != (ok && !refused ? payout : 0)) replica.note(8, "an approval pays something else");
        if (ok && payout < asked.minPayout) replica.note(8, "an approval pays less than was signed");
        vm.assume(ok);
    }

    function draw(uint256 seed) external followed {
        address wallet = _creditor(seed);
        if (seed >> 64 & 1 != 0) usd.refuse(wallet, false);
        bool admitted = replica.maySend(wallet) && !usd.refused(wallet);
        bool ok =
            attempt(address(this), address(redemptions), abi.encodeCall(redemptions.draw, (address(token), wallet)));
        if (ok != admitted) replica.note(8, "a credit is drawn otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    function moveCredit(uint256 seed) external followed {
        address wallet = _creditor(seed);
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
        bytes memory data = abi.encodeCall(redemptions.moveCredit, (address(token), wallet, to, REASON));
        vm.assume(direct(address(redemptions), data));
    }

    // ---------------------------------------------------------------- rent

    function open(uint256 seed) external followed {
        (, uint256 available,,,) = nodeReplica.funds(address(rents));
        uint256 period = uint256(token.rent().period) + (seed % 16 == 0 ? 2 : 1);
        uint256 amount = amountNear(seed >> 8, available / 2);
        bool admitted = seed % 16 != 0 && amount <= available && token.rent().earning != 0;
        bool ok = direct(address(rents), abi.encodeCall(rents.open, (address(token), period, amount, REASON)));
        if (ok != admitted) replica.note(8, "a period is opened otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    function claim(uint256 seed) external followed {
        address wallet = _earner(seed);
        uint256 balance = usd.balanceOf(wallet);
        uint256 due = nodeReplica.earned(wallet) >> 128;
        bool admitted = due != 0 && replica.maySend(wallet) && !usd.refused(wallet);
        bool ok = attempt(wallet, address(rents), abi.encodeCall(rents.claim, (address(token))));
        if (ok != admitted) replica.note(8, "a claim ends otherwise than the rules say");
        if (usd.balanceOf(wallet) - balance != (ok ? due : 0)) replica.note(8, "a claim pays something else");
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
            if (left && replica.maySend(wallets[i]) && !usd.refused(wallets[i])) {
                replica.note(8, "a push leaves out who could be paid");
            }
        }
    }

    // ---------------------------------------------------------------- private

    function _desk(bool rent) private view returns (ITokenFunds) {
        return rent ? ITokenFunds(rents) : ITokenFunds(redemptions);
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

    function _creditor(uint256 seed) private view returns (address wallet) {
        for (uint256 i = 0; i < world.WALLETS(); ++i) {
            wallet = world.wallet(seed % 256 + i);
            if (nodeReplica.credits(wallet) != 0) return wallet;
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
