//! Which commands go together: pure, so that the limits are properties.

use std::collections::HashMap;

use alloy::primitives::Address;

use crate::gas::{self, ItemGas};
use crate::store::queue::Candidate;

/// What a batch may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Commands.
    pub items: usize,
    /// Gas limit of the transaction.
    pub gas: u64,
    /// Bytes of call data: nodes refuse transactions above 128 KiB.
    pub bytes: usize,
}

/// Commands of one Executor, in order, for one slot.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub executor: Address,
    pub commands: Vec<Candidate>,
}

/// What an item adds to the call data of `execute` beside its own: an offset, six words, padding.
const ITEM_BYTES: usize = 8 * 32;

/// Groups candidates, given in order, by Executor into at most `room` batches. Batches come in the order of their first
/// command, and the commands of one Executor stay in theirs. Those of one subject whose order matters go into one batch
/// or wait: of two slots the earlier may end without running its commands.
pub(crate) fn plan(candidates: Vec<Candidate>, limits: Limits, room: usize) -> Vec<Batch> {
    let mut batches: Vec<(Batch, Room)> = Vec::new();
    let mut queues: HashMap<String, Queue> = HashMap::new();
    for candidate in candidates {
        let last = batches.iter().rposition(|(batch, _)| batch.executor == candidate.executor);
        let at = last.filter(|at| batches[*at].1.fits(&candidate, limits)).unwrap_or(batches.len());
        let queue = queues.entry(candidate.subject.clone()).or_default();
        if !queue.may_go_into(at, &candidate) {
            queue.waits = true;
            continue;
        }
        if at == room {
            // Another Executor's batch may still have room, but a later command of this one must not overtake.
            break;
        }
        queue.take(at, &candidate);
        if at == batches.len() {
            batches.push((Batch { executor: candidate.executor, commands: Vec::new() }, Room::default()));
        }
        let (batch, used) = &mut batches[at];
        used.take(&candidate);
        batch.commands.push(candidate);
    }
    batches.into_iter().map(|(batch, _)| batch).collect()
}

/// Where the commands of one subject have gone so far.
#[derive(Default)]
struct Queue {
    /// Batches that hold some of them.
    batches: Vec<usize>,
    /// The order of one of them matters.
    ordered: bool,
    /// One of them waits, so all that follow do.
    waits: bool,
}

impl Queue {
    fn may_go_into(&self, batch: usize, candidate: &Candidate) -> bool {
        let any_order = candidate.commutes && !self.ordered;
        !self.waits && (any_order || self.batches.iter().all(|taken| *taken == batch))
    }

    fn take(&mut self, batch: usize, candidate: &Candidate) {
        self.ordered |= !candidate.commutes;
        if self.batches.last() != Some(&batch) {
            self.batches.push(batch);
        }
    }
}

/// What a batch holds already.
#[derive(Default)]
struct Room {
    items: Vec<ItemGas>,
    bytes: usize,
}

impl Room {
    fn fits(&self, candidate: &Candidate, limits: Limits) -> bool {
        let gas = gas::of_batch(self.items.iter().copied().chain([candidate.gas]));
        self.items.len() < limits.items && self.bytes + bytes(candidate) <= limits.bytes && gas <= limits.gas
    }

    fn take(&mut self, candidate: &Candidate) {
        self.items.push(candidate.gas);
        self.bytes += bytes(candidate);
    }
}

fn bytes(candidate: &Candidate) -> usize {
    candidate.data.len() + ITEM_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { items: 200, gas: 15_099_494, bytes: 120_000 };

    fn candidate(seq: i64, executor: u8, gas: u64, bytes: usize) -> Candidate {
        Candidate {
            seq,
            onchain_id: B256::ZERO,
            executor: Address::repeat_byte(executor),
            target: Address::ZERO,
            data: vec![0; bytes].into(),
            gas: ItemGas { limit: gas, expected: gas },
            subject: String::new(),
            commutes: true,
            valid_until: None,
            doubted: false,
            mandate: None,
        }
    }

    #[test]
    fn a_command_too_large_for_any_batch_goes_alone() {
        let batches = plan(vec![candidate(1, 1, 60_000, 100), candidate(2, 1, 16_000_000, 100)], LIMITS, 16);
        assert_eq!(batches.iter().map(|b| b.commands.len()).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn nothing_overtakes_when_there_is_no_room() {
        let queue = vec![candidate(1, 1, 60_000, 1), candidate(2, 2, 60_000, 1), candidate(3, 1, 60_000, 1)];
        let batches = plan(queue, LIMITS, 1);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].commands.iter().map(|c| c.seq).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_follows_a_command_that_waits_waits_too() {
        let ordered = |seq, gas| Candidate { commutes: false, ..candidate(seq, 1, gas, 1) };
        let queue = vec![ordered(1, 60_000), ordered(2, 16_000_000), ordered(3, 60_000), candidate(4, 1, 60_000, 1)];
        let batches = plan(queue, LIMITS, 16);
        assert_eq!(batches.iter().flat_map(|b| &b.commands).map(|c| c.seq).collect::<Vec<_>>(), [1]);
    }

    proptest! {
        #[test]
        fn commands_of_a_subject_go_into_two_batches_only_if_their_order_is_of_no_matter(
            items in proptest::collection::vec((0u8..6, any::<bool>(), 30_000u64..4_000_000), 0..120),
            room in 1usize..20,
        ) {
            let command = |(seq, (subject, commutes, gas)): (i64, &(u8, bool, u64))| Candidate {
                subject: subject.to_string(),
                commutes: *commutes,
                ..candidate(seq, subject % 2, *gas, 1)
            };
            let queue: Vec<_> = (0..).zip(&items).map(command).collect();
            let batches = plan(queue.clone(), LIMITS, room);
            let place = |seq: i64| batches.iter().position(|b| b.commands.iter().any(|c| c.seq == seq));
            for (i, later) in queue.iter().enumerate() {
                for earlier in queue[..i].iter().filter(|e| e.subject == later.subject) {
                    if let Some(at) = place(later.seq)
                        && !(earlier.commutes && later.commutes)
                    {
                        prop_assert_eq!(place(earlier.seq), Some(at), "{} before {}", earlier.seq, later.seq);
                    }
                }
            }
            prop_assert!(batches.iter().all(|b| b.commands.is_sorted_by_key(|c| c.seq)));
        }

        #[test]
        fn batches_keep_order_and_limits_and_lose_nothing(
            items in proptest::collection::vec((1u8..4, 30_000u64..400_000, 1usize..2_000), 0..600),
            room in 1usize..20,
        ) {
            let queue: Vec<_> =
                (0..).zip(&items).map(|(seq, (executor, gas, bytes))| candidate(seq, *executor, *gas, *bytes)).collect();
            let batches = plan(queue.clone(), LIMITS, room);
            prop_assert!(batches.len() <= room);
            for batch in &batches {
                prop_assert!(!batch.commands.is_empty() && batch.commands.len() <= LIMITS.items);
                prop_assert!(batch.commands.iter().all(|c| c.executor == batch.executor));
                if batch.commands.len() > 1 {
                    prop_assert!(gas::of_batch(batch.commands.iter().map(|c| c.gas)) <= LIMITS.gas);
                }
            }
            for executor in 1..4u8 {
                let of = |c: &&Candidate| c.executor == Address::repeat_byte(executor);
                let planned: Vec<i64> =
                    batches.iter().flat_map(|b| &b.commands).filter(of).map(|c| c.seq).collect();
                let queued: Vec<i64> = queue.iter().filter(of).map(|c| c.seq).collect();
                prop_assert_eq!(&planned[..], &queued[..planned.len()]);
            }
            if batches.len() < room {
                prop_assert_eq!(batches.iter().map(|b| b.commands.len()).sum::<usize>(), queue.len());
            }
        }
    }
}
