//! Conditions that filters share, one struct a subject: `x` is that very value, `x_in` one of several, `x_not` any other,
//! and `_gt`, `_gte`, `_lt`, `_lte` bound it. All that a filter says is joined by and.

use alloy::primitives::{Address, U256};
use async_graphql::InputObject;
use time::OffsetDateTime;
use tokenx_indexer::read::pages::{Choice, EventKey, Range};

use super::one_of;
use crate::graphql::scalars::{Addr, BigInt, Bytes32};

/// Of which instrument.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct OfInstrument {
    /// The instrument's id.
    instrument_id: Option<String>,
    #[graphql(name = "instrumentId_in")]
    instrument_id_in: Option<Vec<String>>,
    #[graphql(name = "instrumentId_not")]
    instrument_id_not: Option<String>,
    /// The token's address.
    token: Option<Addr>,
    #[graphql(name = "token_in")]
    token_in: Option<Vec<Addr>>,
    #[graphql(name = "token_not")]
    token_not: Option<Addr>,
}

impl OfInstrument {
    pub(super) fn choices(self) -> (Choice<String>, Choice<Address>) {
        let instruments = choice(self.instrument_id, self.instrument_id_in, self.instrument_id_not);
        (instruments, addresses(self.token, self.token_in, self.token_not))
    }
}

/// Of whom.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct OfWallet {
    /// The wallet; of an event on either side.
    wallet: Option<Addr>,
    #[graphql(name = "wallet_in")]
    wallet_in: Option<Vec<Addr>>,
    #[graphql(name = "wallet_not")]
    wallet_not: Option<Addr>,
    /// The party behind the wallet. Only parties that you may see.
    party: Option<String>,
}

impl OfWallet {
    /// The wallets, and the party.
    pub(super) fn choices(self) -> (Choice<Address>, Option<String>) {
        (addresses(self.wallet, self.wallet_in, self.wallet_not), self.party)
    }
}

/// When, and in which transaction.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct OfPlace {
    /// The transaction.
    transaction_hash: Option<Bytes32>,
    #[graphql(name = "transactionHash_in")]
    transaction_hash_in: Option<Vec<Bytes32>>,
    #[graphql(flatten)]
    block: BlockNumber,
    #[graphql(flatten)]
    time: Timestamp,
}

impl OfPlace {
    pub(super) fn txs(&self) -> Option<Vec<alloy::primitives::B256>> {
        let txs = one_of(self.transaction_hash, self.transaction_hash_in.clone());
        txs.map(|txs| txs.into_iter().map(|tx| tx.0).collect())
    }

    pub(super) fn time(&self) -> Range<u64> {
        self.time.range()
    }

    /// Blocks are bounds of the key: above the last place of one, below the first place of another.
    pub(super) fn keys(&self) -> (Option<EventKey>, Option<EventKey>) {
        let blocks = self.block.range();
        let above = blocks.least.and_then(|block| block.checked_sub(1)).map(|block| (block, u64::MAX));
        (above, blocks.most.and_then(|block| block.checked_add(1)).map(|block| (block, 0)))
    }
}

/// Bounds of a field, under the field's names.
macro_rules! bounds {
    ($(#[$doc:meta])* $name:ident, $field:ident: $scalar:ty, $gt:literal $gte:literal $lt:literal $lte:literal) => {
        $(#[$doc])*
        #[derive(Debug, Default, InputObject)]
        pub(in crate::graphql) struct $name {
            $(#[$doc])*
            $field: Option<$scalar>,
            #[graphql(name = $gt)]
            gt: Option<$scalar>,
            #[graphql(name = $gte)]
            gte: Option<$scalar>,
            #[graphql(name = $lt)]
            lt: Option<$scalar>,
            #[graphql(name = $lte)]
            lte: Option<$scalar>,
        }

        impl $name {
            pub(super) fn range(&self) -> Range<<$scalar as Bound>::Number> {
                let [equal, gt, gte, lt, lte] = [&self.$field, &self.gt, &self.gte, &self.lt, &self.lte].map(Option::as_ref);
                range(equal, gt, gte, lt, lte)
            }
        }
    };
}

bounds! {
    /// The block.
    BlockNumber, block_number: u64, "blockNumber_gt" "blockNumber_gte" "blockNumber_lt" "blockNumber_lte"
}
bounds! {
    /// Time of the block.
    Timestamp, timestamp: OffsetDateTime, "timestamp_gt" "timestamp_gte" "timestamp_lt" "timestamp_lte"
}
bounds! {
    /// Base units.
    AmountRaw, amount_raw: BigInt, "amountRaw_gt" "amountRaw_gte" "amountRaw_lt" "amountRaw_lte"
}
bounds! {
    /// Base units.
    BalanceRaw, balance_raw: BigInt, "balanceRaw_gt" "balanceRaw_gte" "balanceRaw_lt" "balanceRaw_lte"
}
bounds! {
    /// Base units that exist.
    TotalSupplyRaw, total_supply_raw: BigInt,
    "totalSupplyRaw_gt" "totalSupplyRaw_gte" "totalSupplyRaw_lt" "totalSupplyRaw_lte"
}
bounds! {
    /// Block of the deployment.
    CreatedBlockNumber, created_block_number: u64,
    "createdBlockNumber_gt" "createdBlockNumber_gte" "createdBlockNumber_lt" "createdBlockNumber_lte"
}

/// What bounds a column of whole numbers: the numbers around it, which are itself where it is one.
pub(super) trait Bound {
    type Number: Copy + Ord;
    const LEAST: Self::Number;
    const GREATEST: Self::Number;

    fn floor(&self) -> Self::Number;
    fn ceiling(&self) -> Self::Number;
    fn next(number: Self::Number) -> Option<Self::Number>;
    fn previous(number: Self::Number) -> Option<Self::Number>;
}

impl Bound for u64 {
    type Number = u64;
    const LEAST: u64 = u64::MIN;
    const GREATEST: u64 = u64::MAX;

    fn floor(&self) -> u64 {
        *self
    }

    fn ceiling(&self) -> u64 {
        *self
    }

    fn next(number: u64) -> Option<u64> {
        number.checked_add(1)
    }

    fn previous(number: u64) -> Option<u64> {
        number.checked_sub(1)
    }
}

impl Bound for BigInt {
    type Number = U256;
    const LEAST: U256 = U256::ZERO;
    const GREATEST: U256 = U256::MAX;

    fn floor(&self) -> U256 {
        self.0
    }

    fn ceiling(&self) -> U256 {
        self.0
    }

    fn next(number: U256) -> Option<U256> {
        number.checked_add(U256::ONE)
    }

    fn previous(number: U256) -> Option<U256> {
        number.checked_sub(U256::ONE)
    }
}

/// Unix seconds, in which blocks are timed.
impl Bound for OffsetDateTime {
    type Number = u64;
    const LEAST: u64 = u64::MIN;
    const GREATEST: u64 = u64::MAX;

    fn floor(&self) -> u64 {
        u64::try_from(self.unix_timestamp()).unwrap_or(0)
    }

    fn ceiling(&self) -> u64 {
        self.floor() + u64::from(self.nanosecond() > 0)
    }

    fn next(number: u64) -> Option<u64> {
        number.checked_add(1)
    }

    fn previous(number: u64) -> Option<u64> {
        number.checked_sub(1)
    }
}

fn range<B: Bound>(
    equal: Option<&B>,
    gt: Option<&B>,
    gte: Option<&B>,
    lt: Option<&B>,
    lte: Option<&B>,
) -> Range<B::Number> {
    let (above, below) = (gt.map(|bound| B::next(bound.floor())), lt.map(|bound| B::previous(bound.ceiling())));
    if above == Some(None) || below == Some(None) {
        // Nothing is above the greatest number or below the least.
        return Range { least: Some(B::GREATEST), most: Some(B::LEAST) };
    }
    let least = [equal.map(B::ceiling), gte.map(B::ceiling), above.flatten()];
    let most = [equal.map(B::floor), lte.map(B::floor), below.flatten()];
    Range { least: least.into_iter().flatten().max(), most: most.into_iter().flatten().min() }
}

/// What `x`, `x_in` and `x_not` together allow.
pub(super) fn choice<T: PartialEq>(one: Option<T>, list: Option<Vec<T>>, not: Option<T>) -> Choice<T> {
    Choice { any: one_of(one, list), not }
}

/// [`choice`] of addresses.
pub(super) fn addresses(one: Option<Addr>, list: Option<Vec<Addr>>, not: Option<Addr>) -> Choice<Address> {
    let any = one_of(one, list).map(|list| list.into_iter().map(|address| address.0).collect());
    Choice { any, not: not.map(|address| address.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_ranges_are_bounds_of_the_key() {
        let keys = |block| OfPlace { block, ..Default::default() }.keys();
        let block = BlockNumber { gt: Some(4), lte: Some(9), ..Default::default() };
        assert_eq!(keys(block), (Some((4, u64::MAX)), Some((10, 0))));
        let block = BlockNumber { gte: Some(0), lte: Some(u64::MAX), ..Default::default() };
        assert_eq!(keys(block), (None, None));
        let block = BlockNumber { block_number: Some(7), gt: Some(3), ..Default::default() };
        assert_eq!(keys(block), (Some((6, u64::MAX)), Some((8, 0))));
    }

    #[test]
    fn nothing_is_above_the_greatest_or_below_the_least() {
        let none = AmountRaw { gt: Some(BigInt(U256::MAX)), ..Default::default() }.range();
        assert_eq!(none, Range { least: Some(U256::MAX), most: Some(U256::ZERO) });
        let none = BlockNumber { lt: Some(0), ..Default::default() }.range();
        assert_eq!(none, Range { least: Some(u64::MAX), most: Some(0) });
    }

    #[test]
    fn a_time_between_two_seconds_is_neither() {
        let between = OffsetDateTime::from_unix_timestamp_nanos(5_500_000_000).unwrap();
        let range = |time: Timestamp| time.range();
        let after = range(Timestamp { gt: Some(between), ..Default::default() });
        assert_eq!((after.least, range(Timestamp { gte: Some(between), ..Default::default() })), (Some(6), after));
        let before = range(Timestamp { lt: Some(between), ..Default::default() });
        assert_eq!((before.most, range(Timestamp { lte: Some(between), ..Default::default() })), (Some(5), before));
        let neither = range(Timestamp { timestamp: Some(between), ..Default::default() });
        assert_eq!(neither, Range { least: Some(6), most: Some(5) });
    }
}
