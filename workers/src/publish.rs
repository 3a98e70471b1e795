//! Publishes what was found out about Python programs by loading them, so that the API can check
//! inputs without loading anything.

use std::{sync::Arc, time::Duration};

use programs::Finding;
use tokio::{sync::mpsc, time};
use tracing::warn;

use crate::shift::Shift;

/// How long to wait before a store that cannot be reached is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How long the store may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Publishes what comes, each until the store has it.
pub(crate) async fn publish(
    shift: Arc<Shift>,
    mut findings: mpsc::UnboundedReceiver<(String, Finding)>,
) {
    while let Some((program, finding)) = findings.recv().await {
        let Ok(text) = serde_json::to_string(&finding) else { continue };
        let mut was_told = false;
        loop {
            let published = shift.queue.publish_manifest(&program, &text);
            match time::timeout(TIMEOUT, published).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) if !was_told => {
                    warn!(%program, %error, "cannot publish the manifest: {error}; trying again");
                    was_told = true;
                }
                Ok(Err(_)) | Err(_) => {}
            }
            time::sleep(RETRY).await;
        }
    }
}
