//! What queries cost: the rows that they may answer, out of the bucket of whoever asks.

use std::num::NonZeroU32;

use super::access::Access;
use super::limits::ROW;
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::client::ClientAddress;
use crate::policy::RateClass;

/// Whose bucket it is: the account's, wherever it signs in, or the address of whoever has none.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    app: App,
    key: String,
}

impl Meter {
    pub(super) fn of(app: &App, access: &Access, address: ClientAddress) -> Meter {
        let key = access.viewer().map_or_else(|| address.key(), Viewer::actor);
        Meter { app: app.clone(), key }
    }

    /// Counts a request, whatever it asks for.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`].
    pub(super) fn count(&self) -> Result<(), ApiError> {
        self.app.limits().take(RateClass::Read, &self.key).map(drop)
    }

    /// Takes what a query of this complexity costs.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`].
    pub(super) fn charge(&self, complexity: usize) -> Result<(), ApiError> {
        let rows = u32::try_from(complexity.div_ceil(ROW)).unwrap_or(u32::MAX);
        self.app.limits().take_rows(&self.key, NonZeroU32::new(rows).unwrap_or(NonZeroU32::MIN))
    }
}
