//! Puts what a provider said into the journals of the items that asked: there they find it when
//! they run, paid for. A place is filled once, so all of this may be done twice.

use std::{sync::Arc, time::Duration};

use dspy::LmError;
use futures::future::try_join_all;
use queue::{Batch, Paid, State};
use tracing::warn;

use super::{
    Problem,
    facts::Part,
    file::{asked, page},
    name::Name,
    questions::Questions,
};
use crate::{
    gateway::{Account, BatchEndpoint, Kept, Outcome, ProviderBatch, REPLIES_KEPT, outcome},
    shift::Shift,
};

/// How many are put into the store at once.
const AT_ONCE: usize = 64;

/// Where the replies of one batch go.
pub(super) struct Replies<'a> {
    pub(super) shift: &'a Arc<Shift>,
    pub(super) batch: &'a Batch,
    /// How long a reply serves equal calls, if at all.
    pub(super) shared: Option<Duration>,
}

impl Replies<'_> {
    /// Takes what a provider's batch that is over has left. Requests that it did not answer are
    /// asked anew by their items.
    pub(super) async fn take(
        &self,
        at: &BatchEndpoint,
        (over, part): (&ProviderBatch, &Part),
    ) -> Result<(), Problem> {
        let client = self.shift.gateway.client();
        let bytes_max = self.shift.gateway.reply_bytes_max();
        let generation = self.generation(part).await?;
        for file in [&over.output_file_id, &over.error_file_id].into_iter().flatten() {
            let mut lines = at.content(client, file).await?;
            while let Some(some) = lines.next(bytes_max).await? {
                for some in some.chunks(AT_ONCE) {
                    try_join_all(some.iter().map(|line| self.put((part, generation), line)))
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Has the items of a part fail in the words of a provider that took none of it.
    pub(super) async fn refuse(
        &self,
        questions: &Questions<'_>,
        part: &Part,
        error: &LmError,
    ) -> Result<(), Problem> {
        let mut from = part.first;
        while from < part.next {
            let items = page(self.shift.queue.as_ref(), self.batch.id, from).await?;
            let Some((last, _)) = items.last() else { break };
            let (last, mut puts) = (*last, Vec::new());
            for (index, item) in items.iter().filter(|(index, _)| *index < part.next) {
                for line in asked(questions, item).await {
                    let place = (*index, item.generation);
                    puts.push(self.paid(place, line.request, &Kept::refusal(error)));
                }
            }
            self.keep(puts).await?;
            from = last + 1;
        }
        Ok(())
    }

    /// The generation in which the items of a part look for replies. What has ended does so when
    /// it is run again.
    async fn generation(&self, part: &Part) -> Result<u32, Problem> {
        let items = page(self.shift.queue.as_ref(), self.batch.id, part.first).await?;
        let open = items.iter().filter(|(_, it)| it.state != State::Succeeded);
        let next = open.map(|(_, it)| it.generation + u32::from(it.state.is_terminal()));
        Ok(next.max().unwrap_or_default())
    }

    async fn put(&self, (part, generation): (&Part, u32), line: &[u8]) -> Result<(), Problem> {
        let known = outcome(line, &part.model).and_then(|(id, it)| Some((Name::read(&id)?, it)));
        let Some((name, outcome)) = known.filter(|(it, _)| self.is_ours(part, *it)) else {
            warn!(id = %self.batch.id, "a line of the provider's file is no answer to a request");
            return Ok(());
        };
        let kept = match outcome {
            Outcome::Reply(reply) => Kept::Reply { reply, batch: true },
            Outcome::Refused(error) => Kept::refusal(&error),
            Outcome::Nothing => return Ok(()),
        };
        self.shift.metrics.provider_replies.add(1);
        Ok(self
            .shift
            .queue
            .keep(&self.paid((name.index, generation), name.request(), &kept))
            .await?)
    }

    fn is_ours(&self, part: &Part, name: Name) -> bool {
        (part.first..part.next).contains(&name.index) && u64::from(name.index) < self.batch.total
    }

    /// What is kept of an item's request, and who pays.
    fn paid(&self, (index, generation): (u32, u32), request: String, kept: &Kept) -> Paid {
        let item = (self.batch.id.item(index), generation);
        let account = Account::new(item, Arc::clone(&self.batch.spec), None, self.shared);
        let (shared, micros) = match kept {
            Kept::Reply { reply, .. } => {
                let terms = self.shift.gateway.terms(&reply.model).in_batch();
                (self.shared, terms.micros(reply.usage).unwrap_or_default())
            }
            Kept::Refusal { .. } => (None, 0),
        };
        Paid {
            place: account.next_place(request),
            holder: String::new(),
            reply: serde_json::to_value(kept).unwrap_or_default(),
            kept: REPLIES_KEPT,
            shared,
            costs: account.charge(micros),
            corrections: Vec::new(),
        }
    }

    async fn keep(&self, puts: Vec<Paid>) -> Result<(), Problem> {
        for some in puts.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|it| self.shift.queue.keep(it))).await?;
        }
        Ok(())
    }
}
