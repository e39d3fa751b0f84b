//! The keeper as a service: its lanes, its ears, its housekeeping, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::signers::Signer;
use alloy::transports::RpcError;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgListener;
use sqlx::{Connection, PgConnection, PgPool};
use tokenx_config::Settings;
use tokenx_config::retry::{Policy, Verdict, retry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::commands::Commands;
use crate::hosted::Vault;
use crate::lane::plan::Limits;
use crate::lane::{Lane, Rules, Shared};
use crate::rpc::{BadEndpoint, CallError, Rpc};
use crate::signer::{self, SignerError, Signers};
use crate::status;
use crate::store::transition::TransitionError;
use crate::store::{lanes, queue};
use crate::wake::{self, Wake};

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
/// How often the connection that holds a lane's lock is asked whether it is still there.
const LOCK_PING: Duration = Duration::from_secs(1);
/// How long its answer may take, and any other about the lock.
const LOCK_ANSWER: Duration = Duration::from_secs(2);
/// How often a standby tries to get it.
const STANDBY_PAUSE: Duration = Duration::from_millis(250);
/// How long the round at hand may take to end once the lock is lost.
const LAST_ROUND: Duration = Duration::from_secs(5);

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
            fee_cap: u128::from(keeper.max_fee_cap_gwei) * 1_000_000_000,
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

    /// A new lane begins where the chain was when it was last final: what its key has sent since is skipped when it is
    /// indexed, and may yet be taken back. One that exists, begins where it was.
    async fn open_lane(&self, chain_id: i64, signer: &(dyn Signer + Send + Sync)) -> Result<i64, KeeperError> {
        let address = signer.address();
        let (pool, rpc) = (&self.shared.pool, &self.shared.rpc);
        if let Some(lane_id) = lanes::find(pool, chain_id, address).await? {
            return Ok(lane_id);
        }
        let finalized = lanes::finalized(pool, chain_id).await?.map(i64::unsigned_abs);
        let nonce = match rpc.nonce(address, finalized.map_or(BlockId::finalized(), BlockId::number)).await {
            // A node that has forgotten that state, or never says what is final.
            Err(RpcError::ErrorResp(_)) => rpc.nonce(address, BlockId::latest()).await?,
            nonce => nonce?,
        };
        Ok(lanes::open(pool, chain_id, address, nonce.cast_signed()).await?)
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
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                locked = self.lock() => match locked {
                    Ok(connection) => self.work(connection, &stop).await,
                    Err(error) => tracing::warn!(lane = %self.signer.address(), %error, "no lock on the lane"),
                },
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RETAKE) => {}
            }
        }
    }

    /// Waits for the lane's lock on a new connection, which the server gives up within seconds of our vanishing, and of
    /// our standing still: whoever is silent for longer than some pings has lost the lane. Nor do we wait for a server
    /// that is silent.
    async fn lock(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = in_time(PgConnection::connect(self.direct_url.expose_secret())).await?;
        let settings = sqlx::query(
            "SELECT set_config('tcp_keepalives_idle', '2', false),
                    set_config('tcp_keepalives_interval', '1', false),
                    set_config('tcp_keepalives_count', '3', false),
                    set_config('idle_session_timeout', '5s', false),
                    set_config('application_name', 'tokenx keeper lane', false)",
        );
        in_time(settings.execute(&mut connection)).await?;
        loop {
            let lock = "SELECT pg_try_advisory_lock(hashtextextended('keeper:lane:' || $1::text, $2))";
            let locked = sqlx::query_scalar(lock)
                .bind(self.lane_id)
                .bind(self.shared.rules.chain_id.cast_signed())
                .fetch_one(&mut connection);
            if in_time(locked).await? {
                return Ok(connection);
            }
            tokio::time::sleep(STANDBY_PAUSE).await;
        }
    }

    async fn work(&self, mut lock: PgConnection, stop: &CancellationToken) {
        let owner = format!("pid {} at {:?}", std::process::id(), std::time::SystemTime::now());
        let epoch = match in_time(lanes::take(&self.shared.pool, self.lane_id, &owner)).await {
            Ok(epoch) => epoch,
            Err(error) => {
                tracing::warn!(%error, "a lane could not be taken");
                return;
            }
        };
        tracing::info!(lane = %self.signer.address(), epoch, "working the lane");
        let mine = stop.child_token();
        let id = (self.lane_id, epoch);
        let lane = Lane::new(self.shared.clone(), Arc::clone(&self.signer), id, self.share);
        let running = lane.run(&mine);
        tokio::pin!(running);
        loop {
            tokio::select! {
                () = &mut running => break,
                () = tokio::time::sleep(LOCK_PING) => {
                    if in_time(sqlx::query("SELECT 1").execute(&mut lock)).await.is_err() {
                        tracing::warn!(lane = %self.signer.address(), "the lane's lock is gone");
                        mine.cancel();
                        // What waits for a server that has vanished is dropped, as in a crash.
                        if tokio::time::timeout(LAST_ROUND, &mut running).await.is_err() {
                            tracing::warn!(lane = %self.signer.address(), "the lane's last round did not end");
                        }
                        return;
                    }
                }
            }
        }
        // Gives the lock back at once, rather than when the server notices.
        if let Err(error) = lock.close().await {
            tracing::debug!(%error, "the lock's connection was gone already");
        }
    }
}

/// What the database says, if it says it in time.
async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(LOCK_ANSWER, answer)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
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
