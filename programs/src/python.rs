//! A program that is Python, as its file describes it.
//!
//! Nothing here opens, imports or unpickles anything: only a runner process may.

use dspy::Signature;
use serde::{Deserialize, Serialize};

/// What a Python runner needs to know of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PythonProgram {
    /// Where its code is.
    pub source: Source,
    /// The interpreter to run it with; absent: the runner finds one.
    pub interpreter: Option<String>,
    /// Whether a fresh process is needed each time, because the program cannot live with fork.
    pub spawn: bool,
    /// The Python packages that it says it needs; checked, never installed.
    pub dependencies: Vec<String>,
    /// The signatures that its file declares; the program itself may have others.
    pub signatures: Vec<Signature>,
}

/// Where the code of a Python program is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Source {
    /// A Python file or folder of this machine.
    Local {
        /// The file or folder, relative to the program file.
        path: String,
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
