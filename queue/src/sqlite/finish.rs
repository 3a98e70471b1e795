//! Takes back what was handed out: only from who holds it, or once held it and comes late.

use std::{sync::Arc, time::Duration};

use super::{
    item::{Chunk, Item, Place, Wait, find_item, leave_chunk, put_alone, unpack_item},
    row::{BatchRow, Record, corrupt, with_attempt},
    settle::{Ends, Outcome, Run, end_execution, end_item},
    sql::sql,
    step::{Step, int, millis},
};
use crate::{
    Attempt, CacheKey, End, Ending, Error, ExecutionId, Mode, Report, Result, State, Verdict,
    lease::Token,
};

/// An attempt's end as text, made outside of the transaction.
pub(super) struct Finish {
    id: ExecutionId,
    token: Token,
    generation: u32,
    /// For equal executions to come.
    cache: Option<CacheKey>,
    fate: Fate,
}

/// What follows an attempt.
enum Fate {
    /// Nothing.
    Ends(Outcome),
    /// Another, after a delay; the failure is counted if it was an attempt.
    Waits { attempt: Option<Attempt>, delay: Duration },
    /// The same again, by another worker.
    Returned,
}

impl Finish {
    pub(super) fn new(ending: Ending) -> Result<Self> {
        let Ending { lease, end, started_at, run_time } = ending;
        let (task, token) = (lease.task, lease.token);
        let run = Run {
            worker: token.worker.to_string(),
            started: started_at.timestamp_millis(),
            time: run_time,
        };
        let has_notice = task.spec.tracked && task.id.item_of().is_none();
        let ran = |state, mut report: Report| {
            let trace = if has_notice { report.trace.take() } else { None };
            let (trace, run) = (trace.map(Arc::new), Some(run));
            Ok::<_, Error>(Fate::Ends(Outcome { trace, run, ..Outcome::reported(state, &report)? }))
        };
        let fate = match end {
            End::Succeeded(report) => ran(State::Succeeded, report)?,
            End::Failed(report) => ran(State::Failed, report)?,
            End::Retry(failure, delay) => {
                let attempt = Attempt {
                    started_at,
                    finished_at: started_at + run_time,
                    worker: token.worker.clone(),
                    error: Some(failure),
                    generation: task.generation,
                };
                Fate::Waits { attempt: Some(attempt), delay }
            }
            End::Throttled(_, delay) => Fate::Waits { attempt: None, delay },
            End::Returned => Fate::Returned,
            End::Cancelled => Fate::Ends(Outcome::bare(State::Cancelled)),
            End::Expired => Fate::Ends(Outcome::bare(State::Expired)),
        };
        let cache = task.cache.filter(|_| task.spec.mode == Mode::Normal);
        Ok(Self { id: task.id, token, generation: task.generation, cache, fate })
    }

    fn holds(&self, held: Option<(&str, i64)>) -> bool {
        held == Some((self.token.worker.as_str(), int(self.token.delivery)))
    }

    /// The result that may be accepted though its worker lost the lease.
    fn late(&self, step: &Step<'_>, generation: u32) -> Result<Option<&Outcome>> {
        let Fate::Ends(outcome) = &self.fate else { return Ok(None) };
        let may = outcome.state == State::Succeeded
            && step.limits().late_results
            && self.generation == generation;
        if !may {
            return Ok(None);
        }
        let hand_out = (&*self.token.entry, int(self.token.delivery), self.token.worker.as_str());
        let held = step.one(sql!("execution.sql", "was_lost"), hand_out, |_| Ok(()))?;
        Ok(held.map(|()| outcome))
    }
}

/// Records how an attempt ended, unless its worker has lost the right to say so.
pub(super) fn finish(step: &mut Step<'_>, finish: &Finish) -> Result<Verdict> {
    match finish.token.chunk {
        Some(chunk) => finish_item(step, finish, chunk),
        None => finish_execution(step, finish),
    }
}

fn finish_execution(step: &mut Step<'_>, finish: &Finish) -> Result<Verdict> {
    let id = finish.id.to_string();
    let Some(record) = step.one(sql!("execution.sql", "find"), [id], Record::read)? else {
        return Ok(Verdict::Refused);
    };
    let held = record.worker.as_deref().zip(record.delivery);
    if record.state == State::Running && finish.holds(held) {
        return go_on(step, finish, &record).map(Verdict::Recorded);
    }
    finish_late(step, finish, &record)
}

/// Accepts the result of a worker that lost its lease, and stops the newer run.
fn finish_late(step: &mut Step<'_>, finish: &Finish, record: &Record) -> Result<Verdict> {
    if record.state.is_terminal() {
        return Ok(Verdict::Refused);
    }
    let Some(outcome) = finish.late(step, record.generation)? else {
        return Ok(Verdict::Refused);
    };
    if let (State::Running, Some(worker)) = (record.state, &record.worker) {
        step.order_stop(worker, record.id)?;
    }
    end_execution(step, record, outcome, finish.cache.as_ref())?;
    Ok(Verdict::RecordedLate(outcome.state))
}

fn go_on(step: &mut Step<'_>, finish: &Finish, record: &Record) -> Result<State> {
    if record.cancel {
        end_execution(step, record, &Outcome::bare(State::Cancelled), None)?;
        return Ok(State::Cancelled);
    }
    match &finish.fate {
        Fate::Ends(outcome) => {
            end_execution(step, record, outcome, finish.cache.as_ref())?;
            Ok(outcome.state)
        }
        Fate::Waits { attempt, delay } => {
            count_retry(step, &record.program, attempt.as_ref());
            put_back(step, record, attempt.clone(), &wait_for(step, *delay))
        }
        Fate::Returned => put_back(step, record, None, &Wait::Queued(step.rank_ahead())),
    }
}

/// Puts what ran among those that wait.
pub(super) fn put_back(
    step: &mut Step<'_>,
    record: &Record,
    attempt: Option<Attempt>,
    wait: &Wait,
) -> Result<State> {
    let (state, rank, due) = match wait {
        Wait::Queued(rank) => (State::Queued, Some(*rank), None),
        Wait::Scheduled(due) => (State::Scheduled, None, Some(*due)),
    };
    let started = attempt.as_ref().map(|it| it.started_at.timestamp_millis()).or(record.started);
    let micros = attempt.as_ref().map(|it| (it.finished_at - it.started_at).num_microseconds());
    let attempts = match attempt {
        Some(attempt) => Some(with_attempt(record.attempts.as_deref(), attempt)?),
        None => record.attempts.clone(),
    };
    step.run(
        sql!("execution.sql", "wait"),
        rusqlite::params![
            record.key,
            state.as_str(),
            rank,
            due,
            step.now,
            record.crashes,
            attempts,
            started,
            micros.flatten(),
        ],
    )?;
    step.effects.arrived |= state == State::Queued || record.item.is_some();
    Ok(state)
}

/// Where one waits that is to be tried again after a delay.
fn wait_for(step: &Step<'_>, delay: Duration) -> Wait {
    if delay.is_zero() {
        Wait::Queued(step.next_number())
    } else {
        Wait::Scheduled(step.now.saturating_add(millis(delay)))
    }
}

fn count_retry(step: &mut Step<'_>, program: &str, attempt: Option<&Attempt>) {
    if attempt.is_some() {
        step.effects.tally.of(step.now, program).retries += 1;
    }
}

/// An item that came in a chunk.
fn finish_item(step: &mut Step<'_>, finish: &Finish, chunk: u32) -> Result<Verdict> {
    let Some((_, position)) = finish.id.item_of() else {
        return Err(corrupt("an item without a batch"));
    };
    let key = finish.token.lane.strip_prefix("b:").and_then(|key| key.parse::<i64>().ok());
    let key = key.ok_or_else(|| corrupt("a chunk outside of a batch's lane"))?;
    let Some(batch) = step.one(sql!("batch.sql", "get"), [key], BatchRow::read)? else {
        return Ok(Verdict::Refused);
    };
    let Some(chunk) = step.one(sql!("batch.sql", "chunk"), (key, chunk), Chunk::read)? else {
        return Ok(Verdict::Refused);
    };
    let item = find_item(step, key, position)?;
    // one less runs: its batch may have room for another now
    step.effects.arrived |= batch.concurrency.is_some();
    let held = chunk.held.as_ref().map(|(worker, delivery)| (worker.as_str(), *delivery));
    match item.place {
        Place::Ended(_) => Ok(Verdict::Refused),
        Place::Open if finish.holds(held) => {
            leave_chunk(step, key, chunk.number, 1)?;
            go_on_item(step, finish, &batch, item).map(Verdict::Recorded)
        }
        Place::Open => {
            let Some(outcome) = finish.late(step, item.generation)? else {
                return Ok(Verdict::Refused);
            };
            if let Some((worker, _)) = &chunk.held {
                step.order_stop(worker, finish.id)?;
            }
            leave_chunk(step, key, chunk.number, 1)?;
            record_item(step, finish, &batch, &item, outcome)?;
            Ok(Verdict::RecordedLate(outcome.state))
        }
        Place::Alone => {
            let id = finish.id.to_string();
            let alone = step.one(sql!("execution.sql", "find"), [id], Record::read)?;
            finish_late(step, finish, &alone.ok_or_else(|| corrupt("an item alone is missing"))?)
        }
    }
}

fn go_on_item(
    step: &mut Step<'_>,
    finish: &Finish,
    batch: &BatchRow,
    mut item: Item,
) -> Result<State> {
    if item.cancel {
        record_item(step, finish, batch, &item, &Outcome::bare(State::Cancelled))?;
        return Ok(State::Cancelled);
    }
    let wait = match &finish.fate {
        Fate::Ends(outcome) => {
            record_item(step, finish, batch, &item, outcome)?;
            return Ok(outcome.state);
        }
        Fate::Waits { attempt, delay } => {
            count_retry(step, &batch.spec.program, attempt.as_ref());
            if let Some(attempt) = attempt {
                item.attempts = Some(with_attempt(item.attempts.as_deref(), attempt.clone())?);
            }
            wait_for(step, *delay)
        }
        Fate::Returned => Wait::Queued(step.rank_ahead()),
    };
    let content = unpack_item(step, batch.key, item.position)?;
    put_alone(step, batch, &item, &content, 0, &wait)
}

fn record_item(
    step: &mut Step<'_>,
    finish: &Finish,
    batch: &BatchRow,
    item: &Item,
    outcome: &Outcome,
) -> Result<()> {
    let ends = Ends {
        id: finish.id,
        owner: &batch.owner,
        program: &batch.spec.program,
        generation: item.generation,
        attempts: item.attempts.as_deref(),
        cache: finish.cache.as_ref(),
    };
    end_item(step, batch.key, item.position, &ends, outcome)
}
