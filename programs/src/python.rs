//! A program that is Python, as its file describes it.
//!
//! Nothing here opens, imports or unpickles anything: only a runner process may.

use std::{path::PathBuf, sync::Arc};

use dspy::Signature;
use serde::{Deserialize, Serialize};

use crate::{Finding, PythonAllow, code::Code};

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

/// Where the code of a Python program is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A model of an MLflow registry or run.
    MlFlow {
        /// `models:/name/3`, `models:/name@alias`, `runs:/…`.
        uri: String,
    },
    /// A repository of the Hugging Face hub.
    HuggingFace {
        /// `owner/name`.
        repo_id: String,
        /// The file in it.
        filename: Option<String>,
        /// The branch, tag or commit.
        revision: Option<String>,
        /// The environment variable that holds the token.
        token_env: Option<String>,
    },
    /// A repository of GitHub.
    GitHub {
        /// `owner/name`.
        repo: String,
        /// The file or folder in it.
        path: Option<String>,
        /// The class or object in it.
        class_name: Option<String>,
        /// The branch, tag or commit.
        revision: Option<String>,
        /// The environment variable that holds the token.
        token_env: Option<String>,
    },
}

impl Source {
    /// The path that it names on this machine, relative to the program file.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Local { path, .. } => path.as_deref(),
            Self::Saved { path } => Some(path),
            Self::MlFlow { .. } | Self::HuggingFace { .. } | Self::GitHub { .. } => None,
        }
    }

    /// The name of this kind of source in a program file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Local { .. } => "local",
            Self::Saved { .. } => "saved",
            Self::MlFlow { .. } => "mlflow",
            Self::HuggingFace { .. } => "huggingface",
            Self::GitHub { .. } => "github",
        }
    }
}
