//! Where a request stands: a pure function of the command that asks the desk, of what the desk has of it, and of the command
//! of the last decision.
//!
//! ```text
//! requested → held → approving → paid
//!     └→ failed  ↑ └→ rejecting → rejected      cancelled: by the wallet itself, at the desk
//!                └──────┘ the decision's command has come to nothing: it may be decided on again
//! ```

use tokenx_keeper::State as CommandState;

use crate::offerings::course::came_to_nothing;

/// What a decision says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Pay for it.
    Approved,
    /// Let go of it.
    Rejected,
}

impl Verdict {
    /// Its name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
        }
    }

    /// The verdict of this name.
    pub fn named(name: &str) -> Option<Verdict> {
        [Verdict::Approved, Verdict::Rejected].into_iter().find(|verdict| verdict.as_str() == name)
    }
}

/// What the desk has of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Desk {
    /// It holds the units.
    Open,
    /// It has burned them and paid, or owes the payout.
    Paid,
    /// It has let go of them.
    Closed {
        /// The wallet has asked it to.
        by_wallet: bool,
    },
}

/// All that a request's status follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// The command that asks the desk; `None`: the wallet did so itself.
    pub request: Option<CommandState>,
    /// What the desk has; `None`: nothing.
    pub desk: Option<Desk>,
    /// The last decision and its command.
    pub decision: Option<(Verdict, CommandState)>,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// On its way to the desk; the units are reserved.
    Requested,
    /// The desk holds the units; somebody is to decide.
    Held,
    /// Somebody has said yes.
    Approving,
    /// Somebody has said no.
    Rejecting,
    /// Burned and paid for.
    Paid,
    /// Let go of.
    Rejected,
    /// Taken back by the wallet, at the desk.
    Cancelled,
    /// It never came to the desk.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 8] = [
        Status::Requested,
        Status::Held,
        Status::Approving,
        Status::Rejecting,
        Status::Paid,
        Status::Rejected,
        Status::Cancelled,
        Status::Failed,
    ];

    /// Its name on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Requested => "requested",
            Status::Held => "held",
            Status::Approving => "approving",
            Status::Rejecting => "rejecting",
            Status::Paid => "paid",
            Status::Rejected => "rejected",
            Status::Cancelled => "cancelled",
            Status::Failed => "failed",
        }
    }

    /// The status of this name.
    ///
    /// # Errors
    /// What the names are.
    pub fn parse(name: &str) -> Result<Status, String> {
        let found = Status::ALL.into_iter().find(|status| status.as_str() == name);
        found.ok_or_else(|| format!("value is no status: use one of {}", Status::ALL.map(Status::as_str).join(", ")))
    }
}

impl Course {
    /// Where it stands. What the desk has outweighs what was asked.
    pub fn status(&self) -> Status {
        match (self.desk, self.decision) {
            (Some(Desk::Paid), _) => Status::Paid,
            (Some(Desk::Closed { by_wallet: true }), _) => Status::Cancelled,
            (Some(Desk::Closed { by_wallet: false }), _) => Status::Rejected,
            (Some(Desk::Open), Some((verdict, state))) if !came_to_nothing(state) => match verdict {
                Verdict::Approved => Status::Approving,
                Verdict::Rejected => Status::Rejecting,
            },
            (Some(Desk::Open), _) => Status::Held,
            (None, _) if self.request.is_some_and(came_to_nothing) => Status::Failed,
            (None, _) => Status::Requested,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokenx_keeper::Verdict as Run;

    use super::*;

    const OPEN: CommandState = CommandState::Broadcast;
    const DONE: CommandState = CommandState::Confirmed;

    fn status(request: Option<CommandState>, desk: Option<Desk>, decision: Option<(Verdict, CommandState)>) -> Status {
        Course { request, desk, decision }.status()
    }

    #[test]
    fn a_request_is_on_its_way_until_the_desk_has_it_and_again_when_a_reorg_takes_it_back() {
        for state in [CommandState::Accepted, OPEN, CommandState::Mined(Run::Done), DONE] {
            assert_eq!(status(Some(state), None, None), Status::Requested, "{state:?}");
        }
        for state in [CommandState::Failed, CommandState::Expired, CommandState::Cancelled] {
            assert_eq!(status(Some(state), None, None), Status::Failed, "{state:?}");
        }
        assert_eq!(status(Some(DONE), Some(Desk::Open), None), Status::Held);
        // The desk has what its wallet has brought itself.
        assert_eq!(status(None, Some(Desk::Open), None), Status::Held);
    }

    #[test]
    fn what_the_desk_says_outweighs_what_was_decided() {
        for decision in [None, Some((Verdict::Approved, OPEN)), Some((Verdict::Rejected, CommandState::Failed))] {
            assert_eq!(status(Some(DONE), Some(Desk::Paid), decision), Status::Paid);
            assert_eq!(status(Some(DONE), Some(Desk::Closed { by_wallet: false }), decision), Status::Rejected);
            assert_eq!(status(Some(DONE), Some(Desk::Closed { by_wallet: true }), decision), Status::Cancelled);
        }
    }

    #[test]
    fn a_decision_that_has_come_to_nothing_leaves_the_request_to_be_decided_on() {
        for (verdict, waits) in [(Verdict::Approved, Status::Approving), (Verdict::Rejected, Status::Rejecting)] {
            assert_eq!(status(Some(DONE), Some(Desk::Open), Some((verdict, OPEN))), waits);
            assert_eq!(status(Some(DONE), Some(Desk::Open), Some((verdict, CommandState::Failed))), Status::Held);
        }
    }
}
