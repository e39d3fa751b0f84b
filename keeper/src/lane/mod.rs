//! A lane at work: one key, one loop; those of hosted wallets share theirs. Nothing is kept in memory between rounds
//! that the database does not say again, so a crash anywhere costs a repetition and never a duplicate.

mod errand;
mod mandate;
mod order;
pub(crate) mod plan;
mod predecessors;
mod prepare;
mod reprice;
mod send;
mod settle;
mod simulate;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::primitives::{Address, B256};
use alloy::signers::Signer;
use alloy::transports::RpcError;
use sqlx::PgPool;
use tokenx_config::failpoint;
use tokio_util::sync::CancellationToken;

use self::send::Post;
use crate::fees::{self, Fees};
use crate::hosted::{HostedError, Vault};
use crate::metrics::METRICS;
use crate::rpc::{CallError, Head, Rpc};
use crate::store::lanes::{self, Cursor};
use crate::store::release;
use crate::store::slots::{self, PrepareError};
use crate::store::transition::TransitionError;
use crate::tx::{self, Payload, Signed};
use crate::wake::Wake;

/// What a lane may do.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub chain_id: u64,
    pub confirmations: i64,
    pub poll: Duration,
    pub limits: plan::Limits,
    pub max_in_flight: usize,
    pub bump_after_blocks: i64,
    /// Wei per gas.
    pub fee_cap: u128,
    /// Wei that a hosted wallet may be given for an approve of its own.
    pub approve_cap: u128,
    pub simulate: bool,
}

/// What all lanes of a keeper share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub pool: PgPool,
    pub rpc: Rpc,
    pub rules: Arc<Rules>,
    pub wake: Wake,
    /// Hosted wallets' keys, for what their owners have asked for.
    pub vault: Vault,
}

/// Why a round ended early. Every round starts from what the database says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    #[error("another keeper has taken the lane")]
    Fenced,
    #[error("rpc: {0}")]
    Rpc(#[from] CallError),
    #[error("signing: {0}")]
    Signer(#[from] alloy::signers::Error),
    #[error(transparent)]
    Transition(#[from] TransitionError),
    #[error("{0}")]
    Prepare(#[from] PrepareError),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Hosted(#[from] HostedError),
    #[error("attempt {0} does not decode")]
    Attempt(B256),
    /// A failpoint that was armed to fail.
    #[error(transparent)]
    Failpoint(#[from] std::io::Error),
}

/// What a lane signs by.
#[derive(Clone)]
pub(crate) enum Key {
    /// One of the keeper's own.
    Own(Arc<dyn Signer + Send + Sync>),
    /// That of a hosted wallet, which is opened each time.
    Hosted(Address),
}

impl Key {
    fn address(&self) -> Address {
        match self {
            Self::Own(signer) => signer.address(),
            Self::Hosted(address) => *address,
        }
    }
}

/// Signs a payload at a price.
async fn sign(shared: &Shared, key: &Key, payload: &Payload, fees: Fees) -> Result<Signed, LaneError> {
    Ok(match key {
        Key::Own(signer) => tx::sign(signer.as_ref(), payload, fees).await?,
        Key::Hosted(wallet) => {
            let keys = shared.vault.keys(&shared.pool, &[*wallet]).await?;
            tx::sign(keys.signer(*wallet)?, payload, fees).await?
        }
    })
}

/// A new lane begins where the chain was when it was last final: what its key has sent since is skipped when it is indexed,
/// and may yet be taken back.
pub(crate) async fn first_nonce<E>(pool: &PgPool, rpc: &Rpc, chain_id: i64, address: Address) -> Result<i64, E>
where
    E: From<CallError> + From<sqlx::Error>,
{
    let finalized = lanes::finalized(pool, chain_id).await?.map(i64::unsigned_abs);
    let nonce = match rpc.nonce(address, finalized.map_or(BlockId::finalized(), BlockId::number)).await {
        // A node that has forgotten that state, or never says what is final.
        Err(RpcError::ErrorResp(_)) => rpc.nonce(address, BlockId::latest()).await?,
        nonce => nonce?,
    };
    Ok(nonce.cast_signed())
}

/// A lane that this process owns, as far as it knows.
pub(crate) struct Lane {
    shared: Shared,
    key: Key,
    address: Address,
    id: (i64, i64),
    /// This lane's share of the subjects that no lane has: index, of how many.
    share: (i64, i64),
    /// What the node's head says of fees and room, and the indexed head it was asked at.
    head: Option<(i64, Head)>,
    /// The indexed head at which receipts were last asked for.
    settled_at: B256,
    /// The indexed head at which wallets were last looked at whose own transactions are under way.
    served_at: B256,
    /// Wallets whose own approve waits for something, and the indexed head at which it did: looked at again at the next.
    held: (B256, HashMap<Address, String>),
    /// Executors that refused a whole batch, and the indexed head at which they did: asked again at the next.
    refusals: (B256, HashMap<Address, String>),
    /// Executors whose past is known.
    known: HashSet<Address>,
    post: Post,
    /// What stood in the way last, so that it is written once.
    problem: Option<String>,
}

/// How a round of a wallet's lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Done,
    Failed,
    /// Somebody else has taken the lane.
    Lost,
}

/// Rounds after which a lane that fails keeps its pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl Lane {
    pub(crate) fn new(shared: Shared, key: Key, id: (i64, i64), share: (i64, i64)) -> Self {
        let address = key.address();
        let post = Post::new(shared.clone(), id, address);
        Self {
            shared,
            key,
            address,
            id,
            share,
            head: None,
            settled_at: B256::ZERO,
            served_at: B256::ZERO,
            held: Default::default(),
            refusals: Default::default(),
            known: HashSet::new(),
            post,
            problem: None,
        }
    }

    /// Works until cancelled (finishing the round) or fenced.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        let mut pause = self.shared.rules.poll;
        while !stop.is_cancelled() {
            let bell = self.shared.wake.bell();
            let rung = bell.notified();
            tokio::pin!(rung);
            // Registered before the look, so that a command accepted during it is not slept over.
            rung.as_mut().enable();
            match self.round().await {
                Ok(true) => pause = self.shared.rules.poll,
                Ok(false) => {
                    pause = self.shared.rules.poll;
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = &mut rung => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                Err(LaneError::Fenced) => {
                    METRICS.fenced.inc();
                    tracing::warn!(lane = %self.address, "another keeper has taken the lane");
                    return;
                }
                Err(error) => {
                    // A lost race resolves itself; anything else gets room.
                    let moved = matches!(&error, LaneError::Prepare(PrepareError::Moved));
                    pause = if moved { self.shared.rules.poll } else { (pause * 2).min(LONGEST_PAUSE) };
                    if !moved {
                        tracing::warn!(lane = %self.address, %error, ?pause, "a round of the lane failed");
                        self.note(Some(error.to_string())).await;
                    }
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// A round of a wallet's lane. What failed is tried again in the next.
    pub(crate) async fn turn(&mut self) -> Turn {
        match self.round().await {
            Ok(_) => Turn::Done,
            Err(LaneError::Fenced) => Turn::Lost,
            Err(error) => {
                self.note(Some(error.to_string())).await;
                Turn::Failed
            }
        }
    }

    /// One look at the database, and whatever is due; whether there is more to do at once. What was prepared in one
    /// round is sent in the next, while that one prepares what follows.
    async fn round(&mut self) -> Result<bool, LaneError> {
        let look = lanes::look(&self.shared.pool, self.id.0, self.id.1).await?.ok_or(LaneError::Fenced)?;
        let Some(cursor) = look.cursor else {
            self.note(Some("the chain is not indexed yet".to_owned())).await;
            return Ok(false);
        };
        if look.halted.is_some() {
            return Ok(false);
        }
        // What is indexed may be no longer true: nothing is decided on it.
        if let Some(why) = look.index_halted {
            self.note(Some(format!("the index stands still: {why}"))).await;
            return Ok(false);
        }
        if let Some(chain_nonce) = look.chain_nonce.filter(|nonce| *nonce > look.next_nonce) {
            return self.skip_foreign(look.next_nonce, chain_nonce, cursor).await;
        }
        if look.ended {
            self.release(cursor).await?;
        }
        let mut problem = None;
        let mut open = Vec::new();
        let open_slots = usize::try_from(look.open_slots).unwrap_or(usize::MAX);
        if open_slots > 0 {
            let low = fees::low(self.head(cursor).await?.market.base_fee);
            open = slots::open(&self.shared.pool, self.id.0, cursor.number, low).await?;
            open = self.settle(open, cursor, &mut problem).await?;
            open = self.reprice(open, cursor, &mut problem).await?;
        }
        let mut post = self.post.clone();
        let (sent, filled) = tokio::join!(post.send(&open, cursor), self.fill(&look, cursor, open_slots));
        self.post = post;
        let (sending, (filled, filling)) = (sent?, filled?);
        self.note(sending.or(problem).or(filling)).await;
        Ok(filled > 0)
    }

    fn chain(&self) -> i64 {
        self.shared.rules.chain_id.cast_signed()
    }

    /// The nonces that the chain is ahead of us were used by somebody else, or by an earlier life of this database.
    async fn skip_foreign(&self, from: i64, to: i64, cursor: Cursor) -> Result<bool, LaneError> {
        let skipped = slots::skip_foreign(&self.shared.pool, self.id, (self.chain(), cursor), from, to).await?;
        if skipped {
            tracing::error!(
                lane = %self.address, from, to, "somebody else uses this lane's key: its nonces are skipped"
            );
            METRICS.endings.with_label_values(&["stolen"]).inc_by((to - from).unsigned_abs());
        }
        Ok(skipped)
    }

    async fn release(&self, cursor: Cursor) -> Result<(), LaneError> {
        let released = release::release(&self.shared.pool, self.id, cursor.confirmed, cursor.finalized).await?;
        if released.commands > 0 {
            failpoint::hit("keeper.after_release")?;
            tracing::warn!(
                lane = %self.address, slots = released.slots, commands = released.commands,
                in_vain = released.in_vain, "slots ended without running their commands; they go again"
            );
        }
        Ok(())
    }

    /// Fees and room, asked once per indexed head.
    async fn head(&mut self, cursor: Cursor) -> Result<Head, LaneError> {
        if let Some((at, head)) = self.head
            && at == cursor.number
        {
            return Ok(head);
        }
        let head = self.shared.rpc.head().await?;
        self.head = Some((cursor.number, head));
        Ok(head)
    }

    /// Writes the lane's problem down when it changes.
    async fn note(&mut self, problem: Option<String>) {
        if problem == self.problem {
            return;
        }
        if let Some(problem) = &problem {
            tracing::warn!(lane = %self.address, problem, "the lane waits");
        }
        let written = lanes::set_problem(&self.shared.pool, self.id.0, self.id.1, problem.as_deref()).await;
        if written.is_ok() {
            self.problem = problem;
        }
    }
}
