//! What operators do.

use std::time::Duration;

use queue::{Limits, StatsFilter};
use testkit::until_true;

use crate::rig::{Rig, SOON, Store};

pub(crate) async fn pause_is_told_to_workers(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let told = async || {
        let stats = rig.queue.stats(&StatsFilter::default()).await.unwrap();
        (rig.beat(&worker).await.paused, stats.paused)
    };

    assert_eq!(told().await, (false, false));
    rig.queue.pause().await.unwrap();
    rig.queue.pause().await.unwrap();
    assert_eq!(told().await, (true, true));
    rig.queue.resume().await.unwrap();
    assert_eq!(told().await, (false, false));
    rig
}

pub(crate) async fn programs_raise_the_epoch(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let before = rig.queue.epoch().await.unwrap();
    let text = |text: &str| ("p".to_owned(), text.to_owned());

    rig.queue.put_program("p", "one").await.unwrap();
    let first = rig.queue.catalogue().await.unwrap();
    assert_eq!(first.programs, [text("one")]);
    rig.queue.put_program("p", "two").await.unwrap();
    let second = rig.queue.catalogue().await.unwrap();
    assert_eq!(second.programs, [text("two")]);
    assert!(before < first.epoch && first.epoch < second.epoch);
    assert_eq!(rig.beat(&worker).await.epoch, second.epoch);
    assert!(rig.queue.remove_program("p").await.unwrap());
    let third = rig.queue.catalogue().await.unwrap();
    assert!(third.programs.is_empty() && third.epoch > second.epoch);
    assert!(!rig.queue.remove_program("p").await.unwrap());
    rig
}

pub(crate) async fn manifests_raise_the_epoch_when_they_are_news(store: Store) -> Rig {
    let rig = store.open().await;
    let pair = |program: &str, text: &str| (program.to_owned(), text.to_owned());
    let before = rig.queue.epoch().await.unwrap();

    rig.queue.publish_manifest("p@1", "one").await.unwrap();
    let first = rig.queue.epoch().await.unwrap();
    rig.queue.publish_manifest("p@1", "one").await.unwrap();
    assert_eq!(rig.queue.epoch().await.unwrap(), first, "that was no news");
    rig.queue.publish_manifest("p@1", "two").await.unwrap();
    rig.queue.publish_manifest("a@1", "three").await.unwrap();

    let catalogue = rig.queue.catalogue().await.unwrap();
    assert!(before < first && first < catalogue.epoch);
    assert_eq!(catalogue.epoch, rig.queue.epoch().await.unwrap());
    assert_eq!(catalogue.manifests, [pair("a@1", "three"), pair("p@1", "two")]);
    rig
}

pub(crate) async fn cleared_cache_raises_the_epoch(store: Store) -> Rig {
    let rig = store.open().await;
    let before = rig.queue.epoch().await.unwrap();

    rig.queue.clear_cache(None).await.unwrap();

    assert!(rig.queue.epoch().await.unwrap() > before);
    rig
}

pub(crate) async fn revoked_tokens_are_known_until_they_expire(store: Store) -> Rig {
    let rig = store.open_by_own_clock(Limits::default()).await;
    let now = chrono::Utc::now();
    let (soon, later) = (now + Duration::from_millis(700), now + Duration::from_secs(600));

    rig.queue.revoke_token("soon", soon).await.unwrap();
    rig.queue.revoke_token("later", later).await.unwrap();
    rig.queue.revoke_token("later", later).await.unwrap();

    until_true("only one is left", SOON, async || {
        rig.queue.tick().await.unwrap();
        rig.queue.revoked_tokens().await.unwrap() == ["later"]
    })
    .await;
    rig
}

pub(crate) async fn ping_names_the_store(store: Store) -> Rig {
    let rig = store.open().await;
    let name = match store {
        Store::Sqlite => "sqlite",
        Store::Redis | Store::RedisWithObjects => "redis",
    };

    let answer = rig.queue.ping().await.unwrap().to_lowercase();

    assert!(answer.contains(name), "{answer}");
    rig.queue.warnings().await.unwrap();
    rig
}
