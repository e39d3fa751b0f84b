// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IExecutor} from "../sol/interfaces/IExecutor.sol";
import {IERC7943Fungible} from "../sol/interfaces/IERC7943.sol";
import {IInvestorRegistry} from "../sol/interfaces/IInvestorRegistry.sol";
import {INodeFactory} from "../sol/interfaces/INodeFactory.sol";
import {IFeeVault} from "../sol/interfaces/IFeeVault.sol";
import {IListing} from "../sol/interfaces/IListing.sol";
import {INodeContract} from "../sol/interfaces/INodeContract.sol";
import {IOtcDesk} from "../sol/interfaces/IOtcDesk.sol";
import {IRedemptionDesk} from "../sol/interfaces/IRedemptionDesk.sol";
import {IRentDistributor} from "../sol/interfaces/IRentDistributor.sol";
import {ISecondaryMarket} from "../sol/interfaces/ISecondaryMarket.sol";
import {ITokenFunds} from "../sol/interfaces/ITokenFunds.sol";
import {ITokenRent} from "../sol/interfaces/ITokenRent.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../sol/interfaces/ITokenExtension.sol";
import {ITokenHolds} from "../sol/interfaces/ITokenHolds.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base} from "./Base.sol";
import {TypedData} from "./node/TypedData.sol";

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

    // ---------------------------------------------------------------- typed data

    /// @dev Each contract takes what is signed by these hashes: its own tests sign by them.
    function test_what_wallets_sign_is_what_the_vectors_say() public view {
        string memory json = vm.readFile("vectors/typed_data.json");
        bytes32[7] memory hashes = [
            TypedData.PURCHASE,
            TypedData.FUNDING,
            TypedData.REDEMPTION,
            TypedData.CLAIM,
            TypedData.ORDER,
            TypedData.DEAL,
            TypedData.CANCELLATION
        ];
        uint256 count;
        for (; has(json, ".types", count); ++count) {
            string memory entry = item(".types", count);
            bytes32 hash = vm.parseJsonBytes32(json, string.concat(entry, ".type_hash"));
            vm.assertEq(hash, hashes[count]);
            vm.assertEq(hash, keccak256(bytes(vm.parseJsonString(json, string.concat(entry, ".type")))));
            bytes32 structHash = keccak256(vm.parseJsonBytes(json, string.concat(entry, ".encoded")));
            vm.assertEq(structHash, vm.parseJsonBytes32(json, string.concat(entry, ".struct_hash")));
            bytes32 domain = keccak256(
                abi.encode(
                    keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                    keccak256(bytes(vm.parseJsonString(json, string.concat(entry, ".domain")))),
                    keccak256("1"),
                    vm.parseJsonUint(json, ".chain_id"),
                    uint256(uint160(bytes20(vm.parseJsonBytes(json, ".verifying_contract"))))
                )
            );
            bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, structHash));
            vm.assertEq(digest, vm.parseJsonBytes32(json, string.concat(entry, ".digest")));
        }
        vm.assertEq(count, hashes.length, "a type is missing");
    }

    /// @dev And each has the name that its vectors were made under.
    function test_contracts_sign_under_the_names_of_the_vectors() public view {
        string memory json = vm.readFile("vectors/typed_data.json");
        address[6] memory signers =
            [address(listing), address(rents), address(redemptions), address(rents), address(market), address(otc)];
        for (uint256 i = 0; i < signers.length; ++i) {
            (, string memory name, string memory version,, address self,,) = IERC5267(signers[i]).eip712Domain();
            vm.assertEq(name, vm.parseJsonString(json, string.concat(item(".types", i), ".domain")));
            vm.assertEq(version, "1");
            vm.assertEq(self, signers[i]);
        }
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
        bytes32[65] memory topics = [
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
            IExecutor.Stopped.selector,
            INodeFactory.ImplementationsChanged.selector,
            INodeContract.TreasuryChanged.selector,
            INodeContract.IntentConsumed.selector,
            IListing.ListingTermsChanged.selector,
            IListing.ListingStatusChanged.selector,
            IListing.FeesReserved.selector,
            IListing.Purchased.selector,
            IFeeVault.FeeTermsChanged.selector,
            IFeeVault.FeesAllocated.selector,
            IFeeVault.FeeAccrued.selector,
            IFeeVault.FeesReleased.selector,
            IFeeVault.FeesDrawn.selector,
            IFeeVault.FeesMoved.selector,
            ITokenFunds.Funded.selector,
            ITokenFunds.FundWithdrawn.selector,
            IRedemptionDesk.RedemptionTermsChanged.selector,
            IRedemptionDesk.RedemptionRequested.selector,
            IRedemptionDesk.RedemptionApproved.selector,
            IRedemptionDesk.RedemptionClosed.selector,
            IRedemptionDesk.CreditDrawn.selector,
            IRedemptionDesk.CreditMoved.selector,
            IRentDistributor.RentTermsChanged.selector,
            IRentDistributor.RentOpened.selector,
            IRentDistributor.RentPaid.selector,
            IRentDistributor.RentPaymentFailed.selector,
            ITokenRent.RentDistributorChanged.selector,
            ITokenRent.RentMinimumChanged.selector,
            ITokenRent.RentMoved.selector,
            ITokenExtension.TokenRetired.selector,
            ISecondaryMarket.MarketTermsChanged.selector,
            ISecondaryMarket.Traded.selector,
            ISecondaryMarket.OrderCancelled.selector,
            ISecondaryMarket.OrdersCancelledBefore.selector,
            IOtcDesk.OtcTermsChanged.selector,
            IOtcDesk.DealSettled.selector,
            IOtcDesk.DealCancelled.selector
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
