//! Accepts an execution: once, within the limits, and at its end if an equal one has a result.

use std::time::Duration;

use rusqlite::params;

use super::{
    bundle::Told,
    row::state,
    settle::{Ends, Outcome, count_end, recall},
    sql::sql,
    step::{Step, count, millis},
};
use crate::{Class, End, Error, ExecutionId, Idempotency, NewExecution, Result, State, Submitted};

/// When a client is to try again that met a limit.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Accepts an execution, or says what is known of it.
pub(super) fn submit(step: &mut Step<'_>, new: &NewExecution) -> Result<Submitted> {
    let owner = &new.spec.owner;
    let key = new.idempotency.as_ref();
    if let Some(first) = known_key(step, owner, key, "execution")? {
        let id: ExecutionId = first.parse()?;
        if let Some(state) = state_of(step, id)? {
            return Ok(Submitted { id, state, replayed: true });
        }
    }
    if let Some(state) = state_of(step, new.id)? {
        return Ok(Submitted { id: new.id, state, replayed: false });
    }
    let state = match &new.ended {
        Some(end) => accept_dry_run(step, new, end)?,
        None => accept(step, new)?,
    };
    keep_key(step, owner, key, "execution", &new.id.to_string())?;
    Ok(Submitted { id: new.id, state, replayed: false })
}

/// Keeps how a dry run ended. No worker sees it, and it is counted apart.
fn accept_dry_run(step: &mut Step<'_>, new: &NewExecution, end: &End) -> Result<State> {
    let outcome = match end {
        End::Succeeded(report) => Outcome::reported(State::Succeeded, report)?,
        End::Failed(report) => Outcome::reported(State::Failed, report)?,
        End::Cancelled => Outcome::bare(State::Cancelled),
        End::Expired => Outcome::bare(State::Expired),
        End::Retry(..) | End::Throttled(..) | End::Returned => {
            return Err(Error::Unsupported("nothing is accepted between two attempts".to_owned()));
        }
    };
    insert(step, new, outcome.state, Some(&outcome), true)?;
    step.tell(told(new));
    step.effects.tally.of(step.now, &new.spec.program).dry_runs += 1;
    step.effects.ended.push(new.id);
    Ok(outcome.state)
}

fn accept(step: &mut Step<'_>, new: &NewExecution) -> Result<State> {
    let now = step.now;
    if new.spec.deadline.is_some_and(|deadline| deadline.timestamp_millis() <= now) {
        return accept_ended(step, new, &Outcome::bare(State::Expired));
    }
    if let Some(cache) = &new.cache
        && let Some(report) = recall(step, cache)?
    {
        step.effects.tally.of(now, &new.spec.program).cache_hits += 1;
        let hit = Outcome { report: Some(report), hit: true, ..Outcome::bare(State::Succeeded) };
        return accept_ended(step, new, &hit);
    }
    check_room(step, &new.spec.owner, new.spec.class, 1)?;
    if new.cache.is_some() {
        step.effects.tally.of(now, &new.spec.program).cache_misses += 1;
    }
    let scheduled = new.not_before.is_some_and(|time| time.timestamp_millis() > now);
    let state = if scheduled { State::Scheduled } else { State::Queued };
    insert(step, new, state, None, false)?;
    step.effects.accepted.push(new.id);
    step.effects.arrived |= !scheduled;
    Ok(state)
}

fn accept_ended(step: &mut Step<'_>, new: &NewExecution, outcome: &Outcome) -> Result<State> {
    insert(step, new, outcome.state, Some(outcome), false)?;
    step.tell(told(new));
    let ends = Ends {
        id: new.id,
        owner: &new.spec.owner,
        program: &new.spec.program,
        generation: 0,
        attempts: None,
        cache: None,
    };
    count_end(step, &ends, outcome)?;
    Ok(outcome.state)
}

fn told(new: &NewExecution) -> Told {
    Told { id: new.id, generation: 0, tells: new.spec.tells(), trace: None }
}

fn insert(
    step: &Step<'_>,
    new: &NewExecution,
    state: State,
    outcome: Option<&Outcome>,
    dry: bool,
) -> Result<()> {
    let due = new.not_before.map(|time| time.timestamp_millis());
    step.run(
        sql!("execution.sql", "insert"),
        params![
            new.id.to_string(),
            None::<i64>,
            None::<u32>,
            new.spec.owner,
            new.spec.program,
            letter(new.spec.class),
            format!("o:{}", new.spec.owner),
            state.as_str(),
            (state == State::Queued).then(|| step.next_number()),
            due.filter(|_| state == State::Scheduled),
            step.now,
            0,
            0,
            outcome.is_some_and(|it| it.hit),
            dry,
            new.spec.deadline.map(|it| it.timestamp_millis()),
            None::<String>,
            outcome.and_then(|it| it.report.as_deref()),
            step.now,
            outcome.map(|_| step.now),
            new.spec.tells(),
        ],
    )?;
    step.run(
        sql!("execution.sql", "insert_payload"),
        params![
            step.tx.last_insert_rowid(),
            serde_json::to_string(&new.spec)?,
            serde_json::to_string(&new.inputs)?,
            None::<String>,
            new.cache.as_ref().map(|it| &it.fingerprint),
            new.cache.as_ref().map(|it| millis(it.ttl)),
        ],
    )?;
    Ok(())
}

/// The class's letter, as text.
pub(super) fn letter(class: Class) -> &'static str {
    match class {
        Class::Interactive => "i",
        Class::Normal => "n",
        Class::Bulk => "b",
    }
}

/// Refuses what would be more than the limits allow to wait.
pub(super) fn check_room(step: &Step<'_>, owner: &str, class: Class, more: u64) -> Result<()> {
    let limits = step.limits();
    let full = |limit, most| Err(Error::Full { limit, most, retry_after: RETRY_AFTER });
    let waiting = step.one(sql!("submit.sql", "waiting"), [], |row| Ok(row.get(0)?))?;
    if count(waiting.unwrap_or(0)).saturating_add(more) > limits.waiting_max {
        return full("the queue is full", limits.waiting_max);
    }
    let of_owner =
        step.one(sql!("submit.sql", "waiting_of_owner"), (owner, letter(class)), |row| {
            Ok(row.get(0)?)
        })?;
    if count(of_owner.unwrap_or(0)).saturating_add(more) > limits.waiting_per_owner_max {
        return full("the owner's part of the queue is full", limits.waiting_per_owner_max);
    }
    Ok(())
}

/// The id that an idempotency key was used for, if it was; refused if for another request.
pub(super) fn known_key(
    step: &Step<'_>,
    owner: &str,
    key: Option<&Idempotency>,
    kind: &str,
) -> Result<Option<String>> {
    let Some(idempotency) = key else { return Ok(None) };
    let known =
        step.one(sql!("submit.sql", "known_key"), (owner, &idempotency.key, step.now), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
    match known {
        None => Ok(None),
        Some((digest, of, id)) if digest == idempotency.digest && of == kind => Ok(Some(id)),
        Some(_) => Err(Error::KeyReused),
    }
}

pub(super) fn keep_key(
    step: &Step<'_>,
    owner: &str,
    key: Option<&Idempotency>,
    kind: &str,
    id: &str,
) -> Result<()> {
    let Some(idempotency) = key else { return Ok(()) };
    let expires = step.now.saturating_add(millis(step.limits().idempotency_ttl));
    step.run(
        sql!("submit.sql", "keep_key"),
        (owner, &idempotency.key, &idempotency.digest, kind, id, expires),
    )?;
    Ok(())
}

fn state_of(step: &Step<'_>, id: ExecutionId) -> Result<Option<State>> {
    step.one(sql!("submit.sql", "execution_state"), [id.to_string()], state)
}
