//! What each item of a batch would do on the indexed head: one `eth_call`, pinned to that block's hash, so that it
//! answers about the very state that intake looked at.

use std::collections::HashMap;

use alloy::primitives::{Address, Bytes};
use alloy::rpc::json_rpc::ErrorPayload;
use alloy::sol_types::SolCall;
use futures::future::join_all;
use tokenx_contracts::bindings::{Executor, ItemResult};
use tokenx_contracts::{ReasonCode, decode_revert};

use super::order::HeldBack;
use super::plan::{Batch, Limits, plan};
use super::prepare::call_data;
use super::{Lane, LaneError};
use crate::gas;
use crate::rpc::CallError;
use crate::store::lanes::Cursor;
use crate::store::queue::{self, Candidate, Refused};

/// Commands that are asked about at once.
const MAX_ITEMS: usize = 200;
/// Gas for a simulation beyond the batch's own: it returns what a transaction throws away.
const SPARE: u64 = 1_000_000;

impl Lane {
    /// Executors that have refused a whole batch at this head: they would again. Says so once more.
    pub(super) fn shunned(&mut self, cursor: Cursor, problem: &mut Option<String>) -> Vec<Address> {
        if self.refusals.0 != cursor.hash {
            self.refusals = (cursor.hash, HashMap::new());
        }
        *problem = self.refusals.1.values().min().cloned();
        self.refusals.1.keys().copied().collect()
    }

    /// Leaves what the chain would run, in order, and notes what it would refuse. As many are asked about at once as a
    /// transaction may hold, however few go into one.
    pub(super) async fn simulate(
        &mut self,
        candidates: Vec<Candidate>,
        limits: Limits,
        cursor: Cursor,
        problem: &mut Option<String>,
    ) -> Result<Vec<Candidate>, LaneError> {
        let asked = Limits { items: MAX_ITEMS, ..limits };
        let batches = plan(candidates, asked, usize::MAX);
        let calls = batches.iter().map(|batch| {
            let gas = gas::of_batch(batch.commands.iter().map(|command| command.gas)) + SPARE;
            self.shared.rpc.call_at(self.address, batch.executor, call_data(batch), gas, cursor.hash)
        });
        let answers = join_all(calls).await;
        let mut runnable = Vec::new();
        let mut refused = Vec::new();
        for (batch, answer) in batches.into_iter().zip(answers) {
            let reverted = answer.as_ref().err().is_some_and(|error| revert_data(error).is_some());
            match answer.map_err(|error| describe(&error)).and_then(|data| results(&data, batch.commands.len())) {
                Ok(results) => runnable.extend(sort_out(batch, &results, &mut refused)),
                // The batch as a whole was refused, or nobody answered: no verdict on any command.
                Err(why) => {
                    let why = format!("executor {}: {why}", batch.executor);
                    if reverted {
                        self.refusals.1.insert(batch.executor, why.clone());
                    }
                    *problem = Some(why);
                }
            }
        }
        let rules = &self.shared.rules;
        let doubted: Vec<i64> = runnable.iter().filter(|command| command.doubted).map(|command| command.seq).collect();
        let (pool, head) = (&self.shared.pool, (cursor.number, cursor.hash));
        queue::refuse(pool, self.chain(), head, rules.confirmations, &refused, &doubted).await?;
        Ok(runnable)
    }
}

fn results(data: &[u8], expected: usize) -> Result<Vec<ItemResult>, String> {
    let results = Executor::executeCall::abi_decode_returns(data).map_err(|error| error.to_string())?;
    if results.len() == expected { Ok(results) } else { Err(format!("{} results for {expected} items", results.len())) }
}

fn revert_data(error: &CallError) -> Option<Bytes> {
    error.as_error_resp().and_then(ErrorPayload::as_revert_data)
}

/// The reverting error decoded, where there is one.
fn describe(error: &CallError) -> String {
    match revert_data(error) {
        Some(data) => {
            let revert = decode_revert(&data);
            format!("{}: {}", revert.code, revert.message)
        }
        None => error.to_string(),
    }
}

/// What of a batch would run, by its results. What follows on the subject of an item that does not run waits with it;
/// only commands that commute do not wait for each other's refusals.
fn sort_out(batch: Batch, results: &[ItemResult], refused: &mut Vec<Refused>) -> Vec<Candidate> {
    let mut held_back = HeldBack::default();
    let mut kept = Vec::with_capacity(batch.commands.len());
    for (command, result) in batch.commands.into_iter().zip(results) {
        let verdict = if held_back.waits(&command) { Verdict::Wait } else { verdict(&command, result) };
        match verdict {
            Verdict::Run => kept.push(command),
            Verdict::Wait => held_back.behind(&command, true),
            Verdict::Refuse(refusal) => {
                refused.push(refusal);
                held_back.behind(&command, !command.commutes);
            }
        }
    }
    kept
}

/// What the Executor says of an item, by its numbers in `IExecutor.Status`.
mod status {
    pub(super) const EXECUTED: u8 = 0;
    pub(super) const FAILED: u8 = 1;
    pub(super) const SKIPPED: u8 = 2;
    pub(super) const CONFLICT: u8 = 3;
    pub(super) const EXPIRED: u8 = 4;
    #[cfg(test)]
    pub(super) const DEFERRED: u8 = 5;
}

enum Verdict {
    Run,
    Wait,
    Refuse(Refused),
}

fn verdict(command: &Candidate, result: &ItemResult) -> Verdict {
    let refuse = |code: ReasonCode, message: String| Verdict::Refuse(Refused { seq: command.seq, code, message });
    match result.status {
        // Skipped: it ran before. The chain says so again, and the indexer finds what it did.
        status::EXECUTED | status::SKIPPED => Verdict::Run,
        status::FAILED => {
            let revert = decode_revert(&result.returnData);
            refuse(revert.code, revert.message)
        }
        status::CONFLICT => {
            let code = ReasonCode::CommandConflict;
            refuse(code, "the executor knows this id with another payload".to_owned())
        }
        status::EXPIRED => refuse(ReasonCode::CommandExpired, ReasonCode::CommandExpired.message().to_owned()),
        // Deferred, or a number of a later contract.
        _ => Verdict::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gas::ItemGas;
    use alloy::primitives::B256;

    fn batch(subjects: &[&str]) -> Batch {
        let command = |(seq, subject): (i64, &&str)| Candidate {
            seq,
            onchain_id: B256::ZERO,
            executor: Address::ZERO,
            target: Address::ZERO,
            data: Bytes::new(),
            gas: ItemGas { limit: 1, expected: 1 },
            subject: (*subject).to_owned(),
            commutes: false,
            valid_until: None,
            doubted: false,
            mandate: None,
        };
        Batch { executor: Address::ZERO, commands: (0..).zip(subjects).map(command).collect() }
    }

    fn result(status: u8) -> ItemResult {
        ItemResult { status, returnData: Bytes::new() }
    }

    #[test]
    fn a_refused_item_holds_back_its_own_subject_only() {
        let results = [status::EXECUTED, status::FAILED, status::EXECUTED, status::EXECUTED].map(result);
        let mut refused = Vec::new();
        let kept = sort_out(batch(&["a", "b", "b", "c"]), &results, &mut refused);
        assert_eq!(kept.iter().map(|c| c.seq).collect::<Vec<_>>(), [0, 3]);
        assert_eq!(refused.iter().map(|r| r.seq).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_refused_item_that_commutes_holds_back_what_does_not_and_what_follows_that() {
        let mut batch = batch(&["a", "a", "a", "a"]);
        for i in [0, 1, 3] {
            batch.commands[i].commutes = true;
        }
        let results = [status::FAILED, status::EXECUTED, status::EXECUTED, status::EXECUTED].map(result);
        let mut refused = Vec::new();
        let kept = sort_out(batch, &results, &mut refused);
        assert_eq!(kept.iter().map(|c| c.seq).collect::<Vec<_>>(), [1]);
        assert_eq!(refused.iter().map(|r| r.seq).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn what_ran_before_is_sent_so_that_the_chain_says_so() {
        let kept = sort_out(batch(&["a"]), &[result(status::SKIPPED)], &mut Vec::new());
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn a_deferred_item_waits_without_a_refusal() {
        let mut refused = Vec::new();
        let kept = sort_out(batch(&["a", "a"]), &[result(status::DEFERRED), result(status::EXECUTED)], &mut refused);
        assert!(kept.is_empty() && refused.is_empty());
    }
}
