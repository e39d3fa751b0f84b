//! One endpoint: what is asked of it, and what of its answers is believed.
//!
//! Room is left for a pool of endpoints and for proofs of the logs; both belong around [`Source`], which speaks to one.

mod error;
mod heads;
mod span;
#[cfg(test)]
mod tests;
mod transport;
mod views;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use alloy::primitives::{Address, B256, Bytes, U64};
use alloy::rpc::client::{BatchRequest, ClientBuilder, RpcClient, Waiter};
use alloy::rpc::json_rpc::RpcRecv;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokenx_config::Chain;

pub use error::{Class, SourceError, classify, is_execution};
pub(crate) use heads::hints;
pub(crate) use span::Span;

use crate::{BlockRef, ChainLog, metrics};
pub use transport::CappedHttp;
use wire::{WireHeader, WireLog};

/// Calls in one HTTP request; providers refuse batches of many hundreds.
const MOST_CALLS: usize = 100;
/// Gas for a view of somebody else's contract, which may do with it what it likes.
const VIEW_GAS: u64 = 5_000_000;
/// Addresses in one filter; nodes limit them to about a thousand.
const MOST_ADDRESSES: usize = 500;

/// Which logs: of these addresses, and where topics are given, those whose first topic is one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) addresses: Vec<Address>,
    pub(crate) topics: Vec<B256>,
}

impl Query {
    /// As filters of at most [`MOST_ADDRESSES`]; none for no address, since an empty list would mean every contract.
    fn filters(&self) -> impl Iterator<Item = Value> + '_ {
        self.addresses.chunks(MOST_ADDRESSES).map(|addresses| {
            if self.topics.is_empty() {
                json!({ "address": addresses })
            } else {
                json!({ "address": addresses, "topics": [self.topics] })
            }
        })
    }

    fn wants(&self, log: &ChainLog) -> bool {
        self.topics.is_empty() || log.topics.first().is_some_and(|topic| self.topics.contains(topic))
    }
}

/// Logs in (block, log index) order, and the bytes they came as.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) logs: Vec<ChainLog>,
    pub(crate) bytes: u64,
}

/// One JSON-RPC endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    client: RpcClient,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
}

impl Source {
    pub(crate) fn connect(chain: &Chain) -> Result<Self, SourceError> {
        // Neither error may show the URL: it may hold a provider's key.
        let url = chain.rpc_url.expose_secret().parse().map_err(|error| SourceError::Url(format!("{error}")))?;
        let http = CappedHttp::new(url, chain.request_timeout(), chain.max_response_bytes)
            .map_err(|error| SourceError::Url(error.without_url().to_string()))?;
        let quota = chain.requests_per_second.and_then(NonZeroU32::new).map(Quota::per_second);
        Ok(Self {
            client: ClientBuilder::default().transport(http, true),
            limiter: quota.map(|quota| Arc::new(RateLimiter::direct(quota))),
        })
    }

    /// Refuses an endpoint of another chain; gives the hash of genesis.
    pub(crate) async fn identify(&self, chain_id: u64) -> Result<B256, SourceError> {
        let found: u64 = self.one::<U64>("eth_chainId", json!([])).await?.to();
        if found != chain_id {
            return Err(SourceError::WrongChain { expected: chain_id, found });
        }
        Ok(self.header(0).await?.hash)
    }

    /// The head, and where asked the block that the chain itself calls final.
    pub(crate) async fn tip(&self, with_final: bool) -> Result<(BlockRef, Option<u64>), SourceError> {
        let mut calls = self.calls::<Option<WireHeader>>("eth_getBlockByNumber");
        calls.add(&json!(["latest", false]))?;
        if with_final {
            calls.add(&json!(["finalized", false]))?;
        }
        let mut headers = calls.send().await?.into_iter();
        let head = headers.next().flatten().ok_or_else(|| SourceError::not_found("eth_getBlockByNumber", "head"))?;
        let finalized = headers.next().flatten().map(|header| BlockRef::from(header).number);
        // A chain too young to have a final block has only genesis.
        Ok((head.into(), with_final.then(|| finalized.unwrap_or(0))))
    }

    pub(crate) async fn header(&self, number: u64) -> Result<BlockRef, SourceError> {
        let headers = self.headers(number, number).await?;
        headers.first().copied().ok_or_else(|| SourceError::not_found("eth_getBlockByNumber", number))
    }

    /// Headers of `from..=to`, each at its height. Whether they link is for the caller to see: a chain that turns
    /// between two answers is no fault of the endpoint.
    pub(crate) async fn headers(&self, from: u64, to: u64) -> Result<Vec<BlockRef>, SourceError> {
        let numbers: Vec<u64> = (from..=to).collect();
        self.headers_at(&numbers).await
    }

    pub(crate) async fn headers_at(&self, numbers: &[u64]) -> Result<Vec<BlockRef>, SourceError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let mut found = Vec::with_capacity(numbers.len());
        for chunk in numbers.chunks(MOST_CALLS) {
            let mut calls = self.calls::<Option<WireHeader>>(METHOD);
            for number in chunk {
                calls.add(&json!([U64::from(*number), false]))?;
            }
            for (number, header) in chunk.iter().zip(calls.send().await?) {
                let header: BlockRef =
                    header.ok_or_else(|| SourceError::not_found(METHOD, format!("block {number}")))?.into();
                if header.number != *number {
                    return Err(SourceError::untrue(METHOD, format!("asked for {number}, got {}", header.number)));
                }
                found.push(header);
            }
        }
        Ok(found)
    }

    /// Logs of final blocks `from..=to` by number, with the header of `to`, all in one request: a node that has not
    /// seen `to` says so instead of leaving logs out.
    pub(crate) async fn range(&self, from: u64, to: u64, queries: &[Query]) -> Result<(BlockRef, Answer), SourceError> {
        const METHOD: &str = "eth_getLogs";
        let mut calls = self.calls::<Box<RawValue>>(METHOD);
        let header = calls.add_aside::<Option<WireHeader>>("eth_getBlockByNumber", &json!([U64::from(to), false]))?;
        for query in queries {
            for mut filter in query.filters() {
                filter["fromBlock"] = json!(U64::from(from));
                filter["toBlock"] = json!(U64::from(to));
                calls.add(&json!([filter]))?;
            }
        }
        let answers = calls.send().await?;
        let end: BlockRef = take::<Option<WireHeader>>("eth_getBlockByNumber", header)
            .await?
            .map(BlockRef::from)
            .filter(|end| end.number == to)
            .ok_or_else(|| SourceError::Rpc {
                method: METHOD,
                class: Class::Behind,
                execution: false,
                message: format!("endpoint has no block {to} yet"),
            })?;
        let (mut answer, timed) = read(queries, answers)?;
        if let Some(log) = answer.logs.iter().find(|log| !(from..=to).contains(&log.block_number)) {
            return Err(SourceError::untrue(METHOD, format!("log of block {} in {from}..={to}", log.block_number)));
        }
        if answer.logs.iter().any(|log| log.block_number == to && log.block_hash != end.hash) {
            return Err(SourceError::not_found(METHOD, format!("block {to} as its header has it")));
        }
        if !timed {
            self.fill_times(&mut answer.logs).await?;
        }
        Ok((end, answer))
    }

    /// Logs of these blocks by hash, so that no reorg can slip in between header and logs, and the transaction counts
    /// of `accounts` at the last of them.
    pub(crate) async fn at_hashes(
        &self,
        blocks: &[BlockRef],
        queries: &[Query],
        accounts: &[Address],
    ) -> Result<(Answer, Vec<(Address, u64)>), SourceError> {
        let Some(last) = blocks.last() else { return Ok((Answer::default(), Vec::new())) };
        let mut all = Answer::default();
        let (mut rest, mut most) = (blocks, MOST_CALLS / queries.len().max(1));
        while !rest.is_empty() {
            let (some, beyond) = rest.split_at(most.clamp(1, rest.len()));
            match self.logs_by_hash(some, queries).await {
                Ok(answer) => {
                    all.bytes += answer.bytes;
                    all.logs.extend(answer.logs);
                    rest = beyond;
                }
                // Each block may well be read alone.
                Err(error) if error.class().wants_less() && some.len() > 1 => most = some.len() / 2,
                Err(error) => return Err(error),
            }
        }
        Ok((all, self.nonces(accounts, last.hash).await?))
    }

    /// Logs of these blocks in one answer, with their blocks' times.
    async fn logs_by_hash(&self, blocks: &[BlockRef], queries: &[Query]) -> Result<Answer, SourceError> {
        const METHOD: &str = "eth_getLogs";
        let mut calls = self.calls::<Box<RawValue>>(METHOD);
        for block in blocks {
            for query in queries {
                for mut filter in query.filters() {
                    filter["blockHash"] = json!(block.hash);
                    calls.add(&json!([filter]))?;
                }
            }
        }
        let (mut answer, _) = read(queries, calls.send().await?)?;
        let known: HashMap<u64, &BlockRef> = blocks.iter().map(|block| (block.number, block)).collect();
        for log in &mut answer.logs {
            match known.get(&log.block_number) {
                Some(block) if block.hash == log.block_hash => log.timestamp = block.timestamp,
                _ => return Err(SourceError::untrue(METHOD, format!("log of block {} by hash", log.block_hash))),
            }
        }
        Ok(answer)
    }

    async fn nonces(&self, accounts: &[Address], at: B256) -> Result<Vec<(Address, u64)>, SourceError> {
        let mut nonces = Vec::with_capacity(accounts.len());
        for chunk in accounts.chunks(MOST_CALLS) {
            let mut calls = self.calls::<U64>("eth_getTransactionCount");
            for account in chunk {
                calls.add(&json!([account, { "blockHash": at }]))?;
            }
            nonces.extend(chunk.iter().copied().zip(calls.send().await?.into_iter().map(|nonce| nonce.to())));
        }
        Ok(nonces)
    }

    /// Times of logs whose node does not give them.
    async fn fill_times(&self, logs: &mut [ChainLog]) -> Result<(), SourceError> {
        let blocks: BTreeMap<u64, B256> = logs.iter().map(|log| (log.block_number, log.block_hash)).collect();
        let numbers: Vec<u64> = blocks.keys().copied().collect();
        let headers = self.headers_at(&numbers).await?;
        if let Some(other) = headers.iter().find(|header| blocks.get(&header.number) != Some(&header.hash)) {
            return Err(SourceError::not_found("eth_getBlockByNumber", format!("block {} of its log", other.number)));
        }
        let times: HashMap<u64, u64> = headers.iter().map(|header| (header.number, header.timestamp)).collect();
        for log in logs {
            log.timestamp = times.get(&log.block_number).copied().unwrap_or_default();
        }
        Ok(())
    }

    /// Does `address` have code at `block`? Needs the node's state of then.
    pub(crate) async fn has_code(&self, address: Address, block: u64) -> Result<bool, SourceError> {
        let code: Bytes = self.one("eth_getCode", json!([address, U64::from(block)])).await?;
        Ok(!code.is_empty())
    }

    /// What a view function returns at the head; `None` where it fails, in whatever way a contract can. An error where
    /// the endpoint fails, or where nobody can tell which of them did.
    pub(crate) async fn view(&self, to: Address, data: &[u8]) -> Result<Option<Bytes>, SourceError> {
        let call = json!([{ "to": to, "data": Bytes::copy_from_slice(data), "gas": U64::from(VIEW_GAS) }, "latest"]);
        match self.one::<Bytes>("eth_call", call).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_execution() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn one<R: RpcRecv>(&self, method: &'static str, params: Value) -> Result<R, SourceError> {
        let mut calls = self.calls::<R>(method);
        calls.add(&params)?;
        let mut answers = calls.send().await?;
        answers.pop().ok_or_else(|| SourceError::not_found(method, "answer"))
    }

    fn calls<R: RpcRecv>(&self, method: &'static str) -> Calls<'_, R> {
        Calls { method, batch: self.client.new_batch(), limiter: self.limiter.as_deref(), size: 0, waiters: Vec::new() }
    }
}

/// One HTTP request of several calls; those that are added have the same kind of answer.
struct Calls<'a, R> {
    method: &'static str,
    batch: BatchRequest<'a>,
    limiter: Option<&'a DefaultDirectRateLimiter>,
    size: usize,
    waiters: Vec<Waiter<R>>,
}

impl<R: RpcRecv> Calls<'_, R> {
    /// A call whose answer [`Self::send`] returns.
    fn add(&mut self, params: &Value) -> Result<(), SourceError> {
        let waiter = self.add_aside(self.method, params)?;
        self.waiters.push(waiter);
        Ok(())
    }

    /// A call whose answer comes by its own waiter, after [`Self::send`].
    fn add_aside<S: RpcRecv>(&mut self, method: &'static str, params: &Value) -> Result<Waiter<S>, SourceError> {
        self.size += 1;
        self.batch.add_call(method, params).map_err(|error| SourceError::rpc(method, &error))
    }

    /// Answers to all, or the first error.
    async fn send(self) -> Result<Vec<R>, SourceError> {
        self.each().await?.into_iter().collect()
    }

    /// An answer or an error to each; an error of its own where the request failed as a whole.
    async fn each(self) -> Result<Vec<Result<R, SourceError>>, SourceError> {
        if self.size == 0 {
            return Ok(Vec::new());
        }
        if let Some(limiter) = self.limiter {
            limiter.until_ready().await;
        }
        let begun = Instant::now();
        let result = async {
            self.batch.send().await.map_err(|error| SourceError::rpc(self.method, &error))?;
            let mut answers = Vec::with_capacity(self.waiters.len());
            for waiter in self.waiters {
                answers.push(take(self.method, waiter).await);
            }
            Ok(answers)
        }
        .await;
        let failed = match &result {
            Ok(answers) => answers.iter().find_map(|answer| answer.as_ref().err()),
            Err(error) => Some(error),
        };
        let outcome = failed.map_or("ok", |error: &SourceError| error.class().name());
        metrics::rpc(self.method, self.size, outcome, begun.elapsed());
        result
    }
}

async fn take<R: RpcRecv>(method: &'static str, waiter: Waiter<R>) -> Result<R, SourceError> {
    waiter.await.map_err(|error| SourceError::rpc(method, &error))
}

const fn place(log: &ChainLog) -> (u64, u64) {
    (log.block_number, log.log_index)
}

/// Reads answers to `eth_getLogs`, re-checks that every log was asked for, and orders them. Says whether each brought
/// its time.
fn read(queries: &[Query], answers: Vec<Box<RawValue>>) -> Result<(Answer, bool), SourceError> {
    const METHOD: &str = "eth_getLogs";
    let bytes = answers.iter().map(|raw| raw.get().len() as u64).sum();
    let mut logs = Vec::new();
    let mut timed = true;
    for raw in answers {
        let wire: Vec<WireLog> = serde_json::from_str(raw.get())
            .map_err(|error| SourceError::untrue(METHOD, format!("not a list of logs: {error}")))?;
        for log in wire {
            if log.removed() {
                return Err(SourceError::untrue(METHOD, "a log of a removed block"));
            }
            let (log, with_time) = log.into_log();
            timed &= with_time;
            logs.push(log);
        }
    }
    let asked: HashMap<Address, &Query> =
        queries.iter().flat_map(|query| query.addresses.iter().map(move |address| (*address, query))).collect();
    if let Some(log) = logs.iter().find(|log| !asked.get(&log.address).is_some_and(|query| query.wants(log))) {
        return Err(SourceError::untrue(METHOD, format!("a log of {}, which was not asked for", log.address)));
    }
    logs.sort_unstable_by_key(place);
    if logs.windows(2).any(|pair| place(&pair[0]) == place(&pair[1])) {
        return Err(SourceError::untrue(METHOD, "two logs at one place"));
    }
    Ok((Answer { logs, bytes }, timed))
}
