//! Campaigns: the same test in a short form for every run and in a long one for whoever asks for it.

use std::io::Write;
use std::time::Duration;

/// `long` makes campaigns run in full.
const VARIABLE: &str = "TOKENX_CAMPAIGN";
/// A seed that a campaign printed: the same one makes it draw the same again.
const SEED: &str = "TOKENX_CAMPAIGN_SEED";

/// Whether campaigns run in full: `TOKENX_CAMPAIGN=long`.
pub fn is_long() -> bool {
    std::env::var(VARIABLE).is_ok_and(|form| form == "long")
}

/// How often something is done: `short` times in every test run, `long` times in a campaign in full.
pub fn times(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// How long something lasts.
pub fn time(short: Duration, long: Duration) -> Duration {
    if is_long() { long } else { short }
}

/// A seed for what a campaign leaves to chance, said aloud, so that a failure can be met again.
pub fn seed(what: &str) -> u64 {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    say(&format!("{what}: {SEED}={seed}"));
    seed
}

/// A line of figures, past the test harness, which swallows what a passing test prints.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
