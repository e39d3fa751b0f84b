//! From waiting commands to slots: claim, prove, plan, simulate, sign, commit.

use alloy::primitives::{Bytes, TxKind, U256};
use alloy::sol_types::SolCall;
use tokenx_config::failpoint;
use tokenx_contracts::bindings::{Command, Executor};

use super::mandate::{self, Proven};
use super::plan::{Batch, Limits, plan};
use super::{Key, Lane, LaneError, order, sign};
use crate::fees::{self, Fees};
use crate::gas;
use crate::metrics::METRICS;
use crate::rpc::Head;
use crate::store::lanes::{Cursor, Look};
use crate::store::queue::{self, Candidate};
use crate::store::slots::{self, Kind, Prepared};
use crate::tx::Payload;

/// Slots and commands that are prepared together: what is prepared is sent while the next are.
const ROUND_SLOTS: usize = 256;
const ROUND_COMMANDS: usize = 2_000;

impl Lane {
    /// Fills the lane's free slots; how many it filled, and what stands in the way of more.
    pub(super) async fn fill(
        &mut self,
        look: &Look,
        cursor: Cursor,
        open_slots: usize,
    ) -> Result<(usize, Option<String>), LaneError> {
        let mut problem = None;
        let rules = self.shared.rules.clone();
        let room = rules.max_in_flight.saturating_sub(open_slots).min(ROUND_SLOTS);
        // A wallet's lane has no commands: what it sends is written for it.
        if matches!(self.key, Key::Hosted(_)) || !look.waiting || room == 0 || self.post.stuck.is_some() {
            return Ok((0, None));
        }
        let candidates = self.candidates(cursor, room, &mut problem).await?;
        let candidates = self.known(candidates, cursor, &mut problem).await?;
        if candidates.is_empty() {
            return Ok((0, problem));
        }
        let Head { market, gas_limit } = self.head(cursor).await?;
        let first = fees::first(market, rules.fee_cap);
        let Proven { candidates, mut funds } = self.proven(candidates, cursor, first, &mut problem).await?;
        funds.truncate(room);
        if candidates.is_empty() && funds.is_empty() {
            return Ok((0, problem));
        }
        let Some(fees) = first else {
            let cap = rules.fee_cap;
            let why = format!("the base fee {} is above keeper.max_fee_cap_gwei ({cap} wei)", market.base_fee);
            return Ok((0, Some(why)));
        };
        let limits = Limits { gas: rules.limits.gas.min(gas::room_in(gas_limit)), ..rules.limits };
        let candidates = if rules.simulate {
            failpoint::hit("keeper.before_simulate")?;
            let kept = self.simulate(candidates, limits, cursor, &mut problem).await?;
            failpoint::hit("keeper.after_simulate")?;
            kept
        } else {
            candidates
        };
        let batches = plan(candidates, limits, room - funds.len());
        let mut prepared = self.sign_funds(look.next_nonce, funds, fees).await?;
        let next_nonce = prepared.last().map_or(look.next_nonce, |slot| slot.nonce + 1);
        prepared.extend(self.sign(next_nonce, batches, fees).await?);
        failpoint::hit("keeper.after_sign")?;
        slots::prepare(&self.shared.pool, self.id, (self.chain(), cursor), &prepared).await?;
        if !prepared.is_empty() {
            failpoint::hit("keeper.after_prepare")?;
        }
        let commands: usize = prepared.iter().map(|slot| slot.commands.len()).sum();
        METRICS.prepared.inc_by(commands as u64);
        Ok((prepared.len(), problem))
    }

    /// What may go into so many slots, in order.
    async fn candidates(
        &mut self,
        cursor: Cursor,
        room: usize,
        problem: &mut Option<String>,
    ) -> Result<Vec<Candidate>, LaneError> {
        let items = self.shared.rules.limits.items;
        let limit = room.saturating_mul(items).min(ROUND_COMMANDS);
        let shunned = self.shunned(cursor, problem);
        let of = queue::Of { chain_id: self.chain(), lane_id: self.id.0, share: self.share };
        let asked = i64::try_from(limit).unwrap_or(i64::MAX);
        let queue = queue::look(&self.shared.pool, of, cursor.number, &shunned, asked).await?;
        Ok(order::pick(queue, items, limit))
    }

    async fn sign(&self, next_nonce: i64, batches: Vec<Batch>, fees: Fees) -> Result<Vec<Prepared>, LaneError> {
        let mut prepared = Vec::with_capacity(batches.len());
        for (nonce, batch) in (next_nonce..).zip(batches) {
            let payload = Payload {
                chain_id: self.shared.rules.chain_id,
                nonce: nonce.unsigned_abs(),
                to: TxKind::Call(batch.executor),
                value: U256::ZERO,
                data: call_data(&batch),
                gas_limit: gas::of_batch(batch.commands.iter().map(|command| command.gas)),
            };
            let signed = sign(&self.shared, &self.key, &payload, fees).await?;
            prepared.push(Prepared {
                nonce,
                kind: Kind::Batch,
                executor: Some(batch.executor),
                commands: batch.commands.iter().map(|command| command.seq).collect(),
                errand: None,
                permits: batch.commands.iter().filter_map(mandate::permit_of).collect(),
                gas_limit: payload.gas_limit,
                signed,
            });
        }
        Ok(prepared)
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
