//! The files that a program file names: which may be read, and whether they changed.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use crate::{Origin, fingerprint, folder::Stamp};

/// The longest file that a program file may name.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// The most files that a program file may name.
const FILES_MAX: usize = 200;

/// The files beside one program file. Remembers which were asked for, there or not.
#[derive(Debug)]
pub(crate) struct Beside {
    place: Option<Place>,
    seen: RefCell<Vec<Seen>>,
}

#[derive(Debug)]
struct Place {
    /// The folder of the program file.
    folder: PathBuf,
    /// The folder that no file may lie outside of.
    root: PathBuf,
}

/// A file that was asked for, as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    path: PathBuf,
    /// Absent when the file has to be looked at again, whatever its stamp.
    stamp: Option<Stamp>,
    /// Of its text; absent when it could not be read.
    digest: Option<String>,
}

/// Why a file cannot be read, and what to do.
pub(crate) struct Refused {
    pub(crate) problem: String,
    pub(crate) fix: String,
}

impl Beside {
    /// Of a text that is no file: it may name none.
    pub(crate) fn nothing() -> Self {
        Self { place: None, seen: RefCell::default() }
    }

    /// Of a program file in a folder of programs.
    pub(crate) fn of(program_file: &Path, root: &Path) -> Self {
        let folder = program_file.parent().unwrap_or(root).to_owned();
        let place = Some(Place { folder, root: root.to_owned() });
        Self { place, seen: RefCell::default() }
    }

    /// Who wrote the program file.
    pub(crate) fn origin(&self) -> Origin {
        if self.place.is_some() { Origin::File } else { Origin::Registered }
    }

    /// The folder of the program file.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.place.as_ref().map(|it| it.folder.as_path())
    }

    /// The full path and the text of a file, by its path in the program file.
    pub(crate) fn read(&self, name: &str) -> Result<(PathBuf, String), Refused> {
        let path = self.resolve(name)?;
        let text = self.text(&path, name);
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= FILES_MAX {
            let problem = format!("this is one more than {FILES_MAX} files");
            return Err(refuse(problem, "name fewer files"));
        }
        let digest = text.as_ref().ok().map(|it| fingerprint::of_text(it));
        seen.push(Seen { path: path.clone(), stamp: None, digest });
        text.map(|text| (path, text))
    }

    /// The hashes of the texts that were read.
    pub(crate) fn digests(&self) -> Vec<String> {
        self.seen.borrow().iter().filter_map(|it| it.digest.clone()).collect()
    }

    /// What was asked for; `now` is when the reading began.
    pub(crate) fn seen(self, now: SystemTime) -> Vec<Seen> {
        let seen = self.seen.into_inner().into_iter();
        seen.map(|it| Seen { stamp: Stamp::settled(&it.path, now), ..it }).collect()
    }

    /// Whether a file that was asked for may be read and holds what it held; `now` is when the
    /// reading began.
    pub(crate) fn is_same(&self, seen: &mut Seen, now: SystemTime) -> bool {
        let text = self.text(&seen.path, "").ok();
        seen.stamp = Stamp::settled(&seen.path, now);
        text.map(|it| fingerprint::of_text(&it)) == seen.digest
    }

    fn resolve(&self, name: &str) -> Result<PathBuf, Refused> {
        let Some(place) = &self.place else {
            let problem = "a program that is sent over HTTP cannot name a file of the server";
            return Err(refuse(problem, "write what the file holds here, as a mapping"));
        };
        let inside = |it: Component<'_>| matches!(it, Component::Normal(_) | Component::CurDir);
        if !Path::new(name).components().all(inside) {
            let problem = format!("`{name}` leads out of the program file's folder");
            let fix = "put the file beside the program file, and name it by its relative path";
            return Err(refuse(problem, fix));
        }
        Ok(place.folder.join(name))
    }

    fn text(&self, path: &Path, name: &str) -> Result<String, Refused> {
        let unreadable = |e: io::Error| unreadable(name, &e);
        let real = fs::canonicalize(path).map_err(unreadable)?;
        let root = self.place.as_ref().map(|it| fs::canonicalize(&it.root));
        if root.and_then(Result::ok).is_none_or(|root| !real.starts_with(root)) {
            let problem = format!("`{name}` is a link that leads out of the folder of programs");
            return Err(refuse(problem, "put the file itself there"));
        }
        if real.is_dir() {
            return Err(refuse(format!("`{name}` is a folder"), "name a file"));
        }
        let mut bytes = Vec::new();
        let file = File::open(&real).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let problem = format!("`{name}` is longer than {} MiB", FILE_BYTES_MAX >> 20);
            return Err(refuse(problem, "make it shorter"));
        }
        let text = String::from_utf8(bytes);
        text.map_err(|_| refuse(format!("`{name}` is not UTF-8"), "save it as UTF-8"))
    }
}

impl Seen {
    /// Whether nothing shows that the file is another than it was.
    pub(crate) fn is_same(&self) -> bool {
        self.stamp.is_some() && self.stamp == Stamp::at(&self.path)
    }
}

fn refuse(problem: impl Into<String>, fix: &str) -> Refused {
    Refused { problem: problem.into(), fix: fix.to_owned() }
}

fn unreadable(name: &str, e: &io::Error) -> Refused {
    let is = |kind| e.kind() == kind;
    if is(ErrorKind::NotFound) {
        refuse(format!("there is no file `{name}` beside this one"), "put it there")
    } else if is(ErrorKind::PermissionDenied) {
        refuse(format!("`{name}` may not be read"), "change its permissions")
    } else {
        refuse(format!("`{name}` cannot be read: {e}"), "mend that")
    }
}
