//! From a request to work: the one place where a program's rules and the queue's meet.

use std::time::Duration;

use chrono::Utc;
use programs::Program;
use queue::{
    BatchId, BatchItem, CacheKey, End, ExecutionId, Failure, FailureKind, Fields, Idempotency,
    Mode, NewBatch, NewExecution, Report, Spec,
};
use serde_json::{Value, json};

use crate::{
    Config, bounds,
    error::{Error, Result},
    problem::Fault,
    request::{BatchRequest, ExecuteRequest, Options},
};

/// Makes an execution of a request for a program.
pub(crate) fn execution(
    request: ExecuteRequest,
    program: &Program,
    owner: &str,
    idempotency: Option<Idempotency>,
    config: &Config,
) -> Result<NewExecution> {
    let now = Utc::now();
    let (inputs, start, options) = request.split();
    let not_before = bounds::not_before(start.run_at, start.delay, now)?;
    let plan = Plan::new(options, program, owner, config)?;
    let checked = plan.check(&inputs);
    let ended = match (plan.spec.mode, checked) {
        (Mode::DryRun, checked) => Some(dry_run(checked)),
        (Mode::Normal | Mode::Debug, Ok(())) => None,
        (Mode::Normal | Mode::Debug, Err(refused)) => return Err(refused.into()),
    };
    let fingerprint = plan.fingerprint(&inputs);
    let cache = fingerprint.zip(plan.ttl).map(|(fingerprint, ttl)| CacheKey { fingerprint, ttl });
    let (id, durability) = (ExecutionId::new(), start.durability);
    let spec = plan.spec;
    Ok(NewExecution { id, spec, inputs, not_before, cache, idempotency, durability, ended })
}

/// Makes a batch of a request for a program. An item that does not fit fails alone.
pub(crate) fn batch(
    request: BatchRequest,
    program: &Program,
    owner: &str,
    idempotency: Option<Idempotency>,
    config: &Config,
) -> Result<NewBatch> {
    let (list, options) = request.split();
    bounds::batch(list.len(), options.mode, config)?;
    let plan = Plan::new(options, program, owner, config)?;
    let items = list.into_iter().map(|inputs| plan.item(inputs)).collect();
    let (id, cache_ttl) = (BatchId::new(), plan.ttl);
    Ok(NewBatch { id, spec: plan.spec, cache_ttl, items, idempotency })
}

/// How to run one program, settled once for all inputs.
struct Plan<'a> {
    program: &'a Program,
    config: &'a Config,
    spec: Spec,
    /// How long results stand for equal executions; none for "do not cache".
    ttl: Option<Duration>,
}

/// Inputs that do not fit.
struct Refused {
    message: String,
    faults: Vec<Fault>,
}

impl<'a> Plan<'a> {
    fn new(
        options: Options,
        program: &'a Program,
        owner: &str,
        config: &'a Config,
    ) -> Result<Self> {
        bounds::check(&options, config)?;
        program.runnable()?;
        if !options.lm.is_empty() {
            program.lm.with_overrides(&options.lm)?;
        }
        let ttl = ttl(&options, program, config);
        let timeout = options.timeout.map(|it| bounds::timeout(it, config)).transpose()?;
        let default = program.timeout.unwrap_or(Duration::from_secs(config.timeout_seconds));
        let max_retries = options.max_retries.or(program.retries.max);
        let allowance = bounds::allowance(options.budget, program.budget)?;
        let spec = Spec {
            program: program.id.clone(),
            version: program.version.clone(),
            owner: owner.to_owned(),
            mode: options.mode,
            class: options.class,
            timeout: timeout.unwrap_or(default),
            max_retries: max_retries.unwrap_or(config.max_retries).min(bounds::RETRIES_MAX),
            deadline: options.deadline,
            lm: options.lm,
            metadata: options.metadata,
            allowance,
            trace: None,
            webhook: options.webhook,
            tracked: config.mlflow_tracking && options.mode != Mode::DryRun,
            stream: options.stream,
        };
        Ok(Self { program, config, spec, ttl })
    }

    fn check(&self, inputs: &Fields) -> Result<(), Refused> {
        let most = self.config.inputs_depth_max;
        if let Some(name) = inputs.iter().find(|(_, it)| bounds::deeper(it, most)).map(|it| it.0) {
            let message = format!("is nested deeper than {most} levels");
            return Err(Refused {
                message: format!("input `{name}` {message}"),
                faults: vec![Fault {
                    pointer: format!("/inputs/{}", bounds::token(name)),
                    message,
                }],
            });
        }
        self.program.check(inputs).map_err(|error| Refused {
            message: error.to_string(),
            faults: faults(
                error.missing,
                error.mistyped.into_iter().map(|it| (it.pointer, it.message)),
            ),
        })
    }

    fn fingerprint(&self, inputs: &Fields) -> Option<String> {
        self.ttl?;
        let own = self.program.fingerprint(inputs, &self.spec.lm);
        let model = self.config.default_model.replace('|', "/");
        Some(if model.is_empty() { own } else { format!("{own} {model}") })
    }

    fn item(&self, inputs: Value) -> BatchItem {
        let Value::Object(inputs) = inputs else {
            return not_run(Fields::new(), "inputs must be an object".to_owned());
        };
        match self.check(&inputs) {
            Ok(()) => {
                let fingerprint = self.fingerprint(&inputs);
                BatchItem { inputs, custom_id: None, fingerprint, invalid: None }
            }
            Err(refused) => not_run(inputs, refused.message),
        }
    }
}

fn not_run(inputs: Fields, message: String) -> BatchItem {
    let invalid = Some(Failure { kind: FailureKind::Validation, message });
    BatchItem { inputs, custom_id: None, fingerprint: None, invalid }
}

/// How long results stand for equal executions. A debug run is asked for its trace, which an old
/// result has not.
fn ttl(options: &Options, program: &Program, config: &Config) -> Option<Duration> {
    let wanted = options.cache.unwrap_or(true) && options.mode == Mode::Normal;
    let wanted = wanted && program.is_settled();
    let kept = program.cache.ttl.unwrap_or(Duration::from_secs(config.cache_ttl_seconds));
    (wanted && config.cache_enabled && program.cache.enabled).then_some(kept)
}

/// What a dry run comes to, without a worker.
fn dry_run(checked: Result<(), Refused>) -> End {
    let passed = checked.is_ok();
    let mut report = match checked {
        Ok(()) => Report::outputs(Fields::new()),
        Err(refused) => Report::failure(FailureKind::Validation, refused.message),
    };
    report.extra.insert("validation_passed".to_owned(), json!(passed));
    if passed { End::Succeeded(report) } else { End::Failed(report) }
}

fn faults(missing: Vec<String>, mistyped: impl Iterator<Item = (String, String)>) -> Vec<Fault> {
    let missing = missing.into_iter().map(|name| Fault {
        pointer: format!("/inputs/{}", bounds::token(&name)),
        message: "required, and missing".to_owned(),
    });
    let mistyped =
        mistyped.map(|(pointer, message)| Fault { pointer: format!("/inputs{pointer}"), message });
    missing.chain(mistyped).collect()
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::Invalid(refused.message, refused.faults)
    }
}
