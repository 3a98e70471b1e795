//! Which Python runs a program.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

/// Where interpreters are looked for besides a program's own folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The virtual environment that is active (`VIRTUAL_ENV`).
    pub virtual_env: Option<PathBuf>,
    /// The one that the operator names (`DSPYX_PYTHON`).
    pub configured: Option<PathBuf>,
    /// Where commands are (`PATH`).
    pub path: Option<OsString>,
}

/// A Python, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its path. Links are not followed: an environment is found by the path of its Python.
    pub path: PathBuf,
    /// What named it.
    pub found_by: &'static str,
}

/// There is no Python for a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Python interpreter: {0}")]
pub struct NoInterpreter(String);

impl Interpreter {
    /// The Python of a program: the one it names, of its folder's `.venv` or `venv`, of the active
    /// environment, the operator's, or `python3` of the path.
    pub fn find(
        named: Option<&str>,
        folder: Option<&Path>,
        places: &Places,
    ) -> Result<Self, NoInterpreter> {
        if let Some(named) = named {
            let found = Self::named(named, folder, places);
            let missing = || NoInterpreter(format!("`python: {named}` is not there"));
            return found.ok_or_else(missing);
        }
        let beside = folder.into_iter().flat_map(|it| [it.join(".venv"), it.join("venv")]);
        let beside = beside.map(|it| (it.join("bin/python"), "the program's own environment"));
        let active = places.virtual_env.iter().map(|it| (it.join("bin/python"), "VIRTUAL_ENV"));
        let operators = places.configured.iter().map(|it| (it.clone(), "DSPYX_PYTHON"));
        let candidates = beside.chain(active).chain(operators);
        let of_path = || Some((places.command("python3")?, "PATH"));
        let found = candidates.into_iter().find(|(path, _)| is_program(path)).or_else(of_path);
        let (path, found_by) = found.ok_or_else(|| {
            let text = "install python3 with dspy, set DSPYX_PYTHON, or give the program a \
                        `python:`";
            NoInterpreter(text.to_owned())
        })?;
        Ok(Self { path, found_by })
    }

    fn named(named: &str, folder: Option<&Path>, places: &Places) -> Option<Self> {
        let beside = folder.map(|it| it.join(named)).filter(|it| it.exists());
        let path = match beside {
            Some(path) => path,
            None if named.contains('/') => PathBuf::from(named),
            None => places.command(named)?,
        };
        let path = if path.is_dir() { path.join("bin/python") } else { path };
        is_program(&path).then_some(Self { path, found_by: "python" })
    }
}

impl Places {
    fn command(&self, name: &str) -> Option<PathBuf> {
        let folders = self.path.iter().flat_map(std::env::split_paths);
        folders.map(|it| it.join(name)).find(|it| is_program(it))
    }
}

impl fmt::Display for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (by {})", self.path.display(), self.found_by)
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    let metadata = std::fs::metadata(path);
    metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn python(path: &Path) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_owned()
    }

    #[test]
    fn the_nearest_interpreter_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let (folder, active) = (root.path().join("program"), root.path().join("active"));
        fs::create_dir_all(&folder).unwrap();
        let of_path = python(&root.path().join("bin/python3"));
        let mut places =
            Places { path: Some(root.path().join("bin").into_os_string()), ..Places::default() };
        let found = |places: &Places| {
            let it = Interpreter::find(None, Some(&folder), places).unwrap();
            (it.path, it.found_by)
        };

        assert_eq!(found(&places), (of_path, "PATH"));
        let configured = python(&root.path().join("operators/python"));
        places.configured = Some(configured.clone());
        assert_eq!(found(&places), (configured, "DSPYX_PYTHON"));
        let of_active = python(&active.join("bin/python"));
        places.virtual_env = Some(active);
        assert_eq!(found(&places), (of_active, "VIRTUAL_ENV"));
        let own = python(&folder.join(".venv/bin/python"));
        assert_eq!(found(&places), (own, "the program's own environment"));
    }

    #[test]
    fn a_named_interpreter_must_be_there() {
        let root = tempfile::tempdir().unwrap();
        let own = python(&root.path().join("env/bin/python"));
        let find = |named| Interpreter::find(Some(named), Some(root.path()), &Places::default());

        assert_eq!(find("env").unwrap().path, own);
        assert_eq!(find("env/bin/python").unwrap().path, own);
        let error = find("gone/python").unwrap_err().to_string();
        assert_eq!(error, "no Python interpreter: `python: gone/python` is not there");
    }
}
