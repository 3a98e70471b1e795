//! Many executions of one program.

use std::io::Read;

use api::{Config, PREFIX};
use http_body_util::BodyExt;
use queue::Limits;
use serde_json::{Value, json};

use crate::site::{Site, failed, mail, succeeded};

fn batch(items: usize) -> Value {
    let inputs = |n: usize| json!({"recipient": format!("r{n}"), "subject": "hi"});
    json!({"program_id": "mail", "inputs_list": (0..items).map(inputs).collect::<Vec<_>>()})
}

async fn submit(site: &Site, body: Value) -> String {
    let reply = site.post("/execute/batch", body).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.json()["batch_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn accepted_batch_is_answered_with_where_it_is() {
    let site = Site::new().await;
    let reply = site.post("/execute/batch", batch(3)).await;
    let body = reply.json();
    let id = body["batch_id"].as_str().unwrap();
    assert_eq!(reply.status, 202);
    assert_eq!(reply.header("location"), format!("{PREFIX}/batch/{id}"));
    assert_eq!((&body["total"], &body["invalid"]), (&json!(3), &json!(0)));
    assert_eq!(body["links"]["results"], format!("{PREFIX}/batch/{id}/results"));
}

#[tokio::test]
async fn bad_items_fail_and_the_others_run() {
    let site = Site::new().await;
    let good = &mail()["inputs"];
    let list = json!([good, {"subject": "x"}, "no object", good]);
    let body = json!({"program_id": "mail", "inputs_list": list, "cache": false});
    let id = submit(&site, body).await;

    site.run(2).await;

    let view = site.get(&format!("/batch/{id}")).await.json();
    assert_eq!(view["status"], "completed", "{view}");
    assert_eq!((&view["counts"]["succeeded"], &view["counts"]["failed"]), (&json!(2), &json!(2)));
    assert_eq!((&view["progress"], &view["eta"]), (&json!(1.0), &json!(null)));
    let item = site.get(&format!("/execution/{id}-1")).await.json();
    assert_eq!(item["error"], "Missing required input fields: ['recipient']");
    assert_eq!(item["error_kind"], "validation");
    assert_eq!((&item["batch_id"], &item["batch_index"]), (&json!(id), &json!(1)));
    let item = site.get(&format!("/execution/{id}-2")).await.json();
    assert_eq!(item["error"], "inputs must be an object");
}

#[tokio::test]
async fn results_come_line_by_line_in_order() {
    let site = Site::new().await;
    let id = submit(&site, batch(300)).await;
    site.run(300).await;

    let reply = site.get(&format!("/batch/{id}/results")).await;

    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    assert_eq!(indexes(reply.text()), (0..300).collect::<Vec<_>>());
    let part = site.get(&format!("/batch/{id}/results?cursor=290&limit=5")).await;
    assert_eq!(indexes(part.text()), (290..295).collect::<Vec<_>>());
    let none = site.get(&format!("/batch/{id}/results?status=failed")).await;
    assert_eq!(none.text(), "");
    let past = site.get(&format!("/batch/{id}/results?cursor=300")).await;
    assert_eq!((past.status, past.text()), (200, ""));
}

#[tokio::test]
async fn results_come_page_by_page() {
    let site = Site::new().await;
    let id = submit(&site, batch(300)).await;
    site.run(300).await;

    let answer = site.call("GET", &format!("/batch/{id}/results")).open().await;
    let mut body = answer.into_body();

    let mut frames = 0;
    while let Some(frame) = body.frame().await {
        let lines = frame.unwrap().into_data().unwrap();
        assert!(lines.split(|it| *it == b'\n').count() <= 129);
        frames += 1;
    }
    assert!(frames >= 3, "{frames}");
}

#[tokio::test]
async fn results_are_compressed_as_the_client_would_have_it() {
    let site = Site::new().await;
    let id = submit(&site, batch(300)).await;
    site.run(300).await;
    let path = format!("/batch/{id}/results");
    let plain = site.get(&path).await;

    let gzip = site.call("GET", &path).header("accept-encoding", "gzip, deflate").send().await;
    let zstd = site.call("GET", &path).header("accept-encoding", "gzip, zstd").send().await;

    assert_eq!((gzip.header("content-encoding"), gzip.header("vary")), ("gzip", "accept-encoding"));
    assert_eq!(zstd.header("content-encoding"), "zstd");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text());
    assert_eq!(zstd::decode_all(&zstd.body[..]).unwrap(), plain.body);
    assert!(zstd.body.len() * 5 < plain.body.len(), "{}", zstd.body.len());
}

#[tokio::test]
async fn results_in_turn_are_waited_for() {
    let site = Site::new().await;
    let id = submit(&site, batch(3)).await;
    let path = format!("/batch/{id}/results?wait=0&format=outcome");
    let mut leases = site.claim(3).await;
    let last = leases.pop().unwrap();
    let second = leases.pop().unwrap();
    site.finish(leases.pop().unwrap(), succeeded()).await;
    site.finish(last, succeeded()).await;

    let before = site.get(&path).await;
    let waiting = format!("/batch/{id}/results?wait=10&format=outcome&cursor=1");
    let (after, ()) = tokio::join!(site.get(&waiting), site.finish(second, succeeded()));

    assert_eq!(before.text().lines().count(), 1, "the second has not ended");
    let whole = site.get(&path).await;
    assert_eq!(before.text().to_owned() + after.text(), whole.text());
    let indexes = after.text().lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    assert_eq!(indexes.map(|it| it["index"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn lines_tell_the_outcome_or_what_openai_tells() {
    let site = Site::new().await;
    let id = submit(&site, batch(2)).await;
    let mut leases = site.claim(2).await;
    site.finish(leases.remove(0), succeeded()).await;
    site.finish(leases.remove(0), failed()).await;

    let outcomes = lines(&site, &format!("/batch/{id}/results?format=outcome")).await;
    let output = format!("/batch/{id}/results?format=openai&status=succeeded");
    let output = lines(&site, &output).await;
    let errors = format!("/batch/{id}/results?format=openai&status=failed,cancelled,expired");
    let errors = lines(&site, &errors).await;

    let keys: Vec<&String> = outcomes[0].as_object().unwrap().keys().collect();
    let told = ["index", "custom_id", "execution_id", "status", "outputs", "error", "error_kind"];
    assert_eq!(keys[..7], told);
    assert_eq!((&outcomes[1]["status"], &outcomes[1]["outputs"]), (&json!("failed"), &json!(null)));
    assert_eq!((output.len(), &output[0]["custom_id"]), (1, &json!("0")));
    assert_eq!(output[0]["response"]["status_code"], 200);
    assert_eq!(output[0]["response"]["body"]["outputs"], outcomes[0]["outputs"]);
    assert_eq!((errors.len(), &errors[0]["response"]), (1, &json!(null)));
    assert_eq!(errors[0]["error"]["code"], outcomes[1]["error_kind"]);
}

#[tokio::test]
async fn summary_tells_why_items_failed() {
    let site = Site::new().await;
    let list = json!([{"subject": "x"}, mail()["inputs"], {"subject": "x"}, {"recipient": 1}]);
    let id = submit(&site, json!({"program_id": "mail", "inputs_list": list})).await;
    site.finish(site.claim(1).await.remove(0), failed()).await;

    let summary = site.get(&format!("/batch/{id}/summary")).await.json();

    assert_eq!((&summary["total"], &summary["counts"]["failed"]), (&json!(4), &json!(4)));
    let errors = summary["errors"].as_array().unwrap();
    let found: Vec<(&Value, &Value, &Value)> =
        errors.iter().map(|it| (&it["error_kind"], &it["count"], &it["first_index"])).collect();
    assert_eq!(found[0], (&json!("validation"), &json!(3), &json!(0)));
    assert_eq!((found[1].1, found[1].2), (&json!(1), &json!(1)));
    assert_eq!(errors[0]["example"], "Missing required input fields: ['recipient']");
    assert_eq!(summary["partial"], false);
}

#[tokio::test]
async fn summary_of_many_failures_says_that_it_counts_the_first() {
    let site = Site::new().await;
    let call = site.call("POST", "/execute/batch?program_id=mail");
    let reply = call.body("application/x-ndjson", "{}\n".repeat(10_001)).send().await;
    let id = reply.json()["batch_id"].as_str().unwrap().to_owned();

    let summary = site.get(&format!("/batch/{id}/summary")).await.json();

    assert_eq!(summary["counts"]["failed"], 10_001);
    assert_eq!(
        (&summary["errors"][0]["count"], &summary["partial"]),
        (&json!(10_000), &json!(true))
    );
}

async fn lines(site: &Site, path: &str) -> Vec<Value> {
    let reply = site.get(path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text().lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

fn indexes(lines: &str) -> Vec<u64> {
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|it| it["batch_index"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn results_are_asked_for_in_words_that_make_sense() {
    let site = Site::new().await;
    let id = submit(&site, batch(1)).await;
    let wrong = ["cursor=x", "cursor=-1", "status=queued", "status=failed,done", "limit=x"];
    for query in wrong.into_iter().chain(["wait=-1", "wait=soon", "format=csv"]) {
        let reply = site.get(&format!("/batch/{id}/results?{query}")).await;
        reply.problem(400, "malformed");
    }
}

#[tokio::test]
async fn cancelled_batch_runs_no_more_and_can_be_retried() {
    let site = Site::new().await;
    let id = submit(&site, batch(3)).await;

    let reply = site.call("POST", &format!("/batch/{id}/cancel")).send().await;

    assert_eq!((reply.status, &reply.json()["status"]), (202, &json!("cancelled")));
    let again = site.call("POST", &format!("/batch/{id}/cancel")).send().await;
    assert_eq!(again.status, 202);
    let reply = site.call("POST", &format!("/batch/{id}/retry")).send().await;
    assert_eq!((reply.status, reply.json()), (202, json!({"retried": 3})));
    site.run(3).await;
    let view = site.get(&format!("/batch/{id}")).await.json();
    assert_eq!(view["counts"]["succeeded"], 3);
}

#[tokio::test]
async fn only_failed_items_are_retried() {
    let site = Site::new().await;
    let id = submit(&site, batch(2)).await;
    let mut leases = site.claim(2).await;
    site.finish(leases.remove(0), failed()).await;
    site.finish(leases.remove(0), succeeded()).await;

    let reply = site.call("POST", &format!("/batch/{id}/retry")).send().await;

    assert_eq!(reply.json(), json!({"retried": 1}));
}

#[tokio::test]
async fn batches_are_bounded() {
    let config = Config { batch_items_max: 2, ..Config::default() };
    let site = Site::with(config, Limits::default()).await;
    for items in [0, 3] {
        let problem = site.post("/execute/batch", batch(items)).await.problem(422, "validation");
        assert_eq!(problem["errors"][0]["pointer"], "/inputs_list");
    }
    assert_eq!(site.post("/execute/batch", batch(2)).await.status, 202);
}

#[tokio::test]
async fn dry_run_of_a_batch_is_refused() {
    let site = Site::new().await;
    let mut body = batch(1);
    body["mode"] = json!("dry_run");
    let problem = site.post("/execute/batch", body).await.problem(422, "validation");
    assert_eq!(problem["errors"][0]["pointer"], "/mode");
}

#[tokio::test]
async fn repeated_batch_runs_once() {
    let site = Site::new().await;
    let body = batch(2);
    let call = || site.call("POST", "/execute/batch").header("idempotency-key", "b").json(&body);

    let (first, second) = (call().send().await, call().send().await);

    assert_eq!(first.json()["batch_id"], second.json()["batch_id"]);
    assert_eq!(second.header("idempotency-replayed"), "true");
    let list = site.get("/batches").await.json();
    assert_eq!(list["batches"].as_array().unwrap().len(), 1);
}
