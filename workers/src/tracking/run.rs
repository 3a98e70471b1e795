//! What a run in MLflow says of an execution.

use queue::{Execution, Fields, State, Used};
use serde_json::{Value, json};

/// How many outputs are shown, and how many characters of each.
const OUTPUTS_MAX: usize = 5;
const OUTPUT_CHARS_MAX: usize = 100;

/// How many of the request's own texts are shown: MLflow takes 100 tags in all.
const METADATA_MAX: usize = 64;

/// The longest value of a tag or a parameter; MLflow cuts longer ones.
const VALUE_CHARS_MAX: usize = 500;

/// A run as it is sent.
pub(super) struct Run {
    /// What tells it from all others, among its tags.
    pub(super) key: Vec<(&'static str, String)>,
    pub(super) name: String,
    pub(super) started_ms: i64,
    pub(super) ended_ms: i64,
    /// How it ended, in MLflow's words.
    pub(super) status: &'static str,
    pub(super) params: Vec<(String, String)>,
    pub(super) metrics: Vec<(&'static str, f64)>,
    /// Of its metrics.
    pub(super) step: i64,
    pub(super) tags: Vec<(String, String)>,
    /// Those that are set when it ends.
    pub(super) late_tags: Vec<(String, String)>,
}

impl Run {
    /// That of an execution that has ended, below another if it is an item of a batch.
    pub(super) fn of(execution: &Execution, parent: Option<&str>) -> Self {
        let spec = &execution.spec;
        let key = vec![
            ("execution_id", execution.id.to_string()),
            ("generation", execution.generation.to_string()),
        ];
        let ended = execution.finished_at.unwrap_or(execution.created_at);
        let took = execution.run_time.unwrap_or_default();
        let started = execution.started_at.unwrap_or(ended - took);
        Self {
            name: name(&spec.program, &key[0].1),
            started_ms: started.timestamp_millis(),
            ended_ms: ended.timestamp_millis().max(started.timestamp_millis()),
            status: status(execution.state),
            params: params(execution),
            metrics: metrics(execution),
            step: 0,
            tags: tags(execution, &key, parent),
            late_tags: Vec::new(),
            key,
        }
    }

    /// What is kept with the execution: the run's id, and the generation that it is of.
    pub(super) fn words(&self, id: &str) -> String {
        format!("{id} {}", self.generation())
    }

    /// The id in what is kept, if it is of this generation.
    pub(super) fn id_in(&self, words: &str) -> Option<String> {
        let (id, generation) = words.split_once(' ')?;
        (generation == self.generation()).then(|| id.to_owned())
    }

    fn generation(&self) -> &str {
        self.key.last().map_or("", |it| &it.1)
    }
}

/// A name that tells runs of a program apart: the end of an id is its random part.
pub(super) fn name(program: &str, id: &str) -> String {
    let tail = id.char_indices().rev().nth(11).map_or(id, |(at, _)| &id[at..]);
    format!("{program}-{tail}")
}

fn status(state: State) -> &'static str {
    match state {
        State::Succeeded => "FINISHED",
        State::Failed | State::Expired => "FAILED",
        State::Cancelled => "KILLED",
        State::Scheduled | State::Queued | State::Running => "RUNNING",
    }
}

fn params(execution: &Execution) -> Vec<(String, String)> {
    let keys: Value = execution.inputs.keys().map(|it| Value::from(it.as_str())).collect();
    let own = [
        ("program_name", execution.spec.program.clone()),
        ("mode", json!(execution.spec.mode).as_str().unwrap_or_default().to_owned()),
        ("input_keys", cut(&keys.to_string(), VALUE_CHARS_MAX)),
    ];
    let outputs = execution.report.as_ref().and_then(|it| it.outputs.as_ref());
    let outputs = outputs.into_iter().flat_map(Fields::iter).take(OUTPUTS_MAX);
    let outputs = outputs.map(|(name, value)| {
        (format!("output_{}", keyed(name)), cut(&plain(value), OUTPUT_CHARS_MAX))
    });
    own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(outputs).collect()
}

fn metrics(execution: &Execution) -> Vec<(&'static str, f64)> {
    let took = execution.run_time.unwrap_or_default().as_secs_f64();
    let succeeded = f64::from(u8::from(execution.state == State::Succeeded));
    let mut metrics = vec![
        ("execution_time", took),
        ("success", succeeded),
        ("attempts", execution.attempts.len() as f64),
    ];
    if let Some(report) = &execution.report {
        metrics.extend(used(Used::of(report)));
    }
    metrics
}

/// Tokens and dollars.
pub(super) fn used(used: Used) -> [(&'static str, f64); 3] {
    [
        ("prompt_tokens", used.prompt_tokens as f64),
        ("completion_tokens", used.completion_tokens as f64),
        ("cost", used.cost_micros as f64 / 1e6),
    ]
}

fn tags(
    execution: &Execution,
    key: &[(&'static str, String)],
    parent: Option<&str>,
) -> Vec<(String, String)> {
    let spec = &execution.spec;
    let failure = execution.report.as_ref().and_then(|it| it.failure.as_ref());
    let optional = [
        ("error_kind", failure.map(|it| it.kind.as_str().to_owned())),
        ("error", failure.map(|it| it.message.clone())),
        ("batch_id", execution.id.item_of().map(|(batch, _)| batch.to_string())),
        ("custom_id", execution.custom_id.clone()),
        ("worker", execution.worker.as_ref().map(ToString::to_string)),
        ("mlflow.parentRunId", parent.map(str::to_owned)),
    ];
    let own =
        [("status", execution.state.to_string()), ("cache_hit", execution.cache_hit.to_string())];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let named = key.iter().cloned().chain(own).chain(optional).map(owned);
    named.chain(asked(spec)).map(|(name, value)| (name, cut(&value, VALUE_CHARS_MAX))).collect()
}

/// What the request says, as tags.
pub(super) fn asked(spec: &queue::Spec) -> impl Iterator<Item = (String, String)> {
    let own = [
        ("program_version", spec.version.clone()),
        ("owner", spec.owner.clone()),
        ("mlflow.user", spec.owner.clone()),
        ("mlflow.source.name", "dspyx".to_owned()),
        ("mlflow.source.type", "JOB".to_owned()),
    ];
    let metadata = spec.metadata.iter().take(METADATA_MAX);
    let metadata =
        metadata.map(|(name, value)| (format!("metadata.{}", keyed(name)), value.clone()));
    own.map(owned).into_iter().chain(metadata)
}

fn owned((name, value): (&'static str, String)) -> (String, String) {
    (name.to_owned(), value)
}

/// A name as MLflow takes them.
fn keyed(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-. :/".contains(c);
    name.chars().take(100).map(|c| if fits(c) { c } else { '_' }).collect()
}

/// A text as it is, and anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of a text.
pub(super) fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_with_the_random_part_of_an_id() {
        assert_eq!(name("qa", "0195d3c8-7a3e-7c60-9d6e-0f6f4e0f9b3a"), "qa-0f6f4e0f9b3a");
        assert_eq!(name("qa", "short"), "qa-short");
    }

    #[test]
    fn names_are_such_as_mlflow_takes() {
        assert_eq!(keyed("E-Mail (körper)"), "E-Mail _k_rper_");
    }
}
