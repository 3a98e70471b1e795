//! One execution, from its lease to its result.

use std::{any::Any, borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::Utc;
use dspy::{Lm, LmEndpoint, LmError, LmReply, Progress, Run, Trace};
use futures::FutureExt;
use programs::{Backoff, LmConfig, Program, Runtime};
use queue::{End, Ending, Fields, Lease, Mode, RawJson, Report, Spec, Task};
use serde_json::{Map, Value};
use tokio::time::{self, Instant};
use tracing::warn;

use crate::{
    gateway::{Account, Call, Tally},
    outcome::{self, Circumstances, Error},
    python::{self, Fault, Job, Lms},
    record,
    roster::Stop,
    shift::Shift,
    sources::SourceError,
    telemetry::{AttemptSpan, Parent},
    teller::Teller,
    tracking,
};

/// The longest that any attempt may take: a month.
const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs an execution, claimed by that incarnation, and records how it ended.
pub(crate) async fn one(shift: Arc<Shift>, lease: Lease, incarnation: u64) {
    let (started_at, began) = (Utc::now(), Instant::now());
    let (seat, stopped) = shift.roster.enter(lease.task.id);
    let account = account(&shift, &lease.task);
    let span = AttemptSpan::begin(shift.spans.as_ref(), &lease.task);
    let teller = Teller::of(&shift.queue, &lease.task);
    let client = Client { account: &account, progress: teller.as_ref().map(Teller::progress) };
    let attempt = async {
        tokio::select! {
            biased;
            why = stopped => match why {
                Ok(Stop::Cancelled) => End::Cancelled,
                Ok(Stop::Returned) | Err(_) => End::Returned,
            },
            end = attempt(&shift, client, &lease.task, &span, began) => end,
        }
    };
    let end = match &teller {
        Some(teller) => Box::pin(teller.beside(attempt)).await,
        None => attempt.await,
    };
    drop(seat);
    span.end(&end);
    let paid = (account.is_used() && end.is_final()).then_some(lease.task.id);
    let ending = Ending { lease, end, started_at, run_time: began.elapsed() };
    record::record(&shift, ending, incarnation).await;
    if let Some(id) = paid {
        // If it cannot be forgotten now, it is when its time is over.
        drop(shift.queue.forget(id).await);
    }
}

/// For whom an attempt's calls of models are made. What may not come from a cache is not shared.
fn account(shift: &Shift, task: &Task) -> Account {
    let ttl_max = shift.config.lm_cache_ttl;
    let shared = task.cache.as_ref().map(|it| it.ttl.min(ttl_max)).filter(|it| !it.is_zero());
    Account::of(task, shift.config.owner_budget_micros, shared)
}

/// For whom an attempt is made.
#[derive(Clone, Copy)]
struct Client<'a> {
    /// Who pays.
    account: &'a Account,
    /// Where it tells what it does, if anybody wants to know.
    progress: Option<&'a Progress>,
}

/// What an attempt leaves, however it ends.
struct Evidence<'a> {
    span: Option<Parent<'a>>,
    trace: Trace,
    /// Whether the trace is for people; else it is for MLflow alone.
    is_debugged: bool,
    /// The trace as it is kept for MLflow.
    kept: Option<RawJson>,
    tally: Tally,
    extra: Fields,
    backoff: Backoff,
}

/// Tries once, within its time, and decides what follows.
async fn attempt(
    shift: &Arc<Shift>,
    client: Client<'_>,
    task: &Task,
    span: &AttemptSpan<'_>,
    began: Instant,
) -> End {
    let limit = Limit::of(&task.spec, shift.config.timeout, began);
    let debug = task.spec.mode == Mode::Debug;
    let traced = debug || tracking::keeps_trace(shift, task);
    let mut evidence = Evidence {
        span: span.parent(),
        trace: if traced { Trace::on() } else { Trace::off() },
        is_debugged: debug,
        kept: None,
        tally: Tally::default(),
        extra: span.trace_id().map(|it| ("trace_id".to_owned(), it.into())).into_iter().collect(),
        backoff: Backoff::default(),
    };
    // In a box, or each future around it would copy it, several kilobytes for each execution.
    let run = Box::pin(perform(shift, client, task, limit.at, &mut evidence));
    let result = limit.hold(run).await;
    let backoff = evidence.backoff;
    evidence.keep_steps(shift, result.as_ref().ok()).await;
    match result {
        Ok(outputs) => End::Succeeded(evidence.report(Some(outputs))),
        Err(error) => {
            if let Error::Panicked(_) = error {
                shift.metrics.panics.add(1);
            }
            retract(shift, client.account, &error).await;
            let age = (Utc::now() - task.created_at).to_std().unwrap_or_default();
            let it = Circumstances::of(task, backoff, shift.config.retry_base, age);
            outcome::of(&error, &it, evidence.report(None), &mut rand::rng())
        }
    }
}

/// Takes back the reply that could not be read, so that the next attempt asks for another; what
/// was read before it is paid for.
async fn retract(shift: &Shift, account: &Account, error: &Error) {
    let Some(reply) = error.unreadable_reply() else { return };
    for place in account.unreadable(reply) {
        if let Err(error) = shift.queue.retract(&place).await {
            warn!(%error, "cannot take an unreadable reply back: it may be read again");
        }
    }
}

/// Finds the program, checks the inputs, and runs it.
async fn perform(
    shift: &Arc<Shift>,
    Client { account, progress }: Client<'_>,
    task: &Task,
    until: Instant,
    evidence: &mut Evidence<'_>,
) -> Result<Fields, Error> {
    let Task { spec, inputs, .. } = task;
    let program = find(shift, spec).await?;
    evidence.backoff = program.retries.backoff;
    program.runnable()?;
    let program = here(shift, program).await?;
    let overrides = LmConfig::default().with_overrides(&spec.lm)?.settings;
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
    match &program.runtime {
        Runtime::Native(module) => {
            let Evidence { span, trace, tally, .. } = evidence;
            let call = shift.gateway.call(&lm, program.origin, tally).until(until).on(account);
            let call = call.below(*span);
            let tools = shift.toolbox.of(&program).below(*span);
            let embedder = call.embeddings(&program.embedders);
            let run = Run::new(&call, &overrides, trace);
            let run = Run { progress, tools: &tools, embedder: &embedder, ..run };
            let prediction = module.run(inputs, run).await?;
            evidence.keep("warnings", prediction.warnings);
            evidence.keep("completions", prediction.completions);
            Ok(prediction.outputs)
        }
        Runtime::Python(python) => {
            let Evidence { span, trace, tally, .. } = evidence;
            let others = LmConfig { endpoint: LmEndpoint::default(), ..lm.as_ref().clone() };
            let call = |lm| {
                let call = shift.gateway.call(lm, program.origin, tally);
                call.until(until).on(account).below(*span)
            };
            let (own, other) = (call(&lm), call(&others));
            let lms = Endpoints { model: lm.settings.model.as_deref(), own: &own, other: &other };
            let settings = python::settings(&overrides);
            let (id, class) = (task.id, task.spec.class);
            let job = Job { id, class, inputs, settings: &settings, lms: &lms, trace, progress };
            let returned = shift.python.run(&program, python, &job).await;
            if let Err(Error::Python(Fault::Raised { traceback: Some(text), .. })) = &returned {
                evidence.extra.insert("traceback".to_owned(), text.as_str().into());
            }
            let returned = returned?;
            for (model, usage) in returned.usage {
                evidence.tally.add(&model, usage, shift.gateway.terms(&model));
            }
            evidence.keep("completions", returned.completions);
            evidence.keep("output", returned.lines);
            Ok(returned.outputs)
        }
    }
}

/// The two ways of a Python program to a model: its own endpoint for the models of its own
/// provider, and the providers' endpoints for any others that it names.
struct Endpoints<'a> {
    model: Option<&'a str>,
    own: &'a Call<'a>,
    other: &'a Call<'a>,
}

impl<'a> Endpoints<'a> {
    fn call(&self, model: &str) -> &'a Call<'a> {
        let provider = |it: &str| it.split_once('/').map(|(provider, _)| provider.to_owned());
        let is_own = self.model.is_none_or(|own| provider(own) == provider(model));
        if is_own { self.own } else { self.other }
    }
}

#[async_trait]
impl Lms for Endpoints<'_> {
    fn of(&self, model: &str) -> &dyn Lm {
        self.call(model)
    }

    async fn embed(&self, model: &str, request: &Map<String, Value>) -> Result<LmReply, LmError> {
        self.call(model).embed(model, request).await
    }
}

/// The program that was meant when the execution was accepted; else its successor. Before an
/// execution fails for want of a program, the programs are read again.
pub(crate) async fn find(shift: &Arc<Shift>, spec: &Spec) -> Result<Arc<Program>, programs::Error> {
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

/// The program with what its source names elsewhere, once that is here.
async fn here(shift: &Shift, program: Arc<Program>) -> Result<Arc<Program>, Error> {
    let Some(source) = program.elsewhere() else { return Ok(program) };
    shift.sources.until_here(source).await.map_err(|error| match error {
        SourceError::Unavailable(why) => Fault::NotFetched(why),
        SourceError::Refused(why) => Fault::NotLoaded(why),
    })?;
    Ok(shift.registry.get(&program.pinned())?)
}

impl Evidence<'_> {
    /// Keeps a list with the result, if there is anything in it.
    fn keep<T: Into<Value>>(&mut self, name: &str, list: Vec<T>) {
        if !list.is_empty() {
            self.extra.insert(name.to_owned(), list.into());
        }
    }

    /// Keeps the steps for MLflow, where nobody else wants to see them.
    async fn keep_steps(&mut self, shift: &Shift, result: Option<&Fields>) {
        if self.trace.is_on() && !self.is_debugged {
            let steps = std::mem::take(&mut self.trace).into_steps();
            self.kept = tracking::kept(shift, &steps, result).await;
        }
    }

    fn report(self, outputs: Option<Fields>) -> Report {
        let usage = self.tally.used().into_iter();
        let usage = usage.filter_map(|(model, it)| Some((model, serde_json::to_value(it).ok()?)));
        Report {
            outputs,
            failure: None,
            usage: usage.collect(),
            debug_trace: self.is_debugged.then(|| serde_json::to_value(&self.trace).ok()).flatten(),
            trace: self.kept,
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
