//! Keeps the worker's programs those of the fleet: reads them again when they may have changed.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{self, Instant},
};
use tracing::{info, warn};

use crate::shift::Shift;

/// How often the folder is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// How long the store may take to tell the programs it keeps.
const TIMEOUT: Duration = Duration::from_secs(5);

/// When the programs were read last. Its lock makes one reading serve all who wait for it, so it
/// is held over the reading: the waiting is its purpose.
#[derive(Debug, Default)]
pub(crate) struct Refresh(Mutex<Option<Instant>>);

impl Shift {
    /// Reads the programs again, unless that was begun after `since`.
    pub(crate) async fn refresh(self: &Arc<Self>, since: Instant) {
        let mut last = self.refresh.0.lock().await;
        if last.is_some_and(|last| last > since) {
            return;
        }
        let began = Instant::now();
        let _told = self.read_kept().await;
        self.reload().await;
        *last = Some(began);
    }

    /// Reads what the store keeps, and says for which epoch.
    pub(crate) async fn read_kept(self: &Arc<Self>) -> Option<u64> {
        let read = async {
            let (kept, epoch) = self.queue.programs().await?;
            Ok::<_, queue::Error>((kept, epoch, self.queue.manifests().await?))
        };
        match time::timeout(TIMEOUT, read).await {
            Ok(Ok((kept, epoch, findings))) => {
                let shift = Arc::clone(self);
                let keep = tokio::task::spawn_blocking(move || {
                    shift.registry.describe(&findings);
                    shift.registry.keep(&kept)
                });
                let kept = keep.await.is_ok();
                self.follow();
                kept.then_some(epoch)
            }
            Ok(Err(error)) => {
                warn!(%error, "cannot read the registered programs: {error}");
                None
            }
            Err(_) => {
                warn!("cannot read the registered programs: the store does not answer");
                None
            }
        }
    }

    /// Reads what changed in the folder.
    async fn reload(self: &Arc<Self>) {
        let shift = Arc::clone(self);
        let reload = tokio::task::spawn_blocking(move || shift.registry.reload());
        if let Ok(reload) = reload.await
            && reload.is_change()
        {
            self.follow();
            let (added, changed, removed) =
                (reload.added.len(), reload.changed.len(), reload.removed.len());
            info!("programs: {added} added, {changed} changed, {removed} removed");
        }
    }
}

/// Reads the folder again and again; and what the store keeps, when its epoch changes.
pub(crate) async fn follow(shift: Arc<Shift>, mut epochs: tokio::sync::watch::Receiver<u64>) {
    let mut known = None;
    loop {
        let epoch = *epochs.borrow_and_update();
        if known != Some(epoch) && epoch != UNKNOWN {
            known = shift.read_kept().await.map(|_| epoch);
            if known.is_some() {
                shift.reload().await;
            }
        }
        tokio::select! {
            () = time::sleep(EVERY) => shift.reload().await,
            () = shift.sources.until_changed() => shift.follow(),
            changed = epochs.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// The epoch before the first heartbeat.
pub(crate) const UNKNOWN: u64 = u64::MAX;
