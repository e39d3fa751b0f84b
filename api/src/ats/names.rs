//! What orders are called, in rows and on every surface.

use super::engine::{Rest, Side};

/// Declares an enum whose values have names.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$value,)+];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$value => $text,)+ }
            }

            /// The value of this name.
            ///
            /// # Errors
            /// Which names there are.
            pub fn parse(name: &str) -> Result<$name, String> {
                let found = $name::ALL.iter().copied().find(|value| value.as_str() == name);
                found.ok_or_else(|| format!("value is none of {}", [$($text,)+].join(", ")))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(name: String) -> Result<$name, String> {
                $name::parse(&name)
            }
        }
    };
}

pub(crate) use named;

named! {
    /// What kind of order it is.
    Kind {
        /// At a price, or a better one.
        Limit = "limit",
        /// At the best prices there are, up to a collar.
        Market = "market",
        /// A market order, once a trade has reached a price.
        Stop = "stop",
        /// A limit order, once a trade has reached a price.
        StopLimit = "stop_limit",
    }
}

named! {
    /// How long it lasts.
    TimeInForce {
        /// To the end of the day, or of its session.
        Day = "day",
        /// Until it is cancelled, or its signature ends.
        Gtc = "gtc",
        /// What is not filled at once is cancelled.
        Ioc = "ioc",
        /// All of it at once, or nothing.
        Fok = "fok",
    }
}

named! {
    /// Where it stands.
    State {
        /// It is kept, and its book has not taken it yet.
        Pending = "pending",
        /// It waits for its stop price.
        Waiting = "waiting",
        /// What is left of it rests in the book.
        Open = "open",
        /// All of it was matched.
        Filled = "filled",
        /// What was left of it was cancelled.
        Cancelled = "cancelled",
        /// Its time was over.
        Expired = "expired",
    }
}

named! {
    /// What it does.
    Does {
        /// It buys.
        Buy = "buy",
        /// It sells.
        Sell = "sell",
    }
}

impl Kind {
    /// Whether it waits for a price.
    pub fn is_stop(self) -> bool {
        matches!(self, Kind::Stop | Kind::StopLimit)
    }

    /// Whether it names its worst price itself.
    pub fn is_limit(self) -> bool {
        matches!(self, Kind::Limit | Kind::StopLimit)
    }

    /// The times in force that it takes, the one first that it has unless told.
    pub fn times(self) -> &'static [TimeInForce] {
        use TimeInForce::{Day, Fok, Gtc, Ioc};
        match self {
            Kind::Limit => &[Day, Gtc, Ioc, Fok],
            Kind::Market => &[Ioc],
            Kind::Stop | Kind::StopLimit => &[Day, Gtc],
        }
    }

    /// What becomes of what is not filled at once.
    pub fn rest(self, time: TimeInForce) -> Rest {
        match (self, time) {
            (Kind::Market | Kind::Stop, _) | (_, TimeInForce::Ioc) => Rest::Never,
            (_, TimeInForce::Fok) => Rest::AllOrNothing,
            (_, TimeInForce::Day | TimeInForce::Gtc) => Rest::UntilEnd,
        }
    }
}

impl State {
    /// Whether it may still be matched.
    pub fn is_live(self) -> bool {
        matches!(self, State::Pending | State::Waiting | State::Open)
    }
}

impl Does {
    /// As the engine calls it.
    pub fn side(self) -> Side {
        match self {
            Does::Buy => Side::Buy,
            Does::Sell => Side::Sell,
        }
    }
}
