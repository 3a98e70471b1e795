//! The side that workers use.

use std::time::Duration;

use async_trait::async_trait;

use super::RedisQueue;
use crate::{Ending, Lease, Orders, Result, Tick, Verdict, Want, Work, WorkerId, WorkerInfo};

#[async_trait]
impl Work for RedisQueue {
    async fn claim(&self, worker: &WorkerId, want: Want, wait: Duration) -> Result<Vec<Lease>> {
        self.claim_work(worker, want, wait).await
    }

    async fn finish(&self, ending: Ending) -> Result<Verdict> {
        self.finish_work(ending).await
    }

    async fn beat(&self, info: &WorkerInfo) -> Result<Orders> {
        self.show_life(info).await
    }

    async fn retire(&self, worker: &WorkerId) -> Result<()> {
        self.strike_off(worker).await
    }

    async fn tick(&self) -> Result<Tick> {
        self.keep_up().await
    }
}
