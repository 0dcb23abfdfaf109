//! What few applications do, counted: caches, asynchronous calls, requests that were thrown away.

use std::collections::BTreeMap;

/// One of those counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AppStat {
    /// Calls that were not made because a cache had the answer.
    CacheHits,
    /// Calls that were made because the cache had no answer.
    CacheMisses,
    /// Calls that nobody waited for.
    AsyncCalls,
    /// Calls that chance left out (`probability`).
    CallsSkipped,
    /// Waiting requests that the queue threw away (`CoDel`).
    QueueDrops,
    /// Requests that stood still because a CPU quota was used up.
    CpuThrottled,
    /// Requests given up because their deadline was over.
    DeadlinesExceeded,
    /// Requests refused because more important ones had the rest of the queue (`shed`).
    Shed,
    /// Waiting requests that lost their place to a more important one.
    Displaced,
    /// Calls that waited for a pool of their application.
    PoolWaits,
    /// Of those, calls that waited for too long.
    PoolTimeouts,
}

/// All of them with the names they have in reports.
const NAMES: [(AppStat, &str); 11] = [
    (AppStat::CacheHits, "cache_hits"),
    (AppStat::CacheMisses, "cache_misses"),
    (AppStat::AsyncCalls, "async_calls"),
    (AppStat::CallsSkipped, "calls_skipped"),
    (AppStat::QueueDrops, "queue_drops"),
    (AppStat::CpuThrottled, "cpu_throttled"),
    (AppStat::DeadlinesExceeded, "deadlines_exceeded"),
    (AppStat::Shed, "shed"),
    (AppStat::Displaced, "displaced"),
    (AppStat::PoolWaits, "pool_waits"),
    (AppStat::PoolTimeouts, "pool_timeouts"),
];

impl AppStat {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        NAMES[self as usize].1
    }
}

/// The counts of one workload.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppStats([u64; NAMES.len()]);

impl AppStats {
    /// One more.
    pub const fn inc(&mut self, stat: AppStat) {
        self.0[stat as usize] += 1;
    }

    /// Adds those that are not zero, by name.
    pub fn add_to(&self, all: &mut BTreeMap<String, u64>) {
        for (stat, name) in NAMES {
            let count = self.0[stat as usize];
            if count > 0 {
                *all.entry(name.to_owned()).or_insert(0) += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_own_name() {
        for (at, (stat, name)) in NAMES.iter().enumerate() {
            assert_eq!(*stat as usize, at, "in the order of declaration");
            let mut stats = AppStats::default();
            stats.inc(*stat);
            let mut all = BTreeMap::new();
            stats.add_to(&mut all);
            assert_eq!(all, BTreeMap::from([((*name).to_owned(), 1)]));
        }
    }
}
