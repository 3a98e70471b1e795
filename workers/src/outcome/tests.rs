//! What follows from what.

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
        expected: Box::default(),
        parsed: None,
        message: None,
        uncaught: None,
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
        (Fault::NotLoaded(said()).into(), Next::Fail, Kind::ProgramError),
        (Fault::NotStarted(said()).into(), second, Kind::ProgramError),
        (Fault::NotFetched(said()).into(), second, Kind::ProgramError),
        (Fault::Crashed(said()).into(), Next::Fail, Kind::ProgramError),
        (Fault::Bystander(said()).into(), Next::Return, Kind::ProgramError),
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
        other @ (Next::Fail | Next::Again(_) | Next::Return | Next::Expire) => panic!("{other:?}"),
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
    let seconds =
        |attempts_used| delay(&Circumstances { attempts_used, ..fresh() }, &mut random).as_secs();
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
