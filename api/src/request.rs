//! What a client may ask for. Unknown fields are errors, so that a misspelt one is not ignored.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use queue::{Class, Durability, Fields, Mode, Policy, Via};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::schema;

/// One execution.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "program_id": "email-assistant",
    "inputs": {"recipient": "john@example.com", "subject": "Meeting Follow-up"},
    "mode": "normal"
}))]
pub(crate) struct ExecuteRequest {
    /// The program: `name`, whose newest version is meant, or `name@version`.
    #[schema(max_length = 256)]
    pub(crate) program_id: String,
    /// The program's inputs, by name.
    #[schema(schema_with = schema::fields)]
    pub(crate) inputs: Fields,
    /// Run it (`normal`), only check the inputs (`dry_run`), or run it and keep a trace (`debug`).
    #[serde(default)]
    #[schema(schema_with = schema::mode)]
    pub(crate) mode: Mode,
    /// How many seconds one attempt may take.
    #[schema(exclusive_minimum = 0, maximum = 86400)]
    pub(crate) timeout: Option<f64>,
    /// How many more attempts there may be after the first.
    #[schema(maximum = 100)]
    pub(crate) max_retries: Option<u32>,
    /// How urgent it is; `interactive` if absent.
    #[schema(schema_with = schema::class)]
    pub(crate) priority: Option<Class>,
    /// Whether an equal execution's result will do, and this one's will do for others.
    pub(crate) cache: Option<bool>,
    /// Dollars that it may spend on models, in all its attempts; the program's if absent.
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub(crate) budget: Option<f64>,
    /// Overrides of the program's LM settings: `model`, `temperature`, `max_tokens` and more.
    #[serde(default)]
    #[schema(schema_with = schema::fields)]
    pub(crate) lm: Fields,
    /// When to start at the earliest.
    pub(crate) run_at: Option<DateTime<Utc>>,
    /// The same, as seconds from now.
    #[schema(minimum = 0)]
    pub(crate) delay: Option<f64>,
    /// When it is worthless: it ends as `expired` then, whatever its state.
    pub(crate) deadline: Option<DateTime<Utc>>,
    /// What is promised when it is accepted.
    #[serde(default)]
    #[schema(schema_with = schema::durability)]
    pub(crate) durability: Durability,
    /// What you want to find again in the record's `metadata`.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Whether its fields can be followed while the model writes them; so also if the answer is
    /// wanted as `text/event-stream`.
    #[serde(default)]
    pub(crate) stream: bool,
    /// An http or https URL that is told when it has ended, by a signed POST.
    pub(crate) webhook: Option<String>,
}

/// Many executions of one program.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "program_id": "email-assistant",
    "inputs_list": [
        {"recipient": "john@example.com", "subject": "Meeting"},
        {"recipient": "jane@example.com", "subject": "Update"}
    ]
}))]
pub(crate) struct BatchRequest {
    /// The program: `name`, whose newest version is meant, or `name@version`.
    #[schema(max_length = 256)]
    pub(crate) program_id: String,
    /// The inputs of each item, in order. One that does not fit fails alone.
    #[schema(value_type = Vec<Object>, min_items = 1)]
    pub(crate) inputs_list: Vec<Value>,
    /// Run them (`normal`), or run them and keep traces (`debug`).
    #[serde(default)]
    #[schema(schema_with = schema::mode)]
    pub(crate) mode: Mode,
    /// How many seconds one attempt at one item may take.
    #[schema(exclusive_minimum = 0, maximum = 86400)]
    pub(crate) timeout: Option<f64>,
    /// How many more attempts at one item there may be after the first.
    #[schema(maximum = 100)]
    pub(crate) max_retries: Option<u32>,
    /// How urgent it is; `bulk` if absent.
    #[schema(schema_with = schema::class)]
    pub(crate) priority: Option<Class>,
    /// Whether equal executions' results will do.
    pub(crate) cache: Option<bool>,
    /// Dollars that all its items together may spend on models. Each item may also spend no more
    /// than the program says.
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub(crate) budget: Option<f64>,
    /// Overrides of the program's LM settings.
    #[serde(default)]
    #[schema(schema_with = schema::fields)]
    pub(crate) lm: Fields,
    /// When it is worthless: items that have not ended then are `expired`.
    pub(crate) deadline: Option<DateTime<Utc>>,
    /// What you want to find again in the records' `metadata`.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// How many of its items may be with workers at once.
    #[schema(minimum = 1)]
    pub(crate) concurrency: Option<u32>,
    /// How many items may fail: one more, and the rest is called off; 0 stops at the first.
    pub(crate) max_errors: Option<u64>,
    /// An http or https URL that is told when the batch has ended, by a signed POST.
    pub(crate) webhook: Option<String>,
    /// Who asks the model: the `workers`, item by item; or its `provider`, all at once by its own
    /// batch endpoint, within a day and at a lower price.
    #[serde(default)]
    #[schema(schema_with = schema::via)]
    pub(crate) via: Via,
}

/// How the items of an upload run, as its query says.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// The program: `name`, whose newest version is meant, or `name@version`.
    #[param(max_length = 256)]
    pub(crate) program_id: String,
    /// Run them (`normal`), or run them and keep traces (`debug`).
    #[serde(default)]
    #[param(schema_with = schema::mode)]
    mode: Mode,
    /// How many seconds one attempt at one item may take.
    #[param(exclusive_minimum = 0, maximum = 86400)]
    timeout: Option<f64>,
    /// How many more attempts at one item there may be after the first.
    #[param(maximum = 100)]
    max_retries: Option<u32>,
    /// How urgent it is; `bulk` if absent.
    #[param(schema_with = schema::class)]
    priority: Option<Class>,
    /// Whether equal executions' results will do.
    cache: Option<bool>,
    /// Dollars that all its items together may spend on models.
    #[param(minimum = 0, maximum = 1_000_000)]
    budget: Option<f64>,
    /// Overrides of the program's LM settings, as JSON.
    #[serde(default, deserialize_with = "json_text")]
    #[param(value_type = Option<String>)]
    lm: Fields,
    /// When it is worthless: items that have not ended then are `expired`.
    deadline: Option<DateTime<Utc>>,
    /// What you want to find again in the records' `metadata`, as JSON.
    #[serde(default, deserialize_with = "json_text")]
    #[param(value_type = Option<String>)]
    metadata: BTreeMap<String, String>,
    /// How many of its items may be with workers at once.
    #[param(minimum = 1)]
    concurrency: Option<u32>,
    /// How many items may fail: one more, and the rest is called off; 0 stops at the first.
    max_errors: Option<u64>,
    /// A URL that is told when the batch has ended.
    webhook: Option<String>,
    /// Who asks the model: the `workers`, item by item; or its `provider`, all at once by its own
    /// batch endpoint, within a day and at a lower price.
    #[serde(default)]
    #[param(schema_with = schema::via)]
    via: Via,
}

/// A value of a query that is JSON itself.
fn json_text<'de, T: DeserializeOwned, D: Deserializer<'de>>(it: D) -> Result<T, D::Error> {
    let text = String::deserialize(it)?;
    serde_json::from_str(&text).map_err(serde::de::Error::custom)
}

/// What single executions and batches have in common: how to run.
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) timeout: Option<f64>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) class: Class,
    pub(crate) cache: Option<bool>,
    pub(crate) budget: Budget,
    pub(crate) lm: Fields,
    pub(crate) deadline: Option<DateTime<Utc>>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) stream: bool,
    pub(crate) webhook: Option<String>,
    pub(crate) via: Via,
}

/// Dollars that may be spent on models, as the request says.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// By the one execution.
    Execution(Option<f64>),
    /// By all items together.
    Batch(Option<f64>),
}

/// When, and with which promise.
pub(crate) struct Start {
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) delay: Option<f64>,
    pub(crate) durability: Durability,
}

/// How the items of a batch run, by a body or a query: their fields have the same names, and serde
/// refuses unknown fields only where it sees them all in one struct.
macro_rules! batch_options {
    ($asked:expr) => {
        (
            Policy { concurrency: $asked.concurrency, errors_max: $asked.max_errors },
            Options {
                mode: $asked.mode,
                timeout: $asked.timeout,
                max_retries: $asked.max_retries,
                class: $asked.priority.unwrap_or(Class::Bulk),
                cache: $asked.cache,
                budget: Budget::Batch($asked.budget),
                lm: $asked.lm,
                deadline: $asked.deadline,
                metadata: $asked.metadata,
                stream: false,
                webhook: $asked.webhook,
                via: $asked.via,
            },
        )
    };
}

impl ExecuteRequest {
    /// What to run, when, and how.
    pub(crate) fn split(self) -> (Fields, Start, Options) {
        let start = Start { run_at: self.run_at, delay: self.delay, durability: self.durability };
        let options = Options {
            mode: self.mode,
            timeout: self.timeout,
            max_retries: self.max_retries,
            class: self.priority.unwrap_or(Class::Interactive),
            cache: self.cache,
            budget: Budget::Execution(self.budget),
            lm: self.lm,
            deadline: self.deadline,
            metadata: self.metadata,
            stream: self.stream,
            webhook: self.webhook,
            via: Via::Workers,
        };
        (self.inputs, start, options)
    }
}

impl BatchRequest {
    /// What to run, and how.
    pub(crate) fn split(self) -> (Vec<Value>, Policy, Options) {
        let (policy, options) = batch_options!(self);
        (self.inputs_list, policy, options)
    }
}

impl UploadQuery {
    /// How to run.
    pub(crate) fn split(self) -> (Policy, Options) {
        batch_options!(self)
    }
}
