//! What a run must know to go on after it was stopped: a small file beside the outputs.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Usage;

/// What is behind the name of the outputs.
const SUFFIX: &str = ".run";

/// The notes of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notes {
    /// The program.
    pub(super) program: String,
    /// How its items run, as the API has it.
    pub(super) options: Map<String, Value>,
    /// The inputs, and how they looked when the run began.
    pub(super) inputs: Inputs,
    /// By which name the request that opens the batch is known, if it is repeated.
    pub(super) key: String,
    /// The batch, once it is open.
    pub(super) begun: Option<Begun>,
    /// Whether every item has ended, and the outputs are whole.
    pub(super) ended: bool,
}

/// A batch that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    pub(super) batch: String,
    pub(super) ground: Ground,
}

/// Where the executions of a run run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ground {
    /// In the process of the run.
    Here,
    /// On the server of this address.
    Server(String),
}

/// A file of inputs, by what changes when somebody writes to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inputs {
    path: PathBuf,
    size_bytes: u64,
    modified_micros: u128,
}

impl Inputs {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let found =
            fs::canonicalize(path).and_then(|path| fs::metadata(&path).map(|it| (path, it)));
        let (path, metadata) =
            found.with_context(|| Usage(format!("cannot read {}", path.display())))?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified_micros = modified.as_micros();
        Ok(Self { path, size_bytes: metadata.len(), modified_micros })
    }
}

/// The notes, and the file that keeps them: locked, so that two runs do not write the same outputs.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub(super) notes: Notes,
}

impl Journal {
    /// The journal of a run: the one that was begun, if it was begun with the same words.
    pub(super) fn open(outputs: &Path, notes: Notes, restart: bool) -> Result<Self> {
        let path = of(outputs);
        let mut file = lock(&path, outputs)?;
        let begun = if restart { None } else { read(&mut file, &path)? };
        let Some(begun) = begun else {
            if outputs.exists() && !restart {
                fs::remove_file(&path)?;
                let there = outputs.display();
                let words = format!(
                    "{there} is there, and not of a run that can go on: name another file, or \
                     overwrite it with --restart"
                );
                return Err(Usage(words).into());
            }
            return Ok(Self { path, file, notes });
        };
        let kept = (&begun.program, &begun.options, &begun.inputs);
        let differs = match (&notes.program, &notes.options, &notes.inputs) {
            asked if asked == kept => None,
            asked if asked.2 != kept.2 => Some("the inputs have changed since"),
            asked if asked.0 != kept.0 => Some("it ran another program"),
            _ => Some("it ran with other options"),
        };
        match differs {
            None => Ok(Self { path, file, notes: begun }),
            Some(why) => Err(Usage(format!(
                "a run into {} was begun, but {why}: --restart begins anew, and forgets it",
                outputs.display()
            ))
            .into()),
        }
    }

    /// Keeps the notes. In its place: another file would not be locked.
    pub(super) fn save(&mut self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.notes)?;
        let write = |file: &mut File| {
            file.rewind()?;
            file.write_all(&text)?;
            file.set_len(text.len() as u64)?;
            file.sync_data()
        };
        write(&mut self.file).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Forgets the run: nothing is left to do.
    pub(super) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path)
            .with_context(|| format!("cannot remove {}", self.path.display()))
    }
}

fn of(outputs: &Path) -> PathBuf {
    let mut name = outputs.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// The file for this run alone, made if it is not there.
fn lock(path: &Path, outputs: &Path) -> Result<File> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = open.with_context(|| format!("cannot write {}", path.display()))?;
    // Without a name it was removed by a run that has just ended.
    let is_ours = match file.try_lock() {
        Ok(()) => file.metadata()?.nlink() > 0,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            return Err(error).context(format!("cannot lock {}", path.display()));
        }
    };
    let busy = || Usage(format!("another run writes {}: wait for its end", outputs.display()));
    is_ours.then_some(file).ok_or_else(|| busy().into())
}

fn read(file: &mut File, path: &Path) -> Result<Option<Notes>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
    if text.is_empty() {
        return Ok(None);
    }
    let notes = serde_json::from_slice(&text);
    let words = || format!("{} is not what a run left: --restart begins anew", path.display());
    Ok(Some(notes.with_context(|| Usage(words()))?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn notes(inputs: &Path, program: &str) -> Notes {
        Notes {
            program: program.to_owned(),
            options: Map::from_iter([("timeout".to_owned(), json!(3))]),
            inputs: Inputs::of(inputs).unwrap(),
            key: "k".to_owned(),
            begun: None,
            ended: false,
        }
    }

    #[test]
    fn run_goes_on_with_the_same_words_only() {
        let folder = tempfile::tempdir().unwrap();
        let (inputs, outputs) = (folder.path().join("in"), folder.path().join("out"));
        fs::write(&inputs, "{}").unwrap();
        let mut journal = Journal::open(&outputs, notes(&inputs, "qa"), false).unwrap();
        let begun = Some(Begun { batch: "b".to_owned(), ground: Ground::Here });
        journal.notes.begun.clone_from(&begun);
        journal.save().unwrap();
        drop(journal);

        let again = Journal::open(&outputs, notes(&inputs, "qa"), false).unwrap().notes.begun;
        let other = Journal::open(&outputs, notes(&inputs, "else"), false).unwrap_err();
        fs::write(&inputs, "{} ").unwrap();
        let changed = Journal::open(&outputs, notes(&inputs, "qa"), false).unwrap_err();
        let anew = Journal::open(&outputs, notes(&inputs, "qa"), true).unwrap();

        assert_eq!(again, begun);
        assert!(other.is::<Usage>() && other.to_string().contains("another program"), "{other}");
        assert!(changed.to_string().contains("inputs have changed"), "{changed}");
        assert_eq!(anew.notes.begun, None);
    }

    #[test]
    fn second_run_at_the_same_time_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (inputs, outputs) = (folder.path().join("in"), folder.path().join("out"));
        fs::write(&inputs, "{}").unwrap();
        let first = Journal::open(&outputs, notes(&inputs, "qa"), false).unwrap();

        for restart in [false, true] {
            let error = Journal::open(&outputs, notes(&inputs, "qa"), restart).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains("another run"), "{error}");
        }

        first.remove().unwrap();
        Journal::open(&outputs, notes(&inputs, "qa"), false).unwrap();
    }

    #[test]
    fn file_of_somebody_else_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (inputs, outputs) = (folder.path().join("in"), folder.path().join("out"));
        fs::write(&inputs, "{}").unwrap();
        fs::write(&outputs, "precious").unwrap();

        let refused = Journal::open(&outputs, notes(&inputs, "qa"), false).unwrap_err();

        assert!(refused.is::<Usage>() && refused.to_string().contains("--restart"), "{refused}");
        assert_eq!(fs::read_to_string(&outputs).unwrap(), "precious");
        assert!(!of(&outputs).exists(), "it leaves nothing");
    }
}
