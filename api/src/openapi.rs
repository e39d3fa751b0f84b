//! The OpenAPI document: shapes from the handlers, everything about access from the policy table.
//!
//! It is committed as `api/openapi.json`; a test holds the two together and rewrites the file when run with
//! `UPDATE=1` (see the README).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation as Described, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::Server;
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};

use crate::ats::check::PRE_TRADE;
use crate::error::Surface;
use crate::http::idempotency;
use crate::policy::{Method, Operation, POLICY, RateClass, Role, Rule, Who};

/// Name of the one way to authenticate.
const BEARER: &str = "bearer";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tokenx",
        description = "Security tokens on an EVM chain: driven exactly once, followed exactly, served here.\n\n\
            Every answer carries `x-request-id`. The Token App's errors are `{\"detail\": …}`; all others are \
            `application/problem+json`."
    ),
    paths(
        crate::auth::routes::login,
        crate::auth::routes::refresh,
        crate::auth::routes::logout,
        crate::auth::wallet::nonce,
        crate::auth::wallet::login,
        crate::admin::routes::users::list,
        crate::admin::routes::users::add,
        crate::admin::routes::users::suspend,
        crate::admin::routes::users::resume,
        crate::admin::routes::users::set_password,
        crate::admin::routes::service_tokens::list,
        crate::admin::routes::service_tokens::add,
        crate::admin::routes::service_tokens::revoke,
        crate::admin::routes::parties::list,
        crate::admin::routes::parties::add,
        crate::admin::routes::issuers::list,
        crate::admin::routes::issuers::add,
        crate::token_app::supply::mint,
        crate::token_app::supply::burn,
        crate::token_app::commands::command,
        crate::token_app::history::mints,
        crate::token_app::history::burns,
        crate::token_app::holdings::holdings,
        crate::token_app::status::status,
        crate::tokens::routes::create,
        crate::tokens::routes::edit,
        crate::tokens::routes::token,
        crate::tokens::routes::tokens,
        crate::tokens::uploads::add_image,
        crate::tokens::uploads::add_document,
        crate::tokens::uploads::remove_image,
        crate::tokens::uploads::remove_document,
        crate::files::serve::file,
        crate::tokens::prices::add,
        crate::rent::act::act,
        crate::rent::view::rent,
        crate::tokens::node::node,
        crate::tokens::actions::deploy,
        crate::tokens::actions::list,
        crate::tokens::actions::delist,
        crate::tokens::actions::passivate,
        crate::tokens::actions::burn,
        crate::tokens::commands::command,
        crate::ats::place::place,
        crate::ats::cancel::cancel,
        crate::ats::view::orders,
        crate::ats::trades::orderbook,
        crate::ats::trades::trades,
        crate::otc::propose::propose,
        crate::otc::view::deals,
        crate::otc::view::deal,
        crate::otc::accept::accept,
        crate::otc::cancel::cancel,
        crate::offerings::routes::create,
        crate::offerings::routes::edit,
        crate::offerings::routes::offering,
        crate::offerings::routes::offerings,
        crate::offerings::decide::publish,
        crate::offerings::decide::approve,
        crate::offerings::decide::reject,
        crate::offerings::documents::add,
        crate::offerings::documents::remove,
        crate::subscriptions::place::subscribe,
        crate::subscriptions::routes::of_offering,
        crate::subscriptions::routes::of_investor,
        crate::tokenization::whitelist::whitelist,
        crate::tokenization::routes::mint,
        crate::tokenization::routes::burn,
        crate::tokenization::routes::freeze,
        crate::tokenization::routes::unfreeze,
        crate::tokenization::routes::force_transfer,
        crate::compliance::check::check,
        crate::compliance::restrictions::transfer_restrictions,
        crate::compliance::cap_table::cap_table,
        crate::compliance::reg_d::reg_d,
        crate::audit::routes::page,
        crate::audit::routes::verify,
        crate::investors::me::me,
        crate::investors::kyc::start,
        crate::investors::kyc::status,
        crate::kyc::webhook::receive,
        crate::compliance::applicants::applicants,
        crate::compliance::applicants::decide::approve,
        crate::compliance::applicants::decide::reject,
        crate::portfolio::view::portfolio,
        crate::investors::wallets::wallets,
        crate::investors::wallets::register,
        crate::investors::wallets::challenge,
        crate::investors::wallets::make_primary,
        crate::investors::approval::approval,
        crate::compliance::wallets::wallets,
        crate::compliance::wallets::approve,
        crate::compliance::wallets::reject,
        crate::redemptions::request::request,
        crate::redemptions::request::history,
        crate::redemptions::decide::redemptions,
        crate::redemptions::decide::approve,
        crate::redemptions::decide::reject,
        crate::events::events,
        crate::ops::health::healthz,
        crate::ops::health::readyz,
        crate::ops::metrics::metrics,
        crate::graphql::http::query,
        crate::graphql::socket::upgrade,
        serve,
        crate::docs::serve,
    ),
    components(schemas(Detail, ValidationDetail, Problem))
)]
struct Shapes;

/// A Token App error that is no validation error.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape: made by error.rs")]
struct Detail {
    detail: String,
}

/// The Token App's validation errors: every bad field.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
struct ValidationDetail {
    detail: Vec<BadField>,
}

/// One bad field.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
struct BadField {
    /// `body` or `query`, then the field.
    #[schema(example = json!(["body", "amount"]))]
    loc: Vec<String>,
    /// For people.
    #[schema(example = "value is not a valid number")]
    msg: String,
    /// For programs.
    #[schema(example = "value_error")]
    r#type: String,
}

/// RFC 9457, with the request's id and, where a rule refused, its code.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    instance: String,
    request_id: String,
    #[schema(required = false)]
    reason_code: Option<String>,
    #[schema(required = false)]
    errors: Option<Vec<ProblemField>>,
}

/// One bad field.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
struct ProblemField {
    field: String,
    message: String,
}

/// An amount as it is sent: a decimal string, or a number read from its text.
pub(crate) fn amount_in() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+(\\.[0-9]+)?$"));
    let number = ObjectBuilder::new().schema_type(Type::Number).exclusive_minimum(Some(0));
    let either = OneOfBuilder::new().item(text).item(number).examples([json!("100.0")]);
    Schema::OneOf(either.description(Some("Whole tokens, exact.")).build())
}

/// An amount as it is answered: canonical, always a string.
pub(crate) fn amount_out() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+\\.[0-9]+$"));
    Schema::Object(text.examples([json!("100.0")]).description(Some("Whole tokens, exact.")).build())
}

/// An exact decimal.
pub(crate) fn number() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(Type::Number).build())
}

/// An exact decimal, or none.
pub(crate) fn nullable_number() -> Schema {
    let types = SchemaType::from_iter([Type::Number, Type::Null]);
    Schema::Object(ObjectBuilder::new().schema_type(types).build())
}

/// A count, of any size.
pub(crate) fn integer() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(Type::Integer).build())
}

/// The whole document.
///
/// # Panics
/// Never: a test walks it.
pub fn document() -> Document {
    let mut document = Shapes::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token from `POST /auth/login`, or a service token."))
        .build();
    document.components.get_or_insert_default().add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    for rule in POLICY {
        if let Some(described) = operation(&mut document, rule) {
            apply(rule, described);
        }
        if rule.also_v1()
            && let Some(item) = document.paths.paths.get_mut(rule.path)
        {
            item.servers = Some(vec![Server::new("/"), Server::new("/v1")]);
        }
    }
    document
}

fn operation<'d>(document: &'d mut Document, rule: &Rule) -> Option<&'d mut Described> {
    let item = document.paths.paths.get_mut(rule.path)?;
    match rule.method {
        Method::Get => item.get.as_mut(),
        Method::Post => item.post.as_mut(),
        Method::Patch => item.patch.as_mut(),
        Method::Delete => item.delete.as_mut(),
    }
}

/// Writes what the policy table says into an operation.
fn apply(rule: &Rule, described: &mut Described) {
    described.operation_id = Some(rule.id.to_owned());
    described.tags = Some(vec![
        match rule.surface {
            Surface::TokenApp => "token app",
            Surface::Platform => "platform",
        }
        .to_owned(),
    ]);
    let mut extensions = ExtensionsBuilder::new();
    if rule.extension {
        extensions = extensions.add("x-tokenx-extension", true);
    }
    if rule.who != Who::Anyone {
        described.security = Some(vec![SecurityRequirement::new(BEARER, [] as [&str; 0])]);
        let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| rule.who.permits(*role)).collect();
        let scopes: Vec<&str> = rule.scopes.iter().map(|scope| scope.as_str()).collect();
        extensions = extensions.add("x-tokenx-roles", json!(roles)).add("x-tokenx-scopes", json!(scopes));
    }
    if rule.operation == Operation::PlaceOrder {
        extensions = extensions.add("x-tokenx-reason-codes", json!(PRE_TRADE));
    }
    described.extensions = Some(extensions.build());
    if rule.remembered {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let header = ParameterBuilder::new()
            .name(idempotency::KEY.as_str())
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "The client's own name for this request: asked again within a day, it is answered as before",
            ))
            .schema(Some(text));
        described.parameters.get_or_insert_default().push(RefOr::T(header.build()));
    }
    for status in errors_of(rule) {
        let (media, schema) = match (rule.surface, status) {
            (Surface::TokenApp, 422) => ("application/json", "ValidationDetail"),
            (Surface::TokenApp, _) => ("application/json", "Detail"),
            (Surface::Platform, _) => ("application/problem+json", "Problem"),
        };
        let reason = StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or_default();
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        let response = ResponseBuilder::new().description(reason).content(media, content).build();
        // What the handler itself says of a status (readiness: the same body with 503) stays.
        described.responses.responses.entry(status.to_string()).or_insert_with(|| response.into());
    }
}

/// Every error an operation can answer with.
fn errors_of(rule: &Rule) -> Vec<u16> {
    let mut errors = vec![500, 503];
    if rule.rate != RateClass::Exempt {
        errors.push(429);
    }
    if rule.who != Who::Anyone {
        errors.extend([401, 403]);
    }
    match rule.operation {
        Operation::Mint | Operation::Burn => errors.extend([409, 413, 422]),
        Operation::TokenizeWhitelist
        | Operation::TokenizeMint
        | Operation::TokenizeBurn
        | Operation::TokenizeFreeze
        | Operation::TokenizeUnfreeze
        | Operation::TokenizeForceTransfer => errors.extend([400, 409, 413, 422]),
        Operation::ListMints | Operation::ListBurns | Operation::ListHoldings => errors.push(422),
        Operation::ListTransferRestrictions => errors.push(400),
        Operation::GetCapTable => errors.extend([400, 404, 422]),
        Operation::GetRegDReport => errors.extend([400, 404, 409]),
        Operation::CheckTransfer => errors.extend([400, 413, 422]),
        Operation::Login | Operation::Refresh | Operation::WalletLogin => errors.extend([400, 401, 403, 413]),
        Operation::WalletNonce => errors.extend([400, 413]),
        Operation::AddUser | Operation::AddServiceToken => errors.extend([400, 404, 409, 413]),
        Operation::AddParty | Operation::AddIssuer => errors.extend([400, 409, 413]),
        Operation::SuspendUser | Operation::ResumeUser => errors.extend([404, 409]),
        Operation::SetPassword => errors.extend([400, 404, 413]),
        Operation::RevokeServiceToken => errors.push(404),
        Operation::ListUsers | Operation::ListServiceTokens | Operation::ListParties | Operation::ListIssuers => {
            errors.push(400);
        }
        Operation::Logout => errors.push(409),
        Operation::AddPrice => errors.extend([400, 404, 409, 413]),
        Operation::GetRent => errors.extend([400, 404]),
        Operation::DeployToken
        | Operation::ActOnRent
        | Operation::ListToken
        | Operation::DelistToken
        | Operation::PassivateToken
        | Operation::BurnToken => errors.extend([400, 404, 409, 413, 422]),
        Operation::CreateToken => errors.extend([400, 409, 413]),
        Operation::CreateOffering => errors.extend([400, 404, 409, 413]),
        Operation::EditOffering => errors.extend([400, 404, 409, 412, 413, 428]),
        Operation::PublishOffering | Operation::RejectOffering => errors.extend([400, 404, 409, 413]),
        Operation::ApproveOffering => errors.extend([400, 404, 409, 413, 422]),
        Operation::EditToken => errors.extend([400, 404, 409, 413]),
        Operation::AddImage | Operation::AddDocument | Operation::AddOfferingDocument => {
            errors.extend([400, 404, 409, 413]);
        }
        Operation::RemoveOfferingDocument => errors.extend([404, 409]),
        Operation::GetToken
        | Operation::GetTokenNode
        | Operation::RemoveImage
        | Operation::RemoveDocument
        | Operation::GetOffering => {
            errors.push(404);
        }
        // A token is optional, a bad one is refused; a link can have ended.
        Operation::GetFile => errors.extend([400, 401, 403, 404]),
        Operation::ListTokens | Operation::ListOfferings | Operation::AuditLog | Operation::VerifyAuditLog => {
            errors.push(400);
        }
        Operation::StartKyc => errors.extend([400, 409, 413]),
        Operation::HearKyc => errors.extend([400, 401, 404, 413, 422]),
        Operation::ListApplicants => errors.push(400),
        Operation::ApproveApplicant => errors.extend([400, 404, 409, 413, 422]),
        Operation::RejectApplicant => errors.extend([400, 404, 409, 413]),
        Operation::ListOwnWallets | Operation::ListWallets => errors.push(400),
        Operation::RegisterWallet => errors.extend([400, 409, 413]),
        Operation::ChallengeWallet => errors.extend([400, 413]),
        Operation::MakeWalletPrimary => errors.extend([404, 409]),
        Operation::GetApproval => errors.extend([400, 404, 409, 422]),
        Operation::ApproveWallet => errors.extend([400, 404, 409, 413, 422]),
        Operation::RejectWallet => errors.extend([400, 404, 409, 413]),
        Operation::RequestRedemption | Operation::ApproveRedemption => errors.extend([400, 404, 409, 413, 422]),
        Operation::RejectRedemption => errors.extend([400, 404, 409, 413, 422]),
        Operation::Subscribe
        | Operation::PlaceOrder
        | Operation::CancelOrder
        | Operation::ProposeDeal
        | Operation::AcceptDeal
        | Operation::CancelDeal => errors.extend([400, 404, 409, 413, 422]),
        Operation::GetDeal => errors.push(404),
        Operation::ListSubscriptions | Operation::GetOrderBook | Operation::ListTrades => errors.extend([400, 404]),
        Operation::ListOrders | Operation::ListOwnSubscriptions | Operation::ListDeals => errors.push(400),
        Operation::ListOwnRedemptions | Operation::ListRedemptions => errors.push(400),
        Operation::Events => errors.extend([400, 410]),
        // A token is optional, a bad one is refused; the specification's media type answers a bad query with 400.
        Operation::GraphQl => errors.extend([400, 401, 403, 413]),
        Operation::GraphQlSocket => errors.extend([401, 403, 405]),
        Operation::GetCommand | Operation::GetTokenCommand | Operation::Docs => errors.push(404),
        _ => {}
    }
    errors
}

static TEXT: LazyLock<Result<String, serde_json::Error>> = LazyLock::new(|| text(&document()));

/// The document as it is committed and served. Members are sorted: the library keeps some in an order that changes
/// from run to run.
///
/// # Errors
/// Never for a document of ours.
pub fn text(document: &Document) -> Result<String, serde_json::Error> {
    let value = sorted(serde_json::to_value(document)?);
    serde_json::to_string_pretty(&value).map(|json| json + "\n")
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(crate) async fn serve() -> Result<Response, crate::error::ApiError> {
    let text = TEXT.as_ref().map_err(|error| crate::error::ApiError::internal(error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    Ok((headers, text.as_str()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_exactly_the_operations_of_the_policy_table() {
        let document = document();
        let mut described: Vec<(String, String)> = Vec::new();
        for (path, item) in &document.paths.paths {
            let operations =
                [("GET", &item.get), ("POST", &item.post), ("PATCH", &item.patch), ("DELETE", &item.delete)];
            for (method, operation) in operations {
                if operation.is_some() {
                    described.push((method.to_owned(), path.clone()));
                }
            }
            assert!(item.put.is_none(), "{path}");
        }
        let mut ruled: Vec<(String, String)> =
            POLICY.iter().map(|rule| (rule.method.to_string(), rule.path.to_owned())).collect();
        described.sort();
        ruled.sort();
        assert_eq!(described, ruled);
    }

    #[test]
    fn what_can_be_asked_wrongly_says_so() {
        let mut document = document();
        for rule in POLICY {
            let operation = operation(&mut document, rule).unwrap();
            let says = |status: &str| operation.responses.responses.contains_key(status);
            let reads = operation.request_body.is_some() || operation.parameters.iter().flatten().any(is_query);
            assert!(!reads || says("400") || says("422"), "{} reads what it never refuses", rule.id);
            assert!(!rule.path.contains('{') || says("404"), "{} always finds what it is asked for", rule.id);
        }
    }

    fn is_query(parameter: &RefOr<utoipa::openapi::path::Parameter>) -> bool {
        matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
    }

    #[test]
    fn what_needs_a_token_says_so() {
        let mut document = document();
        for rule in POLICY {
            let operation = operation(&mut document, rule).unwrap();
            assert_eq!(operation.security.is_some(), rule.who != Who::Anyone, "{}", rule.id);
            let may_refuse = [
                Operation::Login,
                Operation::Refresh,
                Operation::WalletLogin,
                Operation::GraphQl,
                Operation::GraphQlSocket,
                Operation::GetFile,
                Operation::HearKyc,
            ];
            assert_eq!(
                operation.responses.responses.contains_key("401"),
                rule.who != Who::Anyone || may_refuse.contains(&rule.operation)
            );
        }
    }

    #[test]
    fn the_committed_document_is_the_served_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let fresh = text(&document()).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == fresh, "api/openapi.json is old: UPDATE=1 cargo test -p tokenx-api --lib committed");
    }
}
