//! The keeper's metrics, in the process-wide registry.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};
use tokenx_config::metrics::{counter, counters, gauges};

/// Counters and gauges; one set per process.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub accepted: IntCounter,
    pub replayed: IntCounter,
    pub prepared: IntCounter,
    pub calls: IntCounterVec,
    pub sends: IntCounterVec,
    pub replacements: IntCounterVec,
    pub endings: IntCounterVec,
    pub skipped: IntCounter,
    pub fenced: IntCounter,
    pub open: IntGaugeVec,
    pub oldest: IntGaugeVec,
    pub in_flight: IntGaugeVec,
    pub halted: IntGaugeVec,
    pub wallets_halted: IntGaugeVec,
    pub stranded: IntGaugeVec,
}

pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    accepted: counter("tokenx_keeper_accepted_total", "Commands accepted by this process."),
    replayed: counter("tokenx_keeper_replayed_total", "Requests answered from an earlier acceptance."),
    prepared: counter("tokenx_keeper_prepared_total", "Commands put into a slot."),
    calls: counters("tokenx_keeper_rpc_calls_total", "Calls of the node, each of a batch counted.", &["method"]),
    sends: counters("tokenx_keeper_sends_total", "Transactions sent, by what the node said.", &["outcome"]),
    replacements: counters("tokenx_keeper_replacements_total", "Replacements signed, by what they carry.", &["kind"]),
    endings: counters("tokenx_keeper_silent_endings_total", "Slots that ended without a log, by how.", &["ending"]),
    skipped: counter("tokenx_keeper_guard_skips_total", "Commands that the executor had run before."),
    fenced: counter("tokenx_keeper_fenced_total", "Times that another keeper took a lane of this one over."),
    open: gauges("tokenx_keeper_open_commands", "Open commands, by state.", &["chain_id", "state"]),
    oldest: gauges("tokenx_keeper_oldest_open_seconds", "Age of the oldest open command.", &["chain_id"]),
    in_flight: gauges("tokenx_keeper_open_slots", "Transactions not yet in a block, by lane.", &["lane"]),
    halted: gauges("tokenx_keeper_lane_halted", "1 where a lane waits for an operator.", &["lane"]),
    wallets_halted: gauges("tokenx_keeper_wallets_halted", "Hosted wallets that wait for an operator.", &["chain_id"]),
    stranded: gauges("tokenx_keeper_lane_stranded", "Transactions not final of a lane that nobody works.", &["lane"]),
});
