// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {TestUSD} from "../../sol/TestUSD.sol";
import {INodeContract} from "../../sol/interfaces/INodeContract.sol";
import {IListing} from "../../sol/interfaces/IListing.sol";
import {Payments} from "../../sol/lib/Payments.sol";
import {Base} from "../Base.sol";
import {HostileUSD} from "./HostileUSD.sol";

/// @notice A wallet that is a contract: says yes to one digest (ERC-1271).
contract ContractWallet {
    bytes32 private _digest;

    function approve(address token, address spender) external {
        (bool ok,) = token.call(abi.encodeWithSignature("approve(address,uint256)", spender, type(uint256).max));
        require(ok);
    }

    function sign(bytes32 digest) external {
        _digest = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _digest ? ContractWallet.isValidSignature.selector : bytes4(0);
    }
}

/// @notice A node with money: wallets that have keys and dollars, and the ways to sign.
abstract contract NodeBase is Base {
    uint256 internal constant ALICE_KEY = uint256(keccak256("alice's key"));
    uint256 internal constant BOB_KEY = uint256(keccak256("bob's key"));
    bytes32 internal constant SALT = "salt";
    uint256 internal constant LATER = START + 1 hours;
    uint256 internal constant DOLLAR = 1e6;

    TestUSD internal usd;
    HostileUSD internal hostile;
    /// @dev Wallets with keys, whitelisted as investors 11 and 12.
    address internal ann;
    address internal ben;

    function setUp() public virtual override {
        super.setUp();
        usd = new TestUSD();
        hostile = new HostileUSD();
        (ann, ben) = (vm.addr(ALICE_KEY), vm.addr(BOB_KEY));
        whitelist(ann, 11);
        whitelist(ben, 12);
        for (uint256 i = 0; i < 3; ++i) {
            address wallet = [ann, ben, treasury][i];
            usd.mint(wallet, 1_000_000 * DOLLAR);
            hostile.mint(wallet, 1_000_000 * DOLLAR);
        }
    }

    /// @dev Lets a contract of the node take all dollars of a wallet.
    function allow(address wallet, address spender) internal {
        vm.prank(wallet);
        usd.approve(spender, type(uint256).max);
        vm.prank(wallet);
        hostile.approve(spender, type(uint256).max);
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

    function sign(uint256 key, address verifier, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digestOf(verifier, structHash));
        return abi.encodePacked(r, s, v);
    }

    function operator() internal {
        vm.prank(address(executor));
    }

    function unauthorized(address account, string memory role) internal view returns (bytes memory) {
        return abi.encodeWithSelector(
            INodeContract.NotTokenOperator.selector, address(token), account, keccak256(bytes(role))
        );
    }

    function inexact(address account, uint256 expected, uint256 actual) internal view returns (bytes memory) {
        return abi.encodeWithSelector(Payments.InexactPayment.selector, address(hostile), account, expected, actual);
    }

    /// @dev The hostile token called back, and found the door shut.
    function assertShut() internal view {
        vm.assertFalse(hostile.reentered());
        vm.assertEq(bytes32(hostile.answer()), bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
    }
}
