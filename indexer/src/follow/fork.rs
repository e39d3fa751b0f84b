//! Is what the node shows a continuation of what is stored? Pure.

use crate::BlockRef;

/// How headers from the node relate to the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// They go on from it.
    Extends,
    /// They link among themselves and not to it: the node is on another branch.
    Forks,
    /// They do not even link among themselves: the chain turned while it was read. Read again.
    Turned,
}

/// Relates the headers above the cursor, lowest first, to the cursor.
pub(super) fn relate(cursor: &BlockRef, above: &[BlockRef]) -> Relation {
    if !links(above) {
        return Relation::Turned;
    }
    match above.first() {
        Some(first) if first.number == cursor.number + 1 && first.parent_hash == cursor.hash => Relation::Extends,
        _ => Relation::Forks,
    }
}

/// Does each header follow the one before it?
pub(super) fn links(headers: &[BlockRef]) -> bool {
    headers.windows(2).all(|pair| pair[1].number == pair[0].number + 1 && pair[1].parent_hash == pair[0].hash)
}

/// The highest stored block that the node has as well.
pub(super) fn ancestor(stored: &[BlockRef], node: &[BlockRef]) -> Option<BlockRef> {
    stored
        .iter()
        .filter(|ours| node.iter().any(|theirs| (theirs.number, theirs.hash) == (ours.number, ours.hash)))
        .max_by_key(|block| block.number)
        .copied()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, keccak256};
    use proptest::prelude::*;

    use super::*;

    /// A chain whose hashes depend on everything below, as real ones do: blocks at and above `fork` belong to `branch`.
    fn chain(length: u64, fork: u64, branch: u8) -> Vec<BlockRef> {
        let mut parent_hash = B256::ZERO;
        (0..length)
            .map(|number| {
                let branch = if number >= fork { branch } else { 0 };
                let hash = keccak256([parent_hash.as_slice(), &number.to_be_bytes(), &[branch]].concat());
                let block = BlockRef { number, hash, parent_hash, timestamp: number };
                parent_hash = hash;
                block
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_longer_chain_of_the_same_branch_extends(length in 1u64..40, more in 1u64..40) {
            let all = chain(length + more, 0, 0);
            let (ours, above) = all.split_at(length.try_into().unwrap());
            prop_assert_eq!(relate(ours.last().unwrap(), above), Relation::Extends);
        }

        #[test]
        fn the_ancestor_is_the_last_block_below_the_fork(
            ours in 2u64..40, theirs in 2u64..40, fork in 1u64..40, kept in 1u64..40,
        ) {
            let fork = fork.min(ours - 1).min(theirs - 1);
            let old = chain(ours, fork, 1);
            let new = chain(theirs, fork, 2);
            // Headers far below are not all stored; the ancestor is the highest one that is.
            let stored: Vec<BlockRef> = old.iter().copied().filter(|b| b.number % kept == 0 || b.number >= fork).collect();
            let expected = (0..fork).rev().find(|number| number % kept == 0).unwrap();
            prop_assert_eq!(ancestor(&stored, &new).unwrap().number, expected);
            let cursor = old.last().unwrap();
            let above: Vec<BlockRef> = new.iter().copied().filter(|b| b.number > cursor.number).collect();
            if !above.is_empty() {
                prop_assert_eq!(relate(cursor, &above), Relation::Forks);
            }
        }

        #[test]
        fn headers_of_two_branches_never_pass_for_one(length in 3u64..40, fork in 1u64..39, cut in 1u64..39) {
            let fork = fork.min(length - 1);
            let cut = cut.clamp(1, length - 1).max(fork + 1);
            prop_assume!(cut < length);
            let mut mixed = chain(length, fork, 1);
            let cut = usize::try_from(cut).unwrap();
            mixed.truncate(cut);
            mixed.extend(chain(length, fork, 2).into_iter().skip(cut));
            prop_assert_eq!(relate(&mixed[0].clone(), &mixed[1..]), Relation::Turned);
        }
    }

    #[test]
    fn chains_with_nothing_in_common_have_no_ancestor() {
        assert_eq!(ancestor(&chain(5, 0, 1), &chain(5, 0, 2)), None);
    }
}
