//! The sweep: do the tables say what the contracts say?
//!
//! Round after round, slice by slice, figures are read in one snapshot of the database together with the indexed head,
//! and the contracts are asked for the same figures at that block's hash. So neither new blocks nor a reorg can make a
//! difference: of a block that is gone nothing is believed, and the slice is tried again. What differs is asked once more, at a
//! newer block and by itself, before it is written down.
//!
//! A wallet that has some of a token and of which no table knows cannot be asked for. Its balance is missing in the sum
//! of holdings, which is compared with the total supply. What lies deeper in the past than the last change of a wallet
//! is for [`Rebuild::verify`](crate::Rebuild::verify).

mod figures;
mod nodes;
mod question;
mod record;

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::source::Source;
use crate::{IndexerError, metrics};
use figures::{Key, Part, Slice};
use question::Mismatch;
use record::Outcome;

/// Differences of one pass that are logged one by one; a contract that answers nothing makes one for every figure.
const TOLD: usize = 10;

/// What the sweep needs.
pub(crate) struct Sweep {
    pub(crate) pool: PgPool,
    pub(crate) chain_id: u64,
    pub(crate) source: Source,
    pub(crate) interval: Duration,
    /// Places of the rotation in one pass: tokens and wallets.
    pub(crate) slice: u32,
}

impl Sweep {
    /// Compares a slice every interval until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let label = self.chain_id.to_string();
        while !stop.is_cancelled() {
            let pass = async {
                self.pass().await?;
                Ok::<_, IndexerError>(record::standing(&self.pool, self.chain_id).await?)
            };
            let passed = tokio::select! {
                () = stop.cancelled() => return,
                passed = pass => passed,
            };
            match passed {
                Ok((open, finished)) => {
                    metrics::MISMATCHES.with_label_values(&[&label]).set(open.cast_signed());
                    if let Some(finished) = finished {
                        metrics::RECONCILED_AT.with_label_values(&[&label]).set(finished.cast_signed());
                    }
                }
                Err(error) => {
                    metrics::RECONCILE_ERRORS.with_label_values(&[&label]).inc();
                    tracing::warn!(chain_id = self.chain_id, %error, "a part could not be compared with the chain now");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }

    async fn pass(&self) -> Result<(), IndexerError> {
        let run = record::run(&self.pool, self.chain_id).await?;
        let part = Part::After(&run.after, self.slice);
        let Some(slice) = figures::read(&self.pool, self.chain_id, part).await? else { return Ok(()) };
        let suspects = self.compare(&slice, true).await?;
        let mut outcome =
            Outcome { asked: slice.asked(), at: (slice.number, slice.hash), found: Vec::new(), done: false };
        if !suspects.is_empty() {
            self.again(&suspects, &mut outcome).await?;
        }
        for Mismatch { token, wallet, what, ours, chains } in outcome.found.iter().take(TOLD) {
            tracing::error!(%token, ?wallet, what, ?ours, ?chains, "tables and chain disagree");
        }
        if outcome.found.len() > TOLD {
            tracing::error!(
                more = outcome.found.len() - TOLD,
                "tables and chain disagree: see reconciliation_mismatches for all"
            );
        }
        outcome.done = slice.keys.len() < usize::try_from(self.slice).unwrap_or(usize::MAX);
        if record::write(&self.pool, self.chain_id, &run, &slice, &outcome).await? {
            metrics::RECONCILED.with_label_values(&[&self.chain_id.to_string()]).inc_by(slice.keys.len() as u64);
        }
        Ok(())
    }

    /// Asks for the suspects' places a second time. One that cannot be asked for any more counts as not asked.
    async fn again(&self, suspects: &[Mismatch], outcome: &mut Outcome) -> Result<(), IndexerError> {
        let key = |suspect: &Mismatch| {
            (suspect.token.to_vec(), suspect.wallet.map(|wallet| wallet.to_vec()).unwrap_or_default())
        };
        let mut keys: Vec<Key> = suspects.iter().map(key).collect();
        keys.dedup();
        let Some(again) = figures::read(&self.pool, self.chain_id, Part::Keys(&keys)).await? else { return Ok(()) };
        let mut found = self.compare(&again, false).await?;
        found.retain(|one| suspects.iter().any(|other| one.place() == other.place() && one.what == other.what));
        let twice = again.asked();
        outcome.asked.retain(|at| twice.contains(at) || !suspects.iter().any(|suspect| suspect.place() == *at));
        outcome.at = (again.number, again.hash);
        outcome.found = found;
        Ok(())
    }

    /// What differs. A node may answer for a block that has just gone as for its successor, so the block must still be
    /// there after the answers.
    async fn compare(&self, slice: &Slice, together: bool) -> Result<Vec<Mismatch>, IndexerError> {
        let calls: Vec<_> = slice.questions.iter().map(question::Question::call).collect();
        let answers = if together {
            self.source.views_together(slice.hash, &calls).await?
        } else {
            self.source.views(slice.hash, &calls).await?
        };
        let pairs = slice.questions.iter().zip(&answers);
        let found: Vec<_> = pairs.flat_map(|(question, answer)| question.compare(answer.as_ref())).collect();
        if !found.is_empty() && self.source.header(slice.number).await?.hash != slice.hash {
            return Err(IndexerError::Turned(slice.number));
        }
        Ok(found)
    }
}
