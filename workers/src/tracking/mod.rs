//! Records executions and batches in MLflow: a run for each, and the trace of its steps, as
//! `mlflow.dspy.autolog` makes it.
//!
//! Nothing waits for MLflow. What is to be recorded are notices in the store; one task of a worker
//! takes them and sends, one after another. While the server is away, the notices stay where they
//! are, and the oldest are dropped, and counted, when there are too many. What is sent twice
//! because a worker died in between is known again, by the run's id that is kept with the
//! execution, or by its tags.

mod batch;
mod config;
mod kept;
mod mlflow;
mod otlp;
mod run;
mod sampling;
mod spans;
mod steps;
mod table;
#[cfg(test)]
mod tests;
mod texts;

use std::{sync::Arc, time::Duration};

use dspy::Step;
use queue::{Channel, Delivery, Execution, Fields, Notice, RawJson, Spec, Subject, Task};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

pub(crate) use self::texts::Texts;
use self::{
    batch::Reached,
    mlflow::{Experiment, Intake, Mlflow, Problem},
    spans::Known,
};
pub use self::{
    config::TrackingConfig,
    sampling::{NoRatio, SamplingRatio},
};
use crate::shift::Shift;

/// How many notices are taken at once.
const AT_ONCE: usize = 20;

/// How long they are with a worker: longer than sending them takes, also where MLflow checks a
/// password with every request.
const LEASE: Duration = Duration::from_secs(180);

/// How often it is looked for notices whose executions ended elsewhere.
const LOOK: Duration = Duration::from_secs(1);

/// The first pause while the server is away, and the longest; each is twice as long as the last.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The pauses before one that MLflow refuses is sent again; then it is given up. The last is for
/// an MLflow whose own store has lost its way for a while.
const REFUSAL_PAUSES: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(300)];

/// Whether the steps of an execution are kept with it, to be recorded: not of those items of a
/// batch that have no run of their own.
pub(crate) fn keeps_trace(shift: &Shift, task: &Task) -> bool {
    let config = &shift.tracking;
    let is_few = task.id.item_of().is_none_or(|(_, index)| index < config.batch_runs_max);
    let is_on = config.is_on(shift.sources.config());
    task.spec.tracked && is_few && is_on && config.is_traced(task.id, task.generation)
}

/// The steps of an execution with that result, as they are kept with it.
pub(crate) async fn kept(
    shift: &Shift,
    steps: &[Step],
    result: Option<&Fields>,
) -> Option<RawJson> {
    kept::write(steps, result, &shift.texts, &*shift.queue).await
}

/// Records what has ended.
struct Tracker {
    shift: Arc<Shift>,
    mlflow: Mlflow,
    experiment: Option<Experiment>,
    /// How often in turn the server was away.
    failures: u32,
    /// Whether it takes traces: one that keeps its runs in files does not.
    takes_traces: bool,
    /// Whether it has refused the last trace.
    refuses_traces: bool,
    /// How far the items of batches that have ended are recorded.
    reached: Reached,
}

/// Records for as long as it is let; ends at once where nothing is to be recorded.
pub(crate) async fn keep(shift: Arc<Shift>) {
    if !shift.tracking.is_on(shift.sources.config()) {
        return;
    }
    let mlflow = match Mlflow::new(shift.sources.config(), &shift.gateway) {
        Ok(mlflow) => mlflow,
        Err(error) => {
            warn!(%error, "Failed to initialize MLflow tracking: {error}");
            return;
        }
    };
    Tracker::new(shift, mlflow).work().await;
}

/// Whether it is given up if MLflow refuses it now.
fn is_last(notice: &Notice) -> bool {
    notice.taken as usize >= REFUSAL_PAUSES.len()
}

impl Tracker {
    fn new(shift: Arc<Shift>, mlflow: Mlflow) -> Self {
        Self {
            shift,
            mlflow,
            experiment: None,
            failures: 0,
            takes_traces: true,
            refuses_traces: false,
            reached: Reached::default(),
        }
    }

    async fn work(mut self) {
        loop {
            let pause = match self.round().await {
                Ok(0) => LOOK,
                Ok(_) => continue,
                Err(problem) => self.fail(&problem),
            };
            if self.failures > 0 {
                sleep(pause).await;
            } else {
                // Woken or not, it looks.
                let _: Result<(), _> = timeout(pause, self.shift.bells.tracking.notified()).await;
            }
        }
    }

    /// Records what is due, and says how much that was.
    async fn round(&mut self) -> Result<usize, Problem> {
        let experiment = match self.experiment.clone() {
            Some(experiment) => experiment,
            None => self.mlflow.experiment(&self.shift.tracking.experiment).await?,
        };
        self.experiment = Some(experiment.clone());
        let queue = &self.shift.queue;
        let notices = queue.take_notices(Channel::Tracking, AT_ONCE, LEASE).await?;
        let count = notices.len();
        let mut notices = notices.into_iter();
        while let Some(notice) = notices.next() {
            let delivery = match self.record(&experiment, &notice).await {
                Ok(delivery) => delivery,
                Err(Problem::Refused(why)) => self.refused(&notice, &why),
                Err(problem) => {
                    let rest = std::iter::once(notice).chain(notices);
                    let again: Vec<_> =
                        rest.map(|it| (it, Delivery::Again(Duration::ZERO))).collect();
                    // If that cannot be said either, they are due again when the lease is over.
                    drop(self.shift.queue.delivered(&again).await);
                    return Err(problem);
                }
            };
            self.shift.queue.delivered(&[(notice, delivery)]).await?;
            self.works();
        }
        Ok(count)
    }

    async fn record(
        &mut self,
        experiment: &Experiment,
        notice: &Notice,
    ) -> Result<Delivery, Problem> {
        match notice.subject {
            Subject::Execution(id) => match self.shift.queue.execution(id).await {
                Ok(execution) if execution.state.is_terminal() => {
                    let parent = None;
                    self.execution(experiment, &execution, parent, notice.taken > 0).await?;
                    Ok(Delivery::Sent)
                }
                // It was started anew, and gives notice again when it ends.
                Ok(_) | Err(queue::Error::NotFound(_)) => Ok(Delivery::Dropped),
                Err(error) => Err(error.into()),
            },
            Subject::Batch(id) => match self.shift.queue.batch(id).await {
                Ok(batch) => self.batch(experiment, &batch, is_last(notice)).await,
                Err(queue::Error::NotFound(_)) => Ok(Delivery::Dropped),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Records an execution as a run, below that of its batch if it is an item; unless it is there.
    async fn execution(
        &mut self,
        experiment: &Experiment,
        execution: &Execution,
        parent: Option<&str>,
        may_be_there: bool,
    ) -> Result<(), Problem> {
        let subject = Subject::Execution(execution.id);
        let run = run::Run::of(execution, parent);
        let noted = self.noted(subject).await?.and_then(|words| run.id_in(&words));
        let id = if let Some(id) = noted {
            id
        } else {
            let id = self.mlflow.start(experiment, &run, may_be_there).await?;
            self.shift.queue.note(subject, &run.words(&id)).await?;
            id
        };
        self.mlflow.log(&id, &run).await?;
        self.mlflow.end(&id, run.status, run.ended_ms).await?;
        self.trace(experiment, execution, &id).await
    }

    /// Sends the trace of a run. One that MLflow does not take, the run does without.
    async fn trace(
        &mut self,
        experiment: &Experiment,
        execution: &Execution,
        run: &str,
    ) -> Result<(), Problem> {
        let is_traced = self.shift.tracking.is_traced(execution.id, execution.generation);
        if !self.takes_traces || !is_traced {
            return Ok(());
        }
        let steps = steps::of(execution, &*self.shift.queue).await?;
        let known = self.known(&execution.spec).await;
        let spans = spans::of(execution, &steps, &known);
        let request = otlp::request(execution, &spans);
        let refused = match self.mlflow.trace(experiment, run, &request).await? {
            Intake::Taken => None,
            Intake::Refused(why) => Some(why),
            Intake::Absent(why) => {
                warn!("MLflow takes no traces, and gets none from here on: {why}");
                self.takes_traces = false;
                return Ok(());
            }
        };
        let is_new = !std::mem::replace(&mut self.refuses_traces, refused.is_some());
        if let Some(why) = refused {
            self.shift.metrics.traces_refused.add(1);
            if is_new {
                let id = execution.id;
                warn!(execution = %id, "MLflow refuses a trace, and has the run without: {why}");
            }
        }
        Ok(())
    }

    /// What is known of a program. Of one that was loaded only now, the store knows more.
    async fn known(&self, spec: &Spec) -> Known {
        let known = Known::of(&self.shift.registry, spec);
        if !known.is_guess {
            return known;
        }
        self.shift.refresh(Instant::now()).await;
        Known::of(&self.shift.registry, spec)
    }

    async fn noted(&self, subject: Subject) -> Result<Option<String>, Problem> {
        Ok(self.shift.queue.notes(&[subject]).await?.pop().flatten())
    }

    /// What becomes of one that MLflow refuses. The experiment may be gone: it is looked up again.
    fn refused(&mut self, notice: &Notice, why: &str) -> Delivery {
        self.experiment = None;
        let Some(pause) = REFUSAL_PAUSES.get(notice.taken as usize) else {
            warn!(subject = %notice.subject, "MLflow refuses a run, which is given up: {why}");
            return Delivery::Dropped;
        };
        debug!(subject = %notice.subject, "MLflow refuses a run: {why}");
        Delivery::Later(*pause)
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            info!("MLflow is there again; what has ended in between is recorded now");
        }
    }

    /// Says once that the server is away, and how long to leave it alone.
    fn fail(&mut self, problem: &Problem) -> Duration {
        if self.failures == 0 {
            warn!(
                "Failed to initialize MLflow tracking: {problem}; executions go on, and are \
                 recorded when it is there"
            );
        }
        self.experiment = None;
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = (self.failures + 1).min(16);
        PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX)
    }
}
