//! What went wrong at an endpoint, as a class that says what to do next.

use alloy::transports::{RpcError, TransportError, TransportErrorKind};

use super::transport::TOO_BIG;

/// What an endpoint's error means for the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Ask less often.
    RateLimited,
    /// Ask for fewer blocks.
    TooWide,
    /// Ask for fewer blocks: the answer has too many logs or bytes.
    TooBig,
    /// Ask for fewer blocks, and again: a time-out says nothing of its cause.
    Timeout,
    /// The endpoint has not seen the block yet.
    Behind,
    /// The endpoint does not know the block, or no longer: the chain may have turned.
    NotFound,
    /// Anything else: ask again later.
    Other,
}

impl Class {
    /// Name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::TooWide => "too_wide",
            Self::TooBig => "too_big",
            Self::Timeout => "timeout",
            Self::Behind => "behind",
            Self::NotFound => "not_found",
            Self::Other => "other",
        }
    }

    /// Would a shorter range help?
    #[must_use]
    pub const fn wants_less(self) -> bool {
        matches!(self, Self::TooWide | Self::TooBig | Self::Timeout)
    }
}

/// Why nothing usable came from an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It answered with an error, or not at all.
    #[error("{method}: {message}")]
    Rpc {
        /// The JSON-RPC method.
        method: &'static str,
        /// What the error means.
        class: Class,
        /// A contract failed: the node ran the call, and that is its answer.
        execution: bool,
        /// What the endpoint said.
        message: String,
    },
    /// It answered with something that cannot be true.
    #[error("{method}: answer cannot be true: {message}")]
    Untrue {
        /// The JSON-RPC method.
        method: &'static str,
        /// What contradicts what.
        message: String,
    },
    /// The URL is not one.
    #[error("rpc url is not valid: {0}: write it as http://host:port")]
    Url(String),
    /// It serves another chain.
    #[error("endpoint serves chain {found}, settings say {expected}: set chain.rpc_url or chain.chain_id")]
    WrongChain {
        /// From the settings.
        expected: u64,
        /// From the endpoint.
        found: u64,
    },
}

impl SourceError {
    /// What it means for the next request.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Rpc { class, .. } => *class,
            _ => Class::Other,
        }
    }

    /// Did a contract fail, rather than the endpoint?
    pub(super) const fn is_execution(&self) -> bool {
        matches!(self, Self::Rpc { execution: true, .. })
    }

    pub(super) fn rpc(method: &'static str, error: &TransportError) -> Self {
        let (message, execution) = match error {
            RpcError::ErrorResp(payload) => (payload.message.to_string(), is_execution(payload.code, &payload.message)),
            other => (other.to_string(), false),
        };
        Self::Rpc { method, class: classify_error(error), execution, message: cut(&message) }
    }

    pub(super) fn untrue(method: &'static str, message: impl Into<String>) -> Self {
        Self::Untrue { method, message: message.into() }
    }

    pub(crate) fn not_found(method: &'static str, what: impl std::fmt::Display) -> Self {
        Self::Rpc { method, class: Class::NotFound, execution: false, message: format!("{what} not found") }
    }
}

/// Endpoints put whole pages into their errors.
fn cut(message: &str) -> String {
    message.chars().take(300).collect()
}

fn classify_error(error: &TransportError) -> Class {
    match error {
        RpcError::ErrorResp(payload) => classify(Some(payload.code), &payload.message),
        RpcError::Transport(TransportErrorKind::HttpError(http)) => match http.status {
            429 => Class::RateLimited,
            413 => Class::TooBig,
            408 | 504 | 524 => Class::Timeout,
            _ => classify(None, &http.body),
        },
        RpcError::Transport(TransportErrorKind::Custom(source)) => {
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
            while let Some(error) = cause {
                if error.to_string().contains("timed out") {
                    return Class::Timeout;
                }
                cause = error.source();
            }
            classify(None, &source.to_string())
        }
        _ => Class::Other,
    }
}

/// Phrases of nodes and providers in lower case, the first match counts; so the narrower ones stand first.
const PHRASES: &[(&str, Class)] = &[
    // Rate: before "limit" and "exceeded" of ranges.
    ("rate limit", Class::RateLimited),
    ("too many requests", Class::RateLimited),
    ("request limit reached", Class::RateLimited),
    ("compute units per second", Class::RateLimited),
    ("request count exceeded", Class::RateLimited),
    ("requests per second", Class::RateLimited),
    ("capacity exceeded", Class::RateLimited),
    // Size: before "range", since these messages suggest one.
    (TOO_BIG, Class::TooBig),
    ("response size", Class::TooBig),
    ("response too large", Class::TooBig),
    ("response is too big", Class::TooBig),
    ("returned more than", Class::TooBig),
    ("exceeds max results", Class::TooBig),
    ("too many results", Class::TooBig),
    ("logs matched by query exceeds", Class::TooBig),
    ("result too large", Class::TooBig),
    ("body too large", Class::TooBig),
    // Time.
    ("timeout", Class::Timeout),
    ("timed out", Class::Timeout),
    ("deadline exceeded", Class::Timeout),
    // Not there yet: before "range", since geth says "block range extends beyond".
    ("beyond current head", Class::Behind),
    ("is not available yet", Class::Behind),
    ("greater than latest", Class::Behind),
    ("after last accepted block", Class::Behind),
    ("cannot query unfinalized data", Class::Behind),
    ("block is out of range", Class::Behind),
    ("blockoutofrange", Class::Behind),
    // Width.
    ("block range", Class::TooWide),
    ("blocks range", Class::TooWide),
    ("range limit", Class::TooWide),
    ("max range", Class::TooWide),
    ("range is too", Class::TooWide),
    ("range too", Class::TooWide),
    ("ranges over", Class::TooWide),
    ("limited to a", Class::TooWide),
    ("number of requested blocks", Class::TooWide),
    ("query exceeds", Class::TooWide),
    // Not there.
    ("header not found", Class::NotFound),
    ("block not found", Class::NotFound),
    ("unknown block", Class::NotFound),
    ("missing trie node", Class::NotFound),
    ("could not find block", Class::NotFound),
    ("resource not found", Class::NotFound),
    // Not there any more: what a node without an archive says of older states.
    ("historical state", Class::NotFound),
    ("no state available", Class::NotFound),
    ("pruned history", Class::NotFound),
    ("is pruned", Class::NotFound),
    ("state pruning", Class::NotFound),
    ("due to pruning", Class::NotFound),
];

/// What nodes call the failures of a contract, in lower case.
const FAILURES: &[&str] = &[
    "revert",
    "evm error",
    "vm exception",
    "vm execution error",
    "out of gas",
    "opcode",
    "invalid jump",
    "stack underflow",
    "stack overflow",
    "stack limit reached",
    "return data out of bounds",
    "write protection",
    "gas uint64 overflow",
    "max call depth exceeded",
];

/// Did a contract fail, rather than the endpoint? Only what an EVM says counts: of an error that nobody knows, nothing
/// may be concluded. A contract chooses its own words, so these go before any class.
#[must_use]
pub fn is_execution(code: i64, message: &str) -> bool {
    let text = message.to_lowercase();
    // 3: geth's code of a revert.
    code == 3 || FAILURES.iter().any(|failure| text.contains(failure))
}

/// The class of an error by its JSON-RPC code and its text. The text goes first: codes are used for everything.
#[must_use]
pub fn classify(code: Option<i64>, message: &str) -> Class {
    let text = message.to_lowercase();
    if let Some((_, class)) = PHRASES.iter().find(|(phrase, _)| text.contains(phrase)) {
        return *class;
    }
    match code {
        Some(429 | -32005 | -32007 | -32029) => Class::RateLimited,
        Some(-32008) => Class::TooBig,
        Some(-32002) => Class::Timeout,
        Some(-32001) => Class::NotFound,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Said {
        by: String,
        code: Option<i64>,
        message: String,
        class: Class,
    }

    #[test]
    fn every_message_of_the_fixture_gets_its_class() {
        let said: Vec<Said> = serde_json::from_str(include_str!("provider_errors.json")).unwrap();
        assert!(said.len() > 30);
        let wrong: Vec<String> = said
            .iter()
            .filter(|said| classify(said.code, &said.message) != said.class)
            .map(|said| format!("{}: {} -> {:?}", said.by, said.message, classify(said.code, &said.message)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn an_unknown_message_is_asked_again_and_never_shrinks_a_range() {
        assert_eq!(classify(Some(-32000), "the moon is in the wrong house"), Class::Other);
        assert!(!Class::Other.wants_less());
    }
}
