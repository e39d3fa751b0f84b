//! Why something was refused: one catalogue from the contract's restriction codes and errors to the API's
//! `reason_code`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

mod revert;

pub use revert::{Revert, decode_revert};

/// Declares the catalogue: variant, name, restriction code on chain (if it is one), message.
macro_rules! catalogue {
    ($($variant:ident $name:literal $code:expr, $message:literal;)+) => {
        /// A reason for refusing, the same everywhere. Its name is the API's `reason_code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $(#[doc = $message] $variant,)+
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name: `UPPER_SNAKE`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence, for people.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)+ }
            }

            /// The contract's restriction code (ERC-1404) that means the same, where there is one.
            #[must_use]
            pub const fn restriction(self) -> Option<u8> {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

catalogue! {
    // What the token itself restricts: `sol/lib/RestrictionCodes.sol`.
    TokenPaused             "TOKEN_PAUSED"              Some(10), "transfers of this token are paused";
    SenderFrozen            "SENDER_FROZEN"             Some(11), "the sender's wallet is frozen";
    RecipientFrozen         "RECIPIENT_FROZEN"          Some(12), "the recipient's wallet is frozen";
    AmountFrozen            "AMOUNT_FROZEN"             Some(13), "the amount reaches into the sender's frozen balance";
    AmountHeld              "AMOUNT_HELD"               Some(14), "the amount reaches into units under a hold";
    SupplyPaused            "SUPPLY_PAUSED"             Some(15), "minting and burning of this token are paused";
    MaxSupplyExceeded       "MAX_SUPPLY_EXCEEDED"       Some(16), "the amount would exceed the maximum supply";
    SenderNotWhitelisted    "SENDER_NOT_WHITELISTED"    Some(20), "the sender's wallet is not whitelisted";
    RecipientNotWhitelisted "RECIPIENT_NOT_WHITELISTED" Some(21), "the recipient's wallet is not whitelisted";
    SenderKycExpired        "SENDER_KYC_EXPIRED"        Some(22), "the sender's KYC has expired";
    RecipientKycExpired     "RECIPIENT_KYC_EXPIRED"     Some(23), "the recipient's KYC has expired";
    SenderSanctioned        "SENDER_SANCTIONED"         Some(24), "the sender is under sanctions";
    RecipientSanctioned     "RECIPIENT_SANCTIONED"      Some(25), "the recipient is under sanctions";
    RecipientCountry        "RECIPIENT_COUNTRY"         Some(26), "the recipient's country is not admitted";
    RegistryUnavailable     "REGISTRY_UNAVAILABLE"      Some(29), "the investor registry gives no answer";
    HolderLimit             "HOLDER_LIMIT"              Some(30), "the token may have no more holders";
    BalanceLimit            "BALANCE_LIMIT"             Some(31), "the recipient may not hold that much";

    // What else the contracts refuse, by their errors.
    InsufficientBalance     "INSUFFICIENT_BALANCE"      None, "the balance is too small";
    AllowanceTooSmall       "ALLOWANCE_TOO_SMALL"       None, "the wallet has allowed less to be taken";
    TransferNotAllowed      "TRANSFER_NOT_ALLOWED"      None, "the token does not allow this transfer";
    SelfTransfer            "SELF_TRANSFER"             None, "sender and recipient are the same wallet";
    InvalidWallet           "INVALID_WALLET"            None, "no wallet can have this address";
    InvalidInvestor         "INVALID_INVESTOR"          None, "the investor record is not valid";
    WalletBelongsToOther    "WALLET_BELONGS_TO_OTHER"   None, "the wallet belongs to another investor";
    InvalidHold             "INVALID_HOLD"              None, "the hold or lockup is not valid";
    UnknownHold             "UNKNOWN_HOLD"              None, "there is no such hold";
    NotHoldAgent            "NOT_HOLD_AGENT"            None, "the hold belongs to another agent";
    HoldExpired             "HOLD_EXPIRED"              None, "the hold has expired";
    TooManyHolds            "TOO_MANY_HOLDS"            None, "the wallet can have no more holds";
    WalletNotRevoked        "WALLET_NOT_REVOKED"        None, "the lost wallet is still whitelisted, revoke it first";
    NotSameInvestor         "NOT_SAME_INVESTOR"         None, "the two wallets do not belong to one investor";
    RecoveryAmount          "RECOVERY_AMOUNT"           None, "a recovery moves the whole balance";
    InvalidCountryRule      "INVALID_COUNTRY_RULE"      None, "the country rule is not valid";
    InvalidDocument         "INVALID_DOCUMENT"          None, "the document is not valid";
    UnknownDocument         "UNKNOWN_DOCUMENT"          None, "there is no such document";
    LengthMismatch          "LENGTH_MISMATCH"           None, "the lists of the batch differ in length";
    NotOnSale               "NOT_ON_SALE"               None, "the token is not on sale now";
    InvalidStatusChange     "INVALID_STATUS_CHANGE"     None, "a sale cannot go from its status to this one";
    SoldOut                 "SOLD_OUT"                  None, "fewer tokens are left for sale";
    NotWhole                "NOT_WHOLE"                 None, "only whole tokens are sold";
    PurchaseOutOfRange      "PURCHASE_OUT_OF_RANGE"     None, "the investor would have bought too few or too many tokens";
    CostAboveLimit          "COST_ABOVE_LIMIT"          None, "the price is not the one that was agreed to";
    FeeAboveLimit           "FEE_ABOVE_LIMIT"           None, "the fee is higher than was agreed to";
    FeeSupplyExceeded       "FEE_SUPPLY_EXCEEDED"       None, "less is set aside for fees";
    FeesAboveLimit          "FEES_ABOVE_LIMIT"          None, "the terms allow less for fees";
    FundTooSmall            "FUND_TOO_SMALL"            None, "the token's fund is too small";
    PaymentFailed           "PAYMENT_FAILED"            None, "the payment token did not pay as it should";
    WrongPaymentToken       "WRONG_PAYMENT_TOKEN"       None, "this is not what is paid with";
    IntentExpired           "INTENT_EXPIRED"            None, "what was signed has expired";
    IntentUsed              "INTENT_USED"               None, "what was signed has been used or taken back";
    InvalidSignature        "INVALID_SIGNATURE"         None, "the wallet has not signed this";
    UnknownRequest          "UNKNOWN_REQUEST"           None, "there is no such open redemption request";
    PayoutTooLow            "PAYOUT_TOO_LOW"            None, "the payout is below what was signed";
    PayoutTooHigh           "PAYOUT_TOO_HIGH"           None, "the payout is above what the terms allow";
    NothingToPay            "NOTHING_TO_PAY"            None, "there is nothing to pay";
    RentWithheld            "RENT_WITHHELD"             None, "the wallet may not be paid now";
    RentPeriod              "RENT_PERIOD"               None, "this rent period cannot be opened now";
    RentOwed                "RENT_OWED"                 None, "rent is owed still in another payment token";
    RentMinimumFixed        "RENT_MINIMUM_FIXED"        None, "the rent minimum is fixed once there are units";
    GasTooLow               "GAS_TOO_LOW"               None, "too little gas is left for one more payment";
    NobodyEarns             "NOBODY_EARNS"              None, "no token earns rent";
    MarketClosed            "MARKET_CLOSED"             None, "the market is closed for this token";
    OrdersDoNotMatch        "ORDERS_DO_NOT_MATCH"       None, "the two orders do not match";
    NotWholeLots            "NOT_WHOLE_LOTS"            None, "only whole lots are traded";
    TradeTooSmall           "TRADE_TOO_SMALL"           None, "the seller would get nothing";
    PriceOutsideBand        "PRICE_OUTSIDE_BAND"        None, "the price is outside the band";
    OrderNotValid           "ORDER_NOT_VALID"           None, "the order does not count now";
    OrderCancelled          "ORDER_CANCELLED"           None, "the order has been cancelled";
    OrderOverfilled         "ORDER_OVERFILLED"          None, "less is left of the order";
    DealNotValid            "DEAL_NOT_VALID"            None, "the deal does not count";
    DealDone                "DEAL_DONE"                 None, "the deal has been settled or cancelled";
    InvalidTerms            "INVALID_TERMS"             None, "the terms are not valid";
    TokenRetired            "TOKEN_RETIRED"             None, "the token is retired";
    StillHeld               "STILL_HELD"                None, "the token still has holders";
    StillOnSale             "STILL_ON_SALE"             None, "the sale of the token has not ended for ever";
    InstrumentExists        "INSTRUMENT_EXISTS"         None, "an instrument with this id exists";
    InvalidInstrument       "INVALID_INSTRUMENT"        None, "the token's configuration is not valid";
    ActionNotAllowed        "ACTION_NOT_ALLOWED"        None, "the executor is not allowed to do this";
    DailyLimitExceeded      "DAILY_LIMIT_EXCEEDED"      None, "the day's limit on chain is exceeded";
    ExecutorStopped         "EXECUTOR_STOPPED"          None, "the executor has been stopped by its guardian";
    RoleMissing             "ROLE_MISSING"              None, "the sender lacks the role for this on chain";
    CommandMalformed        "COMMAND_MALFORMED"         None, "the executor cannot read the command";
    ContractPanic           "CONTRACT_PANIC"            None, "the contract stopped on an internal error";
    ContractRefused         "CONTRACT_REFUSED"          None, "the contract refused";
    NoReason                "NO_REASON"                 None, "the contract gave no reason: it ran out of gas, or there is no contract";
    RunUnknown              "RUN_UNKNOWN"               None, "the executor says that it ran before, but no run of it is indexed: an operator must look";
    EffectMissing           "EFFECT_MISSING"            None, "the call succeeded without its effect";

    // What is refused before any transaction.
    UnknownInstrument       "UNKNOWN_INSTRUMENT"        None, "there is no such instrument";
    UnknownParty            "UNKNOWN_PARTY"             None, "there is no such party";
    UnknownWallet           "UNKNOWN_WALLET"            None, "the wallet is not known";
    UnknownNode             "UNKNOWN_NODE"              None, "there is no such node";
    NodeContractMissing     "NODE_CONTRACT_MISSING"     None, "the instrument's node has no such contract";
    WalletNotWhitelisted    "WALLET_NOT_WHITELISTED"    None, "the wallet is not whitelisted";
    WalletFrozen            "WALLET_FROZEN"             None, "the wallet is frozen";
    KycExpired              "KYC_EXPIRED"               None, "the wallet's KYC has expired";
    KycNotApproved          "KYC_NOT_APPROVED"          None, "the party's KYC is not approved";
    SanctionsHit            "SANCTIONS_HIT"             None, "the investor is under sanctions";
    AccountSuspended        "ACCOUNT_SUSPENDED"         None, "the account is suspended";
    RedemptionUnfunded      "REDEMPTION_UNFUNDED"       None, "the token's redemption fund has too little left";
    InsufficientSpendable   "INSUFFICIENT_SPENDABLE"    None, "the spendable balance is too small";
    InstrumentInexact       "INSTRUMENT_INEXACT"        None, "the instrument's balances cannot be trusted";
    InstrumentNotOperated   "INSTRUMENT_NOT_OPERATED"   None, "the instrument is followed but not operated here";
    PositionBusy            "POSITION_BUSY"             None, "a freeze or a forced command of this position is still open, try again once it is mined";
    PermitUnsupported       "PERMIT_UNSUPPORTED"        None, "the payment token knows no permits, give an allowance on chain";
    InsufficientFunds       "INSUFFICIENT_FUNDS"        None, "the wallet has less money that is free and allowed";
    NotListed               "NOT_LISTED"                None, "the token is not listed";
    OutsideHours            "OUTSIDE_HOURS"             None, "the market of this token is closed at this time of day";
    PriceOffTick            "PRICE_OFF_TICK"            None, "the price is no multiple of the tick";
    NoLiquidity             "NO_LIQUIDITY"              None, "there is nobody on the other side to trade with";
    SelfTrade               "SELF_TRADE"                None, "the order met an older one of the same party";
    Unfilled                "UNFILLED"                  None, "nobody took the rest of an order that does not wait";
    InsufficientFundsAtSettlement "INSUFFICIENT_FUNDS_AT_SETTLEMENT" None, "units or money were gone when the trade was to be settled";
    CommandConflict         "COMMAND_CONFLICT"          None, "the command id was used for another command";
    CommandExpired          "COMMAND_EXPIRED"           None, "the command was not executed in time";
    CommandCancelled        "COMMAND_CANCELLED"         None, "the command was cancelled";
}

impl ReasonCode {
    /// The code for a contract's restriction code; `None` for 0 (no restriction) and for codes unknown here.
    #[must_use]
    pub fn from_restriction(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.restriction() == Some(code))
    }

    /// Its name in lower case, as the Token App surface writes it.
    #[must_use]
    pub fn lower(self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is in no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a reason code")]
pub struct UnknownReasonCode(pub String);

impl FromStr for ReasonCode {
    type Err = UnknownReasonCode;

    fn from_str(name: &str) -> Result<Self, UnknownReasonCode> {
        let found = Self::ALL.iter().copied().find(|code| code.as_str() == name);
        found.ok_or_else(|| UnknownReasonCode(name.to_owned()))
    }
}

/// As its name.
impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
