//! The end of an execution or an item: its record and everything that counts it, in one step.

use std::{sync::Arc, time::Duration};

use rusqlite::params;

use super::{
    bundle::Told,
    row::Record,
    sql::sql,
    step::{Step, int},
};
use crate::{CacheKey, ExecutionId, FailureKind, RawJson, Report, Result, State, Used};

/// How something ended.
pub(super) struct Outcome {
    pub(super) state: State,
    /// The report as JSON: of a success or a failure, and of nothing else.
    pub(super) report: Option<String>,
    pub(super) used: Used,
    /// The steps, apart from the report: of what has a notice of its own.
    pub(super) trace: Option<Arc<RawJson>>,
    /// The run that led to it; none if no program ran to its end.
    pub(super) run: Option<Run>,
    /// Whether the result is that of an equal execution.
    pub(super) hit: bool,
    /// Whether it goes on the dead list.
    pub(super) dead: bool,
}

/// A program's run, by its worker's clock.
pub(super) struct Run {
    pub(super) worker: String,
    pub(super) started: i64,
    pub(super) time: Duration,
}

/// What ends.
pub(super) struct Ends<'a> {
    pub(super) id: ExecutionId,
    pub(super) owner: &'a str,
    pub(super) program: &'a str,
    pub(super) generation: u32,
    /// Those before the last.
    pub(super) attempts: Option<&'a str>,
    /// For equal executions to come; none if its result may not stand for theirs.
    pub(super) cache: Option<&'a CacheKey>,
}

impl Outcome {
    /// An end that leaves nothing.
    pub(super) fn bare(state: State) -> Self {
        Self {
            state,
            report: None,
            used: Used::default(),
            trace: None,
            run: None,
            hit: false,
            dead: false,
        }
    }

    pub(super) fn reported(state: State, report: &Report) -> Result<Self> {
        let text = serde_json::to_string(report)?;
        let dead = state == State::Failed;
        Ok(Self { report: Some(text), used: Used::of(report), dead, ..Self::bare(state) })
    }

    /// The end of what takes its workers with it.
    pub(super) fn worker_lost(crashes: i64) -> Result<Self> {
        let message = format!("its worker was lost {crashes} times while it ran");
        Self::reported(State::Failed, &Report::failure(FailureKind::WorkerLost, message))
    }

    fn started(&self) -> Option<i64> {
        self.run.as_ref().map(|run| run.started)
    }

    fn run_micros(&self) -> Option<i64> {
        self.run.as_ref().map(|run| int(run.time.as_micros()))
    }

    fn worker(&self) -> Option<&str> {
        self.run.as_ref().map(|run| run.worker.as_str())
    }
}

/// Ends what has a row of its own. An item's row becomes its record in the batch.
pub(super) fn end_execution(
    step: &mut Step<'_>,
    record: &Record,
    outcome: &Outcome,
    cache: Option<&CacheKey>,
) -> Result<()> {
    let ends = Ends {
        id: record.id,
        owner: &record.owner,
        program: &record.program,
        generation: record.generation,
        attempts: record.attempts.as_deref(),
        cache,
    };
    if record.crashes > 0 {
        step.run(sql!("execution.sql", "forget_lost"), [record.id.to_string()])?;
    }
    if let Some((batch, position)) = record.item {
        delete_execution(step, record.key)?;
        step.effects.arrived = true; // its batch may have room for another now
        return end_item(step, batch, position, &ends, outcome);
    }
    step.run(
        sql!("execution.sql", "end"),
        params![
            record.key,
            outcome.state.as_str(),
            outcome.report,
            outcome.started(),
            outcome.run_micros(),
            outcome.worker(),
            step.now,
        ],
    )?;
    step.tell(Told {
        id: record.id,
        generation: record.generation,
        tells: record.tells.clone(),
        trace: outcome.trace.clone(),
    });
    count_end(step, &ends, outcome)
}

/// Ends an item of a batch. It is in no chunk and has no row of its own any more, or never had.
pub(super) fn end_item(
    step: &mut Step<'_>,
    batch: i64,
    position: u32,
    ends: &Ends<'_>,
    outcome: &Outcome,
) -> Result<()> {
    record_item(step, batch, position, ends, outcome)?;
    count_end(step, ends, outcome)
}

/// Keeps how an item ended, and counts it in its batch and nowhere else.
pub(super) fn record_item(
    step: &Step<'_>,
    batch: i64,
    position: u32,
    ends: &Ends<'_>,
    outcome: &Outcome,
) -> Result<()> {
    step.run(
        sql!("batch.sql", "end_item"),
        params![
            batch,
            position,
            outcome.state.as_str(),
            outcome.hit,
            ends.generation,
            ends.attempts,
            outcome.report,
            outcome.worker(),
            outcome.started(),
            step.now,
            outcome.run_micros(),
        ],
    )?;
    let Used { prompt_tokens, completion_tokens, cost_micros } = outcome.used;
    let used = (int(prompt_tokens), int(completion_tokens), int(cost_micros));
    step.run(
        sql!("batch.sql", "count_end"),
        (batch, outcome.state.as_str(), used.0, used.1, used.2, step.now),
    )?;
    if outcome.state == State::Failed {
        step.run(sql!("batch.sql", "give_up_errors"), (batch, step.now))?;
    }
    Ok(())
}

pub(super) fn delete_execution(step: &Step<'_>, key: i64) -> Result<()> {
    step.run(sql!("execution.sql", "delete"), [key])?;
    step.run(sql!("execution.sql", "delete_payload"), [key])?;
    Ok(())
}

/// Statistics, dead list, cache, and those who wait for it.
pub(super) fn count_end(step: &mut Step<'_>, ends: &Ends<'_>, outcome: &Outcome) -> Result<()> {
    let now = step.now;
    let counts = step.effects.tally.of(now, ends.program);
    counts.end(outcome.state);
    if let Some(run) = &outcome.run {
        counts.ran(run.time);
    }
    step.effects.ended.push(ends.id);
    if outcome.dead {
        step.run(sql!("execution.sql", "bury"), (ends.id.to_string(), ends.owner))?;
    }
    if let (State::Succeeded, false, Some(cache)) = (outcome.state, outcome.hit, ends.cache) {
        step.run(
            sql!("execution.sql", "remember"),
            (&cache.fingerprint, ends.program, ends.id.to_string(), now),
        )?;
    }
    Ok(())
}

/// The report of an equal execution that succeeded not too long ago, as JSON.
pub(super) fn recall(step: &Step<'_>, cache: &CacheKey) -> Result<Option<String>> {
    let oldest = step.now.saturating_sub(super::step::millis(cache.ttl));
    let source =
        step.one(sql!("execution.sql", "recall"), (&cache.fingerprint, oldest), |row| {
            Ok(row.get::<_, String>(0)?)
        })?;
    let Some(source) = source else { return Ok(None) };
    let id: ExecutionId = source.parse()?;
    match id.item_of() {
        Some((batch, position)) => {
            step.one(sql!("execution.sql", "item_result"), (batch.to_string(), position), |row| {
                Ok(row.get(0)?)
            })
        }
        None => step.one(sql!("execution.sql", "result"), [source], |row| Ok(row.get(0)?)),
    }
}
