//! Batches that come as lines of JSON: whole in one request, or in parts.

use std::{convert::Infallible, io::Write, time::Duration};

use api::{Config, PREFIX};
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use queue::Limits;
use serde_json::{Value, json};
use testkit::until_true;

use crate::site::{Reply, Site};

const NDJSON: &str = "application/x-ndjson";
const UPLOAD: &str = "/execute/batch?program_id=mail&cache=false";

fn line(n: usize) -> String {
    json!({"recipient": format!("r{n}"), "subject": "hi"}).to_string()
}

fn lines(from: usize, to: usize) -> String {
    (from..to).map(|n| line(n) + "\n").collect()
}

async fn upload(site: &Site, body: impl Into<Body>) -> Reply {
    site.call("POST", UPLOAD).body(NDJSON, body).send().await
}

async fn part(site: &Site, id: &str, first: usize, body: impl Into<Body>) -> Reply {
    let path = format!("/batch/{id}/items?first={first}");
    site.call("PUT", &path).body(NDJSON, body).send().await
}

async fn open(site: &Site, options: &str) -> String {
    let reply = site.call("POST", &format!("/batch?program_id=mail{options}")).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["batch_id"].as_str().unwrap().to_owned()
}

async fn results(site: &Site, id: &str) -> Vec<Value> {
    let reply = site.get(&format!("/batch/{id}/results")).await;
    reply.text().lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn upload_is_accepted_like_a_list() {
    let site = Site::new().await;
    for (encoding, body) in [
        ("identity", lines(0, 150).into_bytes()),
        ("gzip", gzip(&lines(0, 150))),
        ("zstd", zstd::encode_all(lines(0, 150).as_bytes(), 3).unwrap()),
    ] {
        let call = site.call("POST", UPLOAD).header("content-encoding", encoding);
        let reply = call.body(NDJSON, body).send().await;
        assert_eq!(reply.status, 202, "{encoding}: {}", reply.text());
        let body = reply.json();
        assert_eq!((&body["total"], &body["invalid"]), (&json!(150), &json!(0)), "{encoding}");
        let id = body["batch_id"].as_str().unwrap();
        assert_eq!(reply.header("location"), format!("{PREFIX}/batch/{id}"));
        site.run(150).await;
        let records = results(&site, id).await;
        assert_eq!((records.len(), &records[149]["inputs"]["recipient"]), (150, &json!("r149")));
    }
}

#[tokio::test]
async fn bad_lines_fail_alone_and_say_where_they_stand() {
    let site =
        Site::with(Config { line_bytes_max: 200, ..Config::default() }, Limits::default()).await;
    let mut body = Vec::new();
    let long = format!("{{\"recipient\": \"{}\"}}", "x".repeat(300));
    for text in [
        line(0).as_bytes(),
        b"",
        b"{\"recipient\": }",
        b"[1, 2]",
        b"{\"recipient\": \"\xff\"}",
        long.as_bytes(),
        b"{\"subject\": \"hi\"}",
        b"{\"custom_id\": \"a\", \"inputs\": {\"recipient\": \"r\", \"subject\": \"s\"}}",
        b"{\"custom_id\": \"b\", \"recipient\": \"r\", \"subject\": \"s\"}",
        b"{\"custom_id\": \"a\", \"recipient\": \"r\", \"subject\": \"s\"}",
        b"{\"custom_id\": 7, \"recipient\": \"r\", \"subject\": \"s\"}",
        b"{\"custom_id\": \"c\", \"inputs\": 7}",
    ] {
        body.extend_from_slice(text);
        body.push(b'\n');
    }

    let reply = upload(&site, body).await;

    let accepted = reply.json();
    assert_eq!((reply.status, &accepted["total"]), (202, &json!(11)), "{accepted}");
    assert_eq!(accepted["invalid"], json!(8));
    site.run(3).await;
    let records = results(&site, accepted["batch_id"].as_str().unwrap()).await;
    let told: Vec<String> = records
        .iter()
        .map(|it| match it["error"].as_str() {
            Some(error) => format!("{}: {error}", it["error_kind"].as_str().unwrap()),
            None => format!("{} {}", it["status"].as_str().unwrap(), it["custom_id"]),
        })
        .collect();
    assert_eq!(
        told,
        [
            "succeeded null",
            "validation: the line is not valid JSON: expected value at column 15 (line 3)",
            "validation: the line is not a JSON object (line 4)",
            "validation: the line is not UTF-8: invalid utf-8 sequence of 1 bytes from index 15 \
             (line 5)",
            "validation: the line has more than 200 bytes (line 6)",
            "validation: Missing required input fields: ['recipient'] (line 7)",
            "succeeded \"a\"",
            "succeeded \"b\"",
            "validation: `custom_id` \"a\" is that of item 6 already (line 10)",
            "validation: `custom_id` is a string of 1 to 512 bytes (line 11)",
            "validation: `inputs` is not a JSON object (line 12)",
        ]
    );
}

#[tokio::test]
async fn upload_that_is_cut_off_leaves_nothing_behind() {
    let site = Site::new().await;
    let half = lines(0, 10_000).into_bytes();
    let cut = futures::stream::iter([
        Ok(Bytes::from(half)),
        Err(std::io::Error::other("the connection is gone")),
    ]);

    let reply = upload(&site, Body::from_stream(cut)).await;
    let gz = gzip(&lines(0, 10_000));
    let gz = Body::from(gz[..gz.len() - 9].to_vec());
    let call = site.call("POST", UPLOAD).header("content-encoding", "gzip");
    let damaged = call.body(NDJSON, gz).send().await;

    let problem = reply.problem(400, "malformed");
    assert_eq!(problem["detail"], "the body ended early");
    damaged.problem(400, "malformed");
    assert_eq!(site.get("/batches").await.json()["batches"], json!([]));
    assert_eq!(site.get("/stats").await.json()["queue"]["queued"], 0);
}

#[tokio::test]
async fn upload_that_stalls_is_given_up() {
    for (body_idle_seconds_max, body_total_seconds_max) in [(1, 300), (30, 0)] {
        let config = Config { body_idle_seconds_max, body_total_seconds_max, ..Config::default() };
        let site = Site::with(config, Limits::default()).await;
        let id = open(&site, "").await;

        let whole = upload(&site, stalled(lines(0, 3))).await;
        let part = part(&site, &id, 0, stalled(lines(0, 3))).await;

        whole.problem(408, "body-too-slow");
        part.problem(408, "body-too-slow");
        let batches = site.get("/batches").await.json();
        assert_eq!(
            (&batches["batches"][0]["total"], &batches["batches"][1]),
            (&json!(0), &Value::Null)
        );
    }
}

/// A body that begins and never ends.
fn stalled(text: String) -> Body {
    let begun = futures::stream::iter([Ok::<_, Infallible>(text)]);
    Body::from_stream(begun.chain(futures::stream::pending()))
}

#[tokio::test]
async fn upload_that_finds_no_place_is_told_to_come_again() {
    let config = Config { uploads_max: 1, upload_wait_seconds_max: 0, ..Config::default() };
    let site = Site::with(config, Limits::default()).await;
    let taken = upload(&site, stalled(lines(0, 3)));
    let other = async {
        until_true("the first is read", Duration::from_secs(10), async || {
            site.get("/metrics").await.text().contains("\ndspyx_uploads_now 1.")
        })
        .await;
        upload(&site, lines(0, 3)).await
    };

    let refused = tokio::select! {
        _ = taken => panic!("it never ends"),
        refused = other => refused,
    };

    refused.problem(429, "queue-full");
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(upload(&site, lines(0, 3)).await.status, 202, "the first has gone");
}

#[tokio::test]
async fn uploads_that_ask_for_too_much_or_nothing_are_refused() {
    let config = Config { batch_items_max: 5, ..Config::default() };
    let site = Site::with(config, Limits::default()).await;

    let empty = upload(&site, "\n \n").await;
    let long = upload(&site, lines(0, 6)).await;
    let call = site.call("POST", UPLOAD).header("content-encoding", "br");
    let encoded = call.body(NDJSON, lines(0, 1)).send().await;
    let call = site.call("POST", "/execute/batch?program_id=mail&prgram=x");
    let misspelt = call.body(NDJSON, lines(0, 1)).send().await;
    let call = site.call("POST", "/execute/batch?program_id=nobody");
    let unknown = call.body(NDJSON, lines(0, 1)).send().await;

    let problem = empty.problem(422, "validation");
    assert!(problem["detail"].as_str().unwrap().contains("at least one line"), "{problem}");
    long.problem(422, "validation");
    encoded.problem(415, "unsupported-media-type");
    misspelt.problem(400, "malformed");
    unknown.problem(404, "program-not-found");
    assert_eq!(site.get("/batches").await.json()["batches"], json!([]));
}

#[tokio::test]
async fn repeated_upload_gets_the_first_answer() {
    let site = Site::new().await;
    let send = async |text: String| {
        let call = site.call("POST", UPLOAD).header("idempotency-key", "nightly");
        call.body(NDJSON, text).send().await
    };

    let first = send(lines(0, 3)).await;
    let second = send(lines(0, 3)).await;
    let other = send(lines(0, 4)).await;

    assert_eq!(first.json()["batch_id"], second.json()["batch_id"]);
    assert_eq!(second.header("idempotency-replayed"), "true");
    other.problem(422, "idempotency-key-reused");
    assert_eq!(site.get("/batches").await.json()["batches"].as_array().unwrap().len(), 1);
    assert_eq!(site.get("/stats").await.json()["queue"]["queued"], 3);
}

#[tokio::test]
async fn results_in_turn_wait_for_what_is_uploaded_next() {
    let site = Site::new().await;
    let id = open(&site, "&cache=false").await;
    let path = format!("/batch/{id}/results?wait=10&limit=2");
    let grows = async {
        part(&site, &id, 0, lines(0, 2)).await;
        site.run(2).await;
    };

    let (reply, ()) = tokio::join!(site.get(&path), grows);
    let none = site.get(&format!("/batch/{id}/results?wait=0&cursor=2")).await;

    assert_eq!(reply.text().lines().count(), 2, "{}", reply.text());
    assert_eq!((none.status, none.text()), (200, ""));
}

#[tokio::test]
async fn batch_grows_by_parts_that_may_be_sent_again() {
    let site = Site::new().await;
    let id = open(&site, "&cache=false&concurrency=100&max_errors=3").await;

    let first = part(&site, &id, 0, lines(0, 100)).await;
    let again = part(&site, &id, 0, lines(0, 100)).await;
    let other = part(&site, &id, 0, lines(1, 101)).await;
    let gap = part(&site, &id, 101, lines(101, 102)).await;
    site.run(100).await;
    let half = site.get(&format!("/batch/{id}")).await.json();
    let call = site.call("PUT", &format!("/batch/{id}/items?first=100"));
    let rest = call.header("content-encoding", "gzip").body(NDJSON, gzip(&lines(100, 130)));
    let rest = rest.send().await;
    let wrong = site.post(&format!("/batch/{id}/seal"), json!({"total": 131})).await;
    let sealed = site.post(&format!("/batch/{id}/seal"), json!({"total": 130})).await;
    let late = part(&site, &id, 130, lines(130, 131)).await;
    let repeated = site.call("POST", &format!("/batch/{id}/seal")).send().await;
    site.run(30).await;

    assert_eq!((first.status, &first.json()["received"]), (200, &json!(100)), "{}", first.text());
    assert_eq!((again.status, &again.json()["received"]), (200, &json!(100)));
    for refused in [other, gap] {
        assert_eq!(refused.problem(409, "conflict")["received"], 100);
    }
    assert_eq!((&half["status"], &half["total"]), (&json!("uploading"), &json!(100)));
    assert_eq!((&half["counts"]["succeeded"], &half["concurrency"]), (&json!(100), &json!(100)));
    assert_eq!((rest.status, &rest.json()["received"]), (200, &json!(130)));
    assert_eq!(wrong.problem(409, "conflict")["received"], 130);
    assert_eq!((sealed.status, &sealed.json()["status"]), (202, &json!("in_progress")));
    assert_eq!(late.problem(409, "conflict")["received"], 130);
    assert_eq!(repeated.status, 202);
    let done = site.get(&format!("/batch/{id}")).await.json();
    assert_eq!((&done["status"], &done["counts"]["succeeded"]), (&json!("completed"), &json!(130)));
}

#[tokio::test]
async fn part_with_another_digest_is_not_kept() {
    let site = Site::new().await;
    let id = open(&site, "").await;
    let send = async |digest: &str| {
        let call = site.call("PUT", &format!("/batch/{id}/items?first=0"));
        call.header("content-digest", digest).body(NDJSON, "{\"recipient\": 1}\n").send().await
    };

    let wrong = send("sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:").await;
    let view = site.get(&format!("/batch/{id}")).await.json();
    let right = send("sha-256=:9YjJGviBJrVx8LnscWOYkOP9dTMvfo8GbW9Bfq7fch4=:").await;

    wrong.problem(400, "malformed");
    assert_eq!(view["total"], 0);
    assert_eq!((right.status, &right.json()["received"]), (200, &json!(1)), "{}", right.text());
}

#[tokio::test]
async fn names_are_once_across_parts() {
    let site = Site::new().await;
    let id = open(&site, "&cache=false").await;
    let named = |name: &str| {
        format!("{{\"custom_id\": \"{name}\", \"recipient\": \"r\", \"subject\": \"s\"}}\n")
    };

    part(&site, &id, 0, named("a") + &named("b")).await;
    part(&site, &id, 2, named("c") + "\n" + &named("b")).await;
    site.post(&format!("/batch/{id}/seal"), json!({})).await;

    site.run(3).await;
    let records = results(&site, &id).await;
    assert_eq!(
        records[3]["error"],
        "`custom_id` \"b\" is that of item 1 already (line 3 of the part that begins with item 2)"
    );
}

#[tokio::test]
async fn paused_batch_is_handed_out_when_it_is_resumed() {
    let site = Site::new().await;
    let id = upload(&site, lines(0, 3)).await.json()["batch_id"].as_str().unwrap().to_owned();

    let paused = site.call("POST", &format!("/batch/{id}/pause")).send().await.json();
    let want = queue::Want { slots: 9, bulk: 9, suspect: true };
    let worker = queue::WorkerId::new("other", 2);
    let nothing = site.queue.claim(&worker, want, Duration::ZERO).await.unwrap();
    let resumed = site.call("POST", &format!("/batch/{id}/resume")).send().await.json();
    site.run(3).await;

    assert_eq!((&paused["status"], nothing.len()), (&json!("paused"), 0));
    assert_eq!(resumed["status"], "in_progress");
    assert_eq!(site.get(&format!("/batch/{id}")).await.json()["status"], "completed");
}

#[tokio::test]
async fn budget_of_a_batch_can_be_raised() {
    let site = Site::new().await;
    let id = open(&site, "&budget=0.5").await;
    let path = format!("/batch/{id}/budget");

    let raised = site.post(&path, json!({"budget": 2.5})).await;
    let wrong = site.post(&path, json!({"budget": -1})).await;

    assert_eq!((raised.status, &raised.json()["budget"]), (200, &json!(2.5)), "{}", raised.text());
    wrong.problem(422, "validation");
    assert_eq!(site.get(&format!("/batch/{id}")).await.json()["budget"], 2.5);
}

#[tokio::test]
async fn others_cannot_add_to_a_batch() {
    let site = Site::new().await;
    let id = open(&site, "").await;

    let path = format!("/batch/{id}/items?first=0");
    let bob = site.call("PUT", &path).by("bob", &[api::token::Scope::Execute]);
    let reply = bob.body(NDJSON, lines(0, 1)).send().await;

    reply.problem(404, "not-found");
}
