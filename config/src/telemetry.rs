//! Logs, to standard error: standard output belongs to what a command prints.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use crate::settings::{LogFormat, Telemetry};

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("telemetry.filter {filter:?} is not valid: {source}")]
    Filter {
        /// As it is set.
        filter: String,
        /// Why not.
        source: tracing_subscriber::filter::ParseError,
    },
    /// This process logs already.
    #[error("logs are set up already")]
    Twice,
}

/// Starts logging for the whole process. Once.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(settings: &Telemetry) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&settings.filter)
        .map_err(|source| TelemetryError::Filter { filter: settings.filter.clone(), source })?;
    let lines = SubscriberBuilder::default().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Pretty => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    }
    .map_err(|_| TelemetryError::Twice)
}
