//! A bounded round of upkeep: what is due, what dead workers held, what is too late or too old.

use std::time::Duration;

use super::{
    cancel::{request_cancel, settle_chunk},
    item::{Chunk, open_items},
    outbox::drop_oldest,
    rescue::rescue,
    row::{BatchRow, Phase, Record, corrupt},
    settle::{Outcome, delete_execution, end_execution},
    sql::sql,
    step::{Step, count, int, millis},
    tally::minute,
    upload::{close_upload, forget_upload},
};
use crate::{Channel, Result, State, Tick, WINDOW_MAX};

/// The most of each kind that a round does.
const MOST: usize = 100;

/// The most rows that a round forgets of what has many small ones.
const TRIM_MAX: i64 = 1000;

/// How long, and how many, dead workers are remembered.
const TOMBSTONE_KEPT: Duration = Duration::from_hours(1);
const TOMBSTONES_MAX: i64 = 10_000;

/// Does a round.
pub(super) fn tick(step: &mut Step<'_>) -> Result<Tick> {
    let mut tick = Tick::default();
    promote(step, &mut tick)?;
    rescue_dead(step, &mut tick)?;
    expire(step, &mut tick)?;
    give_uploads_up(step)?;
    expire_batches(step, &mut tick)?;
    settle_called_off(step, &mut tick)?;
    trim_executions(step, &mut tick)?;
    trim_batches(step, &mut tick)?;
    trim_rest(step, &mut tick)?;
    let due = step.one(sql!("execution.sql", "next_due"), [], |row| Ok(row.get(0)?))?.flatten();
    tick.next_due = due.map(|due: i64| Duration::from_millis(count(due - step.now)));
    Ok(tick)
}

fn promote(step: &mut Step<'_>, tick: &mut Tick) -> Result<()> {
    let due = step.all(sql!("execution.sql", "due"), (step.now, int(MOST)), |row| {
        Ok(row.get::<_, i64>(0)?)
    })?;
    for key in &due {
        let rank = step.next_number();
        step.run(sql!("execution.sql", "promote"), (key, rank, step.now))?;
    }
    step.effects.arrived |= !due.is_empty();
    tick.promoted += due.len() as u64;
    tick.more |= due.len() == MOST;
    Ok(())
}

fn rescue_dead(step: &mut Step<'_>, tick: &mut Tick) -> Result<()> {
    let before = step.rules.silent_before(step.now);
    let dead = step.all(sql!("worker.sql", "to_rescue"), (before, int(MOST)), |row| {
        Ok(row.get::<_, String>(0)?)
    })?;
    tick.more |= dead.len() == MOST;
    let mut left = MOST;
    for worker in dead {
        let (rescued, done) = rescue(step, &worker, left)?;
        tick.rescued += rescued;
        left = left.saturating_sub(usize::try_from(rescued).unwrap_or(usize::MAX));
        if !done || left == 0 {
            tick.more = true;
            break;
        }
    }
    Ok(())
}

fn expire(step: &mut Step<'_>, tick: &mut Tick) -> Result<()> {
    let late = step.all(sql!("execution.sql", "late"), (step.now, int(MOST)), Record::read)?;
    for record in &late {
        if let (State::Running, Some(worker)) = (record.state, &record.worker) {
            step.order_stop(worker, record.id)?;
        }
        end_execution(step, record, &Outcome::bare(State::Expired), None)?;
    }
    tick.expired += late.len() as u64;
    tick.more |= late.len() == MOST;
    Ok(())
}

/// Items in their chunks; those alone have deadlines of their own.
fn expire_batches(step: &mut Step<'_>, tick: &mut Tick) -> Result<()> {
    let late = step.all(sql!("batch.sql", "late"), (step.now, int(MOST)), BatchRow::read)?;
    let mut left = MOST;
    for batch in late {
        if left == 0 {
            break;
        }
        let chunks =
            step.all(sql!("batch.sql", "next_unsettled"), (batch.key, 0, int(left)), Chunk::read)?;
        left -= chunks.len();
        close_upload(step, batch.key)?;
        for chunk in &chunks {
            tick.expired += settle_chunk(step, &batch, chunk, State::Expired)?;
        }
    }
    tick.more |= left == 0;
    Ok(())
}

/// Goes on where calling a batch off was interrupted.
fn settle_called_off(step: &mut Step<'_>, tick: &mut Tick) -> Result<()> {
    let mut left = MOST;
    for batch in step.all(sql!("batch.sql", "called_off"), [int(MOST)], BatchRow::read)? {
        if left == 0 {
            break;
        }
        let chunks =
            step.all(sql!("batch.sql", "queued_chunks"), (batch.key, int(left)), Chunk::read)?;
        left -= chunks.len();
        for chunk in &chunks {
            settle_chunk(step, &batch, chunk, State::Cancelled)?;
        }
        stop_running(step, &batch, left)?;
        let alone =
            step.all(sql!("batch.sql", "waiting_alone"), (batch.key, int(left)), Record::read)?;
        left -= alone.len();
        for record in &alone {
            end_execution(step, record, &Outcome::bare(State::Cancelled), None)?;
        }
    }
    tick.more |= left == 0;
    Ok(())
}

/// Tells the workers of what runs of a batch that was called off; repeating it changes nothing.
fn stop_running(step: &Step<'_>, batch: &BatchRow, most: usize) -> Result<()> {
    let chunks =
        step.all(sql!("batch.sql", "running_chunks"), (batch.key, int(most)), Chunk::read)?;
    for chunk in &chunks {
        let Some((worker, _)) = &chunk.held else { continue };
        for item in open_items(step, batch, chunk.number)?.into_iter().filter(|it| !it.cancel) {
            request_cancel(step, batch, item, worker)?;
        }
    }
    Ok(())
}

/// Gives uploads up that nobody goes on with: what nobody saw is forgotten, the rest called off.
fn give_uploads_up(step: &mut Step<'_>) -> Result<()> {
    let (held, open) = (step.limits().held_ttl(), step.limits().upload_ttl);
    for (phase, ttl) in [("held", held), ("open", open)] {
        let before = step.now.saturating_sub(millis(ttl));
        let stale =
            step.all(sql!("batch.sql", "stale"), (phase, before, int(MOST)), BatchRow::read)?;
        for batch in stale {
            if batch.phase == Phase::Held {
                step.run(sql!("batch.sql", "drop"), [batch.id.to_string()])?;
            } else {
                step.run(sql!("batch.sql", "call_off"), (batch.key, step.now))?;
                forget_upload(step, batch.key)?;
            }
        }
    }
    Ok(())
}

/// The time before which ended work is forgotten.
fn horizon(step: &Step<'_>) -> i64 {
    step.now.saturating_sub(millis(step.limits().result_ttl))
}

fn trim_executions(step: &mut Step<'_>, tick: &mut Tick) -> Result<()> {
    let old = step.all(sql!("execution.sql", "old"), (horizon(step), int(MOST)), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    for (key, id) in &old {
        delete_execution(step, *key)?;
        step.run(sql!("execution.sql", "unbury"), [id])?;
    }
    tick.more |= old.len() == MOST;
    Ok(())
}

/// Forgets a part of the oldest batch: it may have a million items.
fn trim_batches(step: &mut Step<'_>, tick: &mut Tick) -> Result<()> {
    let name = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let old = step.one(sql!("batch.sql", "old"), (horizon(step), 1), name)?;
    let dropped = || step.one(sql!("batch.sql", "dropped"), [1], name);
    let Some((key, id)) = old.map_or_else(dropped, |old| Ok(Some(old)))? else { return Ok(()) };
    forget_upload(step, key)?;
    tick.more = true;
    let most = usize::try_from(TRIM_MAX).map_err(corrupt)?;
    for part in [
        sql!("batch.sql", "trim_items"),
        sql!("batch.sql", "trim_chunks"),
        sql!("batch.sql", "trim_chunk_items"),
    ] {
        if step.run(part, (key, TRIM_MAX))? == most {
            return Ok(());
        }
    }
    // '.' and '/' follow each other: all entries of this batch lie between
    step.run(sql!("batch.sql", "forget_lost"), (format!("{key}."), format!("{key}/")))?;
    step.run(sql!("batch.sql", "unbury"), (format!("{id}-"), format!("{id}.")))?;
    step.run(sql!("batch.sql", "delete"), [key])?;
    Ok(())
}

fn trim_rest(step: &mut Step<'_>, tick: &mut Tick) -> Result<()> {
    let now = step.now;
    let oldest_minute = minute(now.saturating_sub(millis(WINDOW_MAX))) - 1;
    let tombstones = now.saturating_sub(millis(TOMBSTONE_KEPT));
    let dead_max = int(step.limits().dead_max);
    let shared_max = int(step.limits().shared_replies_max);
    let trimmed = [
        step.run(sql!("upkeep.sql", "keys"), (now, TRIM_MAX))?,
        step.run(sql!("upkeep.sql", "cache"), (horizon(step), TRIM_MAX))?,
        step.run(sql!("upkeep.sql", "tokens"), (now, TRIM_MAX))?,
        step.run(sql!("ledger.sql", "trim_journal"), (now, TRIM_MAX))?,
        step.run(sql!("ledger.sql", "trim_shared"), (now, shared_max, TRIM_MAX))?,
        step.run(sql!("ledger.sql", "trim_spending"), (now, TRIM_MAX))?,
        step.run(sql!("ledger.sql", "trim_rates"), (now as f64, TRIM_MAX))?,
        step.run(sql!("ledger.sql", "trim_flights"), (now, TRIM_MAX))?,
        step.run(sql!("upkeep.sql", "lanes"), [TRIM_MAX])?,
        step.run(sql!("upkeep.sql", "owners"), [TRIM_MAX])?,
        step.run(sql!("stats.sql", "trim"), (oldest_minute, TRIM_MAX))?,
        step.run(sql!("stats.sql", "trim_durations"), (oldest_minute, TRIM_MAX))?,
        step.run(sql!("worker.sql", "trim"), (tombstones, TOMBSTONES_MAX, TRIM_MAX))?,
        step.run(sql!("execution.sql", "trim_dead"), (dead_max, TRIM_MAX))?,
        step.run(sql!("outbox.sql", "trim_notes"), (now, TRIM_MAX))?,
        drop_oldest(step, Channel::Webhook)?,
        drop_oldest(step, Channel::Tracking)?,
    ];
    tick.more |= trimmed.iter().any(|count| int(*count) >= TRIM_MAX);
    Ok(())
}
