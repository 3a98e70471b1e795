//! The side where work is put in, as steps of the writer.

use async_trait::async_trait;

use super::{
    SqliteQueue,
    batch::{PackedBatch, submit_batch},
    cancel::{Progress, call_off, cancel},
    retry::{is_being_called_off, retry, retry_dead_page, retry_page},
    submit::submit,
};
use crate::{
    BatchId, Error, ExecutionId, Intake, NewBatch, NewExecution, Result, State, Submitted,
};

#[async_trait]
impl Intake for SqliteQueue {
    async fn submit(&self, new: NewExecution) -> Result<Submitted> {
        self.write(move |step| submit(step, &new)).await
    }

    async fn submit_batch(&self, new: NewBatch) -> Result<Submitted<BatchId>> {
        self.writer()?;
        let packed = tokio::task::spawn_blocking(move || PackedBatch::new(new))
            .await
            .map_err(|error| Error::Unavailable(error.to_string()))??;
        self.write(move |step| submit_batch(step, &packed)).await
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
    /// What is run again must not meet what still waits to hear that it was called off.
    async fn end_call_off(&self, id: BatchId) -> Result<()> {
        if self.write(move |step| is_being_called_off(step, id)).await? {
            self.cancel_batch(id).await?;
        }
        Ok(())
    }
}
