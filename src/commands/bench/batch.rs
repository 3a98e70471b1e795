//! A batch over HTTP, from the first byte sent to the last line read, against a running server.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{arguments::Batch, tell};
use crate::client::Client;

/// How long one request for results waits for an item that has not ended.
const WAIT_SECONDS: u64 = 30;

pub(super) async fn run(client: &Client, arguments: &Batch) -> Result<()> {
    let body = lines(arguments);
    let began = Instant::now();
    let path = format!("/execute/batch?program_id={}&cache=false", arguments.program);
    let accepted = client.post_lines(&path, body).await?;
    let uploaded = began.elapsed().as_secs_f64();
    let id = accepted["batch_id"].as_str().context("the server gave no batch")?.to_owned();
    let bytes = download(client, &id, arguments.items).await?;
    let took = began.elapsed().as_secs_f64();
    let batch = client.get(&format!("/batch/{id}")).await?;
    let succeeded = batch["counts"]["succeeded"].as_u64().unwrap_or_default();
    ensure!(succeeded == arguments.items as u64, "only {succeeded} items succeeded");
    let count = arguments.items as f64;
    tell(&json!({
        "bench": "batch",
        "items": arguments.items,
        "upload_seconds": rounded(uploaded),
        "seconds": rounded(took),
        "items_per_second": (count / took).round(),
        "result_bytes": bytes,
        "rss_mb": arguments.pid.iter().map(|pid| rss(*pid)).collect::<Vec<_>>(),
    }))
}

/// Items of about so many bytes.
fn lines(arguments: &Batch) -> Vec<u8> {
    let filler = "lorem ipsum dolor sit amet ".repeat(1 + arguments.bytes / 27);
    let filler = &filler[..arguments.bytes.saturating_sub(32)];
    let mut text = String::with_capacity(arguments.items * (arguments.bytes + 1));
    for n in 0..arguments.items {
        let _ = writeln!(text, "{{\"text\": \"number {n} {filler}\"}}");
    }
    text.into_bytes()
}

/// Reads all results in order while the batch runs, and says how many bytes they have.
async fn download(client: &Client, id: &str, items: usize) -> Result<u64> {
    let (mut lines, mut bytes) = (0, 0);
    while lines < items {
        let path = format!("/batch/{id}/results?format=outcome&cursor={lines}&wait={WAIT_SECONDS}");
        let mut response = client.stream(&path).await?;
        let before = lines;
        // One that is cut off, as it took too long for one request, goes on where it ended.
        while let Ok(Some(piece)) = response.chunk().await {
            bytes += piece.len() as u64;
            lines += piece.split(|byte| *byte == b'\n').count() - 1;
        }
        ensure!(lines > before, "no result came within {WAIT_SECONDS} s");
    }
    Ok(bytes)
}

/// The most memory that a process has used, in MB; null where the system does not tell.
fn rss(pid: u32) -> Value {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.map_or(Value::Null, |it| (it / 1024.0).round().into())
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}
