//! Failpoints: named places in the code at which a process can be made to die, to fail or to stop, so that tests meet
//! every crash that theory knows.
//!
//! ```text
//! TOKENX_FAILPOINT=keeper.after_prepare:kill            SIGKILL to itself when it first comes by
//! TOKENX_FAILPOINT=keeper.after_prepare:kill@3          at the third time
//! TOKENX_FAILPOINT=keeper.after_sign:pause,accept.after_commit:error
//! ```
//!
//! Each acts once. They are compiled in everywhere and armed nowhere but in the profiles `dev` and `test`: unarmed, one
//! costs a look at a cell that is empty.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, raise};

use crate::Profile;

/// The variable that arms failpoints.
pub const VARIABLE: &str = "TOKENX_FAILPOINT";

/// Every failpoint, and what a process that ends there leaves behind. Each is hit in one place of the sources.
pub const POINTS: [(&str, &str); 31] = [
    ("accept.before_commit", "a command is written and not committed: whoever asked asks again, and nothing is there"),
    ("accept.after_commit", "a command is accepted and nobody was told: whoever asks again gets the first answer"),
    ("ats.before_commit", "orders are matched and what follows is written, not committed"),
    ("ats.after_commit", "orders are matched, and nobody has asked for their trades' settlement"),
    ("audit.before_seal", "entries of the audit log are named by a seal that is not committed"),
    ("keeper.after_take", "a lane has a new owner that has looked at nothing yet"),
    ("keeper.before_simulate", "a batch is planned and the chain was not asked about it"),
    ("keeper.after_simulate", "the chain would run a batch that nobody has signed for"),
    ("keeper.after_sign", "bytes are signed and not written: they are lost, and no nonce with them"),
    ("keeper.before_prepare", "nonce, slots, commands and bytes are written and not committed"),
    ("keeper.after_prepare", "bytes are committed and not sent"),
    ("keeper.before_send", "bytes are on their way out, for the first time or again"),
    ("keeper.after_send", "the node has answered and nobody wrote it down"),
    ("keeper.after_mark", "bytes are sent, and it is written down"),
    ("keeper.before_replace", "a replacement is signed and written and not committed"),
    ("keeper.after_bump", "the same payload at a higher price is committed and not sent"),
    ("keeper.after_noop", "a no-op in a payload's place is committed and not sent"),
    ("keeper.before_settle", "receipts say how slots ended, and it is not committed"),
    ("keeper.after_settle", "slots have ended and their commands are still theirs"),
    ("keeper.before_release", "commands have left their ended slots, not committed"),
    ("keeper.after_release", "commands have left their ended slots"),
    ("keeper.hosted_key", "a hosted wallet's key is in the pool, and the next one is not"),
    ("projection.included", "a block's verdicts on commands are written and not committed"),
    ("projection.confirmed", "commands are confirmed, not committed"),
    ("projection.final", "commands are final, not committed"),
    ("projection.rolled_back", "commands of a block that is no more are taken back, not committed"),
    ("wallet.after_approve", "a hosted wallet's own approve is committed and not sent"),
    ("indexer.fetched", "blocks are read and decoded, nothing is written"),
    ("indexer.before_commit", "a batch and its projections are written and not committed"),
    ("indexer.before_heal", "a branch is taken back and the new one applied, not committed"),
    ("indexer.after_commit", "a batch is committed and nobody was woken"),
];

/// Why failpoints were not armed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailpointError {
    /// A profile that serves people.
    #[error("{VARIABLE} is set in profile {0}: failpoints are for dev and test, remove it")]
    Profile(Profile),
    /// No such place.
    #[error("failpoint {0:?} is unknown: use one of {names}", names = names())]
    Unknown(String),
    /// Not a thing to do there.
    #[error("failpoint {0:?} is not name:action: use the actions kill, error or pause, with @3 for the third time")]
    Action(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// SIGKILL: nothing is cleaned up, nobody is told.
    Kill,
    /// The caller gets an I/O error, as from a connection that broke.
    Error,
    /// SIGSTOP: the process stands still, connections and all, until SIGCONT.
    Pause,
}

#[derive(Debug)]
struct Armed {
    name: String,
    action: Action,
    /// Acts at this hit, from 1.
    at: u64,
    hits: AtomicU64,
}

static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();

/// Arms what the variable [`VARIABLE`] names, once for the life of the process.
///
/// # Errors
/// See [`FailpointError`]; nothing is armed then.
pub fn arm(profile: Profile) -> Result<(), FailpointError> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let armed = read(&text, profile)?;
    if !armed.is_empty() {
        tracing::warn!(failpoints = text, "failpoints are armed");
        // A second call finds the first one's in place.
        let _ = ARMED.set(armed);
    }
    Ok(())
}

/// A failpoint: does nothing unless it is armed.
///
/// # Errors
/// Where it was armed to fail.
pub fn hit(name: &'static str) -> io::Result<()> {
    let Some(armed) = ARMED.get() else { return Ok(()) };
    for point in armed.iter().filter(|point| point.name == name) {
        if point.hits.fetch_add(1, Ordering::Relaxed) + 1 == point.at {
            act(name, point.action)?;
        }
    }
    Ok(())
}

fn act(name: &str, action: Action) -> io::Result<()> {
    tracing::warn!(failpoint = name, ?action, "a failpoint is reached");
    match action {
        Action::Kill => Ok(raise(Signal::SIGKILL)?),
        Action::Pause => Ok(raise(Signal::SIGSTOP)?),
        Action::Error => Err(io::Error::other(format!("failpoint {name}"))),
    }
}

fn read(text: &str, profile: Profile) -> Result<Vec<Armed>, FailpointError> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let armed: Vec<Armed> = items.map(read_one).collect::<Result<_, _>>()?;
    if armed.is_empty() || matches!(profile, Profile::Dev | Profile::Test) {
        return Ok(armed);
    }
    Err(FailpointError::Profile(profile))
}

fn read_one(item: &str) -> Result<Armed, FailpointError> {
    let malformed = || FailpointError::Action(item.to_owned());
    let (name, action) = item.split_once(':').ok_or_else(malformed)?;
    if !POINTS.iter().any(|(known, _)| *known == name) {
        return Err(FailpointError::Unknown(name.to_owned()));
    }
    let (action, at) = match action.split_once('@') {
        Some((action, at)) => (action, at.parse().ok().filter(|at| *at > 0).ok_or_else(malformed)?),
        None => (action, 1),
    };
    let action = match action {
        "kill" => Action::Kill,
        "error" => Action::Error,
        "pause" => Action::Pause,
        _ => return Err(malformed()),
    };
    Ok(Armed { name: name.to_owned(), action, at, hits: AtomicU64::new(0) })
}

fn names() -> String {
    POINTS.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_actions_and_turns_are_read() {
        let armed = read("keeper.after_prepare:kill, accept.after_commit:error@3", Profile::Test).unwrap();
        let read: Vec<_> = armed.iter().map(|one| (one.name.as_str(), one.action, one.at)).collect();
        assert_eq!(read, [("keeper.after_prepare", Action::Kill, 1), ("accept.after_commit", Action::Error, 3)]);
        assert!(super::read("", Profile::Production).unwrap().is_empty());
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_known_ones() {
        let said = read("keeper.nowhere:kill", Profile::Dev).unwrap_err().to_string();
        assert!(said.contains("keeper.nowhere"), "{said}");
        for (name, _) in POINTS {
            assert!(said.contains(name), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for item in
            ["keeper.after_sign", "keeper.after_sign:explode", "keeper.after_sign:kill@0", "keeper.after_sign:kill@x"]
        {
            assert_eq!(read(item, Profile::Test).unwrap_err(), FailpointError::Action(item.to_owned()));
        }
    }

    #[test]
    fn only_dev_and_test_can_be_made_to_fail() {
        for profile in [Profile::Production, Profile::Bench] {
            let refused = read("keeper.after_sign:kill", profile).unwrap_err();
            assert_eq!(refused, FailpointError::Profile(profile));
        }
    }
}
