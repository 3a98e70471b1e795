//! Adds the statistics up.

use std::time::Duration;

use rusqlite::Connection;

use super::{
    sql::sql,
    step::{all, count, millis, one, setting},
    tally::{ALL_TIME, minute},
};
use crate::{Depth, Ended, Histogram, Result, Stats, StatsFilter, WINDOW_MAX};

/// Totals, durations, depth and workers.
pub(super) fn stats(db: &Connection, now: i64, filter: &StatsFilter) -> Result<Stats> {
    let (from, to) = match filter.window {
        None => (ALL_TIME, ALL_TIME),
        Some(window) => {
            let begin = now.saturating_sub(millis(window.min(WINDOW_MAX)));
            (minute(begin).max(0), minute(now))
        }
    };
    let mut stats = totals(db, from, to, filter.program.as_deref())?;
    let buckets = all(db, sql!("stats.sql", "durations"), (from, to, &filter.program), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    for (bucket, number) in buckets {
        stats.durations.add(bucket, count(number));
    }
    stats.depth = depth(db, now)?;
    let infos = all(db, sql!("worker.sql", "live"), [now], |row| Ok(row.get::<_, String>(0)?))?;
    stats.workers =
        infos.iter().map(|info| Ok(serde_json::from_str(info)?)).collect::<Result<_>>()?;
    stats.paused = setting(db, "paused")? != 0;
    Ok(stats)
}

fn totals(db: &Connection, from: i64, to: i64, program: Option<&str>) -> Result<Stats> {
    let found = one(db, sql!("stats.sql", "totals"), (from, to, program), |row| {
        let number = |at: usize| Ok::<_, crate::Error>(count(row.get(at)?));
        let micros = |at: usize| {
            let micros: Option<i64> = row.get(at)?;
            Ok::<_, crate::Error>(micros.map(|it| Duration::from_micros(count(it))))
        };
        let mut durations = Histogram::default();
        durations.sum = micros(8)?.unwrap_or_default();
        durations.min = micros(9)?;
        durations.max = micros(10)?;
        Ok(Stats {
            ended: Ended {
                succeeded: number(0)?,
                failed: number(1)?,
                cancelled: number(2)?,
                expired: number(3)?,
            },
            dry_runs: number(4)?,
            retries: number(5)?,
            cache_hits: number(6)?,
            cache_misses: number(7)?,
            durations,
            ..Stats::default()
        })
    })?;
    Ok(found.unwrap_or_default())
}

fn depth(db: &Connection, now: i64) -> Result<Depth> {
    let mut depth = Depth::default();
    let rows = all(db, sql!("stats.sql", "depth"), [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })?;
    for (place, number) in rows {
        match place.as_str() {
            "queued" => depth.queued = count(number),
            "running" => depth.running = count(number),
            "scheduled" => depth.scheduled = count(number),
            "dead" => depth.dead = count(number),
            "batched" => {} // a part of what is queued
            other => return Err(super::row::corrupt(format!("unknown place `{other}`"))),
        }
    }
    let oldest = one(db, sql!("stats.sql", "oldest"), [], |row| Ok(row.get(0)?))?.flatten();
    depth.oldest_age = oldest.map(|since: i64| Duration::from_millis(count(now - since)));
    Ok(depth)
}
