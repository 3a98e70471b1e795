//! How an attempt's result becomes its end: the one place that decides on trying again.
//!
//! | what went wrong                          | what follows                                      |
//! |------------------------------------------|---------------------------------------------------|
//! | the model asks to slow down (429)        | put off as long as it asks; uses no attempt       |
//! | the model fails, is cut off or too slow  | again after a delay, while attempts are left      |
//! | the program's tools cannot be listed     | again after a delay, while attempts are left      |
//! | no Python process can be started         | again after a delay, while attempts are left      |
//! | a program cannot be fetched for now      | again after a delay, while attempts are left      |
//! | a neighbour's Python process was killed  | given back; uses no attempt                       |
//! | the attempt takes too long               | again after a delay, while attempts are left      |
//! | the reply cannot be read                 | again at once with a fresh rollout, at most twice |
//! | inputs, settings, key, program, a panic  | failed: it would go wrong again                   |
//! | the deadline passed                      | expired                                           |
//!
//! A reply that cannot be read uses an attempt like any other failure, so that `max_retries: 0`
//! means one call, and so that the record shows each try.

use std::time::Duration;

use dspy::LmError;
use programs::{Backoff, Jitter};
use queue::{End, Failure, FailureKind, Report, Task};
use rand::Rng;

use crate::python::Fault;

/// How often an unreadable reply is asked for again in one generation.
const PARSE_RETRIES_MAX: usize = 2;

/// How long an execution is put off if the model does not say.
const THROTTLE_DELAY: Duration = Duration::from_secs(15);

/// The shortest and the longest that one is put off.
const THROTTLE_DELAY_MIN: Duration = Duration::from_millis(100);
const THROTTLE_DELAY_MAX: Duration = Duration::from_secs(600);

/// How old an execution without a deadline may be and still be put off without using an attempt.
/// The store does not count how often one was put off, so its age is the bound.
const THROTTLE_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The longest delay before a retry, if the program does not say.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// Why an attempt gave no outputs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such program here, or it cannot be run so.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// The program ran, and failed.
    #[error(transparent)]
    Prediction(#[from] dspy::Error),
    /// The program is Python, and gave nothing.
    #[error(transparent)]
    Python(#[from] Fault),
    /// The program panicked.
    #[error("The program panicked: {0}")]
    Panicked(String),
    /// The attempt took too long.
    #[error("Execution timeout after {} seconds", .0.as_secs_f64())]
    Timeout(Duration),
    /// The execution's deadline passed.
    #[error("The deadline passed")]
    Deadline,
}

impl Error {
    /// The model's reply, if nothing could be made of it.
    pub(crate) fn unreadable_reply(&self) -> Option<&str> {
        let Self::Prediction(error) = self else { return None };
        let dspy::Error::Parse(error) = error.cause() else { return None };
        Some(&error.reply)
    }
}

/// What decides besides the error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// How many attempts of this generation were used before this one.
    pub(crate) attempts_used: u32,
    /// How many it may use after the first.
    pub(crate) max_retries: u32,
    /// How many of them ended with an unreadable reply.
    pub(crate) parse_errors: usize,
    /// How long ago it was accepted.
    pub(crate) age: Duration,
    /// Whether the deadline bounds how often it is put off.
    pub(crate) has_deadline: bool,
    /// How the program wants to wait.
    pub(crate) backoff: Backoff,
    /// The longest first delay, if the program does not say.
    pub(crate) retry_base: Duration,
}

/// What follows from an error.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Next {
    Fail,
    Again(Duration),
    Later(Duration),
    Return,
    Expire,
}

impl Circumstances {
    /// Those of a task.
    pub(crate) fn of(task: &Task, backoff: Backoff, retry_base: Duration, age: Duration) -> Self {
        let unreadable = |it: &&queue::Attempt| {
            it.generation == task.generation
                && it.error.as_ref().is_some_and(|it| it.kind == FailureKind::ParseError)
        };
        Self {
            attempts_used: task.attempts_used(),
            max_retries: task.spec.max_retries,
            parse_errors: task.attempts.iter().filter(unreadable).count(),
            age,
            has_deadline: task.spec.deadline.is_some(),
            backoff,
            retry_base,
        }
    }
}

/// The end of an attempt that failed; `report` is what it left besides.
pub(crate) fn of(
    error: &Error,
    circumstances: &Circumstances,
    report: Report,
    random: &mut impl Rng,
) -> End {
    let failure = Failure { kind: kind(error), message: error.to_string() };
    match next(error, circumstances, random) {
        Next::Fail => End::Failed(Report { failure: Some(failure), ..report }),
        Next::Again(delay) => End::Retry(failure, delay),
        Next::Later(delay) => End::Throttled(failure, delay),
        Next::Return => End::Returned,
        Next::Expire => End::Expired,
    }
}

fn next(error: &Error, it: &Circumstances, random: &mut impl Rng) -> Next {
    let attempts_left = it.attempts_used < it.max_retries;
    let again = |delay| if attempts_left { Next::Again(delay) } else { Next::Fail };
    let error = match error {
        Error::Deadline => return Next::Expire,
        Error::Timeout(_) | Error::Python(Fault::NotStarted(_) | Fault::NotFetched(_)) => {
            return again(delay(it, random));
        }
        Error::Prediction(error) => error.cause(),
        Error::Python(Fault::Bystander(_)) => return Next::Return,
        Error::Python(Fault::Raised { .. } | Fault::NotLoaded(_) | Fault::Crashed(_))
        | Error::Program(_)
        | Error::Panicked(_) => return Next::Fail,
    };
    match error {
        dspy::Error::Parse(_) if it.parse_errors < PARSE_RETRIES_MAX => again(Duration::ZERO),
        dspy::Error::Lm(LmError::RateLimited { retry_after, .. }) if may_be_put_off(it) => {
            Next::Later(put_off(*retry_after, random))
        }
        dspy::Error::Lm(error) if error.is_retryable() => again(delay(it, random)),
        dspy::Error::Tools(_) => again(delay(it, random)),
        dspy::Error::Parse(_)
        | dspy::Error::Lm(_)
        | dspy::Error::Inputs(_)
        | dspy::Error::Program(_)
        | dspy::Error::Step { .. } => Next::Fail,
    }
}

fn may_be_put_off(it: &Circumstances) -> bool {
    it.has_deadline || it.age < THROTTLE_AGE_MAX
}

/// As long as the model asks, and a little longer each, so that not all come back at once.
fn put_off(asked: Option<Duration>, random: &mut impl Rng) -> Duration {
    let asked = asked.unwrap_or(THROTTLE_DELAY).clamp(THROTTLE_DELAY_MIN, THROTTLE_DELAY_MAX);
    asked.mul_f64(random.random_range(1.0..1.25))
}

/// The delay before the next attempt: `initial * factor^n`, bounded and spread.
fn delay(it: &Circumstances, random: &mut impl Rng) -> Duration {
    let initial = it.backoff.initial.unwrap_or(it.retry_base);
    let factor = it.backoff.factor.unwrap_or(2.0).max(1.0);
    let max = it.backoff.max.unwrap_or(DELAY_MAX);
    let power = i32::try_from(it.attempts_used).unwrap_or(i32::MAX);
    let seconds = (initial.as_secs_f64() * factor.powi(power)).min(max.as_secs_f64());
    let share = match it.backoff.jitter.unwrap_or(Jitter::Full) {
        Jitter::Full => random.random_range(0.0..1.0),
        Jitter::Equal => random.random_range(0.5..1.0),
        Jitter::None => 1.0,
    };
    Duration::try_from_secs_f64(seconds * share).unwrap_or(max)
}

fn kind(error: &Error) -> FailureKind {
    match error {
        Error::Program(programs::Error::NotFound(_) | programs::Error::Unchosen { .. }) => {
            FailureKind::ProgramNotFound
        }
        Error::Program(programs::Error::Override { .. }) => FailureKind::Validation,
        Error::Program(programs::Error::NotRunnable(_)) | Error::Panicked(_) | Error::Python(_) => {
            FailureKind::ProgramError
        }
        Error::Prediction(error) => kind_of_prediction(error.cause()),
        Error::Timeout(_) | Error::Deadline => FailureKind::Timeout,
    }
}

fn kind_of_prediction(error: &dspy::Error) -> FailureKind {
    match error {
        dspy::Error::Inputs(_) => FailureKind::Validation,
        dspy::Error::Parse(_) => FailureKind::ParseError,
        dspy::Error::Lm(LmError::BudgetExceeded(_)) => FailureKind::BudgetExceeded,
        dspy::Error::Lm(_) => FailureKind::LmError,
        dspy::Error::Tools(_) | dspy::Error::Program(_) | dspy::Error::Step { .. } => {
            FailureKind::ProgramError
        }
    }
}

#[cfg(test)]
mod tests;
