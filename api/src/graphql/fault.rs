//! What goes wrong, with a code that programs can tell apart in `extensions.code`.

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextParseQuery, NextValidation,
};
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{ErrorExtensions, Response, ServerError, ServerResult, ValidationResult, Variables};
use std::sync::Arc;

use super::limits::{MAX_COMPLEXITY, TOO_COMPLEX};
use super::meter::Meter;
use crate::error::ApiError;

/// The extension of a refusal that says in how many seconds it is none.
pub(super) const RETRY_AFTER: &str = "retryAfter";

/// The codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// The query is no GraphQL.
    ParseFailed,
    /// The query does not fit the schema.
    ValidationFailed,
    /// An argument's value is out of range or malformed.
    BadUserInput,
    /// Longer, deeper, or with more aliases or fields than is allowed.
    QueryTooLarge,
    /// May answer more rows than is allowed.
    QueryTooComplex,
    /// A token is needed, or the one sent is not good.
    Unauthenticated,
    /// The token does not allow it.
    Forbidden,
    /// Too many requests, or too many subscriptions on one socket.
    TooManyRequests,
    /// The subscriber does not keep up.
    TooSlow,
    /// Not done within the time a query has.
    Timeout,
    /// A part we depend on does not answer.
    Unavailable,
    /// Our fault.
    Internal,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Code::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Code::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Code::BadUserInput => "BAD_USER_INPUT",
            Code::QueryTooLarge => "QUERY_TOO_LARGE",
            Code::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Code::Unauthenticated => "UNAUTHENTICATED",
            Code::Forbidden => "FORBIDDEN",
            Code::TooManyRequests => "TOO_MANY_REQUESTS",
            Code::TooSlow => "TOO_SLOW",
            Code::Timeout => "TIMEOUT",
            Code::Unavailable => "UNAVAILABLE",
            Code::Internal => "INTERNAL",
        }
    }
}

/// A resolver's error. It has no `Display`, so that nothing but [`Fault`] itself decides what a client reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into() }
    }

    pub(super) fn bad_input(message: impl Into<String>) -> Fault {
        Fault::new(Code::BadUserInput, message)
    }

    /// Our own fault: the cause goes to the log, the client learns that it was one.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Fault {
        tracing::error!(error = %cause, "internal error");
        Fault::new(Code::Internal, "internal error: quote the x-request-id of the answer")
    }

    /// The whole answer to a request that is refused before it runs.
    pub(super) fn response(self) -> Response {
        Response::from_errors(vec![self.into()])
    }
}

impl From<Fault> for async_graphql::Error {
    fn from(fault: Fault) -> async_graphql::Error {
        let code = fault.code.as_str();
        async_graphql::Error::new(fault.message).extend_with(|_, extensions| extensions.set("code", code))
    }
}

impl From<Fault> for ServerError {
    fn from(fault: Fault) -> ServerError {
        let mut error = ServerError::new(fault.message, None);
        error.extensions.get_or_insert_default().set("code", fault.code.as_str());
        error
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Fault {
        /// `query_canceled`: the statement's own time limit.
        const CANCELED: &str = "57014";
        match &error {
            sqlx::Error::Database(refusal) if refusal.code().is_some_and(|code| code == CANCELED) => timeout(),
            _ => ApiError::from(error).into(),
        }
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Fault {
        let code = match &error {
            ApiError::Unauthenticated(_) => Code::Unauthenticated,
            ApiError::Forbidden(_) | ApiError::Barred(..) => Code::Forbidden,
            ApiError::TooManyRequests(_) => Code::TooManyRequests,
            ApiError::Unavailable(_) => Code::Unavailable,
            ApiError::Internal(source) => return Fault::internal(source),
            _ => Code::BadUserInput,
        };
        Fault::new(code, error.to_string())
    }
}

/// The query's time is over.
pub(super) fn timeout() -> Fault {
    let seconds = super::limits::TIME.as_secs();
    Fault::new(Code::Timeout, format!("no answer within {seconds} s: ask for less, or for a narrower range"))
}

/// Gives every error of the library a code by the stage it comes from.
pub(super) struct Codes;

impl ExtensionFactory for Codes {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Codes)
    }
}

#[async_trait::async_trait]
impl Extension for Codes {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        next.run(ctx, query, variables).await.map_err(|error| coded(error, Code::ParseFailed))
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let found = next.run(ctx).await.map_err(|errors| {
            errors
                .into_iter()
                .map(|mut error| {
                    if error.message == TOO_COMPLEX {
                        error.message = format!("the query may answer more than {MAX_COMPLEXITY} rows: ask for less");
                        return coded(error, Code::QueryTooComplex);
                    }
                    coded(error, Code::ValidationFailed)
                })
                .collect::<Vec<_>>()
        })?;
        let meter = ctx.data::<Meter>().map_err(|error| vec![Fault::internal(error.message).into()])?;
        meter.charge(found.complexity).map_err(|error| vec![limited(error)])?;
        Ok(found)
    }

    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let mut response = next.run(ctx, operation_name).await;
        // What resolvers refuse is coded already; what is left are arguments that did not parse.
        response.errors = response.errors.into_iter().map(|error| coded(error, Code::BadUserInput)).collect();
        response
    }
}

/// A refusal that says when to come back.
fn limited(error: ApiError) -> ServerError {
    let seconds = if let ApiError::TooManyRequests(state) = &error { Some(state.retry_after) } else { None };
    let mut error = ServerError::from(Fault::from(error));
    if let Some(seconds) = seconds {
        error.extensions.get_or_insert_default().set(RETRY_AFTER, seconds);
    }
    error
}

fn coded(mut error: ServerError, code: Code) -> ServerError {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code.as_str());
    }
    error
}
