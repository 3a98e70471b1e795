//! Chunks whose items have all ended, packed: their documents are one string then.
//!
//! A packed chunk begins with a letter for each item, by which scripts know how it ended. The rest
//! is a zstd frame of fields and documents, each behind its length. Whatever changes an item of it
//! unpacks it first.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::try_join_all;
use tokio::sync::Notify;
use tracing::warn;

use super::{
    Store,
    document::{Head, corrupt},
    payloads,
};
use crate::{
    BatchId, CHUNK_ITEMS, Error, Result, State,
    pack::{deflate, inflate},
};

/// How many chunks are packed with one round trip.
const GROUP: usize = 32;
/// How long to wait for more chunks where they go into objects.
const GATHER: Duration = Duration::from_millis(250);
/// How hard to compress: results are kept long, and read seldom.
const ZSTD_LEVEL: i32 = 3;
/// The most that the documents of a chunk may be when unpacked.
pub(super) const BYTES_MAX: usize = 1 << 30;

pub(super) type Documents = HashMap<String, Vec<u8>>;

/// Packs what the scripts say can be packed, whenever it is told. Ends when the store is gone.
pub(super) fn start(store: &Arc<Store>) -> Arc<Notify> {
    let (bell, store) = (Arc::new(Notify::new()), Arc::downgrade(store));
    let rung = Arc::clone(&bell);
    tokio::spawn(async move {
        loop {
            rung.notified().await;
            let Some(store) = store.upgrade() else { return };
            // What is not packed now takes more memory, and nothing else.
            if let Err(error) = pack_all(&store).await {
                warn!(%error, "cannot pack results: {error}");
            }
            if let Err(error) = store.forget_objects().await {
                warn!(%error, "cannot delete what forgotten batches left: {error}");
            }
            if store.objects.is_some() {
                // What comes meanwhile shares an object.
                tokio::time::sleep(GATHER).await;
            }
        }
    });
    bell
}

async fn pack_all(store: &Store) -> Result<()> {
    loop {
        let mut pipe = redis::pipe();
        pipe.cmd("SRANDMEMBER").arg(store.keys.named("packs")).arg(GROUP);
        let (names,): (Vec<String>,) = store.home.query(&pipe).await?;
        if names.is_empty() {
            return Ok(());
        }
        pack_some(store, &names).await?;
    }
}

/// A chunk that is packed, and what it was read from.
struct Chunk {
    batch: BatchId,
    number: u32,
    /// How many documents were read.
    fields: usize,
    /// How often items of the batch had been retried then.
    again: String,
    /// How many items the batch had then.
    items: usize,
    packed: Packed,
}

/// Packs some chunks. Each stays among those to be packed until it is, or cannot be.
async fn pack_some(store: &Store, names: &[String]) -> Result<()> {
    let mut chunks = read_chunks(store, names).await?;
    chunks.sort_by_key(|it| (it.batch, it.number));
    for chunks in chunks.chunk_by_mut(|a, b| a.batch == b.batch) {
        let Some((batch, items)) = chunks.first().map(|it| (it.batch, it.items)) else { continue };
        let frames = chunks.iter_mut().map(|it| &mut it.packed.frame);
        store.take_out((batch, items), frames.filter(|it| !payloads::is_away(it))).await?;
        // Together, or packing would fall behind those that bring results.
        try_join_all(chunks.iter().map(|chunk| put(store, chunk))).await?;
    }
    Ok(())
}

async fn put(store: &Store, chunk: &Chunk) -> Result<()> {
    let Chunk { batch, number, fields, again, packed, .. } = chunk;
    let mut call = store.scripts.pack.key(store.prefix());
    call.arg(batch.to_string()).arg(*number).arg(*fields).arg(again.as_str());
    call.arg(packed.join()).arg(u8::from(payloads::is_away(&packed.frame)));
    store.home.call(&call).await
}

async fn read_chunks(store: &Store, names: &[String]) -> Result<Vec<Chunk>> {
    let (mut known, mut chunks) = (Vec::new(), Vec::new());
    let mut pipe = redis::pipe();
    for name in names {
        match chunk(name) {
            Ok((batch, number)) => {
                pipe.hget(store.keys.batch(batch), "again");
                pipe.hget(store.keys.batch(batch), "total");
                pipe.hgetall(store.keys.results(batch, number));
                pipe.get(store.keys.packed(batch, number as usize));
                known.push((name, batch, number));
            }
            Err(error) => leave_out(store, name, &error).await?,
        }
    }
    if known.is_empty() {
        return Ok(chunks);
    }
    let mut read = store.home.query::<Vec<redis::Value>>(&pipe).await?.into_iter();
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for (name, batch, number) in known {
        let again = super::read::some(read.next())?.unwrap_or_else(|| "0".to_owned());
        let items = super::read::some(read.next())?.unwrap_or_default();
        let documents = super::claim::read(read.next())?;
        let pack = super::read::some(read.next())?;
        names.push(name);
        all.push(Found { batch, number, again, items, documents, pack });
    }
    let pack_all = move || all.into_iter().map(Found::pack).collect::<Vec<_>>();
    let packed = tokio::task::spawn_blocking(pack_all).await;
    let packed = packed.map_err(|error| Error::Unavailable(error.to_string()))?;
    for (name, chunk) in names.into_iter().zip(packed) {
        match chunk {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => leave_out(store, name, &error).await?,
        }
    }
    Ok(chunks)
}

/// What there is of a chunk that can be packed, or is and can be taken out.
struct Found {
    batch: BatchId,
    number: u32,
    again: String,
    items: usize,
    documents: Documents,
    pack: Option<Vec<u8>>,
}

impl Found {
    fn pack(self) -> Result<Chunk> {
        let Self { batch, number, again, items, documents, pack: there } = self;
        let fields = documents.len();
        let packed = match there.filter(|_| fields == 0) {
            Some(pack) => Packed::split(pack)?,
            None => pack(documents.into_iter().collect(), BYTES_MAX)?,
        };
        Ok(Chunk { batch, number, fields, again, items, packed })
    }
}

/// Leaves a chunk as it is: it takes more memory so, and nothing else.
async fn leave_out(store: &Store, name: &str, error: &Error) -> Result<()> {
    warn!(%error, "cannot pack the results {name}: {error}");
    let mut pipe = redis::pipe();
    pipe.srem(store.keys.named("packs"), name).ignore();
    store.home.query(&pipe).await
}

/// The documents of a packed chunk as they were read.
struct Unpacked {
    /// How often items of the batch had been retried then.
    again: String,
    documents: Documents,
}

/// Puts the documents of a packed chunk back, so that some of them can change.
pub(super) async fn unpack_chunk(store: &Store, batch: BatchId, chunk: usize) -> Result<()> {
    let Some(unpacked) = read_pack(store, batch, chunk).await? else { return Ok(()) };
    put_back(store, batch, chunk, unpacked).await
}

async fn read_pack(store: &Store, batch: BatchId, chunk: usize) -> Result<Option<Unpacked>> {
    let mut pipe = redis::pipe();
    pipe.atomic().hget(store.keys.batch(batch), "again").get(store.keys.packed(batch, chunk));
    let (again, packed): (Option<String>, Option<Vec<u8>>) = store.home.query(&pipe).await?;
    let Some(packed) = packed else { return Ok(None) };
    let again = again.unwrap_or_else(|| "0".to_owned());
    let documents = read_documents(store, batch, packed).await?;
    Ok(Some(Unpacked { again, documents }))
}

/// Changes nothing if the chunk was packed anew since: others have ended.
async fn put_back(store: &Store, batch: BatchId, chunk: usize, unpacked: Unpacked) -> Result<()> {
    let batch = batch.to_string();
    let mut call = store.scripts.unpack.key(store.prefix());
    call.arg(&batch).arg(chunk).arg(unpacked.again);
    for (field, document) in unpacked.documents {
        call.arg(field).arg(document);
    }
    store.home.call(&call).await
}

/// A chunk's name as the scripts write it: `batch:number`.
fn chunk(name: &str) -> Result<(BatchId, u32)> {
    let (batch, number) = name.split_once(':').ok_or_else(|| corrupt("a chunk's name"))?;
    Ok((batch.parse()?, number.parse().map_err(|_| corrupt("a chunk's name"))?))
}

/// The documents of a chunk as one string.
pub(super) struct Packed {
    /// How each item ended.
    letters: Vec<u8>,
    /// The documents.
    frame: Vec<u8>,
}

impl Packed {
    fn split(mut letters: Vec<u8>) -> Result<Self> {
        if letters.len() < CHUNK_ITEMS {
            return Err(corrupt("packed results"));
        }
        let frame = letters.split_off(CHUNK_ITEMS);
        Ok(Self { letters, frame })
    }

    pub(super) fn join(&self) -> Vec<u8> {
        [self.letters.as_slice(), &self.frame].concat()
    }
}

/// Packs documents by their fields.
pub(super) fn pack(mut documents: Vec<(String, Vec<u8>)>, bytes_max: usize) -> Result<Packed> {
    documents.sort_unstable();
    let length = |it: &(String, Vec<u8>)| it.0.len() + it.1.len() + 2 * size_of::<u32>();
    let size = documents.iter().map(length).sum();
    if size > bytes_max {
        return Err(corrupt("more than a pack may hold"));
    }
    let mut letters = vec![b'-'; CHUNK_ITEMS];
    let mut plain = Vec::with_capacity(size);
    for (field, document) in &documents {
        if let Ok(index) = field.parse::<usize>() {
            letters[index % CHUNK_ITEMS] = letter(Head::split(document)?.0.state);
        }
        for part in [field.as_bytes(), document.as_slice()] {
            let length = u32::try_from(part.len()).map_err(|_| corrupt("a document's length"))?;
            plain.extend_from_slice(&length.to_be_bytes());
            plain.extend_from_slice(part);
        }
    }
    let frame = deflate(&plain, ZSTD_LEVEL)?;
    Ok(Packed { letters, frame })
}

/// The documents of a chunk, by their fields; nothing if it is not packed.
pub(super) async fn read_chunk(
    store: &Store,
    batch: BatchId,
    chunk: u32,
) -> Result<Option<Documents>> {
    let mut pipe = redis::pipe();
    pipe.get(store.keys.packed(batch, chunk as usize));
    let (packed,): (Option<Vec<u8>>,) = store.home.query(&pipe).await?;
    match packed {
        Some(packed) => read_documents(store, batch, packed).await.map(Some),
        None => Ok(None),
    }
}

/// The documents of a packed chunk, by their fields.
pub(super) async fn read_documents(
    store: &Store,
    batch: BatchId,
    packed: Vec<u8>,
) -> Result<Documents> {
    let Packed { frame, .. } = Packed::split(packed)?;
    documents(&store.bring(batch, frame).await?)
}

fn documents(frame: &[u8]) -> Result<Documents> {
    let broken = || corrupt("packed results");
    let size = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|it| *it <= BYTES_MAX);
    let plain = inflate(frame, size.ok_or_else(broken)?).map_err(|_| broken())?;
    let (mut rest, mut documents) = (plain.as_slice(), Documents::new());
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(part.to_vec())
    };
    while let Some(field) = part() {
        let field = String::from_utf8(field).map_err(|_| broken())?;
        documents.insert(field, part().ok_or_else(broken)?);
    }
    Ok(documents)
}

/// The letter for how an item ended; `STATE_OF` in common.lua.
fn letter(state: State) -> u8 {
    match state {
        State::Succeeded => b's',
        State::Failed => b'f',
        State::Cancelled => b'c',
        State::Expired => b'x',
        State::Scheduled | State::Queued | State::Running => b'-',
    }
}

#[cfg(test)]
mod tests {
    use super::{super::RedisQueue, *};

    #[test]
    fn documents_come_back_from_a_pack() {
        let document = |state: &str, tail: &str| format!("{state}|0|7||0\n{tail}").into_bytes();
        let given = Documents::from([
            ("64".to_owned(), document("succeeded", "a")),
            ("66".to_owned(), document("failed", "")),
            ("h66".to_owned(), document("expired", "b")),
        ]);

        let packed = pack(given.clone().into_iter().collect(), BYTES_MAX).unwrap();

        assert!(packed.letters.starts_with(b"s-f-"));
        assert_eq!(documents(&packed.frame).unwrap(), given);
        assert!(documents(&packed.frame[..packed.frame.len() - 1]).is_err());
        assert!(documents(b"short").is_err());
    }

    #[test]
    fn nothing_is_packed_that_is_too_large_to_be_unpacked() {
        let given = vec![("0".to_owned(), b"failed|0|7||0\n".to_vec())];
        let size = 1 + 14 + 8;

        let packed = pack(given.clone(), size).unwrap();
        assert_eq!(zstd::bulk::decompress(&packed.frame, size).unwrap().len(), size);
        assert!(pack(given, size - 1).is_err());
    }

    #[tokio::test]
    async fn pack_that_is_replaced_is_not_unpacked() {
        let queue = RedisQueue::of_a_test().await;
        let (store, batch) = (&queue.store, BatchId::new());
        let (key, kept) = (store.keys.packed(batch, 0), store.keys.results(batch, 0));
        let document = b"failed|0|7||0\n".to_vec();
        let packed = pack(vec![("0".to_owned(), document)], BYTES_MAX).unwrap();
        store.home.query::<()>(redis::pipe().set(&key, packed.join()).ignore()).await.unwrap();
        let read = read_pack(store, batch, 0).await.unwrap().unwrap();

        // another process retries the item, and what it ended with then is packed
        let mut pipe = redis::pipe();
        pipe.hincr(store.keys.batch(batch), "again", 1).ignore();
        store.home.query::<()>(&pipe).await.unwrap();
        put_back(store, batch, 0, read).await.unwrap();

        let there = async |key: &str| {
            store.home.query::<(bool,)>(redis::pipe().exists(key)).await.unwrap().0
        };
        assert_eq!((there(&key).await, there(&kept).await), (true, false));
        unpack_chunk(store, batch, 0).await.unwrap();
        assert_eq!((there(&key).await, there(&kept).await), (false, true));
    }
}
