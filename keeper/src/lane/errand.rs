//! Payment tokens that know no permit: a hosted wallet's own approve, for which a lane gives it the gas.
//!
//! Nothing is kept of how far it has come. Each head says what is still missing, and one step is taken where no slot for
//! the wallet is open and none has ended above that head: its slot is then the only one for this step.

use std::collections::HashMap;

use alloy::primitives::{Address, Bytes, TxKind, U256};
use alloy::sol_types::SolCall;
use alloy::transports::RpcError;
use futures::StreamExt as _;
use tokenx_contracts::bindings::TestUSD;
use tokenx_indexer::is_execution;

use super::mandate::{Question, Said, Unproven};
use super::{Key, Lane, LaneError, first_nonce, sign};
use crate::fees::Fees;
use crate::gas;
use crate::hosted::Keys;
use crate::store::errands::{self, Errand, UnderWay};
use crate::store::lanes::{self, Cursor};
use crate::store::slots::{Kind, PrepareError, Prepared};
use crate::tx::Payload;

/// Slots that one command may take: gas, an allowance taken back, another one given; and all of it once more.
const MOST: i64 = 8;

/// Wallets that are looked at in one round, and how many of them at the same time.
const AT_ONCE: usize = 128;
const CALLS_AT_ONCE: usize = 16;

/// Gas that a wallet is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fund {
    pub errand: Errand,
    pub wei: U256,
}

/// What the wallets do that have to approve by themselves.
#[derive(Default)]
pub(super) struct Errands {
    /// Gas that this lane is to give.
    pub funds: Vec<Fund>,
    /// Why commands do not go now.
    pub held: HashMap<i64, Unproven>,
}

/// What a wallet needs next for its approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Wait,
    /// So many wei more.
    Fund(U256),
    /// Its gas costs more than may be spent on it, whoever's that is.
    Dear,
    Approve,
}

/// Decides on what a wallet has at the head. It is given what its approve costs now, and as much again for fees that rise,
/// and never has more than `cap` of it; more, where an approve that is under way cannot be paid any longer.
fn next(balance: U256, cost: U256, cap: U256, under_way: UnderWay) -> Next {
    if under_way.fund || (under_way.approve && balance >= cost) {
        Next::Wait
    } else if cost > cap {
        Next::Dear
    } else if balance < cost {
        Next::Fund(cost.saturating_mul(U256::from(2)).min(cap) - balance)
    } else {
        Next::Approve
    }
}

impl Lane {
    /// Takes the next step for each command that waits for a wallet's own approve, given what the chain says of each at the
    /// head. A step of the wallet's own is written at once; gas goes with the lane's other transactions.
    pub(super) async fn errands(
        &mut self,
        asked: &[(i64, Question, Said)],
        wallets: &HashMap<Address, UnderWay>,
        keys: &Keys,
        cursor: Cursor,
        fees: Option<Fees>,
    ) -> Result<Errands, LaneError> {
        let mut errands = Errands::default();
        let mut plain: Vec<(Errand, &Question, U256)> = Vec::new();
        for (seq, question, said) in asked {
            let wallet = question.permit.owner;
            match said {
                // Who cannot sign is given nothing.
                Said::Plain(allowance) if keys.signer(wallet).is_ok() => {
                    plain.push((Errand { wallet, seq: *seq }, question, *allowance));
                }
                // What allows as much is in a block, but not in its slot's records: what follows would not wait for it,
                // were that block taken back.
                _ if wallets.get(&wallet).is_some_and(|one| one.approve) => {
                    errands.held.insert(*seq, Unproven::Waits(None));
                }
                _ => {}
            }
        }
        if plain.is_empty() {
            return Ok(errands);
        }
        let seqs: Vec<i64> = plain.iter().map(|(errand, ..)| errand.seq).collect();
        let tried = errands::tried(&self.shared.pool, &seqs).await?;
        // In the order of their commands; those beyond wait for another round.
        for (errand, ..) in plain.split_off(plain.len().min(AT_ONCE)) {
            errands.held.insert(errand.seq, Unproven::Waits(None));
        }
        let steps: Vec<_> = plain
            .into_iter()
            .map(|(errand, question, allowance)| {
                let under_way = wallets.get(&errand.wallet).copied().unwrap_or_default();
                let tried = tried.get(&errand.seq).copied().unwrap_or_default();
                self.errand(errand, (question, allowance), (under_way, tried), cursor, fees)
            })
            .collect();
        let steps: Vec<_> = futures::stream::iter(steps).buffered(CALLS_AT_ONCE).collect().await;
        for step in steps {
            let (errand, step) = step?;
            let held = match step {
                Step::Fund(wei) => {
                    errands.funds.push(Fund { errand, wei });
                    Unproven::Waits(None)
                }
                Step::Held(held) => held,
            };
            if let Unproven::Waits(Some(why)) = &held {
                self.held.1.insert(errand.wallet, why.clone());
            }
            errands.held.insert(errand.seq, held);
        }
        Ok(errands)
    }

    /// Wallets whose approve waits for something at this head, and will until the next: says so once more.
    pub(super) fn held(&mut self, cursor: Cursor, problem: &mut Option<String>) -> Vec<Address> {
        if self.held.0 != cursor.hash {
            self.held = (cursor.hash, HashMap::new());
        }
        if let Some(why) = self.held.1.values().min() {
            *problem = Some(why.clone());
        }
        self.held.1.keys().copied().collect()
    }

    async fn errand(
        &self,
        errand: Errand,
        asked: (&Question, U256),
        so_far: (UnderWay, i64),
        cursor: Cursor,
        fees: Option<Fees>,
    ) -> Result<(Errand, Step), LaneError> {
        Ok((errand, self.step(errand, asked, so_far, cursor, fees).await?))
    }

    async fn step(
        &self,
        errand: Errand,
        (question, allowance): (&Question, U256),
        (under_way, tried): (UnderWay, i64),
        cursor: Cursor,
        fees: Option<Fees>,
    ) -> Result<Step, LaneError> {
        let rules = &self.shared.rules;
        let Some(fees) = fees else {
            let why = format!("the base fee is above keeper.max_fee_cap_gwei ({} wei)", rules.fee_cap);
            return Ok(Step::waits(why));
        };
        let balance = match self.shared.rpc.balance_at(errand.wallet, cursor.hash).await {
            Ok(balance) => balance,
            Err(error) => return Ok(Step::waits(format!("what wallet {} has: {error}", errand.wallet))),
        };
        let cost = U256::from(gas::APPROVE) * U256::from(fees.max_fee);
        let next = next(balance, cost, U256::from(rules.approve_cap), under_way);
        if next == Next::Wait {
            return Ok(Step::Held(Unproven::Waits(None)));
        }
        if !under_way.approve && tried >= MOST {
            return Ok(Step::refused(format!(
                "{MOST} transactions have not made the payment token allow what is asked"
            )));
        }
        let Some(value) = self.value(errand.wallet, question, allowance, cursor).await? else {
            return Ok(Step::refused("the payment token knows no permit and refuses the wallet's approve".to_owned()));
        };
        if value < question.permit.value && errands::pays_before(&self.shared.pool, self.chain(), errand).await? {
            return Ok(Step::waits(format!(
                "the allowance of wallet {} is taken back first, and a purchase before draws on it",
                errand.wallet
            )));
        }
        match next {
            Next::Wait => Ok(Step::Held(Unproven::Waits(None))),
            Next::Fund(wei) => Ok(Step::Fund(wei)),
            Next::Dear => Ok(Step::waits(format!(
                "an approve by wallet {} costs up to {cost} wei: more than keeper.approve_cap_gwei ({} wei)",
                errand.wallet, rules.approve_cap
            ))),
            Next::Approve => self.approve(errand, question, value, fees, cursor).await,
        }
    }

    /// What the wallet would be let approve at the head: what is asked, or nothing first, where the token wants that; `None`
    /// where neither.
    async fn value(
        &self,
        wallet: Address,
        question: &Question,
        allowance: U256,
        cursor: Cursor,
    ) -> Result<Option<U256>, LaneError> {
        let zero = (!allowance.is_zero()).then_some(U256::ZERO);
        for value in [Some(question.permit.value), zero].into_iter().flatten() {
            let call =
                self.shared.rpc.call_at(wallet, question.token, call(question, value), gas::APPROVE, cursor.hash);
            match call.await {
                // Some tokens answer nothing.
                Ok(answer) if answer.is_empty() || answer.iter().any(|byte| *byte != 0) => return Ok(Some(value)),
                Ok(_) => {}
                Err(RpcError::ErrorResp(error)) if is_execution(error.code, &error.message) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Signs and writes the wallet's approve; whoever works the wallets' lanes sends it.
    async fn approve(
        &self,
        errand: Errand,
        question: &Question,
        value: U256,
        fees: Fees,
        cursor: Cursor,
    ) -> Result<Step, LaneError> {
        let (pool, chain_id, wallet) = (&self.shared.pool, self.chain(), errand.wallet);
        let (lane_id, nonce, halted) = match lanes::of_wallet(pool, chain_id, wallet).await? {
            Some(lane) => lane,
            None => {
                let nonce = first_nonce::<LaneError>(pool, &self.shared.rpc, chain_id, wallet).await?;
                (lanes::open(pool, chain_id, wallet, nonce, true).await?, nonce, None)
            }
        };
        if let Some(why) = halted {
            return Ok(Step::waits(format!("wallet {wallet}: {why}")));
        }
        let payload = Payload {
            chain_id: self.shared.rules.chain_id,
            nonce: nonce.unsigned_abs(),
            to: TxKind::Call(question.token),
            value: U256::ZERO,
            data: call(question, value),
            gas_limit: gas::APPROVE,
        };
        let slot = Prepared {
            nonce,
            kind: Kind::Approve,
            executor: None,
            commands: Vec::new(),
            errand: Some(errand),
            permits: Vec::new(),
            gas_limit: payload.gas_limit,
            signed: sign(&self.shared, &Key::Hosted(wallet), &payload, fees).await?,
        };
        match errands::approve(pool, self.id, (chain_id, cursor), lane_id, &slot).await {
            Ok(()) => {
                tracing::info!(%wallet, token = %question.token, %value, nonce, "a hosted wallet approves by itself");
                self.shared.wake.echo();
            }
            // Another lane was first, or a reorg: the next round sees what it has come to.
            Err(PrepareError::Moved) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Step::Held(Unproven::Waits(None)))
    }

    /// Signs transfers of gas, from this nonce on.
    pub(super) async fn sign_funds(
        &self,
        first: i64,
        funds: Vec<Fund>,
        fees: Fees,
    ) -> Result<Vec<Prepared>, LaneError> {
        let mut prepared = Vec::with_capacity(funds.len());
        for (nonce, Fund { errand, wei }) in (first..).zip(funds) {
            let payload = Payload {
                chain_id: self.shared.rules.chain_id,
                nonce: nonce.unsigned_abs(),
                to: TxKind::Call(errand.wallet),
                value: wei,
                data: Bytes::new(),
                gas_limit: gas::FUND,
            };
            prepared.push(Prepared {
                nonce,
                kind: Kind::Fund,
                executor: None,
                commands: Vec::new(),
                errand: Some(errand),
                permits: Vec::new(),
                gas_limit: payload.gas_limit,
                signed: sign(&self.shared, &self.key, &payload, fees).await?,
            });
        }
        Ok(prepared)
    }
}

/// What became of one look at a wallet.
enum Step {
    Fund(U256),
    Held(Unproven),
}

impl Step {
    fn waits(why: String) -> Self {
        Self::Held(Unproven::Waits(Some(why)))
    }

    fn refused(why: String) -> Self {
        Self::Held(Unproven::Refused(tokenx_contracts::ReasonCode::PermitUnsupported, why))
    }
}

fn call(question: &Question, value: U256) -> Bytes {
    TestUSD::approveCall { spender: question.spender, value }.abi_encode().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: UnderWay = UnderWay { fund: false, approve: false };

    fn asked(balance: u64, cost: u64, cap: u64, under_way: UnderWay) -> Next {
        next(U256::from(balance), U256::from(cost), U256::from(cap), under_way)
    }

    #[test]
    fn a_wallet_gets_twice_what_its_approve_costs_and_never_more_than_the_cap() {
        assert_eq!(asked(0, 100, 1_000, NONE), Next::Fund(U256::from(200)));
        assert_eq!(asked(50, 100, 1_000, NONE), Next::Fund(U256::from(150)));
        assert_eq!(asked(50, 100, 120, NONE), Next::Fund(U256::from(70)));
        assert_eq!(asked(50, 100, 99, NONE), Next::Dear);
        assert_eq!(asked(100, 100, 99, NONE), Next::Dear);
        assert_eq!(asked(100, 100, 100, NONE), Next::Approve);
    }

    #[test]
    fn nothing_is_done_twice_for_what_is_under_way() {
        let fund = UnderWay { fund: true, ..NONE };
        assert_eq!(asked(0, 100, 1_000, fund), Next::Wait);
        assert_eq!(asked(500, 100, 1_000, fund), Next::Wait);
        let approve = UnderWay { approve: true, ..NONE };
        assert_eq!(asked(200, 100, 1_000, approve), Next::Wait);
    }

    #[test]
    fn an_approve_that_fees_have_left_behind_gets_more() {
        let approve = UnderWay { approve: true, ..NONE };
        assert_eq!(asked(200, 300, 1_000, approve), Next::Fund(U256::from(400)));
        assert_eq!(asked(200, 1_001, 1_000, approve), Next::Dear);
    }
}
