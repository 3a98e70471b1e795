//! From submission until the client knows the result, one by one, with an idle worker.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use queue::{Fields, Queue, State};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    arguments::Latency, fresh_queue, new_execution, noop::Noop, quantile, store_name, tell,
};
use crate::config::Config;

const WAIT: Duration = Duration::from_secs(10);
/// Between one and the next, so that all are idle again.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) async fn run(config: &Config, arguments: &Latency) -> Result<()> {
    let (queue, _folder) = fresh_queue(config).await?;
    let (stop, mut worker) = (CancellationToken::new(), JoinSet::new());
    let noop = Noop { queue: Arc::clone(&queue), slots: 4, handler: Arc::new(Clone::clone) };
    worker.spawn(noop.run(stop.clone()));
    let mut millis = Vec::with_capacity(arguments.executions);
    for _ in 0..arguments.executions {
        millis.push(one(&queue).await?.as_secs_f64() * 1e3);
        tokio::time::sleep(PAUSE).await;
    }
    stop.cancel();
    for ended in worker.join_all().await {
        ended?;
    }
    millis.sort_by(f64::total_cmp);
    tell(&json!({
        "bench": "latency",
        "store": store_name(config),
        "executions": arguments.executions,
        "p50_ms": quantile(&millis, 0.5),
        "p99_ms": quantile(&millis, 0.99),
    }))
}

async fn one(queue: &Arc<dyn Queue>) -> Result<Duration> {
    let new = new_execution("echo", Fields::new());
    let began = Instant::now();
    let id = queue.submit(new).await?.id;
    let ended = queue.wait(id, WAIT).await?;
    ensure!(ended.state == State::Succeeded, "execution {id} is {}", ended.state);
    Ok(began.elapsed())
}
