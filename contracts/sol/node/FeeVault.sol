// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFeeVault} from "../interfaces/IFeeVault.sol";
import {IListing} from "../interfaces/IListing.sol";
import {INodeContract} from "../interfaces/INodeContract.sol";
import {ISecurityToken} from "../interfaces/ISecurityToken.sol";
import {Payments} from "../lib/Payments.sol";
import {TokenRoles} from "../lib/TokenRoles.sol";
import {NodeContract} from "./NodeContract.sol";

/// @title FeeVault
/// @notice Fee supply and its allocation, trade fees and their split.
/// @dev Has the tokens' MINTER_ROLE and uses it within what the listing has set aside, no more. Pots and credits in one
/// payment token never add up to more than it has paid in: a token's pot grows by what its node's own contracts measured.
contract FeeVault is IFeeVault, NodeContract {
    /// @custom:storage-location erc7201:tokenx.storage.FeeVault
    struct FeeStorage {
        address listing;
        address secondaryMarket;
        address otcDesk;
        mapping(address token => TokenFees) fees;
        mapping(address paymentToken => mapping(address wallet => uint256)) credits;
    }

    struct TokenFees {
        Beneficiaries beneficiaries;
        Split shares;
        Split allocated;
        mapping(address paymentToken => uint256) pots;
    }

    uint256 private constant ALL_BPS = 10_000;

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.FeeVault")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant FEE_STORAGE = 0x8fd0be9f7cbb9c5502aae9a4b107f609b33af980cd18a67622b2d081e1456700;

    constructor() NodeContract("tokenx FeeVault") {}

    // ---------------------------------------------------------------- fee supply

    /// @inheritdoc IFeeVault
    function setFeeTerms(address token, Beneficiaries calldata beneficiaries, Split calldata shares, bytes32 reason)
        external
        onlyTerms(token)
    {
        bool sound = beneficiaries.platformOwner != address(0) && beneficiaries.nodeOwner != address(0)
            && beneficiaries.node != address(0) && _sum(shares) == ALL_BPS;
        if (!sound) revert InvalidFeeTerms(token);
        TokenFees storage fees = _fees().fees[token];
        (fees.beneficiaries, fees.shares) = (beneficiaries, shares);
        emit FeeTermsChanged(token, beneficiaries, shares, reason, _msgSender());
    }

    /// @inheritdoc IFeeVault
    function allocate(address token, Split calldata amounts, bytes32 reason)
        external
        nonReentrant
        onlyTokenRole(token, TokenRoles.TERMS_ROLE)
    {
        FeeStorage storage $ = _fees();
        TokenFees storage fees = $.fees[token];
        Split memory allocated = fees.allocated;
        uint256 left = IListing($.listing).supplyOf(token).fees - _sum(allocated);
        uint256 amount = _sum(amounts);
        if (amount > left) revert FeeSupplyExceeded(left, amount);
        allocated = Split(
            allocated.platformOwner + amounts.platformOwner,
            allocated.nodeOwner + amounts.nodeOwner,
            allocated.node + amounts.node
        );
        fees.allocated = allocated;
        Beneficiaries memory to = fees.beneficiaries;
        _mint(token, to.platformOwner, amounts.platformOwner);
        _mint(token, to.nodeOwner, amounts.nodeOwner);
        _mint(token, to.node, amounts.node);
        emit FeesAllocated(token, to, amounts, allocated, reason, _msgSender());
    }

    // ---------------------------------------------------------------- trade fees

    /// @inheritdoc IFeeVault
    function accrue(address token, address paymentToken, uint256 amount) external {
        FeeStorage storage $ = _fees();
        address source = _msgSender();
        if (source != $.secondaryMarket && source != $.otcDesk) revert NotFeeSource(source);
        uint256 pot = $.fees[token].pots[paymentToken] += amount;
        emit FeeAccrued(token, paymentToken, source, amount, pot);
    }

    /// @inheritdoc IFeeVault
    function release(address token, address paymentToken) external {
        FeeStorage storage $ = _fees();
        TokenFees storage fees = $.fees[token];
        (Beneficiaries memory to, Split memory shares) = (fees.beneficiaries, fees.shares);
        if (_sum(shares) == 0) revert InvalidFeeTerms(token);
        uint256 pot = fees.pots[paymentToken];
        Split memory amounts =
            Split(pot * shares.platformOwner / ALL_BPS, pot * shares.nodeOwner / ALL_BPS, pot * shares.node / ALL_BPS);
        uint256 released = _sum(amounts);
        if (released == 0) revert NoFees(paymentToken, token);
        pot -= released;
        fees.pots[paymentToken] = pot;
        // One wallet may be all three: one by one, each from what the one before it left.
        mapping(address wallet => uint256) storage credits = $.credits[paymentToken];
        credits[to.platformOwner] += amounts.platformOwner;
        credits[to.nodeOwner] += amounts.nodeOwner;
        credits[to.node] += amounts.node;
        Split memory results = Split(credits[to.platformOwner], credits[to.nodeOwner], credits[to.node]);
        emit FeesReleased(token, paymentToken, to, amounts, results, pot);
    }

    /// @inheritdoc IFeeVault
    function draw(address paymentToken, address wallet) external nonReentrant returns (uint256 amount) {
        amount = _takeCredit(paymentToken, wallet);
        Payments.push(paymentToken, wallet, amount);
        emit FeesDrawn(paymentToken, wallet, amount);
    }

    /// @inheritdoc IFeeVault
    function moveFees(address paymentToken, address from, address to, bytes32 reason)
        external
        nonReentrant
        onlyRole(DEFAULT_ADMIN_ROLE)
    {
        if (to == address(0)) revert InvalidAddress(to);
        uint256 amount = _takeCredit(paymentToken, from);
        uint256 credit = _fees().credits[paymentToken][to] += amount;
        emit FeesMoved(paymentToken, from, to, amount, credit, reason, _msgSender());
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IFeeVault
    function feeTermsOf(address token) external view returns (Beneficiaries memory, Split memory) {
        TokenFees storage fees = _fees().fees[token];
        return (fees.beneficiaries, fees.shares);
    }

    /// @inheritdoc IFeeVault
    function allocatedOf(address token) external view returns (Split memory) {
        return _fees().fees[token].allocated;
    }

    /// @inheritdoc IFeeVault
    function potOf(address token, address paymentToken) external view returns (uint256) {
        return _fees().fees[token].pots[paymentToken];
    }

    /// @inheritdoc IFeeVault
    function creditOf(address paymentToken, address wallet) external view returns (uint256) {
        return _fees().credits[paymentToken][wallet];
    }

    /// @inheritdoc INodeContract
    function operations() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](3);
        selectors[0] = IFeeVault.allocate.selector;
        selectors[1] = IFeeVault.release.selector;
        selectors[2] = IFeeVault.draw.selector;
    }

    /// @inheritdoc INodeContract
    function termSetters() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](1);
        selectors[0] = IFeeVault.setFeeTerms.selector;
    }

    // ---------------------------------------------------------------- private

    function _wire(NodeInit calldata init) internal override {
        FeeStorage storage $ = _fees();
        ($.listing, $.secondaryMarket, $.otcDesk) =
        (init.contracts.listing, init.contracts.secondaryMarket, init.contracts.otcDesk);
    }

    function _takeCredit(address paymentToken, address wallet) private returns (uint256 amount) {
        mapping(address wallet => uint256) storage credits = _fees().credits[paymentToken];
        amount = credits[wallet];
        if (amount == 0) revert NoFees(paymentToken, wallet);
        credits[wallet] = 0;
    }

    function _mint(address token, address to, uint256 amount) private {
        if (amount != 0) ISecurityToken(token).mint(to, amount, "fee");
    }

    function _sum(Split memory split) private pure returns (uint256) {
        return split.platformOwner + split.nodeOwner + split.node;
    }

    function _fees() private pure returns (FeeStorage storage $) {
        assembly ("memory-safe") {
            $.slot := FEE_STORAGE
        }
    }
}
