//! Who has signed. A wallet that is a key has, if its key has; one that is a contract says itself what it takes for a
//! signature (ERC-1271), and is asked when the batch is simulated. Which of them is which only the chain knows: it is
//! asked where a signature is not the wallet's key's, before any transaction of ours begins.

use std::time::Duration;

use alloy::eips::BlockId;
use alloy::primitives::Address;
use tokenx_contracts::ReasonCode;

use crate::commands::{AcceptError, Accepted, NewCommand};
use crate::intake::Intake;
use crate::refusal::{Field, Refusal};
use crate::rpc::Rpc;

/// How long somebody who asks waits for the chain's word.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which wallets may be contracts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ContractWallets {
    /// Nobody has looked: any of them.
    #[default]
    Any,
    /// These.
    Only(Vec<Address>),
}

impl ContractWallets {
    /// May this one be a contract?
    pub fn may_be(&self, wallet: Address) -> bool {
        match self {
            ContractWallets::Any => true,
            ContractWallets::Only(wallets) => wallets.contains(&wallet),
        }
    }
}

/// Accepts a command by what keys have signed; where one has not, after a look at who is a contract. Where there is no
/// answer to that, simulation has the word.
pub(crate) async fn accept(intake: &Intake, rpc: Option<&Rpc>, new: &NewCommand) -> Result<Accepted, AcceptError> {
    let signers = new.operation.signers();
    let Some(rpc) = rpc.filter(|_| !signers.is_empty()) else {
        return intake.accept(new.clone(), ContractWallets::Any).await;
    };
    let outcome = intake.accept(new.clone(), ContractWallets::Only(Vec::new())).await;
    if !is_unproven(&outcome) {
        return outcome;
    }
    let known = match tokio::time::timeout(PATIENCE, rpc.codes(&signers, BlockId::latest())).await {
        Ok(Ok(codes)) => ContractWallets::Only(
            signers.into_iter().zip(codes).filter_map(|(wallet, code)| code.then_some(wallet)).collect(),
        ),
        Ok(Err(_)) | Err(_) => ContractWallets::Any,
    };
    if known == ContractWallets::Only(Vec::new()) { outcome } else { intake.accept(new.clone(), known).await }
}

fn is_unproven(outcome: &Result<Accepted, AcceptError>) -> bool {
    let by = |refusal: &Refusal| refusal.code == ReasonCode::InvalidSignature && refusal.field == Field::Signature;
    matches!(outcome, Err(AcceptError::Refused(refusal)) if by(refusal))
}
