//! What happens to the work of workers that die, freeze, or come back.

use std::time::Duration;

use queue::{End, Error, FailureKind, Lease, Limits, State, Verdict, Want, WorkerId};

use crate::rig::{LEASE_AND_MORE, Rig, Store, ask, failed, failure, fields, info, succeeded};

/// A worker takes the only execution, and is lost.
async fn take_and_lose(rig: &Rig) -> (WorkerId, Lease) {
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;
    rig.lose(&worker).await;
    (worker, lease)
}

pub(crate) async fn beat_keeps_the_lease(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    for _ in 0..5 {
        rig.pass(Duration::from_secs(2));
        assert_eq!(rig.tick().await.rescued, 0);
        assert!(!rig.beat(&worker).await.declared_dead);
    }

    assert_eq!(rig.state(id).await, State::Running);
    assert_eq!(rig.finish(lease, succeeded("yes")).await, Verdict::Recorded(State::Succeeded));
    rig
}

pub(crate) async fn lost_execution_comes_again_at_the_head(store: Store) -> Rig {
    let rig = store.open().await;
    let submitted = rig.submit_many(3, "alice").await;
    let (_dead, _lease) = take_and_lose(&rig).await;

    assert_eq!(rig.state(submitted[0]).await, State::Queued);
    let heir = rig.worker().await;
    let again = rig.claim_one(&heir).await;
    assert_eq!(again.task.id, submitted[0]);
    assert_eq!(rig.finish(again, succeeded("yes")).await, Verdict::Recorded(State::Succeeded));
    rig
}

pub(crate) async fn loss_uses_no_attempt(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let (_dead, _lease) = take_and_lose(&rig).await;

    let heir = rig.worker().await;
    let again = rig.claim_one(&heir).await;

    assert_eq!((again.task.attempts_used(), again.task.suspect), (0, false));
    assert!(rig.execution(id).await.attempts.is_empty());
    rig
}

pub(crate) async fn second_loss_makes_a_suspect(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit(ask("?")).await;
    drop(take_and_lose(&rig).await);
    drop(take_and_lose(&rig).await);

    let heir = rig.worker().await;

    assert!(rig.claim_one(&heir).await.task.suspect);
    rig
}

pub(crate) async fn suspect_waits_for_a_worker_that_takes_it(store: Store) -> Rig {
    let rig = store.open().await;
    let suspect = rig.submit(ask("?")).await;
    drop(take_and_lose(&rig).await);
    drop(take_and_lose(&rig).await);
    let other = rig.submit(ask("!")).await;
    let heir = rig.worker().await;
    let claim = async |takes| {
        let want = Want { slots: 4, bulk: 4, suspect: takes };
        let leases = rig.queue.claim(&heir, want, Duration::ZERO).await.unwrap();
        crate::rig::ids(&leases)
    };

    assert_eq!(claim(false).await, [other]);
    assert_eq!(claim(true).await, [suspect]);
    rig
}

pub(crate) async fn suspect_that_kills_its_workers_fails(store: Store) -> Rig {
    let rig = store.open_with(Limits { crashes_max: 2, ..Limits::default() }).await;
    let id = rig.submit(ask("?")).await;

    // Twice freely, then twice charged.
    for _ in 0..4 {
        assert_eq!(rig.state(id).await, State::Queued);
        drop(take_and_lose(&rig).await);
    }

    let execution = rig.execution(id).await;
    assert_eq!(execution.state, State::Failed);
    let failure = execution.report.unwrap().failure.unwrap();
    assert_eq!(failure.kind, FailureKind::WorkerLost);
    let dead = rig.queue.dead(None, None, 9).await.unwrap().items;
    assert_eq!(dead.iter().map(|it| it.id).collect::<Vec<_>>(), [id]);
    rig
}

pub(crate) async fn frozen_worker_that_nobody_missed_may_finish(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    rig.pass(LEASE_AND_MORE);

    assert_eq!(rig.finish(lease, succeeded("yes")).await, Verdict::Recorded(State::Succeeded));
    assert_eq!(rig.tick().await.rescued, 0);
    rig
}

pub(crate) async fn late_result_is_recorded_once(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let (frozen, late) = take_and_lose(&rig).await;
    let heir = rig.worker().await;
    let newer = rig.claim_one(&heir).await;

    let verdict = rig.finish(late, succeeded("late")).await;

    assert_eq!(verdict, Verdict::RecordedLate(State::Succeeded));
    assert_eq!(rig.beat(&heir).await.cancel, [id]);
    assert_eq!(rig.finish(newer, succeeded("newer")).await, Verdict::Refused);
    let execution = rig.execution(id).await;
    assert_eq!(execution.report.unwrap().outputs, Some(fields("answer", "late")));
    assert_eq!(execution.worker, Some(frozen));
    rig
}

pub(crate) async fn late_result_stops_the_waiting_copy(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let (_frozen, late) = take_and_lose(&rig).await;

    let verdict = rig.finish(late, succeeded("late")).await;

    assert_eq!(verdict, Verdict::RecordedLate(State::Succeeded));
    assert_eq!(rig.state(id).await, State::Succeeded);
    let heir = rig.worker().await;
    assert!(rig.claim(&heir, 1).await.is_empty());
    rig
}

pub(crate) async fn late_failure_is_refused(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;

    for end in [
        failed("late"),
        End::Retry(failure("late"), Duration::ZERO),
        End::Throttled(failure("late"), Duration::ZERO),
        End::Returned,
        End::Cancelled,
        End::Expired,
    ] {
        let (_frozen, late) = take_and_lose(&rig).await;
        assert_eq!(rig.finish(late, end.clone()).await, Verdict::Refused, "{end:?}");
        assert_eq!(rig.state(id).await, State::Queued, "{end:?}");
        // A fresh one each time, before losses are charged.
        let heir = rig.worker().await;
        let lease = rig.claim_one(&heir).await;
        rig.finish(lease, failed("now")).await;
        rig.queue.retry(id).await.unwrap();
    }
    rig
}

pub(crate) async fn late_result_is_refused_if_so_configured(store: Store) -> Rig {
    let rig = store.open_with(Limits { late_results: false, ..Limits::default() }).await;
    let id = rig.submit(ask("?")).await;
    let (_frozen, late) = take_and_lose(&rig).await;

    assert_eq!(rig.finish(late, succeeded("late")).await, Verdict::Refused);
    assert_eq!(rig.state(id).await, State::Queued);
    rig
}

pub(crate) async fn late_worker_cannot_replace_a_result(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let (_frozen, late) = take_and_lose(&rig).await;
    let heir = rig.worker().await;
    let lease = rig.claim_one(&heir).await;
    rig.finish(lease, succeeded("first")).await;

    assert_eq!(rig.finish(late, succeeded("late")).await, Verdict::Refused);

    let outputs = rig.execution(id).await.report.unwrap().outputs;
    assert_eq!(outputs, Some(fields("answer", "first")));
    rig
}

pub(crate) async fn dead_worker_is_told_and_gets_nothing(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit_many(2, "alice").await;
    let (dead, _late) = take_and_lose(&rig).await;

    assert!(rig.beat(&dead).await.declared_dead);

    match rig.queue.claim(&dead, crate::rig::want(1), Duration::ZERO).await {
        Ok(leases) => assert!(leases.is_empty()),
        Err(error) => assert!(matches!(error, Error::NotFound(_)), "{error}"),
    }
    assert!(rig.beat(&dead).await.declared_dead, "it stays dead");
    rig
}

pub(crate) async fn retired_worker_gives_back_at_once(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let _lease = rig.claim_one(&worker).await;

    rig.queue.retire(&worker).await.unwrap();
    rig.tick().await;

    assert_eq!(rig.state(id).await, State::Queued);
    let heir = rig.worker().await;
    assert_eq!(rig.claim_one(&heir).await.task.id, id);
    let workers = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap().workers;
    let workers: Vec<WorkerId> = workers.into_iter().map(|it| it.id).collect();
    assert_eq!(workers, [info(&heir).id]);
    rig.queue.retire(&worker).await.unwrap();
    rig
}

pub(crate) async fn execution_called_off_is_not_rescued(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;
    assert_eq!(rig.queue.cancel(id).await.unwrap(), State::Running);

    rig.pass(LEASE_AND_MORE);
    rig.tick().await;

    assert_eq!(rig.state(id).await, State::Cancelled);
    assert_eq!(rig.finish(lease, succeeded("late")).await, Verdict::Refused);
    let heir = rig.worker().await;
    assert!(rig.claim(&heir, 1).await.is_empty());
    rig
}

pub(crate) async fn result_of_an_older_generation_is_refused(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let (_frozen, late) = take_and_lose(&rig).await;
    let heir = rig.worker().await;
    let lease = rig.claim_one(&heir).await;
    rig.finish(lease, failed("no")).await;
    rig.queue.retry(id).await.unwrap();

    let verdict = rig.finish(late, succeeded("of the generation before")).await;

    assert_eq!(verdict, Verdict::Refused);
    assert_eq!(rig.state(id).await, State::Queued);
    rig
}
