//! What must hold once nothing is under way: the books, the commands and the lanes against the chain itself.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolEvent};
use serde_json::{Value, json};
use tokenx_contracts::bindings::{Executor, SecurityToken};
use tokenx_contracts::{Scope, onchain_id};
use tokenx_indexer::read;

use super::load::{Asked, What};
use super::{WALLETS, Whole};

impl Whole {
    /// Every command of the load ran, once; nothing was refused, forgotten or run twice, and the wallets hold what was
    /// asked for.
    pub(super) async fn ran_once(&self, asked: &[Asked]) {
        let ends: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT command_id, state, failure FROM command_states JOIN commands USING (seq) WHERE state NOT IN ('confirmed', 'final') ORDER BY seq",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        assert!(ends.is_empty(), "false failures: {ends:?}");
        let runs = self.runs().await;
        for command in asked {
            let id = onchain_id(&Scope::Ops, &command.id.parse().unwrap());
            assert_eq!(runs.get(&id), Some(&1), "{} on the chain", command.id);
        }
        for wallet in WALLETS {
            let (mut balance, mut frozen) = (0, 0);
            for command in asked.iter().filter(|command| command.wallet == wallet) {
                match command.what {
                    What::Mint(amount) => balance += amount,
                    What::Burn(amount) => balance -= amount,
                    What::Freeze(amount) => frozen += amount,
                    What::Unfreeze(amount) => frozen -= amount,
                }
            }
            let ours = read::position(self.pool(), self.chain(), self.token(), wallet).await.unwrap();
            let theirs = (
                self.view(SecurityToken::balanceOfCall { account: wallet }).await,
                self.view(SecurityToken::getFrozenTokensCall { account: wallet }).await,
            );
            assert_eq!(theirs, (U256::from(balance), U256::from(frozen)), "{wallet} on the chain");
            assert_eq!((ours.balance, ours.frozen), theirs, "{wallet} in the tables");
        }
        let supply = read::instrument(self.pool(), self.chain(), "rCC").await.unwrap().unwrap().total_supply;
        assert_eq!(supply, self.view(SecurityToken::totalSupplyCall {}).await, "supply");
    }

    /// How often each command ran, by the chain's own logs.
    async fn runs(&self) -> HashMap<B256, usize> {
        let executors: Vec<Address> = self.deployment.nodes.iter().map(|node| node.node.executor).collect();
        let filter = json!([{ "address": executors, "fromBlock": "0x0", "toBlock": "latest",
                              "topics": [Executor::CommandExecuted::SIGNATURE_HASH] }]);
        let mut runs = HashMap::new();
        for log in self.rpc("eth_getLogs", filter).await.as_array().unwrap() {
            let topics: Vec<B256> = serde_json::from_value(log["topics"].clone()).unwrap();
            let data: Bytes = serde_json::from_value(log["data"].clone()).unwrap();
            let event = Executor::CommandExecuted::decode_raw_log(topics, &data).unwrap();
            assert!(event.ok, "{} failed on the chain: {}", event.id, event.returnData);
            *runs.entry(event.id).or_default() += 1;
        }
        runs
    }

    async fn view<C: SolCall>(&self, call: C) -> C::Return {
        let data = Bytes::from(call.abi_encode());
        let answer: Value = self.rpc("eth_call", json!([{ "to": self.token(), "data": data }, "latest"])).await;
        C::abi_decode_returns(&serde_json::from_value::<Bytes>(answer).unwrap()).unwrap()
    }

    /// Each lane has used all its nonces and will use the chain's next one: no gap, nothing stolen, nothing open.
    pub(super) async fn lanes_have_no_gap(&self) {
        let lanes: Vec<(i64, Vec<u8>, i64)> =
            sqlx::query_as("SELECT lane_id, address::bytea, next_nonce FROM lanes ORDER BY lane_id")
                .fetch_all(self.pool())
                .await
                .unwrap();
        assert_eq!(lanes.len(), self.settings.signer.keys.len());
        for (lane, address, next) in lanes {
            let slots: Vec<(i64, String)> =
                sqlx::query_as("SELECT nonce, state FROM slots WHERE lane_id = $1 ORDER BY nonce")
                    .bind(lane)
                    .fetch_all(self.pool())
                    .await
                    .unwrap();
            let nonces: Vec<i64> = slots.iter().map(|(nonce, _)| *nonce).collect();
            assert_eq!(nonces, (0..next).collect::<Vec<_>>(), "nonces of lane {lane}");
            let odd: Vec<_> = slots.iter().filter(|(_, state)| state != "included" && state != "noop").collect();
            assert!(odd.is_empty(), "slots of lane {lane}: {odd:?}");
            assert_eq!(self.nonce(Address::from_slice(&address), json!("latest")).await, next, "lane {lane}");
        }
        self.lane_nonces_are_the_chains().await;
    }

    /// The transaction counts that the keeper goes by are those at the indexed block.
    pub(super) async fn lane_nonces_are_the_chains(&self) {
        let noted: Vec<(Vec<u8>, i64, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT l.address::bytea, n.nonce, n.at_block, c.hash::bytea
               FROM lane_nonces n
               JOIN lanes l USING (lane_id)
               JOIN chain_cursors c ON c.chain_id = l.chain_id AND c.number = n.at_block",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        assert_eq!(noted.len(), self.settings.signer.keys.len(), "lanes whose count is known at the indexed block");
        for (address, noted, at, hash) in noted {
            let (address, hash) = (Address::from_slice(&address), B256::from_slice(&hash));
            let nonce = self.nonce(address, json!({ "blockHash": hash })).await;
            assert_eq!(noted, nonce, "transactions of {address} at block {at}");
        }
    }

    async fn nonce(&self, address: Address, at: Value) -> i64 {
        super::number(&self.rpc("eth_getTransactionCount", json!([address, at])).await).cast_signed()
    }
}
