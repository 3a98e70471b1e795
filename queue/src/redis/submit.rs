//! Putting single executions in, many with one call.

use std::{sync::Arc, time::Duration};

use super::{
    Store,
    document::{Envelope, Tail, time},
    gather::Commit,
    home::Line,
    millis,
};
use crate::{
    Class, Durability, End, Error, ExecutionId, NewExecution, Report, Result, Spec, State,
    Submitted,
};

/// When to come back after a limit was met.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long to wait for the promise of durability.
const DURABLE_MAX: Duration = Duration::from_secs(5);

/// The lane in which an owner's executions of a class wait.
pub(super) fn lane_of(spec: &Spec, id: ExecutionId) -> String {
    lane(spec.class, &spec.owner, id)
}

fn lane(class: Class, owner: &str, id: ExecutionId) -> String {
    match id.item_of() {
        Some((batch, _)) => format!("{}:b:{batch}", class.letter()),
        None => format!("{}:o:{owner}", class.letter()),
    }
}

/// An execution as the script takes it.
pub(super) struct Submission {
    id: ExecutionId,
    lane: String,
    program: String,
    owner: String,
    envelope: Vec<u8>,
    due: String,
    deadline: String,
    fingerprint: String,
    cache_ttl: u64,
    key: String,
    digest: String,
    ended: &'static str,
    tail: Vec<u8>,
    durability: Durability,
}

impl Submission {
    pub(super) fn new(new: NewExecution, created_ms: i64) -> Result<Self> {
        let ms = |at: chrono::DateTime<chrono::Utc>| at.timestamp_millis().to_string();
        let envelope =
            Envelope::write(&new.spec, &new.inputs, new.cache.as_ref(), time(created_ms))?;
        let (ended, tail) = match new.ended {
            Some(end) => ended(end)?,
            None => ("", Vec::new()),
        };
        let (key, digest) = new.idempotency.map(|it| (it.key, it.digest)).unwrap_or_default();
        Ok(Self {
            id: new.id,
            lane: lane_of(&new.spec, new.id),
            envelope,
            due: new.not_before.map(ms).unwrap_or_default(),
            deadline: new.spec.deadline.map(ms).unwrap_or_default(),
            cache_ttl: new.cache.as_ref().map(|it| millis(it.ttl)).unwrap_or_default(),
            fingerprint: new.cache.map(|it| it.fingerprint).unwrap_or_default(),
            key,
            digest,
            ended,
            tail,
            durability: new.durability,
            program: new.spec.program,
            owner: new.spec.owner,
        })
    }
}

fn ended(end: End) -> Result<(&'static str, Vec<u8>)> {
    let (state, report) = match end {
        End::Succeeded(report) => (State::Succeeded, report),
        End::Failed(report) => (State::Failed, report),
        End::Retry(failure, _) | End::Throttled(failure, _) => {
            (State::Failed, Report { failure: Some(failure), ..Report::default() })
        }
        End::Returned | End::Cancelled => (State::Cancelled, Report::default()),
        End::Expired => (State::Expired, Report::default()),
    };
    let tail = Tail { report, micros: Some(0), ..Tail::default() };
    Ok((state.as_str(), tail.write()?))
}

/// Carries submissions out, up to a group at a time.
pub(super) struct Submitter {
    store: Arc<Store>,
    line: Line,
}

impl Submitter {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { line: Line::new(Arc::clone(&store.home)), store }
    }

    /// Waits until what was written on this connection is as durable as was asked for.
    async fn harden(&mut self, durability: Durability) -> Result<()> {
        let (mut wait, most) = (redis::pipe(), millis(DURABLE_MAX));
        match durability {
            Durability::Memory => return Ok(()),
            Durability::Aof => wait.cmd("WAITAOF").arg(1).arg(0).arg(most),
            Durability::Replica => wait.cmd("WAIT").arg(1).arg(most),
        };
        // WAIT answers with a number, WAITAOF with one for the server and one for its replicas.
        let reached = match self.line.once::<(Vec<i64>,)>(&wait).await {
            Ok((reached,)) => reached.first().copied().unwrap_or_default(),
            Err(error) if error.to_string().contains("unknown command") => {
                return Err(unsupported("`durability: aof` needs Redis 7.2 or newer (WAITAOF)"));
            }
            Err(error) if error.to_string().contains("appendonly") => {
                return Err(unsupported("`durability: aof` needs `appendonly yes`"));
            }
            Err(error) => return Err(error.into()),
        };
        if reached >= 1 {
            return Ok(());
        }
        Err(Error::Unavailable(
            "the execution was written, but not confirmed as durable as asked; \
             send the same request again"
                .to_owned(),
        ))
    }
}

fn unsupported(why: &str) -> Error {
    Error::Unsupported(why.to_owned())
}

impl Commit for Submitter {
    type Call = Arc<Submission>;
    type Answer = Accepted;

    const STUBBORN: bool = false;

    async fn commit(&mut self, calls: &[Arc<Submission>]) -> Result<Vec<Result<Accepted>>> {
        let (store, limits) = (&self.store, &self.store.limits);
        let mut call = store.scripts.submit.key(store.prefix());
        call.arg(store.now()).arg(store.ttl());
        call.arg(limits.waiting_max).arg(limits.waiting_per_owner_max);
        call.arg(millis(limits.idempotency_ttl));
        for it in calls {
            call.arg(it.id.to_string()).arg(&it.lane).arg(&it.program).arg(&it.owner);
            call.arg(it.envelope.as_slice()).arg(&it.due).arg(&it.deadline);
            call.arg(&it.fingerprint).arg(it.cache_ttl).arg(&it.key).arg(&it.digest);
            call.arg(it.ended).arg(it.tail.as_slice());
        }
        let rows: Vec<(String, String, String)> = self.line.call(&call).await?;
        let answers = rows.into_iter().map(|row| answer(&row, &self.store.limits)).collect();
        for durability in [Durability::Aof, Durability::Replica] {
            if calls.iter().any(|it| it.durability == durability) {
                self.harden(durability).await?;
            }
        }
        Ok(answers)
    }
}

/// What became of a submission.
pub(super) enum Accepted {
    Submitted(Submitted),
    /// Nothing yet: an equal item is to be lent first.
    Packed(String),
}

fn answer(row: &(String, String, String), limits: &crate::Limits) -> Result<Accepted> {
    let full = |limit, most| Err(Error::Full { limit, most, retry_after: RETRY_AFTER });
    let (word, id, state) = (row.0.as_str(), &row.1, &row.2);
    match word {
        "conflict" => return Err(Error::KeyReused),
        "full" => return full("the queue is full", limits.waiting_max),
        "packed" => return Ok(Accepted::Packed(id.clone())),
        "owner_full" => return full("your queue is full", limits.waiting_per_owner_max),
        _ => {}
    }
    let (id, state, replayed) = (id.parse()?, state.parse()?, word == "replayed");
    Ok(Accepted::Submitted(Submitted { id, state, replayed }))
}
