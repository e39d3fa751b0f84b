//! Sending committed bytes, in nonce order, and reading what the node says to each.

use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use rand::Rng;
use tokenx_config::failpoint;

use super::{LaneError, Shared};
use crate::disposition::{self, Disposition};
use crate::metrics::METRICS;
use crate::store::lanes::{self, Cursor};
use crate::store::slots::{self, Attempt, Open, Sending};

/// Signed bytes per request: nodes and proxies refuse bodies of some megabytes, and hexadecimal doubles them.
const REQUEST_BYTES: usize = 400_000;
/// First and longest pause before doubtful bytes are sent again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Why something that could go is not sent.
const BEHIND: &str = "a reorg took transactions of other lanes out of the chain that came before this lane's: it waits \
                      until they are back";

/// A lane's way out. Apart from the lane, so that it sends while the lane prepares what follows.
#[derive(Clone)]
pub(super) struct Post {
    shared: Shared,
    id: (i64, i64),
    address: Address,
    /// Why the node took nothing last time: until it does, nothing more is signed that could not be sent either.
    pub(super) stuck: Option<String>,
}

impl Post {
    pub(super) fn new(shared: Shared, id: (i64, i64), address: Address) -> Self {
        Self { shared, id, address, stuck: None }
    }

    /// Sends what is due of the open slots; what stands in the way, if anything does.
    pub(super) async fn send(&mut self, open: &[Open], cursor: Cursor) -> Result<Option<String>, LaneError> {
        let waits = open.iter().any(|slot| slot.waits);
        let due: Vec<(i64, &Attempt)> = open
            .iter()
            .filter(|slot| !slot.waits)
            .filter_map(|slot| Some((slot.nonce, slot.attempt.as_ref().filter(|attempt| attempt.due)?)))
            .collect();
        if open.is_empty() {
            self.stuck = None;
        }
        let mut problem = None;
        for request in requests(&due) {
            failpoint::hit("keeper.before_send")?;
            let sent = self.request(request, &mut problem).await?;
            failpoint::hit("keeper.after_send")?;
            slots::mark_sent(&self.shared.pool, self.id, cursor.number, &sent).await?;
            failpoint::hit("keeper.after_mark")?;
            let refused = sent.iter().any(|one| one.outcome == outcome(Disposition::RetrySame));
            self.stuck = if refused { problem.clone() } else { None };
        }
        let behind = waits.then(|| BEHIND.to_owned());
        Ok(problem.or_else(|| self.stuck.clone()).or(behind))
    }

    async fn request(
        &self,
        request: &[(i64, &Attempt)],
        problem: &mut Option<String>,
    ) -> Result<Vec<Sending>, LaneError> {
        let raws: Vec<Bytes> = request.iter().map(|(_, attempt)| attempt.raw.clone()).collect();
        let answers = match self.shared.rpc.send_raw(&raws).await {
            Ok(answers) => answers,
            Err(error) => {
                // The whole request failed: each of them may be with the node.
                let disposition = disposition::of_error(&error);
                *problem = Some(format!("sending: {error}"));
                return Ok(request.iter().map(|(_, attempt)| self.sending(attempt, disposition)).collect());
            }
        };
        let mut sent = Vec::with_capacity(request.len());
        for ((nonce, attempt), answer) in request.iter().zip(answers) {
            let disposition = match &answer {
                Ok(_) => Disposition::Known,
                Err(error) => disposition::of_error(error),
            };
            if let Err(error) = &answer {
                self.heed(*nonce, disposition, &error.to_string(), problem).await?;
            }
            sent.push(self.sending(attempt, disposition));
        }
        Ok(sent)
    }

    /// What an answer asks for beyond sending again.
    async fn heed(
        &self,
        nonce: i64,
        disposition: Disposition,
        message: &str,
        problem: &mut Option<String>,
    ) -> Result<(), LaneError> {
        match disposition {
            Disposition::Known | Disposition::Bump => {}
            Disposition::MaybeSent | Disposition::RetrySame => *problem = Some(format!("nonce {nonce}: {message}")),
            Disposition::Terminal => {
                tracing::error!(lane = %self.address, nonce, message, "bytes that can never be included; a no-op takes their nonce");
                slots::want_noop(&self.shared.pool, self.id, nonce).await?;
            }
            Disposition::HaltLane => {
                tracing::error!(lane = %self.address, nonce, message, "the lane is halted");
                let mut conn = self.shared.pool.acquire().await?;
                lanes::halt(&mut conn, self.id.0, self.id.1, &format!("nonce {nonce}: {message}")).await?;
            }
        }
        Ok(())
    }

    fn sending(&self, attempt: &Attempt, disposition: Disposition) -> Sending {
        let outcome = outcome(disposition);
        METRICS.sends.with_label_values(&[outcome]).inc();
        let again = matches!(disposition, Disposition::MaybeSent | Disposition::RetrySame);
        let again_after = again.then(|| pause(attempt.sends).as_secs_f64());
        Sending { hash: attempt.hash, outcome, again_after }
    }
}

/// The name of an outcome in the database and in metrics.
pub(super) fn outcome(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Known => "known",
        Disposition::MaybeSent => "maybe_sent",
        Disposition::RetrySame => "retry_same",
        Disposition::Bump => "underpriced",
        Disposition::Terminal => "terminal",
        Disposition::HaltLane => "halt",
    }
}

/// Doubles from a quarter of a second up to fifteen, half of it by chance.
fn pause(sends: i32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << sends.clamp(0, 10)).min(LONGEST_PAUSE);
    doubled.mul_f64(rand::rng().random_range(0.5..1.0))
}

/// Cuts into requests of bounded size, in order.
fn requests<'a, 'b>(due: &'a [(i64, &'b Attempt)]) -> Vec<&'a [(i64, &'b Attempt)]> {
    let mut requests = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, (_, attempt)) in due.iter().enumerate() {
        if i > start && bytes + attempt.raw.len() > REQUEST_BYTES {
            requests.push(&due[start..i]);
            (start, bytes) = (i, 0);
        }
        bytes += attempt.raw.len();
    }
    if start < due.len() {
        requests.push(&due[start..]);
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fees::Fees;
    use crate::store::slots::Kind;
    use alloy::primitives::B256;

    fn attempt(bytes: usize) -> Attempt {
        Attempt {
            hash: B256::ZERO,
            kind: Kind::Batch,
            raw: vec![0; bytes].into(),
            fees: Fees { max_fee: 1, tip: 1 },
            signed_at_block: 0,
            waits_since: None,
            sends: 0,
            last_outcome: None,
            due: true,
        }
    }

    #[test]
    fn requests_are_bounded_ordered_and_complete() {
        let attempts: Vec<Attempt> = [100_000, 350_000, 100_000, 500_000, 10].into_iter().map(attempt).collect();
        let due: Vec<_> = (0..).zip(&attempts).collect();
        let cut = requests(&due);
        let nonces: Vec<Vec<i64>> = cut.iter().map(|r| r.iter().map(|(nonce, _)| *nonce).collect()).collect();
        assert_eq!(nonces, [vec![0], vec![1], vec![2], vec![3], vec![4]]);
        assert!(requests(&[]).is_empty());
    }

    #[test]
    fn a_doubtful_send_is_repeated_within_a_quarter_second_and_never_later_than_fifteen() {
        assert!(pause(0) <= FIRST_PAUSE);
        for sends in 0..100 {
            assert!(pause(sends) <= LONGEST_PAUSE);
        }
    }
}
