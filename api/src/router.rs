//! The table of contents: each operation of the policy table and the function that does it.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method as HttpMethod, header, request};
use axum::middleware;
use axum::routing::{MethodFilter, MethodRouter, on};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::app::App;
use crate::error::ApiError;
use crate::http::envelope::{REQUEST_ID, envelope};
use crate::http::guard::{Guard, guard};
use crate::http::idempotency;
use crate::policy::{Method, Operation, POLICY, Rule, Who};
use crate::{
    admin, ats, audit, auth, compliance, docs, events, files, graphql, investors, kyc, offerings, openapi, ops, otc,
    portfolio, redemptions, rent, subscriptions, token_app, tokenization, tokens,
};

/// Every route, guarded by its row of the policy table.
pub fn router(app: &App) -> Router {
    with_rules(app, |_| true)
}

/// Health and metrics alone, for an address of their own.
pub(crate) fn ops_router(app: &App) -> Router {
    with_rules(app, is_ops)
}

/// Everything but what [`ops_router`] has moved away.
pub(crate) fn public_router(app: &App) -> Router {
    with_rules(app, |rule| !is_ops(rule))
}

fn is_ops(rule: &Rule) -> bool {
    matches!(rule.operation, Operation::Healthz | Operation::Readyz | Operation::Metrics)
}

fn with_rules(app: &App, wanted: impl Fn(&Rule) -> bool) -> Router {
    let mut router = Router::new();
    for rule in POLICY.iter().filter(|rule| wanted(rule)) {
        let guard_of = Guard { app: app.clone(), rule };
        let guarded = handler(rule).route_layer(middleware::from_fn_with_state(guard_of, guard));
        if rule.also_v1() {
            router = router.route(&format!("/v1{}", rule.path), guarded.clone());
        }
        if rule.operation == Operation::Docs {
            router = router.route("/docs/", guarded.clone()).route("/docs/{*file}", guarded.clone());
        }
        router = router.route(rule.path, guarded);
    }
    router
        .fallback(async |request: Request| ApiError::NotFound(format!("nothing is at {}", request.uri().path())))
        .method_not_allowed_fallback(async |request: Request| ApiError::MethodNotAllowed(request.method().to_string()))
        .layer(cors(app))
        .layer(middleware::from_fn_with_state(app.clone(), envelope))
        .with_state(app.clone())
}

fn handler(rule: &Rule) -> MethodRouter<App> {
    let method = match rule.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    };
    match rule.operation {
        Operation::Login => on(method, auth::routes::login),
        Operation::Refresh => on(method, auth::routes::refresh),
        Operation::Logout => on(method, auth::routes::logout),
        Operation::WalletNonce => on(method, auth::wallet::nonce),
        Operation::WalletLogin => on(method, auth::wallet::login),
        Operation::ListUsers => on(method, admin::routes::users::list),
        Operation::AddUser => on(method, admin::routes::users::add),
        Operation::SuspendUser => on(method, admin::routes::users::suspend),
        Operation::ResumeUser => on(method, admin::routes::users::resume),
        Operation::SetPassword => on(method, admin::routes::users::set_password),
        Operation::ListServiceTokens => on(method, admin::routes::service_tokens::list),
        Operation::AddServiceToken => on(method, admin::routes::service_tokens::add),
        Operation::RevokeServiceToken => on(method, admin::routes::service_tokens::revoke),
        Operation::ListParties => on(method, admin::routes::parties::list),
        Operation::AddParty => on(method, admin::routes::parties::add),
        Operation::ListIssuers => on(method, admin::routes::issuers::list),
        Operation::AddIssuer => on(method, admin::routes::issuers::add),
        Operation::Mint => on(method, token_app::supply::mint),
        Operation::Burn => on(method, token_app::supply::burn),
        Operation::GetCommand => on(method, token_app::commands::command),
        Operation::ListMints => on(method, token_app::history::mints),
        Operation::ListBurns => on(method, token_app::history::burns),
        Operation::ListHoldings => on(method, token_app::holdings::holdings),
        Operation::GetStatus => on(method, token_app::status::status),
        Operation::CreateToken => on(method, tokens::routes::create),
        Operation::EditToken => on(method, tokens::routes::edit),
        Operation::GetToken => on(method, tokens::routes::token),
        Operation::ListTokens => on(method, tokens::routes::tokens),
        Operation::AddImage => on(method, tokens::uploads::add_image),
        Operation::AddDocument => on(method, tokens::uploads::add_document),
        Operation::RemoveImage => on(method, tokens::uploads::remove_image),
        Operation::RemoveDocument => on(method, tokens::uploads::remove_document),
        Operation::GetFile => on(method, files::serve::file),
        Operation::AddPrice => on(method, tokens::prices::add),
        Operation::ActOnRent => on(method, rent::act::act),
        Operation::GetRent => on(method, rent::view::rent),
        Operation::GetTokenNode => on(method, tokens::node::node),
        Operation::DeployToken => on(method, tokens::actions::deploy),
        Operation::ListToken => on(method, tokens::actions::list),
        Operation::DelistToken => on(method, tokens::actions::delist),
        Operation::PassivateToken => on(method, tokens::actions::passivate),
        Operation::BurnToken => on(method, tokens::actions::burn),
        Operation::GetTokenCommand => on(method, tokens::commands::command),
        Operation::CreateOffering => on(method, offerings::routes::create),
        Operation::EditOffering => on(method, offerings::routes::edit),
        Operation::GetOffering => on(method, offerings::routes::offering),
        Operation::ListOfferings => on(method, offerings::routes::offerings),
        Operation::PublishOffering => on(method, offerings::decide::publish),
        Operation::ApproveOffering => on(method, offerings::decide::approve),
        Operation::RejectOffering => on(method, offerings::decide::reject),
        Operation::AddOfferingDocument => on(method, offerings::documents::add),
        Operation::RemoveOfferingDocument => on(method, offerings::documents::remove),
        Operation::Subscribe => on(method, subscriptions::place::subscribe),
        Operation::ListSubscriptions => on(method, subscriptions::routes::of_offering),
        Operation::ListOwnSubscriptions => on(method, subscriptions::routes::of_investor),
        Operation::PlaceOrder => on(method, ats::place::place),
        Operation::CancelOrder => on(method, ats::cancel::cancel),
        Operation::ListOrders => on(method, ats::view::orders),
        Operation::GetOrderBook => on(method, ats::trades::orderbook),
        Operation::ListTrades => on(method, ats::trades::trades),
        Operation::ProposeDeal => on(method, otc::propose::propose),
        Operation::ListDeals => on(method, otc::view::deals),
        Operation::GetDeal => on(method, otc::view::deal),
        Operation::AcceptDeal => on(method, otc::accept::accept),
        Operation::CancelDeal => on(method, otc::cancel::cancel),
        Operation::TokenizeWhitelist => on(method, tokenization::whitelist::whitelist),
        Operation::TokenizeMint => on(method, tokenization::routes::mint),
        Operation::TokenizeBurn => on(method, tokenization::routes::burn),
        Operation::TokenizeFreeze => on(method, tokenization::routes::freeze),
        Operation::TokenizeUnfreeze => on(method, tokenization::routes::unfreeze),
        Operation::TokenizeForceTransfer => on(method, tokenization::routes::force_transfer),
        Operation::ListTransferRestrictions => on(method, compliance::restrictions::transfer_restrictions),
        Operation::GetCapTable => on(method, compliance::cap_table::cap_table),
        Operation::GetRegDReport => on(method, compliance::reg_d::reg_d),
        Operation::CheckTransfer => on(method, compliance::check::check),
        Operation::AuditLog => on(method, audit::routes::page),
        Operation::VerifyAuditLog => on(method, audit::routes::verify),
        Operation::GetInvestor => on(method, investors::me::me),
        Operation::StartKyc => on(method, investors::kyc::start),
        Operation::GetKycStatus => on(method, investors::kyc::status),
        Operation::HearKyc => on(method, kyc::webhook::receive),
        Operation::ListApplicants => on(method, compliance::applicants::applicants),
        Operation::ApproveApplicant => on(method, compliance::applicants::decide::approve),
        Operation::RejectApplicant => on(method, compliance::applicants::decide::reject),
        Operation::GetPortfolio => on(method, portfolio::view::portfolio),
        Operation::ListOwnWallets => on(method, investors::wallets::wallets),
        Operation::RegisterWallet => on(method, investors::wallets::register),
        Operation::ChallengeWallet => on(method, investors::wallets::challenge),
        Operation::MakeWalletPrimary => on(method, investors::wallets::make_primary),
        Operation::GetApproval => on(method, investors::approval::approval),
        Operation::ListWallets => on(method, compliance::wallets::wallets),
        Operation::ApproveWallet => on(method, compliance::wallets::approve),
        Operation::RejectWallet => on(method, compliance::wallets::reject),
        Operation::RequestRedemption => on(method, redemptions::request::request),
        Operation::ListOwnRedemptions => on(method, redemptions::request::history),
        Operation::ListRedemptions => on(method, redemptions::decide::redemptions),
        Operation::ApproveRedemption => on(method, redemptions::decide::approve),
        Operation::RejectRedemption => on(method, redemptions::decide::reject),
        Operation::Events => on(method, events::events),
        Operation::Healthz => on(method, ops::health::healthz),
        Operation::Readyz => on(method, ops::health::readyz),
        Operation::Metrics => on(method, ops::metrics::metrics),
        Operation::GraphQl => on(method, graphql::http::query),
        Operation::GraphQlSocket => on(method, graphql::socket::upgrade),
        Operation::OpenApi => on(method, openapi::serve),
        Operation::Docs => on(method, docs::serve),
    }
}

/// What anyone may read, any page may read; the rest only pages of the origins that the settings name. Tokens
/// travel in a header that a page sets itself, so no credentials mode is ever allowed.
fn cors(app: &App) -> CorsLayer {
    let origins: Vec<HeaderValue> =
        app.settings().server.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let allowed =
        move |origin: &HeaderValue, parts: &request::Parts| origins.contains(origin) || is_public(parts.uri.path());
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([HttpMethod::GET, HttpMethod::POST, HttpMethod::PATCH, HttpMethod::DELETE])
        .allow_headers(AllowHeaders::list([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            REQUEST_ID,
            idempotency::KEY,
            events::LAST_EVENT_ID,
        ]))
        .expose_headers([
            header::ETAG,
            REQUEST_ID,
            header::RETRY_AFTER,
            HeaderName::from_static("ratelimit-limit"),
            HeaderName::from_static("ratelimit-remaining"),
            HeaderName::from_static("ratelimit-reset"),
        ])
        .max_age(std::time::Duration::from_secs(600))
}

fn is_public(path: &str) -> bool {
    POLICY.iter().any(|rule| rule.who == Who::Anyone && rule.method == Method::Get && matches(rule.path, path))
}

/// Whether a path is of a route, whose parameters stand for one segment each.
fn matches(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == found || (expected.starts_with('{') && !found.is_empty()) => {}
            _ => return false,
        }
    }
}
