//! What can go wrong with a prediction, by what the caller can do about it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{ToolError, python};

/// A failure of a prediction.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The model did not answer: [`LmError::is_retryable`] tells whether to try again.
    #[error(transparent)]
    Lm(#[from] LmError),
    /// The model answered, but not with the fields asked for.
    #[error(transparent)]
    Parse(#[from] Box<ParseError>),
    /// The caller's: the inputs do not fit the signature.
    #[error(transparent)]
    Inputs(#[from] InputError),
    /// The tools of the program could not be had.
    #[error("the program's tools cannot be listed: {0}")]
    Tools(#[from] ToolError),
    /// The program is wrong in a way that shows only when it runs.
    #[error("{0}")]
    Program(String),
    /// A step of a chain failed: [`Error::cause`] is what it failed of.
    #[error("step `{step}`: {error}")]
    Step {
        /// The step's name; of one over a list with the item's place: `write[2]`.
        step: String,
        /// Why.
        error: Box<Error>,
    },
}

impl Error {
    /// The error itself, without the steps in which it happened.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Step { error, .. } => error.cause(),
            Self::Lm(_) | Self::Parse(_) | Self::Inputs(_) | Self::Tools(_) | Self::Program(_) => {
                self
            }
        }
    }
}

/// A signature that an adapter can never write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AdapterError(pub String);

impl From<AdapterError> for Error {
    fn from(error: AdapterError) -> Self {
        Self::Program(error.0)
    }
}

/// A reply that an adapter could not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParseError {
    /// The adapter that tried: `ChatAdapter`, `XMLAdapter`, ….
    pub adapter: String,
    /// What the model answered.
    pub reply: String,
    /// The output fields looked for.
    pub expected: Box<[String]>,
    /// The output fields found, when parsing came so far.
    pub parsed: Option<Vec<String>>,
    /// What went wrong, when it is more than a missing field.
    pub message: Option<String>,
    /// What the package raises here instead of its own error, and does not catch: the reply is not
    /// asked for again in another format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncaught: Option<Uncaught>,
}

/// A Python exception that goes through the package's adapters and ends the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncaught {
    /// `AssertionError`
    Assertion,
    /// `RecursionError`
    Recursion,
    /// `TypeError`
    Type,
    /// `ValueError`, where it is not caught
    Value,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = self.message.as_deref().filter(|it| !it.is_empty()) {
            write!(f, "{message}\n\n")?;
        }
        let Self { adapter, reply, .. } = self;
        let expected = self.expected.join(", ");
        write!(
            f,
            "Adapter {adapter} failed to parse the LM response. \n\nLM Response: {reply} \n\n"
        )?;
        write!(f, "Expected to find output fields in the LM response: [{expected}] \n\n")?;
        let Some(parsed) = &self.parsed else { return Ok(()) };
        let parsed = parsed.join(", ");
        write!(f, "Actual output fields parsed from the LM response: [{parsed}] \n\n")
    }
}

impl std::error::Error for ParseError {}

/// Inputs that do not fit a signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputError {
    /// Required fields that are absent, in the signature's order.
    pub missing: Vec<String>,
    /// Values of the wrong type.
    pub mistyped: Vec<Mistyped>,
}

/// A value of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistyped {
    /// Where it is, as a JSON pointer into the inputs: `/tags/2`.
    pub pointer: String,
    /// What was expected and what is there.
    pub message: String,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.missing.is_empty() {
            let names = python::repr::str_list(&self.missing);
            write!(f, "Missing required input fields: {names}")?;
        }
        for (i, wrong) in self.mistyped.iter().enumerate() {
            let between = if i > 0 || !self.missing.is_empty() { "; " } else { "" };
            write!(f, "{between}{}: {}", wrong.pointer, wrong.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for InputError {}

/// A call of a model that gave no reply. The kinds are DSPy's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LmError {
    /// The provider asks to slow down.
    #[error("{message}")]
    RateLimited {
        /// The provider's words.
        message: String,
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
    },
    /// The provider failed.
    #[error("{message}")]
    Server {
        /// The provider's words.
        message: String,
        /// The HTTP status, when there was one.
        status: Option<u16>,
    },
    /// No answer came: network, DNS, TLS, a cut connection.
    #[error("{0}")]
    Transport(String),
    /// No answer came in time.
    #[error("{0}")]
    Timeout(String),
    /// The key was refused.
    #[error("{0}")]
    Auth(String),
    /// The provider does not have this model, or not this feature.
    #[error("{0}")]
    Unsupported(String),
    /// The prompt is longer than the model reads.
    #[error("{0}")]
    ContextWindowExceeded(String),
    /// The provider refused the request as malformed.
    #[error("{0}")]
    BadRequest(String),
    /// The account may not spend more.
    #[error("{0}")]
    Billing(String),
    /// The provider's answer is not of the protocol.
    #[error("{0}")]
    InvalidResponse(String),
    /// The model or its settings are misconfigured here.
    #[error("{0}")]
    Configuration(String),
    /// A budget of this house is spent.
    #[error("{0}")]
    BudgetExceeded(String),
    /// The call was given up on our side.
    #[error("the call of the language model was cancelled")]
    Cancelled,
}

impl LmError {
    /// The error that an endpoint's answer means, as DSPy tells them apart: by its HTTP status, the
    /// code in its body, and its words.
    pub fn answered(
        status: u16,
        code: &str,
        message: String,
        retry_after: Option<Duration>,
    ) -> Self {
        let is_too_long =
            code.contains("context_length_exceeded") || message.contains("maximum context length");
        match status {
            402 => Self::Billing(message),
            429 if code.contains("insufficient_quota") => Self::Billing(message),
            429 => Self::RateLimited { message, retry_after },
            408 => Self::Timeout(message),
            401 | 403 => Self::Auth(message),
            404 => Self::Unsupported(message),
            400 | 413 | 422 if is_too_long => Self::ContextWindowExceeded(message),
            400..=499 => Self::BadRequest(message),
            500.. => Self::Server { message, status: Some(status) },
            _ => Self::InvalidResponse(message),
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Transport(_)
            | Self::Timeout(_) => true,
            Self::Auth(_)
            | Self::Unsupported(_)
            | Self::ContextWindowExceeded(_)
            | Self::BadRequest(_)
            | Self::Billing(_)
            | Self::InvalidResponse(_)
            | Self::Configuration(_)
            | Self::BudgetExceeded(_)
            | Self::Cancelled => false,
        }
    }

    /// The stable code of this kind; DSPy's own where it has one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limit",
            Self::Server { .. } => "server",
            Self::Transport(_) => "transport",
            Self::Timeout(_) => "timeout",
            Self::Auth(_) => "auth",
            Self::Unsupported(_) => "unsupported_model",
            Self::ContextWindowExceeded(_) => "context_window_exceeded",
            Self::BadRequest(_) => "invalid_request",
            Self::Billing(_) => "billing",
            Self::InvalidResponse(_) => "provider",
            Self::Configuration(_) => "configuration",
            Self::BudgetExceeded(_) => "budget_exceeded",
            Self::Cancelled => "cancelled",
        }
    }
}
