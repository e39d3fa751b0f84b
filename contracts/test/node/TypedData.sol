// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title TypedData
/// @notice What wallets sign, as `vectors/typed_data.json` has it. Whatever a test signs, it signs by these.
library TypedData {
    bytes32 internal constant PURCHASE = keccak256(
        "Purchase(address wallet,address token,uint256 quantity,address paymentToken,uint256 maxCost,uint256 deadline,bytes32 salt)"
    );
    bytes32 internal constant FUNDING = keccak256(
        "Funding(address wallet,address token,address paymentToken,uint256 amount,uint256 deadline,bytes32 salt)"
    );
    bytes32 internal constant REDEMPTION = keccak256(
        "Redemption(address wallet,address token,uint256 quantity,address paymentToken,uint256 minPayout,uint256 deadline,bytes32 salt)"
    );
    bytes32 internal constant CLAIM = keccak256("Claim(address wallet,address token,uint256 deadline,bytes32 salt)");
    bytes32 internal constant ORDER = keccak256(
        "Order(address wallet,address token,address paymentToken,uint8 side,uint256 quantity,uint256 limitPrice,uint16 maxFeeBps,uint64 validFrom,uint64 expiry,bytes32 salt)"
    );
    bytes32 internal constant DEAL = keccak256(
        "Deal(address token,address seller,address buyer,uint256 quantity,address paymentToken,uint256 payment,uint16 maxFeeBps,uint64 validFrom,uint64 deadline,bytes32 terms,bytes32 salt)"
    );
    bytes32 internal constant CANCELLATION = keccak256("Cancellation(address wallet,bytes32 id)");
}
