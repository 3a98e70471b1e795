//! One step for one batch: sends what was not sent, looks how the provider stands, and takes what
//! it left. Every step may run twice, and may stop anywhere.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use dspy::LmError;
use queue::{Batch, BatchId, BatchState, Recalled, Subject, Wanted};
use serde_json::json;
use tracing::{info, warn};

use super::{
    Problem, Standing,
    facts::{Facts, Part},
    file::File,
    questions::Questions,
    replies::Replies,
};
use crate::{
    gateway::{BatchEndpoint, ProviderBatch, Refusal},
    shift::Shift,
};

/// How long a provider may take: thrice as long as it promises.
const AGE_MAX: Duration = Duration::from_hours(72);

/// What is done for a batch.
pub(super) struct Job<'a> {
    pub(super) shift: &'a Arc<Shift>,
    pub(super) id: BatchId,
    /// Whether somebody may have begun before, and not noted all of it.
    pub(super) may_be_there: bool,
}

/// What a step works with.
struct Work<'a> {
    batch: &'a Batch,
    questions: Questions<'a>,
    facts: Facts<'a>,
    at: BatchEndpoint,
    /// The model as the program names it.
    model: String,
    replies: Replies<'a>,
    /// Whether the items wait for the provider: they were neither called off nor let go.
    waits: bool,
}

impl Job<'_> {
    /// Makes a step. A provider that cannot be asked any more is not waited for without end.
    pub(super) async fn step(&self) -> Result<Standing, Problem> {
        let facts = Facts::of(self.shift.queue.as_ref(), self.id);
        let parts = facts.parts().await?;
        let is_late = is_late(&parts);
        match self.work(facts, parts).await {
            Err(Problem::Provider(Refusal { error, .. })) if is_late => {
                warn!(id = %self.id, "the batch's provider is not waited for any more: {error}");
                self.let_go().await
            }
            other => other,
        }
    }

    async fn work(&self, facts: Facts<'_>, mut parts: Vec<Part>) -> Result<Standing, Problem> {
        let batch = self.shift.queue.batch(self.id).await?;
        let waits = batch.state == BatchState::Paused;
        let questions = match Questions::of(self.shift, &batch).await {
            Ok(questions) => questions,
            Err(error) => return self.without(waits, &parts, &error.to_string()).await,
        };
        let (at, model) = match questions.endpoint().await {
            Ok(known) => known,
            Err(error) => return self.without(waits, &parts, &error.to_string()).await,
        };
        let ttl_max = self.shift.config.lm_cache_ttl;
        let shared = batch.cache_ttl.map(|it| it.min(ttl_max)).filter(|it| !it.is_zero());
        let replies = Replies { shift: self.shift, batch: &batch, shared };
        let work = Work { batch: &batch, questions, facts, at, model, replies, waits };
        if waits {
            self.send(&work, &mut parts).await?;
        }
        self.look(&work, &parts).await
    }

    /// What becomes of a batch whose provider cannot be asked: its items say why, when they run.
    async fn without(&self, waits: bool, parts: &[Part], why: &str) -> Result<Standing, Problem> {
        warn!(id = %self.id, "a batch cannot be sent to its provider: {why}");
        if waits && !parts.is_empty() && !is_late(parts) {
            // What was sent is paid for: somebody may mend this.
            return Ok(Standing::Waiting);
        }
        self.let_go().await
    }

    /// Sends the items that are in no part yet.
    async fn send(&self, work: &Work<'_>, parts: &mut Vec<Part>) -> Result<(), Problem> {
        let queue = self.shift.queue.as_ref();
        let total = u32::try_from(work.batch.total).unwrap_or(u32::MAX);
        let mut first = parts.last().map_or(0, |it| it.next);
        while first < total {
            if !self.still_waits().await? {
                break;
            }
            let number = u32::try_from(parts.len()).unwrap_or(u32::MAX);
            let model = work.model.clone();
            let nothing =
                Part { number, first, next: total, model, file: None, sent_at: Utc::now() };
            let part = if self.is_spent(work).await? {
                // They fail when they run, and say so.
                nothing
            } else {
                let shared = work.replies.shared.is_some();
                let file = File::write(queue, &work.questions, (self.id, first), shared).await?;
                let part = Part { next: file.next.max(first + 1), ..nothing };
                self.upload(work, part, file).await?
            };
            let part = work.facts.note_part(&part).await?;
            self.batch_of(work, &part).await?;
            first = part.next;
            parts.push(part);
        }
        Ok(())
    }

    async fn still_waits(&self) -> Result<bool, Problem> {
        Ok(self.shift.queue.batch(self.id).await?.state == BatchState::Paused)
    }

    /// Whether a budget that counts for the batch is spent.
    async fn is_spent(&self, work: &Work<'_>) -> Result<bool, Problem> {
        let wanted = Wanted {
            place: work.questions.account.next_place("whether a budget is spent".to_owned()),
            shared: false,
            holder: String::new(),
            hold: Duration::ZERO,
            budgets: work.questions.account.budgets().to_vec(),
        };
        Ok(matches!(self.shift.queue.recall(&wanted).await?, Recalled::Spent(_)))
    }

    /// Sends the file of a part, unless it is there. If the provider takes none, its items fail.
    async fn upload(&self, work: &Work<'_>, part: Part, file: File) -> Result<Part, Problem> {
        if file.lines == 0 {
            return Ok(part);
        }
        let (client, at) = (self.shift.gateway.client(), &work.at);
        let name = format!("{}.jsonl", self.name(&part));
        let mut there = None;
        if self.may_be_there {
            there = at.find_file(client, &name, file.bytes.len()).await?;
        }
        let sent = match there {
            Some(id) => Ok(id),
            None => {
                at.upload(client, &name, file.bytes, self.shift.gateway.request_timeout()).await
            }
        };
        match sent {
            Ok(id) => {
                self.shift.metrics.provider_requests.add(file.lines as u64);
                Ok(Part { file: Some(id), ..part })
            }
            Err(refusal) => {
                self.refuse(work, &part, refusal).await?;
                Ok(part)
            }
        }
    }

    /// The provider's batch of a part; made, if there is none. None where nothing is asked.
    async fn batch_of(&self, work: &Work<'_>, part: &Part) -> Result<Option<String>, Problem> {
        let Some(file) = &part.file else { return Ok(None) };
        if let Some(known) = work.facts.batch(part).await? {
            return Ok(Some(known));
        }
        let (client, name) = (self.shift.gateway.client(), self.name(part));
        let mut batch = None;
        if self.may_be_there || !work.waits {
            batch = work.at.find_batch(client, &name).await?;
        }
        if batch.is_none() && work.waits {
            match work.at.create(client, &name, file).await {
                Ok(made) => {
                    self.shift.metrics.provider_batches.add(1);
                    info!(id = %self.id, batch = %made, "sent to {} as {made}", work.at.base());
                    batch = Some(made);
                }
                Err(refusal) => {
                    self.refuse(work, part, refusal).await?;
                    work.facts.note_done(part).await?;
                }
            }
        }
        if let Some(made) = &batch {
            work.facts.note_batch(part, made).await?;
        }
        Ok(batch)
    }

    /// Has the items of a part fail in the provider's words, unless they may change.
    async fn refuse(&self, work: &Work<'_>, part: &Part, refusal: Refusal) -> Result<(), Problem> {
        if refusal.error.is_retryable() {
            return Err(refusal.into());
        }
        let base = work.at.base();
        warn!(id = %self.id, "{base} does not take a batch: {}", refusal.error);
        let mut error = refusal.error;
        if let LmError::Unsupported(said) = &mut error {
            *said =
                format!("{base} has no batches of its own: send the batch without `via` ({said})");
        }
        work.replies.refuse(&work.questions, part, &error).await
    }

    /// Looks how the provider's batches stand; takes what they left when all are over.
    async fn look(&self, work: &Work<'_>, parts: &[Part]) -> Result<Standing, Problem> {
        let mut known = Vec::new();
        let mut is_any_done = false;
        for part in parts {
            if work.facts.is_done(part).await? {
                is_any_done = true;
            } else if let Some(batch) = self.batch_of(work, part).await? {
                known.push((part, self.stand_of(work, &batch).await?));
            }
        }
        if !is_any_done && !known.is_empty() {
            self.tell(&known).await?;
        }
        if !is_late(parts) && known.iter().any(|(_, it)| !it.is_over()) {
            return Ok(Standing::Waiting);
        }
        for (part, batch) in known {
            self.take(work, (&batch, part)).await?;
            work.facts.note_done(part).await?;
        }
        self.let_go().await
    }

    /// Lets the items run. Those of a batch that has ended may be run again.
    async fn let_go(&self) -> Result<Standing, Problem> {
        self.shift.queue.resume_batch(self.id).await?;
        Ok(Standing::Done)
    }

    /// How one of the provider's batches stands. One that nobody waits for is called off.
    async fn stand_of(&self, work: &Work<'_>, batch: &str) -> Result<ProviderBatch, Problem> {
        let client = self.shift.gateway.client();
        let stands = work.at.read(client, batch).await?;
        if work.waits || stands.is_over() || stands.status == "cancelling" {
            return Ok(stands);
        }
        match work.at.cancel(client, batch).await {
            // It came to its end in between.
            Err(Refusal { error: LmError::BadRequest(_), .. }) => {
                Ok(work.at.read(client, batch).await?)
            }
            other => Ok(other?),
        }
    }

    async fn take(
        &self,
        work: &Work<'_>,
        (batch, part): (&ProviderBatch, &Part),
    ) -> Result<(), Problem> {
        let said = match batch.refusal() {
            Some(said) => said,
            None if batch.is_over() => return work.replies.take(&work.at, (batch, part)).await,
            None => format!("it is still {} after three days", batch.status),
        };
        let error = LmError::BadRequest(format!("the provider did not run {}: {said}", batch.id));
        work.replies.refuse(&work.questions, part, &error).await
    }

    /// Keeps how the provider's batches stand with the batch, for whoever looks at it.
    async fn tell(&self, known: &[(&Part, ProviderBatch)]) -> Result<(), Problem> {
        let view = |(_, it): &(&Part, ProviderBatch)| {
            let counts = it.request_counts.unwrap_or_default();
            json!({
                "id": it.id, "status": it.status, "total": counts.total,
                "completed": counts.completed, "failed": counts.failed,
            })
        };
        let words = json!(known.iter().map(view).collect::<Vec<_>>()).to_string();
        Ok(self.shift.queue.note(Subject::Execution(self.id.whole()), &words).await?)
    }

    /// Our name for a part at the provider.
    fn name(&self, part: &Part) -> String {
        format!("dspyx-{}-{}", self.id, part.number)
    }
}

/// Whether a provider has had more time for a batch than it may take.
fn is_late(parts: &[Part]) -> bool {
    let age = |it: &Part| (Utc::now() - it.sent_at).to_std().unwrap_or_default();
    parts.iter().any(|it| age(it) > AGE_MAX)
}
