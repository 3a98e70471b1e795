//! The loop: claim as many executions as there are free slots, and run each in a task of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::future::BoxFuture;
use programs::Registry;
use queue::{Lease, Queue, Want};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
    time::{self, Duration},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    Config, Gateway, Metrics, PythonConfig, SourcesConfig, Spans, TrackingConfig, WebhookConfig,
    heartbeat, offload, publish, record, refresh,
    roster::Stop,
    run,
    shift::{Shift, Standing},
    tracking, upkeep,
    waiting::{self, Waiting},
    webhooks,
};

/// How long a claim for the reserved slots alone is put off: a chunk that is done sooner, or a
/// slot of bulk work that frees sooner, would make it anew.
const RESERVE_PAUSE: Duration = Duration::from_millis(5);

/// How long executions that were told to stop may take to be given back.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// The delays between claims that fail.
const CLAIM_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(5))
    .without_max_times()
    .with_jitter();

/// A worker process's work.
pub struct Worker {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) registry: Registry,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) config: Config,
    pub(crate) python: PythonConfig,
    pub(crate) spans: Option<Spans>,
    pub(crate) sources: SourcesConfig,
    pub(crate) webhooks: WebhookConfig,
    pub(crate) tracking: TrackingConfig,
}

impl Worker {
    /// A worker that runs the registry's programs.
    pub fn new(
        queue: Arc<dyn Queue>,
        registry: Registry,
        gateway: Arc<Gateway>,
        config: Config,
    ) -> Self {
        let (python, sources) = (PythonConfig::default(), SourcesConfig::default());
        let (webhooks, tracking) = (WebhookConfig::default(), TrackingConfig::default());
        let spans = None;
        Self { queue, registry, gateway, config, python, spans, sources, webhooks, tracking }
    }

    /// The same, running Python programs as this says.
    #[must_use]
    pub fn with_python(self, python: PythonConfig) -> Self {
        Self { python, ..self }
    }

    /// The same, making spans of what it runs.
    #[must_use]
    pub fn traced(self, spans: Spans) -> Self {
        Self { spans: Some(spans), ..self }
    }

    /// The same, fetching programs from elsewhere as this says.
    #[must_use]
    pub fn with_sources(self, sources: SourcesConfig) -> Self {
        Self { sources, ..self }
    }

    /// The same, calling webhooks as this says.
    #[must_use]
    pub fn with_webhooks(self, webhooks: WebhookConfig) -> Self {
        Self { webhooks, ..self }
    }

    /// The same, recording in MLflow as this says, at the server of the sources.
    #[must_use]
    pub fn with_tracking(self, tracking: TrackingConfig) -> Self {
        Self { tracking, ..self }
    }

    /// What it did so far; goes on counting while it runs.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.gateway.metrics()
    }

    /// Works until `stop`, then lets running executions end within the shutdown timeout, gives the
    /// rest back, and returns. On `hurry` everything is given back at once.
    pub async fn run(self, stop: CancellationToken, hurry: CancellationToken) {
        let (findings, found) = mpsc::unbounded_channel();
        let shift = Arc::new(Shift::new(self, findings));
        let (epochs, epoch) = watch::channel(refresh::UNKNOWN);
        let mut aside = JoinSet::new();
        aside.spawn(heartbeat::beat(Arc::clone(&shift), epochs));
        aside.spawn(refresh::follow(Arc::clone(&shift), epoch));
        aside.spawn(upkeep::keep(Arc::clone(&shift)));
        let shared = Arc::clone(&shift);
        aside.spawn(async move { shared.toolbox.tidy().await });
        aside.spawn(publish::publish(Arc::clone(&shift), found));
        aside.spawn(webhooks::deliver(Arc::clone(&shift)));
        aside.spawn(tracking::keep(Arc::clone(&shift)));
        aside.spawn(offload::work(Arc::clone(&shift)));
        shift.follow();
        let mut floor = Floor::new(Arc::clone(&shift));
        tokio::select! {
            () = floor.work() => {}
            () = stop.cancelled() => {}
            () = hurry.cancelled() => {}
        }
        floor.clear(&hurry).await;
        shift.python.end().await;
        aside.shutdown().await;
        shift.toolbox.close().await;
        let retired = time::timeout(GIVE_BACK_TIMEOUT, shift.queue.retire(&shift.worker())).await;
        if !matches!(retired, Ok(Ok(()))) {
            warn!("cannot strike this worker off; its lease will run out");
        }
    }
}

/// Where executions run.
struct Floor {
    shift: Arc<Shift>,
    standing: watch::Receiver<Standing>,
    present: Standing,
    running: JoinSet<()>,
    taken: Arc<Taken>,
    waiting: Waiting,
    claim: Option<Claim>,
    delays: ExponentialBackoff,
    failing: bool,
}

/// How many slots are taken by what.
#[derive(Debug, Default)]
struct Taken {
    bulk: AtomicUsize,
    suspect: AtomicUsize,
}

/// A slot; free again when dropped.
struct Slot {
    taken: Arc<Taken>,
    bulk: usize,
    suspect: usize,
}

/// A claim under way.
struct Claim {
    want: Want,
    reply: BoxFuture<'static, queue::Result<Vec<Lease>>>,
}

impl Floor {
    fn new(shift: Arc<Shift>) -> Self {
        let standing = shift.standing.subscribe();
        let present = standing.borrow().clone();
        Self {
            shift,
            standing,
            present,
            running: JoinSet::new(),
            taken: Arc::default(),
            waiting: Waiting::default(),
            claim: None,
            delays: CLAIM_BACKOFF.build(),
            failing: false,
        }
    }

    /// Works on and on. Dropping it stops nothing that runs.
    async fn work(&mut self) {
        loop {
            self.start();
            self.ask();
            tokio::select! {
                biased;
                changed = self.standing.changed() => match changed {
                    Ok(()) => self.heed(),
                    Err(_) => return,
                },
                reply = answer(&mut self.claim) => self.take(reply).await,
                Some(ended) = self.running.join_next() => self.sweep(ended).await,
            }
        }
    }

    /// Starts what waits, as slots allow that no claim is under way for.
    fn start(&mut self) {
        let claimed = self.claim.as_ref().map_or(0, |it| it.want.slots);
        let slots = self.shift.config.slots().saturating_sub(claimed);
        while self.running.len() < slots {
            let Some(lease) = self.waiting.next(self.free_for_bulk() > 0) else { break };
            let slot = Slot::take(&self.taken, &lease);
            let (shift, incarnation) = (Arc::clone(&self.shift), self.present.incarnation);
            self.running.spawn(async move {
                run::one(shift, lease, incarnation).await;
                drop(slot);
            });
        }
        self.shift.metrics.running.set(self.running.len() as u64);
        self.shift.metrics.waiting.set(self.waiting.len() as u64);
    }

    /// Claims for the free slots, if no claim is under way that will do.
    fn ask(&mut self) {
        let want = self.want();
        if !self.present.open || want.slots == 0 {
            return;
        }
        if let Some(Claim { want: asked, .. }) = &self.claim {
            let will_do = (asked.bulk > 0 || want.bulk == 0) && (asked.suspect || !want.suspect);
            if will_do {
                return;
            }
        }
        let pause = match self.failing {
            true => self.delays.next().unwrap_or(RESERVE_PAUSE),
            false if want.bulk == 0 => RESERVE_PAUSE,
            false => Duration::ZERO,
        };
        let (shift, worker) = (Arc::clone(&self.shift), self.present.worker.clone());
        let reply = Box::pin(async move {
            if !pause.is_zero() {
                time::sleep(pause).await;
            }
            shift.queue.claim(&worker, want, shift.config.claim_wait).await
        });
        self.claim = Some(Claim { want, reply });
    }

    /// What there is room for.
    fn want(&self) -> Want {
        let slots = self.shift.config.slots();
        // Half at a time: the store hands the one half out while the other runs.
        let free = slots.saturating_sub(self.running.len()).min(slots.div_ceil(2));
        let room = self.waiting.len() == 0;
        Want {
            slots: free,
            bulk: if room { self.free_for_bulk().min(free) } else { 0 },
            suspect: self.taken.suspect.load(Ordering::Relaxed) == 0,
        }
    }

    fn free_for_bulk(&self) -> usize {
        let taken = self.taken.bulk.load(Ordering::Relaxed);
        self.shift.config.bulk_slots().saturating_sub(taken)
    }

    /// Takes in what was claimed.
    async fn take(&mut self, reply: queue::Result<Vec<Lease>>) {
        self.claim = None;
        match reply {
            Ok(leases) => {
                if std::mem::take(&mut self.failing) {
                    info!("claiming again");
                    self.delays = CLAIM_BACKOFF.build();
                }
                self.shift.metrics.claimed.add(leases.len() as u64);
                if self.waiting.len() == 0 {
                    self.shift.roster.forget_called_off();
                }
                self.waiting.extend(leases);
            }
            Err(error) => {
                self.shift.metrics.claim_errors.add(1);
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(%error, "cannot claim: {error}; trying again until it can");
                }
            }
        }
        // One that answers at once, again and again, must let others run.
        tokio::task::yield_now().await;
    }

    /// Frees the slots of all that have ended by now.
    async fn sweep(&mut self, ended: Result<(), JoinError>) {
        // Many end together, as their results are recorded together: one claim is for them all.
        tokio::task::yield_now().await;
        let others = std::iter::from_fn(|| self.running.try_join_next());
        for error in others.chain([ended]).filter_map(Result::err) {
            error!(%error, "an execution ended without a result; it waits for this worker's end");
        }
    }

    /// Notes how the worker stands with the queue now.
    fn heed(&mut self) {
        let now = self.standing.borrow_and_update().clone();
        if now.incarnation != self.present.incarnation {
            let lost = self.waiting.take().count();
            self.claim = None;
            info!(lost, worker = %now.worker, "goes on as {}", now.worker);
        }
        if !now.open {
            self.claim = None;
        }
        self.present = now;
    }

    /// Gives back what has not begun, lets the rest end in time, and gives that back too.
    async fn clear(&mut self, hurry: &CancellationToken) {
        self.claim = None;
        for lease in self.waiting.take() {
            let shift = Arc::clone(&self.shift);
            let incarnation = self.present.incarnation;
            self.running.spawn(record::give_back(shift, lease, incarnation));
        }
        let (count, limit) = (self.running.len(), self.shift.config.shutdown_timeout);
        if count > 0 {
            info!("stopping: {count} executions may end within {} s", limit.as_secs_f64());
        }
        tokio::select! {
            () = joined(&mut self.running) => return,
            () = time::sleep(limit) => {}
            () = hurry.cancelled() => {}
        }
        info!("giving {} executions back", self.shift.roster.count());
        self.shift.roster.stop_all(Stop::Returned);
        if time::timeout(GIVE_BACK_TIMEOUT, joined(&mut self.running)).await.is_err() {
            let left = self.running.len();
            self.shift.metrics.abandoned.add(left as u64);
            warn!("{left} executions could not be given back; others take them from this worker");
        }
        self.running.shutdown().await;
    }
}

/// The answer to a claim under way; never, if there is none.
async fn answer(claim: &mut Option<Claim>) -> queue::Result<Vec<Lease>> {
    match claim {
        Some(claim) => (&mut claim.reply).await,
        None => std::future::pending().await,
    }
}

async fn joined(running: &mut JoinSet<()>) {
    while running.join_next().await.is_some() {}
}

impl Slot {
    fn take(taken: &Arc<Taken>, lease: &Lease) -> Self {
        let (bulk, suspect) =
            (usize::from(waiting::is_bulk(lease)), usize::from(lease.task.suspect));
        taken.bulk.fetch_add(bulk, Ordering::Relaxed);
        taken.suspect.fetch_add(suspect, Ordering::Relaxed);
        Self { taken: Arc::clone(taken), bulk, suspect }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.bulk.fetch_sub(self.bulk, Ordering::Relaxed);
        self.taken.suspect.fetch_sub(self.suspect, Ordering::Relaxed);
    }
}
