//! Which contracts are listened to.

/// What a watched contract is to us; decides what its logs may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Deploys nodes and tokens; believed because settings name it.
    Factory,
    /// Says who stands behind a wallet.
    Registry,
    /// The keeper's door.
    Executor,
    /// A token that a factory of ours deployed.
    Token,
    /// Somebody else's ERC-20, followed by a setting.
    Followed,
}
