//! The demo world's contracts: the suite and two issuers, each with a node and an instrument.

use alloy::primitives::Address;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokenx_api::admin::{self, NewCurrency, NewNode};
use tokenx_indexer::read;
use uuid::Uuid;

use super::{ACTOR, PAUSE};
use crate::local::anvil::{CHAIN_ID, KEYS};
use crate::local::suite::{self, Plan, key};
use crate::local::{Anvil, Report};

/// What the issuers are called, what they issue, and the key of their treasury.
const ISSUERS: [(&str, &str, &str, &str); 2] = [
    ("Real Credit Partners", "rCC", "Real Credit Certificate", KEYS[7]),
    ("Dock Street Realty", "rDD", "Dock District Share", KEYS[8]),
];

/// An issuer with its node and instrument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Issuer {
    pub(crate) issuer_id: Uuid,
    pub(crate) node_id: String,
    /// A wallet of the issuer's own, whose key the demo chain holds.
    pub(crate) treasury: Address,
    pub(crate) executor: Address,
    pub(crate) instrument: String,
    pub(crate) token: Address,
}

/// Everything that was deployed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Contracts {
    pub(crate) registry: Address,
    pub(crate) registry_executor: Address,
    pub(crate) factory: Address,
    pub(crate) payment_token: Address,
    /// The payment token as prices name it.
    pub(crate) currency_id: String,
    pub(crate) start_block: u64,
    pub(crate) issuers: Vec<Issuer>,
}

impl Contracts {
    /// Waits until the indexer has seen them all: before that, nothing can be asked of them.
    pub(crate) async fn indexed(&self, pool: &PgPool) -> Result<()> {
        for issuer in &self.issuers {
            while read::instrument(pool, CHAIN_ID, &issuer.instrument).await?.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}

/// Adds the issuers and deploys everything. The database and the chain are empty.
pub(crate) async fn deploy(pool: &PgPool, chain: &Anvil, report: Report<'_>) -> Result<Contracts> {
    report("deploying the contracts");
    let mut ids = Vec::new();
    for (name, ..) in ISSUERS {
        ids.push(admin::add_issuer(pool, ACTOR, name).await?.issuer_id);
    }
    let texts: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let plans = ISSUERS
        .iter()
        .zip(&texts)
        .map(|((_, instrument_id, name, treasury), issuer_id)| {
            let treasury = key(treasury)?.address();
            Ok(Plan { node_id: issuer_id, issuer_id, instrument_id, name, treasury })
        })
        .collect::<Result<Vec<_>>>()?;
    let deployment = suite::deploy(&chain.url(), "dev", &plans).await?;

    let mut issuers = Vec::new();
    for ((issuer_id, deployed), plan) in ids.into_iter().zip(deployment.nodes).zip(plans) {
        let executor = deployed.node.executor;
        let new = NewNode { issuer_id, chain_id: CHAIN_ID, executor, treasury: Some(plan.treasury) };
        let node_id = admin::add_node(pool, ACTOR, new).await?.node_id;
        issuers.push(Issuer {
            issuer_id,
            node_id,
            treasury: plan.treasury,
            executor,
            instrument: deployed.instrument_id,
            token: deployed.token,
        });
    }
    let suite = deployment.suite;
    let payment_token = suite.payment_token.context("the suite was deployed without a payment token")?;
    let money = NewCurrency { chain_id: CHAIN_ID, address: payment_token, symbol: "TUSD".to_owned(), decimals: 6 };
    let currency_id = admin::add_currency(pool, ACTOR, money).await?.currency_id;
    Ok(Contracts {
        registry: suite.registry,
        registry_executor: suite.registry_executor,
        factory: suite.factory,
        payment_token,
        currency_id,
        start_block: deployment.block,
        issuers,
    })
}
