//! Batches that the model's provider runs by its own batch endpoint.

use serde_json::{Value, json};
use testkit::{Course, Mishap, StubProvider, until};

use crate::site::{SOON, Site, Store};

/// A question reads 7 tokens and writes 5, at one dollar and two; half of it in a batch.
const PRICES: &str = r#"
["openai/stub"]
input_price = 1_000_000
output_price = 2_000_000
"#;
const COST: f64 = 17.0;
const HALF: f64 = COST / 2.0;

const DIRECT: &str = "POST /v1/chat/completions";
const FILE: &str = "POST /v1/files";
const BATCH: &str = "POST /v1/batches";

async fn site(store: Store, provider: &StubProvider) -> Site {
    let site = store.site().await;
    site.write("models.toml", PRICES);
    let path = site.path("models.toml");
    site.with("LM_MODELS", &path).with("LM_API_BASE", &provider.url())
}

/// Submits questions, and gives the path of their batch.
async fn ask(site: &Site, questions: &[&str], more: Value) -> String {
    let list: Vec<Value> = questions.iter().map(|it| json!({"question": it})).collect();
    let mut body = json!({"program_id": "qa", "inputs_list": list, "max_retries": 0});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = site.http.post("/execute/batch", &body).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    format!("/batch/{}", answer.json()["batch_id"].as_str().unwrap())
}

async fn ask_via_provider(site: &Site, questions: &[&str]) -> String {
    ask(site, questions, json!({"via": "provider"})).await
}

/// What came of each item, without what differs between any two.
async fn outcomes(site: &Site, path: &str) -> Vec<Value> {
    let lines = site.http.get(&format!("{path}/results")).await.unwrap().body;
    let outcome = |line: &str| {
        let it: Value = serde_json::from_str(line).unwrap();
        json!([it["index"], it["status"], it["outputs"], it["error"], it["error_kind"]])
    };
    lines.lines().map(outcome).collect()
}

async fn until_seen(provider: &StubProvider, request: &str, count: usize) {
    let what = format!("{count} × {request}");
    until(&what, SOON, async || (provider.count(request) >= count).then_some(())).await;
}

async fn until_nothing_waits(site: &Site) {
    site.until("/stats", |it| it["outbox"]["provider"]["waiting"] == 0).await;
}

pub(crate) async fn batch_is_answered_by_its_provider(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    let up = site.up().await;
    let questions = ["one", "two", "three", "one"];

    let path = ask_via_provider(&site, &questions).await;
    let batch = site.ended(&path).await;

    assert_eq!((&batch["status"], &batch["via"]), (&json!("completed"), &json!("provider")));
    assert_eq!(batch["counts"]["succeeded"], 4);
    assert_eq!(batch["usage"]["cost"], 4.0 * HALF);
    let told = json!([{"id": "batch_1", "status": "completed", "total": 4, "completed": 4,
        "failed": 0}]);
    assert_eq!(batch["provider"]["batches"], told);
    assert_eq!((provider.count(DIRECT), provider.batches()), (0, vec!["completed"]));
    let files = provider.files();
    assert_eq!((files.len(), files[0].len()), (1, 4), "nothing may come from a cache");
    until_nothing_waits(&site).await;
    let direct = ask(&site, &questions, json!({})).await;
    assert_eq!(site.ended(&direct).await["usage"]["cost"], 4.0 * COST);
    assert_eq!(outcomes(&site, &path).await, outcomes(&site, &direct).await);
    site.check(up).await;
}

pub(crate) async fn killed_runner_has_nothing_paid_twice(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    let mut up = site.up().await;
    provider.hold();
    provider.then(FILE, Mishap::Silence);
    provider.then(BATCH, Mishap::Silence);

    let path = ask_via_provider(&site, &["one", "two"]).await;
    until_seen(&provider, FILE, 1).await;
    up.crash_runner(&site).await;
    until_seen(&provider, BATCH, 1).await;
    up.crash_runner(&site).await;
    until_seen(&provider, "GET /v1/batches/batch_1", 1).await;
    up.crash_runner(&site).await;
    provider.go_on();

    let batch = site.ended(&path).await;
    assert_eq!((&batch["counts"]["succeeded"], &batch["usage"]["cost"]), (&json!(2), &json!(COST)));
    let counts = [FILE, BATCH, DIRECT].map(|it| provider.count(it));
    assert_eq!(counts, [1, 1, 0], "{:#?}", provider.seen());
    site.check(up).await;
}

pub(crate) async fn batch_that_is_called_off_is_called_off_there(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    let up = site.up().await;
    provider.hold();
    let path = ask_via_provider(&site, &["one", "two", "three", "four"]).await;
    until_seen(&provider, "GET /v1/batches/batch_1", 1).await;

    let answer = site.http.post(&format!("{path}/cancel"), &json!({})).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(site.ended(&path).await["status"], "cancelled");
    until_nothing_waits(&site).await;

    assert_eq!(provider.batches(), ["cancelled"]);
    let retried = site.http.post(&format!("{path}/retry"), &json!({})).await.unwrap();
    assert_eq!(retried.json()["retried"], 4);
    let batch = site.ended(&path).await;
    assert_eq!(batch["counts"]["succeeded"], 4);
    assert_eq!(provider.count(DIRECT), 2, "what was finished is not paid for again");
    assert_eq!(batch["usage"]["cost"], 2.0 * HALF + 2.0 * COST);
    site.check(up).await;
}

pub(crate) async fn batch_that_a_killed_runner_made_is_called_off_too(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    let mut up = site.up().await;
    provider.hold();
    provider.then(BATCH, Mishap::Silence);
    let path = ask_via_provider(&site, &["one", "two"]).await;
    until_seen(&provider, BATCH, 1).await;
    up.runner().kill();
    if store == Store::Redis {
        site.http.post(&format!("{path}/cancel"), &json!({})).await.unwrap();
    }

    up.crash_runner(&site).await;
    if store == Store::Sqlite {
        site.http.post(&format!("{path}/cancel"), &json!({})).await.unwrap();
    }

    assert_eq!(site.ended(&path).await["status"], "cancelled");
    until_nothing_waits(&site).await;
    assert_eq!((provider.count(BATCH), provider.batches()), (1, vec!["cancelled"]));
    site.check(up).await;
}

pub(crate) async fn what_a_provider_leaves_is_asked_of_the_model(store: Store) {
    let provider = StubProvider::new(Course::Expires(2));
    let site = site(store, &provider).await;
    let up = site.up().await;

    let batch = site.ended(&ask_via_provider(&site, &["1", "2", "3", "4", "5"]).await).await;

    assert_eq!(batch["counts"]["succeeded"], 5);
    assert_eq!((provider.batches(), provider.count(DIRECT)), (vec!["expired"], 3));
    assert_eq!(batch["usage"]["cost"], 2.0 * HALF + 3.0 * COST);
    site.check(up).await;
}

pub(crate) async fn refused_request_fails_alone(store: Store) {
    let provider = StubProvider::new(Course::But("bad apple".to_owned(), 400));
    let site = site(store, &provider).await;
    let up = site.up().await;

    let path = ask_via_provider(&site, &["good", "a bad apple", "fine"]).await;
    let batch = site.ended(&path).await;

    assert_eq!((&batch["counts"]["succeeded"], &batch["counts"]["failed"]), (&json!(2), &json!(1)));
    let failed = &outcomes(&site, &path).await[1];
    assert_eq!((&failed[1], &failed[4]), (&json!("failed"), &json!("lm_error")));
    assert!(failed[3].as_str().unwrap().contains("it cannot be done"), "{failed}");
    assert_eq!(provider.count(DIRECT), 0);
    site.check(up).await;
}

pub(crate) async fn refused_batch_fails_in_the_providers_words(store: Store) {
    let refusing = StubProvider::new(Course::Fails("the quota is spent".to_owned()));
    let without = StubProvider::new(Course::Usual);
    without.has_no_batches();
    for (provider, words) in [
        (refusing, "the provider did not run batch_1: the quota is spent"),
        (without, "has no batches of its own: send the batch without `via`"),
    ] {
        let site = site(store, &provider).await;
        let up = site.up().await;

        let path = ask_via_provider(&site, &["one", "two"]).await;
        let batch = site.ended(&path).await;

        assert_eq!(batch["counts"]["failed"], 2);
        for failed in outcomes(&site, &path).await {
            assert!(failed[3].as_str().unwrap().contains(words), "{failed}");
        }
        assert_eq!(provider.count(DIRECT), 0);
        site.check(up).await;
    }
}

pub(crate) async fn provider_that_is_out_of_order_is_asked_again(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    let up = site.up().await;
    provider.then(FILE, Mishap::Status(429, 1));
    provider.then(BATCH, Mishap::Cut);
    provider.then("GET /v1/batches/batch_1", Mishap::Status(503, 0));
    provider.then("GET /v1/files/file-2/content", Mishap::Cut);

    let batch = site.ended(&ask_via_provider(&site, &["one"]).await).await;

    assert_eq!((&batch["counts"]["succeeded"], &batch["usage"]["cost"]), (&json!(1), &json!(HALF)));
    let counts = [FILE, BATCH, DIRECT].map(|it| provider.count(it));
    assert_eq!(counts, [2, 1, 0], "{:#?}", provider.seen());
    site.check(up).await;
}

pub(crate) async fn batch_that_is_let_go_is_not_waited_for(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    let up = site.up().await;
    let path = ask_via_provider(&site, &["one", "two"]).await;
    provider.hold();
    until_seen(&provider, BATCH, 1).await;

    let resumed = site.http.post(&format!("{path}/resume"), &json!({})).await.unwrap();
    assert_eq!(resumed.status, 200, "{}", resumed.body);

    assert_eq!(site.ended(&path).await["counts"]["succeeded"], 2);
    until_nothing_waits(&site).await;
    assert_eq!((provider.count(DIRECT), provider.batches()), (2, vec!["cancelled"]));
    site.check(up).await;
}

pub(crate) async fn equal_requests_are_one_line(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    let up = site.up().await;
    let questions = ["same", "same", "other", "same"];

    let more = json!({"via": "provider", "program_id": "cached"});
    let batch = site.ended(&ask(&site, &questions, more).await).await;

    assert_eq!(batch["counts"]["succeeded"], 4);
    assert_eq!((provider.files()[0].len(), provider.count(DIRECT)), (2, 0));
    assert_eq!(batch["usage"]["cost"], 2.0 * HALF);
    site.check(up).await;
}

pub(crate) async fn what_cannot_go_via_its_provider_is_refused(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    site.write_program(
        "twice",
        "lm: {model: openai/stub}\nsignatures:\n  a: 'x -> y'\n  b: 'y -> z'\nsteps: [a, b]\n",
    );
    let up = site.up().await;
    for (program, inputs, more, words) in [
        ("echo", json!({"text": "?"}), json!({}), "is the offline model"),
        ("twice", json!({"x": "?"}), json!({}), "asks more than once: it is a chain"),
        ("qa", json!({"question": "?"}), json!({"budget": 1}), "keeps to no `budget`"),
        ("qa", json!({"question": "?"}), json!({"via": "magic"}), "unknown variant `magic`"),
    ] {
        let mut body = json!({"program_id": program, "inputs_list": [inputs], "via": "provider"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());

        let answer = site.http.post("/execute/batch", &body).await.unwrap();

        assert!((400..500).contains(&answer.status), "{}", answer.body);
        assert!(answer.body.contains(words), "{}", answer.body);
    }
    assert_eq!(site.until("/batches", |_| true).await["batches"], json!([]));
    assert_eq!(provider.seen(), Vec::<String>::new());
    site.check(up).await;
}

pub(crate) async fn file_becomes_a_file_via_the_provider(store: Store) {
    let provider = StubProvider::new(Course::Usual);
    let site = site(store, &provider).await;
    let line = |it: u32| json!({"question": it.to_string()}).to_string();
    let lines: Vec<String> = (0..300).map(line).collect();
    site.write("in.jsonl", &lines.join("\n"));
    let up = site.up().await;
    let (inputs, outputs) = (site.path("in.jsonl"), site.path("out.jsonl"));
    let args = ["batch", "run", &inputs, "--program", "qa", "-o", &outputs, "--via", "provider"];

    let (content, said) = site.run(&args).await;

    assert!(content, "{said}");
    let written = std::fs::read_to_string(&outputs).unwrap();
    assert_eq!(written.lines().count(), 300);
    assert!(written.lines().all(|it| it.contains(r#""status":"succeeded""#)), "{written}");
    assert_eq!((provider.files()[0].len(), provider.count(DIRECT)), (300, 0));
    site.check(up).await;
}
