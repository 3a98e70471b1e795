//! The programs that can be asked for, from a folder and from those registered over HTTP.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use crate::{
    Error, Fetched, Finding, LoadError, Program, PythonAllow, Runtime, Source,
    beside::Beside,
    file, fingerprint, folder,
    shelf::Shelf,
    texts::{Text, Texts},
};

/// Programs by id. Cheap to clone: all clones are one registry.
///
/// Reading files blocks: an async caller polls [`Registry::reload`] from a blocking task.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
    allow: PythonAllow,
}

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Programs that are new, as `id@version`.
    pub added: Vec<String>,
    /// Programs whose content is another.
    pub changed: Vec<String>,
    /// Programs that are gone.
    pub removed: Vec<String>,
    /// Everything that cannot be loaded now, whether it changed or not.
    pub problems: Vec<LoadError>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// What readers see: replaced whole, never changed.
    shelf: RwLock<Arc<Shelf>>,
    /// How often readers came to see other programs.
    changes: AtomicU64,
    fleet: RwLock<Fleet>,
    /// Where this process has put what sources name elsewhere.
    fetched: RwLock<HashMap<Source, Fetched>>,
    /// What is known of each text; its lock lets one reload run at a time.
    texts: Mutex<Texts>,
}

/// What the fleet shares, as far as this process knows.
#[derive(Debug, Default)]
struct Fleet {
    known: Known,
    /// What workers found out, by name and version.
    findings: BTreeMap<String, Arc<Finding>>,
}

/// Which reading of the fleet's store a registry shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The store's epoch then; none before the first reading.
    pub epoch: Option<u64>,
    readings: u64,
}

impl Registry {
    /// Reads a folder of programs. It never fails: what cannot be read is in [`problems`].
    ///
    /// [`problems`]: Self::problems
    pub fn load(folder: &Path) -> Self {
        let inner = Inner {
            folder: folder.to_owned(),
            shelf: RwLock::default(),
            changes: AtomicU64::default(),
            fleet: RwLock::default(),
            fetched: RwLock::default(),
            texts: Mutex::default(),
        };
        let root = std::path::absolute(folder).ok();
        let allow = PythonAllow { root, ..PythonAllow::default() };
        let registry = Self { inner: Arc::new(inner), allow };
        registry.reload();
        registry
    }

    /// The same, with the operator's word on which Python programs may be run.
    #[must_use]
    pub fn allowing(self, allow: &PythonAllow) -> Self {
        let allow = PythonAllow { root: self.allow.root, ..allow.clone() };
        Self { inner: self.inner, allow }
    }

    /// The program of a text, YAML or JSON. `origin` names the text in errors, and is the id of a
    /// program that has neither `id` nor `name`.
    ///
    /// It is no file, and can name none beside it. Of several signatures of which none runs by
    /// itself, the program is the first.
    pub fn parse(text: &str, origin: &str) -> Result<Program, LoadError> {
        let programs = file::parse(text, origin, &Beside::nothing())?;
        Ok(Arc::unwrap_or_clone(programs.first))
    }

    /// The programs of a file: the one that its id means, or each that a request can choose.
    pub fn read(path: &Path) -> Result<Vec<Arc<Program>>, LoadError> {
        let text = folder::read(path)?;
        let root = path.parent().unwrap_or(Path::new("."));
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let programs = file::parse(&text, &folder::origin(path), &Beside::of(path, root))?;
        Ok(programs.shown().to_vec())
    }

    /// The program of an id: `name`, whose newest version it is, or `name@version`. A program
    /// that was registered over HTTP is meant before any of a file.
    pub fn get(&self, id: &str) -> Result<Arc<Program>, Error> {
        Ok(self.described(&self.shelf().get(id)?))
    }

    /// All programs and versions, by id, the one that the bare id means first.
    pub fn list(&self) -> Vec<Arc<Program>> {
        self.shelf().list().map(|it| self.described(it)).collect()
    }

    /// Takes in where something was put that is elsewhere; nothing to forget it.
    pub fn place(&self, source: &Source, fetched: Option<Fetched>) {
        let mut all = self.inner.fetched.write().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Some(fetched) => all.insert(source.clone(), fetched),
            None => all.remove(source),
        };
    }

    /// A program with what the operator lets it do, what was fetched of it, and what was found out
    /// about it, if that is about the same content.
    fn described(&self, program: &Arc<Program>) -> Arc<Program> {
        let Runtime::Python(_) = program.runtime else { return Arc::clone(program) };
        let mut described = program.as_ref().clone();
        if let Runtime::Python(python) = &mut described.runtime {
            python.allow = self.allow.clone();
            let fetched = self.inner.fetched.read().unwrap_or_else(PoisonError::into_inner);
            python.fetched = fetched.get(&python.source).cloned();
            drop(fetched);
            let fleet = self.fleet();
            let finding = fleet.findings.get(&program.pinned());
            // What others have fetched counts where nothing is fetched, as in an API.
            let revision = match &python.fetched {
                Some(fetched) => Some(fetched.revision.as_str()),
                None => finding.and_then(|it| it.revision.as_deref()),
            };
            let digest = fingerprint::of_fetched(&program.digest, revision);
            python.finding = finding.filter(|it| it.digest == digest).cloned();
            if python.fetched.is_some() || python.finding.is_some() {
                described.digest = digest;
            }
        }
        Arc::new(described)
    }

    /// What could not be loaded, and why.
    pub fn problems(&self) -> Vec<LoadError> {
        self.shelf().problems.clone()
    }

    /// Takes a program file that lies outside of the folder, as if it lay there: it may name what
    /// is beside it, and is read again when it changes. Of one id and version it is meant before
    /// what the folder has; another added file of that id and version is an error.
    pub fn add(&self, path: &Path) -> Result<Arc<Program>, LoadError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut texts = self.texts();
        texts.read_files(&self.inner.folder, SystemTime::now());
        let added = texts.add(&path, SystemTime::now());
        self.show(&texts);
        added
    }

    /// Reads the folder again. A file that did not change is not parsed again; one that went bad
    /// is a problem, and its program stays as it was.
    pub fn reload(&self) -> Reload {
        self.reload_at(SystemTime::now())
    }

    /// Which reading of the fleet's store is shown.
    pub fn known(&self) -> Known {
        self.fleet().known
    }

    /// How often programs were added, changed or removed: who acts on them looks whether it is
    /// another number than before, since each clone may be the one that finds out.
    pub fn changes(&self) -> u64 {
        self.inner.changes.load(Ordering::Acquire)
    }

    /// Takes in a reading of the fleet's store at an epoch: the programs that were registered over
    /// HTTP, as ids and texts, and what workers found out about Python programs, by their names
    /// and versions, in the form in which it was published.
    ///
    /// `before` is what was known before it was read. None if another reading was taken in since:
    /// that may be newer, and the store is to be read again.
    pub fn keep(
        &self,
        before: Known,
        programs: &[(String, String)],
        findings: &[(String, String)],
        epoch: u64,
    ) -> Option<Reload> {
        let read = |(name, text): &(String, String)| {
            // What another version wrote and this one cannot read says nothing here.
            Some((name.clone(), Arc::new(serde_json::from_str(text).ok()?)))
        };
        let findings = findings.iter().filter_map(read).collect();
        let mut texts = self.texts();
        if self.known() != before {
            return None;
        }
        texts.read_kept(programs.to_vec());
        let known = Known { epoch: Some(epoch), readings: before.readings + 1 };
        *self.fleet_mut() = Fleet { known, findings };
        Some(self.show(&texts))
    }

    /// Forgets every parsed program, reads all again, and says how many were forgotten.
    pub fn clear(&self) -> usize {
        let mut texts = self.texts();
        let old = std::mem::take(&mut *texts);
        let all = old.files.values().chain(old.kept.values()).chain(old.added.values());
        let forgotten = all.filter(|it| it.programs.is_some()).count();
        texts.read_kept(old.registered);
        texts.added = old.added.into_keys().map(|path| (path, Text::default())).collect();
        texts.read_files(&self.inner.folder, SystemTime::now());
        // Readers see nothing missing in between: the shelf is replaced once, at the end.
        self.show(&texts);
        forgotten
    }

    fn reload_at(&self, now: SystemTime) -> Reload {
        let mut texts = self.texts();
        texts.read_files(&self.inner.folder, now);
        self.show(&texts)
    }

    /// Shows readers what is known now.
    fn show(&self, texts: &Texts) -> Reload {
        let files = || texts.added.iter().chain(&texts.files);
        let all = files().map(|(_, text)| text).chain(texts.kept.values());
        let mut problems = texts.folder_problems.clone();
        problems.extend(all.filter_map(|it| it.problem.clone()));
        let kept = texts.kept.iter().filter_map(|(id, text)| text.item(id.clone(), true));
        let files = files().filter_map(|(path, text)| text.item(folder::origin(path), false));
        let new = Arc::new(Shelf::new(kept.chain(files), problems));
        let mut shown = self.inner.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *shown, Arc::clone(&new));
        drop(shown);
        let reload = Reload::between(&old, &new);
        if reload.is_change() {
            self.inner.changes.fetch_add(1, Ordering::AcqRel);
        }
        reload
    }

    fn fleet(&self) -> RwLockReadGuard<'_, Fleet> {
        self.inner.fleet.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn fleet_mut(&self) -> RwLockWriteGuard<'_, Fleet> {
        self.inner.fleet.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.inner.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        self.inner.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reload {
    /// Whether the programs that can be asked for are others than before.
    pub fn is_change(&self) -> bool {
        !(self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty())
    }

    fn between(old: &Shelf, new: &Shelf) -> Self {
        let digests = |shelf: &Shelf| -> BTreeMap<String, String> {
            shelf.list().map(|it| (it.pinned(), it.digest.clone())).collect()
        };
        let (old, now) = (digests(old), digests(new));
        let mut reload = Self { problems: new.problems.clone(), ..Self::default() };
        for (id, digest) in &now {
            match old.get(id) {
                None => reload.added.push(id.clone()),
                Some(before) if before != digest => reload.changed.push(id.clone()),
                Some(_) => {}
            }
        }
        reload.removed = old.into_keys().filter(|id| !now.contains_key(id)).collect();
        reload
    }
}
