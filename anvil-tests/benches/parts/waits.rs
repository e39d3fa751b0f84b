//! How long answers took.

use std::time::Duration;

/// In order of length.
pub(crate) struct Waits(Vec<Duration>);

impl Waits {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// How many there were a second.
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(crate) fn rate(&self, took: Duration) -> f64 {
        self.0.len() as f64 / took.as_secs_f64()
    }

    /// p50, p99 and the longest, in milliseconds.
    pub(crate) fn table(&self) -> String {
        let at = |percent: usize| {
            let place = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
            self.0.get(place).copied().unwrap_or_default().as_secs_f64() * 1_000.0
        };
        format!("{:.1} / {:.1} / {:.1}", at(50), at(99), at(100))
    }
}
