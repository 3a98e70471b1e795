//! Handing work out.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use chrono::Utc;
use redis::Value;
use tokio::time::{Instant, timeout};
use tracing::error;

use super::{RedisQueue, Store, coming::Coming, document::corrupt, entry::Brought, home::Line};
use crate::{End, Ending, Error, FailureKind, Lease, Report, Result, Want, WorkerId};

/// The most that one claim asks for; Lua can return no more than a few thousand values.
const CLAIM_MAX: usize = 1024;
/// Why an item failed whose inputs are not there.
const INPUTS_GONE: &str = "the inputs are gone from the object store: submit the item again";
/// How much longer than asked the server may take to end a wait.
const GRACE: Duration = Duration::from_secs(2);

/// The lines on which workers of this process claim.
#[derive(Default)]
pub(super) struct Claims {
    lines: std::sync::Mutex<HashMap<WorkerId, Arc<tokio::sync::Mutex<Claimer>>>>,
}

/// One worker's line, and the number of its next claim.
struct Claimer {
    line: Line,
    number: u64,
    /// Chunks that it holds already, and that come with its next claims.
    coming: Coming,
}

/// What goes wrong with work aside harms no other: it is rescued when the worker ends.
fn tell(error: &Error) {
    error!(%error, "cannot settle an entry of the queue: {error}");
}

impl Claims {
    fn of(&self, worker: &WorkerId, store: &Store) -> Arc<tokio::sync::Mutex<Claimer>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            let line = Line::patient(Arc::clone(&store.home));
            Arc::new(tokio::sync::Mutex::new(Claimer {
                line,
                number: 1,
                coming: Coming::default(),
            }))
        };
        Arc::clone(lines.entry(worker.clone()).or_insert_with(fresh))
    }

    /// Forgets a worker that claims no more.
    pub(super) fn forget(&self, worker: &WorkerId) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(worker);
    }
}

/// What a claim brought.
enum Claimed {
    Leases(Vec<Lease>),
    Paused,
}

impl RedisQueue {
    pub(super) async fn claim_work(
        &self,
        worker: &WorkerId,
        want: Want,
        wait: Duration,
    ) -> Result<Vec<Lease>> {
        let claimer = self.claims.of(worker, &self.store);
        let end = Instant::now() + wait;
        loop {
            let mut claimer = claimer.lock().await;
            if let Some((chunk, items)) = claimer.coming.take() {
                let mut brought = Brought::default();
                brought.take_read(chunk, items)?;
                return Ok(self.settle_aside(brought));
            }
            match self.claim_once(&mut claimer, worker, want).await? {
                Claimed::Leases(leases) if !leases.is_empty() => return Ok(leases),
                Claimed::Leases(_) | Claimed::Paused => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if claimer.coming.wait().await || !left.is_zero() && !claimer.coming.is_empty() {
                continue;
            }
            if left.is_zero() || !self.sleep(&mut claimer, want, left).await? {
                return Ok(Vec::new());
            }
        }
    }

    /// Claims without waiting. Its number stays the same until it was answered, and the same number
    /// gets the same entries, so that a lost answer or a dropped future loses nothing.
    async fn claim_once(
        &self,
        claimer: &mut Claimer,
        worker: &WorkerId,
        want: Want,
    ) -> Result<Claimed> {
        let (store, now) = (&self.store, self.store.now());
        let mut call = store.scripts.claim.key(store.prefix());
        call.arg(worker.as_str()).arg(claimer.number).arg(want.slots.min(CLAIM_MAX));
        let bulk = if claimer.coming.is_empty() { want.bulk } else { 0 };
        call.arg(bulk).arg(u8::from(want.suspect)).arg(&now);
        let reply: Vec<Value> = claimer.line.call(&call).await?;
        let mut reply = reply.into_iter();
        let word: String = read(reply.next())?;
        if word != "ok" {
            return Ok(Claimed::Paused);
        }
        claimer.number += 1;
        let mut brought = Brought::default();
        for entry in reply {
            // One that cannot be read must not keep the others from this worker.
            if let Err(error) = brought.take_in(worker, entry) {
                error!(%error, "cannot read an entry of the queue, and leave it aside: {error}");
            }
        }
        for chunk in brought.away.drain(..) {
            claimer.coming.begin(&self.store, chunk);
        }
        Ok(Claimed::Leases(self.settle_aside(brought)))
    }

    /// Ends what a worker need not see, beside it, so that a dropped claim loses none of it: items
    /// of batches that were called off or whose inputs are gone, and chunks whose items have all
    /// ended otherwise. The rest is the worker's.
    fn settle_aside(&self, brought: Brought) -> Vec<Lease> {
        let Brought { leases, called_off, lost, empty, .. } = brought;
        if called_off.is_empty() && lost.is_empty() && empty.is_empty() {
            return leases;
        }
        let queue = self.clone();
        tokio::spawn(async move {
            let failed = || End::Failed(Report::failure(FailureKind::Validation, INPUTS_GONE));
            let called_off = called_off.into_iter().map(|lease| (lease, End::Cancelled));
            for (lease, end) in called_off.chain(lost.into_iter().map(|it| (it, failed()))) {
                let (started_at, run_time) = (Utc::now(), Duration::ZERO);
                let ending = Ending { lease, end, started_at, run_time };
                queue.finish_work(ending).await.map_or_else(|it| tell(&it), drop);
            }
            for chunk in empty {
                queue.drop_empty_chunk(chunk).await.unwrap_or_else(|it| tell(&it));
            }
        });
        leases
    }

    /// Sleeps until something is put in; false when the time has passed. If it is dropped, its line
    /// is closed, so that the next claim does not wait behind it.
    async fn sleep(&self, claimer: &mut Claimer, want: Want, left: Duration) -> Result<bool> {
        let mut bells = vec![self.store.keys.named("bell")];
        if want.bulk > 0 {
            bells.push(self.store.keys.named("bell:b"));
        }
        let mut wait = redis::pipe();
        wait.cmd("BLPOP").arg(&bells).arg(left.as_secs_f64().max(0.001));
        let fresh = Line::patient(Arc::clone(&self.store.home));
        let mut line = std::mem::replace(&mut claimer.line, fresh);
        match timeout(left + GRACE, line.once::<(Option<Value>,)>(&wait)).await {
            Ok(Ok((rung,))) => {
                claimer.line = line;
                Ok(rung.is_some())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Error::Unavailable("it does not answer".to_owned())),
        }
    }
}

/// A part of a script's answer.
pub(super) fn read<T: redis::FromRedisValue>(value: Option<Value>) -> Result<T> {
    let value = value.ok_or_else(|| corrupt("a short answer"))?;
    redis::from_redis_value(value).map_err(|error| Error::Corrupt(error.to_string()))
}
