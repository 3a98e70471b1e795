//! What comes in.

use std::time::Duration;

use chrono::TimeDelta;
use queue::{BatchId, Error, ExecutionId, Idempotency, Limits, Mode, NewExecution, State, Which};
use testkit::until_true;

use crate::rig::{Rig, SOON, Store, ask, asked_by, failed, fields, succeeded, want};

fn keyed(owner: &str, key: &str, digest: &str) -> NewExecution {
    let idempotency = Some(Idempotency { key: key.to_owned(), digest: digest.to_owned() });
    NewExecution { idempotency, ..asked_by(owner, "?") }
}

pub(crate) async fn accepted_execution_is_kept_as_given(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = ask("how?");
    new.inputs.insert("deep".to_owned(), serde_json::json!({ "ü": [1, 2.5, null, "x\u{0}y"] }));
    new.spec.lm = fields("model", "stub");
    new.spec.metadata.insert("team".to_owned(), "red".to_owned());
    new.spec.webhook = Some("http://example.org/done".to_owned());
    let (id, spec, inputs) = (new.id, new.spec.clone(), new.inputs.clone());

    let answer = rig.queue.submit(new).await.unwrap();

    assert_eq!((answer.id, answer.state, answer.replayed), (id, State::Queued, false));
    let kept = rig.execution(id).await;
    assert_eq!((kept.id, kept.state, kept.generation), (id, State::Queued, 0));
    assert_eq!((&*kept.spec, &kept.inputs), (&spec, &inputs));
    assert_eq!(kept.created_at, rig.now());
    assert!(kept.attempts.is_empty() && kept.report.is_none() && !kept.cache_hit);
    assert!(kept.started_at.is_none() && kept.finished_at.is_none() && kept.worker.is_none());
    rig
}

pub(crate) async fn known_id_is_not_accepted_again(store: Store) -> Rig {
    let rig = store.open().await;
    let new = ask("once");
    rig.submit(new.clone()).await;

    let again = rig.queue.submit(new.clone()).await.unwrap();
    assert_eq!((again.id, again.state), (new.id, State::Queued));
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;
    assert!(rig.claim(&worker, 1).await.is_empty());
    rig.finish(lease, succeeded("yes")).await;
    let again = rig.queue.submit(new.clone()).await.unwrap();
    assert_eq!((again.id, again.state), (new.id, State::Succeeded));
    assert!(rig.claim(&worker, 1).await.is_empty());
    rig
}

pub(crate) async fn repeated_request_gets_the_first_answer(store: Store) -> Rig {
    let rig = store.open().await;
    let first = rig.queue.submit(keyed("alice", "k", "d")).await.unwrap();

    let second = rig.queue.submit(keyed("alice", "k", "d")).await.unwrap();

    assert!(!first.replayed && second.replayed);
    assert_eq!((second.id, second.state), (first.id, State::Queued));
    let worker = rig.worker().await;
    assert_eq!(rig.claim(&worker, 9).await.len(), 1);
    rig
}

pub(crate) async fn key_with_another_body_is_refused(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit(keyed("alice", "k", "d")).await;

    let answer = rig.queue.submit(keyed("alice", "k", "other")).await;

    assert!(matches!(answer, Err(Error::KeyReused)), "{answer:?}");
    rig
}

pub(crate) async fn keys_of_owners_are_apart(store: Store) -> Rig {
    let rig = store.open().await;
    let first = rig.submit(keyed("alice", "k", "d")).await;

    let second = rig.queue.submit(keyed("bob", "k", "other")).await.unwrap();

    assert!(second.id != first && !second.replayed);
    rig
}

pub(crate) async fn key_is_forgotten_after_its_time(store: Store) -> Rig {
    let limits = Limits { idempotency_ttl: Duration::from_millis(200), ..Limits::default() };
    let rig = store.open_by_own_clock(limits).await;
    let first = rig.submit(keyed("alice", "k", "d")).await;

    until_true("the key is forgotten", SOON, async || {
        rig.queue.tick().await.unwrap();
        rig.queue.submit(keyed("alice", "k", "d")).await.unwrap().id != first
    })
    .await;
    rig
}

pub(crate) async fn later_start_waits_for_its_time(store: Store) -> Rig {
    let rig = store.open().await;
    let due = rig.now() + TimeDelta::seconds(10);
    let new = NewExecution { not_before: Some(due), ..ask("later") };

    let answer = rig.queue.submit(new).await.unwrap();

    assert_eq!(answer.state, State::Scheduled);
    assert_eq!(rig.execution(answer.id).await.due_at, Some(due));
    let worker = rig.worker().await;
    let tick = rig.tick().await;
    assert_eq!((tick.promoted, tick.next_due), (0, Some(Duration::from_secs(10))));
    assert!(rig.claim(&worker, 1).await.is_empty());
    rig.pass(Duration::from_secs(10));
    rig.beat(&worker).await;
    let tick = rig.tick().await;
    assert_eq!((tick.promoted, tick.next_due), (1, None));
    assert_eq!(rig.state(answer.id).await, State::Queued);
    assert_eq!(rig.claim_one(&worker).await.task.id, answer.id);
    rig
}

pub(crate) async fn past_start_is_now(store: Store) -> Rig {
    let rig = store.open().await;
    let new = NewExecution { not_before: Some(rig.now() - TimeDelta::hours(1)), ..ask("now") };

    assert_eq!(rig.queue.submit(new).await.unwrap().state, State::Queued);
    rig
}

pub(crate) async fn dry_run_is_kept_and_no_worker_sees_it(store: Store) -> Rig {
    let rig = store.open().await;
    let mut good = NewExecution { ended: Some(succeeded("valid")), ..ask("dry") };
    good.spec.mode = Mode::DryRun;
    let mut bad = NewExecution { ended: Some(failed("invalid")), ..ask("dry") };
    bad.spec.mode = Mode::DryRun;

    let good = rig.queue.submit(good).await.unwrap();
    let bad = rig.queue.submit(bad).await.unwrap();

    assert_eq!((good.state, bad.state), (State::Succeeded, State::Failed));
    let kept = rig.execution(good.id).await;
    assert_eq!(kept.report.unwrap().outputs, Some(fields("answer", "valid")));
    assert_eq!(kept.finished_at, Some(rig.now()));
    let stats = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap();
    assert_eq!((stats.dry_runs, stats.ended.total(), stats.depth.dead), (2, 0, 0));
    let worker = rig.worker().await;
    assert!(rig.claim(&worker, 9).await.is_empty());
    rig
}

pub(crate) async fn past_deadline_is_expired(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = ask("too late");
    new.spec.deadline = Some(rig.now() - TimeDelta::seconds(1));

    let answer = rig.queue.submit(new).await.unwrap();

    assert_eq!(answer.state, State::Expired);
    assert_eq!(rig.state(answer.id).await, State::Expired);
    let worker = rig.worker().await;
    assert!(rig.claim(&worker, 1).await.is_empty());
    rig
}

pub(crate) async fn waiting_execution_expires_at_its_deadline(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = ask("soon");
    new.spec.deadline = Some(rig.now() + TimeDelta::seconds(10));
    let id = rig.submit(new).await;
    let other = rig.submit(ask("any time")).await;

    rig.pass(Duration::from_secs(11));
    let expired = rig.tick().await.expired;

    assert_eq!((expired, rig.state(id).await), (1, State::Expired));
    let worker = rig.worker().await;
    assert_eq!(rig.claim_one(&worker).await.task.id, other);
    assert!(rig.queue.claim(&worker, want(1), Duration::ZERO).await.unwrap().is_empty());
    rig
}

pub(crate) async fn scheduled_execution_expires_at_its_deadline(store: Store) -> Rig {
    let rig = store.open().await;
    let not_before = Some(rig.now() + TimeDelta::seconds(60));
    let mut new = NewExecution { not_before, ..ask("never") };
    new.spec.deadline = Some(rig.now() + TimeDelta::seconds(10));
    let id = rig.submit(new).await;

    rig.pass(Duration::from_secs(11));
    rig.tick().await;

    assert_eq!(rig.state(id).await, State::Expired);
    rig.pass(Duration::from_secs(60));
    assert_eq!(rig.tick().await.promoted, 0);
    rig
}

pub(crate) async fn unknown_names_are_not_found(store: Store) -> Rig {
    let rig = store.open().await;
    let batch = rig.queue.submit_batch(crate::rig::batch_of(2)).await.unwrap().id;
    let (single, item) = (ExecutionId::new(), BatchId::new().item(0));

    for id in [single, item, batch.item(2)] {
        let missing = |answer: Result<(), Error>| {
            assert!(matches!(answer, Err(Error::NotFound(_))), "{id}: {answer:?}");
        };
        missing(rig.queue.execution(id).await.map(drop));
        missing(rig.queue.wait(id, Duration::ZERO).await.map(drop));
        missing(rig.queue.cancel(id).await.map(drop));
        missing(rig.queue.retry(id).await.map(drop));
        missing(rig.queue.why(id).await.map(drop));
    }
    let none = BatchId::new();
    let missing = |answer: Result<(), Error>| {
        assert!(matches!(answer, Err(Error::NotFound(_))), "{answer:?}");
    };
    missing(rig.queue.batch(none).await.map(drop));
    missing(rig.queue.batch_results(none, 0, 9, Which::All).await.map(drop));
    missing(rig.queue.cancel_batch(none).await);
    missing(rig.queue.retry_batch(none).await.map(drop));
    rig
}
