//! What executions cost, and what stops them from costing more.

use serde_json::{Value, json};

use crate::site::{Site, Store};

/// A question to the stub reads 7 tokens and writes 5, at one dollar and two.
const PRICES: &str = r#"
["openai/stub"]
input_price = 1_000_000
output_price = 2_000_000
"#;
const COST: f64 = 17.0;

async fn site_with_prices(store: Store) -> Site {
    let site = store.site().await;
    site.write("models.toml", PRICES);
    let path = site.path("models.toml");
    site.with("LM_MODELS", &path)
}

fn ask(budget: f64) -> Value {
    json!({"program_id": "qa", "inputs": {"question": "?"}, "budget": budget, "max_retries": 0})
}

pub(crate) async fn costs_are_told(store: Store) {
    let site = site_with_prices(store).await;
    let up = site.up().await;

    let record = site.succeeded(&site.ask("?").await).await;
    let batch = site.ended(&site.ask_many(20).await).await;
    let body = json!({
        "program_id": "qa", "inputs": {"question": "?"}, "lm": {"model": "openai/gpt-4o-mini"},
    });
    let known = site.succeeded(&site.submit(&body).await).await;

    assert_eq!(record["metadata"]["usage"]["openai/stub"]["cost"], COST);
    assert_eq!(batch["usage"]["cost"], 20.0 * COST);
    let cost = known["metadata"]["usage"]["openai/gpt-4o-mini"]["cost"].as_f64().unwrap();
    assert!((cost - (7.0 * 0.15 + 5.0 * 0.6) / 1e6).abs() < 1e-12, "{cost}");
    site.check(up).await;
}

pub(crate) async fn batch_stops_at_its_budget(store: Store) {
    let site = site_with_prices(store).await;
    let up = site.up().await;
    let inputs: Vec<Value> = (0..100).map(|it| json!({"question": it.to_string()})).collect();
    let body = json!({"program_id": "qa", "inputs_list": inputs, "budget": 20.0 * COST});

    let answer = site.http.post("/execute/batch", &body).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    let path = format!("/batch/{}", answer.json()["batch_id"].as_str().unwrap());
    let batch = site.ended(&path).await;

    // Calls in flight when it is spent are paid for still: the worker has 8 slots.
    let succeeded = batch["counts"]["succeeded"].as_u64().unwrap();
    assert!((20..28).contains(&succeeded), "{batch:#}");
    assert_eq!(batch["usage"]["cost"].as_f64(), Some(succeeded as f64 * COST));
    let failed = site.http.get(&format!("{path}/results?status=failed")).await.unwrap().body;
    assert_eq!(failed.lines().count() as u64, 100 - succeeded);
    for line in failed.lines() {
        assert!(line.contains("budget_exceeded"), "{line}");
    }
    site.check(up).await;
}

pub(crate) async fn execution_stops_at_its_budget(store: Store) {
    let site = site_with_prices(store).await;
    site.write_program(
        "twice",
        "lm: {model: openai/stub}\nbudget: 10\ncache: false\nsignatures:\n  a: 'x -> y'\n  \
         b: 'y -> z'\nsteps: [a, b]\n",
    );
    let up = site.up().await;
    let twice = |more: Value| {
        let mut body = json!({"program_id": "twice", "inputs": {"x": "1"}, "max_retries": 0});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };

    let stopped = site.ended(&site.submit(&twice(json!({}))).await).await;
    site.succeeded(&site.submit(&twice(json!({"budget": 18}))).await).await;

    assert_eq!(stopped["error_kind"], "budget_exceeded", "{stopped:#}");
    assert!(stopped["error"].as_str().unwrap().contains("`budget`"), "{stopped:#}");
    assert_eq!(stopped["metadata"]["usage"]["openai/stub"]["cost"], COST);
    assert_eq!(site.lm.calls(), 3);
    site.check(up).await;
}

pub(crate) async fn budget_needs_a_price(store: Store) {
    let site = store.site().await;
    let up = site.up().await;

    let record = site.ended(&site.submit(&ask(1.0)).await).await;
    let negative = site.http.post("/execute", &ask(-1.0)).await.unwrap();

    assert_eq!((&record["status"], site.lm.calls()), (&json!("failed"), 0));
    let error = record["error"].as_str().unwrap();
    assert!(error.contains("openai/stub") && error.contains("LM_MODELS"), "{error}");
    assert_eq!(negative.status, 422, "{}", negative.body);
    assert!(negative.body.contains("/budget"), "{}", negative.body);
    site.check(up).await;
}
