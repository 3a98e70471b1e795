//! The side of the queue from which the world is told of what has ended: whoever asked to be
//! called, and whoever keeps a record elsewhere. What is told, and how, it does not know.
//!
//! A notice is put in with the end itself, in one step, so that none is lost; it names what it is
//! about and nothing more. Workers take notices for a time, and say what became of them. One whose
//! worker died is taken by another when that time is over: each is delivered at least once, or
//! dropped and counted.

use std::{fmt, str::FromStr, time::Duration};

use async_trait::async_trait;

use crate::{BatchId, Error, ExecutionId, Result, Spec, TextId, Via};

/// Hands notices out, and takes back what became of them. Every method is one atomic step.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes notices of a channel that are due, the oldest first, for so long. Whoever takes them
    /// has to say what became of them before that is over.
    async fn take_notices(
        &self,
        channel: Channel,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Notice>>;

    /// Says what became of notices. Of one that was taken by another since then, or put in anew,
    /// nothing is changed.
    async fn delivered(&self, deliveries: &[(Notice, Delivery)]) -> Result<()>;

    /// Keeps a few words with an execution or a batch, in the place of others: its name elsewhere.
    /// They are forgotten as results are.
    async fn note(&self, subject: Subject, words: &str) -> Result<()>;

    /// The words that are kept with each of these.
    async fn notes(&self, subjects: &[Subject]) -> Result<Vec<Option<String>>>;

    /// Keeps a text under its own fingerprint, for what is kept with many results to name instead
    /// of holding it. It is there for as long as any result that is recorded within `time` from
    /// now.
    async fn keep_text(&self, id: TextId, text: &str, time: Duration) -> Result<()>;

    /// The texts of these names, as far as they are there.
    async fn texts(&self, ids: &[TextId]) -> Result<Vec<Option<String>>>;

    /// How each channel stands, in the order of [`Channel::ALL`].
    async fn outbox(&self) -> Result<[ChannelStats; Channel::ALL.len()]>;
}

/// Who is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// Whoever a request named, when its execution or batch has ended.
    Webhook,
    /// The server that keeps a record of all: when an execution has ended, when a batch has begun,
    /// and when it has ended.
    Tracking,
    /// Whoever has a batch run by its model's provider: when the batch is whole, and when it has
    /// ended, as nobody waits for the provider then. Such notices are never pushed out by newer
    /// ones: there are as many as such batches.
    Provider,
}

/// What a notice is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// An execution; of an item, only words are kept, as it gives no notice.
    Execution(ExecutionId),
    /// A batch.
    Batch(BatchId),
}

/// A notice that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Who is to be told.
    pub channel: Channel,
    /// What of.
    pub subject: Subject,
    /// How often it was taken before, since it was put in or was to go on.
    pub taken: u32,
    /// Until when (ms) it is with whoever took it: by this it is known again.
    pub(crate) until: i64,
}

/// What became of a notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// It was delivered.
    Sent,
    /// It is given up.
    Dropped,
    /// It was not delivered, and is due again after so long.
    Later(Duration),
    /// It goes on after so long: that it was not delivered before, counts once and no more.
    Again(Duration),
}

/// How a channel stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChannelStats {
    /// Notices that were put in and not delivered yet.
    pub waiting: u64,
    /// Notices delivered.
    pub sent: u64,
    /// Notices given up, or pushed out by newer ones.
    pub dropped: u64,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Channel; 3] = [Channel::Webhook, Channel::Tracking, Channel::Provider];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Webhook => "webhook",
            Channel::Tracking => "tracking",
            Channel::Provider => "provider",
        }
    }

    /// The letter for it in the stores.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Channel::Webhook => "w",
            Channel::Tracking => "t",
            Channel::Provider => "p",
        }
    }
}

impl Spec {
    /// The channels that are told of its end; of an item's, that of its batch.
    pub fn channels(&self) -> impl Iterator<Item = Channel> {
        let webhook = self.webhook.is_some().then_some(Channel::Webhook);
        let tracking = self.tracked.then_some(Channel::Tracking);
        let provider = (self.via == Via::Provider).then_some(Channel::Provider);
        webhook.into_iter().chain(tracking).chain(provider)
    }

    /// The letters of these channels.
    pub(crate) fn tells(&self) -> String {
        self.channels().map(Channel::letter).collect()
    }
}

/// The mark before a batch's name; no execution's name begins so.
const BATCH: &str = "b:";

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Execution(id) => id.fmt(f),
            Subject::Batch(id) => write!(f, "{BATCH}{id}"),
        }
    }
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix(BATCH) {
            Some(id) => Ok(Subject::Batch(id.parse()?)),
            None => Ok(Subject::Execution(text.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_they_are_written() {
        let batch = BatchId::new();
        let all = [
            Subject::Execution(ExecutionId::new()),
            Subject::Execution(batch.item(7)),
            Subject::Batch(batch),
        ];
        for subject in all {
            assert_eq!(subject.to_string().parse::<Subject>().unwrap(), subject);
        }
    }
}
