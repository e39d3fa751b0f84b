//! Who may do what: one table, from which the router, the OpenAPI document's security, the role matrix
//! (`ROLES.md`) and the authorization test are all made. A route that is not here does not exist.
//!
//! The rows follow the roles of the reference texts; a super admin may do what any other role may (save an
//! investor's own act), so the table never has to name that role.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Surface;

/// What a person or a back-office tool is to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds instruments; acts for one party.
    Investor,
    /// Issues instruments; acts for one issuer and sees only its own.
    Issuer,
    /// Decides who may hold.
    ComplianceOfficer,
    /// Mints, burns and moves by law.
    TransferAgent,
    /// Runs the platform.
    SuperAdmin,
}

impl Role {
    /// Every role, least powerful first.
    pub const ALL: [Role; 5] =
        [Role::Investor, Role::Issuer, Role::ComplianceOfficer, Role::TransferAgent, Role::SuperAdmin];

    /// The role's name as tokens, tables and answers carry it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Investor => "investor",
            Role::Issuer => "issuer",
            Role::ComplianceOfficer => "compliance_officer",
            Role::TransferAgent => "transfer_agent",
            Role::SuperAdmin => "super_admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            let known = Role::ALL.map(Role::as_str).join(", ");
            format!("no role is called {text:?}: use one of {known}")
        })
    }
}

/// What a service token may be used for, beside its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Mint, burn and what else writes to the ledger.
    LedgerWrite,
    /// Read mints, burns, holdings and commands.
    DataRead,
    /// Read operational state.
    OpsRead,
    /// Read compliance records.
    ComplianceRead,
    /// Decide on applicants and wallets.
    ComplianceWrite,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 5] =
        [Scope::LedgerWrite, Scope::DataRead, Scope::OpsRead, Scope::ComplianceRead, Scope::ComplianceWrite];

    /// The scope's name as tokens and tables carry it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::LedgerWrite => "ledger:write",
            Scope::DataRead => "data:read",
            Scope::OpsRead => "ops:read",
            Scope::ComplianceRead => "compliance:read",
            Scope::ComplianceWrite => "compliance:write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Scope, String> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            let known = Scope::ALL.map(Scope::as_str).join(", ");
            format!("no scope is called {text:?}: use one of {known}")
        })
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// No token needed, none looked at.
    Anyone,
    /// Any authenticated role.
    Any,
    /// These roles, and super admins.
    Roles(&'static [Role]),
    /// Investors alone: it is their own act, for their own party.
    Investors,
}

impl Who {
    /// Whether the role may call it.
    pub fn permits(self, role: Role) -> bool {
        match self {
            Who::Anyone | Who::Any => true,
            Who::Roles(roles) => role == Role::SuperAdmin || roles.contains(&role),
            Who::Investors => role == Role::Investor,
        }
    }
}

/// Which rate limit an operation counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateClass {
    /// Password checks.
    Login,
    /// Everything that changes something.
    Write,
    /// Everything that only looks.
    Read,
    /// Health and metrics: never limited.
    Exempt,
}

/// Everything a client can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is described by its row of POLICY")]
pub enum Operation {
    Login,
    Refresh,
    Logout,
    WalletNonce,
    WalletLogin,
    ListUsers,
    AddUser,
    SuspendUser,
    ResumeUser,
    SetPassword,
    ListServiceTokens,
    AddServiceToken,
    RevokeServiceToken,
    ListParties,
    AddParty,
    ListIssuers,
    AddIssuer,
    Mint,
    Burn,
    GetCommand,
    ListMints,
    ListBurns,
    ListHoldings,
    GetStatus,
    CreateToken,
    EditToken,
    GetToken,
    ListTokens,
    AddImage,
    AddDocument,
    RemoveImage,
    RemoveDocument,
    GetFile,
    AddPrice,
    DeployToken,
    ListToken,
    DelistToken,
    PassivateToken,
    BurnToken,
    GetTokenCommand,
    CreateOffering,
    EditOffering,
    GetOffering,
    ListOfferings,
    PublishOffering,
    ApproveOffering,
    RejectOffering,
    AddOfferingDocument,
    RemoveOfferingDocument,
    Subscribe,
    ListSubscriptions,
    ListOwnSubscriptions,
    PlaceOrder,
    CancelOrder,
    ListOrders,
    GetOrderBook,
    ListTrades,
    ProposeDeal,
    ListDeals,
    GetDeal,
    AcceptDeal,
    CancelDeal,
    TokenizeWhitelist,
    TokenizeMint,
    TokenizeBurn,
    TokenizeFreeze,
    TokenizeUnfreeze,
    TokenizeForceTransfer,
    CheckTransfer,
    ListTransferRestrictions,
    GetCapTable,
    GetRegDReport,
    AuditLog,
    VerifyAuditLog,
    GetInvestor,
    StartKyc,
    GetKycStatus,
    HearKyc,
    ListApplicants,
    ApproveApplicant,
    RejectApplicant,
    GetPortfolio,
    ListOwnWallets,
    RegisterWallet,
    ChallengeWallet,
    MakeWalletPrimary,
    GetApproval,
    ListWallets,
    ApproveWallet,
    RejectWallet,
    RequestRedemption,
    ListOwnRedemptions,
    ListRedemptions,
    ApproveRedemption,
    RejectRedemption,
    ActOnRent,
    GetRent,
    GetTokenNode,
    Events,
    Healthz,
    Readyz,
    Metrics,
    GraphQl,
    GraphQlSocket,
    OpenApi,
    Docs,
}

/// An operation's HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        })
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The operation it is about.
    pub operation: Operation,
    /// Its name in the OpenAPI document: `<verb>_<resource>`.
    pub id: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path as documented, in router syntax.
    pub path: &'static str,
    /// Which error family it speaks.
    pub surface: Surface,
    /// Who may call it.
    pub who: Who,
    /// A service token needs one of these besides the role; none listed: people only, save where `who` is anyone.
    pub scopes: &'static [Scope],
    /// Which rate limit it counts against.
    pub rate: RateClass,
    /// Beyond the reference texts.
    pub extension: bool,
    /// A write that ends here: with an `Idempotency-Key` its answer is kept for a day.
    pub remembered: bool,
}

impl Rule {
    /// Whether the route is also served under `/v1`, as the platform reference is.
    pub fn also_v1(&self) -> bool {
        let reference = [
            "/auth/",
            "/investors/",
            "/offerings",
            "/compliance/",
            "/tokenization/",
            "/investor/",
            "/transfer-agent/",
            "/ats/",
        ]
        .iter()
        .any(|prefix| self.path.starts_with(prefix));
        self.surface == Surface::Platform && reference
    }
}

const MINTERS: Who = Who::Roles(&[Role::TransferAgent]);
const ISSUERS: Who = Who::Roles(&[Role::Issuer]);
const ADMIN: Who = Who::Roles(&[]);
const OFFICERS: Who = Who::Roles(&[Role::ComplianceOfficer]);
const ISSUING: Who = Who::Roles(&[Role::Issuer, Role::TransferAgent]);
/// Issuer and transfer agent fund and open; investors claim for their own wallets. Who may do what of it, its handler says.
const RENT: Who = Who::Roles(&[Role::Investor, Role::Issuer, Role::TransferAgent]);
const CAP_TABLE_READERS: Who = Who::Roles(&[Role::ComplianceOfficer, Role::Issuer]);
const WHITELISTERS: Who = Who::Roles(&[Role::ComplianceOfficer, Role::TransferAgent]);
const LEDGER_READERS: Who = Who::Roles(&[Role::TransferAgent, Role::ComplianceOfficer, Role::Issuer]);

/// No scope opens it to a tool.
const PEOPLE: &[Scope] = &[];

/// Operation × role.
#[rustfmt::skip] // a table is read by its columns
pub const POLICY: &[Rule] = &{
    use Operation as Op;
    use RateClass as Rate;
    use Surface::{Platform, TokenApp};
    use Method::{Delete as DELETE, Get as GET, Patch as PATCH, Post as POST};

    [
        rule(Op::Login,        "create_session",   POST, "/auth/login",                      Platform, Who::Anyone,    &[],                                   Rate::Login),
        rule(Op::Refresh,      "refresh_session",  POST, "/auth/refresh",                    Platform, Who::Anyone,    &[],                                   Rate::Write),
        rule(Op::Logout,       "end_session",      POST, "/auth/logout",                     Platform, Who::Any,       &Scope::ALL,                           Rate::Write),
        rule(Op::WalletNonce,  "create_wallet_nonce", POST, "/auth/wallet/nonce",            Platform, Who::Anyone,    &[],                                   Rate::Write).extension(),
        rule(Op::WalletLogin,  "create_wallet_session", POST, "/auth/wallet/login",          Platform, Who::Anyone,    &[],                                   Rate::Login).extension(),
        rule(Op::ListUsers,    "list_users",       GET,  "/admin/users",                     Platform, ADMIN,          PEOPLE,                                Rate::Read).extension(),
        rule(Op::AddUser,      "add_user",         POST, "/admin/users",                     Platform, ADMIN,          PEOPLE,                                Rate::Write).extension(),
        rule(Op::SuspendUser,  "suspend_user",     POST, "/admin/users/{user_id}/suspend",   Platform, ADMIN,          PEOPLE,                                Rate::Write).extension(),
        rule(Op::ResumeUser,   "resume_user",      POST, "/admin/users/{user_id}/resume",    Platform, ADMIN,          PEOPLE,                                Rate::Write).extension(),
        rule(Op::SetPassword,  "set_password",     POST, "/admin/users/{user_id}/password",  Platform, ADMIN,          PEOPLE,                                Rate::Write).extension(),
        rule(Op::ListServiceTokens, "list_service_tokens", GET, "/admin/service-tokens",     Platform, ADMIN,          PEOPLE,                                Rate::Read).extension(),
        rule(Op::AddServiceToken, "add_service_token", POST, "/admin/service-tokens",        Platform, ADMIN,          PEOPLE,                                Rate::Write).extension(),
        rule(Op::RevokeServiceToken, "revoke_service_token", POST, "/admin/service-tokens/{service_token_id}/revoke", Platform, ADMIN, PEOPLE,                      Rate::Write).extension(),
        rule(Op::ListParties,  "list_parties",     GET,  "/admin/parties",                   Platform, ADMIN,          PEOPLE,                                Rate::Read).extension(),
        rule(Op::AddParty,     "add_party",        POST, "/admin/parties",                   Platform, ADMIN,          PEOPLE,                                Rate::Write).extension(),
        rule(Op::ListIssuers,  "list_issuers",     GET,  "/admin/issuers",                   Platform, ADMIN,          PEOPLE,                                Rate::Read).extension(),
        rule(Op::AddIssuer,    "add_issuer",       POST, "/admin/issuers",                   Platform, ADMIN,          PEOPLE,                                Rate::Write).extension(),
        rule(Op::Mint,         "mint",             POST, "/api/admin/mint",                  TokenApp, MINTERS,        &[Scope::LedgerWrite],                 Rate::Write),
        rule(Op::Burn,         "burn",             POST, "/api/admin/burn",                  TokenApp, MINTERS,        &[Scope::LedgerWrite],                 Rate::Write),
        rule(Op::GetCommand,   "get_command",      GET,  "/api/admin/commands/{command_id}", TokenApp, MINTERS,        &[Scope::LedgerWrite, Scope::DataRead], Rate::Read).extension(),
        rule(Op::ListMints,    "list_mints",       GET,  "/data/admin/mints",                TokenApp, LEDGER_READERS, &[Scope::DataRead],                    Rate::Read),
        rule(Op::ListBurns,    "list_burns",       GET,  "/data/admin/burns",                TokenApp, LEDGER_READERS, &[Scope::DataRead],                    Rate::Read),
        rule(Op::ListHoldings, "list_holdings",    GET,  "/data/admin/holdings",             TokenApp, LEDGER_READERS, &[Scope::DataRead],                    Rate::Read),
        rule(Op::GetStatus,    "get_status",       GET,  "/status",                          TokenApp, Who::Any,       &[Scope::OpsRead, Scope::DataRead],    Rate::Read),
        rule(Op::CreateToken,  "create_token",     POST, "/v2/admin/token",                  Platform, ISSUERS,        &[Scope::LedgerWrite],                 Rate::Write).extension().remembered(),
        rule(Op::EditToken,    "update_token",     PATCH, "/v2/admin/token/{token_id}",      Platform, ISSUERS,        &[Scope::LedgerWrite],                 Rate::Write).extension(),
        rule(Op::GetToken,     "get_token",        GET,  "/v2/admin/token/{token_id}",       Platform, LEDGER_READERS, &[Scope::DataRead],                    Rate::Read),
        rule(Op::ListTokens,   "list_tokens",      GET,  "/v2/admin/token",                  Platform, LEDGER_READERS, &[Scope::DataRead],                    Rate::Read).extension(),
        rule(Op::AddImage,     "add_token_image",  POST, "/v2/admin/token/{token_id}/images", Platform, ISSUERS,       &[Scope::LedgerWrite],                 Rate::Write).extension().remembered(),
        rule(Op::AddDocument,  "add_token_document", POST, "/v2/admin/token/{token_id}/documents", Platform, ISSUERS,  &[Scope::LedgerWrite],                 Rate::Write).extension().remembered(),
        rule(Op::RemoveImage,  "remove_token_image", DELETE, "/v2/admin/token/{token_id}/images/{file_id}", Platform, ISSUERS, &[Scope::LedgerWrite],         Rate::Write).extension(),
        rule(Op::RemoveDocument, "remove_token_document", DELETE, "/v2/admin/token/{token_id}/documents/{file_id}", Platform, ISSUERS, &[Scope::LedgerWrite], Rate::Write).extension(),
        rule(Op::GetFile,      "get_file",         GET,  "/files/{token_id}/{file}",         Platform, Who::Anyone,    &[],                                   Rate::Read).extension(),
        rule(Op::AddPrice,     "add_token_price",  POST, "/v2/admin/token/{token_id}/prices", Platform, ISSUING,       &[Scope::LedgerWrite],                 Rate::Write).extension().remembered(),
        rule(Op::ActOnRent,    "act_on_token_rent", POST, "/v2/admin/token/{token_id}/rent", Platform, RENT,          &[Scope::LedgerWrite],                 Rate::Write).extension(),
        rule(Op::GetRent,      "get_token_rent",   GET,  "/v2/admin/token/{token_id}/rent",  Platform, RENT,           &[Scope::DataRead],                    Rate::Read).extension(),
        rule(Op::GetTokenNode, "get_token_node",  GET,  "/v2/admin/token/{token_id}/node",  Platform, LEDGER_READERS, &[Scope::DataRead],                    Rate::Read).extension(),
        rule(Op::DeployToken,  "deploy_token",     POST, "/v2/admin/token/{token_id}/deploy", Platform, ISSUING,       &[Scope::LedgerWrite],                 Rate::Write).extension(),
        rule(Op::ListToken,    "list_token",       POST, "/v2/admin/token/{token_id}/list",  Platform, ADMIN,          &[Scope::LedgerWrite],                 Rate::Write).extension(),
        rule(Op::DelistToken,  "delist_token",     POST, "/v2/admin/token/{token_id}/delist", Platform, ISSUING,       &[Scope::LedgerWrite],                 Rate::Write).extension(),
        rule(Op::PassivateToken, "passivate_token", POST, "/v2/admin/token/{token_id}/passivate", Platform, ISSUING,   &[Scope::LedgerWrite],                 Rate::Write).extension(),
        rule(Op::BurnToken,    "burn_token",       POST, "/v2/admin/token/{token_id}/burn",  Platform, ISSUING,        &[Scope::LedgerWrite],                 Rate::Write).extension(),
        rule(Op::GetTokenCommand, "get_token_command", GET, "/v2/admin/command/{command_id}", Platform, ISSUING,       &[Scope::LedgerWrite, Scope::DataRead], Rate::Read).extension(),
        rule(Op::CreateOffering, "create_offering", POST, "/offerings",                      Platform, ISSUERS,        &[Scope::LedgerWrite],                 Rate::Write).remembered(),
        rule(Op::EditOffering, "update_offering",  PATCH, "/offerings/{offering_id}",        Platform, ISSUERS,        &[Scope::LedgerWrite],                 Rate::Write),
        rule(Op::GetOffering,  "get_offering",     GET,  "/offerings/{offering_id}",         Platform, Who::Any,       &[Scope::DataRead],                    Rate::Read),
        rule(Op::ListOfferings, "list_offerings",  GET,  "/offerings",                       Platform, Who::Any,       &[Scope::DataRead],                    Rate::Read),
        rule(Op::PublishOffering, "publish_offering", POST, "/offerings/{offering_id}/publish", Platform, ISSUERS,     &[Scope::LedgerWrite],                 Rate::Write).remembered(),
        rule(Op::ApproveOffering, "approve_offering", POST, "/offerings/{offering_id}/approve", Platform, ADMIN,       &[Scope::LedgerWrite],                 Rate::Write).extension().remembered(),
        rule(Op::RejectOffering, "reject_offering", POST, "/offerings/{offering_id}/reject", Platform, ADMIN,          &[Scope::LedgerWrite],                 Rate::Write).extension().remembered(),
        rule(Op::AddOfferingDocument, "add_offering_document", POST, "/offerings/{offering_id}/documents", Platform, ISSUERS, &[Scope::LedgerWrite],          Rate::Write).extension().remembered(),
        rule(Op::RemoveOfferingDocument, "remove_offering_document", DELETE, "/offerings/{offering_id}/documents/{file_id}", Platform, ISSUERS, &[Scope::LedgerWrite], Rate::Write).extension(),
        rule(Op::Subscribe,    "create_subscription", POST, "/offerings/{offering_id}/subscribe", Platform, Who::Investors, &[],                                Rate::Write),
        rule(Op::ListSubscriptions, "list_subscriptions", GET, "/offerings/{offering_id}/subscriptions", Platform, LEDGER_READERS, &[Scope::DataRead],           Rate::Read).extension(),
        rule(Op::ListOwnSubscriptions, "list_own_subscriptions", GET, "/investors/subscriptions", Platform, Who::Investors, &[],                             Rate::Read).extension(),
        rule(Op::PlaceOrder,   "place_order",      POST, "/ats/orders",                      Platform, Who::Investors, PEOPLE,                                Rate::Write),
        rule(Op::CancelOrder,  "cancel_order",     DELETE, "/ats/orders/{order_id}",         Platform, Who::Investors, PEOPLE,                                Rate::Write),
        rule(Op::ListOrders,   "list_orders",      GET,  "/ats/orders",                      Platform, Who::Investors, PEOPLE,                                Rate::Read),
        rule(Op::GetOrderBook, "get_order_book",   GET,  "/ats/orderbook/{offering_id}",     Platform, Who::Any,       &[Scope::DataRead],                    Rate::Read),
        rule(Op::ListTrades,   "list_trades",      GET,  "/ats/trades",                      Platform, Who::Any,       &[Scope::DataRead],                    Rate::Read),
        rule(Op::ProposeDeal,  "propose_deal",     POST, "/otc/deals",                       Platform, Who::Investors, PEOPLE,                                Rate::Write).extension(),
        rule(Op::ListDeals,    "list_deals",       GET,  "/otc/deals",                       Platform, Who::Investors, PEOPLE,                                Rate::Read).extension(),
        rule(Op::GetDeal,      "get_deal",         GET,  "/otc/deals/{deal_id}",             Platform, Who::Investors, PEOPLE,                                Rate::Read).extension(),
        rule(Op::AcceptDeal,   "accept_deal",      POST, "/otc/deals/{deal_id}/accept",      Platform, Who::Investors, PEOPLE,                                Rate::Write).extension().remembered(),
        rule(Op::CancelDeal,   "cancel_deal",      POST, "/otc/deals/{deal_id}/cancel",      Platform, Who::Investors, PEOPLE,                                Rate::Write).extension().remembered(),
        rule(Op::TokenizeWhitelist, "whitelist_wallet", POST, "/tokenization/whitelist", Platform, WHITELISTERS, &[Scope::LedgerWrite, Scope::ComplianceWrite], Rate::Write),
        rule(Op::TokenizeMint, "mint_tokens", POST, "/tokenization/mint", Platform, MINTERS, &[Scope::LedgerWrite], Rate::Write),
        rule(Op::TokenizeBurn, "burn_tokens", POST, "/tokenization/burn", Platform, MINTERS, &[Scope::LedgerWrite], Rate::Write),
        rule(Op::TokenizeFreeze, "freeze_tokens", POST, "/tokenization/freeze", Platform, MINTERS, &[Scope::LedgerWrite], Rate::Write),
        rule(Op::TokenizeUnfreeze, "unfreeze_tokens", POST, "/tokenization/unfreeze", Platform, MINTERS, &[Scope::LedgerWrite], Rate::Write).extension(),
        rule(Op::TokenizeForceTransfer, "force_transfer_tokens", POST, "/tokenization/force-transfer", Platform, MINTERS, &[Scope::LedgerWrite], Rate::Write),
        rule(Op::ListTransferRestrictions, "list_transfer_restrictions", GET, "/compliance/transfer-restrictions", Platform, OFFICERS, &[Scope::ComplianceRead], Rate::Read),
        rule(Op::GetCapTable, "get_cap_table", GET, "/compliance/reports/cap-table/{offering}", Platform, CAP_TABLE_READERS, &[Scope::ComplianceRead], Rate::Read),
        rule(Op::GetRegDReport, "get_reg_d_report", GET, "/compliance/reports/reg-d/{offering}", Platform, OFFICERS, &[Scope::ComplianceRead], Rate::Read),
        rule(Op::CheckTransfer, "check_transfer", POST, "/compliance/check", Platform, WHITELISTERS, &[Scope::ComplianceRead], Rate::Read).extension(),
        rule(Op::AuditLog,     "list_audit_log",   GET,  "/compliance/audit-log",            Platform, OFFICERS,       &[Scope::ComplianceRead],              Rate::Read),
        rule(Op::VerifyAuditLog, "verify_audit_log", GET, "/compliance/audit-log/verify",    Platform, OFFICERS,       &[Scope::ComplianceRead],              Rate::Read).extension(),
        rule(Op::GetInvestor,  "get_investor",     GET,  "/investors/me",                    Platform, Who::Investors, &[],                                   Rate::Read),
        rule(Op::StartKyc,     "start_kyc",        POST, "/investors/kyc/start",             Platform, Who::Investors, &[],                                   Rate::Write),
        rule(Op::GetKycStatus, "get_kyc_status",   GET,  "/investors/kyc/status",            Platform, Who::Investors, &[],                                   Rate::Read),
        rule(Op::HearKyc,      "receive_kyc_event", POST, "/webhooks/kyc/sumsub",            Platform, Who::Anyone,    &[],                                   Rate::Read).extension(),
        rule(Op::ListApplicants, "list_applicants", GET, "/compliance/applicants",           Platform, OFFICERS,       &[Scope::ComplianceRead],              Rate::Read),
        rule(Op::ApproveApplicant, "approve_applicant", POST, "/compliance/applicants/{applicant_id}/approve", Platform, OFFICERS, &[Scope::ComplianceWrite], Rate::Write),
        rule(Op::RejectApplicant, "reject_applicant", POST, "/compliance/applicants/{applicant_id}/reject", Platform, OFFICERS, &[Scope::ComplianceWrite], Rate::Write),
        rule(Op::GetPortfolio, "get_portfolio",    GET,  "/investors/portfolio",             Platform, Who::Investors, &[],                                   Rate::Read),
        rule(Op::ListOwnWallets, "list_own_wallets", GET, "/investors/wallets",              Platform, Who::Investors, &[],                                   Rate::Read),
        rule(Op::RegisterWallet, "create_wallet",  POST, "/investors/wallets",               Platform, Who::Investors, &[],                                   Rate::Write),
        rule(Op::ChallengeWallet, "challenge_wallet", POST, "/investors/wallets/challenge",  Platform, Who::Investors, &[],                                   Rate::Write).extension(),
        rule(Op::MakeWalletPrimary, "make_wallet_primary", POST, "/investors/wallets/{wallet_id}/primary", Platform, Who::Investors, &[],                      Rate::Write).extension(),
        rule(Op::GetApproval,  "get_approval",     GET,  "/investors/wallets/{wallet_id}/approval", Platform, Who::Investors, &[],                            Rate::Read).extension(),
        rule(Op::ListWallets,  "list_wallets",     GET,  "/compliance/wallets",              Platform, OFFICERS,       &[Scope::ComplianceRead],              Rate::Read),
        rule(Op::ApproveWallet, "approve_wallet",  POST, "/compliance/wallets/{wallet_id}/approve", Platform, OFFICERS, &[Scope::ComplianceWrite],            Rate::Write),
        rule(Op::RejectWallet, "reject_wallet",    POST, "/compliance/wallets/{wallet_id}/reject", Platform, OFFICERS, &[Scope::ComplianceWrite],             Rate::Write).extension(),
        rule(Op::RequestRedemption, "request_redemption", POST, "/investor/redemptions",     Platform, Who::Investors, &[],                                   Rate::Write),
        rule(Op::ListOwnRedemptions, "list_own_redemptions", GET, "/investor/redemptions",   Platform, Who::Investors, &[],                                   Rate::Read),
        rule(Op::ListRedemptions, "list_redemptions", GET, "/transfer-agent/redemptions",    Platform, MINTERS,        &[Scope::DataRead, Scope::LedgerWrite], Rate::Read),
        rule(Op::ApproveRedemption, "approve_redemption", POST, "/transfer-agent/redemptions/{redemption_id}/approve", Platform, MINTERS, &[Scope::LedgerWrite], Rate::Write),
        rule(Op::RejectRedemption, "reject_redemption", POST, "/transfer-agent/redemptions/{redemption_id}/reject", Platform, MINTERS, &[Scope::LedgerWrite],    Rate::Write).extension(),
        rule(Op::Events,       "stream_events",    GET,  "/events",                          Platform, Who::Any,       &[Scope::DataRead],                    Rate::Read).extension(),
        rule(Op::Healthz,      "get_health",       GET,  "/healthz",                         TokenApp, Who::Anyone,    &[],                                   Rate::Exempt),
        rule(Op::Readyz,       "get_readiness",    GET,  "/readyz",                          TokenApp, Who::Anyone,    &[],                                   Rate::Exempt).extension(),
        rule(Op::Metrics,      "get_metrics",      GET,  "/metrics",                         TokenApp, Who::Anyone,    &[],                                   Rate::Exempt),
        rule(Op::GraphQl,      "query_graphql",    POST, "/graphql",                         Platform, Who::Anyone,    &[],                                   Rate::Read).extension(),
        rule(Op::GraphQlSocket, "open_graphql_socket", GET, "/graphql",                      Platform, Who::Anyone,    &[],                                   Rate::Read).extension(),
        rule(Op::OpenApi,      "get_openapi",      GET,  "/openapi.json",                    Platform, Who::Anyone,    &[],                                   Rate::Read).extension(),
        rule(Op::Docs,         "get_docs",         GET,  "/docs",                            Platform, Who::Anyone,    &[],                                   Rate::Read).extension(),
    ]
};

#[allow(clippy::too_many_arguments, reason = "a row of the table above, column by column")]
const fn rule(
    operation: Operation,
    id: &'static str,
    method: Method,
    path: &'static str,
    surface: Surface,
    who: Who,
    scopes: &'static [Scope],
    rate: RateClass,
) -> Rule {
    Rule { operation, id, method, path, surface, who, scopes, rate, extension: false, remembered: false }
}

impl Rule {
    const fn extension(self) -> Rule {
        Rule { extension: true, ..self }
    }

    const fn remembered(self) -> Rule {
        Rule { remembered: true, ..self }
    }
}

/// The table as people read it, in Markdown: one row an operation, one column a role.
pub fn role_matrix() -> String {
    let mut table = String::from(
        "# Who may do what\n\nFrom `src/policy.rs`. A super admin may do whatever any other role may, save an investor's own act.\n\n| operation | anyone |",
    );
    for role in Role::ALL {
        table.push_str(&format!(" {role} |"));
    }
    table.push_str(" service token's scope |\n|---|---|");
    table.push_str(&"---|".repeat(Role::ALL.len() + 1));
    table.push('\n');
    for rule in POLICY {
        let mark = |yes: bool| if yes { "✓" } else { "" };
        table.push_str(&format!("| `{} {}` | {} |", rule.method, rule.path, mark(rule.who == Who::Anyone)));
        for role in Role::ALL {
            table.push_str(&format!(" {} |", mark(rule.who.permits(role))));
        }
        let scopes: Vec<&str> = rule.scopes.iter().map(|scope| scope.as_str()).collect();
        table.push_str(&format!(" {} |\n", scopes.join(" or ")));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_has_one_row_one_route_and_one_name() {
        for (index, rule) in POLICY.iter().enumerate() {
            for other in &POLICY[index + 1..] {
                assert_ne!(rule.operation, other.operation);
                assert_ne!(rule.id, other.id);
                assert_ne!((rule.method, rule.path), (other.method, other.path));
            }
        }
    }

    #[test]
    fn a_super_admin_may_do_what_any_other_role_may_save_an_investors_own_act() {
        for rule in POLICY.iter().filter(|rule| rule.who != Who::Investors) {
            for role in Role::ALL {
                assert!(!rule.who.permits(role) || rule.who.permits(Role::SuperAdmin), "{}", rule.id);
            }
        }
    }

    #[test]
    fn an_investor_never_writes_to_the_ledger() {
        for rule in POLICY.iter().filter(|rule| rule.scopes.contains(&Scope::LedgerWrite)) {
            // A sign-in ends its own; rent that an investor has earned is its own to claim.
            let own = [Operation::Logout, Operation::ActOnRent].contains(&rule.operation);
            assert!(own || !rule.who.permits(Role::Investor), "{}", rule.id);
        }
    }

    #[test]
    fn a_guarded_route_names_the_scopes_that_open_it_to_tools() {
        for rule in POLICY {
            // No tool acts for an investor, and none makes accounts.
            let people = rule.who == Who::Investors || rule.path.starts_with("/admin/");
            assert_eq!(rule.who == Who::Anyone || people, rule.scopes.is_empty(), "{}", rule.id);
        }
    }

    #[test]
    fn names_of_roles_and_scopes_read_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("admin".parse::<Role>().is_err());
    }

    #[test]
    fn the_committed_role_matrix_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ROLES.md");
        let fresh = role_matrix();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == fresh, "api/ROLES.md is old: UPDATE=1 cargo test -p tokenx-api --lib committed");
    }
}
