//! Heartbeats and what keeps the queue moving.

use std::time::{Duration, Instant};

use redis::Value;

use super::{RedisQueue, claim::read, millis};
use crate::{Clock, Orders, Result, Tick, WorkerId, WorkerInfo};

/// The most of each kind that one round of upkeep moves: it blocks the server for 1 ms or less.
const TICK_MAX: usize = 100;

impl RedisQueue {
    pub(super) async fn show_life(&self, info: &WorkerInfo) -> Result<Orders> {
        let store = &self.store;
        let (now, lease) = (store.now(), millis(store.limits.lease));
        let text = serde_json::to_string(info)?;
        let mut call = store.scripts.beat.key(store.prefix());
        let heard = store.heard().remove(&info.id).unwrap_or_default();
        call.arg(&now).arg(lease).arg(info.id.as_str()).arg(&text).arg(&heard);
        let reply: Vec<Value> = store.home.call(&call).await?;
        let mut reply = reply.into_iter();
        let (dead, paused): (u8, u8) = (read(reply.next())?, read(reply.next())?);
        let epoch: u64 = read(reply.next())?;
        let wait: String = read(reply.next())?;
        let wait = wait.parse().ok().map(Duration::from_millis);
        *store.quiet() = wait.map(|wait| Instant::now() + wait);
        let orders = reply.map(|id| read(Some(id))).collect::<Result<Vec<String>>>()?;
        let cancel = orders.iter().map(|id| id.parse()).collect::<Result<_>>()?;
        if !orders.is_empty() {
            store.heard().insert(info.id.clone(), orders);
        }
        Ok(Orders { cancel, paused: paused == 1, declared_dead: dead == 1, epoch })
    }

    /// Asks the server for nothing while the last heartbeat has said that nothing is due.
    pub(super) async fn keep_up(&self) -> Result<Tick> {
        let quiet_until = self.store.quiet().filter(|_| matches!(self.store.clock, Clock::Store));
        let wait = quiet_until.map(|at| at.saturating_duration_since(Instant::now()));
        if let Some(wait) = wait.filter(|it| !it.is_zero()) {
            return Ok(Tick { next_due: Some(wait), ..Tick::default() });
        }
        *self.store.quiet() = None;
        self.packer.notify_one(); // what a worker did not come to that died
        self.tick_once("").await
    }

    pub(super) async fn strike_off(&self, worker: &WorkerId) -> Result<()> {
        while self.tick_once(worker.as_str()).await?.more {}
        self.claims.forget(worker);
        self.store.heard().remove(worker);
        Ok(())
    }

    async fn tick_once(&self, given_up: &str) -> Result<Tick> {
        let store = &self.store;
        let (now, ttl) = (store.now(), store.ttl());
        let mut call = store.scripts.tick.key(store.prefix());
        call.arg(&now).arg(ttl).arg(TICK_MAX).arg(store.limits.crashes_max).arg(given_up);
        call.arg(store.limits.outbox_max);
        let (promoted, rescued, expired, due, more): (u64, u64, u64, String, u8) =
            store.home.call(&call).await?;
        let next_due = due.parse().ok().map(Duration::from_millis);
        Ok(Tick { promoted, rescued, expired, next_due, more: more == 1 })
    }
}
