//! What is asked for: one execution, or the part that the items of a batch share.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ExecutionId, State, TraceParent};

/// Input or output fields by name, in order.
pub type Fields = serde_json::Map<String, serde_json::Value>;

/// How much of a program to run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Run it.
    #[default]
    Normal,
    /// Check the inputs and stop.
    DryRun,
    /// Run it, and keep a trace.
    Debug,
}

/// How urgent an execution is. While all wait, starts are shared 16:4:1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody waits for it.
    Interactive,
    /// Nobody waits for it just now.
    Normal,
    /// Part of much. Never takes the last tenth of a worker's slots.
    Bulk,
}

impl Class {
    /// Every class, most urgent first.
    pub const ALL: [Class; 3] = [Class::Interactive, Class::Normal, Class::Bulk];

    /// How many starts it gets for each one of the least urgent.
    pub fn weight(self) -> u32 {
        match self {
            Class::Interactive => 16,
            Class::Normal => 4,
            Class::Bulk => 1,
        }
    }

    /// The letter for it in the stores.
    pub fn letter(self) -> char {
        match self {
            Class::Interactive => 'i',
            Class::Normal => 'n',
            Class::Bulk => 'b',
        }
    }
}

/// How an accepted execution survives the loss of the store itself. The embedded store gives the
/// strongest always.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// As the store is set up.
    #[default]
    Memory,
    /// In the append-only file of the store before it is accepted (Redis 7.2 or newer).
    Aof,
    /// On one replica of the store before it is accepted.
    Replica,
}

/// Who asks the model for the items of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The workers, item by item.
    #[default]
    Workers,
    /// The model's provider, all at once: nothing is handed out until its replies are there.
    Provider,
}

/// How to run: everything but the inputs. Shared by the items of a batch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The program's id.
    #[serde(rename = "p")]
    pub program: String,
    /// The program's version when it was accepted.
    #[serde(rename = "v", default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Who asked: the subject of the token.
    #[serde(rename = "o")]
    pub owner: String,
    /// How much of the program to run.
    #[serde(rename = "m", default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// How urgent it is.
    #[serde(rename = "c")]
    pub class: Class,
    /// How long one attempt may take.
    #[serde(rename = "t", with = "millis")]
    pub timeout: Duration,
    /// How many more attempts it may take after the first.
    #[serde(rename = "r")]
    pub max_retries: u32,
    /// When it is worthless, whatever its state.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DateTime<Utc>>,
    /// Overrides of the program's LM settings.
    #[serde(rename = "l", default, skip_serializing_if = "Fields::is_empty")]
    pub lm: Fields,
    /// What the client wants to find again.
    #[serde(rename = "a", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// What may be spent on models.
    #[serde(rename = "b", default, skip_serializing_if = "is_default")]
    pub allowance: Allowance,
    /// The span of the request that asked, if requests are traced.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
    /// Whom to tell when it has ended.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Whether a record of it is kept elsewhere.
    #[serde(rename = "k", default, skip_serializing_if = "is_default")]
    pub tracked: bool,
    /// Whether it tells what it does while it runs, to whoever follows it.
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    pub stream: bool,
    /// Who asks the model. Of a batch; a single execution is asked for by its worker.
    #[serde(rename = "h", default, skip_serializing_if = "is_default")]
    pub via: Via,
}

impl Spec {
    /// A run with nothing out of the ordinary: of no urgency, tried once, and nobody is told.
    #[must_use]
    pub fn new(program: &str, owner: &str, timeout: Duration) -> Self {
        Self {
            program: program.to_owned(),
            version: String::new(),
            owner: owner.to_owned(),
            mode: Mode::Normal,
            class: Class::Normal,
            timeout,
            max_retries: 0,
            deadline: None,
            lm: Fields::new(),
            metadata: BTreeMap::new(),
            allowance: Allowance::default(),
            trace: None,
            webhook: None,
            tracked: false,
            stream: false,
            via: Via::Workers,
        }
    }
}

/// What may be spent on models, in millionths of a dollar; no bound where none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Allowance {
    /// By one execution, in all its attempts.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub execution_micros: Option<u64>,
    /// By the batch that it is in.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub batch_micros: Option<u64>,
}

/// What makes an execution equal to another, and how long its result may stand for the other's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CacheKey {
    /// A hash of program content, canonical inputs and LM settings.
    #[serde(rename = "f")]
    pub fingerprint: String,
    /// How old a result may be to be given again.
    #[serde(rename = "t", with = "millis")]
    pub ttl: Duration,
}

/// A client's name for a request, by which a repeated one is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Idempotency {
    /// The name; unique for each owner.
    pub key: String,
    /// A hash of the request's body: the same name with another body is refused.
    pub digest: String,
}

/// An execution as it is put in.
#[derive(Clone, PartialEq, Debug)]
pub struct NewExecution {
    /// Its name, made by the caller, so that a repeated call is known.
    pub id: ExecutionId,
    /// How to run.
    pub spec: Spec,
    /// What to run on.
    pub inputs: Fields,
    /// When to start at the earliest; at once if none or past.
    pub not_before: Option<DateTime<Utc>>,
    /// What makes it equal to another; none for "do not cache".
    pub cache: Option<CacheKey>,
    /// The client's name for the request.
    pub idempotency: Option<Idempotency>,
    /// What is promised when it is accepted.
    pub durability: Durability,
    /// How it has ended already: a dry run, which no worker sees. Counted apart.
    pub ended: Option<crate::End>,
}

/// What became of a submission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Submitted<Id = ExecutionId> {
    /// Its name: of the first request if this one repeats it.
    pub id: Id,
    /// Where it stands.
    pub state: State,
    /// Whether the idempotency key was known, and nothing new was accepted.
    pub replayed: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A duration as whole milliseconds.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        it: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        u64::try_from(it.as_millis()).unwrap_or(u64::MAX).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(it: D) -> Result<Duration, D::Error> {
        u64::deserialize(it).map(Duration::from_millis)
    }
}
