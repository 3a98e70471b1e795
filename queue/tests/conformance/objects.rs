//! Payloads of batches in an object store beside Redis.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicI64, atomic::Ordering},
    time::Duration,
};

use chrono::Utc;
use futures::future::try_join_all;
use queue::{
    BatchId, BatchState, Clock, Control as _, Error, Intake as _, Limits, ObjectOptions, Objects,
    Records as _, RedisConfig, RedisQueue, State, Work as _, WorkerId,
};
use tempfile::TempDir;
use testkit::{RedisServer, until};

use crate::rig::{SOON, ask, batch_of, info, redis_config, succeeded, want};

/// A queue of its own, and the folder where its payloads lie.
struct Place {
    queue: RedisQueue,
    config: RedisConfig,
    folder: TempDir,
    clock: Arc<AtomicI64>,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(Utc::now().timestamp_millis()));
        let time = Clock::Manual(Arc::clone(&clock));
        let config = redis_config(RedisServer::shared().url(), Limits::default(), time);
        let config = RedisConfig { objects: Some(objects(folder.path())), ..config };
        let queue = RedisQueue::connect(config.clone()).await.unwrap();
        Self { queue, config, folder, clock }
    }

    async fn worker(&self) -> WorkerId {
        let worker = WorkerId::new("host", 1);
        self.queue.beat(&info(&worker)).await.unwrap();
        worker
    }

    fn of_queue(&self) -> PathBuf {
        self.folder.path().join(&self.config.queue)
    }

    fn of_batch(&self, id: BatchId) -> PathBuf {
        self.of_queue().join(id.to_string())
    }

    /// Runs what there is of a batch, until all of it has ended.
    async fn run(&self, id: BatchId, worker: &WorkerId) {
        until("the batch has ended", SOON, async || {
            let leases = self.queue.claim(worker, want(64), Duration::from_millis(50)).await;
            // Together, so that full chunks end in one piece.
            let ends = leases.unwrap().into_iter().map(|lease| {
                let (end, run_time) = (succeeded("yes"), Duration::ZERO);
                self.queue.finish(queue::Ending { lease, end, started_at: Utc::now(), run_time })
            });
            try_join_all(ends).await.unwrap();
            (self.queue.batch(id).await.unwrap().state == BatchState::Completed).then_some(())
        })
        .await;
    }
}

fn objects(folder: &Path) -> Objects {
    Objects::open(folder.to_str().unwrap(), &ObjectOptions::default()).unwrap().inline_max(0)
}

#[tokio::test]
async fn objects_of_a_batch_are_deleted_when_it_is_forgotten() {
    let place = Place::new().await;
    let worker = place.worker().await;
    let id = place.queue.submit_batch(batch_of(200)).await.unwrap().id;
    assert!(place.of_batch(id).is_dir());
    place.run(id, &worker).await;

    let ttl = i64::try_from(Limits::default().result_ttl.as_millis()).unwrap();
    place.clock.fetch_add(ttl + 60_000, Ordering::SeqCst);
    until("its objects are gone", SOON, async || {
        place.queue.tick().await.unwrap();
        let counts = place.queue.object_counts();
        let all_but_marker = counts.deleted + 1 == counts.written;
        (all_but_marker && !place.of_batch(id).exists()).then_some(())
    })
    .await;

    assert!(place.queue.batch(id).await.is_err());
    assert!(place.of_queue().is_dir());
}

#[tokio::test]
async fn chunk_waits_for_an_object_store_that_is_away_and_nothing_else_does() {
    let place = Place::new().await;
    let worker = place.worker().await;
    let id = place.queue.submit_batch(batch_of(10)).await.unwrap().id;
    let away = place.folder.path().join("away");
    fs::rename(place.of_queue(), &away).unwrap();

    let single = place.queue.submit(ask("?")).await.unwrap().id;
    let mut leases = Vec::new();
    until("the single execution comes", SOON, async || {
        let wait = Duration::from_millis(50);
        leases.extend(place.queue.claim(&worker, want(64), wait).await.unwrap());
        (!leases.is_empty()).then_some(())
    })
    .await;
    assert_eq!(leases.iter().map(|it| it.task.id).collect::<Vec<_>>(), [single]);

    fs::rename(&away, place.of_queue()).unwrap();
    place.run(id, &worker).await;
    assert_eq!(place.queue.batch(id).await.unwrap().ended.succeeded, 10);
}

#[tokio::test]
async fn items_fail_whose_inputs_were_deleted_from_the_object_store() {
    let place = Place::new().await;
    let worker = place.worker().await;
    let id = place.queue.submit_batch(batch_of(70)).await.unwrap().id;
    fs::remove_dir_all(place.of_batch(id)).unwrap();

    place.run(id, &worker).await;

    assert_eq!(place.queue.batch(id).await.unwrap().ended.failed, 70);
    assert_eq!(place.queue.violations().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn all_processes_of_a_queue_use_one_object_store() {
    let place = Place::new().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let with = |objects| RedisQueue::connect(RedisConfig { objects, ..place.config.clone() });

    with(Some(objects(place.folder.path()))).await.unwrap();
    for other in [Some(objects(elsewhere.path())), None] {
        let error = with(other).await.err().unwrap();
        assert!(matches!(error, Error::Setup(_)), "{error}");
        assert!(error.to_string().contains("other processes of this queue"), "{error}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_refused_at_start() {
    let place = Place::new().await;
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(folder.path());
    let queue = BatchId::new().to_string();
    fs::write(folder.path().join(&queue), b"a file where a folder should be").unwrap();

    let config = RedisConfig { queue, objects: Some(objects), ..place.config.clone() };
    let error = RedisQueue::connect(config).await.err().unwrap();

    assert!(matches!(error, Error::Setup(_)), "{error}");
}

#[tokio::test]
async fn what_is_small_stays_in_redis() {
    let place = Place::new().await;
    let objects = objects(place.folder.path()).inline_max(128);
    let config = RedisConfig { objects: Some(objects), ..place.config.clone() };
    let queue = RedisQueue::connect(config).await.unwrap();

    let small = queue.submit_batch(batch_of(2)).await.unwrap().id;
    let large = queue.submit_batch(batch_of(2000)).await.unwrap().id;

    assert!(!place.of_batch(small).exists());
    assert_eq!(fs::read_dir(place.of_batch(large)).unwrap().count(), 1);
    assert_eq!(queue.execution(large.item(1999)).await.unwrap().state, State::Queued);
}
