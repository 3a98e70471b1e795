//! Totals of the whole fleet, and durations from which percentiles are read.

use std::{collections::BTreeMap, time::Duration};

use crate::{Ended, WorkerInfo};

/// Which statistics to read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StatsFilter {
    /// Only of this program.
    pub program: Option<String>,
    /// Only of the last so long, to the minute, at most [`WINDOW_MAX`]; all time if none.
    pub window: Option<Duration>,
}

/// The longest window that statistics are kept for by the minute.
pub const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

/// What the fleet did, and what it has before it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stats {
    /// How executions ended. Cache hits count as succeeded, dry runs do not count.
    pub ended: Ended,
    /// Dry runs.
    pub dry_runs: u64,
    /// Attempts that failed and were tried again.
    pub retries: u64,
    /// Submissions answered with the result of an equal execution.
    pub cache_hits: u64,
    /// Submissions that could have been, and were not.
    pub cache_misses: u64,
    /// How long the programs ran, of executions that succeeded or failed; cache hits not counted.
    pub durations: Histogram,
    /// What waits and runs now; of all programs, whatever the filter.
    pub depth: Depth,
    /// The live workers.
    pub workers: Vec<WorkerInfo>,
    /// Whether the queue is paused.
    pub paused: bool,
}

/// What waits and runs. An item of a batch counts as one execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Depth {
    /// Waits for a worker.
    pub queued: u64,
    /// Is with a worker.
    pub running: u64,
    /// Waits for a time.
    pub scheduled: u64,
    /// On the dead list.
    pub dead: u64,
    /// How long the oldest queued one waits.
    pub oldest_age: Option<Duration>,
}

/// The buckets that each doubling of a duration is divided into: each is at most 1/64 wide.
const STEPS: u64 = 64;

/// Durations in log-linear buckets, as HdrHistogram has them: each is at most 1.6 % wide, so that
/// a percentile is within 1 % of the exact one. Histograms of many programs and minutes add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    buckets: BTreeMap<u32, u64>,
    /// The sum of all durations.
    pub sum: Duration,
    /// The shortest.
    pub min: Option<Duration>,
    /// The longest.
    pub max: Option<Duration>,
}

impl Histogram {
    /// The bucket that a duration falls in.
    #[expect(clippy::cast_possible_truncation, reason = "at most 64 · 64 buckets")]
    pub fn bucket(duration: Duration) -> u32 {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if micros < STEPS {
            return micros as u32;
        }
        let doublings = u64::from(micros.ilog2()) - u64::from(STEPS.ilog2());
        (doublings * STEPS + (micros >> doublings)) as u32
    }

    /// The middle of a bucket.
    fn middle(bucket: u32) -> Duration {
        let bucket = u64::from(bucket);
        if bucket < STEPS {
            return Duration::from_micros(bucket);
        }
        let doublings = bucket / STEPS - 1;
        let lower = (bucket % STEPS + STEPS) << doublings;
        Duration::from_micros(lower + ((1 << doublings) / 2))
    }

    /// Adds `count` durations to a bucket.
    pub fn add(&mut self, bucket: u32, count: u64) {
        *self.buckets.entry(bucket).or_default() += count;
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// Their mean; none if there are none.
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        (count > 0).then(|| Duration::from_secs_f64(self.sum.as_secs_f64() / count as f64))
    }

    /// The duration below which the given share of all durations lie, within 1 %.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rank of a count")]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (share * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if rank <= seen {
                let middle = Self::middle(*bucket);
                return Some(middle.clamp(self.min.unwrap_or(middle), self.max.unwrap_or(middle)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_one_percent() {
        for unit in [1, 37, 1_000, 999_983] {
            let mut histogram = Histogram::default();
            for n in 1..=10_000_u64 {
                histogram.add(Histogram::bucket(Duration::from_micros(n * unit)), 1);
            }
            for share in [0.5, 0.95, 0.99] {
                let exact = share * 10_000.0 * unit as f64;
                let found = histogram.quantile(share).unwrap().as_micros() as f64;
                assert!((found / exact - 1.0).abs() < 0.01, "{share} of {unit}: {found}, {exact}");
            }
        }
    }

    #[test]
    fn buckets_grow_with_durations() {
        let buckets: Vec<u32> =
            (0..100_000).map(|micros| Histogram::bucket(Duration::from_micros(micros))).collect();
        assert!(buckets.is_sorted());
        assert_eq!(Histogram::bucket(Duration::MAX), 64 * 57 + 127);
    }

    #[test]
    fn quantile_of_nothing_is_none() {
        assert_eq!(Histogram::default().quantile(0.95), None);
    }
}
