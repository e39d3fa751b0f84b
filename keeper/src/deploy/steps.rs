//! Steps that find out by themselves whether they are done. A contract's address follows from its code and a salt, so
//! whoever comes again, after a crash or on another machine, finds what was there and does the rest.

use std::ops::Range;
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy::rpc::types::TransactionReceipt;

use super::{DeployError, Deployer, Suite};
use crate::fees::{self, Fees};
use crate::tx::{self, Payload};

/// Makes contracts at addresses that follow from their code: the same on every chain, and there on nearly all of them.
const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
/// Gas offered, near what it takes, since a creation that finds its address taken burns all of it. A byte of creation
/// code costs 16 to send and, with the contracts that it makes in turn, at most 200 to keep.
const CREATE_GAS: u64 = 500_000;
const CREATE_GAS_PER_BYTE: u64 = 240;
/// A node with its contracts takes 5 million (`contracts/gas.json`), and 30,000 more for each keeper and for each function
/// that sets terms, where its keeper may.
pub(super) const NODE_GAS: u64 = 8_000_000;
/// A token takes 1.5 million.
pub(super) const TOKEN_GAS: u64 = 3_000_000;
pub(super) const CALL_GAS: u64 = 500_000;
/// Ceiling on the fee per gas, wei: 500 gwei.
pub(super) const MAX_FEE: u128 = 500_000_000_000;
/// How long transactions are waited for, and how often they are asked for.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(50);

/// Something to be done once.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does, as an order.
    pub what: String,
    /// The contract that it makes.
    pub makes: Option<Address>,
    to: Address,
    data: Bytes,
    gas: u64,
    done: Done,
}

/// How a step is known to be done.
#[derive(Clone, Debug)]
enum Done {
    Never,
    /// There is code at what it makes.
    Code,
    /// This view gives anything but zeros.
    Filled(Address, Bytes),
}

impl Step {
    /// Makes the contract that this creation code gives.
    pub(super) fn create(what: &str, salt: B256, code: &Bytes, arguments: &[u8]) -> Self {
        let code = [code.as_ref(), arguments].concat();
        let made = CREATE2_DEPLOYER.create2(salt, keccak256(&code));
        Self {
            what: what.to_owned(),
            makes: Some(made),
            to: CREATE2_DEPLOYER,
            data: [salt.as_slice(), &code].concat().into(),
            gas: CREATE_GAS + CREATE_GAS_PER_BYTE * code.len() as u64,
            done: Done::Code,
        }
    }

    /// Calls a contract; done once `view` of it gives anything but zeros: what is there is never written over.
    pub(super) fn fill(what: String, to: Address, data: Vec<u8>, gas: u64, view: Vec<u8>) -> Self {
        Self { what, makes: None, to, data: data.into(), gas, done: Done::Filled(to, view.into()) }
    }

    /// Calls a contract, each time anew.
    pub(super) fn again(what: String, to: Address, data: Vec<u8>) -> Self {
        Self { what, makes: None, to, data: data.into(), gas: CALL_GAS, done: Done::Never }
    }

    /// The contract that it makes; zero for a call.
    pub(super) fn made(&self) -> Address {
        self.makes.unwrap_or_default()
    }
}

/// Steps in their order, parted so that a block has room for each part.
fn waves<'a>(steps: &[&'a Step], room: u64) -> Result<Vec<Vec<&'a Step>>, DeployError> {
    let mut waves: Vec<Vec<&Step>> = Vec::new();
    let mut left = 0;
    for &step in steps {
        if step.gas > room {
            return Err(DeployError::NoRoom { what: step.what.clone(), gas: step.gas, room });
        }
        match waves.last_mut().filter(|_| step.gas <= left) {
            Some(wave) => wave.push(step),
            None => {
                waves.push(vec![step]);
                left = room;
            }
        }
        left -= step.gas;
    }
    Ok(waves)
}

/// A transaction on its way.
struct Sent<'a> {
    step: &'a Step,
    hash: B256,
}

impl Deployer {
    /// Which of the steps are done.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn done(&self, steps: &[Step]) -> Result<Vec<bool>, DeployError> {
        let codes: Vec<Address> = steps.iter().filter_map(|step| step.makes).collect();
        let views: Vec<(Address, Bytes)> = steps
            .iter()
            .filter_map(|step| match &step.done {
                Done::Never | Done::Code => None,
                Done::Filled(to, view) => Some((*to, view.clone())),
            })
            .collect();
        let (codes, views) = (self.rpc.codes(&codes, BlockId::latest()).await?, self.rpc.views(&views).await?);
        let (mut codes, mut views) = (codes.into_iter(), views.into_iter());
        Ok(steps
            .iter()
            .map(|step| match &step.done {
                Done::Never => false,
                Done::Code => codes.next().unwrap_or_default(),
                Done::Filled(..) => views.next().is_some_and(|given| given.iter().any(|byte| *byte != 0)),
            })
            .collect())
    }

    /// Nonces of this key's transactions that the node holds and that no block does: an earlier run's, if any.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn unmined(&self) -> Result<Range<u64>, DeployError> {
        let next = self.rpc.nonce(self.admin(), BlockId::latest()).await?;
        Ok(next..self.rpc.nonce(self.admin(), BlockId::pending()).await?)
    }

    /// Waits for those: until they are mined, nobody can see what they do.
    ///
    /// # Errors
    /// `Unmined`, and the endpoint's.
    pub async fn settle(&self) -> Result<(), DeployError> {
        let started = tokio::time::Instant::now();
        loop {
            let Range { start, end } = self.unmined().await?;
            if start >= end {
                return Ok(());
            }
            if started.elapsed() > self.patience {
                return Err(DeployError::Unmined {
                    key: self.admin(),
                    first: start,
                    last: end - 1,
                    after: self.patience,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits for what an earlier run has sent, does those of the steps that are not done, in order, as many at once as
    /// a block has room for, and waits for them. Gives the receipts of what was sent.
    ///
    /// # Errors
    /// See [`DeployError`]. What was done stays done: coming again does the rest.
    pub async fn carry_out(&self, steps: &[Step]) -> Result<Vec<TransactionReceipt>, DeployError> {
        self.settle().await?;
        let done = self.done(steps).await?;
        let left: Vec<&Step> = steps.iter().zip(done).filter(|(_, done)| !done).map(|(step, _)| step).collect();
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let creates = left.iter().any(|step| step.makes.is_some());
        if creates && self.rpc.codes(&[CREATE2_DEPLOYER], BlockId::latest()).await? != [true] {
            return Err(DeployError::NoCreate2(CREATE2_DEPLOYER));
        }
        let head = self.rpc.head().await?;
        let fees = fees::first(head.market, MAX_FEE).ok_or(DeployError::TooDear)?;
        let waves = waves(&left, head.gas_limit)?;
        self.afford(&left, fees).await?;
        let mut receipts = Vec::with_capacity(left.len());
        for wave in waves {
            receipts.extend(self.send(&wave).await?);
        }
        Ok(receipts)
    }

    /// Whether the key can pay for these if all goes as dearly as it may.
    async fn afford(&self, steps: &[&Step], fees: Fees) -> Result<(), DeployError> {
        let gas: u128 = steps.iter().map(|step| u128::from(step.gas)).sum();
        let needs = U256::from(gas) * U256::from(fees.max_fee);
        let has = self.rpc.balance(self.admin()).await?;
        if has < needs { Err(DeployError::Poor { key: self.admin(), has, needs }) } else { Ok(()) }
    }

    /// Sends these one after the other, so that none waits in the pool behind one that was refused, and waits for those
    /// that were sent.
    async fn send(&self, steps: &[&Step]) -> Result<Vec<TransactionReceipt>, DeployError> {
        let signer = self.signer.as_ref().ok_or(DeployError::NoKey)?;
        let fees = fees::first(self.rpc.head().await?.market, MAX_FEE).ok_or(DeployError::TooDear)?;
        let nonce = self.rpc.nonce(self.admin(), BlockId::pending()).await?;
        let mut sent = Vec::with_capacity(steps.len());
        let mut refused = None;
        for (nonce, step) in (nonce..).zip(steps) {
            let payload = Payload {
                chain_id: self.chain_id,
                nonce,
                to: TxKind::Call(step.to),
                value: U256::ZERO,
                data: step.data.clone(),
                gas_limit: step.gas,
            };
            let signed = tx::sign(signer, &payload, fees).await?;
            let answers = self.rpc.send_raw(&[signed.raw]).await;
            if let Err(why) = answers.and_then(|answers| answers.into_iter().collect::<Result<Vec<B256>, _>>()) {
                refused = Some(DeployError::Refused { what: step.what.clone(), why });
                break;
            }
            sent.push(Sent { step, hash: signed.hash });
        }
        let receipts = self.receipts(&sent).await?;
        refused.map_or(Ok(receipts), Err)
    }

    async fn receipts(&self, sent: &[Sent<'_>]) -> Result<Vec<TransactionReceipt>, DeployError> {
        let hashes: Vec<B256> = sent.iter().map(|sent| sent.hash).collect();
        let started = tokio::time::Instant::now();
        loop {
            let receipts = self.rpc.receipts(&hashes).await?;
            match receipts.iter().zip(sent).find(|(receipt, _)| receipt.is_none()) {
                None => {
                    let receipts: Vec<_> = receipts.into_iter().flatten().collect();
                    self.despite(sent, &receipts).await?;
                    return Ok(receipts);
                }
                Some((_, missing)) if started.elapsed() > self.patience => {
                    let (what, hash) = (missing.step.what.clone(), missing.hash);
                    return Err(DeployError::NotMined { what, hash, after: self.patience });
                }
                Some(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Looks again at what failed: a step that somebody else has done first is done.
    async fn despite(&self, sent: &[Sent<'_>], receipts: &[TransactionReceipt]) -> Result<(), DeployError> {
        let failed: Vec<&Sent<'_>> =
            sent.iter().zip(receipts).filter(|(_, receipt)| !receipt.status()).map(|(sent, _)| sent).collect();
        let steps: Vec<Step> = failed.iter().map(|sent| sent.step.clone()).collect();
        match self.done(&steps).await?.into_iter().zip(failed).find(|(done, _)| !done) {
            None => Ok(()),
            Some((_, Sent { step, hash })) => Err(DeployError::Reverted { what: step.what.clone(), hash: *hash }),
        }
    }

    /// The block in which the suite begins, where following the chain starts: that of the registry's creation where it is
    /// among these receipts, else searched for by the registry's code and confirmed by its log.
    ///
    /// # Errors
    /// `Forgotten`, and the endpoint's, which may be that it has no state of then.
    pub async fn start_block(&self, suite: &Suite, receipts: &[TransactionReceipt]) -> Result<u64, DeployError> {
        let tells = |receipt: &&TransactionReceipt| {
            receipt.to == Some(CREATE2_DEPLOYER) && receipt.logs().iter().any(|log| log.address() == suite.registry)
        };
        if let Some(block) = receipts.iter().find(tells).and_then(|receipt| receipt.block_number) {
            return Ok(block);
        }
        let (mut without, mut with) = (0, self.rpc.block_number().await?);
        while without + 1 < with {
            let middle = without.midpoint(with);
            match self.rpc.codes(&[suite.registry], BlockId::number(middle)).await?.as_slice() {
                [true] => with = middle,
                _ => without = middle,
            }
        }
        // A node may say "no code" of a block that it has no state of; its logs it has.
        if self.rpc.has_logs(suite.registry, with).await? { Ok(with) } else { Err(DeployError::Forgotten(with)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_terms_and_ten_keepers_and_a_token_are_offered_a_tenth_more_than_they_take() {
        let report: std::collections::HashMap<String, u64> =
            serde_json::from_str(include_str!("../../../contracts/gas.json")).unwrap();
        assert!(NODE_GAS >= (report["deploy a node"] + 16 * 30_000) / 10 * 11);
        assert!(TOKEN_GAS >= report["deploy a token"] / 10 * 11);
    }

    #[test]
    fn a_wave_is_no_more_than_a_block_has_room_for() {
        let step = |gas: u64| Step::fill(gas.to_string(), Address::ZERO, Vec::new(), gas, Vec::new());
        let steps = [8, 2, 1, 9, 10].map(step);
        let steps: Vec<&Step> = steps.iter().collect();
        let gas = |waves: Vec<Vec<&Step>>| -> Vec<Vec<u64>> {
            waves.iter().map(|wave| wave.iter().map(|step| step.gas).collect()).collect()
        };
        assert_eq!(gas(waves(&steps, 10).unwrap()), [vec![8, 2], vec![1, 9], vec![10]]);
        assert_eq!(gas(waves(&steps, 30).unwrap()), [vec![8, 2, 1, 9, 10]]);
        assert_eq!(gas(waves(&[], 10).unwrap()), Vec::<Vec<u64>>::new());
        assert!(matches!(waves(&steps, 9), Err(DeployError::NoRoom { gas: 10, room: 9, .. })));
    }
}
