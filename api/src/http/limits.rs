//! Rate limits: so many requests a minute for each key, a bucket that refills evenly.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{InsufficientCapacity, Quota, RateLimiter};
use tokenx_config::Limits as Settings;

use super::metrics;
use crate::error::{ApiError, RateState};
use crate::policy::RateClass;

type Buckets = RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// One set of buckets for each class.
#[derive(Debug)]
pub struct Limits {
    login: Bucket,
    write: Bucket,
    read: Bucket,
    rows: Bucket,
    off: bool,
    clock: DefaultClock,
}

#[derive(Debug)]
struct Bucket {
    per_minute: NonZeroU32,
    keys: Buckets,
}

impl Bucket {
    fn new(per_minute: u32) -> Bucket {
        // Settings refuse 0: nobody could call anything.
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let keys = RateLimiter::dashmap(Quota::per_minute(per_minute)).with_middleware();
        Bucket { per_minute, keys }
    }

    fn take(
        &self,
        name: &'static str,
        key: &String,
        amount: NonZeroU32,
        clock: &DefaultClock,
    ) -> Result<RateState, ApiError> {
        let limit = self.per_minute.get();
        // More than a full bucket holds costs a full one: else it could never be had.
        match self.keys.check_key_n(key, amount.min(self.per_minute)) {
            Ok(Ok(left)) => Ok(RateState { limit, remaining: left.remaining_burst_capacity(), retry_after: 0 }),
            Ok(Err(until)) => {
                metrics::rate_limited(name);
                let wait = until.wait_time_from(clock.now());
                // Rounded up: a client that waits as told must not be refused again.
                let retry_after = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1);
                Err(ApiError::TooManyRequests(RateState { limit, remaining: 0, retry_after }))
            }
            Err(InsufficientCapacity(most)) => Err(ApiError::internal(format!("a bucket of {most} is too small"))),
        }
    }
}

impl Limits {
    /// Buckets by the settings; `limits.off` lifts them all.
    pub fn new(settings: &Settings) -> Limits {
        Limits {
            login: Bucket::new(settings.login_per_minute),
            write: Bucket::new(settings.writes_per_minute),
            read: Bucket::new(settings.reads_per_minute),
            rows: Bucket::new(settings.graphql_rows_per_minute),
            off: settings.off,
            clock: DefaultClock::default(),
        }
    }

    /// Takes one request out of the key's bucket.
    ///
    /// # Errors
    /// When the bucket is empty, with the seconds until it is not.
    pub fn take(&self, class: RateClass, key: &String) -> Result<Option<RateState>, ApiError> {
        let (bucket, name) = match class {
            RateClass::Login => (&self.login, "login"),
            RateClass::Write => (&self.write, "write"),
            RateClass::Read => (&self.read, "read"),
            RateClass::Exempt => return Ok(None),
        };
        if self.off {
            return Ok(None);
        }
        bucket.take(name, key, NonZeroU32::MIN, &self.clock).map(Some)
    }

    /// Takes the rows that a GraphQL query may answer out of the key's bucket.
    ///
    /// # Errors
    /// When fewer are left, with the seconds until there are enough.
    pub fn take_rows(&self, key: &String, rows: NonZeroU32) -> Result<(), ApiError> {
        if self.off {
            return Ok(());
        }
        self.rows.take("graphql_rows", key, rows, &self.clock).map(drop)
    }

    /// Forgets keys whose buckets are full again; called now and then, else keys pile up for ever.
    pub fn forget_idle(&self) {
        for bucket in [&self.login, &self.write, &self.read, &self.rows] {
            bucket.keys.retain_recent();
            bucket.keys.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(off: bool) -> Limits {
        Limits::new(&Settings { login_per_minute: 2, off, ..Settings::default() })
    }

    #[test]
    fn an_empty_bucket_says_when_to_come_back() {
        let limits = limits(false);
        for left in [1, 0] {
            let state = limits.take(RateClass::Login, &"a".into()).unwrap().unwrap();
            assert_eq!((state.limit, state.remaining), (2, left));
        }
        let Err(ApiError::TooManyRequests(state)) = limits.take(RateClass::Login, &"a".into()) else {
            panic!("not limited")
        };
        assert!((1..=30).contains(&state.retry_after));
    }

    #[test]
    fn one_key_does_not_spend_the_other_s_requests_nor_one_class_the_other_s() {
        let limits = limits(false);
        limits.take(RateClass::Login, &"a".into()).unwrap();
        limits.take(RateClass::Login, &"a".into()).unwrap();
        assert!(limits.take(RateClass::Login, &"a".into()).is_err());
        assert!(limits.take(RateClass::Login, &"b".into()).is_ok());
        assert!(limits.take(RateClass::Write, &"a".into()).is_ok());
    }

    #[test]
    fn a_query_costs_the_rows_that_it_may_answer_and_no_more_than_a_full_bucket() {
        let limits = Limits::new(&Settings { graphql_rows_per_minute: 100, off: false, ..Settings::default() });
        let rows = |rows| limits.take_rows(&"a".into(), NonZeroU32::new(rows).unwrap());
        rows(60).unwrap();
        let Err(ApiError::TooManyRequests(state)) = rows(60) else { panic!("not limited") };
        assert!(state.limit == 100 && (1..=12).contains(&state.retry_after), "{state:?}");
        rows(40).unwrap();
        assert!(limits.take_rows(&"b".into(), NonZeroU32::MAX).is_ok());
    }

    #[test]
    fn lifted_limits_let_everything_through() {
        let limits = limits(true);
        assert!((0..100).all(|_| limits.take(RateClass::Login, &"a".into()).is_ok()));
    }
}
