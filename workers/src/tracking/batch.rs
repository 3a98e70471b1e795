//! A batch is one run, whose metrics grow while it runs; its first items are runs below it, and of
//! a larger one all items are rows of a table.

use std::time::Duration;

use chrono::Utc;
use queue::{Batch, BatchState, Delivery, Subject};
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
const ITEMS_AT_ONCE: usize = 10;

/// How many items are read at once for the table.
const PAGE: usize = 500;

impl Tracker {
    /// Records how far a batch has come; when it has ended, its items too. Says when to go on.
    pub(super) async fn batch(
        &mut self,
        experiment: &Experiment,
        batch: &Batch,
        may_be_there: bool,
    ) -> Result<Delivery, Problem> {
        let run = run(batch);
        let subject = Subject::Batch(batch.id);
        let id = if let Some(id) = self.noted(subject).await? {
            id
        } else {
            let id = self.mlflow.start(experiment, &run, may_be_there).await?;
            self.shift.queue.note(subject, &id).await?;
            id
        };
        self.mlflow.log(&id, &run).await?;
        if batch.finished_at.is_none() {
            return Ok(Delivery::Later(EVERY));
        }
        if !self.items(experiment, batch, &id).await? {
            return Ok(Delivery::Later(Duration::ZERO));
        }
        if batch.total > u64::from(self.shift.tracking.batch_runs_max) {
            self.table(batch, &id).await?;
        }
        self.mlflow.end(&id, run.status, run.ended_ms).await?;
        Ok(Delivery::Sent)
    }

    /// Records the first items that have no run yet, a few; says whether all have one now.
    async fn items(
        &mut self,
        experiment: &Experiment,
        batch: &Batch,
        parent: &str,
    ) -> Result<bool, Problem> {
        let most = u64::from(self.shift.tracking.batch_runs_max).min(batch.total);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let subjects: Vec<_> =
            (0..most).map(|index| Subject::Execution(batch.id.item(index))).collect();
        let noted = self.shift.queue.notes(&subjects).await?;
        let mut recorded = 0;
        // Items that were run again have words of an earlier generation, and are recorded anew.
        for (index, words) in (0..most).zip(noted) {
            let item = self.shift.queue.execution(batch.id.item(index)).await?;
            let run = Run::of(&item, Some(parent));
            if words.is_some_and(|words| run.id_in(&words).is_some()) {
                continue;
            }
            if recorded == ITEMS_AT_ONCE {
                return Ok(false);
            }
            self.execution(experiment, &item, Some(parent), true).await?;
            recorded += 1;
        }
        Ok(true)
    }

    /// Keeps all items as a table with the run, as `mlflow.log_table` does.
    async fn table(&self, batch: &Batch, id: &str) -> Result<(), Problem> {
        let mut table = Table::default();
        let mut from = 0;
        while !table.is_full() {
            let page = self.shift.queue.batch_results(batch.id, from, PAGE, None).await?;
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
