//! The smallest worker there is: claims, calls a function, finishes. It measures the engine, not
//! the programs.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail};
use chrono::Utc;
use queue::{End, Ending, Fields, Lease, Queue, Report, Verdict, Want, WorkerId, WorkerInfo};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// How long a claim waits for work.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Noop {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) slots: usize,
    /// Called with the inputs of each execution; its answer is the outputs.
    pub(super) handler: Arc<dyn Fn(&Fields) -> Fields + Send + Sync>,
}

impl Noop {
    /// Works until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<()> {
        let id = WorkerId::new("bench", std::process::id());
        let _beats = self.beat(&id).await?;
        let mut running: JoinSet<Result<()>> = JoinSet::new();
        while !stop.is_cancelled() {
            // Half at a time, as workers do: one half is handed out while the other runs.
            let free = self.slots.saturating_sub(running.len()).min(self.slots.div_ceil(2));
            let mut claimed = Vec::new();
            if free > 0 {
                let claim = self.claim(&id, free, running.is_empty());
                claimed = stop.run_until_cancelled(claim).await.unwrap_or(Ok(Vec::new()))?;
            }
            let more = free > 0 && claimed.len() == free;
            for lease in claimed {
                running.spawn(finish(Arc::clone(&self.queue), Arc::clone(&self.handler), lease));
            }
            if !more && let Some(ended) = running.join_next().await {
                ended??;
            }
            while let Some(ended) = running.try_join_next() {
                ended??;
            }
        }
        self.queue.retire(&id).await?;
        Ok(())
    }

    async fn claim(&self, id: &WorkerId, free: usize, idle: bool) -> Result<Vec<Lease>> {
        let want = Want { slots: free, bulk: free, suspect: false };
        let wait = if idle { PATIENCE } else { Duration::ZERO };
        Ok(self.queue.claim(id, want, wait).await?)
    }

    /// Beats now, and every second for as long as the answer lives.
    async fn beat(&self, id: &WorkerId) -> Result<JoinSet<()>> {
        let info = WorkerInfo {
            id: id.clone(),
            host: "bench".to_owned(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            slots: self.slots,
            running: 0,
            started_at: Utc::now(),
            programs: Vec::new(),
        };
        self.queue.beat(&info).await?;
        let (queue, mut beats) = (Arc::clone(&self.queue), JoinSet::new());
        beats.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if queue.beat(&info).await.is_err() {
                    return;
                }
            }
        });
        Ok(beats)
    }
}

async fn finish(
    queue: Arc<dyn Queue>,
    handler: Arc<dyn Fn(&Fields) -> Fields + Send + Sync>,
    lease: Lease,
) -> Result<()> {
    let (started_at, began) = (Utc::now(), Instant::now());
    let outputs = handler(&lease.task.inputs);
    let end = End::Succeeded(Report::outputs(outputs));
    let ending = Ending { lease, end, started_at, run_time: began.elapsed() };
    match queue.finish(ending).await? {
        Verdict::Recorded(_) => Ok(()),
        verdict @ (Verdict::RecordedLate(_) | Verdict::Refused) => bail!("unexpected: {verdict:?}"),
    }
}
