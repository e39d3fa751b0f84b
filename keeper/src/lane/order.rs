//! Which of the waiting commands may go, and in what order: pure.

use std::collections::{HashMap, HashSet};

use alloy::primitives::Address;

use crate::store::queue::{Busy, Candidate, Ours};

/// Picks up to `limit` of what waits (given in order of acceptance), save what another lane has or will have.
///
/// A command waits after one of its subject that simulation refused at this head, and while an earlier one of its
/// subject is in a slot: that slot may end without running it, and the later one would come first. Commands that
/// commute do not wait for each other. What follows one that waits on its subject waits too.
///
/// Executors take turns, `items` commands each, so that none starves another.
pub(super) fn pick(
    waiting: Vec<Candidate>,
    busy: &HashMap<String, Busy>,
    items: usize,
    limit: usize,
) -> Vec<Candidate> {
    let mut held_back: HashSet<String> = HashSet::new();
    let mut turns: HashMap<Address, usize> = HashMap::new();
    let mut picked: Vec<(usize, Candidate)> = Vec::with_capacity(waiting.len());
    for candidate in waiting {
        let subject = busy.get(&candidate.subject).copied();
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

fn waits(candidate: &Candidate, subject: Option<Busy>) -> bool {
    let ours = match (candidate.ours, subject) {
        (Ours::Already, _) => true,
        (Ours::ByShare | Ours::No, Some(busy)) if busy.here || busy.elsewhere => busy.here && !busy.elsewhere,
        (ours, _) => ours == Ours::ByShare,
    };
    let busy = subject.unwrap_or_default();
    let behind = |first: Option<i64>| first.is_some_and(|first| first < candidate.seq);
    let in_slot = if candidate.commutes { busy.ordered } else { busy.slotted };
    !ours || behind(busy.refused) || behind(in_slot)
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
            ours: Ours::ByShare,
        }
    }

    fn mint(seq: i64, subject: &str) -> Candidate {
        Candidate { commutes: true, ..candidate(seq, subject) }
    }

    fn busy(of: &str, busy: Busy) -> HashMap<String, Busy> {
        HashMap::from([(of.to_owned(), busy)])
    }

    fn picked(waiting: Vec<Candidate>, busy: &HashMap<String, Busy>) -> Vec<i64> {
        pick(waiting, busy, 200, 100).into_iter().map(|c| c.seq).collect()
    }

    #[test]
    fn what_is_ordered_waits_for_every_slot_of_its_subject_and_what_commutes_for_ordered_ones() {
        let minted = busy("a", Busy { here: true, slotted: Some(1), ..Busy::default() });
        assert_eq!(picked(vec![candidate(2, "a"), candidate(3, "b")], &minted), [3]);
        assert_eq!(picked(vec![mint(2, "a")], &minted), [2]);
        let frozen = busy("a", Busy { here: true, slotted: Some(1), ordered: Some(1), ..Busy::default() });
        assert_eq!(picked(vec![mint(2, "a"), mint(3, "b")], &frozen), [3]);
    }

    #[test]
    fn nothing_overtakes_what_waits_on_its_subject() {
        let minted = busy("a", Busy { here: true, slotted: Some(1), ..Busy::default() });
        assert_eq!(picked(vec![candidate(2, "a"), mint(3, "a"), mint(4, "b")], &minted), [4]);
        let refused = busy("a", Busy { refused: Some(2), ..Busy::default() });
        assert_eq!(picked(vec![mint(1, "a"), mint(3, "a")], &refused), [1]);
    }

    #[test]
    fn a_subject_stays_with_the_lane_that_has_it() {
        let here = busy("a", Busy { here: true, ..Busy::default() });
        let elsewhere = busy("a", Busy { elsewhere: true, ..Busy::default() });
        let of = |ours| vec![Candidate { ours, ..mint(5, "a") }];
        assert_eq!(picked(of(Ours::No), &here), [5]);
        assert_eq!(picked(of(Ours::ByShare), &elsewhere), [] as [i64; 0]);
        assert_eq!(picked(of(Ours::Already), &here), [5]);
        assert_eq!(picked(of(Ours::No), &HashMap::new()), [] as [i64; 0]);
        assert_eq!(picked(of(Ours::ByShare), &HashMap::new()), [5]);
    }

    #[test]
    fn executors_take_turns() {
        let other = |seq| Candidate { executor: Address::repeat_byte(1), ..mint(seq, "z") };
        let waiting = vec![mint(1, "a"), mint(2, "b"), mint(3, "c"), other(4)];
        let seqs: Vec<i64> = pick(waiting, &HashMap::new(), 1, 3).into_iter().map(|c| c.seq).collect();
        assert_eq!(seqs, [1, 4, 2]);
    }
}
