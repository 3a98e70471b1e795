//! Traces: from the caller's request over the queue to each call of a model, as a collector sees
//! them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{Collector, Reply, Span, free_port};

use crate::{
    modules::{embeds, says},
    python,
    site::{SOON, Site, Store},
    tools,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Two questions, one after the other.
const TWICE: &str = "lm: {model: openai/stub, temperature: 0.5, max_tokens: 99}\ncache: false\n\
    retries: {max: 2, backoff: {initial: 0.1, jitter: none}}\nsignatures:\n  a: 'x -> y'\n  \
    b: 'y -> z'\nsteps: [a, b]\n";

/// The same question by the name of another program: an equal call of an execution that is not.
const OTHER: &str = "name: other\nversion: 1.0.0\nlm: {model: openai/stub}\nsignatures:\n  \
    answer: {inputs: [question], outputs: [answer]}\n";

/// A question with the nearest example, found by a model of embeddings.
const NEAREST: &str = "lm: {model: openai/stub}\ncache: false\n\
    retries: {max: 2, backoff: {initial: 0.1, jitter: none}}\nsignatures:\n  triage:\n    \
    inputs: [message]\n    outputs: [team]\n    \
    module: {type: knn, k: 1, embedder: {model: openai/embedder}}\n    \
    examples: [{message: secret one, team: billing}, {message: secret two, team: sales}]\n";

fn traced(site: Site, url: &str) -> Site {
    let site = site.with("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    site.with("OTEL_BSP_SCHEDULE_DELAY", "50")
}

async fn site(store: Store) -> (Site, Collector) {
    let collector = Collector::at(0);
    (traced(store.site().await, &collector.url()), collector)
}

/// Submits as somebody whose own span is traced, and gives the execution's path.
async fn submit_traced(site: &Site, body: &Value, flags: &str) -> String {
    let parent = format!("00-{TRACE}-{CALLER}-{flags}");
    let headers = [("traceparent", parent.as_str())];
    let answer = site.http.post_with("/execute", &headers, body).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    format!("/execution/{}", answer.json()["execution_id"].as_str().unwrap())
}

/// The spans that came of executions, in the order of their attempts.
async fn attempts(collector: &Collector, count: usize) -> Vec<Span> {
    let mut all = collector.until("dspyx.execution", count, SOON).await;
    all.sort_by_key(|it| it.get("dspyx.execution.attempt").as_i64());
    all
}

pub(crate) async fn trace_leads_from_the_caller_to_the_model(store: Store) {
    let (site, collector) = site(store).await;
    let site = site
        .with("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
        .with("OTEL_RESOURCE_ATTRIBUTES", "service.name=reviews,deployment=test");
    site.write_program("twice", TWICE);
    let up = site.up().await;

    let body = json!({ "program_id": "twice", "inputs": { "x": "a secret" } });
    let path = submit_traced(&site, &body, "01").await;
    let record = site.succeeded(&path).await;

    let chats = collector.until("chat stub", 2, SOON).await;
    let attempt = attempts(&collector, 1).await.remove(0);
    let request = collector.until("POST", 1, SOON).await.remove(0);
    assert_eq!(record["metadata"]["trace_id"], TRACE);
    let all = [&request, &attempt, &chats[0], &chats[1]];
    assert!(all.iter().all(|it| it.trace == TRACE && it.service == "reviews"), "{all:#?}");
    let parents = all.map(|it| it.parent.as_str());
    assert_eq!(parents, [CALLER, &request.id, &attempt.id, &attempt.id]);

    assert_eq!(
        (request.name.as_str(), request.kind),
        ("POST /api/v1/dspy/execute", "SPAN_KIND_SERVER")
    );
    assert_eq!(request.get("http.response.status_code"), 202);
    assert_eq!(request.get("http.route"), "/api/v1/dspy/execute");
    assert_eq!(request.get("server.address"), "127.0.0.1");
    assert_eq!(attempt.get("dspyx.execution.id"), &record["execution_id"]);
    assert_eq!(attempt.get("dspyx.program.name"), "twice");
    assert_eq!(attempt.get("dspyx.execution.outcome"), "succeeded");
    assert_eq!(chats[0].kind, "SPAN_KIND_CLIENT");
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("stub")),
        ("gen_ai.request.temperature", json!(0.5)),
        ("gen_ai.request.max_tokens", json!(99)),
        ("gen_ai.response.model", json!("stub")),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("gen_ai.usage.input_tokens", json!(7)),
        ("gen_ai.usage.output_tokens", json!(5)),
        ("dspyx.reply.source", json!("model")),
        ("server.address", json!("127.0.0.1")),
        ("server.port", json!(site.lm.port())),
    ] {
        assert_eq!(chats[0].get(name), &value, "{name}");
    }
    assert!(!format!("{:?}", collector.spans()).contains("a secret"), "contents are not shown");
    assert_eq!(collector.header("x-team"), "blue");
    site.check(up).await;
}

pub(crate) async fn retry_is_a_span_that_pays_no_reply_twice(store: Store) {
    let (site, collector) = site(store).await;
    site.write_program("twice", TWICE);
    site.lm.then(Reply::Fitting).then(Reply::error(500));
    let up = site.up().await;

    let body = json!({ "program_id": "twice", "inputs": { "x": "1" } });
    site.succeeded(&submit_traced(&site, &body, "01").await).await;

    let chats = collector.until("chat stub", 4, SOON).await;
    let attempts = attempts(&collector, 2).await;
    let told = |it: &Span| (it.get("dspyx.execution.attempt").clone(), it.failed);
    assert_eq!(
        attempts.iter().map(told).collect::<Vec<_>>(),
        [(json!(1), true), (json!(2), false)]
    );
    assert_eq!(attempts[0].get("dspyx.execution.outcome"), "retried");
    assert_eq!(attempts[0].get("error.type"), "lm_error");
    assert_eq!(attempts[0].parent, attempts[1].parent);
    let source = |it: &Span| (it.parent.clone(), it.get("dspyx.reply.source").clone());
    let of = |at: usize, source: Value| (attempts[at].id.clone(), source);
    let expected =
        [of(0, json!("model")), of(0, Value::Null), of(1, json!("journal")), of(1, json!("model"))];
    assert_eq!(chats.iter().map(source).collect::<Vec<_>>(), expected);
    assert_eq!(chats[1].get("error.type"), "server");
    site.check(up).await;
}

pub(crate) async fn embeddings_have_spans_as_other_calls_of_models(store: Store) {
    let (site, collector) = site(store).await;
    site.write_program("nearest", NEAREST);
    embeds(&site, &[[1.0, 0.0], [0.0, 1.0]]);
    site.lm.then(Reply::error(500));
    embeds(&site, &[[1.0, 0.0]]);
    site.lm.then(Reply::error(500));
    says(&site, &json!({"team": "billing"}));
    let up = site.up().await;

    let body = json!({ "program_id": "nearest", "inputs": { "message": "a secret" } });
    site.succeeded(&submit_traced(&site, &body, "01").await).await;

    let spans = collector.until("embeddings embedder", 4, SOON).await;
    let attempts = attempts(&collector, 3).await;
    let told = |it: &Span| {
        let parent = attempts.iter().position(|attempt| attempt.id == it.parent);
        let [source, error] = ["dspyx.reply.source", "error.type"].map(|name| it.get(name).clone());
        (parent, source, error)
    };
    assert_eq!(
        spans.iter().map(told).collect::<Vec<_>>(),
        [
            (Some(0), json!("model"), Value::Null),
            (Some(0), Value::Null, json!("server")),
            (Some(1), json!("model"), Value::Null),
            (Some(2), json!("journal"), Value::Null),
        ]
    );
    assert_eq!((spans[0].kind, spans[0].failed), ("SPAN_KIND_CLIENT", false));
    assert!(spans[1].failed);
    for (name, value) in [
        ("gen_ai.operation.name", json!("embeddings")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("embedder")),
        ("gen_ai.response.model", json!("embedder-1")),
        ("gen_ai.usage.input_tokens", json!(3)),
        ("gen_ai.usage.output_tokens", Value::Null),
        ("server.address", json!("127.0.0.1")),
        ("server.port", json!(site.lm.port())),
    ] {
        assert_eq!(spans[0].get(name), &value, "{name}");
    }
    assert!(!format!("{:?}", collector.spans()).contains("secret"), "texts are not shown");
    site.check(up).await;
}

pub(crate) async fn what_is_called_off_says_so(store: Store) {
    let (site, collector) = site(store).await;
    site.lm.then(Reply::Nothing);
    let up = site.up().await;
    let path = site.ask("?").await;
    site.until_calls(1).await;

    site.http.post(&format!("{path}/cancel"), &json!({})).await.unwrap();

    let chat = collector.until("chat stub", 1, SOON).await.remove(0);
    let attempt = attempts(&collector, 1).await.remove(0);
    assert_eq!(attempt.get("dspyx.execution.outcome"), "cancelled");
    assert!(!attempt.failed, "it did as it was told");
    assert_eq!((chat.failed, chat.get("error.type")), (true, &json!("cancelled")));
    assert_eq!(chat.parent, attempt.id);
    site.check(up).await;
}

pub(crate) async fn reply_of_an_equal_call_is_marked(store: Store) {
    let (site, collector) = site(store).await;
    site.write_program("other", OTHER);
    let up = site.up().await;

    for program in ["cached", "other"] {
        let body = json!({ "program_id": program, "inputs": { "question": "?" } });
        site.succeeded(&site.submit(&body).await).await;
    }

    let chats = collector.until("chat stub", 2, SOON).await;
    let sources: Vec<_> = chats.iter().map(|it| it.get("dspyx.reply.source")).collect();
    assert_eq!(sources, ["model", "cache"]);
    assert_eq!(chats[1].get("gen_ai.usage.input_tokens"), &Value::Null);
    assert_eq!(site.lm.calls(), 1);
    site.check(up).await;
}

pub(crate) async fn items_of_a_batch_have_traces_of_their_own(store: Store) {
    let (site, collector) = site(store).await;
    let up = site.up().await;

    let batch = site.ask_many(70).await;
    site.ended(&batch).await;

    let attempts = attempts(&collector, 70).await;
    let request = collector.until("POST", 1, SOON).await.remove(0);
    let traces: BTreeSet<&str> = attempts.iter().map(|it| it.trace.as_str()).collect();
    assert_eq!(traces.len(), 70);
    assert!(!traces.contains(request.trace.as_str()));
    assert!(attempts.iter().all(|it| it.parent.is_empty() && it.links == [request.id.clone()]));
    let last = &attempts[69];
    let record = site
        .until(&format!("/execution/{}", last.get("dspyx.execution.id").as_str().unwrap()), |_| {
            true
        })
        .await;
    assert_eq!(record["metadata"]["trace_id"], last.trace);
    assert_eq!(last.get("dspyx.batch.id"), &record["batch_id"]);
    site.check(up).await;
}

pub(crate) async fn what_the_caller_does_not_record_is_not_recorded(store: Store) {
    let (site, collector) = site(store).await;
    let up = site.up().await;

    let body = json!({ "program_id": "qa", "inputs": { "question": "?" } });
    let unseen = site.succeeded(&submit_traced(&site, &body, "00").await).await;
    let seen = site.succeeded(&site.ask("?").await).await;

    let trace = collector.until("dspyx.execution", 1, SOON).await.remove(0).trace;
    assert_eq!(unseen["metadata"]["trace_id"], Value::Null);
    assert_eq!(seen["metadata"]["trace_id"], trace);
    site.check(up).await;
    assert!(collector.spans().iter().all(|it| it.trace == trace), "{:#?}", collector.spans());
}

pub(crate) async fn collector_may_be_away(store: Store) {
    let port = free_port();
    let site = traced(store.site().await, &format!("http://127.0.0.1:{port}"));
    let site = site.with("OTEL_BSP_MAX_QUEUE_SIZE", "2").with("OTEL_EXPORTER_OTLP_TIMEOUT", "1000");
    let mut up = site.up().await;

    for _ in 0..8 {
        site.succeeded(&site.ask("?").await).await;
    }
    up.runner().until_says("cannot give spans to the collector", SOON).await;
    let metrics = site.http.get("/metrics").await.unwrap().body;
    let dropped = metrics.lines().find_map(|it| it.strip_prefix("dspyx_spans_dropped_total "));
    let collector = Collector::at(port);
    site.succeeded(&site.ask("are you back?").await).await;
    up.runner().until_says("the collector takes spans again", SOON).await;
    let record = site.succeeded(&site.ask("and now?").await).await;

    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
    let trace = record["metadata"]["trace_id"].as_str().unwrap();
    let came = || collector.spans().into_iter().any(|it| it.trace == trace);
    testkit::until_true("later spans come", SOON, async || came()).await;
    let log = up.runner().log();
    assert_eq!(log.matches("cannot give spans to the collector").count(), 1, "{log}");
    site.check(up).await;
}

pub(crate) async fn last_spans_are_sent_at_the_end(store: Store) {
    let (site, collector) = site(store).await;
    let site = site.with("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let up = site.up().await;

    site.succeeded(&site.ask("?").await).await;
    site.check(up).await;

    for name in ["POST", "dspyx.execution", "chat"] {
        collector.until(name, 1, SOON).await;
    }
}

pub(crate) async fn python_program_has_spans_as_a_native_one(store: Store) {
    let collector = Collector::at(0);
    let site = traced(python::site(store).await, &collector.url());
    let up = site.up().await;

    let body = json!({ "program_id": "reviewer", "inputs": { "question": "why?" } });
    site.succeeded(&submit_traced(&site, &body, "01").await).await;

    let chats = collector.until("chat stub", 2, SOON).await;
    let attempt = attempts(&collector, 1).await.remove(0);
    assert!(chats.iter().all(|it| it.parent == attempt.id && it.trace == TRACE), "{chats:#?}");
    assert_eq!(chats[0].get("gen_ai.request.temperature"), &json!(0.5));
    assert_eq!(chats[0].get("gen_ai.usage.output_tokens"), &json!(5));
    site.check(up).await;
}

pub(crate) async fn contents_are_shown_where_the_operator_says_so(store: Store) {
    let collector = Collector::at(0);
    let (site, server) = tools::site_with_server(store, "").await;
    let site = traced(site, &collector.url());
    let site = site.with("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
    tools::wants(&site, "add", &json!({"a": 20, "b": 22}));
    tools::wants(&site, "fail", &json!({}));
    tools::wants(&site, "finish", &json!({}));
    let up = site.up().await;

    site.succeeded(&site.submit(&tools::ask()).await).await;

    let called = collector.until("execute_tool", 2, SOON).await;
    let chats = collector.until("chat stub", 4, SOON).await;
    let attempt = attempts(&collector, 1).await.remove(0);
    assert!(called.iter().all(|it| it.parent == attempt.id), "{called:#?}");
    assert_eq!((called[0].name.as_str(), called[0].failed), ("execute_tool add", false));
    assert_eq!(called[0].get("gen_ai.tool.call.arguments"), r#"{"a":20,"b":22}"#);
    assert!(called[0].get("gen_ai.tool.call.result").as_str().unwrap().contains("42"));
    assert_eq!((called[1].failed, called[1].get("error.type")), (true, &json!("tool_error")));
    let read = |span: &Span, name: &str| -> Value {
        serde_json::from_str(span.get(name).as_str().unwrap()).unwrap()
    };
    let asked = read(&chats[0], "gen_ai.input.messages");
    assert_eq!(asked[0]["role"], "system");
    assert_eq!(asked[1]["parts"][0]["type"], "text");
    let said = read(&chats[0], "gen_ai.output.messages");
    assert!(said[0]["parts"][0]["content"].as_str().unwrap().contains("I try."), "{said}");
    assert_eq!(server.count("call"), 2);
    site.check(up).await;
}
