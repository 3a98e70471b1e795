//! What was fetched, on this machine's disk, shared by all workers that are told the same folder.
//!
//! | folder | holds |
//! |---|---|
//! | `kept/KEY/` | one revision of a source: `files/`, `entry.json`, and `lock` |
//! | `means/KEY` | which revision a source meant last |
//! | `coming/ID/` | what is being fetched, or thrown away |
//!
//! A revision comes whole or not at all: it is fetched aside and moved in one step, and never
//! changed. Whoever uses it holds its lock shared; whoever throws it away holds it alone, and moves
//! it aside first. A process that dies holds nothing any more.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use programs::{Fetched, Source};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{info, warn};
use uuid::Uuid;

use super::{Resolved, SourceError};

/// The most revisions that are kept.
const ENTRIES_MAX: usize = 1000;

const FILES: &str = "files";
const ENTRY: &str = "entry.json";
const LOCK: &str = "lock";

/// What was fetched, on this machine's disk.
#[derive(Clone, Debug)]
pub(super) struct Store {
    root: PathBuf,
    bytes_max: u64,
}

/// What is told of a revision that is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// The source, for people who look.
    address: String,
    revision: String,
    bytes: u64,
}

/// A folder for what is being fetched; gone when dropped, unless it was kept.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    lock: File,
}

impl Draft {
    /// Where the files go.
    pub(super) fn files(&self) -> PathBuf {
        self.path.join(FILES)
    }

    /// A file beside them, for what is not to be kept.
    pub(super) fn aside(&self) -> PathBuf {
        self.path.join("aside")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What cannot be removed now is, when the folder is opened next.
        let _gone = fs::remove_dir_all(&self.path);
    }
}

impl Store {
    /// The store in a folder, which is made; and cleared of what processes left that died.
    pub(super) fn open(root: &Path, bytes_max: u64) -> Result<Self, SourceError> {
        let store = Self { root: root.to_owned(), bytes_max };
        for folder in ["kept", "means", "coming"] {
            let path = root.join(folder);
            // What is run from here must be nobody else's to write.
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|it| disk(&format!("{} cannot be made", path.display()), &it))?;
        }
        for path in folders(&root.join("coming")) {
            // One that is cleared in the moment before it is locked is fetched again.
            let lock = File::open(path.join(LOCK));
            if lock.is_ok_and(|it| it.try_lock().is_ok()) {
                let _gone = fs::remove_dir_all(&path);
            }
        }
        Ok(store)
    }

    /// A folder for what is to be fetched.
    pub(super) fn draft(&self) -> Result<Draft, SourceError> {
        let path = self.root.join("coming").join(Uuid::new_v4().to_string());
        let make = || {
            fs::create_dir(&path)?;
            let lock = File::create(path.join(LOCK))?;
            lock.lock()?;
            fs::create_dir(path.join(FILES))?;
            Ok(lock)
        };
        let lock = make().map_err(|it: io::Error| disk("nothing can be fetched", &it))?;
        Ok(Draft { path, lock })
    }

    /// Keeps what was fetched. If another worker was sooner, that is what counts.
    pub(super) fn keep(
        &self,
        draft: Draft,
        source: &Source,
        resolved: &Resolved,
        bytes: u64,
    ) -> Result<Fetched, SourceError> {
        let address = source.address().unwrap_or_default();
        let entry = Entry { address, revision: resolved.revision.clone(), bytes };
        let text = serde_json::to_string(&entry).unwrap_or_default();
        let path = self.kept(resolved);
        let moved = write(&draft.path.join(ENTRY), &text)
            .and_then(|()| draft.lock.lock_shared())
            .and_then(|()| fs::rename(&draft.path, &path));
        let is_there = |it: &io::Error| {
            matches!(it.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists)
        };
        if let Err(error) = moved.or_else(|it| if is_there(&it) { Ok(()) } else { Err(it) }) {
            return Err(disk("what was fetched cannot be kept", &error));
        }
        drop(draft);
        let gone = || SourceError::Unavailable("it was thrown away while it was kept".to_owned());
        let fetched = self.find(source, resolved).ok_or_else(gone)?;
        self.clear();
        Ok(fetched)
    }

    /// A revision, if it is kept; from now on it is what the source means.
    pub(super) fn find(&self, source: &Source, resolved: &Resolved) -> Option<Fetched> {
        let fetched = hold(&self.kept(resolved))?;
        let text = serde_json::to_string(resolved).unwrap_or_default();
        let path = self.means(source, &resolved.host);
        let draft = path.with_extension("new");
        // Of two workers that note the same at once, one finds its draft moved already.
        let noted = write(&draft, &text).and_then(|()| fs::rename(&draft, &path));
        if let Err(error) = noted.or_else(|it| if is_missing(&it) { Ok(()) } else { Err(it) }) {
            warn!(%error, "cannot note what {} means: {error}", fetched.revision);
        }
        Some(fetched)
    }

    /// The revision that a source meant last, if it is kept.
    pub(super) fn last(&self, source: &Source, host: &str) -> Option<Fetched> {
        let text = fs::read_to_string(self.means(source, host)).ok()?;
        let resolved: Resolved = serde_json::from_str(&text).ok()?;
        hold(&self.kept(&resolved))
    }

    fn means(&self, source: &Source, host: &str) -> PathBuf {
        let source = serde_json::to_string(source).unwrap_or_default();
        self.root.join("means").join(hash(&[host, &source]))
    }

    fn kept(&self, resolved: &Resolved) -> PathBuf {
        self.root.join("kept").join(hash(&[&resolved.host, &resolved.content]))
    }

    /// Throws away what was not used for the longest time and is not in use, while there is too
    /// much.
    fn clear(&self) {
        let mut all: Vec<(SystemTime, u64, PathBuf)> = folders(&self.root.join("kept"))
            .filter_map(|path| {
                let used_at = fs::metadata(path.join(ENTRY)).ok()?.modified().ok()?;
                Some((used_at, read(&path)?.bytes, path))
            })
            .collect();
        all.sort();
        let mut bytes: u64 = all.iter().map(|it| it.1).sum();
        let mut count = all.len();
        for (_, size, path) in all {
            if bytes <= self.bytes_max && count <= ENTRIES_MAX {
                return;
            }
            if self.throw_away(&path) {
                info!("sources: threw {} away, which nobody uses", path.display());
                bytes = bytes.saturating_sub(size);
                count -= 1;
            }
        }
        if bytes > self.bytes_max {
            warn!("sources: {bytes} bytes are in use, more than SOURCES_BYTES_MAX");
        }
    }

    fn throw_away(&self, path: &Path) -> bool {
        let Ok(lock) = File::open(path.join(LOCK)) else { return false };
        if lock.try_lock().is_err() {
            return false;
        }
        let aside = self.root.join("coming").join(Uuid::new_v4().to_string());
        let moved = fs::rename(path, &aside).is_ok();
        moved && fs::remove_dir_all(&aside).is_ok()
    }
}

/// A revision, held; none if it is not there, or is being thrown away.
fn hold(path: &Path) -> Option<Fetched> {
    let lock = File::open(path.join(LOCK)).ok()?;
    match lock.try_lock_shared() {
        // Where the file system knows no locks, there is one worker to it.
        Ok(()) | Err(TryLockError::Error(_)) => {}
        Err(TryLockError::WouldBlock) => return None,
    }
    let entry = read(path)?;
    // How long ago it was used decides what is thrown away first.
    let used = File::open(path.join(ENTRY)).and_then(|it| it.set_modified(SystemTime::now()));
    if let Err(error) = used {
        warn!(%error, "cannot note that {} is used", path.display());
    }
    Some(Fetched { revision: entry.revision, folder: path.join(FILES), hold: Arc::new(lock) })
}

fn read(path: &Path) -> Option<Entry> {
    serde_json::from_str(&fs::read_to_string(path.join(ENTRY)).ok()?).ok()
}

/// Writes a file that outlives a power cut.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()
}

/// The folders in a folder.
fn folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries.map(|it| it.path()).filter(|it| it.is_dir())
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

fn hash(parts: &[&str]) -> String {
    let mut all = Sha256::new();
    for part in parts {
        all.update(part.as_bytes());
        all.update([0]);
    }
    format!("{:.40x}", all.finalize())
}

fn disk(what: &str, error: &io::Error) -> SourceError {
    SourceError::disk(what, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> Source {
        Source::MlFlow { uri: format!("models:/{name}@champion").parse().unwrap() }
    }

    fn resolved(content: &str) -> Resolved {
        let (host, revision) = ("http://h".to_owned(), content.to_owned());
        Resolved { host, revision, content: content.to_owned() }
    }

    /// Keeps a revision of so many bytes.
    fn keep(store: &Store, content: &str, bytes: u64) -> Fetched {
        let draft = store.draft().unwrap();
        fs::write(draft.files().join("x.txt"), content).unwrap();
        store.keep(draft, &source("qa"), &resolved(content), bytes).unwrap()
    }

    #[test]
    fn what_is_kept_is_found_again_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 1000).unwrap();
        drop(keep(&store, "one", 10));
        drop(store);

        let store = Store::open(folder.path(), 1000).unwrap();
        let last = store.last(&source("qa"), "http://h").unwrap();

        assert_eq!(last.revision, "one");
        assert_eq!(fs::read_to_string(last.folder.join("x.txt")).unwrap(), "one");
        assert_eq!(store.last(&source("qa"), "http://other"), None);
        assert_eq!(store.last(&source("other"), "http://h"), None);
        assert_eq!(store.find(&source("qa"), &resolved("two")), None);
    }

    #[test]
    fn of_two_workers_that_fetch_the_same_the_first_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (Store::open(folder.path(), 1000), Store::open(folder.path(), 1000));
        let (one, two) = (one.unwrap(), two.unwrap());
        let (first, second) = (one.draft().unwrap(), two.draft().unwrap());
        fs::write(first.files().join("x.txt"), "first").unwrap();
        fs::write(second.files().join("x.txt"), "second").unwrap();

        let first = one.keep(first, &source("qa"), &resolved("1"), 1).unwrap();
        let second = two.keep(second, &source("qa"), &resolved("1"), 1).unwrap();

        assert_eq!(first, second);
        assert_eq!(fs::read_to_string(second.folder.join("x.txt")).unwrap(), "first");
        assert_eq!(folders(&folder.path().join("coming")).count(), 0);
    }

    #[test]
    fn what_is_in_use_stays_and_the_oldest_of_the_rest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 25).unwrap();
        let in_use = keep(&store, "used", 10);
        let unused = keep(&store, "unused", 10).folder;

        let newest = keep(&store, "newest", 10);

        assert!(in_use.folder.exists() && newest.folder.exists());
        assert!(!unused.exists());
        drop(in_use);
        keep(&store, "another", 10);
        assert_eq!(folders(&folder.path().join("kept")).count(), 2);
    }

    #[test]
    fn what_a_dead_process_left_half_fetched_is_cleared_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 1000).unwrap();
        let alive = store.draft().unwrap();
        let left = store.draft().unwrap();
        left.lock.unlock().unwrap();
        let left = std::mem::ManuallyDrop::new(left);

        Store::open(folder.path(), 1000).unwrap();

        assert!(alive.files().exists());
        assert!(!left.files().exists());
    }
}
