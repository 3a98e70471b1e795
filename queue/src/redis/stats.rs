//! Statistics of the fleet, and what an execution waits for.

use std::{collections::HashMap, time::Duration};

use redis::Value;

use super::{RedisQueue, claim::read, document::corrupt};
use crate::{
    Class, Depth, ExecutionId, Records, Result, Spec, State, Stats, StatsFilter, WINDOW_MAX, Why,
    WorkerInfo,
};

/// How many lanes, or entries of a lane, are looked at.
const LANES_MAX: usize = 1000;
/// How many minutes are read with one round trip.
const MINUTES_STEP: usize = 120;
const MINUTE_MS: i64 = 60_000;

/// What waits, with the clock's reading.
struct Moment {
    depth: Depth,
    paused: bool,
    /// By the store's clock.
    at_ms: i64,
}

impl RedisQueue {
    pub(super) async fn read_stats(&self, filter: &StatsFilter) -> Result<Stats> {
        let now = self.read_depth().await?;
        let mut stats = Stats {
            depth: now.depth,
            paused: now.paused,
            workers: self.live_workers(now.at_ms).await?,
            ..Stats::default()
        };
        for key in self.stat_keys(filter, now.at_ms).chunks(MINUTES_STEP) {
            let mut pipe = redis::pipe();
            for key in key {
                pipe.hgetall(key);
            }
            for counts in self.store.home.query::<Vec<HashMap<String, u64>>>(&pipe).await? {
                for (field, count) in counts {
                    add(&mut stats, filter, &field, count);
                }
            }
        }
        Ok(stats)
    }

    fn stat_keys(&self, filter: &StatsFilter, now_ms: i64) -> Vec<String> {
        let Some(window) = filter.window else { return vec![self.store.keys.named("m:all")] };
        let minutes = window.min(WINDOW_MAX).as_secs().div_ceil(60).max(1);
        let last = now_ms / MINUTE_MS;
        let first = last - i64::try_from(minutes).unwrap_or(i64::MAX) + 1;
        (first..=last).map(|minute| self.store.keys.named(&format!("m:{minute}"))).collect()
    }

    async fn read_depth(&self) -> Result<Moment> {
        let store = &self.store;
        let now = store.now();
        let mut call = store.scripts.depth.key(store.prefix());
        call.arg(&now).arg(LANES_MAX);
        let row: Vec<Value> = store.home.call(&call).await?;
        let mut row = row.into_iter();
        let (waiting, live): (i64, i64) = (read(row.next())?, read(row.next())?);
        let (scheduled, dead): (i64, u64) = (read(row.next())?, read(row.next())?);
        let (oldest_ms, paused): (i64, bool) = (read(row.next())?, read(row.next())?);
        let at_ms = read(row.next())?;
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        let depth = Depth {
            queued: count(waiting - scheduled),
            running: count(live - waiting),
            scheduled: count(scheduled),
            dead,
            oldest_age: u64::try_from(oldest_ms).ok().map(Duration::from_millis),
        };
        Ok(Moment { depth, paused, at_ms })
    }

    /// The workers whose lease has not ended.
    async fn live_workers(&self, now_ms: i64) -> Result<Vec<WorkerInfo>> {
        let mut pipe = redis::pipe();
        pipe.zrangebyscore(self.store.keys.named("w"), now_ms, "+inf");
        let (names,): (Vec<String>,) = self.store.home.query(&pipe).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for name in &names {
            pipe.hget(self.store.keys.named(&format!("w:{name}")), "info");
        }
        let infos: Vec<Option<String>> = self.store.home.query(&pipe).await?;
        infos.iter().flatten().map(|info| Ok(serde_json::from_str(info)?)).collect()
    }

    pub(super) async fn explain(&self, id: ExecutionId) -> Result<Why> {
        let execution = self.execution(id).await?;
        match execution.state {
            State::Running => Ok(Why::Running {
                worker: execution.worker,
                cancel_requested: execution.cancel_requested,
            }),
            State::Scheduled => {
                let due_at = execution.due_at.ok_or_else(|| corrupt("no due time"))?;
                Ok(Why::NotDue { due_at })
            }
            State::Queued => self.explain_queued(id, &execution.spec).await,
            state @ (State::Succeeded | State::Failed | State::Cancelled | State::Expired) => {
                Ok(Why::Ended { state })
            }
        }
    }

    async fn explain_queued(&self, id: ExecutionId, spec: &Spec) -> Result<Why> {
        let now = self.read_depth().await?;
        if now.paused {
            return Ok(Why::Paused);
        }
        let workers = self.live_workers(now.at_ms).await?;
        if workers.is_empty() {
            return Ok(Why::NoWorker);
        }
        let slots = workers.iter().map(|worker| worker.slots as u64).sum();
        let (ahead, lanes) = self.turn_of(id, spec.class).await?;
        Ok(Why::Turn { ahead, lanes, slots })
    }

    /// How many entries of its lane are before it and not with a worker, and how many lanes of its
    /// class take turns.
    async fn turn_of(&self, id: ExecutionId, class: Class) -> Result<(u64, u64)> {
        let store = &self.store;
        let mut call = store.scripts.ahead.key(store.prefix());
        call.arg(id.to_string()).arg(class.letter().to_string()).arg(LANES_MAX);
        store.home.call(&call).await
    }
}

/// Adds one count, whose field is `<program>|<what>`.
fn add(stats: &mut Stats, filter: &StatsFilter, field: &str, count: u64) {
    let Some((program, what)) = field.rsplit_once('|') else { return };
    if filter.program.as_ref().is_some_and(|wanted| wanted != program) {
        return;
    }
    let micros = Duration::from_micros(count);
    let durations = &mut stats.durations;
    match what {
        "ok" => stats.ended.succeeded += count,
        "bad" => stats.ended.failed += count,
        "cx" => stats.ended.cancelled += count,
        "ex" => stats.ended.expired += count,
        "dry" => stats.dry_runs += count,
        "re" => stats.retries += count,
        "hit" => stats.cache_hits += count,
        "miss" => stats.cache_misses += count,
        "us" => durations.sum += micros,
        "lo" => durations.min = Some(durations.min.map_or(micros, |it| it.min(micros))),
        "hi" => durations.max = Some(durations.max.map_or(micros, |it| it.max(micros))),
        _ => {
            if let Some(bucket) = what.strip_prefix('b').and_then(|it| it.parse().ok()) {
                durations.add(bucket, count);
            }
        }
    }
}
