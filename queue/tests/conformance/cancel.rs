//! Calling off, and asking for it again.

use std::time::Duration;

use chrono::TimeDelta;
use queue::{End, Error, NewExecution, State, Verdict};

use crate::rig::{Rig, Store, ask, asked_by, failed, failure, ids, succeeded};

pub(crate) async fn waiting_execution_is_cancelled_at_once(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;

    assert_eq!(rig.queue.cancel(id).await.unwrap(), State::Cancelled);

    let execution = rig.execution(id).await;
    assert_eq!((execution.state, execution.finished_at), (State::Cancelled, Some(rig.now())));
    let worker = rig.worker().await;
    assert!(rig.claim(&worker, 1).await.is_empty());
    rig
}

pub(crate) async fn scheduled_execution_is_cancelled_at_once(store: Store) -> Rig {
    let rig = store.open().await;
    let not_before = Some(rig.now() + TimeDelta::seconds(5));
    let id = rig.submit(NewExecution { not_before, ..ask("later") }).await;

    assert_eq!(rig.queue.cancel(id).await.unwrap(), State::Cancelled);

    rig.pass(Duration::from_secs(5));
    assert_eq!(rig.tick().await.promoted, 0);
    assert_eq!(rig.state(id).await, State::Cancelled);
    rig
}

pub(crate) async fn running_execution_is_cancelled_by_order(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let other = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    assert_eq!(rig.queue.cancel(id).await.unwrap(), State::Running);

    assert!(rig.execution(id).await.cancel_requested);
    assert!(rig.beat(&other).await.cancel.is_empty());
    assert_eq!(rig.beat(&worker).await.cancel, [id]);
    assert_eq!(rig.finish(lease, End::Cancelled).await, Verdict::Recorded(State::Cancelled));
    assert!(rig.beat(&worker).await.cancel.is_empty());
    rig
}

pub(crate) async fn whatever_comes_after_a_cancel_is_cancelled(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;

    for end in [
        succeeded("yes"),
        failed("no"),
        End::Retry(failure("503"), Duration::ZERO),
        End::Throttled(failure("429"), Duration::ZERO),
        End::Returned,
    ] {
        let id = rig.submit(ask("?")).await;
        let lease = rig.claim_one(&worker).await;
        rig.queue.cancel(id).await.unwrap();
        let verdict = rig.finish(lease, end.clone()).await;
        assert_eq!(verdict, Verdict::Recorded(State::Cancelled), "{end:?}");
        assert_eq!(rig.state(id).await, State::Cancelled, "{end:?}");
    }
    rig.tick().await;
    assert!(rig.claim(&worker, 9).await.is_empty());
    assert!(rig.queue.dead(None, None, 9).await.unwrap().items.is_empty());
    rig
}

pub(crate) async fn cancelling_twice_is_no_error(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("waits")).await;
    rig.queue.cancel(id).await.unwrap();
    assert_eq!(rig.queue.cancel(id).await.unwrap(), State::Cancelled);

    let id = rig.submit(ask("runs")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;
    rig.queue.cancel(id).await.unwrap();
    assert_eq!(rig.queue.cancel(id).await.unwrap(), State::Running);
    rig.finish(lease, End::Cancelled).await;
    assert_eq!(rig.queue.cancel(id).await.unwrap(), State::Cancelled);
    rig
}

pub(crate) async fn ended_execution_is_not_cancelled(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;

    for (end, state) in [
        (succeeded("y"), State::Succeeded),
        (failed("n"), State::Failed),
        (End::Expired, State::Expired),
    ] {
        let id = rig.submit(ask("?")).await;
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, end).await;
        let answer = rig.queue.cancel(id).await;
        assert!(matches!(answer, Err(Error::AlreadyEnded(it)) if it == state), "{answer:?}");
        assert_eq!(rig.state(id).await, state);
    }
    rig
}

pub(crate) async fn cancelled_executions_leave_the_lane(store: Store) -> Rig {
    let rig = store.open().await;
    let submitted = rig.submit_many(400, "alice").await;
    for id in submitted.iter().skip(1).step_by(2) {
        rig.queue.cancel(*id).await.unwrap();
    }
    let kept: Vec<_> = submitted.into_iter().step_by(2).collect();

    let worker = rig.worker().await;

    assert_eq!(ids(&rig.claim_all(&worker, 400).await), kept);
    rig
}

pub(crate) async fn retry_makes_a_generation(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;

    for end in [failed("no"), End::Cancelled, End::Expired] {
        let id = rig.submit(ask("?")).await;
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, end.clone()).await;
        assert_eq!(rig.queue.retry(id).await.unwrap(), State::Queued, "{end:?}");
        let execution = rig.execution(id).await;
        assert_eq!((execution.state, execution.generation), (State::Queued, 1), "{end:?}");
        assert!(execution.report.is_none() && execution.finished_at.is_none(), "{end:?}");
        assert!(!execution.cancel_requested);
        let lease = rig.claim_one(&worker).await;
        assert_eq!((lease.task.id, lease.task.generation), (id, 1));
        let verdict = rig.finish(lease, succeeded("yes")).await;
        assert_eq!(verdict, Verdict::Recorded(State::Succeeded));
    }
    assert!(rig.queue.dead(None, None, 9).await.unwrap().items.is_empty());
    rig
}

pub(crate) async fn retry_of_what_has_not_failed_is_refused(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let refused = async |state| {
        let answer = rig.queue.retry(id).await;
        assert!(matches!(answer, Err(Error::AlreadyEnded(it)) if it == state), "{answer:?}");
    };

    refused(State::Queued).await;
    let lease = rig.claim_one(&worker).await;
    refused(State::Running).await;
    rig.finish(lease, succeeded("yes")).await;
    refused(State::Succeeded).await;
    assert!(rig.claim(&worker, 1).await.is_empty());
    rig
}

pub(crate) async fn dead_list_is_retried_oldest_first(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let mut dead = Vec::new();
    for owner in ["alice", "bob", "alice", "alice"] {
        let id = rig.submit(asked_by(owner, "?")).await;
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, failed("no")).await;
        rig.pass(Duration::from_millis(5));
        dead.push(id);
    }

    assert_eq!(rig.queue.retry_dead(Some("alice"), 2).await.unwrap(), 2);

    let mut again = ids(&rig.claim_all(&worker, 9).await);
    again.sort_unstable();
    assert_eq!(again, [dead[0], dead[2]]);
    assert_eq!(rig.queue.retry_dead(None, 9).await.unwrap(), 2);
    assert_eq!(rig.queue.retry_dead(None, 9).await.unwrap(), 0);
    rig
}
