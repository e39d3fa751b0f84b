//! The life of a command as a pure function: what may happen to it in which state, and what follows.
//!
//! ```text
//! accepted → prepared → mined → confirmed → final
//!     └─ cancelled · expired · failed (refused by simulation: no nonce spent)
//! prepared → ready → prepared              when its slot ended without running it
//! mined → failed · expired                 when the chain said so and the block is confirmed
//! mined · confirmed · failed → prepared    when a reorg took the block away
//! ```
//!
//! Rows are loaded, stepped here and written back; no SQL decides a transition by itself. Whether the bytes of a slot
//! went out is the slot's to know: its commands are shown as `broadcast` then, and stay `prepared`.

/// Where a command stands. The names are the ones every surface shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Durably taken; nothing has looked at it yet.
    Accepted,
    /// A gate asks for a second person.
    AwaitingApproval,
    /// Its slot ended without running it: it waits for the next one.
    Ready,
    /// In a slot with signed bytes.
    Prepared,
    /// The same, as it is shown once its bytes went out. Never stored, and nothing steps from it.
    Broadcast,
    /// In an indexed block that is not confirmed yet, with the chain's verdict.
    Mined(Verdict),
    /// Done, in a block at least `chain.confirmations` deep.
    Confirmed,
    /// Done, in a block that cannot be reorganised away.
    Final,
    /// Refused by simulation, or failed on chain at confirmed depth.
    Failed,
    /// Taken back before it ran.
    Cancelled,
    /// Its deadline passed before it ran.
    Expired,
    /// The second person said no.
    Rejected,
}

/// What the Executor said about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Ran, and did what was asked.
    Done,
    /// Ran and reverted, or its id carries another payload on chain.
    Failed,
    /// Came after its deadline.
    Expired,
}

/// What can happen to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its lane is gone; another may take it.
    Unrouted,
    /// Simulation refused it for good.
    Refused,
    /// A slot with signed bytes was committed.
    Prepared,
    /// An indexed block holds the chain's verdict.
    Included(Verdict),
    /// An indexed block holds the chain's verdict about what had ended without one.
    Overruled(Verdict),
    /// Its slot ended without running it (no-op, revert, stolen nonce, deferred item).
    Returned,
    /// Its block is `chain.confirmations` deep.
    Confirmed,
    /// Its block is final.
    Finalized,
    /// Its block is no longer canonical.
    Reorged,
    /// Taken back before it had a slot.
    Cancelled,
    /// Taken back while it was in a slot, which ended without running it.
    CancelledInSlot,
    /// Its deadline passed before it had a slot.
    DeadlinePassed,
}

/// What a transition asks of the outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Outbox kind to publish, if people are told.
    pub publish: Option<&'static str>,
    /// The chain's verdict about it can no longer change.
    pub settle: bool,
    /// What was known of its end no longer holds; what comes with the change takes its place.
    pub forget_outcome: bool,
}

/// An event that cannot happen in that state: a bug or a lost race, never to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a command in state {state:?} cannot take {event:?}")]
pub struct Illegal {
    /// State it was in.
    pub state: State,
    /// Event that came.
    pub event: Event,
}

/// Outbox kinds, one per thing people wait for.
pub mod notice {
    /// Durably taken.
    pub const ACCEPTED: &str = "command.accepted";
    /// Done at confirmed depth.
    pub const CONFIRMED: &str = "command.confirmed";
    /// Done for good.
    pub const FINAL: &str = "command.final";
    /// Ended without effect.
    pub const FAILED: &str = "command.failed";
    /// Taken back.
    pub const CANCELLED: &str = "command.cancelled";
    /// Too late.
    pub const EXPIRED: &str = "command.expired";
    /// What was announced as confirmed or failed is open again.
    pub const CORRECTED: &str = "command.corrected";
}

/// The transition, or why there is none. Repeating what already happened is legal and changes nothing,
/// because blocks, receipts and simulations may all report it.
///
/// # Errors
/// [`Illegal`]: nothing may be written.
pub fn step(state: State, event: Event) -> Result<(State, Effects), Illegal> {
    use Event as E;
    use State as S;
    let quiet = Effects::default();
    let publish = |kind| Effects { publish: Some(kind), ..Effects::default() };
    let ok = match (state, event) {
        (S::Ready, E::Unrouted) => (S::Accepted, quiet),
        (S::Accepted | S::Ready, E::Refused) => (S::Failed, publish(notice::FAILED)),
        (S::Accepted | S::Ready, E::Prepared) => (S::Prepared, quiet),

        // Whoever brought it on chain, the id ran: an earlier life of this database may have sent it.
        (S::Accepted | S::AwaitingApproval | S::Ready | S::Prepared, E::Included(verdict)) => {
            (S::Mined(verdict), quiet)
        }
        (S::Mined(_), E::Included(verdict)) => (S::Mined(verdict), quiet),
        (S::Confirmed | S::Final | S::Failed | S::Expired, E::Included(_)) => (state, quiet),
        // Its slot had ended without running it, and a reorg let the old bytes run after all: the chain decides.
        (S::Cancelled | S::Failed | S::Expired, E::Overruled(verdict)) => {
            (S::Mined(verdict), Effects { forget_outcome: true, ..publish(notice::CORRECTED) })
        }

        (S::Prepared, E::Returned) => (S::Ready, quiet),
        // A slot may end after the id was seen to run elsewhere.
        (S::Mined(_) | S::Confirmed | S::Final | S::Failed | S::Expired | S::Cancelled, E::Returned) => (state, quiet),

        (S::Mined(Verdict::Done), E::Confirmed) => (S::Confirmed, publish(notice::CONFIRMED)),
        (S::Mined(Verdict::Failed), E::Confirmed) => (S::Failed, publish(notice::FAILED)),
        (S::Mined(Verdict::Expired), E::Confirmed) => (S::Expired, publish(notice::EXPIRED)),
        (S::Confirmed, E::Finalized) => (S::Final, Effects { settle: true, ..publish(notice::FINAL) }),
        (S::Failed | S::Expired, E::Finalized) => (state, Effects { settle: true, ..quiet }),

        (S::Mined(_), E::Reorged) => (S::Prepared, Effects { forget_outcome: true, ..quiet }),
        (S::Confirmed | S::Failed | S::Expired, E::Reorged) => {
            (S::Prepared, Effects { forget_outcome: true, ..publish(notice::CORRECTED) })
        }

        (S::Accepted | S::AwaitingApproval | S::Ready, E::Cancelled) => (S::Cancelled, publish(notice::CANCELLED)),
        (S::Prepared, E::CancelledInSlot) => (S::Cancelled, publish(notice::CANCELLED)),
        (S::Accepted | S::AwaitingApproval | S::Ready, E::DeadlinePassed) => (S::Expired, publish(notice::EXPIRED)),
        _ => return Err(Illegal { state, event }),
    };
    Ok(ok)
}

impl State {
    /// Every state, the mined one with each verdict, in the order of a command's life.
    pub const ALL: [State; 14] = [
        State::Accepted,
        State::AwaitingApproval,
        State::Ready,
        State::Prepared,
        State::Broadcast,
        State::Mined(Verdict::Done),
        State::Mined(Verdict::Failed),
        State::Mined(Verdict::Expired),
        State::Confirmed,
        State::Final,
        State::Failed,
        State::Cancelled,
        State::Expired,
        State::Rejected,
    ];

    /// The state's name in the database and on every surface. The verdict of a mined command is a column of its own.
    pub fn name(self) -> &'static str {
        match self {
            State::Accepted => "accepted",
            State::AwaitingApproval => "awaiting_approval",
            State::Ready => "ready",
            State::Prepared => "prepared",
            State::Broadcast => "broadcast",
            State::Mined(_) => "mined",
            State::Confirmed => "confirmed",
            State::Final => "final",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Expired => "expired",
            State::Rejected => "rejected",
        }
    }

    /// Reads a row's state; `None` for a name this version does not know.
    pub fn parse(name: &str, verdict: Option<Verdict>) -> Option<State> {
        Some(match name {
            "accepted" => State::Accepted,
            "awaiting_approval" => State::AwaitingApproval,
            "ready" => State::Ready,
            "prepared" => State::Prepared,
            "broadcast" => State::Broadcast,
            "mined" => State::Mined(verdict.unwrap_or(Verdict::Done)),
            "confirmed" => State::Confirmed,
            "final" => State::Final,
            "failed" => State::Failed,
            "cancelled" => State::Cancelled,
            "expired" => State::Expired,
            "rejected" => State::Rejected,
            _ => return None,
        })
    }

    /// True where nothing will happen any more unless a reorg undoes a block.
    pub fn is_ended(self) -> bool {
        matches!(
            self,
            State::Confirmed | State::Final | State::Failed | State::Cancelled | State::Expired | State::Rejected
        )
    }
}

impl Verdict {
    /// The verdict's name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Done => "done",
            Verdict::Failed => "failed",
            Verdict::Expired => "expired",
        }
    }

    /// Reads a row's verdict.
    pub fn parse(name: &str) -> Option<Verdict> {
        match name {
            "done" => Some(Verdict::Done),
            "failed" => Some(Verdict::Failed),
            "expired" => Some(Verdict::Expired),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Event as E;
    use State as S;

    const EVENTS: [E; 14] = [
        E::Unrouted,
        E::Refused,
        E::Prepared,
        E::Included(Verdict::Done),
        E::Included(Verdict::Failed),
        E::Included(Verdict::Expired),
        E::Overruled(Verdict::Done),
        E::Returned,
        E::Confirmed,
        E::Finalized,
        E::Reorged,
        E::Cancelled,
        E::CancelledInSlot,
        E::DeadlinePassed,
    ];

    fn to(state: S, event: E) -> S {
        step(state, event).unwrap().0
    }

    fn published(state: S, event: E) -> Option<&'static str> {
        step(state, event).unwrap().1.publish
    }

    #[test]
    fn a_ready_command_of_a_vanished_lane_may_go_to_another() {
        assert_eq!(to(S::Ready, E::Unrouted), S::Accepted);
        assert!(step(S::Prepared, E::Unrouted).is_err());
    }

    #[test]
    fn a_refusal_ends_a_command_only_before_it_has_a_slot() {
        assert_eq!(to(S::Ready, E::Refused), S::Failed);
        assert!(step(S::Prepared, E::Refused).is_err());
    }

    #[test]
    fn only_a_command_that_waits_gets_a_slot() {
        assert_eq!(to(S::Accepted, E::Prepared), S::Prepared);
        assert_eq!(to(S::Ready, E::Prepared), S::Prepared);
        for state in S::ALL.into_iter().filter(|s| !matches!(s, S::Accepted | S::Ready)) {
            assert!(step(state, E::Prepared).is_err(), "{state:?}");
        }
    }

    #[test]
    fn what_is_only_shown_as_broadcast_takes_no_event() {
        for event in EVENTS {
            assert!(step(S::Broadcast, event).is_err(), "{event:?}");
        }
    }

    #[test]
    fn a_command_in_a_slot_that_a_block_holds_is_mined() {
        assert_eq!(to(S::Prepared, E::Included(Verdict::Done)), S::Mined(Verdict::Done));
    }

    #[test]
    fn an_id_that_ran_before_this_database_knew_it_is_adopted() {
        assert_eq!(to(S::Accepted, E::Included(Verdict::Done)), S::Mined(Verdict::Done));
        assert_eq!(to(S::Ready, E::Included(Verdict::Failed)), S::Mined(Verdict::Failed));
    }

    #[test]
    fn a_mined_command_is_confirmed_at_depth() {
        assert_eq!(to(S::Mined(Verdict::Done), E::Confirmed), S::Confirmed);
        assert_eq!(published(S::Mined(Verdict::Done), E::Confirmed), Some(notice::CONFIRMED));
    }

    #[test]
    fn a_reverted_item_fails_only_at_confirmed_depth() {
        assert_eq!(to(S::Prepared, E::Included(Verdict::Failed)), S::Mined(Verdict::Failed));
        assert_eq!(to(S::Mined(Verdict::Failed), E::Confirmed), S::Failed);
    }

    #[test]
    fn an_item_late_on_chain_expires_at_confirmed_depth() {
        assert_eq!(to(S::Mined(Verdict::Expired), E::Confirmed), S::Expired);
    }

    #[test]
    fn a_confirmed_command_becomes_final_and_is_settled() {
        let (state, effects) = step(S::Confirmed, E::Finalized).unwrap();
        assert_eq!((state, effects.settle, effects.publish), (S::Final, true, Some(notice::FINAL)));
    }

    #[test]
    fn a_failure_on_chain_settles_without_a_second_notice() {
        let (state, effects) = step(S::Failed, E::Finalized).unwrap();
        assert_eq!((state, effects.settle, effects.publish), (S::Failed, true, None));
    }

    #[test]
    fn a_reorg_takes_a_mined_command_back_to_its_slot_quietly() {
        let (state, effects) = step(S::Mined(Verdict::Done), E::Reorged).unwrap();
        assert_eq!((state, effects.forget_outcome, effects.publish), (S::Prepared, true, None));
    }

    #[test]
    fn a_reorg_of_what_was_announced_is_corrected() {
        for state in [S::Confirmed, S::Failed, S::Expired] {
            let (next, effects) = step(state, E::Reorged).unwrap();
            assert_eq!((next, effects.publish), (S::Prepared, Some(notice::CORRECTED)));
        }
    }

    #[test]
    fn final_is_final() {
        for event in EVENTS {
            match step(S::Final, event) {
                Ok((state, effects)) => assert_eq!((state, effects.publish), (S::Final, None), "{event:?}"),
                Err(illegal) => assert_eq!(illegal.state, S::Final),
            }
        }
    }

    #[test]
    fn a_command_whose_slot_did_not_run_it_is_ready_again() {
        assert_eq!(to(S::Prepared, E::Returned), S::Ready);
    }

    #[test]
    fn a_slot_that_ends_later_does_not_reopen_what_ran_elsewhere() {
        for state in [S::Mined(Verdict::Done), S::Confirmed, S::Final, S::Failed, S::Cancelled] {
            assert_eq!(to(state, E::Returned), state);
        }
    }

    #[test]
    fn cancelling_is_free_before_a_slot_and_a_noop_after() {
        assert_eq!(to(S::Accepted, E::Cancelled), S::Cancelled);
        assert_eq!(to(S::Ready, E::Cancelled), S::Cancelled);
        assert!(step(S::Prepared, E::Cancelled).is_err());
        assert_eq!(to(S::Prepared, E::CancelledInSlot), S::Cancelled);
    }

    #[test]
    fn a_batch_that_won_over_its_noop_overrules_the_cancellation() {
        let (state, effects) = step(S::Cancelled, E::Overruled(Verdict::Done)).unwrap();
        assert_eq!((state, effects.publish), (S::Mined(Verdict::Done), Some(notice::CORRECTED)));
    }

    #[test]
    fn old_bytes_that_run_after_all_overrule_an_end_without_a_block() {
        for state in [S::Failed, S::Expired] {
            let (next, effects) = step(state, E::Overruled(Verdict::Done)).unwrap();
            assert_eq!((next, effects.publish), (S::Mined(Verdict::Done), Some(notice::CORRECTED)));
            assert!(effects.forget_outcome, "the reason of the first end must go");
        }
    }

    #[test]
    fn a_deadline_ends_only_what_has_no_slot() {
        assert_eq!(to(S::Ready, E::DeadlinePassed), S::Expired);
        assert!(step(S::Prepared, E::DeadlinePassed).is_err());
    }

    #[test]
    fn rejected_takes_no_event() {
        for event in EVENTS {
            assert!(step(S::Rejected, event).is_err(), "{event:?}");
        }
    }

    #[test]
    fn a_repeated_report_changes_nothing() {
        for state in [S::Confirmed, S::Final, S::Failed, S::Expired] {
            assert_eq!(step(state, E::Included(Verdict::Done)).unwrap(), (state, Effects::default()));
        }
    }

    #[test]
    fn every_state_reads_back_by_its_name() {
        for state in S::ALL {
            let verdict = if let S::Mined(verdict) = state { Some(verdict) } else { None };
            assert_eq!(State::parse(state.name(), verdict), Some(state));
        }
        assert_eq!(State::parse("submitted", None), None);
    }

    /// No path leads from an end of its own making back to open, whatever events come.
    #[test]
    fn only_a_reorg_reopens_an_ended_command() {
        for state in S::ALL.into_iter().filter(|s| s.is_ended()) {
            for event in EVENTS {
                if let Ok((next, _)) = step(state, event) {
                    let reopened = !next.is_ended();
                    let by_chain = matches!(event, E::Reorged | E::Overruled(_));
                    assert!(!reopened || by_chain, "{state:?} {event:?} {next:?}");
                }
            }
        }
    }
}
