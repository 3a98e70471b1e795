//! Fields that are followed while the model writes them.

use serde_json::{Value, json};
use testkit::{EventStream, Midway, Reply, ServerEvent};

use crate::site::{Site, Store};

const ANSWER: &str = "Because small things scatter blue light more than they scatter red.";

fn reply() -> String {
    format!("[[ ## answer ## ]]\n{ANSWER}\n\n[[ ## score ## ]]\n7\n\n[[ ## completed ## ]]\n")
}

/// The reply in pieces, with something in the middle.
fn streamed(midway: Midway) -> Reply {
    Reply::Stream(Some(reply()), midway)
}

async fn ask(site: &Site, body: &Value) -> EventStream {
    let events = site.http.post_to_follow("/execute", body).await.unwrap();
    assert_eq!(events.status, 200);
    let kind = events.headers.iter().find(|it| it.0 == "content-type").unwrap();
    assert!(kind.1.starts_with("text/event-stream"), "{}", kind.1);
    events
}

fn question() -> Value {
    json!({ "program_id": "qa", "inputs": { "question": "Why is the sky blue?" } })
}

fn path(events: &EventStream) -> String {
    let location = events.headers.iter().find(|it| it.0 == "location").unwrap();
    location.1.strip_prefix("/api/v1/dspy").unwrap().to_owned()
}

/// The text of a field, as a client puts it together.
pub(crate) fn text(events: &[ServerEvent], field: &str) -> String {
    let mut text = String::new();
    for ServerEvent { event, data, .. } in events {
        match event.as_str() {
            "field" if data["field"] == field => {
                assert_eq!(data["offset"], json!(text.chars().count()), "{events:#?}");
                text += data["delta"].as_str().unwrap();
            }
            "restart" => text.clear(),
            _ => {}
        }
    }
    text
}

fn named<'a>(events: &'a [ServerEvent], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|it| it.event == name).map(|it| &it.data).collect()
}

/// The record at the end, which must be that of a success.
fn succeeded(events: &[ServerEvent]) -> &Value {
    let last = events.last().unwrap();
    assert_eq!((&*last.event, &last.data["status"]), ("status", &json!("succeeded")), "{last:#?}");
    &last.data
}

pub(crate) async fn fields_grow_before_the_record_is_there(store: Store) {
    let site = store.site().await;
    site.lm.usually(streamed(Midway::Gate));
    let up = site.up().await;

    let mut events = ask(&site, &question()).await;
    let mut seen = events.up_to("field").await;

    let path = path(&events);
    let record = site.until(&path, |it| it["status"] == "running").await;
    assert_eq!(record["outputs"], Value::Null);
    assert_eq!(seen[0].event, "status");
    let field = seen.last().unwrap().clone();
    assert!(ANSWER.starts_with(&text(&seen, "answer")) && text(&seen, "answer") != ANSWER);
    assert_eq!((&field.data["predictor"], &field.data["call"]), (&json!("self"), &json!(1)));
    let mut late = site.http.follow(&path, None).await.unwrap();
    assert_eq!(late.up_to("field").await.last(), Some(&field));
    let mut back = site.http.follow(&path, Some(&field.id)).await.unwrap();
    site.lm.open_gate();
    seen.extend(events.rest().await);

    let outputs = json!({ "answer": ANSWER, "score": 7 });
    assert_eq!(succeeded(&seen)["outputs"], outputs);
    assert_eq!(text(&seen, "answer"), ANSWER);
    let told = json!({ "predictor": "self", "call": 1, "outputs": outputs });
    assert_eq!(named(&seen, "outputs"), [&told]);
    assert_eq!(named(&seen, "restart"), Vec::<&Value>::new());
    assert_eq!(succeeded(&seen)["metadata"]["usage"]["openai/stub"]["total_tokens"], json!(12));
    let back = back.rest().await;
    assert!(back.iter().all(|it| it.id.is_empty() || it.id > field.id), "{back:#?}");
    assert_eq!(succeeded(&back)["outputs"], outputs);
    site.check(up).await;
}

pub(crate) async fn nothing_is_told_unless_it_is_asked_for(store: Store) {
    let site = store.site().await;
    site.lm.usually(streamed(Midway::Gate));
    let up = site.up().await;
    let silent = site.submit(&question()).await;
    let told = json!({ "program_id": "qa", "inputs": { "question": "?" }, "stream": true });
    let told = site.submit(&told).await;
    site.until_calls(2).await;

    let mut silent = site.http.follow(&silent, None).await.unwrap();
    let mut told = site.http.follow(&told, None).await.unwrap();
    told.up_to("field").await;
    site.lm.open_gate();

    let events = silent.rest().await;
    assert!(events.iter().all(|it| it.event == "status" && it.id.is_empty()), "{events:#?}");
    assert_eq!(succeeded(&events)["outputs"], succeeded(&told.rest().await)["outputs"]);
    let streams = site.lm.requests().iter().filter(|it| it.body["stream"] == true).count();
    assert_eq!(streams, 1);
    site.check(up).await;
}

pub(crate) async fn fallback_to_json_voids_what_was_told(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let half = "[[ ## answer ## ]]\nI forgot the score.\n\n[[ ## completed ## ]]\n";
    let whole = r#"{"answer": "Not \"this\" time.", "score": 3}"#;
    let in_two = || {
        for text in [half, whole] {
            site.lm.then(Reply::Stream(Some(text.to_owned()), Midway::GoesOn));
        }
    };

    in_two();
    let aloud = ask(&site, &question()).await.rest().await;
    in_two();
    let silent = site.succeeded(&site.submit(&question()).await).await;

    let restart = json!({ "predictor": "self", "call": 1 });
    assert_eq!(named(&aloud, "restart"), [&restart]);
    let before: Vec<_> = aloud.iter().take_while(|it| it.event != "restart").cloned().collect();
    assert_eq!(text(&before, "answer"), "I forgot the score.");
    assert_eq!(text(&aloud, "answer"), "Not \"this\" time.");
    assert_eq!(aloud.iter().rfind(|it| it.event == "field").unwrap().data["call"], json!(2));
    let record = succeeded(&aloud);
    for field in ["outputs", "error"] {
        assert_eq!(record[field], silent[field]);
    }
    assert_eq!(record["metadata"]["usage"], silent["metadata"]["usage"]);
    site.check(up).await;
}

pub(crate) async fn broken_stream_begins_anew(store: Store) {
    let site = store.site().await;
    site.lm.usually(streamed(Midway::GoesOn));
    let up = site.up().await;

    for midway in [Midway::Cut, Midway::Ends, Midway::Error] {
        site.lm.then(streamed(midway));
        let events = ask(&site, &question()).await.rest().await;

        let record = succeeded(&events);
        assert_eq!(record["attempts"].as_array().unwrap().len(), 2, "{midway:?}");
        assert_eq!(record["attempts"][0]["error_kind"], "lm_error", "{midway:?}");
        let all = json!({ "predictor": null, "call": null });
        assert!(named(&events, "restart").contains(&&all), "{midway:?}: {events:#?}");
        assert_eq!(text(&events, "answer"), ANSWER, "{midway:?}");
    }
    site.check(up).await;
}

pub(crate) async fn broken_stream_is_sent_again_within_the_call(store: Store) {
    let site = store.site().await.with("LM_RETRIES", "2");
    site.lm.then(streamed(Midway::Cut)).usually(streamed(Midway::GoesOn));
    let up = site.up().await;

    let events = ask(&site, &question()).await.rest().await;

    assert_eq!(succeeded(&events)["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(named(&events, "restart"), [&json!({ "predictor": "self", "call": 1 })]);
    assert_eq!((text(&events, "answer"), site.lm.calls()), (ANSWER.to_owned(), 2));
    site.check(up).await;
}

pub(crate) async fn endpoint_without_streams_tells_all_at_the_end(store: Store) {
    let site = store.site().await;
    let up = site.up().await;

    let events = ask(&site, &question()).await.rest().await;

    assert_eq!(text(&events, "answer"), "a answer");
    assert_eq!(named(&events, "field").len(), 1);
    assert_eq!(succeeded(&events)["outputs"], json!({ "answer": "a answer", "score": 42 }));
    site.check(up).await;
}

pub(crate) async fn equal_executions_share_a_reply_and_hear_the_same(store: Store) {
    let site = store.site().await;
    site.lm.usually(Reply::Stream(None, Midway::Gate));
    let up = site.up().await;
    let body = json!({ "program_id": "cached", "inputs": { "question": "?" } });

    let (mut first, mut second) = (ask(&site, &body).await, ask(&site, &body).await);
    site.until_calls(1).await;
    site.lm.open_gate();
    let (first, second) = (first.rest().await, second.rest().await);
    let third = ask(&site, &body).await.rest().await;

    assert_eq!(site.lm.calls(), 1);
    for events in [&first, &second] {
        assert_eq!(text(events, "answer"), "a answer");
        assert_eq!(succeeded(events)["outputs"], json!({ "answer": "a answer" }));
    }
    assert_eq!(third.len(), 1, "of a known result only the record is told: {third:#?}");
    assert_eq!(succeeded(&third)["metadata"]["cache_hit"], true);
    site.check(up).await;
}

pub(crate) async fn followers_outlive_a_killed_runner(store: Store) {
    let site = store.site().await;
    site.lm.usually(streamed(Midway::Gate));
    let mut up = site.up().await;
    let mut events = ask(&site, &question()).await;
    let mut seen = events.up_to("field").await;
    let path = path(&events);

    up.crash_runner(&site).await;

    if store == Store::Sqlite {
        // The process that answered was killed, too: the client comes back.
        let last = seen.last().unwrap().id.clone();
        seen.clear();
        events = site.http.follow(&path, Some(&last)).await.unwrap();
    }
    seen.extend(events.up_to("field").await);
    site.lm.open_gate();
    seen.extend(events.rest().await);
    assert_eq!(text(&seen, "answer"), ANSWER, "{seen:#?}");
    let record = succeeded(&seen);
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "a loss uses no attempt");
    assert_eq!(named(&seen, "restart").len(), usize::from(store == Store::Redis));
    site.check(up).await;
}

pub(crate) async fn closed_connection_calls_nothing_off(store: Store) {
    let site = store.site().await;
    site.lm.usually(streamed(Midway::Gate));
    let up = site.up().await;
    let mut events = ask(&site, &question()).await;
    events.up_to("field").await;
    let path = path(&events);

    drop(events);
    site.lm.open_gate();

    assert_eq!(site.succeeded(&path).await["outputs"]["answer"], ANSWER);
    site.check(up).await;
}

/// A site with a Python program of two predictors beside the others.
async fn python_site(store: Store) -> Site {
    let site = store.site().await.with_python();
    site.write("programs/reviewer.py", crate::python::REVIEWER);
    site.write("programs/reviewer.yaml", crate::python::PROGRAM);
    site
}

fn review() -> Value {
    json!({ "program_id": "reviewer", "inputs": { "question": "Why?", "loud": true } })
}

/// A reply to the first predictor, in pieces.
fn drafted(midway: Midway) -> Reply {
    let text = format!(
        "[[ ## reasoning ## ]]\nIt is asked why.\n\n[[ ## draft ## ]]\n{ANSWER}\n\n\
         [[ ## completed ## ]]\n"
    );
    Reply::Stream(Some(text), midway)
}

pub(crate) async fn python_fields_grow_before_the_record_is_there(store: Store) {
    let site = python_site(store).await;
    site.lm.then(drafted(Midway::Gate));
    let up = site.up().await;

    let mut events = ask(&site, &review()).await;
    let mut seen = events.up_to("field").await;
    assert_eq!(site.until(&path(&events), |_| true).await["status"], "running");
    assert_eq!(seen.last().unwrap().data["predictor"], "write.predict");
    site.lm.open_gate();
    seen.extend(events.rest().await);

    assert_eq!(text(&seen, "reasoning"), "It is asked why.");
    assert_eq!(text(&seen, "draft"), ANSWER);
    let told = [
        json!({ "predictor": "write.predict", "call": 1,
            "outputs": { "reasoning": "It is asked why.", "draft": ANSWER } }),
        json!({ "predictor": "review", "call": 2, "outputs": { "score": 42 } }),
    ];
    assert_eq!(named(&seen, "outputs"), told.iter().collect::<Vec<_>>());
    let outputs = json!({ "draft": ANSWER.to_uppercase(), "score": 42 });
    assert_eq!(succeeded(&seen)["outputs"], outputs, "what the program made of it");
    site.check(up).await;
}

pub(crate) async fn python_fallback_voids_what_was_told(store: Store) {
    let site = python_site(store).await;
    let up = site.up().await;
    let half = "[[ ## reasoning ## ]]\nI forgot the draft.\n\n[[ ## completed ## ]]\n".to_owned();
    let whole = r#"{"reasoning": "now", "draft": "Not \"this\" time."}"#.to_owned();
    let in_two = || {
        for text in [&half, &whole] {
            site.lm.then(Reply::Stream(Some(text.clone()), Midway::GoesOn));
        }
    };

    in_two();
    let aloud = ask(&site, &review()).await.rest().await;
    in_two();
    let silent = site.succeeded(&site.submit(&review()).await).await;

    let restart = json!({ "predictor": "write.predict", "call": 1 });
    assert_eq!(named(&aloud, "restart"), [&restart]);
    assert_eq!(text(&aloud, "draft"), "Not \"this\" time.");
    assert_eq!(succeeded(&aloud)["outputs"], silent["outputs"]);
    assert_eq!(succeeded(&aloud)["metadata"]["usage"], silent["metadata"]["usage"]);
    assert_eq!(succeeded(&aloud)["metadata"].get("debug_trace"), None);
    site.check(up).await;
}

pub(crate) async fn python_stream_that_breaks_begins_anew(store: Store) {
    let site = python_site(store).await.with("LM_RETRIES", "1");
    site.lm.then(drafted(Midway::Cut));
    site.lm.then(drafted(Midway::GoesOn));
    let up = site.up().await;

    let events = ask(&site, &review()).await.rest().await;

    let restart = json!({ "predictor": "write.predict", "call": 1 });
    assert_eq!(named(&events, "restart"), [&restart]);
    assert_eq!(text(&events, "draft"), ANSWER);
    assert_eq!(succeeded(&events)["attempts"].as_array().unwrap().len(), 1);
    site.check(up).await;
}

pub(crate) async fn fields_grow_on_a_terminal(store: Store) {
    let site = store.site().await;
    site.lm.usually(streamed(Midway::Gate));
    let up = site.up().await;

    let mut shown = site.start(&["execute", "qa", "question=Why?", "--stream", "--json"]);
    shown.until_says("answer: Because", crate::site::SOON).await;
    assert_eq!(shown.out(), "", "there is no result yet");
    site.lm.open_gate();
    assert!(shown.end(crate::site::SOON).await.success());

    let said = shown.log();
    assert!(said.contains(&format!("answer: {ANSWER}\nscore: 7\n")), "{said}");
    let record: Value = serde_json::from_str(&shown.out()).unwrap();
    assert_eq!(record["outputs"], json!({ "answer": ANSWER, "score": 7 }));
    site.check(up).await;
}
