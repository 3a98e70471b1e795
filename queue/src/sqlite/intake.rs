//! The side where work is put in, as steps of the writer.

use async_trait::async_trait;

use super::{
    SqliteQueue,
    cancel::{Progress, call_off, cancel},
    custom_ids::custom_ids,
    retry::{is_being_called_off, retry, retry_dead_page, retry_page},
    steer::{set_budget, steer_batch},
    submit::submit,
    upload::{PackedPart, add_part, discard_batch, open_batch, seal_batch, submit_batch},
};
use crate::{
    BatchId, Error, ExecutionId, Intake, NewBatch, NewExecution, Part, Release, Result, Seal,
    State, Submitted,
};

#[async_trait]
impl Intake for SqliteQueue {
    async fn submit(&self, new: NewExecution) -> Result<Submitted> {
        self.write(move |step| submit(step, &new)).await
    }

    async fn submit_batch(&self, new: NewBatch) -> Result<Submitted<BatchId>> {
        let (new, part) = self.pack(new).await?;
        self.write(move |step| submit_batch(step, &new, &part)).await
    }

    async fn open_batch(&self, new: NewBatch, release: Release) -> Result<Submitted<BatchId>> {
        self.write(move |step| open_batch(step, &new, release)).await
    }

    async fn add_part(&self, id: BatchId, part: Part) -> Result<u64> {
        let part = self.pack_part(part).await?;
        self.write(move |step| add_part(step, id, &part)).await
    }

    async fn seal_batch(&self, id: BatchId, seal: Seal) -> Result<Submitted<BatchId>> {
        let sealed = self.write(move |step| seal_batch(step, id, &seal)).await?;
        sealed.ok_or(Error::KeyReused)
    }

    async fn discard_batch(&self, id: BatchId) -> Result<()> {
        self.write(move |step| discard_batch(step, id)).await
    }

    async fn custom_ids(&self, id: BatchId, from: u64) -> Result<Vec<(u64, u32)>> {
        self.read(move |db, _| custom_ids(db, id, from)).await
    }

    async fn pause_batch(&self, id: BatchId) -> Result<()> {
        self.write(move |step| steer_batch(step, id, true)).await
    }

    async fn resume_batch(&self, id: BatchId) -> Result<()> {
        self.write(move |step| steer_batch(step, id, false)).await
    }

    async fn set_batch_budget(&self, id: BatchId, micros: Option<u64>) -> Result<()> {
        self.write(move |step| set_budget(step, id, micros)).await
    }

    async fn cancel(&self, id: ExecutionId) -> Result<State> {
        self.write(move |step| cancel(step, id)).await
    }

    async fn retry(&self, id: ExecutionId) -> Result<State> {
        if let Some((batch, _)) = id.item_of() {
            self.end_call_off(batch).await?;
        }
        self.write(move |step| retry(step, id)).await
    }

    async fn cancel_batch(&self, id: BatchId) -> Result<()> {
        let mut from = Some(Progress::default());
        while let Some(progress) = from {
            from = self.write(move |step| call_off(step, id, progress)).await?;
        }
        Ok(())
    }

    async fn retry_batch(&self, id: BatchId) -> Result<u64> {
        self.end_call_off(id).await?;
        let (mut count, mut from) = (0, Some(0));
        while let Some(position) = from {
            let (more, next) = self.write(move |step| retry_page(step, id, position)).await?;
            count += more;
            from = next;
        }
        Ok(count)
    }

    async fn retry_dead(&self, owner: Option<&str>, max: usize) -> Result<u64> {
        let (mut count, mut from) = (0, Some(0));
        while let Some(key) = from {
            let owner = owner.map(str::to_owned);
            let most = max.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
            if most == 0 {
                break;
            }
            let page = move |step: &mut super::step::Step<'_>| {
                retry_dead_page(step, owner.as_deref(), most, key)
            };
            let (more, next) = self.write(page).await?;
            count += more;
            from = next;
        }
        Ok(count)
    }
}

impl SqliteQueue {
    /// Packs the chunks of what comes in, outside of the transaction: it takes time.
    async fn pack_part(&self, part: Part) -> Result<PackedPart> {
        self.writer()?;
        let packed = tokio::task::spawn_blocking(move || PackedPart::new(part));
        packed.await.map_err(|error| Error::Unavailable(error.to_string()))?
    }

    /// A batch without its items, and these.
    async fn pack(&self, mut new: NewBatch) -> Result<(NewBatch, PackedPart)> {
        let items = std::mem::take(&mut new.items);
        let part = self.pack_part(Part { first: 0, items, digest: String::new() }).await?;
        Ok((new, part))
    }

    /// What is run again must not meet what still waits to hear that it was called off.
    async fn end_call_off(&self, id: BatchId) -> Result<()> {
        if self.write(move |step| is_being_called_off(step, id)).await? {
            self.cancel_batch(id).await?;
        }
        Ok(())
    }
}
