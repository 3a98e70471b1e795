//! The numbers that Prometheus gets of a worker: beside the API's where it is one process with it,
//! else at an address of its own.

use testkit::{Http, free_port};

use crate::site::Store;

pub(crate) async fn worker_shows_its_numbers(store: Store) {
    let port = free_port();
    let place = format!("127.0.0.1:{port}");
    let site = store.site().await.with("WORKER_METRICS_ADDRESS", &place);
    let up = site.up().await;

    for question in ["one", "two", "three"] {
        site.succeeded(&site.ask(question).await).await;
    }

    let own = Http::new(port, "");
    let asked = if up.worker.is_some() { &own } else { &site.http };
    let answer = asked.get("/metrics").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let says = |line: &str| answer.body.lines().any(|it| it == line);
    assert!(says("dspyx_worker_lm_requests_total 3"), "{}", answer.body);
    assert!(says("dspyx_worker_succeeded_total 3"), "{}", answer.body);
    assert!(says("# TYPE dspyx_worker_running gauge"), "{}", answer.body);
    assert!(says("# HELP dspyx_worker_running Executions that run."), "{}", answer.body);
    site.check(up).await;
}
