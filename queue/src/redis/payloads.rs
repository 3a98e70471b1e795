//! Payloads of chunks that lie in an object store, of which Redis holds only where to find them.
//!
//! In the place of such a payload stands a reference, `@object offset length`: neither JSON nor a
//! zstd frame begins so. The objects of a batch lie in `QUEUE/BATCH/`. They are written before what
//! refers to them, and are deleted when the batch is forgotten.

use tracing::warn;

use super::{Store, document::corrupt};
use crate::{BatchId, Error, Objects, Result};

const MARK: u8 = b'@';
/// How many batches' objects are looked up for deletion with one round trip.
const GROUP: usize = 16;

/// Where a payload lies.
struct Reference {
    object: String,
    offset: u64,
    length: u64,
}

impl Reference {
    fn write(&self) -> Vec<u8> {
        let Self { object, offset, length } = self;
        format!("{}{object} {offset} {length}", MARK as char).into_bytes()
    }

    fn read(payload: &[u8]) -> Result<Self> {
        let parse = || {
            let mut words = std::str::from_utf8(payload).ok()?.strip_prefix('@')?.split(' ');
            let object = words.next()?.to_owned();
            let (offset, length) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some(Self { object, offset, length })
        };
        parse().ok_or_else(|| corrupt("a reference to an object"))
    }
}

/// Whether a payload lies elsewhere.
pub(super) fn is_away(payload: &[u8]) -> bool {
    payload.first() == Some(&MARK)
}

impl Store {
    /// Refuses an object store that cannot be used, or that is another than that of the other
    /// processes of the queue: an object of a name that Redis holds must be in it. The first
    /// process writes it.
    pub(super) async fn agree_on_objects(&self) -> Result<()> {
        let mut pipe = redis::pipe();
        pipe.get(self.keys.named("objects:id"));
        let (mut known,): (Option<String>,) = self.home.query(&pipe).await?;
        let Some(objects) = &self.objects else {
            let fix = "set OBJECT_STORE as the others have it";
            let problem = "other processes of this queue keep payloads in an object store";
            return known.map_or(Ok(()), |_| Err(Error::Setup(format!("{problem}: {fix}"))));
        };
        let unusable = |error| {
            let name = objects.name();
            Error::Setup(format!("cannot use the object store `{name}`: {error}"))
        };
        if known.is_none() {
            let fresh = uuid::Uuid::new_v4().simple().to_string();
            let written = objects.put(&self.marker(&fresh), fresh.clone().into_bytes()).await;
            written.map_err(unusable)?;
            let mut pipe = redis::pipe();
            pipe.set_nx(self.keys.named("objects:id"), &fresh).ignore();
            pipe.get(self.keys.named("objects:id"));
            (known,) = self.home.query(&pipe).await?;
        }
        let id = known.unwrap_or_default();
        if self.has_marker(objects, &id).await.map_err(unusable)? {
            return Ok(());
        }
        Err(Error::Setup(format!(
            "the object store `{}` is not the one that other processes of this queue use: give \
             every API and worker the same bucket, or a folder that they share, or take another \
             QUEUE_NAME",
            objects.name()
        )))
    }

    async fn has_marker(&self, objects: &Objects, id: &str) -> Result<bool> {
        let found = objects.get(&self.marker(id), 0..id.len() as u64).await?;
        Ok(found.is_some_and(|it| it == id.as_bytes()))
    }

    fn marker(&self, id: &str) -> String {
        format!("{}/{id}", self.keys.queue())
    }

    /// Moves the payloads that are worth it into one object, and leaves references to them. The
    /// batch has so many items as far as is known.
    pub(super) async fn take_out<'a>(
        &self,
        (batch, items): (BatchId, usize),
        payloads: impl Iterator<Item = &'a mut Vec<u8>>,
    ) -> Result<()> {
        let Some(objects) = &self.objects else { return Ok(()) };
        let name = uuid::Uuid::now_v7().simple().to_string();
        let mut whole = Vec::new();
        for payload in payloads.filter(|it| objects.takes(it.len(), items)) {
            let (offset, length) = (whole.len() as u64, payload.len() as u64);
            whole.append(payload);
            *payload = Reference { object: name.clone(), offset, length }.write();
        }
        if whole.is_empty() {
            return Ok(());
        }
        objects.put(&format!("{}/{name}", self.folder(batch)), whole).await
    }

    /// The payload that a reference stands for; nothing if its object is gone.
    pub(super) async fn look_up(&self, batch: BatchId, payload: &[u8]) -> Result<Option<Vec<u8>>> {
        let Reference { object, offset, length } = Reference::read(payload)?;
        let objects = self.objects.as_ref().ok_or_else(|| {
            let fix = "set OBJECT_STORE as it was when the batch was put in";
            Error::Unavailable(format!("payloads of batch {batch} are in an object store: {fix}"))
        })?;
        let path = format!("{}/{object}", self.folder(batch));
        let found = objects.get(&path, offset..offset.saturating_add(length)).await?;
        if found.is_none() && !self.is_there(objects).await? {
            let problem = format!("the object store {} is empty now", objects.name());
            return Err(Error::Unavailable(problem));
        }
        Ok(found)
    }

    /// Whether it is the queue's object store, and not an empty folder where it was mounted.
    async fn is_there(&self, objects: &Objects) -> Result<bool> {
        let mut pipe = redis::pipe();
        pipe.get(self.keys.named("objects:id"));
        let (id,): (Option<String>,) = self.home.query(&pipe).await?;
        self.has_marker(objects, &id.unwrap_or_default()).await
    }

    /// A payload, wherever it lies.
    pub(super) async fn bring(&self, batch: BatchId, payload: Vec<u8>) -> Result<Vec<u8>> {
        if !is_away(&payload) {
            return Ok(payload);
        }
        let found = self.look_up(batch, &payload).await?;
        found.ok_or_else(|| corrupt("payloads whose object is gone"))
    }

    /// Deletes the objects of batches that were forgotten.
    pub(super) async fn forget_objects(&self) -> Result<()> {
        let Some(objects) = &self.objects else { return Ok(()) };
        loop {
            let mut pipe = redis::pipe();
            pipe.cmd("SRANDMEMBER").arg(self.keys.named("objects")).arg(GROUP);
            let (batches,): (Vec<String>,) = self.home.query(&pipe).await?;
            if batches.is_empty() {
                return Ok(());
            }
            // One that cannot be deleted now keeps no other from it, and is tried again later.
            let (mut pipe, mut failed) = (redis::pipe(), None);
            for batch in batches {
                if let Err(error) = self.delete_objects(objects, &batch).await {
                    failed = Some(error);
                } else {
                    pipe.srem(self.keys.named("objects"), batch).ignore();
                }
            }
            self.home.query::<()>(&pipe).await?;
            failed.map_or(Ok(()), Err)?;
        }
    }

    async fn delete_objects(&self, objects: &Objects, batch: &str) -> Result<()> {
        match batch.parse() {
            Ok(id) => objects.delete_all(&self.folder(id)).await,
            Err(error) => {
                warn!(%error, "no batch is called {batch}: {error}");
                Ok(())
            }
        }
    }

    /// Where the objects of a batch lie.
    fn folder(&self, batch: BatchId) -> String {
        format!("{}/{batch}", self.keys.queue())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_payloads_and_read_back() {
        let reference = Reference { object: "a".to_owned(), offset: 7, length: 9 }.write();

        assert!(is_away(&reference));
        assert!(!is_away(b"[]") && !is_away(&[0x28, 0xB5, 0x2F, 0xFD]) && !is_away(b""));
        let Reference { object, offset, length } = Reference::read(&reference).unwrap();
        assert_eq!((object.as_str(), offset, length), ("a", 7, 9));
        assert!(Reference::read(b"@a 7").is_err() && Reference::read(b"@a x 9").is_err());
    }
}
