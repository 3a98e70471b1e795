//! What running executions tell, and who hears it.

use std::{sync::Arc, time::Duration};

use queue::{Mark, NEWS_KEPT, NEWS_TIME, News};
use testkit::until_true;

use crate::rig::{Rig, SOON, Store, ask};

fn news(data: &str) -> News {
    News { event: "field".to_owned(), data: data.to_owned() }
}

fn void() -> News {
    News { event: "restart".to_owned(), data: "{}".to_owned() }
}

/// All that is kept after a mark, in words, and the last mark.
async fn told(
    rig: &Rig,
    id: queue::ExecutionId,
    mut after: Option<Mark>,
) -> (Vec<String>, Option<Mark>) {
    let mut words = Vec::new();
    loop {
        let page = rig.queue.follow(id, after, Duration::ZERO).await.unwrap();
        let Some((last, _)) = page.last() else { return (words, after) };
        after = Some(*last);
        words.extend(page.into_iter().map(|(_, it)| if it == void() { it.event } else { it.data }));
    }
}

pub(crate) async fn followers_hear_in_order_and_go_on_from_a_mark(store: Store) -> Rig {
    let rig = store.open().await;
    let (id, other) = (rig.submit(ask("1")).await, rig.submit(ask("2")).await);
    let tell = async |id, what: &[News]| rig.queue.tell(id, "a", what, NEWS_TIME).await.unwrap();
    rig.queue.begin(id, "a", &void()).await.unwrap();

    tell(id, &[news("1"), news("2")]).await;
    tell(other, &[news("another")]).await;
    let (first, mark) = told(&rig, id, None).await;
    tell(id, &[news("3")]).await;

    assert_eq!(first, ["1", "2"]);
    assert_eq!(told(&rig, id, mark).await.0, ["3"]);
    assert_eq!(told(&rig, id, None).await.0, ["1", "2", "3"]);
    rig
}

pub(crate) async fn follower_wakes_when_something_is_told(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let queue = Arc::clone(&rig.queue);
    let minute = Duration::from_secs(60);
    let waiting = tokio::spawn(async move { queue.follow(id, None, minute).await.unwrap() });
    tokio::task::yield_now().await;

    rig.queue.begin(id, "a", &void()).await.unwrap();
    rig.queue.tell(id, "a", &[news("at last")], NEWS_TIME).await.unwrap();

    let found = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(found.into_iter().map(|it| it.1).collect::<Vec<_>>(), [news("at last")]);
    let other = rig.submit(ask("!")).await;
    assert!(rig.queue.follow(other, None, minute / 600).await.unwrap().is_empty());
    rig
}

pub(crate) async fn new_attempt_voids_what_was_told(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;
    let tell = async |by: &str, what| rig.queue.tell(id, by, &[news(what)], NEWS_TIME).await;
    rig.queue.begin(id, "first", &void()).await.unwrap();
    tell("first", "half an ans").await.unwrap();
    let (_, mark) = told(&rig, id, None).await;

    rig.queue.begin(id, "second", &void()).await.unwrap();
    rig.queue.begin(id, "second", &void()).await.unwrap();
    tell("first", "wer").await.unwrap();
    tell("second", "an answer").await.unwrap();

    assert_eq!(told(&rig, id, mark).await.0, ["restart", "an answer"]);
    assert_eq!(told(&rig, id, None).await.0, ["restart", "an answer"]);
    rig
}

pub(crate) async fn what_was_told_is_bounded_and_forgotten(store: Store) -> Rig {
    let rig = store.open().await;
    let (id, short) = (rig.submit(ask("1")).await, rig.submit(ask("2")).await);
    let many: Vec<_> = (0..=NEWS_KEPT).map(|it| news(&it.to_string())).collect();

    for page in many.chunks(1000) {
        rig.queue.tell(id, "a", page, NEWS_TIME).await.unwrap();
    }
    rig.queue.tell(short, "a", &[news("gone soon")], Duration::from_millis(50)).await.unwrap();

    let (kept, _) = told(&rig, id, None).await;
    assert_eq!((kept.len(), &*kept[0]), (NEWS_KEPT, "1"));
    until_true("it is forgotten", SOON, async || told(&rig, short, None).await.0.is_empty()).await;
    rig
}
