//! The program files of a folder: which there are, and whether they changed.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{LoadError, file::TEXT_BYTES_MAX};

/// The most program files of a folder.
const FILES_MAX: usize = 10_000;

/// The endings of program files.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The file of a program that is a folder, without its ending.
const PROGRAM_FILE: &str = "program";

/// How coarse the clock of a file system may be: a file written twice within this time may look
/// the same.
const CLOCK_GRAIN: Duration = Duration::from_secs(2);

/// What tells cheaply that a file is the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length_bytes: u64,
}

/// The program files found.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The files, in the order of their paths.
    pub(crate) files: Vec<(PathBuf, Stamp)>,
    /// What could not be looked at.
    pub(crate) problems: Vec<LoadError>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length_bytes: metadata.len() }
    }

    /// The stamp of a file, if it is there.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|it| Self::of(&it))
    }

    /// The stamp of a file, if it is there and a change after `read_at` would show in it.
    pub(crate) fn settled(path: &Path, read_at: SystemTime) -> Option<Self> {
        Self::at(path).filter(|it| it.is_settled(read_at))
    }

    /// How long the file is.
    pub(crate) fn length_bytes(self) -> u64 {
        self.length_bytes
    }

    /// Whether a change after `read_at` would show in the stamp.
    pub(crate) fn is_settled(self, read_at: SystemTime) -> bool {
        let age = self.modified.and_then(|it| read_at.duration_since(it).ok());
        age.is_some_and(|it| it > CLOCK_GRAIN)
    }
}

/// The program files of a folder: `name.yaml`, `.yml`, `.json`, and `name/program.yaml`.
/// Names that begin with a dot are left alone.
pub(crate) fn list(folder: &Path) -> Result<Listing, LoadError> {
    let fail = |e: io::Error| unreadable_folder(folder, &e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        paths.push(entry.map_err(fail)?.path());
    }
    paths.sort();
    let mut listing = Listing::default();
    for path in paths.iter().filter(|it| !is_hidden(it)) {
        if listing.files.len() >= FILES_MAX {
            let problem = format!("the folder holds more than {FILES_MAX} programs");
            let fix = "move some of them away; the rest is not loaded";
            listing.problems.push(LoadError::whole(&origin(folder), problem, fix));
            break;
        }
        look_at(path, &mut listing);
    }
    Ok(listing)
}

/// The text of a program file.
pub(crate) fn read(path: &Path) -> Result<String, LoadError> {
    let fail = |e: io::Error| unreadable_file(path, &e);
    let mut bytes = Vec::new();
    // One byte more than allowed: that a file is too large is for the parser to say.
    let limit = TEXT_BYTES_MAX as u64 + 1;
    File::open(path).map_err(fail)?.take(limit).read_to_end(&mut bytes).map_err(fail)?;
    // A file that is cut here may be cut inside a character; it is refused for its length.
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(e) if e.as_bytes().len() > TEXT_BYTES_MAX => {
            Ok(String::from_utf8_lossy(e.as_bytes()).into_owned())
        }
        Err(e) => Err(not_utf8(path, e.as_bytes(), e.utf8_error().valid_up_to())),
    }
}

/// The name of a file in errors.
pub(crate) fn origin(path: &Path) -> String {
    path.display().to_string()
}

fn look_at(path: &Path, listing: &mut Listing) {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let inside = ENDINGS.map(|ending| path.join(PROGRAM_FILE).with_extension(ending));
            let found = inside.into_iter().filter_map(|it| Some((fs::metadata(&it).ok()?, it)));
            let files = found.filter(|(metadata, _)| metadata.is_file());
            listing.files.extend(files.map(|(metadata, path)| (path, Stamp::of(&metadata))));
        }
        Ok(metadata) if metadata.is_file() && is_program(path) => {
            listing.files.push((path.to_owned(), Stamp::of(&metadata)));
        }
        Err(e) if is_program(path) => listing.problems.push(unreadable_file(path, &e)),
        Ok(_) | Err(_) => {}
    }
}

fn is_program(path: &Path) -> bool {
    let ending = path.extension().and_then(|it| it.to_str());
    ending.is_some_and(|it| ENDINGS.contains(&it))
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|it| it.to_string_lossy());
    name.is_none_or(|it| it.starts_with('.'))
}

fn unreadable_folder(folder: &Path, e: &io::Error) -> LoadError {
    let is = |kind| e.kind() == kind;
    let (problem, fix) = if is(ErrorKind::NotFound) {
        ("the folder of programs does not exist".to_owned(), "make it")
    } else if is(ErrorKind::PermissionDenied) {
        ("the folder of programs may not be read".to_owned(), "change its permissions")
    } else {
        (format!("the folder of programs cannot be read: {e}"), "mend that")
    };
    let fix = format!("{fix}, or set PROGRAMS_DIR to another");
    LoadError::whole(&origin(folder), problem, fix)
}

fn unreadable_file(path: &Path, e: &io::Error) -> LoadError {
    let is = |kind| e.kind() == kind;
    let (problem, fix) = if is(ErrorKind::NotFound) {
        ("the link points nowhere".to_owned(), "remove it or mend its target")
    } else if is(ErrorKind::PermissionDenied) {
        ("the file may not be read".to_owned(), "change its permissions")
    } else {
        (format!("the file cannot be read: {e}"), "mend that, or remove the file")
    };
    LoadError::whole(&origin(path), problem, fix)
}

fn not_utf8(path: &Path, bytes: &[u8], valid: usize) -> LoadError {
    let before = &bytes[..valid];
    let line = before.split(|it| *it == b'\n').count();
    let column = before.iter().rev().take_while(|it| **it != b'\n').count() + 1;
    let mut error = LoadError::whole(&origin(path), "is not UTF-8 here", "save it as UTF-8");
    (error.line, error.column) = (u32::try_from(line).ok(), u32::try_from(column).ok());
    error
}
