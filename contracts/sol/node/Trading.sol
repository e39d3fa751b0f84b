// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IFeeVault} from "../interfaces/IFeeVault.sol";
import {Payments} from "../lib/Payments.sol";
import {NodeContract} from "./NodeContract.sol";

/// @title Trading
/// @notice What both trading contracts do in the end: units one way, money the other, the fee to the vault. They hold
/// neither at any time; each leg is the parties' own allowance.
/// @dev Any leg that fails takes all of it back. Payment first: what a hostile payment token does comes before units move.
abstract contract Trading is NodeContract {
    using SafeERC20 for IERC20;

    /// @custom:storage-location erc7201:tokenx.storage.Trading
    struct TradingStorage {
        address feeVault;
    }

    /// @dev One swap. The buyer pays `toSeller` and `fee`.
    struct Swap {
        address token;
        address seller;
        address buyer;
        uint256 quantity;
        address paymentToken;
        uint256 toSeller;
        uint256 fee;
    }

    uint256 private constant ALL_BPS = 10_000;

    bytes32 private constant CANCELLATION = keccak256("Cancellation(address wallet,bytes32 id)");

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.Trading")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant TRADING_STORAGE = 0x92b559adb7bc8bee2f9a360237b3442bd83a7bc1331a207e2a003315db12d100;

    /// @notice More than the party that pays it has accepted.
    error FeeAboveLimit(uint256 feeBps, uint256 maxFeeBps);

    function _wire(NodeInit calldata init) internal override {
        _trading().feeVault = init.contracts.feeVault;
    }

    /// @dev Whether a fee may be asked: it must have somewhere to go.
    function _isFee(uint256 feeBps) internal view returns (bool) {
        return feeBps == 0 || (feeBps <= ALL_BPS && _trading().feeVault != address(0));
    }

    /// @dev The fee for a payment, rounded down: never more than the share that was agreed to.
    function _fee(uint256 payment, uint256 feeBps, uint256 maxFeeBps) internal pure returns (uint256) {
        if (feeBps > maxFeeBps) revert FeeAboveLimit(feeBps, maxFeeBps);
        return payment * feeBps / ALL_BPS;
    }

    function _swap(Swap memory swap) internal {
        Payments.pull(swap.paymentToken, swap.buyer, swap.seller, swap.toSeller);
        if (swap.fee != 0) {
            address vault = _trading().feeVault;
            Payments.pull(swap.paymentToken, swap.buyer, vault, swap.fee);
            IFeeVault(vault).accrue(swap.token, swap.paymentToken, swap.fee);
        }
        IERC20(swap.token).safeTransferFrom(swap.seller, swap.buyer, swap.quantity);
    }

    /// @dev Holds a signature against the wish to cancel `id`. It may come twice: what is cancelled stays so.
    function _checkCancellation(address wallet, bytes32 id, bytes calldata signature) internal view {
        _checkSignature(wallet, _hashTypedDataV4(keccak256(abi.encode(CANCELLATION, wallet, id))), signature);
    }

    function _trading() private pure returns (TradingStorage storage $) {
        assembly ("memory-safe") {
            $.slot := TRADING_STORAGE
        }
    }
}
