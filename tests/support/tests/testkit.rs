//! The things that tests stand on do what they say.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{
    Http, Network, Process, Proxy, RedisCluster, RedisSentinel, RedisServer, Reply, StubLm,
};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn redis_with_aof_keeps_what_it_was_told_through_a_kill() {
    let mut redis = RedisServer::with_aof();
    assert_eq!(redis.cli(&["SET", "a", "1"]), "OK");

    redis.restart();

    assert_eq!(redis.cli(&["GET", "a"]), "1");
}

#[test]
fn redis_without_aof_forgets() {
    let mut redis = RedisServer::new();
    assert_eq!(redis.cli(&["SET", "a", "1"]), "OK");

    redis.restart();

    assert_eq!(redis.cli(&["GET", "a"]), "");
}

#[test]
fn sentinels_put_the_replica_in_the_masters_place() {
    let mut set = RedisSentinel::new();
    let before = set.master_port();

    set.fail_over();

    assert_ne!(set.master_port(), before);
}

#[test]
fn cluster_has_three_nodes() {
    assert_eq!(RedisCluster::new().nodes().len(), 3);
}

#[tokio::test]
async fn stub_does_as_it_is_told() {
    let lm = StubLm::new(Reply::Text("yes".into()));
    lm.then(Reply::too_many(7)).then(Reply::Cut).then(Reply::CutMidway);
    let http = Http::new(lm.port(), "/v1");
    let ask = json!({ "model": "m", "messages": [] });

    let first = http.post("/chat/completions", &ask).await.unwrap();
    assert_eq!((first.status, first.header("retry-after")), (429, "7"));
    assert!(http.post("/chat/completions", &ask).await.is_err());
    assert!(http.post("/chat/completions", &ask).await.is_err());
    lm.then(Reply::Garbage);
    let fourth = http.post("/chat/completions", &ask).await;
    assert!(fourth.is_err() || fourth.unwrap().body.starts_with("<html>"));
    assert_eq!(lm.calls(), 4);
    assert_eq!(lm.requests()[0].body, ask);
}

#[tokio::test]
async fn proxy_passes_stalls_and_cuts() {
    let redis = RedisServer::shared();
    let proxy = Proxy::new(redis.port());
    let port = proxy.port().to_string();
    let ping = || {
        let mut ping = std::process::Command::new("timeout");
        ping.args(["1", "redis-cli", "-p", &port, "PING"]);
        String::from_utf8(ping.output().unwrap().stdout).unwrap()
    };

    assert_eq!(ping(), "PONG\n");
    proxy.set(Network::Stalled);
    assert_eq!(ping(), "");
    proxy.set(Network::Cut);
    assert_eq!(ping(), "");
    proxy.set(Network::Slow(Duration::from_millis(50)));
    let begun = Instant::now();
    assert_eq!(ping(), "PONG\n");
    assert!(begun.elapsed() > Duration::from_millis(50));
}

#[tokio::test]
async fn process_is_read_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let env = [("NAME".to_owned(), "x".to_owned())];
    let mut process = Process::start("sh", &["-c", "echo $NAME; exec cat"], &env, folder.path());

    process.until_says("x\n", SOON).await;

    assert!(process.end(SOON).await.success());
}

#[tokio::test]
async fn wait_notices_that_the_process_died() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start("false", &[], &[], folder.path());

    let local = tokio::task::LocalSet::new();
    let waiting = local.run_until(async move {
        let wait = async move {
            process.until("what never comes", SOON, async || None::<()>).await;
        };
        tokio::task::spawn_local(wait).await
    });

    let panic = waiting.await.unwrap_err().into_panic();
    let words = panic.downcast_ref::<String>().unwrap();
    assert!(words.contains("has ended"), "{words}");
}

#[test]
fn python_has_the_dspy_that_we_are_held_to() {
    let version = "import importlib.metadata as it; print(it.version('dspy'))";
    let said = std::process::Command::new(testkit::python()).args(["-c", version]).output();

    assert_eq!(String::from_utf8(said.unwrap().stdout).unwrap().trim(), "3.4.1");
}
