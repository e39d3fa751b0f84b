//! Where an offering stands and what comes next: pure functions of what people decided, of the chain, and of the commands
//! of its last approval.
//!
//! ```text
//! draft → pending_approval → approved → published ⇄ suspended
//!   ↑           └→ rejected ─┘ (edited)     └─ closed: its window is over, its token is sold no more, or another one came
//! ```
//!
//! People move it as far as `approved`, and that is stored; the rest is the chain's to say, and is not.

use tokenx_keeper::{State as CommandState, Verdict};

/// What people decided, as rows have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its issuer writes it.
    Draft,
    /// A super admin is to decide.
    PendingApproval,
    /// One has said no; it may be written again.
    Rejected,
    /// One has said yes.
    Approved,
}

/// What people may do to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Act {
    Edit,
    Publish,
    Approve,
    Reject,
}

/// Where it stands, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Its issuer writes it.
    Draft,
    /// A super admin is to decide.
    PendingApproval,
    /// One has said no.
    Rejected,
    /// Its listing is on the way.
    Approved,
    /// The chain sells on its terms.
    Published,
    /// The chain sold on its terms, and was told to stop for now.
    Suspended,
    /// It is over.
    Closed,
}

/// What the chain says of its token's sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sale {
    /// There is no such token, or no listing that could sell it.
    Nowhere,
    /// It was never for sale.
    NotListed,
    /// It is for sale.
    Listed,
    /// It was for sale.
    Delisted,
    /// It will not be for sale any more.
    Over,
}

/// All that its course follows from. The commands are those of its last approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// What people decided.
    pub state: State,
    /// All was asked that its last approval asks.
    pub settled: bool,
    /// Another one took its place, or its window is over.
    pub over: bool,
    /// What the chain says of the sale.
    pub sale: Sale,
    /// Whether the chain's terms are its own.
    pub terms_match: bool,
    /// The command that sets its terms.
    pub terms: Option<CommandState>,
    /// The command that lists its token.
    pub list: Option<CommandState>,
}

/// What is to be done next for what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Set its terms.
    SetTerms,
    /// List its token.
    List,
    /// Nothing yet: a command is on its way, or nobody has said yes.
    Wait,
    /// Nothing more.
    Done,
    /// Nothing by itself: a command has come to nothing, or terms were set beside it. An approval tries again.
    Stuck,
}

impl State {
    /// Every state.
    pub const ALL: [State; 4] = [State::Draft, State::PendingApproval, State::Rejected, State::Approved];

    /// Its name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::PendingApproval => "pending_approval",
            State::Rejected => "rejected",
            State::Approved => "approved",
        }
    }

    /// Where an act leads; `None` where there is no way. What of an approved one may be edited is its record's to say, and
    /// whether it may be approved again that of [`Course::next`].
    pub fn after(self, act: Act) -> Option<State> {
        match (self, act) {
            (State::Draft | State::Rejected, Act::Edit) => Some(State::Draft),
            (State::Draft | State::Rejected, Act::Publish) => Some(State::PendingApproval),
            (State::PendingApproval | State::Approved, Act::Approve) | (State::Approved, Act::Edit) => {
                Some(State::Approved)
            }
            (State::PendingApproval, Act::Reject) => Some(State::Rejected),
            _ => None,
        }
    }
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 7] = [
        Status::Draft,
        Status::PendingApproval,
        Status::Rejected,
        Status::Approved,
        Status::Published,
        Status::Suspended,
        Status::Closed,
    ];

    /// Its name on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Draft => State::Draft.as_str(),
            Status::PendingApproval => State::PendingApproval.as_str(),
            Status::Rejected => State::Rejected.as_str(),
            Status::Approved => State::Approved.as_str(),
            Status::Published => "published",
            Status::Suspended => "suspended",
            Status::Closed => "closed",
        }
    }
}

impl Course {
    /// Where it stands.
    pub fn status(&self) -> Status {
        match (self.state, self.sale) {
            (_, Sale::Over) => Status::Closed,
            (State::Draft, _) => Status::Draft,
            (State::PendingApproval, _) => Status::PendingApproval,
            (State::Rejected, _) => Status::Rejected,
            (State::Approved, _) if self.over => Status::Closed,
            (State::Approved, Sale::Listed) if self.settled => Status::Published,
            (State::Approved, Sale::Delisted) if self.settled && self.list.is_none_or(has_run) => Status::Suspended,
            (State::Approved, _) => Status::Approved,
        }
    }

    /// What comes next. Terms are believed once no command that sets them can be undone by less than a confirmed block,
    /// and the listing is asked for only on these.
    pub fn next(&self) -> Step {
        if self.state != State::Approved {
            return Step::Wait;
        }
        if self.status() == Status::Closed {
            return Step::Done;
        }
        if self.settled {
            return match (self.list, self.sale) {
                (Some(list), _) if came_to_nothing(list) => Step::Stuck,
                // Others had listed it, and a reorg has taken that back.
                (None, Sale::Nowhere | Sale::NotListed) => Step::Stuck,
                _ => Step::Done,
            };
        }
        match (self.terms, self.terms_match) {
            (Some(terms), _) if came_to_nothing(terms) => Step::Stuck,
            (Some(terms), _) if !matches!(terms, CommandState::Confirmed | CommandState::Final) => Step::Wait,
            (Some(_), false) => Step::Stuck,
            (None, false) => Step::SetTerms,
            (_, true) if self.sale == Sale::Listed => Step::Done,
            (_, true) => Step::List,
        }
    }
}

/// Whether a command has run and done what it was for.
fn has_run(state: CommandState) -> bool {
    matches!(state, CommandState::Mined(Verdict::Done) | CommandState::Confirmed | CommandState::Final)
}

/// Whether a command has ended otherwise.
pub fn came_to_nothing(state: CommandState) -> bool {
    state.is_ended() && !has_run(state)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALES: [Sale; 5] = [Sale::Nowhere, Sale::NotListed, Sale::Listed, Sale::Delisted, Sale::Over];
    const ACTS: [Act; 4] = [Act::Edit, Act::Publish, Act::Approve, Act::Reject];

    fn any_command() -> impl Strategy<Value = Option<CommandState>> {
        prop::option::of(prop::sample::select(CommandState::ALL.to_vec()))
    }

    fn any_course() -> impl Strategy<Value = Course> {
        let state = prop::sample::select(State::ALL.to_vec());
        let sale = prop::sample::select(SALES.to_vec());
        (state, any::<bool>(), any::<bool>(), sale, any::<bool>(), any_command(), any_command()).prop_map(
            |(state, settled, over, sale, terms_match, terms, list)| Course {
                state,
                settled,
                over,
                sale,
                terms_match,
                terms,
                list,
            },
        )
    }

    /// What can happen after an approval, in any order.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// The api looks at what is due.
        Look,
        /// A command moves.
        Terms(CommandState),
        List(CommandState),
        /// Somebody else sets terms, or moves the sale.
        Theirs(bool),
        Sale(Sale),
        /// An approval is repeated, where it may be.
        Approve,
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => Just(Event::Look),
            3 => any_command().prop_map(|state| Event::Terms(state.unwrap_or(CommandState::Confirmed))),
            3 => any_command().prop_map(|state| Event::List(state.unwrap_or(CommandState::Confirmed))),
            1 => any::<bool>().prop_map(Event::Theirs),
            1 => prop::sample::select(SALES.to_vec()).prop_map(Event::Sale),
            1 => Just(Event::Approve),
        ]
    }

    proptest! {
        #[test]
        fn it_is_published_exactly_when_it_was_approved_and_the_chain_sells_on_its_terms(course in any_course()) {
            let published = course.state == State::Approved && course.settled && !course.over && course.sale == Sale::Listed;
            prop_assert_eq!(course.status() == Status::Published, published);
        }

        #[test]
        fn nothing_is_asked_of_the_keeper_that_nobody_approved_or_that_is_over(course in any_course()) {
            let asks = matches!(course.next(), Step::SetTerms | Step::List);
            prop_assert!(!asks || (course.state == State::Approved && course.status() == Status::Approved));
        }

        #[test]
        fn a_token_is_listed_on_its_offerings_terms_and_on_no_others(course in any_course()) {
            if course.next() == Step::List {
                prop_assert!(course.terms_match && course.sale != Sale::Listed);
                prop_assert!(course.terms.is_none_or(|terms| terms.is_ended() && !came_to_nothing(terms)));
            }
        }

        #[test]
        fn a_round_asks_for_each_command_once_whatever_happens(events in prop::collection::vec(any_event(), 0..60)) {
            let mut course = Course {
                state: State::Approved,
                settled: false,
                over: false,
                sale: Sale::NotListed,
                terms_match: false,
                terms: None,
                list: None,
            };
            for event in events {
                match event {
                    Event::Look => match course.next() {
                        Step::SetTerms => prop_assert!(course.terms.replace(CommandState::Accepted).is_none()),
                        Step::List => {
                            prop_assert!(course.list.replace(CommandState::Accepted).is_none());
                            course.settled = true;
                        }
                        Step::Done => course.settled = true,
                        Step::Wait | Step::Stuck => {}
                    },
                    Event::Terms(state) if course.terms.is_some() => {
                        course.terms = Some(state);
                        course.terms_match |= has_run(state);
                    }
                    Event::List(state) if course.list.is_some() => {
                        course.list = Some(state);
                        if has_run(state) && course.sale != Sale::Over {
                            course.sale = Sale::Listed;
                        }
                    }
                    Event::Theirs(matches) => course.terms_match = matches,
                    Event::Sale(sale) => course.sale = sale,
                    Event::Approve if course.next() == Step::Stuck => {
                        course = Course { settled: false, terms: None, list: None, ..course };
                    }
                    Event::Terms(_) | Event::List(_) | Event::Approve => {}
                }
            }
        }

        #[test]
        fn no_way_leads_to_approved_but_through_publication_and_approval(
            acts in prop::collection::vec(prop::sample::select(ACTS.to_vec()), 0..30),
        ) {
            let (mut state, mut taken) = (State::Draft, Vec::new());
            for act in acts {
                if let Some(next) = state.after(act) {
                    state = next;
                    taken.push(act);
                }
                if state == State::Approved {
                    let first = taken.iter().position(|act| *act == Act::Approve);
                    prop_assert!(first.is_some_and(|at| at > 0 && taken[at - 1] == Act::Publish), "{:?}", taken);
                }
            }
        }
    }

    #[test]
    fn what_waits_for_a_decision_is_not_edited_and_is_decided_on_once() {
        assert_eq!(State::PendingApproval.after(Act::Edit), None);
        for act in [Act::Publish, Act::Reject] {
            assert_eq!(State::Approved.after(act), None);
        }
        for act in [Act::Approve, Act::Reject] {
            assert_eq!((State::Draft.after(act), State::Rejected.after(act)), (None, None));
        }
    }
}
