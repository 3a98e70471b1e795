//! A batch is one run, whose metrics grow while it runs; its first items are runs below it, and of
//! a larger one all items are rows of a table.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use queue::{Batch, BatchId, BatchState, Delivery, ExecutionId, Subject, Which};
use serde_json::json;
use tracing::warn;

use super::{
    Tracker,
    mlflow::{Experiment, Problem},
    run::{self, Run},
    table::{self, Table},
};

/// How often the metrics of a batch that runs are recorded.
const EVERY: Duration = Duration::from_secs(5);

/// How many items are recorded as runs before others have their turn.
const ITEMS_AT_ONCE: u32 = 10;

/// How many items are read at once for the table.
const PAGE: usize = 500;

/// Of how many batches it is remembered how far their items are recorded.
const BATCHES_MAX: usize = 1000;

/// How far the items of batches are recorded: when the batch ended, and the first that has no run
/// yet.
#[derive(Default)]
pub(super) struct Reached(HashMap<BatchId, (Option<DateTime<Utc>>, u32)>);

impl Reached {
    /// The first item to look at. Of a batch that went on since then, it is the first of all.
    fn of(&self, batch: &Batch) -> u32 {
        let known = self.0.get(&batch.id).filter(|(ended, _)| *ended == batch.finished_at);
        known.map_or(0, |(_, index)| *index)
    }

    fn set(&mut self, batch: &Batch, index: u32) {
        if self.0.len() >= BATCHES_MAX && !self.0.contains_key(&batch.id) {
            // Some are never heard of again: others have recorded the rest. It only costs looks.
            self.0.clear();
        }
        self.0.insert(batch.id, (batch.finished_at, index));
    }
}

impl Tracker {
    /// Records how far a batch has come; when it has ended, its items too, but at the last try
    /// those that MLflow refuses. Says when to go on.
    pub(super) async fn batch(
        &mut self,
        experiment: &Experiment,
        batch: &Batch,
        is_last: bool,
    ) -> Result<Delivery, Problem> {
        let run = run(batch);
        let subject = Subject::Batch(batch.id);
        let id = if let Some(id) = self.noted(subject).await? {
            id
        } else {
            let id = self.mlflow.start(experiment, &run, true).await?;
            self.shift.queue.note(subject, &id).await?;
            id
        };
        self.mlflow.log(&id, &run).await?;
        if batch.finished_at.is_none() {
            return Ok(Delivery::Again(EVERY));
        }
        if !self.items(experiment, batch, &id, is_last).await? {
            return Ok(Delivery::Again(Duration::ZERO));
        }
        if batch.total > u64::from(self.shift.tracking.batch_runs_max) {
            self.table(batch, &id).await?;
        }
        self.mlflow.end(&id, run.status, run.ended_ms).await?;
        self.reached.0.remove(&batch.id);
        Ok(Delivery::Sent)
    }

    /// Records the next few items; says whether that was all.
    async fn items(
        &mut self,
        experiment: &Experiment,
        batch: &Batch,
        parent: &str,
        is_last: bool,
    ) -> Result<bool, Problem> {
        let most = u64::from(self.shift.tracking.batch_runs_max).min(batch.total);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let from = self.reached.of(batch);
        let to = from.saturating_add(ITEMS_AT_ONCE).min(most);
        for index in from..to {
            let item = batch.id.item(index);
            match self.item(experiment, item, parent).await {
                Err(Problem::Refused(why)) if is_last => {
                    warn!(%item, "MLflow refuses the run of an item, which is given up: {why}");
                }
                other => other?,
            }
            self.reached.set(batch, index + 1);
        }
        Ok(to >= most)
    }

    /// Records an item; repeated, it changes nothing. One that was run again is recorded anew.
    async fn item(
        &mut self,
        experiment: &Experiment,
        id: ExecutionId,
        parent: &str,
    ) -> Result<(), Problem> {
        match self.shift.queue.execution(id).await {
            Ok(item) => self.execution(experiment, &item, Some(parent), true).await,
            // It is kept no longer.
            Err(queue::Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps all items as a table with the run, as `mlflow.log_table` does.
    async fn table(&self, batch: &Batch, id: &str) -> Result<(), Problem> {
        let mut table = Table::default();
        let mut from = 0;
        while !table.is_full() {
            let page = self.shift.queue.batch_results(batch.id, from, PAGE, Which::All).await?;
            page.items.iter().for_each(|item| table.add(item));
            let Some(next) = page.next.and_then(|it| it.parse().ok()) else { break };
            from = next;
        }
        match self.mlflow.keep(id, table::NAME, table.into_bytes()).await {
            // It keeps files elsewhere; the run is whole without.
            Err(Problem::Refused(why)) => {
                warn!(batch = %batch.id, "the items of a batch have no table in MLflow: {why}");
                Ok(())
            }
            other => other,
        }
    }
}

/// The run of a batch as it stands.
fn run(batch: &Batch) -> Run {
    let (spec, ended) = (&batch.spec, batch.ended);
    let now = batch.finished_at.unwrap_or_else(Utc::now);
    let took = (now - batch.created_at).as_seconds_f64();
    let succeeded = ended.succeeded as f64 / ended.total().max(1) as f64;
    let mut metrics = vec![
        ("items_ended", ended.total() as f64),
        ("items_succeeded", ended.succeeded as f64),
        ("items_failed", ended.failed as f64),
        ("execution_time", took),
    ];
    metrics.extend(run::used(batch.used));
    if batch.finished_at.is_some() {
        metrics.push(("success", succeeded));
    }
    let mut params = vec![
        ("program_name".to_owned(), spec.program.clone()),
        ("mode".to_owned(), json!(spec.mode).as_str().unwrap_or_default().to_owned()),
    ];
    // Parameters cannot change, and as long as it is open this one would.
    if !batch.open {
        params.push(("items".to_owned(), batch.total.to_string()));
    }
    let key = vec![("batch", batch.id.to_string())];
    let tags = key.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let table = json!([{ "path": table::NAME, "type": "table" }]);
    // As Python writes it: MLflow looks for these very characters.
    let table = table.to_string().replace("\":", "\": ").replace(",\"", ", \"");
    let is_table = batch.finished_at.is_some();
    Run {
        name: run::name(&format!("{}-batch", spec.program), &key[0].1),
        started_ms: batch.created_at.timestamp_millis(),
        ended_ms: now.timestamp_millis(),
        status: status(batch),
        params,
        metrics,
        step: i64::try_from(ended.total()).unwrap_or(i64::MAX),
        tags: tags.chain(run::asked(spec)).collect(),
        late_tags: is_table
            .then(|| ("mlflow.loggedArtifacts".to_owned(), table))
            .into_iter()
            .collect(),
        key,
    }
}

/// One that was called off is killed; one in which nothing went well has failed.
fn status(batch: &Batch) -> &'static str {
    match batch.state {
        BatchState::Uploading
        | BatchState::Paused
        | BatchState::InProgress
        | BatchState::Cancelling => "RUNNING",
        BatchState::Cancelled => "KILLED",
        BatchState::Completed if batch.total > 0 && batch.ended.succeeded == 0 => "FAILED",
        BatchState::Completed => "FINISHED",
    }
}
