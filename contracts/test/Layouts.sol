// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TokenCore} from "../sol/TokenCore.sol";
import {FeeVault} from "../sol/node/FeeVault.sol";
import {Listing} from "../sol/node/Listing.sol";
import {NodeContract} from "../sol/node/NodeContract.sol";
import {OtcDesk} from "../sol/node/OtcDesk.sol";
import {RedemptionDesk} from "../sol/node/RedemptionDesk.sol";
import {RentDistributor} from "../sol/node/RentDistributor.sol";
import {SecondaryMarket} from "../sol/node/SecondaryMarket.sol";
import {TokenFunds} from "../sol/node/TokenFunds.sol";
import {Trading} from "../sol/node/Trading.sol";

/// @notice The namespaced storage of all that can be upgraded, laid out where the compiler tells of it. Read by
/// tools/layout.mjs; never deployed.
contract Layouts {
    TokenCore.TokenStorage internal token;
    NodeContract.NodeStorage internal node;
    Listing.ListingStorage internal listing;
    FeeVault.FeeStorage internal fees;
    TokenFunds.FundStorage internal funds;
    RedemptionDesk.DeskStorage internal redemptions;
    RentDistributor.RentStorage internal rents;
    Trading.TradingStorage internal trading;
    SecondaryMarket.MarketStorage internal market;
    OtcDesk.OtcStorage internal otc;
}
