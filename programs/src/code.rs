//! The files that a Python program's code is in, by which a change is noticed. Read, never run.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use crate::{PythonProgram, Source, fingerprint, folder::Stamp};

/// The most files of one program that are looked at.
const FILES_MAX: usize = 2000;

/// How deep folders are looked into.
const DEPTH_MAX: usize = 8;

/// The largest file whose content counts; of larger ones it is size and time.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Folders that hold no code of the program's own.
const NOT_CODE: [&str; 4] = ["__pycache__", "venv", "node_modules", "site-packages"];

/// The files of a program's code, as they were when it was read.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    folder: PathBuf,
    roots: Vec<Root>,
    files: Vec<(PathBuf, Stamp)>,
    pub(crate) digest: String,
    /// Whether a change since would show in the stamps.
    is_settled: Arc<AtomicBool>,
}

/// Where files are looked for.
#[derive(Clone, Debug)]
enum Root {
    /// This file.
    File(PathBuf),
    /// Every file below this folder.
    Folder(PathBuf),
    /// The modules and packages that lie in this folder.
    Modules(PathBuf),
}

impl Code {
    /// The files of a program, if they are on this machine.
    pub(crate) fn of(python: &PythonProgram) -> Option<Self> {
        let folder = python.folder.as_deref()?;
        let mut roots = match &python.source {
            Source::Local { path: Some(path), .. } => {
                let path = folder.join(path);
                let beside = path.parent().unwrap_or(folder).to_owned();
                if path.is_dir() {
                    vec![Root::Folder(path)]
                } else {
                    vec![Root::File(path), Root::Modules(beside)]
                }
            }
            Source::Local { path: None, .. } => vec![Root::Modules(folder.to_owned())],
            Source::Saved { path } => vec![Root::Folder(folder.join(path))],
            // What lies elsewhere is told apart by its revision.
            Source::MlFlow { .. } | Source::HuggingFace(_) | Source::GitHub(_) => vec![],
        };
        roots.extend(python.state.iter().map(|it| Root::File(folder.join(it))));
        let files = files(&roots);
        let digest = digest(&files, folder);
        Some(Self { folder: folder.to_owned(), roots, files, digest, is_settled: Arc::default() })
    }

    /// Whether the files are the same as then.
    pub(crate) fn is_same(&self, now: SystemTime) -> bool {
        let files = files(&self.roots);
        if files != self.files {
            return false;
        }
        if self.is_settled.load(Ordering::Relaxed) {
            return true;
        }
        // A change right after they were read does not show in a coarse clock: look once more.
        let is_same = digest(&files, &self.folder) == self.digest;
        let is_settled = files.iter().all(|(_, stamp)| stamp.is_settled(now));
        self.is_settled.store(is_same && is_settled, Ordering::Relaxed);
        is_same
    }
}

/// Programs are equal by what they are, which the digest tells.
impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// The files there are, in order.
fn files(roots: &[Root]) -> Vec<(PathBuf, Stamp)> {
    let mut found = Vec::new();
    for root in roots {
        match root {
            Root::File(path) => add(path, &mut found),
            Root::Folder(path) => walk(path, 0, &|_| true, &mut found),
            Root::Modules(path) => modules(path, &mut found),
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.dedup_by(|(a, _), (b, _)| a == b);
    found
}

fn modules(folder: &Path, found: &mut Vec<(PathBuf, Stamp)>) {
    for path in entries(folder) {
        if path.join("__init__.py").is_file() {
            walk(&path, 1, &is_python, found);
        } else if is_python(&path) {
            add(&path, found);
        }
    }
}

fn is_python(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "py")
}

fn walk(
    folder: &Path,
    depth: usize,
    wanted: &dyn Fn(&Path) -> bool,
    found: &mut Vec<(PathBuf, Stamp)>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    for path in entries(folder) {
        if path.is_dir() {
            walk(&path, depth + 1, wanted, found);
        } else if wanted(&path) {
            add(&path, found);
        }
    }
}

/// What is in a folder, but for what is hidden or nobody's own code.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let paths = entries.map(|it| it.path()).filter(|path| {
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
        name.is_some_and(|it| !it.starts_with('.') && !NOT_CODE.contains(&it.as_str()))
    });
    let mut paths: Vec<PathBuf> = paths.take(FILES_MAX).collect();
    paths.sort();
    paths
}

fn add(path: &Path, found: &mut Vec<(PathBuf, Stamp)>) {
    if found.len() < FILES_MAX
        && let Some(stamp) = Stamp::at(path)
    {
        found.push((path.to_owned(), stamp));
    }
}

fn digest(files: &[(PathBuf, Stamp)], folder: &Path) -> String {
    let mut text = String::new();
    for (path, stamp) in files {
        let name = path.strip_prefix(folder).unwrap_or(path).display();
        let content = if stamp.length_bytes() <= FILE_BYTES_MAX {
            fs::read(path).map(|it| fingerprint::of_bytes(&it)).unwrap_or_default()
        } else {
            format!("{stamp:?}")
        };
        let _ = writeln!(text, "{name} {content}");
    }
    fingerprint::of_text(&text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::PythonAllow;

    fn program(folder: &Path, path: &str) -> PythonProgram {
        PythonProgram {
            source: Source::Local {
                path: Some(path.to_owned()),
                module_path: None,
                class_name: None,
            },
            interpreter: None,
            folder: Some(folder.to_owned()),
            state: Some("state.json".to_owned()),
            spawn: false,
            concurrency: None,
            dependencies: Vec::new(),
            signatures: Vec::new(),
            fetched: None,
            finding: None,
            allow: PythonAllow::default(),
            code: None,
        }
    }

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn each_file_that_a_program_may_import_counts() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        write(folder, "qa.py", "1");
        for name in ["helper.py", "package/__init__.py", "package/deep/x.py", "state.json"] {
            let before = Code::of(&program(folder, "qa.py")).unwrap();
            write(folder, name, "new");
            assert!(!before.is_same(SystemTime::now()), "{name}");
        }
        for name in ["notes.txt", ".hidden.py", "__pycache__/qa.pyc", "data/x.py", "venv/x.py"] {
            let before = Code::of(&program(folder, "qa.py")).unwrap();
            write(folder, name, "new");
            assert!(before.is_same(SystemTime::now()), "{name}");
        }
    }

    #[test]
    fn a_change_that_no_clock_shows_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "qa.py", "1");
        let code = Code::of(&program(root.path(), "qa.py")).unwrap();
        let path = root.path().join("qa.py");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();

        fs::write(&path, "2").unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();

        let later = SystemTime::now() + Duration::from_secs(60);
        assert!(!code.is_same(later));
    }
}
