//! The raw pipeline: mints signed beforehand, sent in JSON-RPC batches of a hundred, in order, by one key.

use std::time::{Duration, Instant};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{B256, Bytes, TxKind, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokenx::local::anvil::CHAIN_ID;
use tokenx_anvil_tests::{KEYS, eventually_within};
use tokenx_contracts::bindings::SecurityToken;

use crate::stack::Stack;

/// Transactions per request.
const REQUEST: usize = 100;
/// Gas of a mint, with room.
const GAS: u64 = 200_000;

/// Mints per second, from the first send to the block that holds the last one.
pub(crate) async fn run(stack: &Stack, mints: usize) -> Result<f64> {
    let key: PrivateKeySigner = KEYS[5].parse()?;
    let role = stack.call(SecurityToken::MINTER_ROLECall {}.abi_encode()).await?;
    let grant = SecurityToken::grantRoleCall { role: B256::from_slice(&role), account: key.address() };
    stack.by_admin(grant.abi_encode()).await?;
    let nonce = stack.nonce(key.address()).await?;
    let mut raws = Vec::with_capacity(mints);
    for (i, nonce) in (0..mints).zip(nonce..) {
        let mint = SecurityToken::mintCall { to: stack.wallet(i), amount: U256::from(1), reason: B256::ZERO };
        raws.push(sign(&key, nonce, TxKind::Call(stack.token()), mint.abi_encode().into())?);
    }
    let requests: Vec<Value> = raws
        .chunks(REQUEST)
        .map(|raws| {
            let call =
                |(id, raw)| json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw]});
            (0..).zip(raws).map(call).collect()
        })
        .collect();
    let client = reqwest::Client::new();
    let begun = Instant::now();
    for request in &requests {
        let answers: Vec<Value> = client.post(stack.rpc_url()).json(request).send().await?.json().await?;
        ensure!(answers.iter().all(|answer| answer["error"].is_null()), "refused: {answers:?}");
    }
    let last = nonce + mints as u64;
    eventually_within(Duration::from_secs(120), "the raw mints are mined", || async {
        (stack.nonce(key.address()).await.ok()? == last).then_some(())
    })
    .await;
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = mints as f64 / begun.elapsed().as_secs_f64();
    Ok(rate)
}

fn sign(key: &PrivateKeySigner, nonce: u64, to: TxKind, input: Bytes) -> Result<Bytes> {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: GAS,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to,
        value: U256::ZERO,
        access_list: Default::default(),
        input,
    };
    let signature = key.sign_hash_sync(&transaction.signature_hash()).context("signing")?;
    Ok(TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into())
}
