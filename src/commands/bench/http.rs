//! A running server, asked by clients that keep their connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use super::{arguments::Http, quantile, tell};
use crate::client::Client;

/// How many are submitted and waited for, one by one.
const WAITED: usize = 500;

pub(super) async fn run(client: &Client, arguments: &Http) -> Result<()> {
    let body = json!({
        "program_id": arguments.program,
        "inputs": { "text": "hello" },
        "cache": false,
    });
    let accepted = accepted_per_second(client, arguments, &body).await?;
    let millis = waited(client, &body).await?;
    tell(&json!({
        "bench": "http",
        "executions": arguments.executions,
        "clients": arguments.clients,
        "accepted_per_second": accepted.round(),
        "wait_p50_ms": quantile(&millis, 0.5),
        "wait_p99_ms": quantile(&millis, 0.99),
    }))
}

async fn accepted_per_second(client: &Client, arguments: &Http, body: &Value) -> Result<f64> {
    let (began, left) = (Instant::now(), Arc::new(AtomicUsize::new(arguments.executions)));
    let mut clients: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..arguments.clients {
        let (client, body, left) = (client.clone(), body.clone(), Arc::clone(&left));
        clients.spawn(async move {
            let take = |n: usize| n.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                client.post("/execute", &body).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(arguments.executions as f64 / began.elapsed().as_secs_f64())
}

/// From request to result, when nothing else is to be done.
async fn waited(client: &Client, body: &Value) -> Result<Vec<f64>> {
    let mut millis = Vec::with_capacity(WAITED);
    until_idle(client).await?;
    for _ in 0..WAITED {
        let began = Instant::now();
        let record = client.post_waiting("/execute", body, 10).await?;
        ensure!(record["success"] == true, "an execution did not succeed: {record}");
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    millis.sort_by(f64::total_cmp);
    Ok(millis)
}

async fn until_idle(client: &Client) -> Result<()> {
    loop {
        let queue = &client.get("/stats").await?["queue"];
        if queue["queued"] == 0 && queue["running"] == 0 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
