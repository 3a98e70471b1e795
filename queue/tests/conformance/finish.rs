//! What comes out.

use std::{sync::Arc, time::Duration};

use queue::{ATTEMPTS_KEPT, End, RawJson, Report, State, Verdict};
use serde_json::json;

use crate::rig::{RUN_TIME, Rig, Store, ask, failed, failure, fields, succeeded};

pub(crate) async fn success_is_kept(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;
    let report = Report {
        outputs: Some(fields("answer", "yes")),
        usage: fields("stub", "12"),
        debug_trace: Some(json!([{ "step": 1 }])),
        trace: Some(RawJson::write(&json!([{ "k": "lm" }])).unwrap()),
        extra: fields("trace_id", "t"),
        failure: None,
    };

    rig.pass(Duration::from_secs(1));
    let verdict = rig.finish(lease, End::Succeeded(report.clone())).await;

    assert_eq!(verdict, Verdict::Recorded(State::Succeeded));
    let execution = rig.execution(id).await;
    assert_eq!((execution.state, execution.report), (State::Succeeded, Some(report)));
    assert_eq!(execution.finished_at, Some(rig.now()));
    assert_eq!((execution.run_time, execution.worker), (Some(RUN_TIME), Some(worker.clone())));
    assert!(execution.started_at.is_some());
    assert_eq!(execution.attempts.len(), 1);
    let attempt = &execution.attempts[0];
    assert_eq!((&attempt.worker, &attempt.error), (&worker, &None));
    rig
}

pub(crate) async fn failure_is_kept_and_listed(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    let verdict = rig.finish(lease, failed("broken")).await;

    assert_eq!(verdict, Verdict::Recorded(State::Failed));
    let execution = rig.execution(id).await;
    assert_eq!(execution.report.unwrap().failure.unwrap().message, "broken");
    assert_eq!(execution.attempts[0].error.as_ref().unwrap().message, "broken");
    let dead = rig.queue.dead(None, None, 9).await.unwrap();
    assert_eq!((dead.items.len(), dead.items[0].id, dead.next), (1, id, None));
    rig
}

pub(crate) async fn retry_waits_its_delay(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    let verdict = rig.finish(lease, End::Retry(failure("503"), Duration::from_secs(2))).await;

    assert_eq!(verdict, Verdict::Recorded(State::Scheduled));
    let execution = rig.execution(id).await;
    assert_eq!(execution.due_at, Some(rig.now() + Duration::from_secs(2)));
    assert_eq!(execution.attempts.len(), 1);
    assert!(execution.report.is_none());
    rig.pass(Duration::from_millis(1999));
    assert_eq!(rig.tick().await.promoted, 0);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.tick().await.promoted, 1);
    let lease = rig.claim_one(&worker).await;
    assert_eq!(lease.task.attempts_used(), 1);
    assert_eq!(lease.task.attempts[0].error, Some(failure("503")));
    rig.finish(lease, succeeded("at last")).await;
    let stats = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap();
    assert_eq!((stats.retries, stats.ended.succeeded, stats.ended.failed), (1, 1, 0));
    rig
}

pub(crate) async fn throttled_uses_no_attempt(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    let verdict = rig.finish(lease, End::Throttled(failure("429"), Duration::from_secs(2))).await;

    assert_eq!(verdict, Verdict::Recorded(State::Scheduled));
    assert!(rig.execution(id).await.attempts.is_empty());
    rig.pass(Duration::from_secs(2));
    rig.tick().await;
    assert_eq!(rig.claim_one(&worker).await.task.attempts_used(), 0);
    rig
}

pub(crate) async fn returned_goes_to_the_head(store: Store) -> Rig {
    let rig = store.open().await;
    let submitted = rig.submit_many(3, "alice").await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    assert_eq!(rig.finish(lease, End::Returned).await, Verdict::Recorded(State::Queued));

    let again = rig.claim_one(&worker).await;
    assert_eq!((again.task.id, again.task.attempts_used()), (submitted[0], 0));
    assert!(!again.task.suspect);
    rig
}

pub(crate) async fn expired_is_kept(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    assert_eq!(rig.finish(lease, End::Expired).await, Verdict::Recorded(State::Expired));

    assert_eq!(rig.state(id).await, State::Expired);
    assert!(rig.queue.dead(None, None, 9).await.unwrap().items.is_empty());
    rig
}

pub(crate) async fn cancelled_is_kept(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    assert_eq!(rig.finish(lease, End::Cancelled).await, Verdict::Recorded(State::Cancelled));

    assert_eq!(rig.state(id).await, State::Cancelled);
    rig
}

pub(crate) async fn attempts_of_all_generations_are_kept(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    for message in ["one", "two"] {
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, failed(message)).await;
        rig.queue.retry(id).await.unwrap();
    }

    let lease = rig.claim_one(&worker).await;
    assert_eq!((lease.task.generation, lease.task.attempts_used()), (2, 0));
    rig.finish(lease, succeeded("three")).await;

    let execution = rig.execution(id).await;
    let generations: Vec<u32> = execution.attempts.iter().map(|it| it.generation).collect();
    assert_eq!((execution.generation, generations), (2, vec![0, 1, 2]));
    rig
}

pub(crate) async fn oldest_attempts_are_forgotten(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let worker = rig.worker().await;
    for n in 0..ATTEMPTS_KEPT + 3 {
        rig.tick().await;
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, End::Retry(failure(&n.to_string()), Duration::ZERO)).await;
    }

    let attempts = rig.execution(id).await.attempts;

    assert_eq!(attempts.len(), ATTEMPTS_KEPT);
    assert_eq!(attempts[0].error, Some(failure("3")));
    rig
}

pub(crate) async fn many_finish_at_once(store: Store) -> Rig {
    let rig = Arc::new(store.open().await);
    rig.submit_many(300, "alice").await;
    let worker = rig.worker().await;
    let leases = rig.claim_all(&worker, 300).await;

    let mut finishing = tokio::task::JoinSet::new();
    for lease in leases {
        let rig = Arc::clone(&rig);
        finishing.spawn(async move {
            let (id, answer) = (lease.task.id, lease.task.id.to_string());
            let verdict = rig.finish(lease, succeeded(&answer)).await;
            assert_eq!(verdict, Verdict::Recorded(State::Succeeded));
            id
        });
    }

    for id in finishing.join_all().await {
        let outputs = rig.execution(id).await.report.unwrap().outputs;
        assert_eq!(outputs, Some(fields("answer", &id.to_string())));
    }
    let stats = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap();
    assert_eq!(stats.ended.succeeded, 300);
    Arc::into_inner(rig).unwrap()
}

pub(crate) async fn big_results_come_back_whole(store: Store) -> Rig {
    let rig = store.open().await;
    let text = "ä\u{0}\r\n\"\\ ".repeat(200_000);
    let id = rig.submit(ask(&text)).await;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;
    assert_eq!(lease.task.inputs, fields("question", &text));

    rig.finish(lease, succeeded(&text)).await;

    let execution = rig.execution(id).await;
    assert_eq!(execution.inputs, fields("question", &text));
    assert_eq!(execution.report.unwrap().outputs, Some(fields("answer", &text)));
    rig
}
