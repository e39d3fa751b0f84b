// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InvestorRegistry} from "../../sol/InvestorRegistry.sol";
import {IInvestorRegistry} from "../../sol/interfaces/IInvestorRegistry.sol";
import {Handler} from "./Handler.sol";
import {World} from "./World.sol";

/// @notice What the registrar does, and the admin who points the token at another registry.
contract RegistryActs is Handler {
    constructor(World world_) Handler(world_) {}

    function setInvestor(uint256 wallet, uint256 seed) external followed {
        _registrar(abi.encodeCall(IInvestorRegistry.setInvestor, (world.wallet(wallet), _record(wallet, seed), REASON)));
    }

    function setInvestors(uint256 wallet, uint256 seed) external followed {
        IInvestorRegistry.Entry[] memory entries = new IInvestorRegistry.Entry[](3);
        for (uint256 i = 0; i < 3; ++i) {
            entries[i] = IInvestorRegistry.Entry(world.wallet(wallet), _record(wallet, seed), REASON);
            (wallet, seed) = (wallet / 8, uint256(keccak256(abi.encode(seed))));
        }
        _registrar(abi.encodeCall(IInvestorRegistry.setInvestors, (entries)));
    }

    /// @dev So that there is somebody to trade with.
    function renew(uint256 wallet) external followed {
        IInvestorRegistry.Investor memory record;
        (record.investorId, record.country, record.flags) = (world.investorId(wallet), 756, 1);
        _registrar(abi.encodeCall(IInvestorRegistry.setInvestor, (world.wallet(wallet), record, REASON)));
    }

    function revoke(uint256 wallet) external followed {
        _registrar(abi.encodeCall(IInvestorRegistry.revoke, (world.wallet(wallet), REASON)));
    }

    function setRegistry() external followed {
        InvestorRegistry other = world.registries(token.registry() == address(world.registries(0)) ? 1 : 0);
        vm.assume(attempt(world.admin(), address(token), abi.encodeCall(token.setRegistry, (address(other), REASON))));
    }

    /// @dev Whitelisted and never expiring as often as not; one in sixteen claims another investor's wallet.
    function _record(uint256 wallet, uint256 seed) private view returns (IInvestorRegistry.Investor memory record) {
        record.investorId = world.investorId(wallet % 8 + (seed % 16 == 0 ? 2 : 0));
        record.country = [uint16(0), 276, 756, 840][(seed >> 4) % 4];
        record.investorClass = uint8((seed >> 8) % 3);
        if ((seed >> 16) % 2 == 0) record.kycExpiresAt = uint40(block.timestamp + (seed >> 24) % 90 days);
        record.flags = [uint8(1), 1, 1, 1, 1, 0, 2, 3][(seed >> 20) % 8];
    }

    function _registrar(bytes memory data) private {
        vm.assume(attempt(world.registrar(), address(_current()), data));
    }

    function _current() private view returns (InvestorRegistry) {
        return InvestorRegistry(token.registry());
    }
}
