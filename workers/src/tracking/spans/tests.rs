//! Traces as steps tell them, as spans.

use std::sync::Arc;

use chrono::Utc;
use queue::{Class, Execution, ExecutionId, Fields, Report, Spec, State};
use serde_json::json;

use super::*;

fn execution(took_ms: u64) -> Execution {
    let spec = Spec {
        version: "1".to_owned(),
        class: Class::Interactive,
        tracked: true,
        ..Spec::new("qa", "me", std::time::Duration::ZERO)
    };
    Execution {
        state: State::Succeeded,
        started_at: Some(Utc::now()),
        finished_at: Some(Utc::now()),
        run_time: Some(std::time::Duration::from_millis(took_ms)),
        report: Some(Report::default()),
        ..Execution::queued(ExecutionId::new(), Arc::new(spec), Fields::new(), Utc::now())
    }
}

/// A step of a call that took so long, of which rendering and parsing took 1 ms each.
fn call(predictor: &str, at_ms: f64, lm_ms: f64) -> Value {
    json!({
        "kind": "lm", "predictor": predictor, "adapter": "ChatAdapter",
        "request": { "messages": [], "settings": { "model": "openai/stub" } },
        "reply": { "text": "a" }, "outputs": {}, "error": null,
        "render_at_ms": at_ms, "render_ms": 1.0, "lm_at_ms": at_ms + 1.0, "lm_ms": lm_ms,
        "parse_at_ms": at_ms + 1.0 + lm_ms, "parse_ms": 1.0,
    })
}

/// The spans of a program of that class: names, those above them, when they began and ended.
fn told(class: &str, took_ms: u64, steps: &Value) -> Vec<(String, Option<usize>, f64, f64)> {
    let known = Known { class: class.to_owned(), is_guess: false, signatures: HashMap::new() };
    let steps: Vec<Step> = serde_json::from_value(steps.clone()).unwrap();
    let spans = of(&execution(took_ms), &steps, &known).into_iter();
    spans.map(|it| (it.name, it.parent, it.from_ms, it.to_ms)).collect()
}

fn named(
    name: &str,
    parent: Option<usize>,
    from: f64,
    to: f64,
) -> (String, Option<usize>, f64, f64) {
    (name.to_owned(), parent, from, to)
}

#[test]
fn spans_are_when_their_steps_were_also_beside_each_other() {
    let steps = json!([call("first.predict", 2.0, 50.0), call("second", 5.0, 10.0)]);

    let told = told("Pair", 60, &steps);

    let expected = [
        named("Pair.forward", None, 0.0, 60.0),
        named("ChainOfThought.forward", Some(0), 2.0, 54.0),
        named("Predict.forward", Some(1), 2.0, 54.0),
        named("ChatAdapter.format", Some(2), 2.0, 3.0),
        named("LM.__call__", Some(2), 3.0, 53.0),
        named("ChatAdapter.parse", Some(2), 53.0, 54.0),
        named("Predict.forward", Some(0), 5.0, 17.0),
        named("ChatAdapter.format", Some(6), 5.0, 6.0),
        named("LM.__call__", Some(6), 6.0, 16.0),
        named("ChatAdapter.parse", Some(6), 16.0, 17.0),
    ];
    assert_eq!(told, expected);
}

#[test]
fn agent_that_is_asked_twice_has_two_spans() {
    let tool = |name: &str, at_ms: f64| {
        json!({
            "kind": "tool", "predictor": "agent.react", "name": name, "args": {}, "result": 1,
            "error": null, "at_ms": at_ms, "ms": 5.0,
        })
    };
    let asked = |at_ms: f64| {
        let last = call("agent.extract.predict", at_ms + 20.0, 1.0);
        [
            call("agent.react", at_ms, 1.0),
            tool("add", at_ms + 4.0),
            tool("finish", at_ms + 9.0),
            last,
        ]
    };
    let steps = Value::Array(asked(0.0).into_iter().chain(asked(100.0)).collect());

    let told = told("Helper", 200, &steps);

    let below: Vec<_> = told.iter().filter(|it| it.1 == Some(0)).cloned().collect();
    let agent = |from, to| named("ReAct.forward", Some(0), from, to);
    assert_eq!(below, [agent(0.0, 23.0), agent(100.0, 123.0)]);
    let tools: Vec<_> = told.iter().filter(|it| it.0.starts_with("Tool.")).cloned().collect();
    let tool = |parent, from, to| named("Tool.add", Some(parent), from, to);
    assert_eq!(tools, [tool(1, 4.0, 9.0), tool(12, 104.0, 109.0)]);
}

#[test]
fn model_that_a_program_asks_by_itself_has_a_span_of_its_own() {
    let mut step = call("", 3.0, 4.0);
    step["adapter"] = json!("");

    let told = told("Bare", 10, &json!([step]));

    let root = named("Bare.forward", None, 0.0, 10.0);
    assert_eq!(told, [root, named("LM.__call__", Some(0), 4.0, 8.0)]);
}
