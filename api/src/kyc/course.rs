//! Where an application stands: a pure function of the provider's last word, by the provider's own clock, and of the
//! officer's decision. In which order words arrive, and how often, makes no difference.
//!
//! ```text
//! not_started → pending → in_review → approved → expired
//!                  ↑ └──────┴────────→ rejected
//!                  └ the provider asks for more
//! ```
//!
//! The provider looks at papers, an officer decides. A refusal by the provider that is newer than the approval undoes it,
//! until an officer decides again.

use time::OffsetDateTime;

/// What the provider says of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// It waits for the applicant.
    Begun,
    /// It has what it asked for.
    Handed,
    /// Somebody looks at it by hand.
    OnHold,
    /// Good.
    Good,
    /// Not good enough: the applicant may mend it.
    Again,
    /// Refused.
    Refused,
}

/// A word, and when the provider said it: Unix milliseconds, and the message's digest where two fall together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Said {
    /// When.
    pub at: i64,
    /// The message's digest.
    pub digest: [u8; 32],
    /// What.
    pub word: Word,
}

/// An officer's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Approved.
    Approved,
    /// Rejected.
    Rejected,
}

/// A decision, and the word it was taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub verdict: Verdict,
    /// When the provider had said what the officer read; `None`: nothing yet.
    pub on: Option<i64>,
    /// When an approval ends.
    pub until: Option<OffsetDateTime>,
}

/// Where a party stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It has never applied.
    NotStarted,
    /// It has to hand something in.
    Pending,
    /// The provider or an officer is at it.
    InReview,
    /// An officer has said yes.
    Approved,
    /// The provider or an officer has said no.
    Rejected,
    /// The approval has ended.
    Expired,
}

impl Word {
    /// Every word.
    pub const ALL: [Word; 6] = [Word::Begun, Word::Handed, Word::OnHold, Word::Good, Word::Again, Word::Refused];

    /// Its name in the table and on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Word::Begun => "begun",
            Word::Handed => "handed_in",
            Word::OnHold => "on_hold",
            Word::Good => "good",
            Word::Again => "to_be_mended",
            Word::Refused => "refused",
        }
    }

    /// The word of this name.
    pub fn parse(name: &str) -> Option<Word> {
        Word::ALL.into_iter().find(|word| word.as_str() == name)
    }
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

impl Status {
    /// Every status.
    pub const ALL: [Status; 6] =
        [Status::NotStarted, Status::Pending, Status::InReview, Status::Approved, Status::Rejected, Status::Expired];

    /// Its name on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::NotStarted => "not_started",
            Status::Pending => "pending",
            Status::InReview => "in_review",
            Status::Approved => "approved",
            Status::Rejected => "rejected",
            Status::Expired => "expired",
        }
    }

    /// Of an application that has begun, now.
    pub fn of(said: Option<Said>, decided: Option<Decided>, now: OffsetDateTime) -> Status {
        match decided.filter(|decided| decided.stands(said)) {
            Some(Decided { verdict: Verdict::Rejected, .. }) => Status::Rejected,
            Some(Decided { until: Some(until), .. }) if until <= now => Status::Expired,
            Some(_) => Status::Approved,
            None => match said.map(|said| said.word) {
                None | Some(Word::Begun | Word::Again) => Status::Pending,
                Some(Word::Handed | Word::OnHold | Word::Good) => Status::InReview,
                Some(Word::Refused) => Status::Rejected,
            },
        }
    }

    /// Whether wallets may be on the registry's list: what has expired the chain sees by itself.
    pub fn is_good(self) -> bool {
        matches!(self, Status::Approved | Status::Expired)
    }
}

impl Decided {
    /// Whether nothing the provider said since undoes it.
    pub fn stands(&self, said: Option<Said>) -> bool {
        let refused = |said: Said| matches!(said.word, Word::Again | Word::Refused);
        let newer = |said: Said| self.on.is_none_or(|on| said.at > on);
        self.verdict == Verdict::Rejected || !said.is_some_and(|said| refused(said) && newer(said))
    }
}

/// The later of two words.
pub fn later(known: Option<Said>, heard: Said) -> Said {
    known.map_or(heard, |known| known.max(heard))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-01 0:00 UTC);

    fn any_said() -> impl Strategy<Value = Said> {
        (0..5_i64, any::<[u8; 1]>(), prop::sample::select(Word::ALL.to_vec())).prop_map(|(at, [digest], word)| Said {
            at,
            digest: [digest; 32],
            word,
        })
    }

    fn any_decided() -> impl Strategy<Value = Option<Decided>> {
        let verdict = prop::sample::select(vec![Verdict::Approved, Verdict::Rejected]);
        let until = prop::option::of(prop::sample::select(vec![NOW, NOW + time::Duration::SECOND]));
        let decided = (verdict, prop::option::of(0..5_i64), until);
        prop::option::of(decided.prop_map(|(verdict, on, until)| Decided { verdict, on, until }))
    }

    fn heard(words: &[Said]) -> Option<Said> {
        words.iter().fold(None, |known, said| Some(later(known, *said)))
    }

    proptest! {
        #[test]
        fn the_order_of_deliveries_and_their_number_make_no_difference(
            words in prop::collection::vec(any_said(), 0..12),
            again in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            shuffled in any::<u64>(),
            decided in any_decided(),
        ) {
            let mut delivered = words.clone();
            if !words.is_empty() {
                delivered.extend(again.iter().map(|index| *index.get(&words)));
            }
            delivered.sort_by_key(|said| (said.at.cast_unsigned() ^ shuffled).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(said.digest[0]));
            prop_assert_eq!(heard(&delivered), heard(&words));
            prop_assert_eq!(Status::of(heard(&delivered), decided, NOW), Status::of(heard(&words), decided, NOW));
        }

        #[test]
        fn nobody_is_approved_whom_no_officer_approved(said in prop::option::of(any_said()), decided in any_decided()) {
            let status = Status::of(said, decided, NOW);
            prop_assert!(!status.is_good() || decided.is_some_and(|decided| decided.verdict == Verdict::Approved));
        }

        #[test]
        fn a_refusal_newer_than_the_approval_undoes_it(said in any_said(), decided in any_decided()) {
            let refused = matches!(said.word, Word::Again | Word::Refused);
            let newer = decided.is_some_and(|decided| decided.on.is_none_or(|on| said.at > on));
            if refused && newer {
                prop_assert!(!Status::of(Some(said), decided, NOW).is_good());
            }
        }
    }

    #[test]
    fn an_approval_ends_with_the_second_it_names() {
        let until = |until| Some(Decided { verdict: Verdict::Approved, on: Some(1), until });
        assert_eq!(Status::of(None, until(Some(NOW)), NOW), Status::Expired);
        assert_eq!(Status::of(None, until(Some(NOW + time::Duration::SECOND)), NOW), Status::Approved);
        assert_eq!(Status::of(None, until(None), NOW), Status::Approved);
    }

    #[test]
    fn names_of_words_read_back() {
        for word in Word::ALL {
            assert_eq!(Word::parse(word.as_str()), Some(word));
        }
    }
}
