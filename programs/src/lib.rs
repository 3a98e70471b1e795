//! What can be run: the program file, and the registry of the programs that were loaded.
//!
//! A [`Program`] has an id, a version, a [`Manifest`] and one of two runtimes: [`Runtime::Native`]
//! is run by the `dspy` crate, [`Runtime::Python`] by a Python child process. A [`Registry`] holds
//! the programs of a folder and those that were registered over HTTP, and reads them again when
//! they change. A file that cannot be read exactly is refused, naming its line, its key and the
//! fix; it never stops the others.
//!
//! This crate knows no queue, no process and no HTTP. It reads files and nothing else: a program
//! that needs Python is described here and run elsewhere.

mod allow;
mod beside;
mod code;
mod embedder;
mod error;
mod file;
mod finding;
mod fingerprint;
mod folder;
mod lm;
mod manifest;
mod mlflow;
mod program;
mod python;
mod registry;
mod retries;
mod saved;
mod schema;
mod shelf;
mod source_pattern;
mod texts;
mod tool;
mod version;

pub use allow::PythonAllow;
pub use embedder::EmbedderConfig;
pub use error::{Error, LoadError};
pub use finding::{Finding, PythonManifest};
pub use lm::LmConfig;
pub use manifest::{Manifest, ManifestField, ManifestSignature};
pub use mlflow::MlflowUri;
pub use program::{CachePolicy, Origin, Program, Runtime};
pub use python::{Fetched, PythonProgram, Repository, Source};
pub use registry::{Known, Registry, Reload};
pub use retries::{Backoff, Jitter, Retries};
pub use saved::Saved;
pub use source_pattern::SourcePattern;
pub use tool::{Document, HttpTool, McpCommand, McpUrl, Method, OpenApi, ToolConfig, ToolKind};
