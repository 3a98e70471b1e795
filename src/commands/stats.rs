//! `dspyx stats`: what the whole fleet did, and what waits.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::view;
use crate::{
    cli::Stats,
    client::{Client, escape},
    output::{self, HEAD, paint},
    values,
};

pub(super) async fn run(client: &Client, arguments: &Stats, json: bool) -> Result<()> {
    let mut query = Vec::new();
    if let Some(program) = &arguments.program {
        query.push(format!("program_id={}", escape(program)));
    }
    if let Some(window) = arguments.window {
        query.push(format!("window={}s", window.as_secs().max(1)));
    }
    let stats = client.get(&format!("/stats?{}", query.join("&"))).await?;
    if json { output::value(&stats) } else { output::line(table(&stats)) }
}

/// Statistics for people.
pub(super) fn table(stats: &Value) -> String {
    let count = |pointer: &str| view::number(stats, pointer).to_string();
    let time = |name: &str| {
        let seconds = stats.pointer(&format!("/statistics/{name}_execution_time"));
        let seconds = seconds.and_then(Value::as_f64).filter(|it| *it >= 0.0);
        let duration = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
        duration.map_or_else(|| "–".to_owned(), values::glance)
    };
    let ended = output::table(
        ["EXECUTIONS", "SUCCEEDED", "FAILED", "CANCELLED", "CACHE HITS", "MISSES"],
        &[[
            count("/statistics/total_executions"),
            count("/statistics/successful_executions"),
            count("/statistics/failed_executions"),
            count("/statistics/cancelled_executions"),
            count("/cache/hits"),
            count("/cache/misses"),
        ]],
    );
    let times = output::table(
        ["MEAN", "MIN", "P50", "P95", "P99", "MAX"],
        &[["average", "min", "p50", "p95", "p99", "max"].map(time)],
    );
    let waits = output::table(
        ["QUEUED", "RUNNING", "SCHEDULED", "DEAD"],
        &[["queued", "running", "scheduled", "dead"].map(|it| count(&format!("/queue/{it}")))],
    );
    let mut parts = vec![
        section("What ended", &ended),
        section("How long programs ran", &times),
        section("What waits and runs", &waits),
    ];
    let workers = stats.get("workers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !workers.is_empty() {
        let row = |it: &Value| {
            let slots = format!("{}/{}", view::number(it, "/running"), view::number(it, "/slots"));
            [view::text(it, "worker_id").to_owned(), slots, view::text(it, "version").to_owned()]
        };
        let rows: Vec<_> = workers.iter().map(row).collect();
        parts.push(section("Workers", &output::table(["WORKER", "BUSY", "VERSION"], &rows)));
    }
    parts.join("\n\n")
}

fn section(title: &str, table: &str) -> String {
    format!("{}\n{table}", paint(HEAD, title))
}
