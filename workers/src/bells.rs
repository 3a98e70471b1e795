//! Bells that ring when something has ended that is to be told, for those of this worker who tell
//! it. What ends elsewhere they find when they look.

use queue::{Channel, ExecutionId, Spec};
use tokio::sync::Notify;

/// A bell for each channel.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    pub(crate) webhooks: Notify,
    pub(crate) tracking: Notify,
}

impl Bells {
    /// Rings for those who are to tell of an execution's end; an item's is not told.
    pub(crate) fn ring(&self, id: ExecutionId, spec: &Spec) {
        for channel in spec.channels().filter(|_| id.item_of().is_none()) {
            match channel {
                Channel::Webhook => self.webhooks.notify_one(),
                Channel::Tracking => self.tracking.notify_one(),
                Channel::Provider => {} // told of batches alone
            }
        }
    }
}
