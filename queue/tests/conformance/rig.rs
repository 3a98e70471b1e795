//! A store under test, with a clock that the test turns, and short words for what tests do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use queue::{
    BatchId, BatchItem, Class, Clock, Durability, End, Ending, Execution, ExecutionId, Failure,
    FailureKind, Fields, Lease, Limits, NewBatch, NewExecution, ObjectOptions, Objects, Policy,
    Queue, RedisConfig, RedisQueue, Report, Spec, SqliteQueue, State, Tick, Verdict, Want,
    WorkerId, WorkerInfo,
};
use tempfile::TempDir;
use testkit::RedisServer;

/// How long a run takes that says nothing else.
pub(crate) const RUN_TIME: Duration = Duration::from_millis(20);
/// More than any lease that a test sets.
pub(crate) const LEASE_AND_MORE: Duration = Duration::from_secs(4);
/// What happens at once, happens within this.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// Within this an object is read from a folder.
const LOOK_UP_MAX: Duration = Duration::from_millis(300);
/// Rounds of upkeep after which there must be nothing left to do.
const TICKS_MAX: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    Sqlite,
    Redis,
    /// Redis, with all payloads of batches in a folder.
    RedisWithObjects,
}

/// A queue of its own on one of the stores.
pub(crate) struct Rig {
    pub(crate) queue: Arc<dyn Queue>,
    /// How long a claim may take to bring what is there.
    patience: Duration,
    clock: Arc<AtomicI64>,
    _folder: Option<TempDir>,
}

impl Store {
    /// A queue with the usual bounds.
    pub(crate) async fn open(self) -> Rig {
        self.open_with(Limits::default()).await
    }

    /// A queue with bounds of its own.
    pub(crate) async fn open_with(self, limits: Limits) -> Rig {
        let clock = Arc::new(AtomicI64::new(Utc::now().timestamp_millis()));
        self.open_by(limits, Clock::Manual(Arc::clone(&clock)), clock).await
    }

    /// A queue that goes by the store's own clock, for what must really grow old.
    pub(crate) async fn open_by_own_clock(self, limits: Limits) -> Rig {
        self.open_by(limits, Clock::Store, Arc::default()).await
    }

    async fn open_by(self, limits: Limits, time: Clock, clock: Arc<AtomicI64>) -> Rig {
        match self {
            Store::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("queue.db");
                let queue = Arc::new(SqliteQueue::open(&path, limits, time).unwrap());
                Rig { queue, patience: Duration::ZERO, clock, _folder: Some(folder) }
            }
            Store::Redis => {
                let config = redis_config(RedisServer::shared().url(), limits, time);
                let queue = Arc::new(RedisQueue::connect(config).await.unwrap());
                Rig { queue, patience: Duration::ZERO, clock, _folder: None }
            }
            Store::RedisWithObjects => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().to_str().unwrap();
                let objects = Objects::open(path, &ObjectOptions::default()).unwrap().inline_max(0);
                let config = redis_config(RedisServer::shared().url(), limits, time);
                let config = RedisConfig { objects: Some(objects), ..config };
                let queue = Arc::new(RedisQueue::connect(config).await.unwrap());
                Rig { queue, patience: LOOK_UP_MAX, clock, _folder: Some(folder) }
            }
        }
    }
}

/// A queue of a fresh name on a server.
pub(crate) fn redis_config(url: String, limits: Limits, clock: Clock) -> RedisConfig {
    RedisConfig {
        url,
        queue: BatchId::new().to_string(),
        limits,
        clock,
        allow_eviction: false,
        objects: None,
    }
}

impl Rig {
    /// What the clock shows.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.clock.load(Ordering::SeqCst)).unwrap()
    }

    /// Turns the clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) async fn submit(&self, new: NewExecution) -> ExecutionId {
        self.queue.submit(new).await.unwrap().id
    }

    /// Puts in this many, in order.
    pub(crate) async fn submit_many(&self, count: usize, owner: &str) -> Vec<ExecutionId> {
        let mut ids = Vec::new();
        for n in 0..count {
            ids.push(self.submit(asked_by(owner, &n.to_string())).await);
        }
        ids
    }

    /// A live worker.
    pub(crate) async fn worker(&self) -> WorkerId {
        let worker = WorkerId::new("host", 1);
        assert!(!self.beat(&worker).await.declared_dead);
        worker
    }

    pub(crate) async fn beat(&self, worker: &WorkerId) -> queue::Orders {
        self.queue.beat(&info(worker)).await.unwrap()
    }

    /// What a worker with so many free slots gets at once.
    pub(crate) async fn claim(&self, worker: &WorkerId, slots: usize) -> Vec<Lease> {
        self.queue.claim(worker, want(slots), self.patience).await.unwrap()
    }

    /// Claims until there are this many, or nothing comes any more.
    pub(crate) async fn claim_all(&self, worker: &WorkerId, count: usize) -> Vec<Lease> {
        let mut leases = Vec::new();
        while leases.len() < count {
            let more = self.claim(worker, count - leases.len()).await;
            if more.is_empty() {
                break;
            }
            leases.extend(more);
        }
        leases
    }

    /// Claims one; there must be one.
    pub(crate) async fn claim_one(&self, worker: &WorkerId) -> Lease {
        let mut leases = self.claim(worker, 1).await;
        assert_eq!(leases.len(), 1, "one execution waits");
        leases.remove(0)
    }

    pub(crate) async fn finish(&self, lease: Lease, end: End) -> Verdict {
        self.finish_after(lease, end, RUN_TIME).await
    }

    pub(crate) async fn finish_after(&self, lease: Lease, end: End, run_time: Duration) -> Verdict {
        let ending = Ending { lease, end, started_at: Utc::now(), run_time };
        self.queue.finish(ending).await.unwrap()
    }

    /// Rounds of upkeep until there is nothing left to do.
    pub(crate) async fn tick(&self) -> Tick {
        let mut sum = Tick::default();
        for _ in 0..TICKS_MAX {
            let tick = self.queue.tick().await.unwrap();
            sum.promoted += tick.promoted;
            sum.rescued += tick.rescued;
            sum.expired += tick.expired;
            sum.next_due = tick.next_due;
            if !tick.more {
                return sum;
            }
        }
        panic!("upkeep never ends");
    }

    /// Lets a worker's lease lapse, and others take back what it held.
    pub(crate) async fn lose(&self, worker: &WorkerId) {
        self.pass(LEASE_AND_MORE);
        let rescued = self.tick().await.rescued;
        assert!(rescued > 0, "nothing was taken back from {worker}");
    }

    pub(crate) async fn execution(&self, id: ExecutionId) -> Execution {
        self.queue.execution(id).await.unwrap()
    }

    pub(crate) async fn state(&self, id: ExecutionId) -> State {
        self.execution(id).await.state
    }

    /// Everything that must hold, whatever happened.
    pub(crate) async fn check(&self) {
        let violations = self.queue.violations().await.unwrap();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// Room for so many, of every kind.
pub(crate) fn want(slots: usize) -> Want {
    Want { slots, bulk: slots, suspect: true }
}

pub(crate) fn info(worker: &WorkerId) -> WorkerInfo {
    WorkerInfo {
        id: worker.clone(),
        host: "host".to_owned(),
        pid: 1,
        version: "0.1.0".to_owned(),
        slots: 4,
        running: 0,
        started_at: Utc::now(),
        programs: vec!["qa@1".to_owned()],
    }
}

pub(crate) fn fields(name: &str, value: &str) -> Fields {
    Fields::from_iter([(name.to_owned(), value.into())])
}

pub(crate) fn spec(owner: &str, class: Class) -> Spec {
    Spec {
        version: "1".to_owned(),
        class,
        max_retries: 2,
        ..Spec::new("qa", owner, Duration::from_secs(5))
    }
}

pub(crate) fn ask(question: &str) -> NewExecution {
    asked_by("alice", question)
}

pub(crate) fn asked_by(owner: &str, question: &str) -> NewExecution {
    NewExecution {
        id: ExecutionId::new(),
        spec: spec(owner, Class::Interactive),
        inputs: fields("question", question),
        not_before: None,
        cache: None,
        idempotency: None,
        durability: Durability::Memory,
        ended: None,
    }
}

/// A batch of alice's with so many items.
pub(crate) fn batch_of(count: usize) -> NewBatch {
    let item = |n: usize| BatchItem {
        inputs: fields("question", &n.to_string()),
        custom_id: None,
        fingerprint: None,
        invalid: None,
    };
    NewBatch {
        id: BatchId::new(),
        spec: spec("alice", Class::Bulk),
        cache_ttl: None,
        policy: Policy::default(),
        items: (0..count).map(item).collect(),
        idempotency: None,
    }
}

pub(crate) fn succeeded(answer: &str) -> End {
    End::Succeeded(Report { outputs: Some(fields("answer", answer)), ..Report::default() })
}

pub(crate) fn failed(message: &str) -> End {
    End::Failed(Report::failure(FailureKind::ProgramError, message))
}

pub(crate) fn failure(message: &str) -> Failure {
    Failure { kind: FailureKind::LmError, message: message.to_owned() }
}

/// The ids of leases, in the order in which they came.
pub(crate) fn ids(leases: &[Lease]) -> Vec<ExecutionId> {
    leases.iter().map(|lease| lease.task.id).collect()
}
