//! Totals and percentiles of the whole fleet.

use std::time::Duration;

use axum::extract::State;
use queue::{Channel, ChannelStats, Stats, StatsFilter, WINDOW_MAX, WorkerInfo};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    App, Config,
    answer::BadQuery,
    body::Query,
    error::{Error, Result},
    time::{Time, duration},
};

/// What the fleet did, and what it has before it.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatsView {
    statistics: Statistics,
    cache: CacheView,
    queue: QueueView,
    workers: Vec<WorkerView>,
    outbox: OutboxView,
    cache_enabled: bool,
    /// Whether executions are recorded in MLflow.
    mlflow_tracking: bool,
}

/// Ends that are told to others, of all programs.
#[derive(Serialize, ToSchema)]
pub(crate) struct OutboxView {
    webhook: ChannelView,
    /// In MLflow.
    tracking: ChannelView,
    /// Batches that are at their models' providers, or have been.
    provider: ChannelView,
}

/// How far telling has come.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelView {
    /// Still to be told.
    waiting: u64,
    sent: u64,
    /// Given up, or pushed out by newer ones.
    dropped: u64,
}

impl From<ChannelStats> for ChannelView {
    fn from(it: ChannelStats) -> Self {
        Self { waiting: it.waiting, sent: it.sent, dropped: it.dropped }
    }
}

/// Executions that ended, and how long the programs ran (seconds).
#[derive(Serialize, ToSchema)]
pub(crate) struct Statistics {
    /// All that ended. Dry runs do not count.
    total_executions: u64,
    successful_executions: u64,
    failed_executions: u64,
    cancelled_executions: u64,
    expired_executions: u64,
    /// The share of all that was successful, from 0 to 1.
    #[schema(example = 0.98)]
    success_rate: f64,
    average_execution_time: Option<f64>,
    min_execution_time: Option<f64>,
    max_execution_time: Option<f64>,
    p50_execution_time: Option<f64>,
    p95_execution_time: Option<f64>,
    p99_execution_time: Option<f64>,
    /// Attempts that failed and were followed by another.
    retries: u64,
    dry_runs: u64,
}

/// Submissions that could be answered by an equal execution's result.
#[derive(Serialize, ToSchema)]
pub(crate) struct CacheView {
    hits: u64,
    misses: u64,
}

/// What waits and runs now, of all programs.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueueView {
    queued: u64,
    running: u64,
    scheduled: u64,
    dead: u64,
    /// How many seconds the oldest waits.
    oldest_age: Option<f64>,
    paused: bool,
}

/// A live worker.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkerView {
    worker_id: String,
    host: String,
    pid: u32,
    version: String,
    slots: usize,
    running: usize,
    started_at: Time,
    /// What it can run, as `id@version`.
    programs: Vec<String>,
}

impl StatsView {
    fn new(stats: Stats, outbox: [ChannelStats; Channel::ALL.len()], config: &Config) -> Self {
        let depth = stats.depth;
        let [webhook, tracking, provider] = outbox.map(ChannelView::from);
        Self {
            statistics: Statistics::new(&stats),
            cache: CacheView { hits: stats.cache_hits, misses: stats.cache_misses },
            queue: QueueView {
                queued: depth.queued,
                running: depth.running,
                scheduled: depth.scheduled,
                dead: depth.dead,
                oldest_age: depth.oldest_age.map(|age| age.as_secs_f64()),
                paused: stats.paused,
            },
            workers: stats.workers.into_iter().map(WorkerView::from).collect(),
            outbox: OutboxView { webhook, tracking, provider },
            cache_enabled: config.cache_enabled,
            mlflow_tracking: config.mlflow_tracking,
        }
    }
}

impl Statistics {
    fn new(stats: &Stats) -> Self {
        let seconds = |took: Option<Duration>| took.map(|took| took.as_secs_f64());
        let (ended, durations) = (stats.ended, &stats.durations);
        Self {
            total_executions: ended.total(),
            successful_executions: ended.succeeded,
            failed_executions: ended.failed,
            cancelled_executions: ended.cancelled,
            expired_executions: ended.expired,
            success_rate: success_rate(stats),
            average_execution_time: seconds(durations.mean()),
            min_execution_time: seconds(durations.min),
            max_execution_time: seconds(durations.max),
            p50_execution_time: seconds(durations.quantile(0.5)),
            p95_execution_time: seconds(durations.quantile(0.95)),
            p99_execution_time: seconds(durations.quantile(0.99)),
            retries: stats.retries,
            dry_runs: stats.dry_runs,
        }
    }
}

/// The share of all executions that was successful; 0 while there are none.
pub(crate) fn success_rate(stats: &Stats) -> f64 {
    stats.ended.succeeded as f64 / stats.ended.total().max(1) as f64
}

impl From<WorkerInfo> for WorkerView {
    fn from(worker: WorkerInfo) -> Self {
        Self {
            worker_id: worker.id.to_string(),
            host: worker.host,
            pid: worker.pid,
            version: worker.version,
            slots: worker.slots,
            running: worker.running,
            started_at: Time(worker.started_at),
            programs: worker.programs,
        }
    }
}

/// Which statistics to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsQuery {
    /// Only of this program.
    program_id: Option<String>,
    /// Only of the last so long: `15m`, `1h`, at most `24h`; all time if absent.
    #[param(example = "1h")]
    window: Option<String>,
}

/// Statistics of the whole fleet.
#[utoipa::path(
    get, path = "/stats", tag = "Operation", params(StatsQuery),
    responses((status = 200, description = "The statistics", body = StatsView), BadQuery)
)]
pub(crate) async fn show(
    State(app): State<App>,
    Query(query): Query<StatsQuery>,
) -> Result<axum::Json<StatsView>> {
    let window = query.window.as_deref().map(window).transpose()?;
    let stats = app.queue.stats(&StatsFilter { program: query.program_id, window }).await?;
    let outbox = app.queue.outbox().await?;
    Ok(axum::Json(StatsView::new(stats, outbox, &app.config)))
}

fn window(text: &str) -> Result<Duration> {
    let window = duration(text).filter(|it| !it.is_zero() && *it <= WINDOW_MAX);
    window.ok_or_else(|| Error::Malformed("`window` is like `15m`, and at most `24h`".to_owned()))
}
