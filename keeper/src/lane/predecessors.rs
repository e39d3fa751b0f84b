//! Which Executors an Executor succeeds: it skips what one of them ran, and the result is then in that one's logs.

use std::collections::HashSet;

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;
use tokenx_contracts::bindings::Executor;

use super::{Lane, LaneError};
use crate::rpc::CallError;
use crate::store::executors;
use crate::store::lanes::Cursor;
use crate::store::queue::Candidate;

/// Gas of a read.
const GAS: u64 = 100_000;

impl Lane {
    /// Leaves the commands of Executors whose past is known: their own, and that of those they succeed, which is written
    /// down before the first command goes through them. Neither ever changes.
    pub(super) async fn known(
        &mut self,
        mut candidates: Vec<Candidate>,
        cursor: Cursor,
        problem: &mut Option<String>,
    ) -> Result<Vec<Candidate>, LaneError> {
        let new: HashSet<Address> =
            candidates.iter().map(|c| c.executor).filter(|executor| !self.known.contains(executor)).collect();
        for executor in new {
            let line = self.line(executor, cursor).await?;
            match executors::filling(&self.shared.pool, self.chain(), &line).await? {
                None => {
                    self.known.insert(executor);
                }
                Some(filling) => {
                    *problem = Some(format!("executor {filling}: its past is still being read"));
                    candidates.retain(|candidate| candidate.executor != executor);
                }
            }
        }
        Ok(candidates)
    }

    /// An Executor and those before it, newest first.
    async fn line(&self, executor: Address, cursor: Cursor) -> Result<Vec<Address>, LaneError> {
        let mut line = Vec::new();
        let mut of = executor;
        while !of.is_zero() && !line.contains(&of) {
            let previous = match executors::previous(&self.shared.pool, self.chain(), of).await? {
                Some(previous) => previous,
                None => {
                    let previous = self.previous(of, cursor).await?;
                    executors::insert(&self.shared.pool, self.chain(), of, previous).await?;
                    previous
                }
            };
            line.push(of);
            of = previous;
        }
        Ok(line)
    }

    async fn previous(&self, executor: Address, cursor: Cursor) -> Result<Address, LaneError> {
        let data = Bytes::from(Executor::previousCall {}.abi_encode());
        let answer = self.shared.rpc.call_at(self.address, executor, data, GAS, cursor.hash).await?;
        Ok(Executor::previousCall::abi_decode_returns(&answer).map_err(CallError::local_usage)?)
    }
}
