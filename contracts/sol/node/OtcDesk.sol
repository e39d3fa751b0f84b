// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeContract} from "../interfaces/INodeContract.sol";
import {IOtcDesk} from "../interfaces/IOtcDesk.sol";
import {TokenRoles} from "../lib/TokenRoles.sol";
import {NodeContract} from "./NodeContract.sol";
import {Trading} from "./Trading.sol";

/// @title OtcDesk
/// @notice Settles deals between two wallets.
contract OtcDesk is IOtcDesk, Trading {
    /// @custom:storage-location erc7201:tokenx.storage.OtcDesk
    struct OtcStorage {
        mapping(address token => OtcTerms) terms;
        mapping(bytes32 deal => DealState) states;
    }

    bytes32 private constant DEAL = keccak256(
        "Deal(address token,address seller,address buyer,uint256 quantity,address paymentToken,uint256 payment,uint16 maxFeeBps,uint64 validFrom,uint64 deadline,bytes32 terms,bytes32 salt)"
    );

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.OtcDesk")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant OTC_STORAGE = 0xdc62f8324cd9e38f82d15228aa5d7e8ae81fd1feb1231b8c1142c004e2e22f00;

    constructor() NodeContract("tokenx OtcDesk") {}

    /// @inheritdoc IOtcDesk
    function setOtcTerms(address token, OtcTerms calldata terms, bytes32 reason) external onlyTerms(token) {
        if (!_isFee(terms.feeBps)) revert InvalidOtcTerms(token);
        _otc().terms[token] = terms;
        emit OtcTermsChanged(token, terms, reason, _msgSender());
    }

    // ---------------------------------------------------------------- deals

    /// @inheritdoc IOtcDesk
    function settle(Deal calldata deal, bytes calldata sellerSignature, bytes calldata buyerSignature)
        external
        nonReentrant
    {
        OtcTerms memory terms = _otc().terms[deal.token];
        if (!terms.open) revert OtcClosed(deal.token);
        bytes32 hash = hashOf(deal);
        uint256 fee = _fee(deal.payment, terms.feeBps, deal.maxFeeBps);
        if (deal.seller == deal.buyer || deal.quantity == 0 || deal.payment == fee) revert InvalidDeal(hash);
        if (block.timestamp < deal.validFrom || block.timestamp > deal.deadline) {
            revert DealNotValid(hash, deal.validFrom, deal.deadline);
        }
        _end(hash, DealState.Settled);
        _checkConsent(deal, hash, sellerSignature, buyerSignature);
        _swap(
            Swap({
                token: deal.token,
                seller: deal.seller,
                buyer: deal.buyer,
                quantity: deal.quantity,
                paymentToken: deal.paymentToken,
                toSeller: deal.payment - fee,
                fee: fee
            })
        );
        emit DealSettled(deal.token, hash, deal.seller, deal.buyer, deal.quantity, deal.paymentToken, deal.payment, fee);
    }

    /// @inheritdoc IOtcDesk
    function cancel(Deal calldata deal) external {
        _cancel(deal, hashOf(deal), _msgSender());
    }

    /// @inheritdoc IOtcDesk
    function cancelFor(Deal calldata deal, address party, bytes calldata signature) external {
        bytes32 hash = hashOf(deal);
        _checkCancellation(party, hash, signature);
        _cancel(deal, hash, party);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IOtcDesk
    function otcTermsOf(address token) external view returns (OtcTerms memory) {
        return _otc().terms[token];
    }

    /// @inheritdoc IOtcDesk
    function hashOf(Deal calldata deal) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(DEAL, deal)));
    }

    /// @inheritdoc IOtcDesk
    function stateOf(bytes32 deal) external view returns (DealState) {
        return _otc().states[deal];
    }

    /// @inheritdoc INodeContract
    function operations() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](3);
        selectors[0] = IOtcDesk.settle.selector;
        selectors[1] = IOtcDesk.cancelFor.selector;
        selectors[2] = INodeContract.usePermit.selector;
    }

    /// @inheritdoc INodeContract
    function termSetters() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](1);
        selectors[0] = IOtcDesk.setOtcTerms.selector;
    }

    // ---------------------------------------------------------------- private

    /// @dev A party consents by calling or by signing.
    function _checkConsent(Deal calldata deal, bytes32 hash, bytes calldata sellers, bytes calldata buyers)
        private
        view
    {
        address caller = _msgSender();
        if (caller != deal.seller && caller != deal.buyer) _checkTokenRole(deal.token, TokenRoles.CARRIER_ROLE);
        if (caller != deal.seller) _checkSignature(deal.seller, hash, sellers);
        if (caller != deal.buyer) _checkSignature(deal.buyer, hash, buyers);
    }

    function _cancel(Deal calldata deal, bytes32 hash, address party) private {
        if (party != deal.seller && party != deal.buyer) revert NotParty(hash, party);
        _end(hash, DealState.Cancelled);
        emit DealCancelled(hash, party);
    }

    function _end(bytes32 hash, DealState state) private {
        mapping(bytes32 deal => DealState) storage states = _otc().states;
        if (states[hash] != DealState.Unknown) revert DealIsDone(hash, states[hash]);
        states[hash] = state;
    }

    function _otc() private pure returns (OtcStorage storage $) {
        assembly ("memory-safe") {
            $.slot := OTC_STORAGE
        }
    }
}
