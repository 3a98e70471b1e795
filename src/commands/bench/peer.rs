//! The commands that `benches/queues.py` measures beside the same commands of other queues: it
//! gives them a Redis, a folder and a count by the environment, and reads what they leave.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use queue::{Fields, Queue};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    arguments::{Peer, PeerCommand},
    new_execution,
    noop::Noop,
    tell,
};
use crate::{config::Config, wire};

/// How many submissions are under way at once, and how many are made one by one.
const SUBMITTERS: usize = 256;
const ONE_BY_ONE: usize = 2000;

pub(super) async fn run(config: &Config, arguments: &Peer) -> Result<()> {
    let queue = wire::queue(config).await?;
    match &arguments.command {
        PeerCommand::Enqueue { executions } => enqueue(&queue, *executions).await,
        PeerCommand::Work { slots, timestamps } => work(queue, *slots, timestamps).await,
        PeerCommand::Latency { executions } => latency(&queue, *executions).await,
    }
}

/// Seconds since the epoch, as the other queues' commands write them.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// As much as the other queues' jobs carry.
fn inputs(submitted: f64) -> Fields {
    let payload = "x".repeat(100);
    Fields::from_iter([
        ("enq".to_owned(), submitted.into()),
        ("payload".to_owned(), payload.into()),
    ])
}

async fn enqueue(queue: &Arc<dyn Queue>, count: usize) -> Result<()> {
    let (began, mut under_way) = (Instant::now(), JoinSet::new());
    for _ in 0..count {
        let (queue, new) = (Arc::clone(queue), new_execution("noop", inputs(0.0)));
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
    let together = began.elapsed().as_secs_f64();
    let began = Instant::now();
    for _ in 0..ONE_BY_ONE {
        queue.submit(new_execution("noop", inputs(0.0))).await?;
    }
    let apart = began.elapsed().as_secs_f64();
    tell(&json!({ "enqueue_s": together, "enqueue1_s": apart, "n1": ONE_BY_ONE }))
}

/// Works until it is killed; notes for each execution when it was submitted and started.
async fn work(queue: Arc<dyn Queue>, slots: usize, folder: &Path) -> Result<()> {
    let path = folder.join(format!("{}.ts", std::process::id()));
    let file = File::options().append(true).create(true).open(&path);
    let file = Mutex::new(file.with_context(|| path.display().to_string())?);
    let handler = move |inputs: &Fields| {
        let submitted = inputs.get("enq").and_then(serde_json::Value::as_f64).unwrap_or_default();
        let mut row = [0; 16];
        row[..8].copy_from_slice(&submitted.to_le_bytes());
        row[8..].copy_from_slice(&now().to_le_bytes());
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(&row) {
            tracing::error!(%error, "cannot note a time: {error}");
        }
        Fields::from_iter([("ok".to_owned(), true.into())])
    };
    Noop { queue, slots, handler: Arc::new(handler) }.run(CancellationToken::new()).await
}

async fn latency(queue: &Arc<dyn Queue>, count: usize) -> Result<()> {
    let mut millis = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        let id = queue.submit(new_execution("noop", inputs(now()))).await?.id;
        queue.wait(id, std::time::Duration::from_secs(10)).await?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    tell(&json!({ "rt": millis }))
}
