//! What the indexer counts, in the process's one registry.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGaugeVec};
use tokenx_config::metrics::{counters, gauges, histogram, histograms};

/// Buckets from half a millisecond to a minute.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const CHAIN: &[&str] = &["chain_id"];

pub(crate) static HEAD: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("tokenx_head_block", "Head of the chain as the node gives it.", CHAIN));
pub(crate) static INDEXED: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("tokenx_indexed_block", "Block up to which the tables are complete.", CHAIN));
pub(crate) static CONFIRMED: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("tokenx_confirmed_block", "Highest confirmed block that is indexed.", CHAIN));
pub(crate) static FINALIZED: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("tokenx_finalized_block", "Highest final block that is indexed.", CHAIN));
pub(crate) static LAG_SECONDS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges("tokenx_lag_seconds", "Seconds by which the indexed block is older than the node's head.", CHAIN)
});
pub(crate) static HALTED: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("tokenx_indexer_halted", "1 while following has stopped and a person must look.", CHAIN));
pub(crate) static SPAN_BLOCKS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("tokenx_indexer_span_blocks", "Blocks asked for at once in a backfill.", CHAIN));
pub(crate) static INEXACT: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("tokenx_inexact_tokens_total", "Tokens whose logs stopped adding up; must stay 0.", CHAIN)
});
pub(crate) static REORGS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("tokenx_reorgs_total", "Reorgs healed.", CHAIN));
pub(crate) static LOGS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("tokenx_logs_total", "Logs of watched contracts that were kept.", CHAIN));
pub(crate) static UNDECODED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("tokenx_undecoded_logs_total", "Logs kept that do not decode.", CHAIN));
pub(crate) static COMMIT_RETRIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("tokenx_commit_retries_total", "Batches run again after a lock or serialization failure.", CHAIN)
});
pub(crate) static MONITOR_ERRORS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("tokenx_monitor_errors_total", "Passes of the monitor that failed.", CHAIN));
pub(crate) static MISMATCHES: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges("tokenx_reconciliation_mismatches", "Figures on which tables and chain disagree; must be 0.", CHAIN)
});
pub(crate) static RECONCILED_AT: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "When the last whole comparison of tables and chain ended, Unix time.";
    gauges("tokenx_reconciliation_finished_timestamp_seconds", help, CHAIN)
});
pub(crate) static RECONCILED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("tokenx_reconciled_total", "Tokens and wallets whose figures were compared with the chain.", CHAIN)
});
pub(crate) static RECONCILE_ERRORS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("tokenx_reconciliation_errors_total", "Comparisons that could not be made and were put off.", CHAIN)
});
pub(crate) static REORG_DEPTH: LazyLock<Histogram> = LazyLock::new(|| {
    let blocks = &[1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 64.0, 128.0];
    histogram("tokenx_reorg_depth_blocks", "Blocks that a reorg removed.", blocks)
});
pub(crate) static COMMIT_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| histogram("tokenx_commit_seconds", "Duration of the transaction of one batch.", SECONDS));
static RPC_REQUESTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("tokenx_indexer_rpc_requests_total", "HTTP requests to a node.", &["method", "outcome"]));
static RPC_CALLS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("tokenx_indexer_rpc_calls_total", "JSON-RPC calls in those requests.", &["method"]));
static RPC_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histograms("tokenx_indexer_rpc_seconds", "Duration of HTTP requests to a node.", &["method"], SECONDS)
});

/// One HTTP request to a node: its main method, its calls, how it ended, how long it took.
pub(crate) fn rpc(method: &str, calls: usize, outcome: &str, took: Duration) {
    RPC_CALLS.with_label_values(&[method]).inc_by(calls as u64);
    RPC_REQUESTS.with_label_values(&[method, outcome]).inc();
    RPC_SECONDS.with_label_values(&[method]).observe(took.as_secs_f64());
}
