//! Takes back what dead workers held.

use super::{
    cancel::{end_bare, end_with},
    claim::SUSPECT_FROM,
    finish::put_back,
    item::{Chunk, Item, Wait, find_batch, leave_chunk, open_items, put_alone, unpack_chunk},
    row::{BatchRow, Record},
    settle::{Outcome, end_execution},
    sql::sql,
    step::{Step, int},
};
use crate::{ExecutionId, Orders, Result, State, WorkerInfo};

/// Extends a worker's lease, and gives it its orders; without those that it has heard, which it is
/// given again and again until then.
pub(super) fn beat(
    step: &mut Step<'_>,
    info: &WorkerInfo,
    text: &str,
    heard: &[ExecutionId],
) -> Result<Orders> {
    let id = info.id.as_str();
    let dead = step.one(sql!("worker.sql", "find"), [id], |row| Ok(row.get::<_, bool>(0)?))?;
    let mut orders = Orders {
        paused: step.setting("paused")? != 0,
        epoch: super::step::count(step.setting("epoch")?),
        ..Orders::default()
    };
    if dead == Some(true) {
        orders.declared_dead = true;
        return Ok(orders);
    }
    let lease_end = step.now.saturating_add(super::step::millis(step.limits().lease));
    step.run(sql!("worker.sql", "beat"), (id, text, int(info.slots), lease_end))?;
    for order in heard {
        step.run(sql!("worker.sql", "forget_order"), (id, order.to_string()))?;
    }
    let cancel =
        step.all(sql!("worker.sql", "orders"), [id], |row| Ok(row.get::<_, String>(0)?))?;
    orders.cancel = cancel.iter().map(|id| id.parse()).collect::<Result<_>>()?;
    // a worker that is known only now may have asked for work before
    step.effects.arrived |= dead.is_none();
    Ok(orders)
}

/// Declares a worker dead, and takes back at most so many entries. Says how many executions that
/// were, and whether nothing is left.
pub(super) fn rescue(step: &mut Step<'_>, worker: &str, most: usize) -> Result<(u64, bool)> {
    step.run(sql!("worker.sql", "declare_dead"), (worker, step.now))?;
    step.run(sql!("worker.sql", "forget_orders"), [worker])?;
    let records = step.all(sql!("execution.sql", "held"), (worker, int(most)), Record::read)?;
    let chunks = step.all(sql!("batch.sql", "held"), (worker, int(most)), Chunk::read)?;
    let done = records.len() < most && chunks.len() < most;
    let mut rescued = 0;
    for record in records {
        lose_execution(step, record)?;
        rescued += 1;
    }
    for chunk in chunks {
        rescued += u64::from(chunk.open);
        lose_chunk(step, &chunk)?;
    }
    if done {
        step.run(sql!("worker.sql", "emptied"), [worker])?;
    }
    Ok((rescued, done))
}

/// The second loss makes a suspect, which runs alone; each loss of a suspect is charged to it.
fn is_lost_for_good(step: &Step<'_>, crashes: i64) -> bool {
    crashes - SUSPECT_FROM >= i64::from(step.limits().crashes_max)
}

fn lose_execution(step: &mut Step<'_>, mut record: Record) -> Result<()> {
    let entry = record.id.to_string();
    step.run(sql!("execution.sql", "lose"), (entry, record.delivery, &record.worker))?;
    record.crashes += 1;
    if record.cancel {
        return end_execution(step, &record, &Outcome::bare(State::Cancelled), None);
    }
    if is_lost_for_good(step, record.crashes) {
        let outcome = Outcome::worker_lost(record.crashes)?;
        return end_execution(step, &record, &outcome, None);
    }
    let wait = Wait::Queued(step.rank_ahead());
    put_back(step, &record, None, &wait).map(drop)
}

/// A chunk lost twice falls apart, so that one item cannot take the others with it.
fn lose_chunk(step: &mut Step<'_>, chunk: &Chunk) -> Result<()> {
    let batch = find_batch(step, chunk.batch)?;
    if let Some((worker, delivery)) = &chunk.held {
        step.run(sql!("execution.sql", "lose"), (chunk.entry(), delivery, worker))?;
    }
    let crashes = chunk.crashes + 1;
    let rest = requeue_chunk(step, &batch, chunk, crashes)?;
    if crashes < SUSPECT_FROM || rest.is_empty() {
        return Ok(());
    }
    leave_chunk(step, chunk.batch, chunk.number, rest.len())?;
    if is_lost_for_good(step, crashes) {
        let outcome = Outcome::worker_lost(crashes)?;
        return rest.iter().try_for_each(|item| end_with(step, &batch, item, &outcome));
    }
    let contents = unpack_chunk(step, chunk.batch, chunk.number)?;
    for item in &rest {
        let content = contents.get((item.position % crate::CHUNK) as usize);
        let content = content.ok_or_else(|| super::row::corrupt("a chunk with too few items"))?;
        let wait = Wait::Queued(step.rank_ahead());
        put_alone(step, &batch, item, content, crashes, &wait)?;
    }
    Ok(())
}

/// Puts a chunk that ran before all lanes, without the items that were called off. Gives the rest.
fn requeue_chunk(
    step: &mut Step<'_>,
    batch: &BatchRow,
    chunk: &Chunk,
    crashes: i64,
) -> Result<Vec<Item>> {
    step.run(
        sql!("batch.sql", "requeue"),
        (chunk.batch, chunk.number, step.rank_ahead(), step.now, crashes),
    )?;
    step.effects.arrived = true;
    let items = open_items(step, batch, chunk.number)?;
    let (stopped, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.cancel);
    leave_chunk(step, chunk.batch, chunk.number, stopped.len())?;
    for item in &stopped {
        end_bare(step, batch, item, State::Cancelled)?;
    }
    Ok(rest)
}

/// Puts what was handed out back that never reached its worker, if it is still as it was.
pub(super) fn give_back(
    step: &mut Step<'_>,
    worker: &str,
    entry: &str,
    delivery: i64,
) -> Result<()> {
    let is_it = |held: Option<(&str, i64)>| held == Some((worker, delivery));
    if let Some((batch, chunk)) = entry.split_once('.') {
        let chunk = step.one(sql!("batch.sql", "chunk"), (batch, chunk), Chunk::read)?;
        let held = chunk.filter(|it| is_it(it.held.as_ref().map(|(w, d)| (w.as_str(), *d))));
        if let Some(chunk) = held {
            let batch = find_batch(step, chunk.batch)?;
            requeue_chunk(step, &batch, &chunk, chunk.crashes)?;
        }
        return Ok(());
    }
    let record = step.one(sql!("execution.sql", "find"), [entry], Record::read)?;
    let held =
        |it: &Record| it.state == State::Running && is_it(it.worker.as_deref().zip(it.delivery));
    let Some(record) = record.filter(held) else { return Ok(()) };
    if record.cancel {
        return end_execution(step, &record, &Outcome::bare(State::Cancelled), None);
    }
    let wait = Wait::Queued(step.rank_ahead());
    put_back(step, &record, None, &wait).map(drop)
}
