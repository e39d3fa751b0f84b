//! Why following a chain fails.

use alloy::primitives::{Address, B256};

use crate::{ProjectionError, SourceError};

/// Why following fails. All but the first group passes by itself or is shown in `/status` until a person looks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexerError {
    /// The node's fault, or the way to it.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The database's.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A projection's.
    #[error("projection {name}: {error}")]
    Projection {
        /// Which one.
        name: &'static str,
        /// Why.
        #[source]
        error: ProjectionError,
    },
    /// Another chain with the same id: another anvil, or a fork of a network.
    #[error("chain {chain_id} began with {stored}, the node's began with {found}: use a database of this chain's own")]
    OtherGenesis {
        /// Both claim it.
        chain_id: u64,
        /// Genesis of the stored rows.
        stored: B256,
        /// Genesis of the node's chain.
        found: B256,
    },
    /// The tables were made by another set of projections, or other versions of them.
    #[error(
        "tables were made with projections {stored}, this program has {ours}: stop the indexer and run `tokenx reindex`"
    )]
    OtherProjections {
        /// In the database.
        stored: String,
        /// In this program.
        ours: String,
    },
    /// No indexer ever followed this chain into this database.
    #[error("chain {0} was never followed into this database: check chain.chain_id and database.url")]
    NotFollowed(u64),
    /// An indexer is at work, and the tables must stand still.
    #[error("an indexer follows chain {chain_id} ({holder}): stop it, then try again")]
    Followed {
        /// The chain.
        chain_id: u64,
        /// Its session, for who has to find it.
        holder: String,
    },
    /// An indexer wrote while the tables were derived beside it.
    #[error(
        "an indexer wrote to the tables of chain {0} while they were derived again: nothing was replaced, see that none runs and try again"
    )]
    FollowedMeanwhile(u64),
    /// Another rebuild of this database.
    #[error("another reindex of this database is under way: wait for its end")]
    RebuildRunning,
    /// The one row of a followed token that no log can bring back.
    #[error(
        "followed token {0} has no row in instruments: start the indexer once, which asks its contract, then try again"
    )]
    NoInstrument(Address),
    /// A followed token that does not exist.
    #[error("no contract at {0}: check chain.follow")]
    NoContract(Address),
    /// The node no longer has the states that the search for a contract's first block needs.
    #[error("first block of {token} not found ({reason}): set its start_block in chain.follow")]
    NoState {
        /// The followed token.
        token: Address,
        /// What the node said.
        reason: String,
    },
    /// Settings ask for blocks below those that the tables begin with.
    #[error(
        "{what} is followed from block {from}, settings say {asked}: blocks below the first one are never read later; set start_block back to {from}, or follow the chain into a new database"
    )]
    StartLowered {
        /// The chain or the token.
        what: String,
        /// Its first block in the tables.
        from: u64,
        /// The first one that settings ask for.
        asked: u64,
    },
    /// The cursor is not where this process left it: another one writes.
    #[error("cursor of chain {0} was moved by another process")]
    CursorMoved(u64),
    /// The session that holds the writer's lock is gone.
    #[error("the connection that holds the writer's lock is gone: {0}")]
    LockLost(sqlx::Error),
    /// The node is on a branch that leaves stored final blocks out.
    #[error(
        "block {finalized} is final here and not on the node's chain: nothing is written until the node's chain has it again, or a person decides"
    )]
    BelowFinality {
        /// The highest final block stored.
        finalized: u64,
    },
    /// The chain turned while it was read. Passes by itself.
    #[error("the chain turned while block {0} was read")]
    Turned(u64),
}

impl IndexerError {
    /// Wrong settings or a wrong database: no use in going on.
    pub(crate) const fn is_setup(&self) -> bool {
        matches!(
            self,
            Self::OtherGenesis { .. }
                | Self::OtherProjections { .. }
                | Self::NoContract(_)
                | Self::NoState { .. }
                | Self::StartLowered { .. }
                | Self::Source(SourceError::WrongChain { .. } | SourceError::Url(_))
        )
    }

    /// Nothing may be written until a person has looked, or the chain comes back by itself.
    pub(crate) const fn halts(&self) -> bool {
        matches!(self, Self::BelowFinality { .. } | Self::Projection { error: ProjectionError::Broken(_), .. })
    }

    /// Will the same batch, applied again, probably succeed?
    pub(crate) fn retryable(&self) -> bool {
        match self {
            Self::Database(error) | Self::Projection { error: ProjectionError::Database(error), .. } => {
                tokenx_migrations::retryable(error)
            }
            _ => false,
        }
    }
}
