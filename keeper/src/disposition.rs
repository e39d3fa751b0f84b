//! What an RPC's answer to a send says about the transaction: the difference between "they have it", "they may have
//! it" and "they refused it" is what exactly-once stands on. Anything not in the table may have been sent.

use alloy::transports::{RpcError, TransportErrorKind};

/// What to do with a signed transaction after an answer that is not its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The node has it, or a block holds its nonce already. Not a verdict: the indexer says which.
    Known,
    /// Nobody can tell. Send the same bytes again.
    MaybeSent,
    /// The node has not taken it and says why that may pass. Send the same bytes again, later.
    RetrySame,
    /// It offers too little. Replace it with the same payload at a higher price.
    Bump,
    /// These bytes can never be included. Their nonce is given up with a no-op; the commands go again.
    Terminal,
    /// Nothing this lane signs will be taken. Stop it and tell somebody.
    HaltLane,
}

/// Lower-case fragments of messages, first match wins: the specific before the general.
const TABLE: &[(&str, Disposition)] = &[
    // Replacement rules come before "known" ones: several clients mention the other transaction.
    ("replacement transaction underpriced", Disposition::Bump),
    ("there is another tx which has the same nonce", Disposition::Bump),
    ("there is another transaction with same nonce", Disposition::Bump),
    ("replacementnotallowed", Disposition::Bump),
    ("transaction underpriced", Disposition::Bump),
    ("gas price too low", Disposition::Bump),
    ("gas price below configured minimum", Disposition::Bump),
    ("is below configured minimum gas price", Disposition::Bump),
    ("gas price below minimum", Disposition::Bump),
    ("minimal gas price", Disposition::Bump),
    ("max fee per gas less than block base fee", Disposition::Bump),
    ("gas price less than block base fee", Disposition::Bump),
    ("fee cap less than block base fee", Disposition::Bump),
    ("feetoolow", Disposition::Bump),
    ("could not replace existing", Disposition::Bump),
    ("insufficient gas price to replace", Disposition::Bump),
    // They have it.
    ("already known", Disposition::Known),
    ("alreadyknown", Disposition::Known),
    ("already imported", Disposition::Known),
    ("known transaction", Disposition::Known),
    ("already exists in cache", Disposition::Known),
    ("already in mempool", Disposition::Known),
    ("ownnoncealreadyused", Disposition::Known),
    ("nonce too low", Disposition::Known),
    ("nonce is too low", Disposition::Known),
    ("invalid transaction nonce", Disposition::Known),
    ("oldnonce", Disposition::Known),
    ("already finalized", Disposition::Known),
    // They have not, and it may pass.
    ("nonce too high", Disposition::RetrySame),
    ("noncegap", Disposition::RetrySame),
    ("in-flight transaction limit reached", Disposition::RetrySame),
    ("future transaction tries to replace pending", Disposition::RetrySame),
    ("insufficient funds", Disposition::RetrySame),
    ("insufficientfunds", Disposition::RetrySame),
    ("insufficient balance", Disposition::RetrySame),
    ("upfront cost exceeds account balance", Disposition::RetrySame),
    ("not enough funds for gas", Disposition::RetrySame),
    ("would cause overdraft", Disposition::RetrySame),
    ("txpool is full", Disposition::RetrySame),
    ("transaction pool is full", Disposition::RetrySame),
    ("account limit exceeded", Disposition::RetrySame),
    ("too many transactions in the queue", Disposition::RetrySame),
    ("too many requests", Disposition::RetrySame),
    ("rate limit", Disposition::RetrySame),
    ("exceeded its compute units", Disposition::RetrySame),
    ("daily request count exceeded", Disposition::RetrySame),
    // Signed for another chain, or by nobody.
    ("invalid chain id", Disposition::HaltLane),
    ("invalid chainid", Disposition::HaltLane),
    ("chain id mismatch", Disposition::HaltLane),
    ("wrong chain id", Disposition::HaltLane),
    ("invalid sender", Disposition::HaltLane),
    ("invalid signature", Disposition::HaltLane),
    ("sender not an eoa", Disposition::HaltLane),
    ("transaction type not supported", Disposition::HaltLane),
    ("only replay-protected", Disposition::HaltLane),
    // A policy of the node on what one transaction may cost: no bump helps.
    ("exceeds the configured cap", Disposition::HaltLane),
    ("transaction fee cap exceeded", Disposition::HaltLane),
    // These bytes, never.
    ("intrinsic gas too low", Disposition::Terminal),
    ("intrinsic gas exceeds gas limit", Disposition::Terminal),
    ("call gas cost exceeds the gas limit", Disposition::Terminal),
    ("intrinsicgastoolow", Disposition::Terminal),
    ("exceeds block gas limit", Disposition::Terminal),
    ("gas limit exceeds block gas limit", Disposition::Terminal),
    ("gaslimitexceeded", Disposition::Terminal),
    ("transaction gas limit too high", Disposition::Terminal),
    ("transaction gas limit is greater", Disposition::Terminal),
    ("intrinsic gas too high", Disposition::Terminal),
    ("oversized data", Disposition::Terminal),
    ("max priority fee per gas higher than max fee per gas", Disposition::Terminal),
    ("rlp:", Disposition::Terminal),
];

/// The disposition of an error message.
pub fn of_message(message: &str) -> Disposition {
    let message = message.to_lowercase();
    TABLE
        .iter()
        .find(|(fragment, _)| message.contains(fragment))
        .map_or(Disposition::MaybeSent, |(_, disposition)| *disposition)
}

/// The disposition of a failed send. Only an answer that is a JSON-RPC error says anything about the transaction;
/// timeouts, broken connections and proxies' pages do not.
pub fn of_error(error: &RpcError<TransportErrorKind>) -> Disposition {
    match error {
        RpcError::ErrorResp(payload) => of_message(&payload.message),
        RpcError::Transport(TransportErrorKind::HttpError(http)) if http.status == 429 => Disposition::RetrySame,
        _ => Disposition::MaybeSent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Recorded {
        client: String,
        message: String,
        disposition: String,
    }

    /// Messages as nodes and providers word them; the corpus says how each must be taken.
    const CORPUS: &str = include_str!("../fixtures/send_errors.json");

    #[test]
    fn every_recorded_message_is_taken_as_labelled() {
        let corpus: Vec<Recorded> = serde_json::from_str(CORPUS).unwrap();
        assert!(corpus.len() >= 60, "the corpus shrank to {}", corpus.len());
        for recorded in corpus {
            assert_eq!(
                format!("{:?}", of_message(&recorded.message)),
                recorded.disposition,
                "{}: {}",
                recorded.client,
                recorded.message
            );
        }
    }

    #[test]
    fn an_unknown_message_may_have_been_sent() {
        assert_eq!(of_message("the moon is in the wrong house"), Disposition::MaybeSent);
        assert_eq!(of_message(""), Disposition::MaybeSent);
    }

    #[test]
    fn a_broken_connection_may_have_been_sent() {
        let broken = TransportErrorKind::custom_str("connection reset by peer");
        assert_eq!(of_error(&broken), Disposition::MaybeSent);
        // Even where a proxy's page happens to hold a node's words.
        let page = TransportErrorKind::http_error(502, "nonce too low".to_owned());
        assert_eq!(of_error(&page), Disposition::MaybeSent);
    }

    #[test]
    fn a_rate_limit_is_not_a_send() {
        assert_eq!(of_error(&TransportErrorKind::http_error(429, String::new())), Disposition::RetrySame);
    }

    #[test]
    fn fragments_are_lower_case_and_none_hides_a_later_one() {
        for (i, (fragment, disposition)) in TABLE.iter().enumerate() {
            assert_eq!(fragment.to_lowercase(), *fragment);
            for (earlier, other) in &TABLE[..i] {
                assert!(!fragment.contains(earlier) || other == disposition, "{earlier} hides {fragment}");
            }
        }
    }
}
