//! How an attempt's result becomes its end: the one place that decides on trying again.
//!
//! | what went wrong                          | what follows                                      |
//! |------------------------------------------|---------------------------------------------------|
//! | the model asks to slow down (429)        | put off as long as it asks; uses no attempt       |
//! | the model fails, is cut off or too slow  | again after a delay, while attempts are left      |
//! | the program's tools cannot be listed     | again after a delay, while attempts are left      |
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
        Next::Expire => End::Expired,
    }
}

fn next(error: &Error, it: &Circumstances, random: &mut impl Rng) -> Next {
    let attempts_left = it.attempts_used < it.max_retries;
    let again = |delay| if attempts_left { Next::Again(delay) } else { Next::Fail };
    let error = match error {
        Error::Deadline => return Next::Expire,
        Error::Timeout(_) => return again(delay(it, random)),
        Error::Prediction(error) => error.cause(),
        Error::Program(_) | Error::Panicked(_) => return Next::Fail,
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
        Error::Program(programs::Error::NotRunnable(_)) | Error::Panicked(_) => {
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
mod tests {
    use super::*;
    use dspy::{InputError, ParseError};
    use rand::{SeedableRng, rngs::StdRng};

    fn fresh() -> Circumstances {
        Circumstances {
            attempts_used: 0,
            max_retries: 2,
            parse_errors: 0,
            age: Duration::ZERO,
            has_deadline: false,
            backoff: Backoff { jitter: Some(Jitter::None), ..Backoff::default() },
            retry_base: Duration::from_secs(1),
        }
    }

    fn lm(error: LmError) -> Error {
        Error::Prediction(error.into())
    }

    fn parse() -> Error {
        let error = ParseError {
            adapter: "ChatAdapter".to_owned(),
            reply: "?".to_owned(),
            expected: vec![],
            parsed: None,
            message: None,
        };
        Error::Prediction(Box::new(error).into())
    }

    fn limited(retry_after: Option<u64>) -> Error {
        let retry_after = retry_after.map(Duration::from_secs);
        lm(LmError::RateLimited { message: "slow down".to_owned(), retry_after })
    }

    fn next_of(error: &Error, circumstances: Circumstances) -> Next {
        next(error, &circumstances, &mut StdRng::seed_from_u64(7))
    }

    fn said() -> String {
        "said".to_owned()
    }

    #[test]
    fn each_class_of_error_has_its_consequence() {
        use FailureKind as Kind;
        let second = Next::Again(Duration::from_secs(1));
        let missing = programs::Error::NotFound("x".to_owned());
        let refused = programs::Error::Override { key: said(), problem: said() };
        let table = [
            (Error::Deadline, Next::Expire, Kind::Timeout),
            (Error::Timeout(Duration::from_secs(3)), second, Kind::Timeout),
            (Error::Panicked(said()), Next::Fail, Kind::ProgramError),
            (Error::Program(missing), Next::Fail, Kind::ProgramNotFound),
            (Error::Program(refused), Next::Fail, Kind::Validation),
            (Error::Prediction(InputError::default().into()), Next::Fail, Kind::Validation),
            (parse(), Next::Again(Duration::ZERO), Kind::ParseError),
            (lm(LmError::Server { message: said(), status: None }), second, Kind::LmError),
            (lm(LmError::Transport(said())), second, Kind::LmError),
            (lm(LmError::Timeout(said())), second, Kind::LmError),
            (lm(LmError::Auth(said())), Next::Fail, Kind::LmError),
            (lm(LmError::Unsupported(said())), Next::Fail, Kind::LmError),
            (lm(LmError::ContextWindowExceeded(said())), Next::Fail, Kind::LmError),
            (lm(LmError::BadRequest(said())), Next::Fail, Kind::LmError),
            (lm(LmError::Billing(said())), Next::Fail, Kind::LmError),
            (lm(LmError::InvalidResponse(said())), Next::Fail, Kind::LmError),
            (lm(LmError::Configuration(said())), Next::Fail, Kind::LmError),
            (lm(LmError::BudgetExceeded(said())), Next::Fail, Kind::BudgetExceeded),
            (lm(LmError::Cancelled), Next::Fail, Kind::LmError),
        ];
        for (error, expected, kind_expected) in table {
            assert_eq!(next_of(&error, fresh()), expected, "{error:?}");
            assert_eq!(kind(&error), kind_expected, "{error:?}");
        }
    }

    #[test]
    fn nothing_is_tried_again_when_no_attempt_is_left() {
        let last = Circumstances { attempts_used: 2, ..fresh() };
        let errors = [parse(), Error::Timeout(Duration::ZERO), lm(LmError::Transport(said()))];
        for error in errors {
            assert_eq!(next_of(&error, last), Next::Fail, "{error:?}");
        }
    }

    #[test]
    fn an_unreadable_reply_is_asked_for_again_twice() {
        let after = |parse_errors| {
            let max_retries = 9;
            next_of(&parse(), Circumstances { max_retries, parse_errors, ..fresh() })
        };
        assert_eq!(after(1), Next::Again(Duration::ZERO));
        assert_eq!(after(2), Next::Fail);
    }

    #[test]
    fn a_throttled_execution_waits_as_long_as_asked_and_uses_no_attempt() {
        let last = Circumstances { attempts_used: 2, ..fresh() };
        let seconds = |asked| match next_of(&limited(asked), last) {
            Next::Later(delay) => delay.as_secs_f64(),
            other @ (Next::Fail | Next::Again(_) | Next::Expire) => panic!("{other:?}"),
        };
        assert!((7.0..8.75).contains(&seconds(Some(7))));
        assert!((15.0..18.75).contains(&seconds(None)));
        assert!((0.1..0.125).contains(&seconds(Some(0))));
        assert!((600.0..750.0).contains(&seconds(Some(1_000_000))));
    }

    #[test]
    fn being_throttled_has_an_end() {
        let old = Circumstances { age: THROTTLE_AGE_MAX, ..fresh() };
        let last = Circumstances { attempts_used: 2, ..old };
        let bounded = Circumstances { has_deadline: true, ..last };

        assert!(matches!(next_of(&limited(None), old), Next::Again(_)));
        assert_eq!(next_of(&limited(None), last), Next::Fail);
        assert!(matches!(next_of(&limited(None), bounded), Next::Later(_)));
    }

    #[test]
    fn delays_double_up_to_a_bound() {
        let mut random = StdRng::seed_from_u64(7);
        let seconds = |attempts_used| {
            delay(&Circumstances { attempts_used, ..fresh() }, &mut random).as_secs()
        };
        let delays: Vec<u64> = [0, 1, 2, 5, 6, 7, u32::MAX].map(seconds).into();
        assert_eq!(delays, [1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn full_jitter_spreads_over_the_whole_delay() {
        let mut random = StdRng::seed_from_u64(7);
        let it = Circumstances { attempts_used: 3, backoff: Backoff::default(), ..fresh() };

        let delays: Vec<f64> = (0..1000).map(|_| delay(&it, &mut random).as_secs_f64()).collect();

        assert!(delays.iter().all(|it| (0.0..8.0).contains(it)));
        assert!(delays.iter().any(|it| *it < 0.5) && delays.iter().any(|it| *it > 7.5));
    }

    #[test]
    fn the_programs_own_backoff_is_heeded() {
        let backoff = Backoff {
            initial: Some(Duration::from_millis(500)),
            factor: Some(3.0),
            max: Some(Duration::from_secs(4)),
            jitter: Some(Jitter::None),
        };
        let after = |attempts_used| {
            let it = Circumstances { attempts_used, backoff, ..fresh() };
            delay(&it, &mut StdRng::seed_from_u64(7)).as_millis()
        };
        assert_eq!([0, 1, 2].map(after), [500, 1500, 4000]);
    }

    #[test]
    fn a_timeout_says_how_long_without_a_trailing_zero() {
        let say = |millis| Error::Timeout(Duration::from_millis(millis)).to_string();
        assert_eq!(say(300_000), "Execution timeout after 300 seconds");
        assert_eq!(say(1_500), "Execution timeout after 1.5 seconds");
    }

    #[test]
    fn a_failure_keeps_what_the_attempt_left() {
        let mut usage = queue::Fields::new();
        usage.insert("m".to_owned(), 1.into());
        let report = Report { usage: usage.clone(), ..Report::default() };

        let end = of(&Error::Panicked(said()), &fresh(), report, &mut StdRng::seed_from_u64(7));

        let End::Failed(report) = end else { panic!("{end:?}") };
        assert_eq!(report.usage, usage);
        assert_eq!(report.failure.unwrap().message, "The program panicked: said");
    }
}
