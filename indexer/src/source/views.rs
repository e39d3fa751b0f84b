//! Many views of contracts at one block, by its hash: both sides of a comparison are of the same block, or there is no
//! answer.

use alloy::primitives::{Address, B256, Bytes, U64};
use alloy::providers::MULTICALL3_ADDRESS;
use alloy::providers::bindings::IMulticall3;
use alloy::sol_types::SolCall;
use serde_json::json;

use super::{MOST_CALLS, Source, VIEW_GAS};
use crate::SourceError;

/// Views in one call of Multicall3: about 3 million gas of our own tokens' cheapest.
const MOST_TOGETHER: usize = 250;
/// Gas for one such call; nodes give an `eth_call` 50 million.
const TOGETHER_GAS: u64 = 40_000_000;

/// A view function's call: contract and calldata.
pub(crate) type View = (Address, Vec<u8>);

impl Source {
    /// What each view returns at the block of this hash; `None` where it fails, in whatever way a contract can. An
    /// error where the endpoint has no such block or no longer its state, or where nobody can tell who failed.
    pub(crate) async fn views(&self, at: B256, views: &[View]) -> Result<Vec<Option<Bytes>>, SourceError> {
        let mut found = Vec::with_capacity(views.len());
        for chunk in views.chunks(MOST_CALLS) {
            let mut calls = self.calls::<Bytes>("eth_call");
            for (to, data) in chunk {
                let call = json!({ "to": to, "data": Bytes::copy_from_slice(data), "gas": U64::from(VIEW_GAS) });
                calls.add(&json!([call, { "blockHash": at }]))?;
            }
            for answer in calls.each().await? {
                found.push(match answer {
                    Ok(bytes) => Some(bytes),
                    Err(error) if error.is_execution() => None,
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(found)
    }

    /// As [`Self::views`], many in one call where Multicall3 is deployed. A contract may use up the gas of those after
    /// it, so a `None` says nothing: ask again by itself.
    pub(crate) async fn views_together(&self, at: B256, views: &[View]) -> Result<Vec<Option<Bytes>>, SourceError> {
        let code: Bytes = self.one("eth_getCode", json!([MULTICALL3_ADDRESS, { "blockHash": at }])).await?;
        if code.is_empty() {
            return self.views(at, views).await;
        }
        let mut found = Vec::with_capacity(views.len());
        for chunk in views.chunks(MOST_TOGETHER) {
            let calls = chunk.iter().map(|(target, data)| IMulticall3::Call3 {
                target: *target,
                allowFailure: true,
                callData: Bytes::copy_from_slice(data),
            });
            let data = Bytes::from(IMulticall3::aggregate3Call { calls: calls.collect() }.abi_encode());
            let call = json!({ "to": MULTICALL3_ADDRESS, "data": data, "gas": U64::from(TOGETHER_GAS) });
            let answer: Bytes = match self.one("eth_call", json!([call, { "blockHash": at }])).await {
                Ok(answer) => answer,
                Err(error) if error.is_execution() => Bytes::new(),
                Err(error) => return Err(error),
            };
            let results = IMulticall3::aggregate3Call::abi_decode_returns(&answer).unwrap_or_default();
            let mut results = results.into_iter().map(|result| result.success.then_some(result.returnData));
            found.extend(chunk.iter().map(|_| results.next().flatten()));
        }
        Ok(found)
    }
}
