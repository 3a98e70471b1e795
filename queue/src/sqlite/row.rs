//! Rows of the file as what they mean.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rusqlite::Row;

use super::step::count;
use crate::{
    ATTEMPTS_KEPT, Attempt, BatchId, CacheKey, Error, Execution, ExecutionId, Report, Result, Spec,
    State, WorkerId,
};

/// A row of `executions`, as much as a change of it needs.
pub(super) struct Record {
    pub(super) key: i64,
    pub(super) id: ExecutionId,
    /// Its batch and its place there, if it is an item alone.
    pub(super) item: Option<(i64, u32)>,
    pub(super) owner: String,
    pub(super) program: String,
    pub(super) class: String,
    pub(super) lane: String,
    pub(super) state: State,
    pub(super) worker: Option<String>,
    pub(super) delivery: Option<i64>,
    pub(super) generation: u32,
    pub(super) crashes: i64,
    pub(super) cancel: bool,
    pub(super) attempts: Option<String>,
    pub(super) deadline: Option<i64>,
    pub(super) created: i64,
    pub(super) started: Option<i64>,
    /// The letters of the channels that are told of its end.
    pub(super) tells: String,
}

impl Record {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        let batch: Option<i64> = row.get("batch")?;
        let position: Option<u32> = row.get("position")?;
        Ok(Self {
            key: row.get("key")?,
            id: row.get_ref("id")?.as_str().map_err(corrupt)?.parse()?,
            item: batch.zip(position),
            owner: row.get("owner")?,
            program: row.get("program")?,
            class: row.get("class")?,
            lane: row.get("lane")?,
            state: state(row)?,
            worker: row.get("worker")?,
            delivery: row.get("delivery")?,
            generation: row.get("generation")?,
            crashes: row.get("crashes")?,
            cancel: row.get("cancel")?,
            attempts: row.get("attempts")?,
            deadline: row.get("deadline")?,
            created: row.get("created")?,
            started: row.get("started")?,
            tells: row.get("tells")?,
        })
    }
}

/// How far the upload of a batch is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// More items may come, and nobody sees it yet.
    Held,
    /// More items may come.
    Open,
    /// No more items come.
    Sealed,
}

impl Phase {
    fn read(row: &Row<'_>) -> Result<Self> {
        match row.get_ref("phase")?.as_str().map_err(corrupt)? {
            "held" => Ok(Self::Held),
            "open" => Ok(Self::Open),
            "sealed" => Ok(Self::Sealed),
            other => Err(corrupt(format!("unknown phase `{other}`"))),
        }
    }
}

/// A row of `batches`.
pub(super) struct BatchRow {
    pub(super) key: i64,
    pub(super) id: BatchId,
    pub(super) owner: String,
    pub(super) class: String,
    pub(super) spec_text: String,
    pub(super) spec: Arc<Spec>,
    pub(super) ttl: Option<i64>,
    pub(super) total: u32,
    pub(super) phase: Phase,
    pub(super) calling_off: bool,
    pub(super) concurrency: Option<u32>,
    pub(super) deadline: Option<i64>,
    pub(super) created: i64,
    pub(super) finished: Option<i64>,
}

impl BatchRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        let spec_text: String = row.get("spec")?;
        Ok(Self {
            key: row.get("key")?,
            id: row.get_ref("id")?.as_str().map_err(corrupt)?.parse()?,
            owner: row.get("owner")?,
            class: row.get("class")?,
            spec: Arc::new(serde_json::from_str(&spec_text)?),
            spec_text,
            ttl: row.get("ttl")?,
            total: row.get("total")?,
            phase: Phase::read(row)?,
            concurrency: row.get("concurrency")?,
            calling_off: row.get("calling_off")?,
            deadline: row.get("deadline")?,
            created: row.get("created")?,
            finished: row.get("finished")?,
        })
    }

    /// What makes an item equal to others.
    pub(super) fn cache_key(&self, fingerprint: Option<String>) -> Option<CacheKey> {
        cache_key(fingerprint, self.ttl)
    }
}

/// What is known of the end of an execution or an item, in columns of the same names.
pub(super) struct Past {
    pub(super) state_word: String,
    pub(super) hit: bool,
    pub(super) generation: u32,
    pub(super) attempts: Option<String>,
    pub(super) report: Option<String>,
    pub(super) worker: Option<String>,
    pub(super) started: Option<i64>,
    pub(super) finished: Option<i64>,
    pub(super) run_micros: Option<i64>,
}

impl Past {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            state_word: row.get("state")?,
            hit: row.get("hit")?,
            generation: row.get("generation")?,
            attempts: row.get("attempts")?,
            report: row.get("report")?,
            worker: row.get("worker")?,
            started: row.get("started")?,
            finished: row.get("finished")?,
            run_micros: row.get("run_micros")?,
        })
    }

    /// Writes it into what is shown.
    pub(super) fn show(self, execution: &mut Execution) -> Result<()> {
        let report: Option<Report> =
            self.report.as_deref().map(serde_json::from_str).transpose()?;
        execution.attempts = attempts(self.attempts.as_deref())?;
        let last = Last {
            started: self.started,
            run_micros: self.run_micros,
            worker: self.worker.as_deref(),
            generation: self.generation,
        };
        if let Some(report) = &report {
            execution.attempts.extend(last.attempt(report));
            let over = execution.attempts.len().saturating_sub(ATTEMPTS_KEPT);
            execution.attempts.drain(..over);
        }
        execution.report = report;
        execution.cache_hit = self.hit;
        execution.generation = self.generation;
        execution.worker = self.worker.map(WorkerId::from);
        execution.started_at = maybe_time(self.started);
        execution.finished_at = maybe_time(self.finished);
        execution.run_time = self.run_micros.map(|micros| Duration::from_micros(count(micros)));
        Ok(())
    }
}

/// The last start, which is kept in columns until another follows it.
pub(super) struct Last<'a> {
    pub(super) started: Option<i64>,
    pub(super) run_micros: Option<i64>,
    pub(super) worker: Option<&'a str>,
    pub(super) generation: u32,
}

impl Last<'_> {
    /// The attempt it was, if it ran to an end with a report.
    pub(super) fn attempt(&self, report: &Report) -> Option<Attempt> {
        let (started, micros, worker) = (self.started?, self.run_micros?, self.worker?);
        let started_at = time(started);
        Some(Attempt {
            started_at,
            finished_at: started_at + Duration::from_micros(count(micros)),
            worker: WorkerId::from(worker.to_owned()),
            error: report.failure.clone(),
            generation: self.generation,
        })
    }
}

/// The attempts kept as text.
pub(super) fn attempts(text: Option<&str>) -> Result<Vec<Attempt>> {
    Ok(text.map(serde_json::from_str).transpose()?.unwrap_or_default())
}

/// One attempt more, as text; the oldest are forgotten.
pub(super) fn with_attempt(text: Option<&str>, attempt: Attempt) -> Result<String> {
    let mut all = attempts(text)?;
    all.push(attempt);
    let from = all.len().saturating_sub(ATTEMPTS_KEPT);
    Ok(serde_json::to_string(&all[from..])?)
}

pub(super) fn cache_key(fingerprint: Option<String>, ttl: Option<i64>) -> Option<CacheKey> {
    let (fingerprint, ttl) = fingerprint.zip(ttl)?;
    Some(CacheKey { fingerprint, ttl: Duration::from_millis(count(ttl)) })
}

pub(super) fn state(row: &Row<'_>) -> Result<State> {
    row.get_ref("state")?.as_str().map_err(corrupt)?.parse()
}

/// A time that is kept as ms since the epoch.
pub(super) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

pub(super) fn maybe_time(millis: Option<i64>) -> Option<DateTime<Utc>> {
    millis.map(time)
}

pub(super) fn corrupt(error: impl std::fmt::Display) -> Error {
    Error::Corrupt(error.to_string())
}
