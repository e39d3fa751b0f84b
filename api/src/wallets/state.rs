//! Where a wallet stands: a pure function of what was decided on it, of the command that was asked last, and of the
//! registry's record.

use tokenx_keeper::{State as CommandState, Verdict as ChainVerdict};

/// What an officer, or an operator, made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It may be whitelisted.
    Approved,
    /// It may not.
    Rejected,
}

/// What was asked of the chain last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// To whitelist it, or to write its record anew.
    Whitelist,
    /// To take that away.
    Revoke,
}

/// Where a wallet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for a decision.
    Pending,
    /// It was approved, and the chain does not say so yet.
    Approving,
    /// The registry has it whitelisted.
    Approved,
    /// It was rejected.
    Rejected,
    /// It was approved, and its command has come to nothing. Another approval tries again.
    Failed,
    /// The registry had it whitelisted, and has not any more.
    Revoked,
}

impl Verdict {
    /// Its name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
        }
    }
}

impl Wish {
    /// Its name in derived command ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Wish::Whitelist => "whitelist",
            Wish::Revoke => "revoke",
        }
    }

    /// What a derived command id asks for.
    pub fn of(command_id: &str) -> Option<Wish> {
        let kind = command_id.split(':').next();
        [Wish::Whitelist, Wish::Revoke].into_iter().find(|wish| kind == Some(wish.as_str()))
    }
}

impl State {
    /// Every state.
    pub const ALL: [State; 6] =
        [State::Pending, State::Approving, State::Approved, State::Rejected, State::Failed, State::Revoked];

    /// Its name on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Approving => "approving",
            State::Approved => "approved",
            State::Rejected => "rejected",
            State::Failed => "failed",
            State::Revoked => "revoked",
        }
    }

    /// From the decision, the last command, and whether the registry has it whitelisted.
    pub fn of(verdict: Option<Verdict>, asked: Option<(Wish, CommandState)>, whitelisted: bool) -> State {
        match (verdict, asked) {
            _ if whitelisted => State::Approved,
            (None, _) => State::Pending,
            (Some(Verdict::Rejected), _) => State::Rejected,
            (Some(Verdict::Approved), None) => State::Approving,
            (Some(Verdict::Approved), Some((Wish::Revoke, _))) => State::Revoked,
            (Some(Verdict::Approved), Some((Wish::Whitelist, command))) if has_run(command) => State::Revoked,
            (Some(Verdict::Approved), Some((Wish::Whitelist, command))) if command.is_ended() => State::Failed,
            (Some(Verdict::Approved), Some((Wish::Whitelist, _))) => State::Approving,
        }
    }
}

/// Whether a command has run and done what it was for.
fn has_run(state: CommandState) -> bool {
    matches!(state, CommandState::Mined(ChainVerdict::Done) | CommandState::Confirmed | CommandState::Final)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_command() -> impl Strategy<Value = Option<(Wish, CommandState)>> {
        let wish = prop::sample::select(vec![Wish::Whitelist, Wish::Revoke]);
        prop::option::of((wish, prop::sample::select(CommandState::ALL.to_vec())))
    }

    fn any_verdict() -> impl Strategy<Value = Option<Verdict>> {
        prop::option::of(prop::sample::select(vec![Verdict::Approved, Verdict::Rejected]))
    }

    proptest! {
        #[test]
        fn it_is_approved_exactly_when_the_chain_says_so(
            verdict in any_verdict(), asked in any_command(), whitelisted: bool,
        ) {
            prop_assert_eq!(State::of(verdict, asked, whitelisted) == State::Approved, whitelisted);
        }

        #[test]
        fn it_waits_for_a_decision_exactly_until_there_is_one(verdict in any_verdict(), asked in any_command()) {
            prop_assert_eq!(State::of(verdict, asked, false) == State::Pending, verdict.is_none());
        }
    }

    #[test]
    fn what_its_command_has_come_to_is_told_until_the_chain_says_more() {
        let asked = |wish, command| State::of(Some(Verdict::Approved), Some((wish, command)), false);
        assert_eq!(asked(Wish::Whitelist, CommandState::Broadcast), State::Approving);
        assert_eq!(asked(Wish::Whitelist, CommandState::Mined(ChainVerdict::Failed)), State::Approving);
        assert_eq!(asked(Wish::Whitelist, CommandState::Failed), State::Failed);
        assert_eq!(asked(Wish::Whitelist, CommandState::Cancelled), State::Failed);
        assert_eq!(asked(Wish::Whitelist, CommandState::Confirmed), State::Revoked, "somebody else has taken it away");
        assert_eq!(asked(Wish::Revoke, CommandState::Confirmed), State::Revoked);
    }

    #[test]
    fn a_derived_id_says_what_it_asks_for() {
        assert_eq!(Wish::of("whitelist:0x00:0:1"), Some(Wish::Whitelist));
        assert_eq!(Wish::of("revoke:0x00:0:2"), Some(Wish::Revoke));
        assert_eq!(Wish::of("mint:1"), None);
    }
}
