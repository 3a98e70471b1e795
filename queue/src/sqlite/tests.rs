//! What the conformance suite does not see: the file, the groups of steps, the statements.

use std::{path::PathBuf, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{SqliteQueue, sql::sql, step::Step, submit::submit};
use crate::{
    Channel, Clock, Control, Durability, Error, ExecutionId, Fields, Intake, Limits, NewExecution,
    Outbox, Records, Result, Spec, State, Subject, Want, Work, WorkerId, WorkerInfo,
};

struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("queue.db")
    }

    fn open(&self) -> Result<SqliteQueue> {
        SqliteQueue::open(&self.path(), Limits::default(), Clock::Store)
    }
}

fn new() -> NewExecution {
    NewExecution {
        id: ExecutionId::new(),
        spec: Spec { version: "1".to_owned(), ..Spec::new("qa", "alice", Duration::from_secs(5)) },
        inputs: Fields::new(),
        not_before: None,
        cache: None,
        idempotency: None,
        durability: Durability::Memory,
        ended: None,
    }
}

fn info(worker: &WorkerId) -> WorkerInfo {
    WorkerInfo {
        id: worker.clone(),
        host: "host".to_owned(),
        pid: 1,
        version: "1".to_owned(),
        slots: 4,
        running: 0,
        started_at: chrono::Utc::now(),
        programs: Vec::new(),
    }
}

const ONE: Want = Want { slots: 1, bulk: 1, suspect: true };

#[tokio::test]
async fn file_can_be_opened_again_as_soon_as_it_is_dropped() {
    let site = Site::new();
    for _ in 0..20 {
        let queue = site.open().unwrap();
        assert!(matches!(site.open(), Err(Error::Setup(text)) if text.contains("another server")));
        queue.submit(new()).await.unwrap();
    }
    let queue = site.open().unwrap();
    assert_eq!(queue.stats(&crate::StatsFilter::default()).await.unwrap().depth.queued, 20);
}

#[tokio::test]
async fn file_of_a_newer_version_is_refused() {
    let site = Site::new();
    drop(site.open().unwrap());
    Connection::open(site.path()).unwrap().pragma_update(None, "user_version", 99).unwrap();

    for refused in [site.open(), SqliteQueue::open_to_read(&site.path())] {
        assert!(matches!(refused, Err(Error::Setup(text)) if text.contains("newer version")));
    }
}

#[tokio::test]
async fn notices_outlive_a_new_version_of_the_file() {
    let site = Site::new();
    let name = ExecutionId::new().to_string();
    let db = Connection::open(site.path()).unwrap();
    db.execute_batch(&super::file::SCHEMAS[..6].concat()).unwrap();
    db.execute("INSERT INTO outbox (channel, name, due) VALUES ('w', ?1, 1)", [&name]).unwrap();
    db.execute("UPDATE channels SET sent = 7 WHERE channel = 't'", []).unwrap();
    db.pragma_update(None, "user_version", 6).unwrap();
    drop(db);

    let queue = site.open().unwrap();

    let [webhook, tracking, provider] = queue.outbox().await.unwrap();
    assert_eq!((webhook.waiting, tracking.sent), (1, 7));
    assert_eq!(provider, crate::ChannelStats::default());
    let taken = queue.take_notices(Channel::Webhook, 9, Duration::from_secs(1)).await.unwrap();
    assert_eq!(taken[0].subject.to_string(), name);
    let told = Spec { webhook: Some("https://example.com".to_owned()), ..new().spec };
    let id = queue.submit(NewExecution { spec: told, ..new() }).await.unwrap().id;
    queue.cancel(id).await.unwrap();
    let taken = queue.take_notices(Channel::Webhook, 9, Duration::from_secs(1)).await.unwrap();
    assert_eq!(taken[0].subject.to_string(), id.to_string());
    assert!(queue.violations().await.unwrap().is_empty());
}

#[tokio::test]
async fn steps_that_the_version_before_kept_are_told() {
    let site = Site::new();
    let (id, spec) = (ExecutionId::new(), serde_json::to_string(&new().spec).unwrap());
    let db = Connection::open(site.path()).unwrap();
    db.execute_batch(&super::file::SCHEMAS[..7].concat()).unwrap();
    let execution = "INSERT INTO executions (key, id, owner, program, class, lane, state, since,
            report, created, finished, tells)
        VALUES (1, ?1, 'alice', 'qa', 'n', 'o:alice', 'succeeded', 1, ?2, 1, 1, 't')";
    db.execute(execution, (id.to_string(), r#"{"t":["steps"]}"#)).unwrap();
    let payload = "INSERT INTO payloads (key, spec, inputs) VALUES (1, ?1, '{}')";
    db.execute(payload, [spec]).unwrap();
    db.pragma_update(None, "user_version", 7).unwrap();
    drop(db);

    let queue = site.open().unwrap();

    let taken = queue.take_notices(Channel::Tracking, 9, Duration::from_secs(1)).await.unwrap();
    assert_eq!(taken[0].subject, Subject::Execution(id));
    let trace = queue.execution(id).await.unwrap().report.unwrap().trace.unwrap();
    assert_eq!(trace.read::<Vec<String>>().unwrap(), ["steps"]);
}

#[tokio::test]
async fn ends_of_one_transaction_are_one_row_until_they_are_taken() {
    let site = Site::new();
    let queue = site.open().unwrap();
    let tracked = || Spec { tracked: true, ..new().spec };
    let in_past = Some(chrono::Utc::now() - Duration::from_secs(1));
    let ends = |count| {
        let specs = std::iter::repeat_with(|| Spec { deadline: in_past, ..tracked() });
        let all = specs.take(count).map(|spec| NewExecution { spec, ..new() }).collect::<Vec<_>>();
        queue.write(move |step| all.iter().try_for_each(|it| submit(step, it).map(drop)))
    };
    let rows = async |table| {
        let count = format!("SELECT count(*) FROM {table}");
        queue.read(move |db, _| Ok(db.query_row(&count, [], |row| row.get::<_, i64>(0))?)).await
    };

    ends(300).await.unwrap();

    assert_eq!((rows("bundles").await.unwrap(), rows("outbox").await.unwrap()), (2, 0));
    let lease = Duration::from_secs(1);
    let taken = queue.take_notices(Channel::Tracking, 20, lease).await.unwrap();
    assert_eq!(taken.len(), 20);
    assert_eq!((rows("bundles").await.unwrap(), rows("outbox").await.unwrap()), (1, 256));
    assert_eq!(queue.outbox().await.unwrap()[1].waiting, 300);
}

#[tokio::test]
async fn server_that_writes_lets_others_read() {
    let site = Site::new();
    let queue = site.open().unwrap();
    let id = queue.submit(new()).await.unwrap().id;

    let reader = SqliteQueue::open_to_read(&site.path()).unwrap();

    assert_eq!(reader.execution(id).await.unwrap().state, State::Queued);
    assert!(reader.violations().await.unwrap().is_empty());
    let refused = reader.submit(new()).await;
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
    queue.cancel(id).await.unwrap();
    assert_eq!(reader.execution(id).await.unwrap().state, State::Cancelled);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_read() {
    let site = Site::new();
    assert!(matches!(SqliteQueue::open_to_read(&site.path()), Err(Error::Setup(_))));
    assert!(!site.path().exists());
}

/// Raises a number, and then ends in its own way.
fn raise_then<T>(then: impl FnOnce() -> Result<T>) -> impl FnOnce(&mut Step<'_>) -> Result<T> {
    |step| {
        step.raise_epoch()?;
        step.effects.tally.of(step.now, "qa").retries += 1;
        then()
    }
}

#[tokio::test]
async fn step_that_fails_leaves_its_group_alone() {
    let site = Site::new();
    let queue = site.open().unwrap();

    // polled in turn while the writer is busy: most of them meet in one transaction
    let steps = (0..90).map(|n| {
        queue.write(raise_then(move || match n % 3 {
            0 => Ok(()),
            1 => Err(Error::NotFound("step")),
            _ => panic!("a step that panics"),
        }))
    });
    let answers = futures::future::join_all(steps).await;

    for (n, answer) in answers.into_iter().enumerate() {
        match n % 3 {
            0 => answer.unwrap(),
            1 => assert!(matches!(answer, Err(Error::NotFound("step"))), "{answer:?}"),
            _ => assert!(matches!(answer, Err(Error::Corrupt(_))), "{answer:?}"),
        }
    }
    assert_eq!(queue.epoch().await.unwrap(), 30);
    assert_eq!(queue.stats(&crate::StatsFilter::default()).await.unwrap().retries, 30);
}

#[tokio::test]
async fn state_that_cannot_be_is_not_written() {
    let site = Site::new();
    let queue = site.open().unwrap();
    let id = queue.submit(new()).await.unwrap().id;

    let broken = queue
        .write(move |step| {
            let sql = "UPDATE executions SET state = 'succeeded' WHERE id = ?1";
            step.run(sql, [id.to_string()])
        })
        .await;

    assert!(matches!(broken, Err(Error::Corrupt(_))), "{broken:?}");
    assert_eq!(queue.execution(id).await.unwrap().state, State::Queued);
}

#[tokio::test]
async fn what_ran_when_the_server_died_is_rescued_at_once() {
    let site = Site::new();
    let worker = WorkerId::new("host", 1);
    let queue = site.open().unwrap();
    queue.beat(&info(&worker)).await.unwrap();
    let id = queue.submit(new()).await.unwrap().id;
    let lost = queue.claim(&worker, ONE, Duration::ZERO).await.unwrap();
    assert_eq!(lost.len(), 1);
    drop((lost, queue));

    let queue = site.open().unwrap();
    let tick = queue.tick().await.unwrap();

    assert_eq!((tick.rescued, tick.more), (1, false));
    assert_eq!(queue.execution(id).await.unwrap().state, State::Queued);
    assert!(queue.beat(&info(&worker)).await.unwrap().declared_dead);
}

#[tokio::test]
async fn order_is_given_until_it_is_heard() {
    let site = Site::new();
    let worker = WorkerId::new("host", 1);
    let queue = site.open().unwrap();
    queue.beat(&info(&worker)).await.unwrap();
    let id = queue.submit(new()).await.unwrap().id;
    let _lease = queue.claim(&worker, ONE, Duration::ZERO).await.unwrap();
    queue.cancel(id).await.unwrap();

    // an answer that nobody reads
    let text = serde_json::to_string(&info(&worker)).unwrap();
    let told = info(&worker);
    queue.write(move |step| super::rescue::beat(step, &told, &text, &[])).await.unwrap();

    assert_eq!(queue.beat(&info(&worker)).await.unwrap().cancel, [id]);
    assert!(queue.beat(&info(&worker)).await.unwrap().cancel.is_empty());
}

#[test]
fn every_statement_is_understood() {
    let db = Connection::open_in_memory().unwrap();
    for schema in super::file::SCHEMAS {
        db.execute_batch(schema).unwrap();
    }
    let files = [
        include_str!("batch.sql"),
        include_str!("claim.sql"),
        include_str!("execution.sql"),
        include_str!("ledger.sql"),
        include_str!("list.sql"),
        include_str!("outbox.sql"),
        include_str!("settings.sql"),
        include_str!("stats.sql"),
        include_str!("submit.sql"),
        include_str!("upkeep.sql"),
        include_str!("violations.sql"),
        include_str!("why.sql"),
        include_str!("worker.sql"),
    ];
    for file in files {
        for part in file.split("-- @").skip(1) {
            let (name, statement) = part.split_once('\n').unwrap();
            assert!(db.prepare(statement).is_ok(), "{name}: {:?}", db.prepare(statement).err());
        }
    }
}

/// A file with nothing in it, in memory.
fn empty() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&super::file::SCHEMAS.concat()).unwrap();
    db
}

/// What SQLite says of a statement, by one column of what it answers.
fn explained(db: &Connection, how: &str, statement: &str, column: usize) -> Vec<String> {
    let mut said = db.prepare(&format!("{how} {statement}")).unwrap();
    let parameters = rusqlite::params_from_iter(vec![1; said.parameter_count()]);
    let rows = said.query_map(parameters, |row| row.get(column)).unwrap();
    rows.map(std::result::Result::unwrap).collect()
}

#[test]
fn waiting_work_is_found_by_index() {
    let db = empty();
    super::file::tune(&db).unwrap();
    for statement in [
        sql!("claim.sql", "suspect"),
        sql!("claim.sql", "ahead"),
        sql!("claim.sql", "ahead_chunk"),
        sql!("claim.sql", "in_lane"),
        sql!("claim.sql", "chunk_in_lane"),
        sql!("claim.sql", "next_lane"),
        sql!("execution.sql", "due"),
        sql!("execution.sql", "late"),
        sql!("execution.sql", "held"),
        sql!("execution.sql", "old"),
        sql!("execution.sql", "next_due"),
        sql!("batch.sql", "held"),
        sql!("batch.sql", "late"),
        sql!("batch.sql", "called_off"),
        sql!("batch.sql", "custom_ids"),
    ] {
        let lines = explained(&db, "EXPLAIN QUERY PLAN", statement, 3);
        let text = lines.join("; ");
        let scans = |line: &String| line.contains("SCAN") && !line.contains("USING");
        assert!(!lines.iter().any(scans) && !text.contains("TEMP B-TREE"), "{statement}{text}");
    }
}

#[test]
fn steps_of_every_execution_make_no_tables() {
    let db = empty();
    for statement in [
        sql!("execution.sql", "insert"),
        sql!("execution.sql", "end"),
        sql!("execution.sql", "find"),
        sql!("claim.sql", "in_lane"),
        sql!("claim.sql", "next_lane"),
        sql!("claim.sql", "take"),
        sql!("submit.sql", "waiting"),
        sql!("batch.sql", "end_item"),
        sql!("batch.sql", "leave"),
        sql!("batch.sql", "take"),
        sql!("outbox.sql", "bundle"),
    ] {
        let steps = explained(&db, "EXPLAIN", statement, 1);
        assert!(steps.iter().any(|it| it == "Halt"), "{steps:?}");
        let is_table = |it: &String| it == "OpenEphemeral" || it == "SorterOpen";
        assert!(!steps.iter().any(is_table), "{statement}");
    }
}

#[tokio::test]
async fn worker_that_could_not_be_heard_is_not_declared_dead() {
    let site = Site::new();
    let limits = Limits { lease: Duration::from_millis(600), ..Limits::default() };
    let queue = SqliteQueue::open(&site.path(), limits, Clock::Store).unwrap();
    let worker = WorkerId::new("host", 1);
    queue.beat(&info(&worker)).await.unwrap();
    queue.submit(new()).await.unwrap();
    let held = queue.claim(&worker, ONE, Duration::ZERO).await.unwrap();

    // a step as long as a huge batch takes: longer than the lease
    let begun = std::time::Instant::now();
    let long = queue.write(move |_| {
        while begun.elapsed() < Duration::from_millis(900) {
            std::thread::yield_now();
        }
        Ok(())
    });
    long.await.unwrap();
    let tick = queue.tick().await.unwrap();

    assert_eq!((held.len(), tick.rescued), (1, 0));
    assert!(!queue.beat(&info(&worker)).await.unwrap().declared_dead);
}
