//! Signed transactions: type 2, built field by field, as the bytes that will be sent.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{B256, Bytes, TxKind, U256};
use alloy::signers::Signer;

use crate::fees::Fees;

/// What a lane signs, save its price.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub chain_id: u64,
    pub nonce: u64,
    pub to: TxKind,
    /// Wei.
    pub value: U256,
    pub data: Bytes,
    pub gas_limit: u64,
}

/// Bytes ready to be committed and then sent.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub hash: B256,
    pub raw: Bytes,
    pub fees: Fees,
}

/// Signs a payload at a price.
pub(crate) async fn sign(
    signer: &(dyn Signer + Send + Sync),
    payload: &Payload,
    fees: Fees,
) -> Result<Signed, alloy::signers::Error> {
    let transaction = TxEip1559 {
        chain_id: payload.chain_id,
        nonce: payload.nonce,
        gas_limit: payload.gas_limit,
        max_fee_per_gas: fees.max_fee,
        max_priority_fee_per_gas: fees.tip,
        to: payload.to,
        value: payload.value,
        access_list: Default::default(),
        input: payload.data.clone(),
    };
    let signature = signer.sign_hash(&transaction.signature_hash()).await?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok(Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into(), fees })
}
