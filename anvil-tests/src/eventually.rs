//! Waiting on conditions.

use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded two-core machine; a test that gets here has failed.
const LIMIT: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `condition` gives a value, and returns it.
///
/// # Panics
/// After 45 seconds, naming `what` did not happen.
pub async fn eventually<T, C, F>(what: &str, condition: C) -> T
where
    C: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    eventually_within(LIMIT, what, condition).await
}

/// [`eventually`] with its own limit.
///
/// # Panics
/// When the limit has passed, naming `what` did not happen.
#[allow(clippy::panic, reason = "this is the assertion of a test")]
pub async fn eventually_within<T, C, F>(limit: Duration, what: &str, mut condition: C) -> T
where
    C: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        if started.elapsed() > limit {
            panic!("after {:.1} s this had not happened: {what}", limit.as_secs_f32());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
