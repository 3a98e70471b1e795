//! A program that is Python, as its file describes it.
//!
//! Nothing here opens, imports or unpickles anything: only a runner process may.

use std::{fs::File, path::PathBuf, sync::Arc};

use dspy::Signature;
use serde::{Deserialize, Serialize};

use crate::{Finding, MlflowUri, PythonAllow, code::Code};

/// What a Python runner needs to know of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PythonProgram {
    /// Where its code is.
    pub source: Source,
    /// The interpreter to run it with; absent: the runner finds one.
    pub interpreter: Option<String>,
    /// The folder of its file, from which paths go; none of a text that came over HTTP.
    pub folder: Option<PathBuf>,
    /// A saved state that is laid over it, relative to the folder.
    pub state: Option<String>,
    /// Whether each of its processes loads it anew, because it cannot live with fork.
    pub spawn: bool,
    /// How many executions may run at once in one of its processes; absent: the runner finds out.
    pub concurrency: Option<usize>,
    /// The Python packages that it says it needs; checked, never installed.
    pub dependencies: Vec<String>,
    /// The signatures that its file declares; the program itself may have others.
    pub signatures: Vec<Signature>,
    /// Where a worker has put what its source names elsewhere; none if that is here anyway, or not
    /// fetched yet.
    #[serde(skip)]
    pub fetched: Option<Fetched>,
    /// What a worker found out about it by loading it.
    #[serde(skip)]
    pub finding: Option<Arc<Finding>>,
    /// What the operator lets it do.
    #[serde(skip)]
    pub allow: PythonAllow,
    /// The files of its code.
    #[serde(skip)]
    pub(crate) code: Option<Code>,
}

/// What was fetched of a source that is elsewhere.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// What exactly it is, for people and for the program's digest: a commit, `models:/qa/3 (m-…)`.
    pub revision: String,
    /// The folder that it is in.
    pub folder: PathBuf,
    /// While this is open, nobody clears the folder away.
    pub hold: Arc<File>,
}

impl PartialEq for Fetched {
    fn eq(&self, other: &Self) -> bool {
        (&self.revision, &self.folder) == (&other.revision, &other.folder)
    }
}

/// Where the code of a Python program is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Source {
    /// A Python file, folder or module of this machine.
    Local {
        /// The file or folder, relative to the program file; none if there is a module path.
        path: Option<String>,
        /// The module by its name, beside the program file or installed for its interpreter.
        module_path: Option<String>,
        /// The class or object in it.
        class_name: Option<String>,
    },
    /// What `module.save` wrote.
    Saved {
        /// The folder or file, relative to the program file.
        path: String,
    },
    /// A model of an MLflow registry or run, as `mlflow.dspy.log_model` logs it.
    MlFlow {
        /// Its address.
        uri: MlflowUri,
    },
    /// A repository of the Hugging Face hub.
    HuggingFace(Repository),
    /// A repository of GitHub.
    GitHub(Repository),
}

/// A repository, and where the program is in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Repository {
    /// `owner/name`.
    pub name: String,
    /// The file or folder in it; none for all of it.
    pub path: Option<String>,
    /// The module by its name, from the root of the repository.
    pub module_path: Option<String>,
    /// The class or object in it.
    pub class_name: Option<String>,
    /// A saved state of the repository that is laid over it.
    pub state: Option<String>,
    /// The branch, tag or commit.
    pub revision: Option<String>,
    /// The environment variable that holds the token.
    pub token_env: Option<String>,
}

impl Source {
    /// The path that it names on this machine, relative to the program file.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Local { path, .. } => path.as_deref(),
            Self::Saved { path } => Some(path),
            Self::MlFlow { .. } | Self::HuggingFace(_) | Self::GitHub(_) => None,
        }
    }

    /// The name of this kind of source in a program file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Local { .. } => "local",
            Self::Saved { .. } => "saved",
            Self::MlFlow { .. } => "mlflow",
            Self::HuggingFace(_) => "huggingface",
            Self::GitHub(_) => "github",
        }
    }

    /// Where it is, if not on this machine: `mlflow:models:/qa/3`, `github:owner/name@main`.
    pub fn address(&self) -> Option<String> {
        let place = match self {
            Self::Local { .. } | Self::Saved { .. } => return None,
            Self::MlFlow { uri } => uri.to_string(),
            Self::HuggingFace(it) | Self::GitHub(it) => match &it.revision {
                Some(revision) => format!("{}@{revision}", it.name),
                None => it.name.clone(),
            },
        };
        Some(format!("{}:{place}", self.kind()))
    }
}
