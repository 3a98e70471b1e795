//! The side that workers use, as steps of the writer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::{
    SqliteQueue,
    claim::{Handed, claim},
    finish::{Finish, finish},
    rescue::{beat, give_back, rescue},
    signal::Signals,
    upkeep::tick,
};
use crate::{
    Ending, ExecutionId, Lease, Orders, Result, Tick, Verdict, Want, Work, WorkerId, WorkerInfo,
};

/// The most entries that one step takes back from a worker that retires.
const RETIRE_MAX: usize = 100;

/// The longest that a claim waits.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// How long a result waits that could not be stored.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// An entry that was handed out to nobody, as the claim was dropped: worker, entry, hand-out.
type Undelivered = (String, String, i64);

/// What claims left behind that were dropped before their answer came.
#[derive(Default)]
pub(super) struct Dropped(Mutex<Vec<Undelivered>>);

impl Dropped {
    fn take(&self) -> Vec<Undelivered> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The orders that workers have heard: known once the answer to a heartbeat has arrived.
#[derive(Default)]
pub(super) struct Heard(Mutex<HashMap<WorkerId, Vec<ExecutionId>>>);

impl Heard {
    fn take(&self, worker: &WorkerId) -> Vec<ExecutionId> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.remove(worker).unwrap_or_default()
    }

    fn note(&self, worker: &WorkerId, orders: &[ExecutionId]) {
        if !orders.is_empty() {
            let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            heard.insert(worker.clone(), orders.to_vec());
        }
    }
}

/// What a claim got, on its way. If it does not arrive, it is noted, and given back by the next.
struct Parcel {
    worker: WorkerId,
    handed: Vec<Handed>,
    dropped: Arc<Dropped>,
    signals: Arc<Signals>,
}

impl Parcel {
    fn open(mut self) -> Result<Vec<Lease>> {
        let handed = std::mem::take(&mut self.handed);
        let leases = handed.into_iter().map(|it| it.leases(&self.worker));
        Ok(leases.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if self.handed.is_empty() {
            return;
        }
        let worker = self.worker.as_str();
        let entries = self.handed.iter().map(|it| {
            let (entry, delivery) = it.entry();
            (worker.to_owned(), entry, delivery)
        });
        self.dropped.0.lock().unwrap_or_else(PoisonError::into_inner).extend(entries);
        self.signals.arrived();
    }
}

#[async_trait]
impl Work for SqliteQueue {
    async fn claim(&self, worker: &WorkerId, want: Want, wait: Duration) -> Result<Vec<Lease>> {
        let until = Instant::now() + wait.min(WAIT_MAX);
        loop {
            // before the look, so that nothing can arrive between the two
            let arrived = self.inner.signals.work().notified();
            let mut arrived = std::pin::pin!(arrived);
            arrived.as_mut().enable();
            let leases = self.claim_now(worker, want).await?;
            let late = Instant::now() >= until;
            if !leases.is_empty() || late || timeout_at(until, arrived).await.is_err() {
                return Ok(leases);
            }
        }
    }

    async fn finish(&self, ending: Ending) -> Result<Verdict> {
        let ended = Arc::new(Finish::new(ending)?);
        loop {
            let this = Arc::clone(&ended);
            match self.write(move |step| finish(step, &this)).await {
                // a full disk, say: what a program gave is worth waiting for
                Err(error) if error.may_pass() && self.writer()?.is_running() => {
                    warn!(%error, "a result cannot be stored yet: {error}");
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                answer => return answer,
            }
        }
    }

    async fn beat(&self, info: &WorkerInfo) -> Result<Orders> {
        let heard = self.inner.heard.take(&info.id);
        let (told, text) = (info.clone(), serde_json::to_string(info)?);
        let orders = self.write(move |step| beat(step, &told, &text, &heard)).await?;
        self.inner.heard.note(&info.id, &orders.cancel);
        Ok(orders)
    }

    async fn retire(&self, worker: &WorkerId) -> Result<()> {
        self.inner.heard.take(worker);
        loop {
            let worker = worker.to_string();
            let (_, done) = self.write(move |step| rescue(step, &worker, RETIRE_MAX)).await?;
            if done {
                return Ok(());
            }
        }
    }

    async fn tick(&self) -> Result<Tick> {
        self.write(tick).await
    }
}

impl SqliteQueue {
    async fn claim_now(&self, worker: &WorkerId, want: Want) -> Result<Vec<Lease>> {
        let (dropped, signals) = (Arc::clone(&self.inner.dropped), Arc::clone(&self.inner.signals));
        let worker = worker.clone();
        let parcel = self.write(move |step| {
            for (holder, entry, delivery) in dropped.take() {
                give_back(step, &holder, &entry, delivery)?;
            }
            let handed = claim(step, worker.as_str(), want)?;
            Ok(Parcel { worker, handed, dropped, signals })
        });
        parcel.await?.open()
    }
}
