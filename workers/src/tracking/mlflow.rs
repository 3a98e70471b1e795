//! The part of MLflow's REST API that records runs, and its intake of OTLP traces.

use queue::Error;
use reqwest::{StatusCode, Url};
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
    /// This cannot be recorded, and something else may.
    #[error("{0}")]
    Refused(String),
    /// The store cannot be reached: later.
    #[error("{0}")]
    Store(Error),
}

/// What became of a trace.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Intake {
    Taken,
    /// This one is not taken.
    Refused(String),
    /// None ever is: a server that keeps its runs in files has no room for them.
    Absent(String),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Missing(_, said) => Self::Refused(said),
            Failure::Answered(status, error) if !fails_all(status) => {
                Self::Refused(error.to_string())
            }
            Failure::Answered(_, error) | Failure::Other(error) => Self::Away(error.to_string()),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if matches!(error, Error::NotFound(_) | Error::Corrupt(_)) {
            return Self::Refused(error.to_string());
        }
        Self::Store(error)
    }
}

/// Whether a status would meet any other request too, so that it is no use to send the next one.
fn fails_all(status: StatusCode) -> bool {
    // Whoever is not let in is sent on to where one logs in, by some.
    status.is_redirection() || matches!(status.as_u16(), 401 | 403 | 407 | 408 | 429 | 502..=504)
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
                Err(Failure::Missing(..)) => {}
                Err(failure) => return Err(failure.into()),
            }
            match self.tell("experiments/create", &json!({ "name": name })).await {
                Ok(made) => return Ok(Experiment(text(&made, "/experiment_id")?)),
                Err(Failure::Missing(..)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        let words = format!("MLflow neither has nor makes an experiment `{name}`");
        Err(Problem::Away(format!("{words}; set MLFLOW_EXPERIMENT_NAME to another")))
    }

    async fn usable(&self, found: &Value) -> Result<Experiment, Problem> {
        let id = text(found, "/experiment/experiment_id")?;
        if is_deleted(found) {
            let restored = self.tell("experiments/restore", &json!({ "experiment_id": id })).await;
            restored.map_err(|failure| Problem::Away(Problem::from(failure).to_string()))?;
        }
        Ok(Experiment(id))
    }

    /// Whether an experiment is there still.
    async fn has(&self, experiment: &Experiment) -> Result<bool, Problem> {
        match self.ask("experiments/get", &[("experiment_id", &experiment.0)]).await {
            Ok(found) => Ok(!is_deleted(&found)),
            Err(Failure::Missing(..)) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
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
    ) -> Result<Intake, Problem> {
        let url = self.host.at(["v1", "traces"]);
        let of = [("x-mlflow-experiment-id", experiment.0.as_str()), ("x-mlflow-run-id", run)];
        let Err(failure) = self.web.post(&self.host, url, request, &of).await else {
            return Ok(Intake::Taken);
        };
        let is_absent = failure.status().is_some_and(|it| matches!(it.as_u16(), 404 | 405 | 501));
        let why = match failure.into() {
            Problem::Refused(why) => why,
            problem @ (Problem::Away(_) | Problem::Store(_)) => return Err(problem),
        };
        // One that was deleted meanwhile says nothing of others.
        if !self.has(experiment).await? {
            return Err(Problem::Refused(why));
        }
        Ok(if is_absent { Intake::Absent(why) } else { Intake::Refused(why) })
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

fn is_deleted(found: &Value) -> bool {
    found.pointer("/experiment/lifecycle_stage") == Some(&json!("deleted"))
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
