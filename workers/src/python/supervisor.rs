//! The keepers of all Python programs of a worker.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use programs::{Finding, Program, PythonProgram};
use queue::Class;
use serde_json::{Map, Value};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{self, Duration},
};
use tokio_util::sync::CancellationToken;

use super::{
    Fault, Interpreter, Job, PythonConfig, Returned, code,
    event::Ask,
    keeper::{ASKS, Keeper},
    parent::Recipe,
    protocol::{Init, Limits},
    report::{Report, Reports},
    run,
    seat::Seat,
};
use crate::{Metrics, gateway::Reach, outcome::Error};

/// How long processes may take to end when the worker stops.
const END: Duration = Duration::from_secs(3);

/// The keepers of all Python programs of a worker.
pub(crate) struct Python {
    config: Arc<PythonConfig>,
    metrics: Arc<Metrics>,
    /// Whom programs can ask through the gateway.
    reach: Reach,
    findings: Findings,
    keepers: Mutex<HashMap<String, Desk>>,
    tasks: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

/// Where the keeper of one program is asked. When it is dropped, the keeper ends.
type Desk = mpsc::Sender<Ask>;

/// What was found out about a program, by its name and version.
pub(crate) type Findings = mpsc::UnboundedSender<(String, Finding)>;

impl Python {
    /// No keepers yet. What is found out about programs goes to `findings`.
    pub(crate) fn new(
        config: PythonConfig,
        reach: Reach,
        findings: Findings,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            config: Arc::new(config),
            metrics,
            reach,
            findings,
            keepers: Mutex::default(),
            tasks: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Runs a program. Dropping the future stops it.
    ///
    /// A run whose process ends under it is tried once more with a process of its own: whether it
    /// was to blame is known then.
    pub(crate) async fn run(
        &self,
        program: &Program,
        python: &PythonProgram,
        job: &Job<'_>,
    ) -> Result<Returned, Error> {
        let seat = self.seat(program, python, false, job.class).await?;
        match run::run(seat, job).await {
            Err(Error::Python(Fault::Crashed(_))) => {
                let seat = self.seat(program, python, true, job.class).await?;
                run::run(seat, job).await
            }
            ended => ended,
        }
    }

    /// Begins to keep the programs that are new, and lets go those that are no more.
    pub(crate) fn follow(&self, programs: &[Arc<Program>]) {
        let meant = |digest: &String| programs.iter().any(|it| it.digest == *digest);
        // A keeper that nobody can ask any more ends when its last run has.
        self.keepers().retain(|digest, _| meant(digest));
        for program in programs {
            if let programs::Runtime::Python(python) = &program.runtime
                && program.runnable().is_ok()
                && (program.elsewhere().is_none() || python.fetched.is_some())
            {
                // Why it cannot be kept, its executions will say.
                drop(self.desk(program, python));
            }
        }
    }

    /// Ends every process.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while tasks.join_next().await.is_some() {} };
        if time::timeout(END, ended).await.is_err() {
            tracing::warn!("processes of Python programs do not end; they are killed");
        }
    }

    async fn seat(
        &self,
        program: &Program,
        python: &PythonProgram,
        alone: bool,
        class: Class,
    ) -> Result<Seat, Fault> {
        let desk = self.desk(program, python)?;
        let gone = || Fault::NotStarted("the worker stops".to_owned());
        let (reply, seat) = oneshot::channel();
        desk.send(Ask { alone, class, reply }).await.map_err(|_| gone())?;
        seat.await.map_err(|_| gone())?
    }

    /// Where the keeper of a program is asked; begins to keep it if nobody does.
    fn desk(&self, program: &Program, python: &PythonProgram) -> Result<Desk, Fault> {
        let mut keepers = self.keepers();
        if let Some(desk) = keepers.get(&program.digest) {
            return Ok(desk.clone());
        }
        let recipe = self.recipe(program, python)?;
        keep_memory_private();
        let (asks, asked) = mpsc::channel(ASKS);
        let (reports, reported) = Reports::new();
        let keeper = Keeper::new(recipe, asked, reports);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(keeper.keep(self.stop.clone()));
        let digest = program.digest.clone();
        let revision = program.revision().map(str::to_owned);
        let finding = Finding { digest, revision, manifest: None, problem: None };
        tasks.spawn(tell(reported, program.pinned(), finding, self.findings.clone()));
        drop(tasks);
        keepers.insert(program.digest.clone(), asks.clone());
        Ok(asks)
    }

    fn recipe(&self, program: &Program, python: &PythonProgram) -> Result<Recipe, Fault> {
        let folder = python.folder.as_deref();
        let found = Interpreter::find(python.interpreter.as_deref(), folder, &self.config.places);
        let interpreter = found.map_err(|error| Fault::NotLoaded(error.to_string()))?;
        let folder = match &python.fetched {
            Some(fetched) => fetched.folder.clone(),
            None => folder.map_or_else(|| PathBuf::from("/"), Path::to_owned),
        };
        let lm = settings(&program.lm.settings);
        let init = Init {
            program: code::of(python)?,
            spawn: python.spawn,
            lm,
            default_model: self.config.default_model.clone(),
            prefixes: self.reach.prefixes.clone(),
            hosts: self.reach.hosts.clone(),
            keys: self.reach.keys.clone(),
            limits: Limits {
                memory_bytes: self.config.memory_bytes_max,
                cpu_seconds: self.config.cpu_max.map(|it| it.as_secs().max(1)),
            },
            concurrency: python.concurrency,
        };
        let (program, config) = (program.pinned(), Arc::clone(&self.config));
        let metrics = Arc::clone(&self.metrics);
        let fetched = python.fetched.clone();
        Ok(Recipe { program, interpreter, folder, fetched, init, config, metrics })
    }

    fn keepers(&self) -> MutexGuard<'_, HashMap<String, Desk>> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps this process's environment and memory from other processes of its user, as programs are:
/// what they may see is what they are given.
#[cfg(target_os = "linux")]
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    // Where it cannot be had, programs still are given no secret.
    let _kept = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(not(target_os = "linux"))]
fn keep_memory_private() {}

/// Passes on what a keeper reports, until it ends: in a finding that says of what.
async fn tell(
    mut reported: watch::Receiver<Report>,
    program: String,
    finding: Finding,
    findings: Findings,
) {
    while reported.changed().await.is_ok() {
        let (manifest, problem) = match reported.borrow_and_update().clone() {
            Report::Unknown => continue,
            Report::Healthy(manifest) => (Some(*manifest), None),
            Report::Unhealthy(reason) => (None, Some(reason)),
        };
        let finding = Finding { manifest, problem, ..finding.clone() };
        // Nobody wants it when the worker stops.
        let _gone = findings.send((program.clone(), finding));
    }
}

/// Settings as keyword arguments of `dspy.LM`.
pub(crate) fn settings(settings: &dspy::LmSettings) -> Map<String, Value> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(settings) else { return Map::new() };
    if let Some(Value::Object(extra)) = all.shift_remove("extra") {
        all.extend(extra);
    }
    all
}
