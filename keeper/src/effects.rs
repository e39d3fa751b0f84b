//! Which log shows that a command did what its kind says. A call that succeeds without it is no success.

use std::collections::{HashMap, HashSet};

use alloy::primitives::B256;
use tokenx_indexer::event::{
    FactoryEvent, FeeVaultEvent, ListingEvent, OtcDeskEvent, RedemptionDeskEvent, RentDistributorEvent,
    SecondaryMarketEvent, TokenEvent,
};
use tokenx_indexer::{ChainLog, Event};

/// Kinds whose success leaves no log of the contract that was called, or none of necessity: where nothing had expired,
/// nothing was to be reclaimed; an allowance may have been there; a token that is retired says so itself.
const SILENT: [&str; 3] = ["reclaim_expired", "use_permit", "retire"];

/// Whether the chain's word that a command of this kind succeeded will do.
pub(crate) fn is_silent(kind: &str) -> bool {
    SILENT.contains(&kind)
}

/// Which kinds of operation each command had an effect of, by the logs attributed to it.
pub(crate) fn by_command(logs: &[ChainLog]) -> HashMap<B256, HashSet<&'static str>> {
    let mut effects: HashMap<B256, HashSet<&'static str>> = HashMap::new();
    for log in logs {
        let (Some(id), Some(event)) = (log.command, &log.event) else { continue };
        effects.entry(id).or_default().extend(kinds(event));
    }
    effects
}

fn kinds(event: &Event) -> &'static [&'static str] {
    match event {
        Event::Token(event) => of_token(event),
        Event::Registry(_) => &["whitelist", "revoke"],
        Event::Factory(FactoryEvent::TokenDeployed(_)) => &["deploy_token"],
        Event::Listing(event) => of_listing(event),
        Event::FeeVault(event) => of_fee_vault(event),
        Event::RedemptionDesk(event) => of_redemption_desk(event),
        Event::RentDistributor(event) => of_rent_distributor(event),
        Event::SecondaryMarket(event) => match event {
            SecondaryMarketEvent::MarketTermsChanged(_) => &["set_market_terms"],
            SecondaryMarketEvent::Traded(_) => &["settle_orders"],
            SecondaryMarketEvent::OrderCancelled(_) => &["cancel_order"],
            _ => &[],
        },
        Event::OtcDesk(event) => match event {
            OtcDeskEvent::OtcTermsChanged(_) => &["set_otc_terms"],
            OtcDeskEvent::DealSettled(_) => &["settle_deal"],
            OtcDeskEvent::DealCancelled(_) => &["cancel_deal"],
            _ => &[],
        },
        _ => &[],
    }
}

fn of_token(event: &TokenEvent) -> &'static [&'static str] {
    match event {
        TokenEvent::Minted(_) => &["mint", "mint_locked"],
        TokenEvent::Burned(_) => &["burn"],
        TokenEvent::FrozenChanged(_) => &["freeze", "unfreeze"],
        TokenEvent::AddressFreezeChanged(e) if e.frozen => &["freeze_address"],
        TokenEvent::AddressFreezeChanged(_) => &["unfreeze_address"],
        TokenEvent::ForcedTransferExecuted(_) => &["forced_transfer"],
        TokenEvent::ForcedBurnExecuted(_) => &["forced_burn"],
        TokenEvent::WalletRecovered(_) => &["recover"],
        TokenEvent::HoldChanged(e) => match e.cause {
            1 => &["place_hold"],
            3 => &["release_hold"],
            4 => &["execute_hold"],
            _ => &[],
        },
        TokenEvent::PauseChanged(_) => &["pause", "unpause", "pause_supply", "unpause_supply"],
        TokenEvent::LimitsChanged(_) => &["set_limits"],
        TokenEvent::CountryRuleChanged(_) => &["set_country_rule"],
        TokenEvent::DocumentChanged(_) => &["set_document", "remove_document"],
        TokenEvent::RentMinimumChanged(_) => &["set_rent_minimum"],
        TokenEvent::Approval(_) => &["permit"],
        _ => &[],
    }
}

fn of_listing(event: &ListingEvent) -> &'static [&'static str] {
    // As `IListing.Status` numbers them.
    const LISTED: u8 = 1;
    const DELISTED: u8 = 2;
    const PASSIVE: u8 = 3;
    match event {
        ListingEvent::ListingTermsChanged(_) => &["set_listing_terms"],
        ListingEvent::ListingStatusChanged(e) => match e.status {
            LISTED => &["list"],
            DELISTED => &["delist"],
            PASSIVE => &["passivate"],
            _ => &[],
        },
        ListingEvent::FeesReserved(_) => &["reserve_fees"],
        ListingEvent::Purchased(_) => &["buy"],
        _ => &[],
    }
}

fn of_fee_vault(event: &FeeVaultEvent) -> &'static [&'static str] {
    match event {
        FeeVaultEvent::FeeTermsChanged(_) => &["set_fee_terms"],
        FeeVaultEvent::FeesAllocated(_) => &["allocate_fees"],
        FeeVaultEvent::FeesReleased(_) => &["release_fees"],
        FeeVaultEvent::FeesDrawn(_) => &["draw_fees"],
        _ => &[],
    }
}

fn of_redemption_desk(event: &RedemptionDeskEvent) -> &'static [&'static str] {
    match event {
        RedemptionDeskEvent::RedemptionTermsChanged(_) => &["set_redemption_terms"],
        RedemptionDeskEvent::RedemptionRequested(_) => &["request_redemption"],
        RedemptionDeskEvent::RedemptionApproved(_) => &["approve_redemption"],
        RedemptionDeskEvent::RedemptionClosed(_) => &["reject_redemption"],
        RedemptionDeskEvent::CreditDrawn(_) => &["draw_credit"],
        RedemptionDeskEvent::CreditMoved(_) => &["move_credit"],
        RedemptionDeskEvent::Funded(_) => &["pay_in"],
        RedemptionDeskEvent::FundWithdrawn(_) => &["withdraw"],
        _ => &[],
    }
}

fn of_rent_distributor(event: &RentDistributorEvent) -> &'static [&'static str] {
    match event {
        RentDistributorEvent::RentTermsChanged(_) => &["set_rent_terms"],
        RentDistributorEvent::RentOpened(_) => &["open_rent"],
        RentDistributorEvent::RentPaid(_) => &["claim_rent", "push_rent"],
        // One of many; the others were paid, or could not be either.
        RentDistributorEvent::RentPaymentFailed(_) => &["push_rent"],
        RentDistributorEvent::Funded(_) => &["pay_in"],
        RentDistributorEvent::FundWithdrawn(_) => &["withdraw"],
        _ => &[],
    }
}
