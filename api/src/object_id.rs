//! The 24-hex ids of nodes and tokens: 4 bytes of time, 5 random ones a process, a counter of 3.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use time::OffsetDateTime;

static PROCESS: LazyLock<[u8; 5]> = LazyLock::new(rand::random);
static COUNTER: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(rand::random()));

/// A new id, above every earlier one of this process save within the same second after 2^24 of them.
pub fn generate() -> String {
    let seconds = OffsetDateTime::now_utc().unix_timestamp().to_be_bytes();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut id = [0; 12];
    // The low four bytes: they wrap in 2106, as the format does.
    id[..4].copy_from_slice(&seconds[4..]);
    id[4..9].copy_from_slice(&*PROCESS);
    id[9..].copy_from_slice(&count[1..]);
    hex::encode(id)
}

/// Whether the text is such an id.
pub fn is_valid(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_24_hex_and_never_repeat() {
        let ids: HashSet<String> = (0..10_000).map(|_| generate()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| is_valid(id)));
    }

    #[test]
    fn upper_case_or_other_lengths_are_no_ids() {
        for text in ["", "67d8774e903bfcbe7eb5d93", "67D8774E903BFCBE7EB5D93E", "67d8774e903bfcbe7eb5d93ef", "zzz"] {
            assert!(!is_valid(text), "{text}");
        }
    }
}
