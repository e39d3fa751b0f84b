//! The tables beside the contracts, figure by figure, as of one block.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use serde_json::json;
use sqlx::{PgPool, Row};
use tokenx_contracts::bindings::{InvestorRegistry, SecurityToken};
use tokenx_indexer::read;
use tokenx_migrations::{Addr, Uint256};

use super::super::{CHAIN, Stage};
use super::acts::{DOCUMENTS, Ground};

impl Stage {
    pub(in crate::indexer) async fn view_at<C: SolCall>(&self, to: Address, call: C, at: B256) -> Result<C::Return> {
        let request = json!([{"to": to, "data": Bytes::from(call.abi_encode())}, {"blockHash": at}]);
        let answer: Bytes = serde_json::from_value(self.world.chain.rpc("eth_call", request).await?)?;
        C::abi_decode_returns(&answer).context("the contract answers")
    }

    pub(in crate::indexer) async fn hash(&self, block: u64) -> Result<B256> {
        let header = self.world.chain.rpc("eth_getBlockByNumber", json!([format!("{block:#x}"), false])).await?;
        Ok(serde_json::from_value(header["hash"].clone())?)
    }

    /// Everything that the tables say of the head, and nothing else, is what the contracts say there.
    pub(super) async fn equals_contracts(&self, grounds: &[Ground], wallets: &[Address], at: B256) -> Result<()> {
        for ground in grounds {
            self.token_equals(ground.token, at).await?;
            for wallet in wallets {
                self.position_equals(ground.token, *wallet, at).await?;
            }
        }
        for wallet in wallets {
            self.record_equals(*wallet, at).await?;
        }
        Ok(())
    }

    async fn token_equals(&self, token: Address, at: B256) -> Result<()> {
        let pool = &self.world.pool;
        let known = read::instrument_of_token(pool, CHAIN, token).await?.context("the token's instrument")?;
        let name = &known.instrument_id;
        assert_eq!(known.inexact, None, "{name}");
        assert_eq!(known.total_supply, self.view_at(token, SecurityToken::totalSupplyCall {}, at).await?, "{name}");
        let paused = self.view_at(token, SecurityToken::pausedCall {}, at).await?;
        let supply_paused = self.view_at(token, SecurityToken::supplyPausedCall {}, at).await?;
        assert_eq!((known.transfers_paused, known.supply_paused), (paused, supply_paused), "pauses of {name}");
        let limits = self.view_at(token, SecurityToken::limitsCall {}, at).await?;
        let ours = (known.max_holders.unwrap_or(0), known.max_balance.unwrap_or_default());
        assert_eq!(ours, (limits._0, limits._1.to()), "limits of {name}");

        let rule = self.view_at(token, SecurityToken::countryRuleCall {}, at).await?;
        assert_eq!(
            known.country_rule.as_ref().map(|rule| rule.admits),
            [None, Some(false), Some(true)][rule._0 as usize]
        );
        if let Some(ours) = &known.country_rule {
            let listed = |country: &u16| rule._1[usize::from(country / 256)].bit(usize::from(country % 256));
            assert_eq!(ours.countries, (0..1_024).filter(listed).collect::<Vec<_>>(), "countries of {name}");
        }

        let holders: i64 = sqlx::query_scalar("SELECT holder_count($1, $2)")
            .bind(CHAIN.cast_signed())
            .bind(Addr(token))
            .fetch_one(pool)
            .await?;
        let counted = self.view_at(token, SecurityToken::holderCountCall {}, at).await?;
        assert_eq!(U256::from(holders), counted, "holders of {name}");

        let documents = read::documents_of_tokens(pool, CHAIN, &[token]).await?.remove(&token).unwrap_or_default();
        for name in DOCUMENTS {
            let theirs = self.view_at(token, SecurityToken::documentOfCall { name }, at).await?;
            let ours = documents.iter().find(|document| document.name == name);
            assert_eq!(ours.map_or(B256::ZERO, |document| document.hash), theirs._0, "document {name}");
            assert_eq!(ours.map_or(0, |document| document.changed_time), theirs._1.to::<u64>(), "document {name}");
        }
        Ok(())
    }

    async fn position_equals(&self, token: Address, account: Address, at: B256) -> Result<()> {
        let pool = &self.world.pool;
        let ours = read::position(pool, CHAIN, token, account).await?;
        let theirs = (
            self.view_at(token, SecurityToken::balanceOfCall { account }, at).await?,
            self.view_at(token, SecurityToken::getFrozenTokensCall { account }, at).await?,
            self.view_at(token, SecurityToken::isFrozenCall { account }, at).await?,
            self.view_at(token, SecurityToken::heldOfCall { account }, at).await?,
            self.view_at(token, SecurityToken::spendableOfCall { account }, at).await?,
        );
        let said = (ours.balance, ours.frozen, ours.address_frozen, ours.held, ours.spendable());
        assert_eq!(said, theirs, "balance, frozen, address frozen, held and spendable of {account} in {token}");

        let stored = sqlx::query(
            "SELECT hold_id, kind, amount, until, agent
               FROM holds
              WHERE chain_id = $1 AND token = $2 AND wallet = $3
              ORDER BY hold_id",
        )
        .bind(CHAIN.cast_signed())
        .bind(Addr(token))
        .bind(Addr(account))
        .fetch_all(pool)
        .await?;
        let mut ours = Vec::new();
        for row in &stored {
            ours.push((
                row.try_get::<i64, _>("hold_id")?.cast_unsigned(),
                row.try_get::<i16, _>("kind")?.cast_unsigned(),
                row.try_get::<Uint256, _>("amount")?.0,
                row.try_get::<i64, _>("until")?.cast_unsigned(),
                row.try_get::<Option<Addr>, _>("agent")?.map_or(Address::ZERO, |agent| agent.0),
            ));
        }
        let theirs = self.view_at(token, SecurityToken::holdsOfCall { account }, at).await?;
        let theirs: Vec<_> = theirs
            .iter()
            .map(|hold| {
                (hold.id.to::<u64>(), u16::from(hold.kind), U256::from(hold.amount), hold.until.to::<u64>(), hold.agent)
            })
            .collect();
        assert_eq!(ours, theirs, "holds of {account} in {token}");
        Ok(())
    }

    async fn record_equals(&self, wallet: Address, at: B256) -> Result<()> {
        let registry = self.deployment.suite.registry;
        let theirs = self.view_at(registry, InvestorRegistry::investorOfCall { wallet }, at).await?;
        let ours = read::investor_wallet(&self.world.pool, CHAIN, wallet).await?.context("a registered wallet")?;
        let said = (ours.investor_id, ours.country, ours.investor_class, ours.kyc_expires_at, ours.flags);
        let kyc_expires_at = theirs.kycExpiresAt.to::<u64>();
        let told = (theirs.investorId, theirs.country, theirs.investorClass, kyc_expires_at, theirs.flags);
        assert_eq!(said, told, "the registry's record of {wallet}");
        Ok(())
    }

    /// Every balance and locked figure as of a past block is what the contracts said at that block.
    pub(in crate::indexer) async fn equalled_contracts(
        &self,
        pool: &PgPool,
        tokens: &[Address],
        wallets: &[Address],
        block: u64,
    ) -> Result<()> {
        let at = self.hash(block).await?;
        let rows = sqlx::query("SELECT token, wallet, balance, locked FROM holdings_at($1, $2)")
            .bind(CHAIN.cast_signed())
            .bind(block.cast_signed())
            .fetch_all(pool)
            .await?;
        let otherwise: i64 = sqlx::query_scalar(
            "SELECT count(*)
               FROM holdings_at($1, $2) h
               FULL JOIN (SELECT token, wallet, balance,
                                 CASE WHEN address_frozen THEN balance ELSE least(balance, frozen + held) END AS locked
                            FROM positions_at($1, $2)) p USING (token, wallet)
              WHERE (h.balance, h.locked) IS DISTINCT FROM (p.balance, p.locked)",
        )
        .bind(CHAIN.cast_signed())
        .bind(block.cast_signed())
        .fetch_one(pool)
        .await?;
        assert_eq!(otherwise, 0, "a page of positions and all of them say otherwise of block {block}");
        let mut ours = HashMap::new();
        for row in &rows {
            let key = (row.try_get::<Addr, _>("token")?.0, row.try_get::<Addr, _>("wallet")?.0);
            let figures = (row.try_get::<Uint256, _>("balance")?.0, row.try_get::<Uint256, _>("locked")?.0);
            assert_eq!(ours.insert(key, figures), None, "{key:?} twice at block {block}");
        }
        for token in tokens.iter().copied() {
            let mut supply = U256::ZERO;
            for account in wallets.iter().copied() {
                let balance = self.view_at(token, SecurityToken::balanceOfCall { account }, at).await?;
                let spendable = self.view_at(token, SecurityToken::spendableOfCall { account }, at).await?;
                let said = ours.remove(&(token, account)).unwrap_or_default();
                assert_eq!(said, (balance, balance - spendable), "{account} in {token} at block {block}");
                supply += said.0;
            }
            let theirs = self.view_at(token, SecurityToken::totalSupplyCall {}, at).await?;
            assert_eq!(supply, theirs, "supply of {token} at block {block}");
        }
        assert!(ours.is_empty(), "holdings that no contract knows at block {block}: {ours:?}");
        Ok(())
    }
}

/// The rows of each table that is a function of the logs alone.
pub(in crate::indexer) async fn tables(pool: &PgPool) -> Result<Vec<(&'static str, Vec<String>)>> {
    macro_rules! dump {
        ($($table:literal),*) => {
            vec![$((
                $table,
                sqlx::query_scalar(concat!("SELECT t::text FROM ", $table, " t ORDER BY t::text")).fetch_all(pool).await?,
            )),*]
        };
    }
    Ok(dump![
        "logs",
        "instruments",
        "watched",
        "transfers",
        "mints",
        "burns",
        "recoveries",
        "freezes",
        "hold_changes",
        "holds",
        "token_changes",
        "document_changes",
        "documents",
        "investor_changes",
        "investor_wallets",
        "holding_changes",
        "supply_changes",
        "holdings",
        "listing_terms",
        "listing_statuses",
        "fee_reservations",
        "purchases",
        "fee_terms",
        "fee_allocations",
        "fee_pots",
        "fee_credits",
        "market_terms",
        "trades",
        "otc_terms",
        "deals",
        "cancellations",
        "order_cutoffs",
        "intents",
        "treasuries",
        "fund_changes",
        "redemption_terms",
        "redemption_requests",
        "redemption_ends",
        "redemption_credits",
        "rent_terms",
        "rent_distributors",
        "rent_minimums",
        "rent_periods",
        "rent_payments",
        "rent_moves",
        "retirements"
    ])
}
