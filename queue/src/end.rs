//! How an attempt ended, and what it left.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Fields, RawJson, WorkerId};

/// The kinds of failure that clients can tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The inputs do not fit the program.
    Validation,
    /// No worker knows the program.
    ProgramNotFound,
    /// The program raised an error.
    ProgramError,
    /// The model's reply did not have the fields asked for.
    ParseError,
    /// The model could not be reached, or refused.
    LmError,
    /// An attempt, or the whole execution, took too long.
    Timeout,
    /// Its workers were lost too often.
    WorkerLost,
    /// Someone called it off.
    Cancelled,
    /// It would have cost more than allowed.
    BudgetExceeded,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [FailureKind; 9] = [
        FailureKind::Validation,
        FailureKind::ProgramNotFound,
        FailureKind::ProgramError,
        FailureKind::ParseError,
        FailureKind::LmError,
        FailureKind::Timeout,
        FailureKind::WorkerLost,
        FailureKind::Cancelled,
        FailureKind::BudgetExceeded,
    ];

    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Validation => "validation",
            FailureKind::ProgramNotFound => "program_not_found",
            FailureKind::ProgramError => "program_error",
            FailureKind::ParseError => "parse_error",
            FailureKind::LmError => "lm_error",
            FailureKind::Timeout => "timeout",
            FailureKind::WorkerLost => "worker_lost",
            FailureKind::Cancelled => "cancelled",
            FailureKind::BudgetExceeded => "budget_exceeded",
        }
    }
}

/// Why there are no outputs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
}

/// What a run leaves besides its state.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The program's outputs; none if it failed.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Fields>,
    /// Why it failed; none if it did not.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Tokens and cost by model, as the program's runtime counts them.
    #[serde(rename = "u", default, skip_serializing_if = "Fields::is_empty")]
    pub usage: Fields,
    /// Every step of a debug run.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub debug_trace: Option<Value>,
    /// The steps of a run for whoever records them elsewhere, in a form that they agree on.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<RawJson>,
    /// More that the runtime tells, e.g. a trace id.
    #[serde(rename = "x", default, skip_serializing_if = "Fields::is_empty")]
    pub extra: Fields,
}

impl Report {
    /// What a success leaves at least.
    pub fn outputs(outputs: Fields) -> Self {
        Self { outputs: Some(outputs), ..Self::default() }
    }

    /// What a failure leaves at least.
    pub fn failure(kind: FailureKind, message: impl Into<String>) -> Self {
        let failure = Failure { kind, message: message.into() };
        Self { failure: Some(failure), ..Self::default() }
    }
}

/// How an attempt ended. Decided by the worker, in one place.
#[derive(Clone, PartialEq, Debug)]
pub enum End {
    /// With outputs.
    Succeeded(Report),
    /// For good: uses an attempt, and puts the execution on the dead list.
    Failed(Report),
    /// For now: uses an attempt, and another is due after the delay.
    Retry(Failure, Duration),
    /// Not tried, or told to come back later: uses no attempt, due after the delay.
    Throttled(Failure, Duration),
    /// Not ended: the worker stops. Uses no attempt, and goes to another at once.
    Returned,
    /// By request.
    Cancelled,
    /// Its deadline passed.
    Expired,
}

impl End {
    /// Whether nothing follows: the execution is neither due again nor given back.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Succeeded(_) | Self::Failed(_) | Self::Cancelled | Self::Expired => true,
            Self::Retry(..) | Self::Throttled(..) | Self::Returned => false,
        }
    }
}

/// A start that ended in a counted failure or in a result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// When the program began, by the worker's clock.
    #[serde(rename = "s", with = "chrono::serde::ts_milliseconds")]
    pub started_at: DateTime<Utc>,
    /// When it ended.
    #[serde(rename = "f", with = "chrono::serde::ts_milliseconds")]
    pub finished_at: DateTime<Utc>,
    /// Who ran it.
    #[serde(rename = "w")]
    pub worker: WorkerId,
    /// Why it failed; none if it gave outputs.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The generation it belongs to.
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    pub generation: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
