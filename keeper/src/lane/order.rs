//! Which of the waiting commands may go, and in what order: pure.

use std::collections::{HashMap, HashSet};

use alloy::primitives::Address;

use crate::store::queue::{Busy, Candidate, Queue};

/// Picks up to `limit` of what waits for a lane (given in order of acceptance).
///
/// A command waits after one of its subject that simulation refused at this head, and while an earlier one of its
/// subject is in a slot: that slot may end without running it, and the later one would come first. Commands that
/// commute do not wait for each other. What follows one that waits on its subject waits too.
///
/// Executors take turns, `items` commands each, so that none starves another.
pub(super) fn pick(queue: Queue, items: usize, limit: usize) -> Vec<Candidate> {
    let Queue { busy, waiting } = queue;
    let mut held_back: HashSet<String> = HashSet::new();
    let mut turns: HashMap<Address, usize> = HashMap::new();
    let mut picked: Vec<(usize, Candidate)> = Vec::with_capacity(waiting.len());
    for candidate in waiting {
        let subject = busy.get(&candidate.subject).copied().unwrap_or_default();
        if held_back.contains(&candidate.subject) || waits(&candidate, subject) {
            held_back.insert(candidate.subject);
            continue;
        }
        let turn = turns.entry(candidate.executor).or_default();
        picked.push((*turn / items.max(1), candidate));
        *turn += 1;
    }
    // Stable: within a turn they stay in the order of their acceptance.
    picked.sort_by_key(|(turn, _)| *turn);
    picked.truncate(limit);
    picked.into_iter().map(|(_, candidate)| candidate).collect()
}

fn waits(candidate: &Candidate, subject: Busy) -> bool {
    let behind = |first: Option<i64>| first.is_some_and(|first| first < candidate.seq);
    if candidate.commutes {
        behind(subject.ordered) || behind(subject.refused_ordered)
    } else {
        behind(subject.slotted) || behind(subject.refused)
    }
}

/// Subjects of which something does not go.
#[derive(Default)]
pub(super) struct HeldBack(HashMap<String, bool>);

impl HeldBack {
    /// Does it wait for what came before it on its subject?
    pub(super) fn waits(&self, candidate: &Candidate) -> bool {
        self.0.get(&candidate.subject).is_some_and(|all| *all || !candidate.commutes)
    }

    /// What follows on its subject waits: all of it, or what does not commute.
    pub(super) fn behind(&mut self, candidate: &Candidate, all: bool) {
        *self.0.entry(candidate.subject.clone()).or_default() |= all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gas::ItemGas;
    use alloy::primitives::{B256, Bytes};

    fn candidate(seq: i64, subject: &str) -> Candidate {
        Candidate {
            seq,
            onchain_id: B256::ZERO,
            executor: Address::ZERO,
            target: Address::ZERO,
            data: Bytes::new(),
            gas: ItemGas { limit: 1, expected: 1 },
            subject: subject.to_owned(),
            commutes: false,
            valid_until: None,
            doubted: false,
            mandate: None,
        }
    }

    fn mint(seq: i64, subject: &str) -> Candidate {
        Candidate { commutes: true, ..candidate(seq, subject) }
    }

    fn picked(waiting: Vec<Candidate>, of: &str, busy: Busy) -> Vec<i64> {
        let queue = Queue { busy: HashMap::from([(of.to_owned(), busy)]), waiting };
        pick(queue, 200, 100).into_iter().map(|c| c.seq).collect()
    }

    #[test]
    fn what_is_ordered_waits_for_every_slot_of_its_subject_and_what_commutes_for_ordered_ones() {
        let minted = Busy { slotted: Some(1), ..Busy::default() };
        assert_eq!(picked(vec![candidate(2, "a"), candidate(3, "b")], "a", minted), [3]);
        assert_eq!(picked(vec![mint(2, "a")], "a", minted), [2]);
        let frozen = Busy { slotted: Some(1), ordered: Some(1), ..Busy::default() };
        assert_eq!(picked(vec![mint(2, "a"), mint(3, "b")], "a", frozen), [3]);
    }

    #[test]
    fn nothing_overtakes_what_waits_on_its_subject() {
        let minted = Busy { slotted: Some(1), ..Busy::default() };
        assert_eq!(picked(vec![candidate(2, "a"), mint(3, "a"), mint(4, "b")], "a", minted), [4]);
        let refused = Busy { refused: Some(2), refused_ordered: Some(2), ..Busy::default() };
        assert_eq!(picked(vec![mint(1, "a"), mint(3, "a")], "a", refused), [1]);
    }

    #[test]
    fn what_commutes_does_not_wait_for_what_was_refused_and_commutes_too() {
        let refused = Busy { refused: Some(1), ..Busy::default() };
        assert_eq!(picked(vec![mint(2, "a"), candidate(3, "a"), mint(4, "a")], "a", refused), [2]);
    }

    #[test]
    fn executors_take_turns() {
        let other = |seq| Candidate { executor: Address::repeat_byte(1), ..mint(seq, "z") };
        let waiting = vec![mint(1, "a"), mint(2, "b"), mint(3, "c"), other(4)];
        let seqs: Vec<i64> = pick(Queue { waiting, ..Queue::default() }, 1, 3).into_iter().map(|c| c.seq).collect();
        assert_eq!(seqs, [1, 4, 2]);
    }
}
