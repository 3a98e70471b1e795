//! What is recorded in MLflow.

use queue::ExecutionId;

use super::{SamplingRatio, otlp};
use crate::SourcesConfig;

/// What is recorded in MLflow. Its address, and what it is shown, are those of the sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingConfig {
    /// Whether anything is (`MLFLOW_TRACKING`).
    pub enabled: bool,
    /// The experiment (`MLFLOW_EXPERIMENT_NAME`).
    pub experiment: String,
    /// Whether the steps of executions are, as traces (`MLFLOW_TRACES`).
    pub traces: bool,
    /// Of how many executions they are (`MLFLOW_TRACE_SAMPLING_RATIO`).
    pub sampling: SamplingRatio,
    /// How many items of a batch have runs of their own (`MLFLOW_BATCH_RUNS_MAX`).
    pub batch_runs_max: u32,
}

impl Default for TrackingConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            experiment: "dspy-execution".to_owned(),
            traces: true,
            sampling: SamplingRatio::ALL,
            batch_runs_max: 100,
        }
    }
}

impl TrackingConfig {
    /// Whether executions are recorded: it is wanted, and there is a server.
    pub fn is_on(&self, sources: &SourcesConfig) -> bool {
        self.enabled && sources.mlflow_tracking.is_some()
    }

    /// Whether the steps of a generation of an execution are, where executions are.
    pub(super) fn is_traced(&self, id: ExecutionId, generation: u32) -> bool {
        self.traces && self.sampling.samples(|| otlp::trace_id(id, generation))
    }
}
