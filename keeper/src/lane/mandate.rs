//! Signing for hosted wallets. The stored command is the mandate: by what the chain says at the indexed head, each round
//! makes the proofs that are missing anew, and only what is committed with a slot is ever sent.

use std::collections::{HashMap, HashSet};

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use alloy::transports::RpcError;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::TestUSD;
use tokenx_indexer::is_execution;

use super::errand::{Errands, Fund};
use super::order::HeldBack;
use super::{Lane, LaneError};
use crate::Operation;
use crate::bind::{Call, PermitState, complete};
use crate::fees::Fees;
use crate::hosted::{HostedError, Keys};
use crate::operation::{Consent, Permit};
use crate::rpc::CallError;
use crate::store::lanes::Cursor;
use crate::store::queue::{self, Candidate, Refused};
use crate::store::{errands, permits};

impl Lane {
    /// Leaves what can be proven, with the proofs in its calls; what a wallet has to approve by itself waits for that.
    pub(super) async fn proven(
        &mut self,
        candidates: Vec<Candidate>,
        cursor: Cursor,
        fees: Option<Fees>,
        problem: &mut Option<String>,
    ) -> Result<Proven, LaneError> {
        let wallets: Vec<Address> = candidates.iter().filter_map(|c| c.mandate.as_deref()).flat_map(signers).collect();
        if wallets.is_empty() {
            return Ok(Proven { candidates, funds: Vec::new() });
        }
        let held = self.held(cursor, problem);
        let (pool, chain_id) = (self.shared.pool.clone(), self.chain());
        let owners: Vec<Address> = candidates.iter().filter_map(permit_of).collect();
        let mut conn = pool.acquire().await?;
        let mut busy = permits::under_way(&mut conn, chain_id, &owners, cursor.number).await?;
        busy.extend(held);
        let served = errands::under_way(&mut conn, chain_id, &owners, cursor.number).await?;
        drop(conn);
        // What is under way for a wallet is looked after once at each head.
        if self.served_at == cursor.hash {
            busy.extend(served.keys());
        } else if !served.is_empty() {
            self.served_at = cursor.hash;
        }
        let candidates = in_turn(candidates, busy);
        let asked = self.permits(&candidates, cursor).await?;
        let keys = self.shared.vault.keys(&pool, &wallets).await?;
        let Errands { funds, mut held } = self.errands(&asked, &served, &keys, cursor, fees).await?;
        let permits: HashMap<i64, Said> = asked.into_iter().map(|(seq, _, said)| (seq, said)).collect();

        let mut proven = Vec::with_capacity(candidates.len());
        let mut refused = Vec::new();
        let mut held_back = HeldBack::default();
        for candidate in candidates {
            if held_back.waits(&candidate) {
                continue;
            }
            let proof = match held.remove(&candidate.seq) {
                Some(held) => Err(held),
                None => self.prove(&candidate, permits.get(&candidate.seq), &keys),
            };
            match proof {
                Ok(data) => proven.push(Candidate { data, ..candidate }),
                Err(Unproven::Waits(why)) => {
                    waits(&mut held_back, &candidate);
                    *problem = why.or(problem.take());
                }
                Err(Unproven::Refused(code, message)) => {
                    held_back.behind(&candidate, !candidate.commutes);
                    refused.push(Refused { seq: candidate.seq, code, message });
                }
            }
        }
        let (head, confirmations) = ((cursor.number, cursor.hash), self.shared.rules.confirmations);
        queue::refuse(&pool, self.chain(), head, confirmations, &refused, &[]).await?;
        Ok(Proven { candidates: proven, funds })
    }

    /// What the chain says at the head of each permit that is to be signed, with its command.
    async fn permits(&self, candidates: &[Candidate], cursor: Cursor) -> Result<Vec<(i64, Question, Said)>, LaneError> {
        let asked: Vec<(i64, Question)> =
            candidates.iter().filter_map(|candidate| Some((candidate.seq, question(candidate)?))).collect();
        let calls: Vec<(Address, Bytes)> = asked.iter().flat_map(|(_, question)| question.calls()).collect();
        let answers = self.shared.rpc.views_at(&calls, cursor.hash).await?;
        let words = answers.into_iter().map(word).collect::<Result<Vec<_>, _>>()?;
        let said = asked.into_iter().zip(words.chunks(CALLS));
        Ok(said
            .map(|((seq, question), words)| {
                let said = question.said(words);
                (seq, question, said)
            })
            .collect())
    }

    /// The call with its proofs; as it is where it lacks none.
    fn prove(&self, candidate: &Candidate, permit: Option<&Said>, keys: &Keys) -> Result<Bytes, Unproven> {
        let Candidate { target, data, mandate, .. } = candidate;
        let Some(operation) = mandate else { return Ok(data.clone()) };
        keys.open(operation.mandates()).map_err(|error| match error {
            // Under another master key it opens: no verdict.
            HostedError::Sealed(_) => Unproven::Waits(Some(error.to_string())),
            _ => Unproven::Refused(ReasonCode::InvalidSignature, error.to_string()),
        })?;
        let permit = match permit {
            Some(Said::Unsupported | Said::Plain(_)) => {
                let code = ReasonCode::PermitUnsupported;
                return Err(Unproven::Refused(code, code.message().to_owned()));
            }
            Some(Said::Wanted(state)) => Some(*state),
            Some(Said::Needless) | None => None,
        };
        let call = Call { chain_id: self.shared.rules.chain_id, target: *target, data, permit };
        complete(operation, call, |wallet, digest| keys.sign(wallet, digest))
            .map_err(|error| Unproven::Refused(ReasonCode::CommandMalformed, error.to_string()))
    }
}

/// The word that a view answers; `None` where the contract has no such view.
fn word(answer: Result<Bytes, CallError>) -> Result<Option<U256>, CallError> {
    match answer {
        Ok(bytes) => Ok(<[u8; 32]>::try_from(bytes.as_ref()).ok().map(U256::from_be_bytes)),
        Err(RpcError::ErrorResp(error)) if is_execution(error.code, &error.message) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What goes on.
pub(super) struct Proven {
    pub candidates: Vec<Candidate>,
    /// Gas for wallets that others wait for.
    pub funds: Vec<Fund>,
}

/// Why a call was not made whole.
pub(super) enum Unproven {
    /// For what is under way, or for what stands in the way.
    Waits(Option<String>),
    Refused(ReasonCode, String),
}

/// A permit that is to be signed.
pub(super) struct Question {
    pub token: Address,
    pub spender: Address,
    pub permit: Permit,
    /// The call does without where as much is allowed already; the token's own would fail.
    lenient: bool,
}

/// Views that it takes.
const CALLS: usize = 3;

/// What the chain says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// To be signed so.
    Wanted(PermitState),
    /// As much is allowed already, and another permit could only lower it.
    Needless,
    /// The token knows no permits, and so much is allowed: the wallet has to approve by itself.
    Plain(U256),
    /// It is no such token.
    Unsupported,
}

impl Question {
    /// All tokens that know ERC-2612 have these.
    fn calls(&self) -> [(Address, Bytes); CALLS] {
        let (owner, spender) = (self.permit.owner, self.spender);
        let calls = [
            TestUSD::allowanceCall { owner, spender }.abi_encode(),
            TestUSD::noncesCall { owner }.abi_encode(),
            TestUSD::DOMAIN_SEPARATORCall {}.abi_encode(),
        ];
        calls.map(|call| (self.token, call.into()))
    }

    fn said(&self, words: &[Option<U256>]) -> Said {
        match *words {
            [Some(allowance), ..] if self.lenient && allowance >= self.permit.value => Said::Needless,
            [Some(allowance), nonce, separator] if self.lenient && (nonce.is_none() || separator.is_none()) => {
                Said::Plain(allowance)
            }
            [_, Some(nonce), Some(separator)] => Said::Wanted(PermitState { separator: separator.into(), nonce }),
            _ => Said::Unsupported,
        }
    }
}

fn question(candidate: &Candidate) -> Option<Question> {
    let target = candidate.target;
    match candidate.mandate.as_deref()? {
        Operation::Consent(Consent::UsePermit { payment_token: token, permit, .. }) => {
            Some(Question { token: *token, spender: target, permit: permit.clone(), lenient: true })
        }
        Operation::Consent(Consent::Permit { spender, permit, .. }) => {
            Some(Question { token: target, spender: *spender, permit: permit.clone(), lenient: false })
        }
        _ => None,
    }
}

/// The wallet whose permit is to be signed.
pub(super) fn permit_of(candidate: &Candidate) -> Option<Address> {
    question(candidate).map(|question| question.permit.owner)
}

fn signers(operation: &Operation) -> Vec<Address> {
    operation.mandates().collect()
}

/// Leaves of each wallet's permits the first, and none of a wallet that is `busy` with one: the next one's nonce is known
/// once that is indexed.
fn in_turn(candidates: Vec<Candidate>, mut busy: HashSet<Address>) -> Vec<Candidate> {
    let mut held_back = HeldBack::default();
    let mut kept = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        if !held_back.waits(&candidate) && permit_of(&candidate).is_none_or(|owner| busy.insert(owner)) {
            kept.push(candidate);
        } else {
            waits(&mut held_back, &candidate);
        }
    }
    kept
}

/// What follows a mandate that waits, waits with it, unless the mandate may change places with others: a wallet's allowance
/// for a trade may be long in coming, and a token is paused meanwhile.
fn waits(held_back: &mut HeldBack, candidate: &Candidate) {
    if !candidate.commutes {
        held_back.behind(candidate, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gas::ItemGas;
    use crate::operation::Contract;
    use alloy::primitives::B256;
    use alloy::rpc::json_rpc::ErrorPayload;

    const ALICE: Address = Address::repeat_byte(1);
    const BOB: Address = Address::repeat_byte(2);

    fn permit(seq: i64, owner: Address, contract: Contract) -> Candidate {
        let permit = Permit { owner, value: U256::from(100), deadline: U256::MAX };
        let (instrument, payment_token) = ("rCC".parse().unwrap(), Address::repeat_byte(9));
        let signature = Bytes::new();
        let operation = Operation::from(Consent::UsePermit { instrument, contract, payment_token, permit, signature });
        Candidate {
            subject: operation.subject(),
            commutes: operation.commutes(),
            mandate: Some(Box::new(operation)),
            ..other(seq, "")
        }
    }

    fn other(seq: i64, subject: &str) -> Candidate {
        Candidate {
            seq,
            onchain_id: B256::ZERO,
            executor: Address::ZERO,
            target: Address::repeat_byte(8),
            data: Bytes::new(),
            gas: ItemGas { limit: 1, expected: 1 },
            subject: subject.to_owned(),
            commutes: false,
            valid_until: None,
            doubted: false,
            mandate: None,
        }
    }

    fn kept(candidates: Vec<Candidate>, busy: &[Address]) -> Vec<i64> {
        in_turn(candidates, busy.iter().copied().collect()).iter().map(|candidate| candidate.seq).collect()
    }

    #[test]
    fn a_wallets_permits_go_one_after_another_and_what_pays_by_them_waits() {
        let listing = Contract::Listing;
        let purchase = other(3, &permit(0, ALICE, listing).subject);
        let queue = vec![
            permit(1, ALICE, listing),
            permit(2, ALICE, listing),
            purchase,
            permit(4, BOB, listing),
            other(5, "x"),
        ];
        assert_eq!(kept(queue.clone(), &[]), [1, 4, 5]);
        assert_eq!(kept(queue, &[ALICE, BOB]), [5]);
    }

    #[test]
    fn an_allowance_for_a_trade_that_waits_stops_nothing_else() {
        let market = Contract::SecondaryMarket;
        let subject = permit(0, ALICE, market).subject;
        let trade = Candidate { commutes: true, ..other(3, &subject) };
        let queue = vec![permit(1, ALICE, market), trade, other(4, &subject)];
        assert_eq!(kept(queue, &[ALICE]), [3, 4]);
    }

    /// A fallback answers anything with nothing, and an endpoint's error is nobody's answer.
    #[test]
    fn only_a_whole_word_is_an_answer_and_only_a_contract_refuses_one() {
        let error = |code, message: &'static str| {
            RpcError::ErrorResp(ErrorPayload { code, message: message.into(), data: None })
        };
        assert_eq!(word(Ok(B256::with_last_byte(7).into())).unwrap(), Some(U256::from(7)));
        assert_eq!(word(Ok(Bytes::new())).unwrap(), None);
        assert_eq!(word(Err(error(3, "execution reverted"))).unwrap(), None);
        assert!(word(Err(error(-32005, "rate limit"))).is_err());
    }

    #[test]
    fn an_allowance_that_is_there_is_not_lowered_by_a_permit() {
        let question = question(&permit(1, ALICE, Contract::Listing)).unwrap();
        let word = |word: u64| Some(U256::from(word));
        assert_eq!(question.said(&[word(100), word(0), word(7)]), Said::Needless);
        let state = PermitState { separator: U256::from(7).into(), nonce: U256::from(3) };
        assert_eq!(question.said(&[word(99), word(3), word(7)]), Said::Wanted(state));
        assert_eq!(question.said(&[word(99), None, None]), Said::Plain(U256::from(99)));
        assert_eq!(question.said(&[None, None, None]), Said::Unsupported);
    }
}
