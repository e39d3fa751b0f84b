//! The keeper as a service: its lanes, its ears, its housekeeping, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use alloy::signers::Signer;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokenx_config::Settings;
use tokenx_config::retry::{Policy, Verdict, retry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::commands::Commands;
use crate::hosted::Vault;
use crate::lane::plan::Limits;
use crate::lane::{Key, Lane, Rules, Shared, first_nonce};
use crate::lock::{Lock, in_time};
use crate::rpc::{BadEndpoint, CallError, Rpc};
use crate::signer::{self, SignerError, Signers};
use crate::status;
use crate::store::transition::TransitionError;
use crate::store::{lanes, queue};
use crate::wake::{self, Wake};
use crate::wallets;

/// Why a keeper did not start.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The endpoint's address.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// The endpoint's answer.
    #[error("rpc: {0}")]
    Rpc(#[from] CallError),
    /// Keys.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Another chain answers.
    #[error("the rpc endpoint is on chain {found}, chain.chain_id is {expected}: one of the two is wrong")]
    WrongChain {
        /// The configured chain.
        expected: u64,
        /// The endpoint's.
        found: u64,
    },
    /// The database's.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Rows that another version wrote.
    #[error("{0}")]
    Rows(String),
}

impl KeeperError {
    /// Waiting helps against what is not there yet, and against nothing else.
    fn verdict(&self) -> Verdict {
        match self {
            Self::Rpc(_) | Self::Database(_) => {
                tracing::warn!(error = %self, "the keeper waits for node and database");
                Verdict::Retry
            }
            _ => Verdict::GiveUp,
        }
    }
}

/// Between tries to start.
const UNTIL_ANSWERED: Policy = Policy::forever(Duration::from_millis(100), Duration::from_secs(5));
/// Pause between looks at deadlines and at the hosted pool, and between snapshots for `/status`.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Pause before a lane that was lost, or could not be had, is tried again.
const RETAKE: Duration = Duration::from_millis(500);
/// In wei.
const GWEI: u128 = 1_000_000_000;

/// A keeper of one chain.
#[derive(Debug)]
pub struct Keeper {
    shared: Shared,
    signers: Signers,
    hosted_pool: i64,
    direct_url: SecretString,
}

impl Keeper {
    /// A keeper by these settings, which hears the rings of these commands' door.
    ///
    /// # Errors
    /// Where keys or endpoint are unusable.
    pub async fn new(settings: &Settings, pool: PgPool, commands: &Commands) -> Result<Self, KeeperError> {
        let signers = Signers::load(&settings.signer).await?;
        let vault = Vault::new(&*signer::master_key(&settings.signer)?);
        let keeper = &settings.keeper;
        let rules = Rules {
            chain_id: settings.chain.chain_id,
            confirmations: settings.chain.confirmations.cast_signed(),
            poll: Duration::from_millis(keeper.lane_poll_ms.max(1)),
            limits: Limits {
                items: keeper.batch_max_items.max(1) as usize,
                gas: keeper.batch_max_gas,
                bytes: MAX_CALL_DATA,
            },
            max_in_flight: keeper.max_in_flight.max(1) as usize,
            bump_after_blocks: keeper.bump_after_blocks.max(1).cast_signed(),
            fee_cap: u128::from(keeper.max_fee_cap_gwei) * GWEI,
            approve_cap: u128::from(keeper.approve_cap_gwei) * GWEI,
            simulate: keeper.simulate,
        };
        let rpc = Rpc::new(settings.chain.rpc_url.expose_secret())?;
        let shared = Shared { pool, rpc, rules: Arc::new(rules), wake: commands.waker(), vault };
        let direct_url = settings.database.direct_url().clone();
        Ok(Self { shared, signers, hosted_pool: i64::from(keeper.hosted_pool), direct_url })
    }

    /// The lanes' keys' addresses: what Executors must let in.
    pub fn addresses(&self) -> Vec<alloy::primitives::Address> {
        self.signers.addresses()
    }

    /// Works until `stop`, then ends the rounds at hand and returns. What is lost at a harder end is found again.
    ///
    /// # Errors
    /// Where the chain or the rows are not ours; it waits for a node or a database that does not answer.
    pub async fn run(self, stop: CancellationToken) -> Result<(), KeeperError> {
        let ids = tokio::select! {
            opened = retry(UNTIL_ANSWERED, KeeperError::verdict, || self.open_lanes()) => opened?,
            () = stop.cancelled() => return Ok(()),
        };
        let chain_id = self.shared.rules.chain_id.cast_signed();
        // Dropped with this future, should somebody drop it: nothing works on unseen.
        let mut tasks = JoinSet::new();
        let parts = i64::try_from(ids.len()).unwrap_or(1);
        for ((part, signer), id) in (0..).zip(self.signers.iter()).zip(ids.iter().copied()) {
            let keep = KeepLane {
                shared: self.shared.clone(),
                signer: Arc::clone(signer),
                lane_id: id,
                share: (part, parts),
                direct_url: self.direct_url.clone(),
            };
            tasks.spawn(keep.run(stop.clone()));
        }
        tasks.spawn(wallets::work(self.shared.clone(), self.direct_url.clone(), stop.clone()));
        tasks.spawn(listen(self.direct_url.clone(), self.shared.wake.clone(), stop.clone()));
        tasks.spawn(self.keep_house(chain_id, ids, stop));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "a task of the keeper broke down");
            }
        }
        Ok(())
    }

    /// The lanes of our keys on the chain that it should be, and no commands waiting for those of others.
    async fn open_lanes(&self) -> Result<Vec<i64>, KeeperError> {
        let expected = self.shared.rules.chain_id;
        let found = self.shared.rpc.chain_id().await?;
        if found != expected {
            return Err(KeeperError::WrongChain { expected, found });
        }
        let chain_id = expected.cast_signed();
        let mut ids = Vec::new();
        for signer in self.signers.iter() {
            ids.push(self.open_lane(chain_id, signer.as_ref()).await?);
        }
        queue::unroute(&self.shared.pool, chain_id, &ids).await.map_err(|error| match error {
            TransitionError::Database(error) => KeeperError::Database(error),
            illegal @ TransitionError::Illegal { .. } => KeeperError::Rows(illegal.to_string()),
        })?;
        Ok(ids)
    }

    /// A lane that exists begins where it was.
    async fn open_lane(&self, chain_id: i64, signer: &(dyn Signer + Send + Sync)) -> Result<i64, KeeperError> {
        let address = signer.address();
        let (pool, rpc) = (&self.shared.pool, &self.shared.rpc);
        if let Some(lane_id) = lanes::find(pool, chain_id, address).await? {
            return Ok(lane_id);
        }
        let nonce = first_nonce::<KeeperError>(pool, rpc, chain_id, address).await?;
        Ok(lanes::open(pool, chain_id, address, nonce, false).await?)
    }

    async fn keep_house(self, chain_id: i64, ours: Vec<i64>, stop: CancellationToken) {
        let pool = &self.shared.pool;
        let mut stranded = Vec::new();
        loop {
            while queue::expire(pool, chain_id).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "deadlines were not kept");
                false
            }) {}
            match status::refresh(pool, chain_id, &ours).await {
                Ok(lanes) => {
                    for address in lanes.iter().filter(|address| !stranded.contains(*address)) {
                        tracing::error!(lane = %address, "{}", status::STRANDED);
                    }
                    stranded = lanes;
                }
                Err(error) => tracing::warn!(%error, "the keeper's status was not written"),
            }
            if let Err(error) = self.shared.vault.fill(pool, self.hosted_pool).await {
                tracing::warn!(%error, "the pool of hosted addresses is not full");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(HOUSEKEEPING) => {}
            }
        }
    }
}

/// Call data of one transaction, with room for the rest of it below the 128 KiB that pools take.
const MAX_CALL_DATA: usize = 120_000;

/// Holds one lane: for liveness by an advisory lock on a connection of its own, for safety by the epoch.
struct KeepLane {
    shared: Shared,
    signer: Arc<dyn Signer + Send + Sync>,
    lane_id: i64,
    share: (i64, i64),
    direct_url: SecretString,
}

impl KeepLane {
    async fn run(self, stop: CancellationToken) {
        let name = format!("keeper:lane:{}", self.lane_id);
        let chain_id = self.shared.rules.chain_id.cast_signed();
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                lock = Lock::take(&self.direct_url, &name, chain_id) => match lock {
                    Ok(lock) => self.work(lock, &stop).await,
                    Err(error) => tracing::warn!(lane = %self.signer.address(), %error, "no lock on the lane"),
                },
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RETAKE) => {}
            }
        }
    }

    async fn work(&self, lock: Lock, stop: &CancellationToken) {
        let epoch = match in_time(lanes::take(&self.shared.pool, self.lane_id, &owner())).await {
            Ok(epoch) => epoch,
            Err(error) => {
                tracing::warn!(%error, "a lane could not be taken");
                return;
            }
        };
        let who = self.signer.address();
        tracing::info!(lane = %who, epoch, "working the lane");
        let mine = stop.child_token();
        let id = (self.lane_id, epoch);
        let lane = Lane::new(self.shared.clone(), Key::Own(Arc::clone(&self.signer)), id, self.share);
        lock.hold(&who.to_string(), &mine, Box::pin(lane.run(&mine))).await;
    }
}

/// Who takes a lane.
pub(crate) fn owner() -> String {
    format!("pid {} at {:?}", std::process::id(), std::time::SystemTime::now())
}

/// Hears other processes' rings.
async fn listen(url: SecretString, wake: Wake, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let heard = async {
            let mut listener = PgListener::connect(url.expose_secret()).await?;
            listener.listen(wake::CHANNEL).await?;
            loop {
                listener.recv().await?;
                wake.echo();
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            ended = heard => {
                let ended: Result<(), sqlx::Error> = ended;
                if let Err(error) = ended {
                    tracing::debug!(%error, "deaf to wake-ups for a moment; the poll goes on");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RETAKE) => {}
        }
    }
}
