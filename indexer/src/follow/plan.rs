//! Which blocks to read next. Pure.

/// Blocks that are not final yet are read at most this many at a time, each with its header.
const TAIL: u64 = 32;

/// What is known when planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The indexed block.
    pub(super) cursor: u64,
    /// The node's head.
    pub(super) head: u64,
    /// The highest confirmed block, not above `head`.
    pub(super) confirmed: u64,
    /// The highest final block, not above `head`.
    pub(super) finalized: u64,
    /// The head when the chain was first followed. Blocks up to it have no effects, so no batch crosses it.
    pub(super) live_from: u64,
}

/// What to read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing new.
    Idle,
    /// Final blocks, in long ranges by number.
    Backfill { from: u64, to: u64 },
    /// Blocks that a reorg may still replace, by hash.
    Tail { from: u64, to: u64 },
}

pub(super) fn plan(view: View) -> Plan {
    let from = view.cursor + 1;
    // The head is read by hash even where it is final at once: accounts are asked with it, and only with it. And what
    // is not confirmed has all its headers, whatever the chain calls final: answers are as of its lowest block soon.
    let past = view.finalized.min(view.confirmed).min(view.head.saturating_sub(1));
    if from > view.head {
        Plan::Idle
    } else if from <= past {
        Plan::Backfill { from, to: past }
    } else {
        Plan::Tail { from, to: end(from, view.head, TAIL, view.live_from) }
    }
}

/// The last block of a batch that begins at `from`: at most `most` blocks, not above `to`, not across `live_from`.
pub(super) fn end(from: u64, to: u64, most: u64, live_from: u64) -> u64 {
    let end = to.min(from.saturating_add(most.max(1) - 1));
    if from <= live_from { end.min(live_from) } else { end }
}

/// The highest block of this depth, its own included: depth 1 is the head itself.
pub(super) const fn at_depth(head: u64, depth: u64) -> u64 {
    (head + 1).saturating_sub(if depth == 0 { 1 } else { depth })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_confirmation_is_the_head_itself() {
        assert_eq!(at_depth(10, 1), 10);
        assert_eq!(at_depth(10, 3), 8);
        assert_eq!(at_depth(10, 64), 0);
    }

    proptest! {
        /// From any cursor to any head, following plans reads every block once, in order, never across the border
        /// between past and live, only blocks that are final and confirmed by number, and never the head.
        #[test]
        fn plans_cover_every_block_once_and_in_order(
            cursor in 0u64..300, ahead in 0u64..300, depth in 0u64..400, shallow in 0u64..400, live_from in 0u64..500,
            span in 1u64..50,
        ) {
            let head = cursor + ahead;
            let (confirmed, finalized) = (head.saturating_sub(shallow), head.saturating_sub(depth));
            let mut at = cursor;
            loop {
                let view = View { cursor: at, head, confirmed, finalized, live_from };
                let (from, to, by_number) = match plan(view) {
                    Plan::Idle => break,
                    Plan::Backfill { from, to } => (from, end(from, to, span, live_from), true),
                    Plan::Tail { from, to } => (from, to, false),
                };
                prop_assert_eq!(from, at + 1);
                prop_assert!(to >= from && to <= head);
                prop_assert!(from > live_from || to <= live_from);
                prop_assert_eq!(by_number, to <= finalized && to <= confirmed && to < head);
                prop_assert!(by_number || to - from < TAIL);
                at = to;
            }
            prop_assert_eq!(at, head);
        }
    }
}
