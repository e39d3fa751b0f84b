//! Replacements: the same payload at a higher price, or a no-op that gives the nonce up. Always written before sent.

use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Bytes, TxKind, U256};
use tokenx_config::failpoint;

use super::send::outcome;
use super::{Key, Lane, LaneError, sign};
use crate::disposition::Disposition;
use crate::fees::{self, Fees, Market};
use crate::gas;
use crate::metrics::METRICS;
use crate::store::lanes::Cursor;
use crate::store::slots::{self, Attempt, Kind, Open};
use crate::tx::Payload;

/// What an open slot needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// The same payload at a higher price.
    Bump,
    /// A no-op in place of what is there, or of nothing.
    Noop,
}

impl Lane {
    /// Signs and writes the replacements that are due; the slots with their newest attempts.
    pub(super) async fn reprice(
        &mut self,
        mut open: Vec<Open>,
        cursor: Cursor,
        problem: &mut Option<String>,
    ) -> Result<Vec<Open>, LaneError> {
        if open.is_empty() {
            return Ok(open);
        }
        let market = self.head(cursor).await?.market;
        for slot in &mut open {
            let patience = self.shared.rules.bump_after_blocks;
            let need = need(slot, cursor.number, patience, market);
            if need == Need::Nothing {
                continue;
            }
            let cap = self.fee_cap().await?;
            let Some((kind, payload, fees)) = self.replacement(slot, need, market, cap)? else {
                let why = match self.key {
                    Key::Own(_) => "keeper.max_fee_cap_gwei",
                    Key::Hosted(_) => "what the wallet has and keeper.approve_cap_gwei allows",
                };
                *problem = Some(format!("nonce {}: a higher fee is above {why} ({cap} wei)", slot.nonce));
                continue;
            };
            let signed = sign(&self.shared, &self.key, &payload, fees).await?;
            let (nonce, gas_limit) = (slot.nonce, payload.gas_limit);
            if slots::replace(&self.shared.pool, self.id, nonce, kind, gas_limit, cursor.number, &signed).await? {
                match kind {
                    Kind::Noop => failpoint::hit("keeper.after_noop")?,
                    _ => failpoint::hit("keeper.after_bump")?,
                }
                METRICS.replacements.with_label_values(&[kind.name()]).inc();
                tracing::info!(
                    lane = %self.address, nonce, kind = kind.name(), max_fee = fees.max_fee, tip = fees.tip,
                    hash = %signed.hash, "replaced"
                );
                slot.attempt = Some(Attempt {
                    hash: signed.hash,
                    kind,
                    raw: signed.raw,
                    fees,
                    signed_at_block: cursor.number,
                    waits_since: None,
                    sends: 0,
                    last_outcome: None,
                    due: true,
                });
            }
        }
        Ok(open)
    }

    /// What a transaction may offer at most, per gas: a wallet's no more than it has, nor than may be spent on it.
    async fn fee_cap(&self) -> Result<u128, LaneError> {
        let cap = self.shared.rules.fee_cap;
        let Key::Hosted(wallet) = self.key else { return Ok(cap) };
        let most = self.shared.rpc.balance(wallet).await?.min(U256::from(self.shared.rules.approve_cap));
        Ok((most / U256::from(gas::APPROVE)).saturating_to::<u128>().min(cap))
    }

    /// The replacement's payload and price; none where the price is above the cap.
    fn replacement(
        &self,
        slot: &Open,
        need: Need,
        market: Market,
        cap: u128,
    ) -> Result<Option<(Kind, Payload, Fees)>, LaneError> {
        let chain_id = self.shared.rules.chain_id;
        let nonce = slot.nonce.unsigned_abs();
        let refused = |attempt: &Attempt| attempt.last_outcome.as_deref() == Some(outcome(Disposition::Terminal));
        let fees = match &slot.attempt {
            // Bytes that no pool took have not to be outbid.
            Some(attempt) if !refused(attempt) => fees::bump(attempt.fees, market, cap),
            _ => fees::first(market, cap),
        };
        let Some(fees) = fees else { return Ok(None) };
        if let (Need::Bump, Some(attempt)) = (need, &slot.attempt) {
            let envelope =
                TxEnvelope::decode_2718(&mut attempt.raw.as_ref()).map_err(|_| LaneError::Attempt(attempt.hash))?;
            let payload = Payload {
                chain_id,
                nonce,
                to: envelope.kind(),
                value: envelope.value(),
                data: envelope.input().clone(),
                gas_limit: envelope.gas_limit(),
            };
            return Ok(Some((attempt.kind, payload, fees)));
        }
        let (to, value, data) = (TxKind::Call(self.address), U256::ZERO, Bytes::new());
        let payload = Payload { chain_id, nonce, to, value, data, gas_limit: gas::NOOP };
        Ok(Some((Kind::Noop, payload, fees)))
    }
}

/// Whether a slot is to be replaced now. Only the first open slot of a lane can be late: the others wait for it.
fn need(slot: &Open, head: i64, patience: i64, market: Market) -> Need {
    let Some(attempt) = &slot.attempt else { return Need::Noop };
    if slot.wants_noop && attempt.kind != Kind::Noop {
        return Need::Noop;
    }
    let answered = |disposition| attempt.last_outcome.as_deref() == Some(outcome(disposition));
    let underpriced = answered(Disposition::Bump);
    // What the node did not take for want of funds or room is not late, and a higher price makes it no better.
    let taken = !answered(Disposition::RetrySame);
    let late = slot.is_first && taken && attempt.waits_since.is_some_and(|since| head - since >= patience);
    let priced_out = head > attempt.signed_at_block && fees::is_low(attempt.fees, market.base_fee);
    if underpriced || late || priced_out { Need::Bump } else { Need::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;

    const MARKET: Market = Market { base_fee: 100, tip: 1 };

    fn slot(change: impl FnOnce(&mut Open, &mut Attempt)) -> Open {
        let mut attempt = Attempt {
            hash: B256::ZERO,
            kind: Kind::Batch,
            raw: Bytes::new(),
            fees: Fees { max_fee: 201, tip: 1 },
            signed_at_block: 10,
            waits_since: Some(10),
            sends: 1,
            last_outcome: Some("known".to_owned()),
            due: false,
        };
        let mut slot =
            Open { nonce: 5, is_first: true, wants_noop: false, passed_at: None, waits: false, attempt: None };
        change(&mut slot, &mut attempt);
        slot.attempt = Some(attempt);
        slot
    }

    fn asked(slot: &Open, is_first: bool, head: i64) -> Need {
        need(&Open { is_first, ..slot.clone() }, head, 3, MARKET)
    }

    #[test]
    fn the_first_open_slot_is_bumped_after_three_blocks_and_no_other() {
        let slot = slot(|_, _| {});
        assert_eq!(asked(&slot, true, 12), Need::Nothing);
        assert_eq!(asked(&slot, true, 13), Need::Bump);
        assert_eq!(asked(&slot, false, 99), Need::Nothing);
    }

    #[test]
    fn a_base_fee_that_ran_away_bumps_every_open_slot_once_a_block() {
        let slot = slot(|_, attempt| attempt.fees.max_fee = 124);
        assert_eq!(asked(&slot, false, 11), Need::Bump);
        assert_eq!(asked(&slot, false, 10), Need::Nothing);
    }

    #[test]
    fn an_underpriced_answer_is_bumped_at_once() {
        let slot = slot(|_, attempt| attempt.last_outcome = Some("underpriced".to_owned()));
        assert_eq!(asked(&slot, false, 10), Need::Bump);
    }

    #[test]
    fn bytes_that_never_left_are_not_late() {
        let slot = slot(|_, attempt| attempt.waits_since = None);
        assert_eq!(asked(&slot, true, 99), Need::Nothing);
    }

    #[test]
    fn bytes_that_the_node_did_not_take_are_not_late() {
        let unpaid = slot(|_, attempt| attempt.last_outcome = Some("retry_same".to_owned()));
        assert_eq!(asked(&unpaid, true, 99), Need::Nothing);
    }

    #[test]
    fn a_slot_to_be_given_up_gets_one_noop_which_is_then_bumped_like_any() {
        let given_up = slot(|slot, _| slot.wants_noop = true);
        assert_eq!(asked(&given_up, false, 10), Need::Noop);
        let noop = slot(|slot, attempt| {
            slot.wants_noop = true;
            attempt.kind = Kind::Noop;
        });
        assert_eq!(asked(&noop, true, 10), Need::Nothing);
        assert_eq!(asked(&noop, true, 13), Need::Bump);
    }

    #[test]
    fn a_nonce_that_nobody_signed_for_is_filled() {
        let empty = Open { nonce: 5, is_first: true, wants_noop: false, passed_at: None, waits: false, attempt: None };
        assert_eq!(asked(&empty, false, 10), Need::Noop);
    }
}
