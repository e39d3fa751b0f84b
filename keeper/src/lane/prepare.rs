//! From waiting commands to slots: claim, plan, simulate, sign, commit.

use alloy::primitives::{Bytes, TxKind};
use alloy::sol_types::SolCall;
use tokenx_config::failpoint;
use tokenx_contracts::bindings::{Command, Executor};

use super::plan::{Batch, Limits, plan};
use super::{Lane, LaneError};
use crate::fees;
use crate::gas;
use crate::metrics::METRICS;
use crate::rpc::Head;
use crate::store::lanes::{Cursor, Look};
use crate::store::queue::{self, Candidate};
use crate::store::slots::{self, Prepared};
use crate::tx::{self, Payload};

impl Lane {
    /// Fills the lane's free slots; how many it filled.
    pub(super) async fn fill(
        &mut self,
        look: &Look,
        cursor: Cursor,
        open_slots: usize,
        problem: &mut Option<String>,
    ) -> Result<usize, LaneError> {
        let rules = self.shared.rules.clone();
        let room = rules.max_in_flight.saturating_sub(open_slots);
        if room == 0 {
            return Ok(0);
        }
        let limit = i64::try_from(room.saturating_mul(rules.limits.items)).unwrap_or(i64::MAX);
        let claimed = queue::claim(&self.shared.pool, self.chain(), self.id.0, self.share, limit).await?;
        if claimed > 0 {
            failpoint::hit("keeper.after_claim")?;
        }
        let items = i64::try_from(rules.limits.items).unwrap_or(i64::MAX);
        let shunned = self.shunned(cursor, problem);
        let lane = (self.id.0, self.chain());
        let candidates = queue::candidates(&self.shared.pool, lane, cursor.number, &shunned, (items, limit)).await?;
        if candidates.is_empty() {
            return Ok(0);
        }
        let Head { market, gas_limit } = self.head(cursor).await?;
        let Some(fees) = fees::first(market, rules.fee_cap) else {
            let cap = rules.fee_cap;
            *problem = Some(format!("the base fee {} is above keeper.max_fee_cap_gwei ({cap} wei)", market.base_fee));
            return Ok(0);
        };
        let limits = Limits { gas: rules.limits.gas.min(gas::room_in(gas_limit)), ..rules.limits };
        let mut batches = plan(candidates, limits, room);
        if rules.simulate {
            failpoint::hit("keeper.before_simulate")?;
            batches = self.simulate(batches, cursor, problem).await?;
            failpoint::hit("keeper.after_simulate")?;
        }
        let mut prepared = Vec::with_capacity(batches.len());
        for (nonce, batch) in (look.next_nonce..).zip(batches) {
            let payload = Payload {
                chain_id: rules.chain_id,
                nonce: nonce.unsigned_abs(),
                to: TxKind::Call(batch.executor),
                data: call_data(&batch),
                gas_limit: gas::of_batch(batch.commands.iter().map(|command| command.gas)),
            };
            let signed = tx::sign(self.signer.as_ref(), &payload, fees).await?;
            prepared.push(Prepared {
                nonce,
                executor: batch.executor,
                commands: batch.commands.iter().map(|command| command.seq).collect(),
                gas_limit: payload.gas_limit,
                signed,
            });
        }
        failpoint::hit("keeper.after_sign")?;
        match slots::prepare(&self.shared.pool, self.id, cursor.number, &prepared).await {
            Ok(()) => {
                failpoint::hit("keeper.after_prepare")?;
                let commands: usize = prepared.iter().map(|slot| slot.commands.len()).sum();
                METRICS.prepared.inc_by(commands as u64);
                Ok(prepared.len())
            }
            // The next look says whether the lane is ours.
            Err(error) => Err(error.into()),
        }
    }
}

/// The call of a batch.
pub(super) fn call_data(batch: &Batch) -> Bytes {
    Executor::executeCall { commands: batch.commands.iter().map(item).collect() }.abi_encode().into()
}

fn item(candidate: &Candidate) -> Command {
    let deadline = candidate.valid_until.map_or(0, |at| u64::try_from(at.unix_timestamp()).unwrap_or_default());
    Command {
        id: candidate.onchain_id,
        target: candidate.target,
        data: candidate.data.clone(),
        validUntil: deadline,
        gasLimit: candidate.gas.limit,
    }
}
