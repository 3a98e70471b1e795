//! What the steps of one transaction add to the statistics, written once for all of them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rusqlite::{Connection, params};

use super::{sql::sql, step::int};
use crate::{Ended, Histogram, Result, State};

/// The minute that stands for all time.
pub(super) const ALL_TIME: i64 = -1;

/// The minute that a time in ms lies in.
pub(super) fn minute(now: i64) -> i64 {
    now.div_euclid(60_000)
}

/// Counts by minute and program.
#[derive(Default)]
pub(super) struct Tally(HashMap<(i64, String), Counts>);

#[derive(Default)]
pub(super) struct Counts {
    pub(super) ended: Ended,
    pub(super) dry_runs: u64,
    pub(super) retries: u64,
    pub(super) cache_hits: u64,
    pub(super) cache_misses: u64,
    buckets: BTreeMap<u32, u64>,
    micros: Option<Micros>,
}

/// Of the durations.
#[derive(Clone, Copy)]
struct Micros {
    sum: i64,
    min: i64,
    max: i64,
}

impl Tally {
    /// The counts to add to.
    pub(super) fn of(&mut self, now: i64, program: &str) -> &mut Counts {
        self.0.entry((minute(now), program.to_owned())).or_default()
    }

    pub(super) fn merge(&mut self, other: Tally) {
        for (key, counts) in other.0 {
            self.0.entry(key).or_default().merge(counts);
        }
    }

    /// Adds all to what is stored, for their minutes and for all time.
    pub(super) fn write(self, tx: &Connection) -> Result<()> {
        for ((minute, program), counts) in self.0 {
            counts.write(tx, minute, &program)?;
            counts.write(tx, ALL_TIME, &program)?;
        }
        Ok(())
    }
}

impl Counts {
    pub(super) fn end(&mut self, state: State) {
        self.ended.add(state, 1);
    }

    pub(super) fn ran(&mut self, run_time: Duration) {
        *self.buckets.entry(Histogram::bucket(run_time)).or_default() += 1;
        let micros = int(run_time.as_micros());
        self.stretch(Micros { sum: micros, min: micros, max: micros });
    }

    fn stretch(&mut self, other: Micros) {
        self.micros = Some(match self.micros {
            None => other,
            Some(mine) => Micros {
                sum: mine.sum.saturating_add(other.sum),
                min: mine.min.min(other.min),
                max: mine.max.max(other.max),
            },
        });
    }

    fn merge(&mut self, other: Counts) {
        self.ended.add(State::Succeeded, other.ended.succeeded);
        self.ended.add(State::Failed, other.ended.failed);
        self.ended.add(State::Cancelled, other.ended.cancelled);
        self.ended.add(State::Expired, other.ended.expired);
        self.dry_runs += other.dry_runs;
        self.retries += other.retries;
        self.cache_hits += other.cache_hits;
        self.cache_misses += other.cache_misses;
        for (bucket, count) in other.buckets {
            *self.buckets.entry(bucket).or_default() += count;
        }
        if let Some(micros) = other.micros {
            self.stretch(micros);
        }
    }

    fn write(&self, tx: &Connection, minute: i64, program: &str) -> Result<()> {
        tx.prepare_cached(sql!("stats.sql", "add"))?.execute(params![
            minute,
            program,
            int(self.ended.succeeded),
            int(self.ended.failed),
            int(self.ended.cancelled),
            int(self.ended.expired),
            int(self.dry_runs),
            int(self.retries),
            int(self.cache_hits),
            int(self.cache_misses),
            self.micros.map_or(0, |it| it.sum),
            self.micros.map(|it| it.min),
            self.micros.map(|it| it.max),
        ])?;
        let mut add = tx.prepare_cached(sql!("stats.sql", "add_duration"))?;
        for (bucket, count) in &self.buckets {
            add.execute(params![minute, program, bucket, int(*count)])?;
        }
        Ok(())
    }
}
