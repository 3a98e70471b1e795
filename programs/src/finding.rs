//! What a worker found out about a Python program by loading it, and published for those who must
//! not load it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ManifestSignature;

/// What a worker found out about a Python program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The digest of the program that it loaded: of another, it says nothing.
    pub digest: String,
    /// What exactly was fetched of a source that is elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the program tells of itself; absent where it could not be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PythonManifest>,
    /// Why it could not be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What a Python program tells of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PythonManifest {
    /// The class of the program.
    pub class: String,
    /// What its author says of it.
    pub description: Option<String>,
    /// Whether it is asynchronous.
    pub is_async: bool,
    /// Its predictors.
    pub predictors: Vec<ManifestSignature>,
    /// The JSON Schema of what it takes.
    pub input_schema: Value,
    /// The JSON Schema of what it gives.
    pub output_schema: Value,
}
