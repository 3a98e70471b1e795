//! One execution, from its lease to its result.

use std::{any::Any, borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::Utc;
use dspy::{Run, Trace};
use futures::FutureExt;
use programs::{Backoff, LmConfig, Program, Runtime};
use queue::{End, Ending, FailureKind, Fields, Lease, Mode, Report, Spec, Task};
use tokio::time::{self, Instant};

use crate::{
    gateway::Tally,
    outcome::{self, Circumstances, Error},
    record,
    roster::Stop,
    shift::Shift,
};

/// The longest that any attempt may take: a month.
const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs an execution, claimed by that incarnation, and records how it ended.
pub(crate) async fn one(shift: Arc<Shift>, lease: Lease, incarnation: u64) {
    let (started_at, began) = (Utc::now(), Instant::now());
    let (seat, stopped) = shift.roster.enter(lease.task.id);
    let end = tokio::select! {
        biased;
        why = stopped => match why {
            Ok(Stop::Cancelled) => End::Cancelled,
            Ok(Stop::Returned) | Err(_) => End::Returned,
        },
        end = attempt(&shift, &lease.task, began) => end,
    };
    drop(seat);
    let ending = Ending { lease, end, started_at, run_time: began.elapsed() };
    record::record(&shift, ending, incarnation).await;
}

/// What an attempt leaves, however it ends.
struct Evidence {
    trace: Trace,
    tally: Tally,
    extra: Fields,
    backoff: Backoff,
}

/// Tries once, within its time, and decides what follows.
async fn attempt(shift: &Arc<Shift>, task: &Task, began: Instant) -> End {
    let limit = Limit::of(&task.spec, shift.config.timeout, began);
    let debug = task.spec.mode == Mode::Debug;
    let mut evidence = Evidence {
        trace: if debug { Trace::on() } else { Trace::off() },
        tally: Tally::default(),
        extra: Fields::new(),
        backoff: Backoff::default(),
    };
    let result = limit.hold(perform(shift, task, limit.at, &mut evidence)).await;
    let backoff = evidence.backoff;
    match result {
        Ok(outputs) => End::Succeeded(evidence.report(Some(outputs))),
        Err(error) => {
            if let Error::Panicked(_) = error {
                shift.metrics.panics.add(1);
            }
            let age = (Utc::now() - task.created_at).to_std().unwrap_or_default();
            let it = Circumstances::of(task, backoff, shift.config.retry_base, age);
            outcome::of(&error, &it, evidence.report(None), &mut rand::rng())
        }
    }
}

/// Finds the program, checks the inputs, and runs it.
async fn perform(
    shift: &Arc<Shift>,
    task: &Task,
    until: Instant,
    evidence: &mut Evidence,
) -> Result<Fields, Error> {
    let Task { spec, inputs, .. } = task;
    let program = find(shift, spec).await?;
    evidence.backoff = program.retries.backoff;
    program.runnable()?;
    let mut overrides = LmConfig::default().with_overrides(&spec.lm)?.settings;
    let lm = if spec.lm.is_empty() {
        Cow::Borrowed(&program.lm)
    } else {
        Cow::Owned(program.lm.with_overrides(&spec.lm)?)
    };
    program.check(inputs).map_err(dspy::Error::from)?;
    if spec.mode == Mode::DryRun {
        evidence.extra.insert("validation_passed".to_owned(), true.into());
        return Ok(Fields::new());
    }
    if was_unreadable(task) {
        // Else a cache before the model could give the same unreadable reply again.
        let asked = overrides.rollout_id.unwrap_or(0);
        overrides.rollout_id = Some(asked.saturating_add(task.attempts_used().into()));
    }
    let Evidence { trace, tally, extra, .. } = evidence;
    match &program.runtime {
        Runtime::Native(module) => {
            let call = shift.gateway.call(&lm, program.origin, tally).until(until);
            let run = Run::new(&call, &overrides, trace);
            let prediction = module.run(inputs, run).await?;
            if !prediction.warnings.is_empty() {
                extra.insert("warnings".to_owned(), prediction.warnings.into());
            }
            if !prediction.completions.is_empty() {
                extra.insert("completions".to_owned(), prediction.completions.into());
            }
            Ok(prediction.outputs)
        }
        // `runnable` has refused it above; the next version runs it here.
        Runtime::Python(_) => {
            let text = format!("{} needs the python runtime", program.pinned());
            Err(programs::Error::NotRunnable(text).into())
        }
    }
}

/// The program that was meant when the execution was accepted; else its successor. Before an
/// execution fails for want of a program, the programs are read again.
async fn find(shift: &Arc<Shift>, spec: &Spec) -> Result<Arc<Program>, programs::Error> {
    let asked = Instant::now();
    let newest = shift.registry.get(&spec.program);
    let meant = |it: &Program| spec.version.is_empty() || it.version == spec.version;
    if let Ok(program) = &newest
        && meant(program)
    {
        return newest;
    }
    let pinned = format!("{}@{}", spec.program, spec.version);
    if let Ok(program) = shift.registry.get(&pinned) {
        return Ok(program);
    }
    shift.refresh(asked).await;
    shift.registry.get(&pinned).or_else(|_| shift.registry.get(&spec.program))
}

/// Whether the attempt before ended with a reply that could not be read.
fn was_unreadable(task: &Task) -> bool {
    let last = task.attempts.last().filter(|it| it.generation == task.generation);
    last.and_then(|it| it.error.as_ref()).is_some_and(|it| it.kind == FailureKind::ParseError)
}

impl Evidence {
    fn report(self, outputs: Option<Fields>) -> Report {
        let usage = self.tally.usage().into_iter();
        let usage = usage.filter_map(|(model, it)| Some((model, serde_json::to_value(it).ok()?)));
        let debug_trace = self.trace.is_on().then(|| serde_json::to_value(&self.trace));
        Report {
            outputs,
            failure: None,
            usage: usage.collect(),
            debug_trace: debug_trace.and_then(Result::ok),
            extra: self.extra,
        }
    }
}

/// When an attempt has to end: its timeout, or the execution's deadline if that is sooner.
struct Limit {
    at: Instant,
    timeout: Option<Duration>,
}

impl Limit {
    fn of(spec: &Spec, default: Duration, began: Instant) -> Self {
        let timeout = if spec.timeout.is_zero() { default } else { spec.timeout };
        let capped = timeout.min(TIMEOUT_MAX);
        let left = spec.deadline.map(|it| (it - Utc::now()).to_std().unwrap_or_default());
        match left {
            Some(left) if left < capped => Self { at: began + left, timeout: None },
            Some(_) | None => Self { at: began + capped, timeout: Some(timeout) },
        }
    }

    /// Lets something run for so long. If it panics, only it fails.
    async fn hold<T>(&self, run: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let too_late = || self.timeout.map_or(Error::Deadline, Error::Timeout);
        if self.at <= Instant::now() {
            return Err(too_late());
        }
        match time::timeout_at(self.at, AssertUnwindSafe(run).catch_unwind()).await {
            // What was given up because the time was over failed for that, whatever it says.
            Ok(Ok(Err(_))) if Instant::now() >= self.at => Err(too_late()),
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::Panicked(words(&*panic))),
            Err(_) => Err(too_late()),
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let owned = || panic.downcast_ref::<String>().cloned();
    let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
    text.or_else(owned).unwrap_or_else(|| "without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(millis: u64) -> Limit {
        let timeout = Duration::from_millis(millis);
        Limit { at: Instant::now() + timeout, timeout: Some(timeout) }
    }

    #[tokio::test]
    async fn a_panic_fails_only_what_panicked() {
        let run = async { panic!("oh {}", "no") };

        let result: Result<(), Error> = limit(1000).hold(run).await;

        assert_eq!(result.unwrap_err().to_string(), "The program panicked: oh no");
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_stopped() {
        let result: Result<(), Error> = limit(1500).hold(std::future::pending()).await;

        assert_eq!(result.unwrap_err().to_string(), "Execution timeout after 1.5 seconds");
    }

    #[tokio::test]
    async fn nothing_begins_after_the_deadline() {
        let limit = Limit { at: Instant::now(), timeout: None };

        let result: Result<(), Error> = limit.hold(async { panic!("it began") }).await;

        assert!(matches!(result, Err(Error::Deadline)));
    }
}
