//! An object store: a folder, or a bucket of S3, Google or Azure, where payloads of large batches
//! lie so that the queue's own store holds no more than where to find them.

use std::{
    fmt,
    ops::Range,
    path::Path as FilePath,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    Error as ObjectError, ObjectMeta, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme,
    PutPayload, local::LocalFileSystem, parse_url_opts, path::Path,
};
use reqwest::Url;
use tokio::time::timeout;

use crate::{Error, ObjectOptions, Result};

/// How long one request may take, with its repetitions.
const REQUEST_MAX: Duration = Duration::from_secs(30);
const SILENT: &str = "it does not answer";
/// How small a payload of 64 items must be to stay in the queue's own store, in bytes.
const INLINE_MAX: usize = 512;
/// The same in a batch of many items, where small payloads add up: about what a reference takes.
const INLINE_MAX_OF_MANY: usize = 96;
/// How many items are many.
const MANY: usize = 4096;
/// An object of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Where it lies below the store's URL.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
}

/// An object store, and how much it was used. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    root: Path,
    name: String,
    inline_max: usize,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    read: AtomicU64,
    deleted: AtomicU64,
    failed: AtomicU64,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
}

/// What a process has asked of its object store since it started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ObjectCounts {
    /// Objects that were written.
    pub written: u64,
    /// Parts of objects that were read.
    pub read: u64,
    /// Objects that were deleted.
    pub deleted: u64,
    /// Requests that failed, each with all its repetitions.
    pub failed: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
}

impl Objects {
    /// The store at a URL (`s3://bucket/path`, `gs://bucket/path`, `az://container/path`,
    /// `file:///path`) or in a folder.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`] if it cannot be: a URL that names no such store, an option that is wrong.
    pub fn open(url: &str, options: &ObjectOptions) -> Result<Self> {
        let wrong = |error: &dyn fmt::Display| {
            Error::Setup(format!(
                "cannot use the object store `{url}`: {error}; it is a folder, or a URL like \
                 s3://bucket/path, gs://bucket/path or az://container/path"
            ))
        };
        let (store, root) = if let Some(folder) = folder(url).map_err(|error| wrong(&error))? {
            std::fs::create_dir_all(&folder).map_err(|error| wrong(&error))?;
            let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| wrong(&error))?;
            let store = store.with_fsync(true).with_automatic_cleanup(true);
            (Arc::new(store) as Arc<dyn ObjectStore>, Path::default())
        } else {
            let parsed = Url::parse(url).map_err(|error| wrong(&error))?;
            // It fails if another part of the process has chosen already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let opened = parse_url_opts(&parsed, options.all());
            let (store, root) = opened.map_err(|error| wrong(&error))?;
            (Arc::from(store), root)
        };
        let (name, counts) = (url.to_owned(), Arc::default());
        Ok(Self { store, root, name, inline_max: INLINE_MAX, counts })
    }

    /// Payloads of chunks that are no longer than this many bytes stay in the queue's own store.
    #[must_use]
    pub fn inline_max(self, bytes: usize) -> Self {
        Self { inline_max: bytes, ..self }
    }

    /// What this process has asked of it so far.
    #[must_use]
    pub fn counts(&self) -> ObjectCounts {
        let counts = &self.counts;
        ObjectCounts {
            written: counts.written.load(Relaxed),
            read: counts.read.load(Relaxed),
            deleted: counts.deleted.load(Relaxed),
            failed: counts.failed.load(Relaxed),
            bytes_written: counts.bytes_written.load(Relaxed),
            bytes_read: counts.bytes_read.load(Relaxed),
        }
    }

    /// Its URL or folder, as it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a payload of this many bytes is worth an object, in a batch of this many items.
    pub(crate) fn takes(&self, bytes: usize, items: usize) -> bool {
        let inline_max = self.inline_max.min(INLINE_MAX_OF_MANY);
        bytes > if items > MANY { inline_max } else { self.inline_max }
    }

    /// What lies below its URL: at most so many objects, in no order.
    ///
    /// # Errors
    ///
    /// As [`Objects::read`].
    pub async fn list(&self, most: usize) -> Result<Vec<Object>> {
        let found = self.store.list(Some(&self.root)).take(most).try_collect::<Vec<_>>();
        let found = timeout(REQUEST_MAX, found).await.map_err(|_| self.failed(&SILENT))?;
        let below = |it: ObjectMeta| {
            let path = it.location.as_ref().strip_prefix(self.root.as_ref())?;
            Some(Object { path: path.trim_start_matches('/').to_owned(), bytes: it.size })
        };
        Ok(found.map_err(|it| self.refused(&it))?.into_iter().filter_map(below).collect())
    }

    /// What an object holds, piece by piece.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such object, [`Error::Setup`] if the store lets nobody in
    /// who asks so, [`Error::Unavailable`] if it does not answer.
    pub async fn read(&self, path: &str) -> Result<Reading> {
        let path = self.path(path)?;
        let found = timeout(REQUEST_MAX, self.store.get(&path)).await;
        let found = found.map_err(|_| self.failed(&SILENT))?.map_err(|it| self.refused(&it))?;
        self.counts.read.fetch_add(1, Relaxed);
        let pieces = found.into_stream().map_ok(|it| it.to_vec()).boxed();
        Ok(Reading { objects: self.clone(), pieces })
    }

    pub(crate) async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let (path, len) = (self.path(path)?, bytes.len() as u64);
        self.ask(self.store.put(&path, PutPayload::from(bytes))).await?;
        self.counts.written.fetch_add(1, Relaxed);
        self.counts.bytes_written.fetch_add(len, Relaxed);
        Ok(())
    }

    /// A part of an object; nothing if there is no such object.
    pub(crate) async fn get(&self, path: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        let (path, len) = (self.path(path)?, range.end - range.start);
        let get = async {
            match self.store.get_range(&path, range).await {
                Err(ObjectError::NotFound { .. }) => Ok(None),
                found => found.map(Some),
            }
        };
        let Some(bytes) = self.ask(get).await? else { return Ok(None) };
        if bytes.len() as u64 != len {
            return Err(Error::Corrupt(format!("the object {path} is shorter than it was")));
        }
        self.counts.read.fetch_add(1, Relaxed);
        self.counts.bytes_read.fetch_add(len, Relaxed);
        Ok(Some(bytes.to_vec()))
    }

    /// Deletes all objects in a folder.
    pub(crate) async fn delete_all(&self, folder: &str) -> Result<()> {
        let folder = self.path(folder)?;
        let within = self.store.list(Some(&folder)).map_ok(|it| it.location).boxed();
        let mut deleted = self.store.delete_stream(within);
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) => _ = self.counts.deleted.fetch_add(1, Relaxed),
                Err(ObjectError::NotFound { .. }) => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> Result<Path> {
        let parse = || Path::parse(format!("{}/{name}", self.root).trim_start_matches('/'));
        parse().map_err(|error| Error::Corrupt(error.to_string()))
    }

    async fn ask<T>(&self, request: impl Future<Output = Result<T, ObjectError>>) -> Result<T> {
        match timeout(REQUEST_MAX, request).await {
            Ok(answer) => answer.map_err(|error| self.failed(&error)),
            Err(_) => Err(self.failed(&SILENT)),
        }
    }

    /// What cannot be read, by what follows from it.
    fn refused(&self, error: &ObjectError) -> Error {
        if matches!(error, ObjectError::NotFound { .. }) {
            return Error::NotFound("object");
        }
        if matches!(
            error,
            ObjectError::PermissionDenied { .. } | ObjectError::Unauthenticated { .. }
        ) {
            let text = format!("the object store {} lets nobody in: {error}", self.name);
            return Error::Setup(text);
        }
        self.failed(error)
    }

    fn failed(&self, error: &dyn fmt::Display) -> Error {
        self.counts.failed.fetch_add(1, Relaxed);
        Error::Unavailable(format!("the object store {}: {error}", self.name))
    }
}

/// An object as it comes.
pub struct Reading {
    objects: Objects,
    pieces: BoxStream<'static, Result<Vec<u8>, ObjectError>>,
}

impl Reading {
    /// The next piece of it; none at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if it breaks off.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let piece = self.objects.ask(self.pieces.try_next()).await?;
        let bytes = piece.as_ref().map_or(0, Vec::len) as u64;
        self.objects.counts.bytes_read.fetch_add(bytes, Relaxed);
        Ok(piece)
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.name).finish()
    }
}

/// The folder that is meant, if it is one.
fn folder(url: &str) -> Result<Option<std::path::PathBuf>, String> {
    if !url.contains("://") {
        return Ok(Some(FilePath::new(url).to_owned()));
    }
    let parsed = Url::parse(url).map_err(|error| error.to_string())?;
    match ObjectStoreScheme::parse(&parsed).map_err(|error| error.to_string())? {
        (ObjectStoreScheme::Local, _) => {
            let path = parsed.to_file_path().map_err(|()| "it names no folder".to_owned())?;
            Ok(Some(path))
        }
        (
            ObjectStoreScheme::AmazonS3
            | ObjectStoreScheme::GoogleCloudStorage
            | ObjectStoreScheme::MicrosoftAzure,
            _,
        ) => Ok(None),
        _ => Err("it is of no kind that is known".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str) -> Result<Objects> {
        Objects::open(url, &ObjectOptions::default())
    }

    #[tokio::test]
    async fn a_folder_keeps_objects_and_forgets_all_of_one_batch() {
        let folder = tempfile::tempdir().unwrap();
        let objects = open(folder.path().to_str().unwrap()).unwrap();
        objects.put("q/a/one", b"0123456789".to_vec()).await.unwrap();
        objects.put("q/a/two", b"2".to_vec()).await.unwrap();
        objects.put("q/ab/one", b"3".to_vec()).await.unwrap();

        assert_eq!(objects.get("q/a/one", 2..5).await.unwrap().unwrap(), b"234");
        assert!(objects.get("q/a/one", 8..12).await.is_err());
        assert!(objects.get("q/a/three", 0..1).await.unwrap().is_none());

        objects.delete_all("q/a").await.unwrap();
        assert!(objects.get("q/a/one", 0..1).await.unwrap().is_none());
        assert_eq!(objects.get("q/ab/one", 0..1).await.unwrap().unwrap(), b"3");
        assert!(!folder.path().join("q/a").exists());
        let counts = objects.counts();
        assert_eq!((counts.written, counts.read, counts.deleted), (3, 2, 2));
    }

    #[tokio::test]
    async fn what_lies_below_a_url_is_listed_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let all = open(folder.path().to_str().unwrap()).unwrap();
        for path in ["a/m/one", "a/m/two/three", "a/mm/four"] {
            all.put(path, path.into()).await.unwrap();
        }
        let some = open(folder.path().join("a/m").to_str().unwrap()).unwrap();

        let mut found = some.list(10).await.unwrap();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let object = |path: &str, bytes| Object { path: path.to_owned(), bytes };
        assert_eq!(found, [object("one", 7), object("two/three", 13)]);
        assert_eq!(all.list(2).await.unwrap().len(), 2);
        let mut reading = some.read("two/three").await.unwrap();
        assert_eq!(reading.next().await.unwrap().unwrap(), b"a/m/two/three");
        assert_eq!(reading.next().await.unwrap(), None);
        assert!(matches!(some.read("four").await, Err(Error::NotFound(_))));
    }

    #[test]
    fn what_is_no_object_store_is_refused_with_what_is_one() {
        for url in ["ftp://host/x", "https://example.com/x", "memory:///", "s3://", "gs://a b/"] {
            let error = open(url).unwrap_err().to_string();
            assert!(error.contains(url) && error.contains("s3://bucket/path"), "{error}");
        }
    }
}
