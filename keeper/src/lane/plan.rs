//! Which commands go together: pure, so that the limits are properties.

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
/// command, and the commands of one Executor stay in theirs; so a subject's commands, which have one Executor, do too.
pub(crate) fn plan(candidates: Vec<Candidate>, limits: Limits, room: usize) -> Vec<Batch> {
    let mut batches: Vec<(Batch, Room)> = Vec::new();
    for candidate in candidates {
        let last = batches.iter_mut().rev().find(|(batch, _)| batch.executor == candidate.executor);
        if let Some((batch, used)) = last
            && used.take(&candidate, limits)
        {
            batch.commands.push(candidate);
            continue;
        }
        if batches.len() == room {
            // Another Executor's batch may still have room, but a later command of this one must not overtake.
            break;
        }
        let mut used = Room::default();
        used.take(&candidate, Limits { items: usize::MAX, gas: u64::MAX, bytes: usize::MAX });
        batches.push((Batch { executor: candidate.executor, commands: vec![candidate] }, used));
    }
    batches.into_iter().map(|(batch, _)| batch).collect()
}

/// What a batch holds already.
#[derive(Default)]
struct Room {
    items: Vec<ItemGas>,
    bytes: usize,
}

impl Room {
    /// Takes the candidate in if it fits.
    fn take(&mut self, candidate: &Candidate, limits: Limits) -> bool {
        let bytes = self.bytes + candidate.data.len() + ITEM_BYTES;
        let gas = gas::of_batch(self.items.iter().copied().chain([candidate.gas]));
        let fits = self.items.len() < limits.items && bytes <= limits.bytes && gas <= limits.gas;
        if fits {
            self.items.push(candidate.gas);
            self.bytes = bytes;
        }
        fits
    }
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
            valid_until: None,
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

    proptest! {
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
