//! What became of the commands of a campaign, by the chain's own logs.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::Log;
use alloy::sol_types::{SolCall, SolEvent};
use serde_json::json;
use tokenx_anvil_tests::eventually_within;
use tokenx_contracts::bindings::{Executor, SecurityToken};
use tokenx_contracts::{Scope, onchain_id};
use tokenx_indexer::read;

use super::site::{HOLDER, Site, quantity, whole};

/// Figures of a campaign. All but the first two are to be zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) commands: usize,
    /// Taken back by a no-op in time, which some campaigns try.
    pub(super) cancelled: usize,
    /// Runs beyond the first.
    duplicates: usize,
    /// Asked for, and neither run nor taken back.
    lost: usize,
    /// Told to have failed, or not to have run, though nothing stood against them.
    false_failures: usize,
    /// Times that the Executor on the chain had to stop a second run.
    guarded: usize,
    /// Nonces that no slot has, or that lie beyond what the chain has used.
    gaps: u64,
    /// Slots still open, lanes halted.
    stuck: usize,
    /// Whether what was minted is not what was asked for, on the chain or in the index.
    wrong_sum: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, cancelled, duplicates, lost, false_failures, guarded, gaps, stuck, .. } = self;
        write!(
            f,
            "{commands} commands ({cancelled} taken back): duplicates {duplicates}, lost {lost}, false failures \
             {false_failures}, second runs stopped on chain {guarded}, nonce gaps {gaps}, stuck {stuck}"
        )
    }
}

impl Site {
    /// Waits until every command has ended for good, then asks the chain. A process must be at work.
    pub(super) async fn verdict(&self, limit: Duration) -> Verdict {
        self.answered().await;
        eventually_within(limit, "every command has ended for good and no slot is open", || async {
            (self.open().await == 0 && self.open_slots().await == 0).then_some(())
        })
        .await;
        let states: HashMap<String, String> = sqlx::query_as("SELECT command_id, state FROM command_views")
            .fetch_all(self.pool())
            .await
            .unwrap()
            .into_iter()
            .collect();
        let runs = self.runs().await;
        let mut verdict = Verdict { guarded: self.guarded().await, ..Verdict::default() };
        let mut sum = U256::ZERO;
        for (id, amount) in self.asked() {
            let runs = runs.get(&onchain_id(&Scope::Ops, &id.parse().unwrap())).copied().unwrap_or_default();
            let state = states.get(&id).map_or("missing", String::as_str);
            verdict.commands += 1;
            verdict.duplicates += runs.saturating_sub(1);
            match (state, runs) {
                ("final", 0) | ("missing", _) => verdict.lost += 1,
                ("final", _) => sum += whole(amount),
                ("cancelled", 0) => verdict.cancelled += 1,
                _ => verdict.false_failures += 1,
            }
        }
        self.nonces(&mut verdict).await;
        verdict.wrong_sum = self.balance_on_chain().await != sum || self.balance_indexed().await != sum;
        verdict
    }

    /// [`Site::verdict`], with nothing against it.
    pub(super) async fn is_exact(&self, limit: Duration) -> Verdict {
        let verdict = self.verdict(limit).await;
        let Verdict { commands, cancelled, .. } = verdict;
        assert_eq!(verdict, Verdict { commands, cancelled, ..Verdict::default() });
        verdict
    }

    async fn logs(&self, topic: B256) -> Vec<Log> {
        let executor = self.deployment.nodes[0].node.executor;
        let filter = json!({ "address": executor, "topics": [topic], "fromBlock": "0x0", "toBlock": "latest" });
        serde_json::from_value(self.rpc("eth_getLogs", json!([filter])).await).unwrap()
    }

    /// How often the chain ran each command.
    async fn runs(&self) -> HashMap<B256, usize> {
        let mut runs = HashMap::new();
        for log in self.logs(Executor::CommandExecuted::SIGNATURE_HASH).await {
            let event = log.log_decode::<Executor::CommandExecuted>().unwrap().inner.data;
            *runs.entry(event.id).or_default() += usize::from(event.ok);
        }
        runs
    }

    async fn guarded(&self) -> usize {
        let mut stopped = 0;
        for topic in [Executor::CommandSkipped::SIGNATURE_HASH, Executor::CommandConflict::SIGNATURE_HASH] {
            stopped += self.logs(topic).await.len();
        }
        stopped
    }

    async fn nonces(&self, verdict: &mut Verdict) {
        let lanes: Vec<(Vec<u8>, i64, i64, i64, bool)> = sqlx::query_as(
            "SELECT l.address::bytea, l.next_nonce, coalesce(min(s.nonce), l.next_nonce), count(s.nonce),
                    l.halted_reason IS NOT NULL
               FROM lanes l
               LEFT JOIN slots s USING (lane_id)
              GROUP BY l.lane_id",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        for (address, next, first, slots, halted) in lanes {
            let used = self.rpc("eth_getTransactionCount", json!([Address::from_slice(&address), "latest"])).await;
            let used: i64 = quantity(&used).to();
            verdict.gaps += (next - first).abs_diff(slots) + next.abs_diff(used);
            verdict.stuck += usize::from(halted);
        }
    }

    async fn balance_on_chain(&self) -> U256 {
        let data = SecurityToken::balanceOfCall { account: HOLDER }.abi_encode();
        let call =
            json!({ "to": self.deployment.nodes[0].token, "data": alloy::primitives::hex::encode_prefixed(data) });
        quantity(&self.rpc("eth_call", json!([call, "latest"])).await)
    }

    async fn balance_indexed(&self) -> U256 {
        let chain_id = self.settings.chain.chain_id;
        read::position(self.pool(), chain_id, self.deployment.nodes[0].token, HOLDER).await.unwrap().balance
    }
}
