//! Where sources are fetched from, and where they are put.

use std::{path::PathBuf, time::Duration};

use queue::ObjectOptions;

/// Where sources are fetched from, and where they are put. Tokens are among the keys of the
/// gateway, by the names of their variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcesConfig {
    /// The folder for what was fetched (`SOURCES_DIR`); none if no place for one is known.
    pub folder: Option<PathBuf>,
    /// How much that folder may hold (`SOURCES_BYTES_MAX`); more while it is in use.
    pub kept_bytes_max: u64,
    /// The largest program (`SOURCE_BYTES_MAX`).
    pub fetched_bytes_max: u64,
    /// How often it is looked what an alias or a branch means now (`SOURCES_REFRESH`).
    pub refresh: Duration,
    /// The server of MLflow (`MLFLOW_TRACKING_URI`).
    pub mlflow_tracking: Option<String>,
    /// The server of its registry, if another (`MLFLOW_REGISTRY_URI`).
    pub mlflow_registry: Option<String>,
    /// The user that it is asked as (`MLFLOW_TRACKING_USERNAME`).
    pub mlflow_user: Option<String>,
    /// What buckets are asked with that the server of MLflow does not hand out itself.
    pub objects: ObjectOptions,
    /// The Hugging Face hub (`HF_ENDPOINT`).
    pub hub: String,
    /// The API of GitHub, or of a GitHub Enterprise (`GITHUB_API_URL`).
    pub github: String,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            folder: None,
            kept_bytes_max: 10 << 30,
            fetched_bytes_max: 1 << 30,
            refresh: Duration::from_secs(60),
            mlflow_tracking: None,
            mlflow_registry: None,
            mlflow_user: None,
            objects: ObjectOptions::default(),
            hub: "https://huggingface.co".to_owned(),
            github: "https://api.github.com".to_owned(),
        }
    }
}
