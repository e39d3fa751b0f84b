// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IFeeVault
/// @notice Fees of a node's tokens for three parties: units out of the supply that the listing has set aside, and shares
/// of what trades pay. Units are minted to their wallets, money waits until it is drawn.
interface IFeeVault {
    /// @notice One figure for each party: amounts in base units, or shares in hundredths of a per cent.
    struct Split {
        uint256 platformOwner;
        uint256 nodeOwner;
        uint256 node;
    }

    /// @notice Wallets of the parties.
    struct Beneficiaries {
        address platformOwner;
        address nodeOwner;
        address node;
    }

    /// @param shares Of trade fees; 10,000 in all.
    event FeeTermsChanged(
        address indexed token, Beneficiaries beneficiaries, Split shares, bytes32 reason, address operator
    );
    /// @param allocated What each party has been given in all; `amounts` of it now.
    event FeesAllocated(
        address indexed token,
        Beneficiaries beneficiaries,
        Split amounts,
        Split allocated,
        bytes32 reason,
        address operator
    );
    /// @notice A trade has paid. `pot` is what results, not yet released.
    event FeeAccrued(
        address indexed token, address indexed paymentToken, address indexed source, uint256 amount, uint256 pot
    );
    /// @notice Each party has its share to draw. `pot` is what could not be divided, and stays.
    event FeesReleased(
        address indexed token,
        address indexed paymentToken,
        Beneficiaries beneficiaries,
        Split amounts,
        Split credits,
        uint256 pot
    );
    event FeesDrawn(address indexed paymentToken, address indexed wallet, uint256 amount);
    /// @param credit What `to` has to draw now.
    event FeesMoved(
        address indexed paymentToken,
        address indexed from,
        address indexed to,
        uint256 amount,
        uint256 credit,
        bytes32 reason,
        address operator
    );

    /// @notice A party without a wallet, or shares that are not 10,000 in all.
    error InvalidFeeTerms(address token);

    /// @notice More than the listing has set aside and nobody has been given.
    error FeeSupplyExceeded(uint256 left, uint256 amount);

    /// @notice Not a contract of this node that trades.
    error NotFeeSource(address account);

    /// @notice Nothing to release or to draw.
    error NoFees(address paymentToken, address account);

    /// @notice Sets the wallets, and the shares of trade fees that are released from now on.
    /// @custom:access the token's DEFAULT_ADMIN_ROLE, TERMS_ROLE
    function setFeeTerms(address token, Beneficiaries calldata beneficiaries, Split calldata shares, bytes32 reason)
        external;

    /// @notice Mints units of the fee supply to the parties.
    /// @custom:access the token's TERMS_ROLE
    function allocate(address token, Split calldata amounts, bytes32 reason) external;

    /// @notice Books what a trade has just paid to this contract.
    /// @custom:access the node's market and OTC desk
    function accrue(address token, address paymentToken, uint256 amount) external;

    /// @notice Splits what trades of a token have paid. Shares are rounded down; the rest waits for the next time.
    /// @custom:access anyone
    function release(address token, address paymentToken) external;

    /// @notice Pays a party all that is released to it.
    /// @custom:access anyone: it goes to `wallet`
    function draw(address paymentToken, address wallet) external returns (uint256 amount);

    /// @notice Gives what is released to a party that has lost its wallet to another wallet. What is released later goes
    /// where the token's terms say.
    /// @custom:access DEFAULT_ADMIN_ROLE: one wallet's credit may come from many tokens
    function moveFees(address paymentToken, address from, address to, bytes32 reason) external;

    function feeTermsOf(address token) external view returns (Beneficiaries memory beneficiaries, Split memory shares);

    /// @notice What each party has been given of the fee supply.
    function allocatedOf(address token) external view returns (Split memory);

    /// @notice What trades of a token have paid since the last release.
    function potOf(address token, address paymentToken) external view returns (uint256);

    /// @notice What `wallet` may draw.
    function creditOf(address paymentToken, address wallet) external view returns (uint256);
}
