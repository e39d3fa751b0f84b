//! When holds run out by time alone.
//!
//! No log says so: whoever asks about a past block compares a hold's `until` with the time of that block. Of a range of
//! final blocks only the last header is stored, so between two known times a hold would count too long. One more header
//! makes it exact: that of the first block at which the hold no longer binds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::event::TokenEvent;
use crate::source::Source;
use crate::{BlockRef, ChainLog, Event, SourceError};

/// The times at which holds that `logs` speak of run out, Unix seconds.
pub(super) fn times(logs: &[ChainLog]) -> impl Iterator<Item = u64> + '_ {
    logs.iter().filter_map(|log| match &log.event {
        Some(Event::Token(TokenEvent::HoldChanged(e))) => Some(e.until.to()),
        _ => None,
    })
}

/// The first block at or after each of `times`, of those above `below` and up to `to`, lowest first. Times that are not
/// among theirs have none. By bisection, all of them in step: one request each round.
pub(super) async fn first_blocks(
    source: &Source,
    below: &BlockRef,
    to: &BlockRef,
    times: &BTreeSet<u64>,
) -> Result<Vec<BlockRef>, SourceError> {
    // Each with the highest block that is known to be before it, and the lowest that is known not to be.
    let mut searched: Vec<(u64, u64, BlockRef)> = times
        .range(below.timestamp + 1..)
        .take_while(|time| **time <= to.timestamp)
        .map(|time| (*time, below.number, *to))
        .collect();
    let middle = |before: u64, after: u64| (after > before + 1).then(|| before + (after - before) / 2);
    loop {
        let middles: BTreeSet<u64> =
            searched.iter().filter_map(|(_, before, after)| middle(*before, after.number)).collect();
        if middles.is_empty() {
            break;
        }
        let headers = source.headers_at(&Vec::from_iter(middles)).await?;
        let headers: HashMap<u64, BlockRef> = headers.into_iter().map(|header| (header.number, header)).collect();
        for (time, before, after) in &mut searched {
            match middle(*before, after.number).and_then(|middle| headers.get(&middle)) {
                Some(header) if header.timestamp < *time => *before = header.number,
                Some(header) => *after = *header,
                None => {}
            }
        }
    }
    let found: BTreeMap<u64, BlockRef> = searched.into_iter().map(|(_, _, block)| (block.number, block)).collect();
    Ok(found.into_values().collect())
}
