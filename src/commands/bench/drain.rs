//! A backlog, and one worker that drains it.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use programs::Registry;
use queue::{
    BatchId, BatchItem, Class, Fields, NewBatch, Part, Policy, Queue, Release, Seal, Spec,
    StatsFilter,
};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    arguments::Drain, cpu_seconds, fresh_queue, new_execution, noop::Noop, store_name, tell,
};
use crate::{config::Config, wire};

/// How many submissions are under way at once.
const SUBMITTERS: usize = 256;
/// How many items of a batch are put in at once.
const PART: usize = 4096;
/// How often the backlog is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The cheapest program there is.
const ECHO: &str = include_str!("../../../examples/programs/echo.yaml");

pub(super) async fn run(config: Config, arguments: &Drain) -> Result<()> {
    for round in 1..=arguments.rounds {
        let (queue, _folder) = fresh_queue(&config).await?;
        let tracked = config.tracking.is_on(&config.sources);
        let submit = if arguments.batch {
            submit_batch(&queue, arguments.executions, tracked).await?
        } else {
            submit(&queue, arguments.executions, tracked).await?
        };
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let stop = CancellationToken::new();
        let worker = start(&config, arguments, &queue, &stop)?;
        until_drained(&queue, arguments.executions).await?;
        let (took, cpu) = (began.elapsed(), cpu_seconds() - cpu);
        stop.cancel();
        worker.join_all().await;
        let count = arguments.executions as f64;
        let stats = queue.stats(&StatsFilter::default()).await?;
        let succeeded = usize::try_from(stats.ended.succeeded)?;
        ensure!(succeeded == arguments.executions, "only {succeeded} executions succeeded");
        tell(&json!({
            "bench": "drain",
            "round": round,
            "store": store_name(&config),
            "programs": arguments.programs,
            "tracked": config.tracking.is_on(&config.sources),
            "batch": arguments.batch,
            "executions": arguments.executions,
            "slots": arguments.slots,
            "submit_per_second": (count / submit.as_secs_f64()).round(),
            "drain_per_second": (count / took.as_secs_f64()).round(),
            "worker_cpu_us": (cpu / count * 1e7).round() / 10.0,
            "violations": queue.violations().await?,
        }))?;
    }
    Ok(())
}

async fn submit(queue: &Arc<dyn Queue>, count: usize, tracked: bool) -> Result<Duration> {
    let (began, mut under_way) = (Instant::now(), JoinSet::new());
    for n in 0..count {
        let (queue, text) = (Arc::clone(queue), format!("number {n}"));
        let inputs = Fields::from_iter([("text".to_owned(), text.into())]);
        let mut new = new_execution("echo", inputs);
        new.spec.tracked = tracked;
        under_way.spawn(async move { queue.submit(new).await });
        if under_way.len() >= SUBMITTERS
            && let Some(submitted) = under_way.join_next().await
        {
            submitted??;
        }
    }
    while let Some(submitted) = under_way.join_next().await {
        submitted??;
    }
    Ok(began.elapsed())
}

/// Puts all in as one batch, part by part.
async fn submit_batch(queue: &Arc<dyn Queue>, count: usize, tracked: bool) -> Result<Duration> {
    let began = Instant::now();
    let spec = Spec { class: Class::Bulk, tracked, ..new_execution("echo", Fields::new()).spec };
    let (id, policy, items) = (BatchId::new(), Policy::default(), Vec::new());
    let new = NewBatch { id, spec, cache_ttl: None, policy, items, idempotency: None };
    queue.open_batch(new, Release::Whole).await?;
    for first in (0..count).step_by(PART) {
        let item = |n: usize| BatchItem {
            inputs: Fields::from_iter([("text".to_owned(), format!("number {n}").into())]),
            custom_id: None,
            fingerprint: None,
            invalid: None,
        };
        let items = (first..count.min(first + PART)).map(item).collect();
        let part = Part { first: u32::try_from(first)?, items, digest: String::new() };
        queue.add_part(id, part).await?;
    }
    queue.seal_batch(id, Seal::default()).await?;
    Ok(began.elapsed())
}

/// The engine with a handler that does nothing, or a whole worker with a real program.
fn start(
    config: &Config,
    arguments: &Drain,
    queue: &Arc<dyn Queue>,
    stop: &CancellationToken,
) -> Result<JoinSet<()>> {
    let mut parts = JoinSet::new();
    if arguments.programs {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("echo.yaml"), ECHO)?;
        let mut config = config.clone();
        config.worker.slots = arguments.slots;
        let registry = Registry::load(folder.path());
        let worker = wire::worker(&config, Arc::clone(queue), registry)?;
        let run = worker.run(stop.clone(), CancellationToken::new());
        parts.spawn(async move {
            run.await;
            drop(folder);
        });
        return Ok(parts);
    }
    let noop =
        Noop { queue: Arc::clone(queue), slots: arguments.slots, handler: Arc::new(Clone::clone) };
    let stop = stop.clone();
    parts.spawn(async move {
        if let Err(error) = noop.run(stop).await {
            tracing::error!(%error, "the worker failed: {error:#}");
        }
    });
    Ok(parts)
}

async fn until_drained(queue: &Arc<dyn Queue>, count: usize) -> Result<()> {
    loop {
        let ended = queue.stats(&StatsFilter::default()).await?.ended.total();
        if usize::try_from(ended)? >= count {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}
