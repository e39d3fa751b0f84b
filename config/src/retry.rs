//! Trying again: exponential pauses with jitter, and a verdict on each error by the caller.
//!
//! The only file that names the `backoff` crate, which nobody keeps any more (see `deny.toml`).

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after the next pause.
    Retry,
    /// Try again after this pause: the other side said so.
    RetryAfter(Duration),
    /// Hand the error back.
    GiveUp,
}

/// How long to pause, and for how long to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// First pause; each further one is half as long again, give or take half.
    pub first: Duration,
    /// Longest pause, before jitter.
    pub longest: Duration,
    /// When to hand the error back; `None`: never.
    pub give_up_after: Option<Duration>,
}

impl Policy {
    /// For something that must come back: never gives up.
    #[must_use]
    pub const fn forever(first: Duration, longest: Duration) -> Self {
        Self { first, longest, give_up_after: None }
    }

    /// For something that somebody waits for.
    #[must_use]
    pub const fn within(first: Duration, longest: Duration, give_up_after: Duration) -> Self {
        Self { first, longest, give_up_after: Some(give_up_after) }
    }

    /// The pauses, for a loop that sleeps by itself. Make a new one after a success. Ends when it is time to give up.
    #[must_use]
    pub fn pauses(&self) -> Pauses {
        Pauses(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(self.first)
                .with_max_interval(self.longest)
                .with_max_elapsed_time(self.give_up_after)
                .build(),
        )
    }
}

/// See [`Policy::pauses`].
#[derive(Debug)]
pub struct Pauses(ExponentialBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next_backoff()
    }
}

/// Runs `operation` until it succeeds, `verdict` gives up, or the policy's time is over; then its last error.
///
/// # Errors
/// The operation's.
pub async fn retry<T, E, O, F>(policy: Policy, verdict: impl Fn(&E) -> Verdict, mut operation: O) -> Result<T, E>
where
    O: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Display,
{
    let mut pauses = policy.pauses();
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let asked = match verdict(&error) {
            Verdict::GiveUp => return Err(error),
            Verdict::Retry => None,
            Verdict::RetryAfter(pause) => Some(pause),
        };
        let Some(pause) = pauses.next() else { return Err(error) };
        let pause = asked.unwrap_or(pause);
        tracing::debug!(%error, ?pause, "trying again");
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_until_it_succeeds() {
        let tries = Cell::new(0);
        let done: Result<u32, String> = retry(
            Policy::forever(MS, 8 * MS),
            |_| Verdict::Retry,
            || {
                tries.set(tries.get() + 1);
                let n = tries.get();
                async move { if n < 50 { Err("not yet".to_owned()) } else { Ok(n) } }
            },
        )
        .await;
        assert_eq!(done, Ok(50));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_no_retry_mends_comes_back_at_once() {
        let tries = Cell::new(0);
        let policy = Policy::forever(MS, MS);
        let done: Result<(), &str> = retry(
            policy,
            |_| Verdict::GiveUp,
            || {
                tries.set(tries.get() + 1);
                async { Err("refused") }
            },
        )
        .await;
        assert_eq!((done, tries.get()), (Err("refused"), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_that_was_asked_for_is_kept() {
        let started = tokio::time::Instant::now();
        let tries = Cell::new(0);
        let asked = Duration::from_secs(7);
        let done: Result<(), &str> = retry(
            Policy::forever(MS, MS),
            |_| Verdict::RetryAfter(asked),
            || {
                tries.set(tries.get() + 1);
                let n = tries.get();
                async move { if n == 1 { Err("slow down") } else { Ok(()) } }
            },
        )
        .await;
        assert_eq!(done, Ok(()));
        assert!(started.elapsed() >= asked);
    }

    #[test]
    fn pauses_grow_to_the_longest_and_no_further() {
        let policy = Policy::forever(MS, 100 * MS);
        let pauses: Vec<Duration> = policy.pauses().take(100).collect();
        assert!(pauses[0] <= 2 * MS);
        assert!(pauses[50..].iter().all(|pause| (50 * MS..=150 * MS).contains(pause)), "{pauses:?}");
    }
}
