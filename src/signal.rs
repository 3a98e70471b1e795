//! What the system asks of a running service. Installed only by the commands that honour it.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The two steps of stopping.
#[derive(Clone)]
pub(crate) struct Stop {
    /// Take nothing new, and let what runs end.
    pub(crate) stop: CancellationToken,
    /// Let go at once.
    pub(crate) hurry: CancellationToken,
}

impl Stop {
    /// Steps that nothing has asked for.
    pub(crate) fn new() -> Self {
        Self { stop: CancellationToken::new(), hurry: CancellationToken::new() }
    }

    /// Listens for SIGTERM and SIGINT until it is dropped: the first is `stop`, the second `hurry`.
    pub(crate) async fn on_signals(self) -> Result<()> {
        let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        for (step, words) in [
            (self.stop, "stopping: running work may end; signal again to stop at once"),
            (self.hurry, "stopping at once"),
        ] {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            info!("{words}");
            step.cancel();
        }
        Ok(())
    }
}
