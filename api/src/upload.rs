//! From a body to items: read as it comes, decoded and checked by a thread, in bounded memory.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use http_body_util::BodyExt;
use queue::{BatchId, BatchItem, CHUNK_ITEMS, CUSTOM_IDS_PAGE, CustomIds, Part, Queue};
use sha2::{Sha256, digest::Output};
use tokio::{
    sync::{Semaphore, SemaphorePermit, mpsc},
    time::{Instant, timeout},
};

use crate::{
    App, Config, bounds,
    decoding::{Coding, Decoder, Frame},
    error::{Error, Result},
    item::Items,
    ndjson::Lines,
};

/// How many frames of a body may wait for the thread that reads them.
const FRAMES_MAX: usize = 16;
/// How many items are handed on at once, and from how many bytes on fewer are.
const PIECE_ITEMS: usize = 64 * CHUNK_ITEMS;
const PIECE_BYTES: u64 = 4 << 20;
/// How much of an upload of any length must come, as it is sent, in the time of a whole body.
const PACE_BYTES: usize = 1 << 20;
/// Of how many open batches the custom ids are remembered.
const REMEMBERED_MAX: usize = 8;

/// What a process knows of the uploads that it takes.
pub(crate) struct Uploads {
    permits: Semaphore,
    custom_ids: Mutex<Vec<(BatchId, CustomIds)>>,
}

/// A body that is to be read as items.
pub(crate) struct Upload {
    pub(crate) body: Body,
    pub(crate) coding: Coding,
    pub(crate) items: Arc<Items>,
    /// Whether its digest is asked for.
    pub(crate) hashed: bool,
    /// How many bytes it may have as it is sent, and 4 times that without its encoding; none for
    /// any number.
    pub(crate) bytes_max: Option<usize>,
    /// How many items it may have.
    pub(crate) items_max: u64,
}

/// Items of an upload, and in which lines they stand.
pub(crate) type Piece = Vec<(u64, BatchItem)>;

/// Where the items of an upload go.
pub(crate) enum Sink<'a> {
    /// All into memory.
    Memory(&'a mut Piece),
    /// Piece by piece into a batch.
    Batch(&'a mut Filling),
}

/// A batch that is being filled.
pub(crate) struct Filling {
    queue: Arc<dyn Queue>,
    id: BatchId,
    items: Arc<Items>,
    names: CustomIds,
    /// How many items it has so far.
    pub(crate) total: u32,
    /// How many of them cannot be run.
    pub(crate) invalid: usize,
}

impl Filling {
    /// A batch without items.
    pub(crate) fn of(queue: &Arc<dyn Queue>, id: BatchId, items: &Arc<Items>) -> Self {
        let (queue, items) = (Arc::clone(queue), Arc::clone(items));
        let names = CustomIds::default();
        Self { queue, id, items, names, total: 0, invalid: 0 }
    }

    async fn add(&mut self, piece: Piece) -> Result<()> {
        let first = self.total;
        let items = self.items.name_once(&mut self.names, first, piece);
        self.total += u32::try_from(items.len()).unwrap_or(u32::MAX);
        self.invalid += items.iter().filter(|it| it.invalid.is_some()).count();
        self.queue.add_part(self.id, Part { first, items, digest: String::new() }).await?;
        Ok(())
    }
}

impl Sink<'_> {
    async fn take(&mut self, mut piece: Piece) -> Result<()> {
        match self {
            Self::Memory(all) => {
                all.append(&mut piece);
                Ok(())
            }
            Self::Batch(filling) => filling.add(piece).await,
        }
    }
}

/// The hash of what was sent, without its encoding, if it was asked for.
pub(crate) type Hash = Option<Output<Sha256>>;

impl App {
    /// The right to take an upload in, if one is free in time.
    pub(crate) async fn upload_permit(&self) -> Result<SemaphorePermit<'_>> {
        let most = Duration::from_secs(self.config.upload_wait_seconds_max);
        let permit = timeout(most, self.local.uploads.permits.acquire()).await;
        let permit = permit.map_err(|_| Error::UploadsFull(self.config.uploads_max))?;
        permit.map_err(|_| queue::Error::Unavailable("the server stops".to_owned()).into())
    }

    /// How many uploads are taken in now.
    pub(crate) fn uploads_now(&self) -> usize {
        self.config.uploads_max.saturating_sub(self.local.uploads.permits.available_permits())
    }

    /// Reads an upload to its end, and puts its items somewhere piece by piece.
    pub(crate) async fn read_upload(&self, upload: Upload, mut sink: Sink<'_>) -> Result<Hash> {
        let (frames, received) = mpsc::channel(FRAMES_MAX);
        let (pieces, mut ready) = mpsc::channel(1);
        let Upload { body, coding, items, hashed, bytes_max, items_max } = upload;
        let pace = Pace::of(&self.config, bytes_max);
        let line_bytes_max = self.config.line_bytes_max;
        let reading = tokio::task::spawn_blocking(move || {
            let decoder = coding.decoder(received).map_err(|it| damaged(&it))?;
            let reader = Reader {
                lines: Lines::new(decoder, line_bytes_max, hashed),
                items,
                pieces,
                bytes_max: bytes_max.map(|most| 4 * most as u64),
                items_max,
            };
            reader.run(&coding)
        });
        let taking = async {
            while let Some(piece) = ready.recv().await {
                sink.take(piece).await?;
            }
            Ok(())
        };
        tokio::try_join!(feed(body, pace, frames), taking)?;
        reading.await.map_err(|_| Error::Panic)?
    }

    /// The custom ids that an open batch has used so far.
    pub(crate) async fn custom_ids(&self, id: BatchId) -> Result<CustomIds> {
        let mut known = self.local.uploads.forget(id).unwrap_or_default();
        loop {
            let more = self.queue.custom_ids(id, known.seen()).await?;
            let last = more.len() < CUSTOM_IDS_PAGE;
            known.extend(more);
            if last {
                return Ok(known);
            }
        }
    }
}

impl Uploads {
    /// Room for so many uploads at once.
    pub(crate) fn at_once(most: usize) -> Self {
        Self { permits: Semaphore::new(most), custom_ids: Mutex::default() }
    }

    /// Remembers the custom ids of a batch, to which more items may come.
    pub(crate) fn remember(&self, id: BatchId, known: CustomIds) {
        let mut all = self.custom_ids.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(other, _)| *other != id);
        if all.len() >= REMEMBERED_MAX {
            all.remove(0);
        }
        all.push((id, known));
    }

    /// Takes the custom ids of a batch out of memory.
    pub(crate) fn forget(&self, id: BatchId) -> Option<CustomIds> {
        let mut all = self.custom_ids.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(other, _)| *other == id)?;
        Some(all.remove(at).1)
    }
}

/// How long a body may be waited for, and how much it may bring.
struct Pace {
    idle: Duration,
    total: Duration,
    bytes_max: Option<usize>,
}

impl Pace {
    fn of(config: &Config, bytes_max: Option<usize>) -> Self {
        let idle = Duration::from_secs(config.body_idle_seconds_max);
        Self { idle, total: Duration::from_secs(config.body_total_seconds_max), bytes_max }
    }

    /// How long a body may be waited for in all that has brought so many bytes. One of any length
    /// has more time by what it brings.
    fn total(&self, bytes: usize) -> Duration {
        let brought = if self.bytes_max.is_some() { 0 } else { bytes / PACE_BYTES };
        self.total.saturating_mul(u32::try_from(brought).unwrap_or(u32::MAX).saturating_add(1))
    }
}

/// Hands a body on frame by frame. It may neither stop, nor drip for long, nor end early. The time
/// in which the reader is behind is not the client's.
async fn feed(mut body: Body, pace: Pace, frames: mpsc::Sender<Frame>) -> Result<()> {
    let (mut bytes, mut waited) = (0, Duration::ZERO);
    loop {
        let most = pace.idle.min(pace.total(bytes).saturating_sub(waited));
        let since = Instant::now();
        let frame = timeout(most, body.frame()).await.map_err(|_| Error::TooSlow)?;
        waited += since.elapsed();
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Error::Malformed("the body ended early".to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        bytes += data.len();
        if let Some(most) = pace.bytes_max.filter(|most| bytes > *most) {
            return Err(Error::TooLarge(most));
        }
        if frames.send(Frame::Data(data)).await.is_err() {
            return Ok(()); // the reader has given up, and says why
        }
    }
    // If the reader is gone, it says why.
    let _: Result<(), _> = frames.send(Frame::End).await;
    Ok(())
}

/// What a thread does with an upload.
struct Reader {
    lines: Lines<Decoder>,
    items: Arc<Items>,
    pieces: mpsc::Sender<Piece>,
    bytes_max: Option<u64>,
    items_max: u64,
}

impl Reader {
    fn run(mut self, coding: &Coding) -> Result<Hash> {
        let (mut piece, mut count, mut begun) = (Piece::new(), 0_u64, 0);
        while let Some(line) = self.lines.next().map_err(|error| damaged(&error))? {
            piece.push((line.number, self.items.item(&line)));
            count += 1;
            bounds::items_max(count, self.items_max)?;
            let bytes = self.lines.bytes();
            if let Some(most) = self.bytes_max.filter(|most| bytes > *most) {
                return Err(Error::TooLarge(usize::try_from(most).unwrap_or(usize::MAX)));
            }
            let large = bytes - begun >= PIECE_BYTES && piece.len().is_multiple_of(CHUNK_ITEMS);
            if piece.len() == PIECE_ITEMS || large {
                begun = bytes;
                if self.pieces.blocking_send(std::mem::take(&mut piece)).is_err() {
                    return Err(Error::Malformed("the upload was given up".to_owned()));
                }
            }
        }
        let (digest, decoder) = self.lines.finish();
        coding.verify(decoder)?;
        if !piece.is_empty() && self.pieces.blocking_send(piece).is_err() {
            return Err(Error::Malformed("the upload was given up".to_owned()));
        }
        Ok(digest)
    }
}

fn damaged(error: &std::io::Error) -> Error {
    Error::Malformed(format!("the body cannot be decoded, or ended early: {error}"))
}

/// Forgets a batch that was being uploaded, unless it was accepted. If it cannot be forgotten now,
/// the store does so when nobody has gone on with it for a while.
pub(crate) struct Discard {
    batch: Option<(Arc<dyn Queue>, BatchId)>,
}

impl Discard {
    pub(crate) fn unless_kept(queue: &Arc<dyn Queue>, id: BatchId) -> Self {
        Self { batch: Some((Arc::clone(queue), id)) }
    }

    /// It was accepted.
    pub(crate) fn keep(mut self) {
        self.batch = None;
    }

    /// It was not.
    pub(crate) async fn now(mut self) {
        if let Some((queue, id)) = self.batch.take()
            && let Err(error) = queue.discard_batch(id).await
        {
            tracing::warn!(%error, "cannot forget an upload that failed: {error}");
        }
    }
}

impl Drop for Discard {
    /// The client has gone, and with it the request: nobody is left to wait for this.
    fn drop(&mut self) {
        if let Some((queue, id)) = self.batch.take() {
            tokio::spawn(async move { drop(queue.discard_batch(id).await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_upload_of_any_length_has_more_time_by_what_it_brings() {
        let config = Config { body_total_seconds_max: 10, ..Config::default() };
        let seconds = |bytes_max, bytes| Pace::of(&config, bytes_max).total(bytes).as_secs();

        assert_eq!((seconds(Some(1 << 24), 0), seconds(Some(1 << 24), 1 << 24)), (10, 10));
        assert_eq!((seconds(None, 0), seconds(None, PACE_BYTES - 1)), (10, 10));
        assert_eq!((seconds(None, PACE_BYTES), seconds(None, 9 * PACE_BYTES)), (20, 100));
    }
}
