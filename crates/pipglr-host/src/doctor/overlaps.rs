//! Ranges of IDs beside each other.

use super::subordinate_ids::Range;

/// Where a new range may begin at the earliest; below are accounts, and what distributions give out.
const FIRST: u64 = 200_000;

/// The starts of two of these ranges that have an ID in common.
pub(super) fn overlapping(ranges: &[&Range]) -> Option<(u64, u64)> {
    let mut sorted: Vec<&Range> = ranges.to_vec();
    sorted.sort_by_key(|r| r.start);
    let pairs = sorted.windows(2).filter_map(|pair| <&[&Range; 2]>::try_from(pair).ok());
    pairs
        .filter(|[a, b]| b.start < a.end())
        .map(|[a, b]| (a.start, b.start))
        .next()
}

/// A start above all ranges and accounts.
pub(super) fn free_start(ranges: &[Range], accounts: &[u64]) -> u64 {
    let ranges = ranges.iter().map(Range::end);
    // Dynamic users and "nobody" of 32 bits lie far above what is handed out.
    let accounts = accounts.iter().filter(|id| **id < 1_000_000_000).map(|id| id + 1);
    ranges.chain(accounts).max().unwrap_or(0).max(FIRST)
}
