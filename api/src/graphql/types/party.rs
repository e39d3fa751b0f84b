use async_graphql::SimpleObject;

/// Who is behind a wallet: the party of the investor that the registry names, else the wallet itself.
#[derive(Debug, Clone, SimpleObject)]
pub(in crate::graphql) struct Party {
    /// What every text calls it; the wallet's address where no party is known.
    party_id: String,
}

impl Party {
    pub(in crate::graphql) fn named(party_id: Option<String>) -> Option<Party> {
        party_id.map(|party_id| Party { party_id })
    }
}
