//! The part of MLflow's REST API that records runs, and its intake of OTLP traces.

use queue::Error;
use reqwest::Url;
use serde_json::{Value, json};

use super::run::Run;
use crate::{
    Gateway, SourcesConfig,
    sources::{Failure, Host, SourceError, Web, artifacts, mlflow_host},
};

/// A server that keeps runs.
pub(super) struct Mlflow {
    web: Web,
    host: Host,
}

/// The experiment that runs belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Experiment(String);

/// Why something could not be recorded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The server cannot be reached, or lets nobody in: later.
    #[error("{0}")]
    Away(String),
    /// The server does not take this.
    #[error("{0}")]
    Refused(String),
    /// The store cannot be reached: later.
    #[error("{0}")]
    Store(#[from] Error),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Missing(said) => Self::Refused(said),
            Failure::Other(error) => Self::Away(error.to_string()),
        }
    }
}

impl Mlflow {
    /// The server that the sources name.
    pub(super) fn new(config: &SourcesConfig, gateway: &Gateway) -> Result<Self, SourceError> {
        let address = config.mlflow_tracking.as_deref().unwrap_or_default();
        let host = mlflow_host(config, gateway.keys(), address, "MLFLOW_TRACKING_URI")?;
        Ok(Self { web: Web::of(gateway), host })
    }

    /// The experiment of that name, made or restored if need be.
    pub(super) async fn experiment(&self, name: &str) -> Result<Experiment, Problem> {
        // Somebody else may make it in between: then it is there when it is looked for again.
        for _ in 0..2 {
            let found = self.ask("experiments/get-by-name", &[("experiment_name", name)]).await;
            match found {
                Ok(found) => return self.usable(&found).await,
                Err(Failure::Missing(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
            match self.tell("experiments/create", &json!({ "name": name })).await {
                Ok(made) => return Ok(Experiment(text(&made, "/experiment_id")?)),
                Err(Failure::Missing(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        let words = format!("MLflow neither has nor makes an experiment `{name}`");
        Err(Problem::Away(format!("{words}; set MLFLOW_EXPERIMENT_NAME to another")))
    }

    async fn usable(&self, found: &Value) -> Result<Experiment, Problem> {
        let id = text(found, "/experiment/experiment_id")?;
        if found.pointer("/experiment/lifecycle_stage") == Some(&json!("deleted")) {
            let restored = self.tell("experiments/restore", &json!({ "experiment_id": id })).await;
            restored.map_err(|failure| Problem::Away(Problem::from(failure).to_string()))?;
        }
        Ok(Experiment(id))
    }

    /// Begins a run, and gives its id; of one that may have been begun before, that one's.
    pub(super) async fn start(
        &self,
        experiment: &Experiment,
        run: &Run,
        may_be_there: bool,
    ) -> Result<String, Problem> {
        if may_be_there && let Some(id) = self.find(experiment, run).await? {
            return Ok(id);
        }
        let body = json!({
            "experiment_id": experiment.0,
            "run_name": run.name,
            "start_time": run.started_ms,
            "tags": pairs(&run.tags),
        });
        text(&self.tell("runs/create", &body).await?, "/run/info/run_id")
    }

    async fn find(&self, experiment: &Experiment, run: &Run) -> Result<Option<String>, Problem> {
        let equal = run.key.iter().map(|(name, value)| format!("tags.{name} = '{value}'"));
        let body = json!({
            "experiment_ids": [experiment.0],
            "filter": equal.collect::<Vec<_>>().join(" and "),
            "max_results": 1,
        });
        let found = self.tell("runs/search", &body).await?;
        let id = found.pointer("/runs/0/info/run_id").and_then(Value::as_str);
        Ok(id.map(str::to_owned))
    }

    /// Adds what a run says to it. Repeated, it changes nothing.
    pub(super) async fn log(&self, id: &str, run: &Run) -> Result<(), Problem> {
        let body = json!({
            "run_id": id,
            "params": pairs(&run.params),
            "metrics": run.metrics.iter().map(|it| metric(run, it)).collect::<Vec<_>>(),
            "tags": pairs(&run.late_tags),
        });
        self.tell("runs/log-batch", &body).await?;
        Ok(())
    }

    /// Ends a run.
    pub(super) async fn end(&self, id: &str, status: &str, ended_ms: i64) -> Result<(), Problem> {
        let body = json!({ "run_id": id, "status": status, "end_time": ended_ms });
        self.tell("runs/update", &body).await?;
        Ok(())
    }

    /// Keeps a file with a run.
    pub(super) async fn keep(&self, id: &str, name: &str, body: Vec<u8>) -> Result<(), Problem> {
        let run = self.ask("runs/get", &[("run_id", id)]).await?;
        let place = artifacts(&text(&run, "/run/info/artifact_uri")?);
        let place = place.map_err(|error| Problem::Refused(error.to_string()))?;
        let parts = ["api", "2.0", "mlflow-artifacts", "artifacts"].into_iter();
        let url = self.host.at(parts.chain(place.split('/')).chain([name]));
        Ok(self.web.put(&self.host, url, body).await?)
    }

    /// Gives it the trace of a run: an OTLP request in JSON.
    pub(super) async fn trace(
        &self,
        experiment: &Experiment,
        run: &str,
        request: &Value,
    ) -> Result<(), Problem> {
        let url = self.host.at(["v1", "traces"]);
        let of = [("x-mlflow-experiment-id", experiment.0.as_str()), ("x-mlflow-run-id", run)];
        Ok(self.web.post(&self.host, url, request, &of).await.map(drop)?)
    }

    async fn ask(&self, what: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut url = self.url(what);
        url.query_pairs_mut().extend_pairs(query);
        self.web.json(&self.host, url).await
    }

    async fn tell(&self, what: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.web.post(&self.host, self.url(what), body, &[]).await?;
        let odd = |_| {
            let text = format!("what answers at {} is not MLflow", self.host.address());
            SourceError::Refused(text)
        };
        Ok(serde_json::from_slice(&answer).map_err(odd)?)
    }

    fn url(&self, what: &str) -> Url {
        self.host.at(["api", "2.0", "mlflow"].into_iter().chain(what.split('/')))
    }
}

fn metric(run: &Run, (name, value): &(&str, f64)) -> Value {
    json!({ "key": name, "value": value, "timestamp": run.ended_ms, "step": run.step })
}

fn pairs<N: AsRef<str>>(pairs: &[(N, String)]) -> Value {
    pairs.iter().map(|(key, value)| json!({ "key": key.as_ref(), "value": value })).collect()
}

fn text(value: &Value, pointer: &str) -> Result<String, Problem> {
    let odd = || Problem::Away(format!("MLflow answers without {pointer}"));
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned).ok_or_else(odd)
}
