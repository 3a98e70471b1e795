//! Which Python programs may be run: what executes code needs the operator's word.

use std::{
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use crate::{Origin, PythonProgram, Source, SourcePattern};

/// Which Python programs may be run (`PYTHON_ALLOW`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
pub struct PythonAllow {
    /// Python files below the folder of programs.
    pub local: bool,
    /// Pickles below the folder of programs, as `module.save(folder, save_program=True)` writes.
    pub saved: bool,
    /// Both also outside of that folder.
    pub outside: bool,
    /// All that is allowed also for programs that were registered over HTTP.
    pub registered: bool,
    /// Sources elsewhere, code and pickles alike: `mlflow:models:/qa`, `github:owner/*`.
    pub sources: Vec<SourcePattern>,
    /// The folder of programs.
    pub(crate) root: Option<PathBuf>,
}

impl Default for PythonAllow {
    fn default() -> Self {
        Self {
            local: true,
            saved: false,
            outside: false,
            registered: false,
            sources: Vec::new(),
            root: None,
        }
    }
}

/// `local,saved,github:owner/*`, or `none`.
impl FromStr for PythonAllow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut allow = Self { local: false, ..Self::default() };
        for word in text.split(',').map(str::trim) {
            match word {
                "local" => allow.local = true,
                "saved" => allow.saved = true,
                "outside" => allow.outside = true,
                "registered" => allow.registered = true,
                "none" if text.trim() == "none" => {}
                other => match SourcePattern::of(other) {
                    Some(pattern) => allow.sources.push(pattern),
                    None => return Err(unknown(other)),
                },
            }
        }
        Ok(allow)
    }
}

impl PythonAllow {
    /// Why a program may not be run; nothing if it may.
    pub(crate) fn refusal(&self, python: &PythonProgram, origin: Origin) -> Option<String> {
        if origin == Origin::Registered && !self.registered {
            return Some(needs("was registered over HTTP, and names Python code", "registered"));
        }
        match &python.source {
            Source::Local { .. } if !self.local => return Some(needs("is Python code", "local")),
            Source::Saved { .. } if !self.saved => {
                return Some(needs("is a pickle, which can run any code", "saved"));
            }
            Source::Local { .. } | Source::Saved { .. } => {}
            Source::MlFlow { .. } | Source::HuggingFace(_) | Source::GitHub(_) => {
                let address = python.source.address().unwrap_or_default();
                if !self.sources.iter().any(|it| it.covers(&address)) {
                    return Some(needs(&format!("runs code of {address}"), &address));
                }
            }
        }
        let state = python.state.as_deref();
        let is_json = |it: &str| Path::new(it).extension().is_some_and(|it| it == "json");
        if state.is_some_and(|it| !is_json(it)) && !self.saved {
            return Some(needs("has a state that is no JSON", "saved"));
        }
        let paths = python.source.path().into_iter().chain(state);
        let outside = |it: &&str| !self.outside && !self.holds(python.folder.as_deref(), it);
        let path = paths.filter(outside).map(str::to_owned).next()?;
        Some(needs(&format!("names {path}, which is not below the folder of programs"), "outside"))
    }

    /// Whether a path lies in the folder of programs, or in that of the program's own file, which
    /// may have been added from elsewhere.
    fn holds(&self, folder: Option<&Path>, path: &str) -> bool {
        let (own, root) = (folder, self.root.as_deref());
        let path = normal(&own.or(root).unwrap_or(Path::new("/")).join(path));
        own.into_iter().chain(root).any(|it| path.starts_with(normal(it)))
    }
}

fn unknown(word: &str) -> String {
    format!(
        "must be `none`, or some of local, saved, outside, registered, mlflow:…, huggingface:…, \
         github:… with commas between them, and not `{word}`"
    )
}

fn needs(what: &str, word: &str) -> String {
    format!("{what}; the operator can allow that by `{word}` in PYTHON_ALLOW")
}

/// A path without `.` and `..`. Links are not followed: who makes them in the folder of programs
/// is its owner.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                normal.push(component);
            }
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    fn refusal(source: &str, allow: &str) -> Option<String> {
        let text = format!("name: p\nsource: {source}\n");
        let program = Registry::parse(&text, "p").unwrap();
        let crate::Runtime::Python(mut python) = program.runtime else { panic!("{source}") };
        python.folder = Some("/programs/p".into());
        let root = Some(PathBuf::from("/programs"));
        let allow = PythonAllow { root, ..allow.parse().unwrap() };
        allow.refusal(&python, Origin::File)
    }

    #[test]
    fn code_runs_only_from_where_the_operator_lets_it() {
        let local = "{type: local, path: p.py}";
        let cases = [
            (local, "local", None),
            (local, "none", Some("is Python code")),
            ("{type: local, path: ../shared/p.py}", "local", None),
            ("{type: local, path: ../../p.py}", "local", Some("names ../../p.py")),
            ("{type: local, path: /etc/p.py}", "local", Some("names /etc/p.py")),
            ("{type: local, path: /etc/p.py}", "local,outside", None),
            ("{type: local, path: /programs2/p.py}", "local", Some("names /programs2/p.py")),
            ("{type: saved, path: model}", "local", Some("is a pickle")),
            ("{type: saved, path: model}", "saved", None),
            ("mlflow:models:/qa/3", "local,saved", Some("runs code of mlflow:models:/qa/3")),
            ("mlflow:models:/qa/3", "local,mlflow:models:/qa", None),
            ("{type: github, repo: a/b}", "github:a/c", Some("runs code of github:a/b")),
            ("{type: github, repo: a/b}", "github:a/*", None),
        ];
        for (source, allow, expected) in cases {
            let refusal = refusal(source, allow);
            match expected {
                None => assert_eq!(refusal, None, "{source} {allow}"),
                Some(begin) => assert!(refusal.clone().unwrap().starts_with(begin), "{refusal:?}"),
            }
        }
    }

    #[test]
    fn a_program_that_came_over_http_runs_no_code_by_itself() {
        let text = "name: p\nsource: {type: local, path: p.py}\n";
        let program = Registry::parse(text, "p").unwrap();
        let why = program.runnable().unwrap_err().to_string();
        assert!(why.contains("was registered over HTTP"), "{why}");
    }

    #[test]
    fn unknown_words_are_refused() {
        assert!("local, all".parse::<PythonAllow>().is_err());
        assert!("none,local".parse::<PythonAllow>().is_err());
        assert_eq!("local".parse(), Ok(PythonAllow::default()));
    }
}
