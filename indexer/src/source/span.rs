//! How many blocks to ask for at once: up while answers are small, down when an endpoint balks.

use super::error::Class;

/// The adapting length of a range, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    blocks: u64,
    /// Longest that the endpoint has not refused as too wide. It does not change its mind, so this only falls.
    ceiling: u64,
    /// Bytes that one answer should have.
    target: u64,
}

impl Span {
    /// Starts at `start` blocks, never exceeds `most`, and aims for answers of `target` bytes.
    pub(crate) fn new(start: u64, most: u64, target: u64) -> Self {
        let ceiling = most.max(1);
        Self { blocks: start.clamp(1, ceiling), ceiling, target: target.max(1) }
    }

    /// Blocks to ask for next; at least 1.
    pub(crate) const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// `asked` blocks came as `bytes`.
    pub(crate) fn answered(&mut self, asked: u64, bytes: u64) {
        if asked < self.blocks && bytes < self.target {
            return; // a short last range says nothing about longer ones
        }
        // What would hit the target, but at most twice as long as what went well.
        let fitting = asked.saturating_mul(self.target) / bytes.max(1);
        self.blocks = fitting.min(asked.saturating_mul(2)).clamp(1, self.ceiling);
    }

    /// `asked` blocks were refused. True if a shorter range is worth a try.
    pub(crate) fn refused(&mut self, asked: u64, class: Class) -> bool {
        if !class.wants_less() {
            return false;
        }
        if class == Class::TooWide {
            self.ceiling = self.ceiling.min(asked.saturating_sub(1)).max(1);
        }
        self.blocks = (asked / 2).clamp(1, self.ceiling);
        asked > 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: u64 = 8 << 20;

    #[test]
    fn a_timeout_shrinks_the_range_too() {
        let mut span = Span::new(1000, 10_000, TARGET);
        assert!(span.refused(1000, Class::Timeout));
        assert_eq!(span.blocks(), 500);
    }

    #[test]
    fn a_refused_width_is_never_asked_again() {
        let mut span = Span::new(2000, 10_000, TARGET);
        span.refused(2000, Class::TooWide);
        for _ in 0..20 {
            span.answered(span.blocks(), 10);
        }
        assert_eq!(span.blocks(), 1999);
    }

    #[test]
    fn an_error_of_another_kind_leaves_the_range_alone() {
        let mut span = Span::new(64, 64, TARGET);
        assert!(!span.refused(64, Class::RateLimited));
        assert_eq!(span.blocks(), 64);
    }

    proptest! {
        /// Against an endpoint with any width limit and any density of bytes, asking settles on ranges that are
        /// answered, near the target or at a limit.
        #[test]
        fn ranges_settle_within_the_endpoints_limits(limit in 1u64..20_000, bytes_per_block in 0u64..40_000_000) {
            let mut span = Span::new(2_000, 10_000, TARGET);
            let mut last = (0, false);
            for _ in 0..80 {
                let asked = span.blocks();
                prop_assert!((1..=10_000).contains(&asked));
                let fits = asked <= limit;
                if fits {
                    span.answered(asked, asked * bytes_per_block);
                } else {
                    span.refused(asked, Class::TooWide);
                }
                last = (asked, fits);
            }
            prop_assert!(last.1, "still refused at {}", last.0);
            let (asked, _) = last;
            let near_target = asked * bytes_per_block * 2 >= TARGET.min(bytes_per_block.max(1));
            prop_assert!(near_target || asked * 3 >= limit.min(10_000), "stuck at {asked}");
            prop_assert!(asked == 1 || asked * bytes_per_block <= TARGET * 2);
        }
    }
}
