//! `dspyx bench`: how fast the engine is here, as JSON lines. What the figures mean, and how they
//! compare with other queues, is in docs/performance.md.

pub(crate) mod arguments;
mod batch;
mod drain;
mod http;
mod latency;
mod noop;
mod peer;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use queue::{Durability, ExecutionId, Fields, NewExecution, Queue, Spec};
use serde_json::Value;

use self::arguments::Bench;
use crate::{client::Client, config::Config, output, wire};

pub(super) async fn run(config: Config, bench: Bench) -> Result<()> {
    match bench {
        Bench::Drain(arguments) => drain::run(config, &arguments).await,
        Bench::Latency(arguments) => latency::run(&config, &arguments).await,
        Bench::Batch(arguments) => batch::run(&Client::of(&config)?, &arguments).await,
        Bench::Http(arguments) => http::run(&Client::of(&config)?, &arguments).await,
        Bench::Peer(command) => peer::run(&config, &command).await,
    }
}

/// A queue for measuring, which nothing else uses: on Redis under a name of its own, else in a
/// temporary folder, which must be kept until the end.
async fn fresh_queue(config: &Config) -> Result<(Arc<dyn Queue>, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        queue_name: format!("bench-{}", ExecutionId::new()),
        database_path: folder.path().join("bench.db"),
        ..config.clone()
    };
    Ok((wire::queue(&config).await?, folder))
}

fn store_name(config: &Config) -> &'static str {
    if config.redis_url.is_some() { "redis" } else { "sqlite" }
}

/// An execution with next to nothing to do.
fn new_execution(program: &str, inputs: Fields) -> NewExecution {
    NewExecution {
        id: ExecutionId::new(),
        spec: Spec { max_retries: 1, ..Spec::new(program, "bench", Duration::from_secs(60)) },
        inputs,
        not_before: None,
        cache: None,
        idempotency: None,
        durability: Durability::Memory,
        ended: None,
    }
}

/// A share of sorted values, e.g. the median at 0.5.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn tell(figures: &Value) -> Result<()> {
    output::line(figures)
}

/// Processor time of this process, in seconds (`utime` and `stime` of proc_pid_stat(5)).
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}
