//! The texts of programs as they were read last: those of a folder, those beside it, and those that
//! were registered over HTTP.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    LoadError, Program,
    beside::{Beside, Seen},
    file, fingerprint,
    folder::{self, Stamp},
    shelf::{Item, Programs},
    version::Address,
};

/// The most program files that may be added to those of the folder.
const ADDED_MAX: usize = 10_000;

/// What is known of the texts of all programs.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) files: BTreeMap<PathBuf, Text>,
    pub(crate) kept: BTreeMap<String, Text>,
    pub(crate) registered: Vec<(String, String)>,
    /// Files outside of the folder that are programs too, by their absolute paths.
    pub(crate) added: BTreeMap<PathBuf, Text>,
    /// What is wrong with the folder itself.
    pub(crate) folder_problems: Vec<LoadError>,
}

/// One text as it was read last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    /// Absent when the next reload has to read the text, whatever its stamp.
    stamp: Option<Stamp>,
    digest: String,
    /// The files that it names.
    beside: Vec<Seen>,
    /// Its programs; with a problem beside them, the last ones that could be read.
    pub(crate) programs: Option<Programs>,
    pub(crate) problem: Option<LoadError>,
}

impl Texts {
    /// Takes in what was registered over HTTP, as ids and texts.
    pub(crate) fn read_kept(&mut self, kept: Vec<(String, String)>) {
        let mut old = std::mem::take(&mut self.kept);
        for (id, text) in &kept {
            let known = old.remove(id).unwrap_or_default();
            let digest = fingerprint::of_text(text);
            let is_known = digest == known.digest;
            let text = if is_known { known } else { known.now(digest, parse_kept(text, id)) };
            self.kept.insert(id.clone(), text);
        }
        self.registered = kept;
    }

    /// Reads what changed of the folder, and of what was added to it.
    pub(crate) fn read_files(&mut self, folder: &Path, now: SystemTime) {
        self.added.retain(|path, text| {
            let Some(stamp) = Stamp::at(path) else { return false };
            let root = path.parent().unwrap_or(path);
            *text = std::mem::take(text).at(stamp, path, root, now);
            true
        });
        let listing = match folder::list(folder) {
            Ok(listing) => listing,
            // The folder may be away for a moment: what was loaded stays.
            Err(problem) => return self.folder_problems = vec![problem],
        };
        let mut old = std::mem::take(&mut self.files);
        for (path, stamp) in listing.files {
            let known = old.remove(&path).unwrap_or_default();
            let text = known.at(stamp, &path, folder, now);
            self.files.insert(path, text);
        }
        self.folder_problems = listing.problems;
    }

    /// Reads a file outside of the folder, and keeps it if it is a program. Of one that was and is
    /// none any more, the last program stays, as of a file of the folder.
    pub(crate) fn add(&mut self, path: &Path, now: SystemTime) -> Result<Arc<Program>, LoadError> {
        let is_listed = |it: &Path| std::path::absolute(it).is_ok_and(|it| it == path);
        if let Some((_, text)) = self.files.iter().find(|(it, _)| is_listed(it)) {
            return text.program();
        }
        if self.added.len() >= ADDED_MAX && !self.added.contains_key(path) {
            let problem = format!("{ADDED_MAX} files were added already");
            return Err(LoadError::whole(&folder::origin(path), problem, "use PROGRAMS_DIR"));
        }
        let known = self.added.get(path).cloned().unwrap_or_default();
        let was_program = known.programs.is_some();
        let text = load(path, path.parent().unwrap_or(path), known, now);
        let program = match text.program() {
            Ok(program) => program,
            Err(problem) => {
                if was_program {
                    self.added.insert(path.to_owned(), text);
                }
                return Err(problem);
            }
        };
        let pinned = program.pinned();
        let is_same = |it: &Text| it.program().is_ok_and(|it| it.pinned() == pinned);
        let mut others = self.added.iter().filter(|(it, _)| *it != path);
        if let Some((twin, _)) = others.find(|(_, it)| is_same(it)) {
            let problem = format!("{pinned} is already in {}", twin.display());
            let fix = "give one of them another `version` or `id`";
            return Err(LoadError::whole(&folder::origin(path), problem, fix));
        }
        self.added.insert(path.to_owned(), text);
        Ok(program)
    }
}

impl Text {
    /// This text as it is now that its file has this stamp.
    fn at(self, stamp: Stamp, path: &Path, root: &Path, now: SystemTime) -> Self {
        let is_same = self.is_same(stamp, now);
        let text = if is_same { self } else { load(path, root, self, now) };
        let stamp = stamp.is_settled(now).then_some(stamp);
        Self { stamp, ..text }
    }

    /// What its bare id means, or why it cannot be read.
    fn program(&self) -> Result<Arc<Program>, LoadError> {
        match (&self.problem, &self.programs) {
            (None, Some(programs)) => Ok(Arc::clone(&programs.first)),
            (problem, _) => Err(problem
                .clone()
                .unwrap_or_else(|| LoadError::whole("", "was not read", "try again"))),
        }
    }

    /// Whether neither the file nor any that it names has changed.
    fn is_same(&self, stamp: Stamp, now: SystemTime) -> bool {
        let is_beside_same = || self.beside.iter().all(Seen::is_same);
        self.stamp == Some(stamp) && is_beside_same() && self.is_code_same(now)
    }

    fn is_code_same(&self, now: SystemTime) -> bool {
        self.programs.as_ref().is_none_or(|it| it.first.is_code_same(now))
    }

    /// This text's successor, parsed again.
    fn now(self, digest: String, parsed: Result<Programs, LoadError>) -> Self {
        match parsed {
            Ok(programs) => Self { digest, programs: Some(programs), ..Self::default() },
            Err(problem) => Self { digest, ..self.broken(problem) },
        }
    }

    /// This text with a problem; its program stays in use.
    fn broken(self, mut problem: LoadError) -> Self {
        if let Some(programs) = &self.programs {
            let pinned = programs.first.pinned();
            problem.fix = format!("{} ({pinned} as it was before stays in use)", problem.fix);
        }
        Self { problem: Some(problem), ..self }
    }

    /// What of it stands on the shelf.
    pub(crate) fn item(&self, origin: String, kept: bool) -> Option<Item> {
        Some(Item { origin, programs: self.programs.clone()?, kept })
    }
}

/// A file as it is now: parsed again only if it, or a file that it names, is another.
fn load(path: &Path, root: &Path, mut known: Text, now: SystemTime) -> Text {
    let text = match folder::read(path) {
        Ok(text) => text,
        // Without its digest, so that the text is parsed when it can be read again.
        Err(problem) => return Text { digest: String::new(), ..known.broken(problem) },
    };
    let digest = fingerprint::of_text(&text);
    let beside = Beside::of(path, root);
    // All of them are looked at, so that each has a new stamp.
    let others = known.beside.iter_mut().filter_map(|it| (!beside.is_same(it, now)).then_some(()));
    if others.count() == 0 && digest == known.digest && known.is_code_same(now) {
        return known;
    }
    let parsed = file::parse(&text, &folder::origin(path), &beside);
    Text { beside: beside.seen(now), ..known.now(digest, parsed) }
}

/// The programs of a text that was registered as `id`, which has to be the text's own.
fn parse_kept(text: &str, id: &str) -> Result<Programs, LoadError> {
    let address = Address::of(id);
    let programs = file::parse(text, address.id, &Beside::nothing())?;
    let first = &programs.first;
    if first.file_id() != address.id || address.version.is_some_and(|it| it != first.version) {
        let pinned = format!("{}@{}", first.file_id(), first.version);
        let problem = format!("is registered as {id}, but says that it is {pinned}");
        return Err(LoadError::whole(id, problem, "register it under its own id"));
    }
    Ok(programs)
}
