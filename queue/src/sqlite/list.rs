//! Reads single executions, the dead list, and batches.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::{
    results::find_item,
    row::{BatchRow, Past, Phase, Record, maybe_time, time},
    sql::sql,
    step::{all, count, int, one},
};
use crate::{
    Batch, BatchId, BatchState, Ended, Error, Execution, ExecutionId, Filter, PAGE_MAX, Page,
    Policy, RawJson, Result, State, Used, Via,
};

/// The most rows that one call looks at; a page may come short, with a cursor.
pub(super) const SCAN_MAX: u32 = 5000;

pub(super) fn bad_cursor() -> Error {
    Error::NotFound("page")
}

/// One by its name: a single one, or an item of a batch.
pub(super) fn find(db: &Connection, id: ExecutionId) -> Result<Execution> {
    match id.item_of() {
        Some((batch, position)) => find_item(db, batch, position),
        None => find_single(db, id),
    }
}

/// One that has a row of its own.
pub(super) fn find_single(db: &Connection, id: ExecutionId) -> Result<Execution> {
    let found = one(db, sql!("list.sql", "one"), [id.to_string()], |row| {
        let mut execution = read(row)?;
        if let (Some(report), Some(steps)) = (&mut execution.report, row.get("steps")?) {
            report.trace = Some(RawJson::from_text(steps)?);
        }
        Ok(execution)
    })?;
    found.ok_or(Error::NotFound("execution"))
}

fn read(row: &Row<'_>) -> Result<Execution> {
    let record = Record::read(row)?;
    let due: Option<i64> = row.get("due")?;
    let spec = Arc::new(serde_json::from_str(&row.get::<_, String>("spec")?)?);
    let inputs = serde_json::from_str(&row.get::<_, String>("inputs")?)?;
    let mut execution = Execution {
        state: record.state,
        custom_id: row.get("custom_id")?,
        generation: record.generation,
        cancel_requested: record.cancel,
        due_at: maybe_time(due),
        ..Execution::queued(record.id, spec, inputs, time(record.created))
    };
    Past::read(row)?.show(&mut execution)?;
    Ok(execution)
}

/// A page of single executions, newest first.
pub(super) fn list(
    db: &Connection,
    filter: &Filter,
    cursor: Option<&str>,
    max: usize,
) -> Result<Page<Execution>> {
    let before = key_of(cursor, i64::MAX)?;
    let most = max.clamp(1, PAGE_MAX);
    let (last, looked): (Option<i64>, i64) =
        one(db, sql!("list.sql", "scanned"), (before, SCAN_MAX), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .unwrap_or_default();
    let rows = all(
        db,
        sql!("list.sql", "scan"),
        params![
            before,
            SCAN_MAX,
            filter.owner,
            filter.program,
            filter.state.map(State::as_str),
            filter.since.map(|since| since.timestamp_millis()),
            int(most),
        ],
        |row| Ok((row.get::<_, i64>("key")?, read(row)?)),
    )?;
    let next = if rows.len() == most {
        rows.last().map(|(key, _)| *key)
    } else {
        last.filter(|_| looked == i64::from(SCAN_MAX))
    };
    let items = rows.into_iter().map(|(_, execution)| execution).collect();
    Ok(Page { items, next: next.map(|key| key.to_string()) })
}

fn key_of(cursor: Option<&str>, start: i64) -> Result<i64> {
    cursor.map_or(Ok(start), str::parse).map_err(|_| bad_cursor())
}

/// A page of the dead list, oldest first.
pub(super) fn dead(
    db: &Connection,
    owner: Option<&str>,
    cursor: Option<&str>,
    max: usize,
) -> Result<Page<Execution>> {
    let after = key_of(cursor, 0)?;
    let most = max.clamp(1, PAGE_MAX);
    let rows = all(db, sql!("execution.sql", "dead"), (after, owner, int(most)), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let next = rows.last().map(|(key, _)| key.to_string()).filter(|_| rows.len() == most);
    let mut items = Vec::with_capacity(rows.len());
    for (_, id) in rows {
        match find(db, id.parse()?) {
            Ok(execution) => items.push(execution),
            Err(Error::NotFound(_)) => {} // its record was too old
            Err(error) => return Err(error),
        }
    }
    Ok(Page { items, next })
}

/// A batch with its counts.
pub(super) fn find_batch(db: &Connection, id: BatchId) -> Result<Batch> {
    let found = one(db, sql!("batch.sql", "find"), [id.to_string()], read_batch)?;
    found.map(|(_, batch)| batch).ok_or(Error::NotFound("batch"))
}

/// A page of batches, newest first.
pub(super) fn batches(
    db: &Connection,
    owner: Option<&str>,
    cursor: Option<&str>,
    max: usize,
) -> Result<Page<Batch>> {
    let before = key_of(cursor, i64::MAX)?;
    let most = max.clamp(1, PAGE_MAX);
    let rows = all(db, sql!("list.sql", "batches"), (before, owner, int(most)), read_batch)?;
    let next = rows.last().map(|(key, _)| key.to_string()).filter(|_| rows.len() == most);
    Ok(Page { items: rows.into_iter().map(|(_, batch)| batch).collect(), next })
}

fn read_batch(row: &Row<'_>) -> Result<(i64, Batch)> {
    let batch = BatchRow::read(row)?;
    let number = |name| Ok::<_, Error>(count(row.get(name)?));
    let ended = Ended {
        succeeded: number("succeeded")?,
        failed: number("failed")?,
        cancelled: number("cancelled")?,
        expired: number("expired")?,
    };
    let open = batch.phase != Phase::Sealed;
    let paused = row.get("paused")? && !(open && batch.spec.via == Via::Provider);
    let finished_at = maybe_time(batch.finished);
    let state = BatchState::of(finished_at, batch.calling_off, open, paused);
    let errors_max: Option<i64> = row.get("errors_max")?;
    let batch_as_read = Batch {
        id: batch.id,
        state,
        spec: batch.spec,
        cache_ttl: batch.ttl.map(|ms| std::time::Duration::from_millis(count(ms))),
        policy: Policy { concurrency: batch.concurrency, errors_max: errors_max.map(count) },
        total: u64::from(batch.total),
        open,
        ended,
        created_at: time(batch.created),
        finished_at,
        used: Used {
            prompt_tokens: number("prompt")?,
            completion_tokens: number("completion")?,
            cost_micros: number("cost")?,
        },
    };
    Ok((batch.key, batch_as_read))
}
