//! From a request to work: the one place where a program's rules and the queue's meet.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use programs::Program;
use queue::{
    Batch, BatchId, BatchItem, CacheKey, End, ExecutionId, Failure, FailureKind, Fields,
    Idempotency, Mode, NewBatch, NewExecution, Policy, Report, Spec, Via,
};
use serde_json::{Value, json};

use crate::{
    Config, bounds,
    error::{Error, Result},
    problem::Fault,
    request::{BatchRequest, Budget, ExecuteRequest, Options},
};

/// Makes an execution of a request for a program.
pub(crate) fn execution(
    request: ExecuteRequest,
    program: &Arc<Program>,
    owner: &str,
    idempotency: Option<Idempotency>,
    config: &Arc<Config>,
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
    program: &Arc<Program>,
    owner: &str,
    idempotency: Option<Idempotency>,
    config: &Arc<Config>,
) -> Result<NewBatch> {
    let (list, policy, options) = request.split();
    bounds::list(list.len(), config)?;
    let (mut new, plan) = empty_batch(policy, options, program, owner, config)?;
    new.items = list.into_iter().map(|inputs| plan.item(inputs)).collect();
    Ok(NewBatch { idempotency, ..new })
}

/// Makes a batch without items, and what makes items for it.
pub(crate) fn empty_batch(
    policy: Policy,
    options: Options,
    program: &Arc<Program>,
    owner: &str,
    config: &Arc<Config>,
) -> Result<(NewBatch, Plan)> {
    bounds::batch(options.mode, policy)?;
    let plan = Plan::new(options, program, owner, config)?;
    let (id, spec, cache_ttl) = (BatchId::new(), plan.spec.clone(), plan.ttl);
    Ok((NewBatch { id, spec, cache_ttl, policy, items: Vec::new(), idempotency: None }, plan))
}

/// How to run one program, settled once for all inputs.
pub(crate) struct Plan {
    program: Arc<Program>,
    config: Arc<Config>,
    spec: Spec,
    /// How long results stand for equal executions; none for "do not cache".
    ttl: Option<Duration>,
}

/// Inputs that do not fit.
struct Refused {
    message: String,
    faults: Vec<Fault>,
}

impl Plan {
    fn new(
        options: Options,
        program: &Arc<Program>,
        owner: &str,
        config: &Arc<Config>,
    ) -> Result<Self> {
        bounds::check(&options, config)?;
        program.runnable()?;
        if !options.lm.is_empty() {
            program.lm.with_overrides(&options.lm)?;
        }
        if options.via == Via::Provider {
            may_go_via_provider(&options, program, config)?;
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
            via: options.via,
        };
        let (program, config) = (Arc::clone(program), Arc::clone(config));
        Ok(Self { program, config, spec, ttl })
    }

    /// The plan of a batch that was opened before, for more of its items.
    pub(crate) fn of_batch(batch: Batch, program: Arc<Program>, config: Arc<Config>) -> Self {
        Self { program, config, spec: Arc::unwrap_or_clone(batch.spec), ttl: batch.cache_ttl }
    }

    /// Whether the program has an input of this name, as far as is known.
    pub(crate) fn has_input(&self, name: &str) -> bool {
        self.program.has_input(name)
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
        let asked = self.config.asked();
        Some(if asked.is_empty() { own } else { format!("{own} {asked}") })
    }

    pub(crate) fn item(&self, inputs: Value) -> BatchItem {
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

/// Checks that a batch can be run by its model's provider. Whether that has batches of its own,
/// only the provider can say.
fn may_go_via_provider(options: &Options, program: &Program, config: &Config) -> Result<()> {
    let refused = |why: String| Err(bounds::invalid("/via", format!("cannot be provider: {why}")));
    let predictor = match program.asks_at_once() {
        Ok(predictor) => predictor,
        Err(why) => return refused(why),
    };
    if let Budget::Batch(Some(_)) = options.budget {
        return refused("a provider keeps to no `budget`; leave one of the two out".to_owned());
    }
    let asked = program.lm.with_overrides(&options.lm)?.settings.model;
    let overridden = asked.filter(|_| options.lm.contains_key("model"));
    let of_program = [&predictor.settings, &predictor.lm, &program.lm.settings];
    let of_program = of_program.into_iter().find_map(|it| it.model.clone());
    match overridden.or(of_program).or_else(|| config.model.clone()) {
        None => {
            refused("no model is set; give the program an lm.model, or set LM_MODEL".to_owned())
        }
        Some(model) if model.starts_with("dummy/") => {
            refused(format!("`{model}` is the offline model, which has no provider"))
        }
        Some(_) => Ok(()),
    }
}

/// An item that fails at once.
pub(crate) fn not_run(inputs: Fields, message: String) -> BatchItem {
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
