//! What only the file can do.

use queue::{Clock, Error, Limits, Queue, SqliteQueue, State};

use crate::rig::{ask, failed, info, succeeded, want};

fn open(folder: &tempfile::TempDir) -> queue::Result<SqliteQueue> {
    SqliteQueue::open(&folder.path().join("queue.db"), Limits::default(), Clock::Store)
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder).unwrap();
    let worker = queue::WorkerId::new("host", 1);
    let (first, second) = (ask("1"), ask("2"));
    let (done, waits) = (first.id, second.id);
    for new in [first, second] {
        use queue::Intake as _;
        queue.submit(new).await.unwrap();
    }
    finish_one(&queue, &worker, true).await;
    drop(queue);

    let queue: Box<dyn Queue> = Box::new(reopen(&folder).await);

    assert_eq!(queue.execution(done).await.unwrap().state, State::Succeeded);
    assert_eq!(queue.execution(waits).await.unwrap().state, State::Queued);
    finish_one(&*queue, &worker, false).await;
    assert_eq!(queue.execution(waits).await.unwrap().state, State::Failed);
    assert_eq!(queue.violations().await.unwrap(), Vec::<String>::new());
}

/// The writer of a dropped queue may need a moment to let go of the file.
async fn reopen(folder: &tempfile::TempDir) -> SqliteQueue {
    testkit::until("the file is let go", crate::rig::SOON, async || open(folder).ok()).await
}

async fn finish_one(queue: &dyn Queue, worker: &queue::WorkerId, well: bool) {
    queue.beat(&info(worker)).await.unwrap();
    let wait = std::time::Duration::ZERO;
    let lease = queue.claim(worker, want(1), wait).await.unwrap().remove(0);
    let end = if well { succeeded("yes") } else { failed("no") };
    let ending = queue::Ending { lease, end, started_at: chrono::Utc::now(), run_time: wait };
    queue.finish(ending).await.unwrap();
}

#[tokio::test]
async fn second_server_on_one_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(&folder).unwrap();

    let second = open(&folder);

    assert!(matches!(second, Err(Error::Setup(_))));
}

#[tokio::test]
async fn file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = "not a database, but longer than a hundred bytes. ".repeat(50);
    std::fs::write(folder.path().join("queue.db"), &text).unwrap();

    assert!(open(&folder).is_err());

    assert_eq!(std::fs::read_to_string(folder.path().join("queue.db")).unwrap(), text);
}
