//! `dspyx status`: an execution, a batch, or the server itself.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{batch, execute, view};
use crate::{
    cli::Status,
    client::{Client, Failure, escape},
    output,
};

pub(super) async fn run(client: &Client, arguments: &Status, json: bool) -> Result<()> {
    let Some(id) = &arguments.id else { return health(client, json).await };
    let record = match client.get(&format!("/execution/{}", escape(id))).await {
        Err(error) if Failure::is_missing(&error) => {
            return batch_of_this_id(client, id, arguments.watch, json).await;
        }
        found => found?,
    };
    if !arguments.watch {
        return view::execution(&record, json);
    }
    let record = execute::follow(client, id, None).await?;
    view::execution(&record, json)?;
    execute::judge(&record)
}

async fn batch_of_this_id(client: &Client, id: &str, watch: bool, json: bool) -> Result<()> {
    let record = match client.get(&format!("/batch/{}", escape(id))).await {
        Err(error) if Failure::is_missing(&error) => {
            bail!("no execution or batch has the id `{id}`, or it is somebody else's");
        }
        found => found?,
    };
    if watch { batch::follow(client, id, json).await } else { view::batch(&record, json) }
}

/// How the server is; fails if it is not healthy, so that it serves as a health check.
async fn health(client: &Client, json: bool) -> Result<()> {
    let health = match client.get("/health").await {
        Ok(health) => health,
        Err(error) => match error.downcast::<Failure>()? {
            Failure::Refused { problem, .. } if problem.get("status").is_some() => problem,
            other @ (Failure::Refused { .. } | Failure::Unreachable { .. }) => {
                return Err(other).context("the server is not healthy");
            }
        },
    };
    let state = view::text(&health, "status");
    if json {
        output::value(&health)?;
    } else {
        let total = view::number(&health, "/total_executions");
        let rate = health.get("success_rate").and_then(Value::as_f64).unwrap_or_default();
        let share = format!("{total} executions, {:.1} % succeeded", rate * 100.0);
        output::line(format!("{}  {}  {share}", client.url(), output::state(state)))?;
    }
    if state == "healthy" { Ok(()) } else { bail!("the server is not healthy") }
}
