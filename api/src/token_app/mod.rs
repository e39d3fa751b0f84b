//! The Token App: mint, burn, what was minted and burned, who holds what, and how the service is.

pub mod commands;
pub mod history;
pub mod holdings;
pub(crate) mod register;
pub mod scope;
pub mod status;
pub mod supply;

use time::OffsetDateTime;
use time::macros::format_description;

/// RFC 3339 in UTC with whole seconds and a `Z`.
pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    // Formatting fails only for components that the description does not name.
    at.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

/// The same of a block's time, Unix seconds.
pub(crate) fn block_timestamp(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    timestamp(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_whole_seconds_and_a_z() {
        assert_eq!(block_timestamp(1_735_689_600), "2025-01-01T00:00:00Z");
        assert_eq!(
            timestamp(OffsetDateTime::from_unix_timestamp_nanos(1_735_689_600_999_999_999).unwrap()),
            "2025-01-01T00:00:00Z"
        );
    }
}
