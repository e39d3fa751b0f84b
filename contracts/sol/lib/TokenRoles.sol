// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title TokenRoles
/// @notice Roles of a token that its node's contracts ask for. They are the token's, so that nobody's role reaches beyond
/// the tokens that gave it; the token itself gives them no meaning.
library TokenRoles {
    /// @dev Sets the terms on which the node's contracts deal in the token.
    bytes32 internal constant TERMS_ROLE = keccak256("TERMS_ROLE");
    /// @dev Settles orders that match.
    bytes32 internal constant MATCHER_ROLE = keccak256("MATCHER_ROLE");
    /// @dev Opens rent periods and decides on redemptions.
    bytes32 internal constant PAYOUT_ROLE = keccak256("PAYOUT_ROLE");
    /// @dev Carries what wallets have signed.
    bytes32 internal constant CARRIER_ROLE = keccak256("CARRIER_ROLE");
}
