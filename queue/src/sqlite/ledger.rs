//! The side where paid calls are accounted for.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Row;

use super::{
    SqliteQueue,
    sql::sql,
    step::{Step, count, int, millis},
};
use crate::{
    ExecutionId, Ledger, Paid, Place, Rate, Recalled, Result, Turn, Wanted,
    pack::{pack, unpack},
};

/// How long what was spent is remembered after the last call.
const SPENDING_KEPT: Duration = Duration::from_hours(31 * 24);

#[async_trait]
impl Ledger for SqliteQueue {
    async fn reserve(&self, rates: &[Rate], wait_max: Duration) -> Result<Turn> {
        let rates = rates.to_vec();
        self.write(move |step| reserve(step, &rates, wait_max)).await
    }

    async fn hold_off(&self, rate: &str, time: Duration) -> Result<()> {
        let rate = rate.to_owned();
        self.write(move |step| {
            let until = (step.now + millis(time)) as f64;
            let used = used(step, &rate)?.max(until);
            use_up(step, &rate, used)
        })
        .await
    }

    async fn recall(&self, wanted: &Wanted) -> Result<Recalled> {
        let wanted = wanted.clone();
        self.write(move |step| recall(step, &wanted)).await
    }

    async fn keep(&self, paid: &Paid) -> Result<()> {
        let paid = paid.clone();
        self.write(move |step| keep(step, &paid)).await
    }

    async fn give_up(&self, request: &str, holder: &str) -> Result<()> {
        let (request, holder) = (request.to_owned(), holder.to_owned());
        self.write(move |step| {
            step.run(sql!("ledger.sql", "give_up"), (request, holder))?;
            Ok(())
        })
        .await
    }

    async fn retract(&self, place: &Place) -> Result<()> {
        let place = place.clone();
        self.write(move |step| {
            let own = (place.execution.to_string(), place.name());
            step.run(sql!("ledger.sql", "retract"), own)?;
            step.run(sql!("ledger.sql", "unshare"), [place.request])?;
            Ok(())
        })
        .await
    }

    async fn forget(&self, execution: ExecutionId) -> Result<()> {
        self.write(move |step| {
            step.run(sql!("ledger.sql", "forget"), [execution.to_string()])?;
            Ok(())
        })
        .await
    }
}

fn reserve(step: &Step<'_>, rates: &[Rate], wait_max: Duration) -> Result<Turn> {
    let now = step.now as f64;
    let mut at = now;
    let mut after = Vec::with_capacity(rates.len());
    for rate in rates {
        let used = used(step, &rate.name)?;
        at = at.max(used - rate.burst_ms());
        after.push((&rate.name, used.max(now) + rate.cost_ms()));
    }
    let wait = Duration::from_secs_f64((at - now).ceil() / 1000.0);
    if wait > wait_max {
        return Ok(Turn::TooLate(wait));
    }
    for (name, used) in after {
        use_up(step, name, used)?;
    }
    Ok(Turn::In(wait))
}

fn used(step: &Step<'_>, rate: &str) -> Result<f64> {
    let used = step.one(sql!("ledger.sql", "used"), [rate], |row| Ok(row.get(0)?))?;
    Ok(used.unwrap_or_default())
}

fn use_up(step: &Step<'_>, rate: &str, used: f64) -> Result<()> {
    step.run(sql!("ledger.sql", "use_up"), (rate, used))?;
    Ok(())
}

fn recall(step: &Step<'_>, wanted: &Wanted) -> Result<Recalled> {
    let place = &wanted.place;
    let request = &place.request;
    let own = (place.execution.to_string(), place.name(), step.now);
    if let Some(reply) = step.one(sql!("ledger.sql", "own"), own, blob)? {
        return Ok(Recalled::Own(unpack(&reply)?));
    }
    let shared = (request, step.now);
    if wanted.shared
        && let Some(reply) = step.one(sql!("ledger.sql", "shared"), shared, blob)?
    {
        return Ok(Recalled::Shared(unpack(&reply)?));
    }
    for budget in &wanted.budgets {
        let spent =
            step.one(sql!("ledger.sql", "spent"), [&budget.scope], |row| Ok(row.get(0)?))?;
        if count(spent.unwrap_or_default()) >= budget.micros_max {
            return Ok(Recalled::Spent(budget.scope.clone()));
        }
    }
    if !wanted.shared {
        return Ok(Recalled::Yours);
    }
    let before: Option<String> =
        step.one(sql!("ledger.sql", "holder"), (request, step.now), |row| Ok(row.get(0)?))?;
    if before.is_some_and(|before| before != wanted.holder) {
        return Ok(Recalled::Elsewhere);
    }
    let until = step.now + millis(wanted.hold);
    step.run(sql!("ledger.sql", "hold"), (request, &wanted.holder, until))?;
    Ok(Recalled::Yours)
}

fn blob(row: &Row<'_>) -> Result<Vec<u8>> {
    Ok(row.get(0)?)
}

fn keep(step: &Step<'_>, paid: &Paid) -> Result<()> {
    let (place, reply) = (&paid.place, pack(&paid.reply)?);
    let expires = step.now + millis(paid.kept);
    let filled = (place.execution.to_string(), place.name(), &reply, expires);
    if step.run(sql!("ledger.sql", "fill"), filled)? == 1 {
        let expires = step.now + millis(SPENDING_KEPT);
        for (scope, micros) in &paid.costs {
            step.run(sql!("ledger.sql", "spend"), (scope, int(*micros), expires))?;
        }
        for rate in &paid.corrections {
            let used = used(step, &rate.name)?.max(step.now as f64) + rate.cost_ms();
            use_up(step, &rate.name, used)?;
        }
    }
    if let Some(ttl) = paid.shared {
        let reply = (&place.request, &reply, step.now + millis(ttl));
        step.run(sql!("ledger.sql", "share"), reply)?;
    }
    step.run(sql!("ledger.sql", "give_up"), (&place.request, &paid.holder))?;
    Ok(())
}
