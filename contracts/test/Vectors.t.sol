// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IExecutor} from "../sol/interfaces/IExecutor.sol";
import {IERC7943Fungible} from "../sol/interfaces/IERC7943.sol";
import {IInvestorRegistry} from "../sol/interfaces/IInvestorRegistry.sol";
import {INodeFactory} from "../sol/interfaces/INodeFactory.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../sol/interfaces/ITokenExtension.sol";
import {ITokenHolds} from "../sol/interfaces/ITokenHolds.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base} from "./Base.sol";

/// @notice The golden vectors, which the Rust half asserts too: what both sides must agree on to the byte.
contract VectorsTest is Base {
    // ---------------------------------------------------------------- command ids

    function test_command_ids_are_encoded_as_the_vectors_say() public view {
        string memory json = vm.readFile("vectors/command_ids.json");
        uint256 count;
        for (; has(json, ".cases", count); ++count) {
            string memory entry = item(".cases", count);
            string memory id = vm.parseJsonString(json, string.concat(entry, ".command_id"));
            bytes32 key = onChain(vm.parseJsonString(json, string.concat(entry, ".scope")), id);
            vm.assertEq(key, vm.parseJsonBytes32(json, string.concat(entry, ".key")), id);
            bool short = keccak256(bytes(vm.parseJsonString(json, string.concat(entry, ".form")))) == keccak256("short");
            vm.assertEq(readable(key), short ? id : "", id);
        }
        vm.assertGe(count, 8, "1, 31, 32 and 128 bytes, in ops and in another scope");
    }

    /// @dev No two commands share a key: a short form ends in its length, the other in 0xff.
    function testFuzz_the_two_forms_never_meet(bytes calldata id) public pure {
        vm.assume(id.length > 0);
        uint8 last = uint8(uint256(onChain("ops", string(id))));
        vm.assertEq(last, id.length <= 31 ? id.length : 255);
        vm.assertEq(uint8(uint256(onChain("system", string(id)))), 255);
    }

    // ---------------------------------------------------------------- codes

    function test_restriction_codes_are_those_of_the_vectors() public view {
        string memory json = vm.readFile("vectors/restriction_codes.json");
        uint8[18] memory codes = [
            RestrictionCodes.OK,
            RestrictionCodes.TOKEN_PAUSED,
            RestrictionCodes.SENDER_FROZEN,
            RestrictionCodes.RECIPIENT_FROZEN,
            RestrictionCodes.AMOUNT_FROZEN,
            RestrictionCodes.AMOUNT_HELD,
            RestrictionCodes.SUPPLY_PAUSED,
            RestrictionCodes.MAX_SUPPLY_EXCEEDED,
            RestrictionCodes.SENDER_NOT_WHITELISTED,
            RestrictionCodes.RECIPIENT_NOT_WHITELISTED,
            RestrictionCodes.SENDER_KYC_EXPIRED,
            RestrictionCodes.RECIPIENT_KYC_EXPIRED,
            RestrictionCodes.SENDER_SANCTIONED,
            RestrictionCodes.RECIPIENT_SANCTIONED,
            RestrictionCodes.RECIPIENT_COUNTRY,
            RestrictionCodes.REGISTRY_UNAVAILABLE,
            RestrictionCodes.HOLDER_LIMIT,
            RestrictionCodes.BALANCE_LIMIT
        ];
        uint256 count;
        for (; has(json, ".codes", count); ++count) {
            string memory entry = item(".codes", count);
            vm.assertEq(vm.parseJsonUint(json, string.concat(entry, ".code")), codes[count], "code");
            vm.assertEq(
                token.messageForTransferRestriction(codes[count]),
                vm.parseJsonString(json, string.concat(entry, ".message")),
                "message"
            );
        }
        vm.assertEq(count, codes.length, "a code is missing");
        // Every other number has no sentence of its own.
        for (uint256 code = 0; code < 256; ++code) {
            bool known;
            for (uint256 i = 0; i < codes.length; ++i) {
                if (codes[i] == code) known = true;
            }
            bool unknown = keccak256(bytes(token.messageForTransferRestriction(uint8(code))))
                == keccak256("unknown restriction code");
            vm.assertEq(unknown, !known, "sentence");
        }
    }

    // ---------------------------------------------------------------- topics and selectors

    function test_topics_and_selectors_are_hashes_of_their_signatures() public view {
        string memory json = vm.readFile("vectors/event_topics.json");
        string[3] memory parts = [".events", ".functions", ".errors"];
        for (uint256 p = 0; p < 3; ++p) {
            uint256 count;
            for (; has(json, parts[p], count); ++count) {
                string memory entry = item(parts[p], count);
                string memory signature = vm.parseJsonString(json, string.concat(entry, ".signature"));
                bytes32 hash = keccak256(bytes(signature));
                if (p == 0) {
                    vm.assertEq(vm.parseJsonBytes32(json, string.concat(entry, ".topic")), hash, signature);
                } else {
                    bytes memory selector = vm.parseJsonBytes(json, string.concat(entry, ".selector"));
                    vm.assertEq(bytes32(selector), bytes32(bytes4(hash)), signature);
                }
            }
            vm.assertGe(count, 20, "too few");
        }
    }

    /// @dev What an indexer and a keeper live by, as the compiler sees it.
    function test_the_events_everyone_relies_on_are_in_the_vectors() public view {
        string memory json = vm.readFile("vectors/event_topics.json");
        bytes32[29] memory topics = [
            IERC20.Transfer.selector,
            IERC7943Fungible.Frozen.selector,
            IERC7943Fungible.ForcedTransfer.selector,
            ISecurityToken.TokenInitialized.selector,
            ISecurityToken.Minted.selector,
            ISecurityToken.Burned.selector,
            ISecurityToken.FrozenChanged.selector,
            ISecurityToken.AddressFreezeChanged.selector,
            ISecurityToken.ForcedTransferExecuted.selector,
            ISecurityToken.ForcedBurnExecuted.selector,
            ITokenExtension.PauseChanged.selector,
            ISecurityToken.RegistryChanged.selector,
            ISecurityToken.OperatorReplaced.selector,
            ITokenHolds.HoldChanged.selector,
            ITokenExtension.WalletRecovered.selector,
            ITokenExtension.LimitsChanged.selector,
            ITokenExtension.CountryRuleChanged.selector,
            ITokenExtension.DocumentChanged.selector,
            IInvestorRegistry.InvestorChanged.selector,
            INodeFactory.NodeDeployed.selector,
            INodeFactory.TokenDeployed.selector,
            IExecutor.BatchStarted.selector,
            IExecutor.CommandExecuted.selector,
            IExecutor.CommandSkipped.selector,
            IExecutor.CommandConflict.selector,
            IExecutor.CommandExpired.selector,
            IExecutor.CommandDeferred.selector,
            IExecutor.RuleChanged.selector,
            IExecutor.Stopped.selector
        ];
        for (uint256 i = 0; i < topics.length; ++i) {
            bool found;
            for (uint256 j = 0; !found && has(json, ".events", j); ++j) {
                found = vm.parseJsonBytes32(json, string.concat(item(".events", j), ".topic")) == topics[i];
            }
            vm.assertTrue(found, vm.toString(i));
        }
    }

    // ---------------------------------------------------------------- the rule, written once more

    /// @dev `ops` and at most 31 bytes: the text, left-aligned, with its length in the last byte. All else:
    /// keccak256(scope ‖ 0x00 ‖ id) with 0xff as last byte.
    function onChain(string memory scope, string memory id) private pure returns (bytes32) {
        if (keccak256(bytes(scope)) == keccak256("ops") && bytes(id).length <= 31) {
            return bytes32(bytes(id)) | bytes32(bytes(id).length);
        }
        return keccak256(abi.encodePacked(scope, bytes1(0), id)) | bytes32(uint256(0xff));
    }

    /// @dev The text of a short form; empty for the other.
    function readable(bytes32 key) private pure returns (string memory) {
        uint256 length = uint8(uint256(key));
        if (length > 31) return "";
        bytes memory text = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            text[i] = key[i];
        }
        return string(text);
    }

    function item(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }

    function has(string memory json, string memory list, uint256 index) private view returns (bool) {
        return vm.keyExistsJson(json, item(list, index));
    }
}
