// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {HostileUSD} from "../node/HostileUSD.sol";
import {Handler} from "./Handler.sol";
import {NodeReplica} from "./NodeReplica.sol";
import {World} from "./World.sol";

/// @notice An actor who deals with a node's contracts.
abstract contract NodeHandler is Handler {
    NodeReplica internal immutable nodeReplica;
    /// @dev What is paid in mostly, and what redemptions and rent may be paid in too.
    HostileUSD internal immutable usd;
    HostileUSD internal immutable eur;

    constructor(World world_) Handler(world_) {
        (nodeReplica, usd, eur) = (world_.nodeReplica(), world_.node().usd, world_.node().eur);
    }

    /// @dev Calls one of the node's contracts as the operator.
    function direct(address target, bytes memory data) internal returns (bool) {
        return attempt(address(world.executor()), target, data);
    }

    /// @dev One of the two payment tokens.
    function money(bool other) internal view returns (HostileUSD) {
        return other ? eur : usd;
    }

    /// @dev Signs for a wallet; one time in sixteen with another's key.
    function sign(uint256 wallet, uint256 seed, address verifier, bytes32 structHash)
        internal
        view
        returns (bytes memory)
    {
        return sign(wallet + (forged(seed) ? 1 : 0), digestOf(verifier, structHash));
    }

    function sign(uint256 wallet, bytes32 digest) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(world.key(wallet), digest);
        return abi.encodePacked(r, s, v);
    }

    function forged(uint256 seed) internal pure returns (bool) {
        return seed % 16 == 3;
    }

    function digestOf(address verifier, bytes32 structHash) internal view returns (bytes32) {
        (, string memory name, string memory version, uint256 chainId, address self,,) =
            IERC5267(verifier).eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                self
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    /// @dev Three times in four the next wallet that may send and has free units, by its number.
    function sellerOf(uint256 seed) internal view returns (uint256) {
        for (uint256 i = 0; (seed >> 8) % 4 != 0 && i < world.WALLETS(); ++i) {
            address wallet = world.wallet(seed % 256 + i);
            if (replica.maySend(wallet) && replica.freeOf(wallet) > 0) return (seed % 256 + i) % world.WALLETS();
        }
        return seed % world.WALLETS();
    }

    /// @dev Three times in four the next wallet that may receive, by its number.
    function buyerOf(uint256 seed) internal view returns (uint256) {
        for (uint256 i = 0; (seed >> 8) % 4 != 0 && i < world.WALLETS(); ++i) {
            if (replica.mayReceive(world.wallet(seed % 256 + i))) return (seed % 256 + i) % world.WALLETS();
        }
        return seed % world.WALLETS();
    }

    /// @dev Whether the payment token moves money between them.
    function pays(address from, address to) internal view returns (bool) {
        return !usd.refused(from) && !usd.refused(to);
    }
}
