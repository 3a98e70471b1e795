//! Notices of what has ended: each is put in with the end, and delivered at least once.

use std::time::Duration;

use queue::{
    CacheKey, Channel, ChannelStats, Delivery, End, Failure, FailureKind, Limits, NewExecution,
    Notice, RawJson, Report, Spec, State, Subject, TextId,
};

use crate::rig::{LEASE_AND_MORE, Rig, Store, ask, batch_of, failed, succeeded};

pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// An execution whose end is told on both channels.
pub(crate) fn told(question: &str) -> NewExecution {
    let new = ask(question);
    NewExecution { spec: telling(new.spec), ..new }
}

fn telling(spec: Spec) -> Spec {
    Spec { webhook: Some("https://example.com/hook".to_owned()), tracked: true, ..spec }
}

pub(crate) async fn take(rig: &Rig, channel: Channel) -> Vec<Notice> {
    rig.queue.take_notices(channel, 100, LEASE).await.unwrap()
}

/// What is told on both channels, each notice once.
async fn subjects(rig: &Rig) -> Vec<Subject> {
    let mut both = Vec::new();
    for channel in [Channel::Webhook, Channel::Tracking] {
        let notices = take(rig, channel).await;
        let sent: Vec<_> = notices.iter().map(|it| (it.clone(), Delivery::Sent)).collect();
        rig.queue.delivered(&sent).await.unwrap();
        both.push(notices.into_iter().map(|it| it.subject).collect::<Vec<_>>());
    }
    assert_eq!(both[0], both[1]);
    both.swap_remove(0)
}

pub(crate) async fn stats(rig: &Rig, channel: Channel) -> ChannelStats {
    let [webhook, tracking, provider] = rig.queue.outbox().await.unwrap();
    match channel {
        Channel::Webhook => webhook,
        Channel::Tracking => tracking,
        Channel::Provider => provider,
    }
}

/// Puts an execution in and ends it.
async fn end(rig: &Rig, new: NewExecution) -> Subject {
    let worker = rig.worker().await;
    let id = rig.submit(new).await;
    let lease = rig.claim_one(&worker).await;
    rig.finish(lease, succeeded("yes")).await;
    Subject::Execution(id)
}

pub(crate) async fn end_that_nobody_asked_for_gives_no_notice(store: Store) -> Rig {
    let rig = store.open().await;

    end(&rig, ask("?")).await;

    assert!(subjects(&rig).await.is_empty());
    rig
}

pub(crate) async fn every_way_to_end_gives_notice(store: Store) -> Rig {
    let limits = Limits { crashes_max: 1, ..Limits::default() };
    let rig = store.open_with(limits).await;
    let worker = rig.worker().await;
    let expect = async |how: &str, id, state| {
        assert_eq!(rig.state(id).await, state, "{how}");
        assert_eq!(subjects(&rig).await, [Subject::Execution(id)], "{how}");
    };
    let run = async |how: &str, end: End, state| {
        let id = rig.submit(told(how)).await;
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, end).await;
        expect(how, id, state).await;
    };
    run("success", succeeded("yes"), State::Succeeded).await;
    run("failure", failed("no"), State::Failed).await;
    run("cancelled", End::Cancelled, State::Cancelled).await;
    run("expired", End::Expired, State::Expired).await;

    let waiting = rig.submit(told("called off while it waits")).await;
    rig.queue.cancel(waiting).await.unwrap();
    expect("called off while it waits", waiting, State::Cancelled).await;

    let mut late = told("too late while it waits");
    late.spec.deadline = Some(rig.now() + Duration::from_secs(1));
    let late = rig.submit(late).await;
    rig.pass(Duration::from_secs(2));
    rig.tick().await;
    expect("too late while it waits", late, State::Expired).await;

    let mut past = told("too late at once");
    past.spec.deadline = Some(rig.now() - Duration::from_secs(1));
    let past = rig.submit(past).await;
    expect("too late at once", past, State::Expired).await;

    let dry = NewExecution { ended: Some(End::Succeeded(Report::default())), ..told("dry") };
    let dry = rig.submit(dry).await;
    expect("dry run", dry, State::Succeeded).await;

    let key = CacheKey { fingerprint: "f".to_owned(), ttl: Duration::from_secs(600) };
    let equal = || NewExecution { cache: Some(key.clone()), ..told("equal") };
    rig.beat(&worker).await;
    let first = rig.submit(equal()).await;
    let lease = rig.claim_one(&worker).await;
    rig.finish(lease, succeeded("yes")).await;
    expect("first of equal ones", first, State::Succeeded).await;
    let hit = rig.submit(equal()).await;
    expect("out of the cache", hit, State::Succeeded).await;

    let deadly = rig.submit(told("kills its workers")).await;
    for _ in 0..3 {
        let victim = rig.worker().await;
        drop(rig.claim_one(&victim).await);
        rig.lose(&victim).await;
    }
    expect("kills its workers", deadly, State::Failed).await;
    rig
}

pub(crate) async fn notice_is_with_one_at_a_time(store: Store) -> Rig {
    let rig = store.open().await;
    let subject = end(&rig, told("?")).await;

    let first = take(&rig, Channel::Webhook).await;
    let second = take(&rig, Channel::Webhook).await;

    assert_eq!(first.iter().map(|it| (it.subject, it.taken)).collect::<Vec<_>>(), [(subject, 0)]);
    assert!(second.is_empty());
    assert_eq!(take(&rig, Channel::Tracking).await.len(), 1, "each channel has its own");
    rig
}

pub(crate) async fn notice_of_a_lost_worker_comes_again(store: Store) -> Rig {
    let rig = store.open().await;
    end(&rig, told("?")).await;
    let lost = take(&rig, Channel::Webhook).await;

    rig.pass(LEASE + LEASE_AND_MORE);
    let again = take(&rig, Channel::Webhook).await;
    rig.queue.delivered(&[(lost[0].clone(), Delivery::Sent)]).await.unwrap();

    assert_eq!(again[0].taken, 1);
    let waiting = ChannelStats { waiting: 1, ..ChannelStats::default() };
    assert_eq!(stats(&rig, Channel::Webhook).await, waiting, "the first has lost the right");
    rig.queue.delivered(&[(again[0].clone(), Delivery::Sent)]).await.unwrap();
    let sent = ChannelStats { sent: 1, ..ChannelStats::default() };
    assert_eq!(stats(&rig, Channel::Webhook).await, sent);
    rig
}

pub(crate) async fn what_became_of_a_notice_is_counted(store: Store) -> Rig {
    let rig = store.open().await;
    for question in ["1", "2", "3"] {
        end(&rig, told(question)).await;
        rig.pass(Duration::from_millis(1));
    }

    let taken = take(&rig, Channel::Tracking).await;
    let fates = [Delivery::Sent, Delivery::Dropped, Delivery::Later(LEASE)];
    let deliveries: Vec<_> = taken.into_iter().zip(fates).collect();
    rig.queue.delivered(&deliveries).await.unwrap();
    rig.queue.delivered(&deliveries).await.unwrap();

    let counted = ChannelStats { waiting: 1, sent: 1, dropped: 1 };
    assert_eq!(stats(&rig, Channel::Tracking).await, counted, "and repeating counts nothing");
    let untouched = ChannelStats { waiting: 3, ..ChannelStats::default() };
    assert_eq!(stats(&rig, Channel::Webhook).await, untouched);
    rig
}

pub(crate) async fn notice_comes_again_when_it_is_due(store: Store) -> Rig {
    let rig = store.open().await;
    end(&rig, told("?")).await;
    let delay = Duration::from_secs(300);
    let taken = take(&rig, Channel::Webhook).await;

    rig.queue.delivered(&[(taken[0].clone(), Delivery::Later(delay))]).await.unwrap();
    rig.pass(delay / 2);
    assert!(take(&rig, Channel::Webhook).await.is_empty());
    rig.pass(delay / 2);

    assert_eq!(take(&rig, Channel::Webhook).await[0].taken, 1);
    rig
}

pub(crate) async fn notice_that_goes_on_was_taken_once_however_often_it_was(store: Store) -> Rig {
    let rig = store.open().await;
    end(&rig, told("?")).await;
    let settle = async |how: fn(Duration) -> Delivery| {
        let taken = take(&rig, Channel::Tracking).await.swap_remove(0);
        rig.queue.delivered(&[(taken.clone(), how(LEASE))]).await.unwrap();
        assert!(take(&rig, Channel::Tracking).await.is_empty(), "not before it is due");
        rig.pass(LEASE);
        taken.taken
    };

    let taken = [
        settle(Delivery::Again).await,
        settle(Delivery::Later).await,
        settle(Delivery::Later).await,
        settle(Delivery::Again).await,
        settle(Delivery::Later).await,
    ];

    assert_eq!(taken, [0, 1, 2, 3, 1]);
    rig
}

pub(crate) async fn execution_that_ends_again_gives_notice_again(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = rig.submit(told("?")).await;
    let lease = rig.claim_one(&worker).await;
    rig.finish(lease, failed("no")).await;
    let first = take(&rig, Channel::Webhook).await;

    rig.queue.retry(id).await.unwrap();
    let lease = rig.claim_one(&worker).await;
    rig.pass(Duration::from_millis(1));
    rig.finish(lease, succeeded("yes")).await;
    rig.queue.delivered(&[(first[0].clone(), Delivery::Sent)]).await.unwrap();

    let second = take(&rig, Channel::Webhook).await;
    assert_eq!(
        second.iter().map(|it| (it.subject, it.taken)).collect::<Vec<_>>(),
        [(Subject::Execution(id), 0)]
    );
    rig
}

pub(crate) async fn batch_gives_notice_when_its_last_item_ends(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let mut batch = batch_of(3);
    batch.spec = Spec { tracked: false, ..telling(batch.spec) };
    let kind = FailureKind::Validation;
    batch.items[0].invalid = Some(Failure { kind, message: "wrong".to_owned() });
    let id = rig.queue.submit_batch(batch).await.unwrap().id;
    let mut leases = rig.claim_all(&worker, 2).await;

    rig.finish(leases.remove(0), succeeded("yes")).await;
    assert!(take(&rig, Channel::Webhook).await.is_empty());
    rig.finish(leases.remove(0), failed("no")).await;

    let notices = take(&rig, Channel::Webhook).await;
    assert_eq!(notices.iter().map(|it| it.subject).collect::<Vec<_>>(), [Subject::Batch(id)]);
    let mut called_off = batch_of(2);
    called_off.spec = telling(called_off.spec);
    let other = rig.queue.submit_batch(called_off).await.unwrap().id;
    rig.queue.cancel_batch(other).await.unwrap();
    let notices = take(&rig, Channel::Webhook).await;
    assert_eq!(notices.iter().map(|it| it.subject).collect::<Vec<_>>(), [Subject::Batch(other)]);
    rig
}

pub(crate) async fn tracked_batch_gives_notice_when_it_begins(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let mut batch = batch_of(1);
    batch.spec = telling(batch.spec);
    let id = rig.queue.submit_batch(batch).await.unwrap().id;

    let begun = take(&rig, Channel::Tracking).await;
    let until_later = (begun[0].clone(), Delivery::Later(LEASE));
    rig.queue.delivered(&[until_later]).await.unwrap();
    assert!(take(&rig, Channel::Webhook).await.is_empty());
    let lease = rig.claim_one(&worker).await;
    rig.finish(lease, succeeded("yes")).await;

    assert_eq!(begun[0].subject, Subject::Batch(id));
    assert_eq!(take(&rig, Channel::Tracking).await[0].subject, Subject::Batch(id), "at once");
    rig
}

pub(crate) async fn oldest_notices_are_dropped_beyond_the_limit(store: Store) -> Rig {
    let rig = store.open_with(Limits { outbox_max: 2, ..Limits::default() }).await;
    let mut ended = Vec::new();
    for question in ["1", "2", "3", "4"] {
        ended.push(end(&rig, told(question)).await);
        rig.pass(Duration::from_millis(1));
    }

    rig.tick().await;

    assert_eq!(subjects(&rig).await, ended[2..]);
    let counted = ChannelStats { waiting: 0, sent: 2, dropped: 2 };
    assert_eq!(stats(&rig, Channel::Tracking).await, counted);
    rig
}

pub(crate) async fn steps_are_there_for_whoever_takes_the_notice(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = rig.submit(told("?")).await;
    let lease = rig.claim_one(&worker).await;
    let first = RawJson::write(&["steps"]).unwrap();
    let report = Report { trace: Some(first.clone()), ..Report::default() };
    rig.finish(lease, End::Failed(report)).await;
    let steps = async || rig.execution(id).await.report.and_then(|it| it.trace);

    let taken = take(&rig, Channel::Tracking).await;
    assert_eq!(steps().await, Some(first));
    rig.queue.retry(id).await.unwrap();
    let lease = rig.claim_one(&worker).await;
    rig.finish(lease, succeeded("yes")).await;
    assert_eq!(steps().await, None, "those of a run before are not this one's");
    let later = (taken[0].clone(), Delivery::Later(LEASE));
    rig.queue.delivered(&[later]).await.unwrap();
    let second = take(&rig, Channel::Tracking).await;

    assert_eq!(second.iter().map(|it| it.taken).collect::<Vec<_>>(), [0]);
    assert_eq!(steps().await, None);
    rig
}

pub(crate) async fn words_are_kept_with_a_subject(store: Store) -> Rig {
    let rig = store.open().await;
    let (id, batch) = (rig.submit(ask("?")).await, batch_of(1).id);
    let all = [Subject::Execution(id), Subject::Batch(batch), Subject::Execution(batch.item(0))];
    rig.queue.note(all[0], "first").await.unwrap();

    rig.queue.note(all[0], "second").await.unwrap();
    rig.queue.note(all[1], "of the batch").await.unwrap();

    let words = |it: &str| Some(it.to_owned());
    let expected = [words("second"), words("of the batch"), None];
    assert_eq!(rig.queue.notes(&all).await.unwrap(), expected);
    rig
}

pub(crate) async fn texts_outlive_the_results_that_name_them(store: Store) -> Rig {
    let rig = store.open().await;
    let (text, hour) = ("Answer in one word.", Duration::from_secs(3600));
    let names = [TextId::of(text), TextId::of("of another")];
    rig.queue.keep_text(names[0], text, hour).await.unwrap();

    rig.pass(Limits::default().result_ttl + hour / 2);

    assert_eq!(rig.queue.texts(&names).await.unwrap(), [Some(text.to_owned()), None]);
    assert_eq!(rig.queue.texts(&[]).await.unwrap(), [] as [Option<String>; 0]);
    rig
}
