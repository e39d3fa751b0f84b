//! Whom mints go to, and what came of them.

use std::time::Duration;

use alloy::primitives::{Address, Bytes, U64};
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokenx::local::suite::COLD_KEY;
use tokenx_anvil_tests::eventually_within;
use tokenx_api::admin::{self, By, NewNode, NewParty, NewServiceToken, NewWallet, WalletKind};
use tokenx_api::policy::{Role, Scope};
use tokenx_contracts::ids::PartyId;

use super::services::{Running, Services};

const BY: By<'static> = By { actor: "cli:bench", request_id: None };
const INSTRUMENT: &str = "rCC";
/// Investors that the mints go to in turn.
const PARTIES: u64 = 200;

pub(crate) struct Stack {
    services: Services,
    agent: SecretString,
}

impl Stack {
    pub(crate) async fn start() -> Result<Self> {
        let mut stack = Self { services: Services::start().await?, agent: String::new().into() };
        stack.seed().await?;
        Ok(stack)
    }

    /// An issuer with its node, a service token for its agent, and investors with an approved wallet each.
    async fn seed(&mut self) -> Result<()> {
        let (pool, chain_id) = (&self.services.world.pool, self.services.settings.chain.chain_id);
        let issuer_id = admin::add_issuer(pool, BY, "Issuer").await?.issuer_id;
        let executor = self.services.deployment.nodes[0].node.executor;
        admin::add_node(pool, BY, NewNode { issuer_id, chain_id, executor, treasury: None }).await?;
        let scopes = vec![Scope::LedgerWrite];
        let token =
            NewServiceToken { name: "bench".into(), role: Role::TransferAgent, issuer_id: None, scopes, days: 1 };
        self.agent = admin::add_service_token(pool, BY, token).await?.1;
        for i in 0..PARTIES {
            let party_id = PartyId::parse(format!("party-{i}"))?;
            let party = NewParty { party_id: party_id.clone(), country: 276, investor_class: 1, kyc_expires_at: None };
            admin::add_party(pool, BY, party).await?;
            let wallet = NewWallet { party_id, kind: WalletKind::SelfCustody(wallet(i)) };
            admin::add_wallet(pool, &self.services.commands, BY, wallet).await?;
        }
        let keeper = self.keeper(200).await?;
        self.all_confirmed(Duration::from_secs(60)).await?;
        eventually_within(Duration::from_secs(60), "the wallets are approved", || async {
            let wallets = admin::list_wallets(pool, chain_id).await.ok()?;
            wallets.iter().all(|wallet| wallet.approved).then_some(())
        })
        .await;
        keeper.stop().await
    }

    /// A keeper with one lane that puts so many commands into a transaction.
    pub(crate) async fn keeper(&self, items: u32) -> Result<Running> {
        self.services
            .keeper(|settings| {
                settings.keeper.batch_max_items = items;
                settings.signer.keys.truncate(1);
                // What public pools keep of one sender is no matter here: the raw client is not held to it either.
                settings.keeper.max_in_flight = 4_000;
            })
            .await
    }

    /// Waits until no command is open any more, and sees to it that all have succeeded.
    pub(crate) async fn all_confirmed(&self, limit: Duration) -> Result<()> {
        eventually_within(limit, "all commands are confirmed", || async {
            // By the indexes over what is open, so that asking takes nothing from what is measured.
            let mut look = tokenx_migrations::begin_look(&self.services.world.pool).await.ok()?;
            let open: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM command_states
                                 WHERE state IN ('accepted', 'awaiting_approval', 'ready', 'prepared'))
                     OR EXISTS (SELECT FROM command_states WHERE state = 'mined')",
            )
            .fetch_one(&mut *look)
            .await
            .ok()?;
            (!open).then_some(())
        })
        .await;
        let failed: i64 =
            sqlx::query_scalar("SELECT count(*) FROM command_states WHERE state NOT IN ('confirmed', 'final')")
                .fetch_one(&self.services.world.pool)
                .await?;
        anyhow::ensure!(failed == 0, "{failed} commands failed");
        Ok(())
    }

    /// Milliseconds from acceptance to the first send, at p50 and p99, of the commands whose ids begin so.
    pub(crate) async fn first_sends(&self, prefix: &str) -> Result<(f64, f64)> {
        let figures: Vec<f64> = sqlx::query_scalar(
            "SELECT unnest(percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY ms))
               FROM (SELECT extract(epoch FROM min(a.first_sent_at) - c.created_at)::float8 * 1000 AS ms
                       FROM commands c
                       JOIN slot_commands s ON s.command_seq = c.seq
                       JOIN attempts a      ON a.lane_id = s.lane_id AND a.nonce = s.nonce
                      WHERE c.command_id LIKE $1 || '-%'
                      GROUP BY c.seq) waits",
        )
        .bind(prefix)
        .fetch_all(&self.services.world.pool)
        .await?;
        Ok((figures[0], figures[1]))
    }

    /// Calls that keepers of this process have made.
    pub(crate) fn calls(&self) -> u64 {
        let families = tokenx_config::metrics::registry().gather();
        let calls = families.iter().filter(|family| family.name() == "tokenx_keeper_rpc_calls_total");
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
        calls
            .map(|family| family.get_metric().iter().map(|metric| metric.get_counter().get_value() as u64).sum::<u64>())
            .sum()
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.services.end().await
    }

    /// A call of the token by its admin, mined.
    pub(crate) async fn by_admin(&self, data: Vec<u8>) -> Result<()> {
        let admin = COLD_KEY.parse::<PrivateKeySigner>()?.address();
        let call = json!([{ "from": admin, "to": self.token(), "data": Bytes::from(data), "gas": "0x100000" }]);
        let hash = self.services.world.chain.rpc("eth_sendTransaction", call).await?;
        eventually_within(Duration::from_secs(20), "the admin's call is mined", || async {
            let receipt = self.services.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await.ok()?;
            (receipt["status"] == "0x1").then_some(())
        })
        .await;
        Ok(())
    }

    pub(crate) async fn call(&self, data: Vec<u8>) -> Result<Bytes> {
        let call = json!([{ "to": self.token(), "data": Bytes::from(data) }, "latest"]);
        Ok(serde_json::from_value(self.services.world.chain.rpc("eth_call", call).await?)?)
    }

    pub(crate) async fn nonce(&self, account: Address) -> Result<u64> {
        let nonce = self.services.world.chain.rpc("eth_getTransactionCount", json!([account, "latest"])).await?;
        Ok(serde_json::from_value::<U64>(nonce).context("a nonce")?.to())
    }

    pub(crate) fn rpc_url(&self) -> String {
        self.services.world.chain.url()
    }

    pub(crate) fn api_url(&self) -> &str {
        &self.services.api_url
    }

    pub(crate) fn token_of_the_agent(&self) -> &str {
        self.agent.expose_secret()
    }

    pub(crate) fn token(&self) -> Address {
        self.services.deployment.nodes[0].token
    }

    pub(crate) fn instrument(&self) -> &'static str {
        INSTRUMENT
    }

    pub(crate) fn party(&self, i: usize) -> String {
        format!("party-{}", i as u64 % PARTIES)
    }

    pub(crate) fn wallet(&self, i: usize) -> Address {
        wallet(i as u64 % PARTIES)
    }
}

fn wallet(i: u64) -> Address {
    Address::left_padding_from(&(0x1000 + i).to_be_bytes())
}
