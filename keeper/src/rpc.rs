//! The few calls the keeper makes. Inclusion is the indexer's to say; here are simulation, sending, the fee market,
//! and receipts for what leaves no log.

use std::time::Duration;

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::rpc::client::{ClientBuilder, RpcClient};
use alloy::rpc::json_rpc::RpcRecv;
use alloy::rpc::types::{Block, Log, TransactionReceipt, TransactionRequest};
use alloy::transports::{RpcError, TransportErrorKind, TransportResult};
use serde_json::{Value, json};
use tokenx_indexer::CappedHttp;

use crate::fees::Market;
use crate::metrics::METRICS;

/// How long one request may take. A send that takes longer may have been sent.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of one answer: receipts of some batches of 200 commands are the largest.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why a call gave no answer.
pub type CallError = RpcError<TransportErrorKind>;

/// A client of one JSON-RPC endpoint. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rpc {
    client: RpcClient,
}

/// The endpoint's address cannot be used. Says why, and not which: it may hold a provider's key.
#[derive(Debug, thiserror::Error)]
#[error("chain.rpc_url is no usable rpc endpoint: {0}")]
pub struct BadEndpoint(String);

/// What the node's newest block says about fees and room.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Fees there.
    pub market: Market,
    /// Gas that a block holds.
    pub gas_limit: u64,
}

impl Rpc {
    /// A client for this URL.
    ///
    /// # Errors
    /// Where the URL or the TLS set-up is unusable.
    pub fn new(url: &str) -> Result<Self, BadEndpoint> {
        let parsed = url.parse().map_err(|error| BadEndpoint(format!("{error}")))?;
        let http = CappedHttp::new(parsed, TIMEOUT, MAX_ANSWER)
            .map_err(|error| BadEndpoint(error.without_url().to_string()))?;
        Ok(Self { client: ClientBuilder::default().transport(http, true) })
    }

    /// The chain's id, which must be the configured one.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn chain_id(&self) -> TransportResult<u64> {
        count("eth_chainId", 1);
        let id: U64 = self.client.request_noparams("eth_chainId").await?;
        Ok(id.to())
    }

    /// Newest block and suggested tip, in one batch.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn head(&self) -> TransportResult<Head> {
        count("eth_getBlockByNumber", 1);
        count("eth_maxPriorityFeePerGas", 1);
        let mut batch = self.client.new_batch();
        let block = batch.add_call::<_, Block>("eth_getBlockByNumber", &("latest", false))?;
        let tip = batch.add_call::<_, U256>("eth_maxPriorityFeePerGas", &())?;
        batch.send().await?;
        let header = block.await?.header.inner;
        // A node that has no opinion is content with any tip.
        let tip = tip.await.unwrap_or(U256::from(1)).saturating_to();
        let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
        Ok(Head { market: Market { base_fee, tip }, gas_limit: header.gas_limit })
    }

    /// Transactions that an account has sent, as of a block.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn nonce(&self, account: Address, at: BlockId) -> TransportResult<u64> {
        count("eth_getTransactionCount", 1);
        let nonce: U64 = self.client.request("eth_getTransactionCount", (account, at)).await?;
        Ok(nonce.to())
    }

    /// Wei that an account has in the newest block.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn balance(&self, account: Address) -> TransportResult<U256> {
        count("eth_getBalance", 1);
        self.client.request("eth_getBalance", (account, "latest")).await
    }

    /// Wei that an account has after the block of that hash.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn balance_at(&self, account: Address, at: B256) -> TransportResult<U256> {
        count("eth_getBalance", 1);
        self.client.request("eth_getBalance", (account, json!({ "blockHash": at }))).await
    }

    /// What a call from `from` would return on the state after the block of that hash.
    ///
    /// # Errors
    /// The endpoint's; a revert is one of them, with its data.
    pub async fn call_at(&self, from: Address, to: Address, data: Bytes, gas: u64, at: B256) -> TransportResult<Bytes> {
        let request = TransactionRequest::default().with_from(from).with_to(to).with_input(data).with_gas_limit(gas);
        let block = json!({ "blockHash": at });
        count("eth_call", 1);
        self.client.request("eth_call", (request, block)).await
    }

    /// The newest block's number.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn block_number(&self) -> TransportResult<u64> {
        count("eth_blockNumber", 1);
        let number: U64 = self.client.request_noparams("eth_blockNumber").await?;
        Ok(number.to())
    }

    /// Which of these addresses have code as of a block.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn codes(&self, addresses: &[Address], at: BlockId) -> TransportResult<Vec<bool>> {
        let codes: Vec<Bytes> = self.batch("eth_getCode", addresses.iter().map(|address| json!([address, at]))).await?;
        Ok(codes.iter().map(|code| !code.is_empty()).collect())
    }

    /// What these views give on the newest state; nothing where no contract stands.
    ///
    /// # Errors
    /// The endpoint's; a revert is one of them.
    pub async fn views(&self, calls: &[(Address, Bytes)]) -> TransportResult<Vec<Bytes>> {
        let of = |(to, data): &(Address, Bytes)| json!([{ "to": to, "data": data }, "latest"]);
        self.batch("eth_call", calls.iter().map(of)).await
    }

    /// What these views give on the state after the block of that hash, each for itself; nothing where no contract stands.
    ///
    /// # Errors
    /// The endpoint's, of the whole; a revert is a view's own.
    pub async fn views_at(&self, calls: &[(Address, Bytes)], at: B256) -> TransportResult<Vec<TransportResult<Bytes>>> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        count("eth_call", calls.len());
        let mut batch = self.client.new_batch();
        let mut waiters = Vec::with_capacity(calls.len());
        for (to, data) in calls {
            let call = json!([{ "to": to, "data": data }, { "blockHash": at }]);
            waiters.push(batch.add_call::<_, Bytes>("eth_call", &call)?);
        }
        batch.send().await?;
        let mut answers = Vec::with_capacity(waiters.len());
        for waiter in waiters {
            answers.push(waiter.await);
        }
        Ok(answers)
    }

    /// Whether a contract has logs in a block.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn has_logs(&self, contract: Address, block: u64) -> TransportResult<bool> {
        let block = format!("{block:#x}");
        let filter = json!([{ "address": contract, "fromBlock": block, "toBlock": block }]);
        let logs: Vec<Vec<Log>> = self.batch("eth_getLogs", std::iter::once(filter)).await?;
        Ok(logs.iter().any(|logs| !logs.is_empty()))
    }

    /// One method with many parameters in one JSON-RPC batch.
    async fn batch<T: RpcRecv>(
        &self,
        method: &'static str,
        calls: impl ExactSizeIterator<Item = Value>,
    ) -> TransportResult<Vec<T>> {
        if calls.len() == 0 {
            return Ok(Vec::new());
        }
        count(method, calls.len());
        let mut batch = self.client.new_batch();
        let mut waiters = Vec::with_capacity(calls.len());
        for call in calls {
            waiters.push(batch.add_call::<_, T>(method, &call)?);
        }
        batch.send().await?;
        let mut answers = Vec::with_capacity(waiters.len());
        for waiter in waiters {
            answers.push(waiter.await?);
        }
        Ok(answers)
    }

    /// Sends signed transactions in this order in one JSON-RPC batch. One result per transaction; the outer error is
    /// that of the whole request, after which each of them may have been sent.
    ///
    /// # Errors
    /// See above.
    pub async fn send_raw(&self, raws: &[Bytes]) -> TransportResult<Vec<TransportResult<B256>>> {
        count("eth_sendRawTransaction", raws.len());
        let mut batch = self.client.new_batch();
        let mut waiters = Vec::with_capacity(raws.len());
        for raw in raws {
            waiters.push(batch.add_call::<_, B256>("eth_sendRawTransaction", &(raw,))?);
        }
        batch.send().await?;
        let mut results = Vec::with_capacity(raws.len());
        for waiter in waiters {
            results.push(waiter.await);
        }
        Ok(results)
    }

    /// Receipts of transactions, `None` where the node has none, which proves nothing.
    ///
    /// # Errors
    /// The endpoint's.
    pub async fn receipts(&self, hashes: &[B256]) -> TransportResult<Vec<Option<TransactionReceipt>>> {
        self.batch("eth_getTransactionReceipt", hashes.iter().map(|hash| json!([hash]))).await
    }
}

fn count(method: &str, calls: usize) {
    METRICS.calls.with_label_values(&[method]).inc_by(calls as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_error_shows_the_key_in_the_url() {
        // Nobody listens on port 1.
        let rpc = Rpc::new("http://127.0.0.1:1/v2/a-providers-key").unwrap();
        let refused = rpc.chain_id().await.unwrap_err();
        let unusable = Rpc::new("nonsense://a-providers-key:x/").unwrap_err();
        for text in [format!("{refused} {refused:?}"), format!("{unusable} {unusable:?}")] {
            assert!(!text.contains("a-providers-key"), "{text}");
        }
    }
}
