//! What stands before every handler: the policy table's row, applied.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::client::ClientAddress;
use super::idempotency::IdempotencyKey;
use super::remembered;
use crate::app::App;
use crate::auth;
use crate::error::ApiError;
use crate::policy::{Operation, RateClass, Rule, Who};

/// One route's guard.
#[derive(Debug, Clone)]
pub struct Guard {
    pub(crate) app: App,
    pub(crate) rule: &'static Rule,
}

/// Authenticates, checks role and scope, counts the request; then lets it through.
///
/// # Errors
/// 401, 403 or 429: what the row of the table, or the rate limit, says.
pub async fn guard(
    State(Guard { app, rule }): State<Guard>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let address = ClientAddress::of(&app, request.extensions(), request.headers());
    let mut named = None;
    let state = if rule.who == Who::Anyone {
        app.limits().take(rule.rate, &address.key())?
    } else {
        let viewer = match auth::authenticate(&app, request.headers()).await {
            Ok(viewer) => viewer,
            Err(error) => {
                // Guessing tokens costs the address what using them costs the account.
                app.limits().take(rule.rate, &address.key())?;
                return Err(error);
            }
        };
        // Counted before it is refused: what an account may not do, it may not try without end either. Signing in again gives
        // no second bucket.
        let state = app.limits().take(rule.rate, &viewer.actor())?;
        if !rule.who.permits(viewer.role) {
            return Err(ApiError::Forbidden(format!("the role {} may not do this", viewer.role)));
        }
        if viewer.suspended && rule.rate == RateClass::Write && rule.operation != Operation::Logout {
            return Err(auth::suspended());
        }
        if rule.scopes.is_empty() && !viewer.is_person() {
            return Err(ApiError::Forbidden("a service token may not do this: sign in as a person".into()));
        }
        if !viewer.has_scope(rule.scopes) {
            let needed: Vec<&str> = rule.scopes.iter().map(|scope| scope.as_str()).collect();
            return Err(ApiError::Forbidden(format!("this service token lacks the scope {}", needed.join(" or "))));
        }
        if rule.remembered {
            named = IdempotencyKey::of(request.headers())?.0.map(|key| (viewer.actor(), key));
        }
        request.extensions_mut().insert(viewer);
        state
    };
    let mut response = match named {
        Some((caller, key)) => remembered::once(&app, (&caller, rule, &key), request, next).await?,
        None => next.run(request).await,
    };
    if let Some(state) = state {
        state.write(response.headers_mut());
    }
    Ok(response)
}

/// Counts an attempt against an account, beside the one that its address already paid.
///
/// # Errors
/// When the account's bucket is empty.
pub fn count_login(app: &App, account: &str) -> Result<(), ApiError> {
    app.limits().take(RateClass::Login, &format!("account:{account}")).map(drop)
}
