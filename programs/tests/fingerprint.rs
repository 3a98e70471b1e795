//! Which requests are equal, and what a request may change of a program's language model.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use dspy::Fields;
use programs::{Program, Registry};
use serde_json::{Value, json};

fn program(lm: &str) -> Program {
    let text = format!(
        "name: x\nlm: {lm}\nsignatures: {{main: {{inputs: {{a: Any, tone: {{default: mild}}}}, \
         outputs: [b]}}}}\n"
    );
    Registry::parse(&text, "x").unwrap_or_else(|e| panic!("{e}"))
}

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

fn of(inputs: &str, overrides: &str) -> String {
    let parse = |text| serde_json::from_str(text).unwrap();
    program("{model: dummy/x, temperature: 0.5}").fingerprint(&parse(inputs), &parse(overrides))
}

#[test]
fn equal_requests_have_one_fingerprint() {
    let first = of(r#"{"a": {"x": 1, "y": [1000.0]}, "tone": "mild"}"#, "{}");

    assert_eq!(first.len(), 64);
    for (inputs, overrides) in [
        (r#"{"tone": "mild", "a": {"y": [1e3], "x": 1}}"#, "{}"),
        (r#"{"a": {"x": 1, "y": [1000.0]}}"#, "{}"),
        (r#"{"a": {"x": 1, "y": [1000.0]}}"#, r#"{"temperature": 0.5}"#),
    ] {
        assert_eq!(of(inputs, overrides), first, "{inputs} {overrides}");
    }
}

#[test]
fn requests_that_may_be_answered_otherwise_have_another() {
    let first = of(r#"{"a": [1, 2]}"#, "{}");

    for (inputs, overrides) in [
        (r#"{"a": [2, 1]}"#, "{}"),
        (r#"{"a": [12]}"#, "{}"),
        (r#"{"a": "[1,2]"}"#, "{}"),
        (r#"{"a": [1.0, 2]}"#, "{}"),
        (r#"{"a": [1, 2], "tone": "wild"}"#, "{}"),
        (r#"{"a": [1, 2]}"#, r#"{"temperature": 0.6}"#),
        (r#"{"a": [1, 2]}"#, r#"{"rollout_id": 1}"#),
    ] {
        assert_ne!(of(inputs, overrides), first, "{inputs} {overrides}");
    }
}

#[test]
fn another_endpoint_is_another_request() {
    let one = program("{model: m, api_base: 'http://one/v1'}");
    let two = program("{model: m, api_base: 'http://two/v1'}");
    let inputs = fields(json!({"a": 1}));

    let (one, two) =
        (one.fingerprint(&inputs, &Fields::new()), two.fingerprint(&inputs, &Fields::new()));

    assert_ne!(one, two);
}

#[test]
fn a_request_may_change_how_the_model_answers() {
    let lm = program("{model: m, temperature: 0.5, api_base: 'http://one/v1', extra: {a: 1}}").lm;
    let overrides = json!({
        "model": "dummy/y", "max_tokens": 10, "stop": "x", "n": 2, "seed": -1, "top_p": 0.9,
        "rollout_id": 3, "extra": {"b": 2}, "fallbacks": ["z"],
    });

    let changed = lm.with_overrides(&fields(overrides)).unwrap();

    let wanted = json!({
        "model": "dummy/y", "temperature": 0.5, "max_tokens": 10, "stop": ["x"], "n": 2,
        "seed": -1, "top_p": 0.9, "rollout_id": 3, "extra": {"a": 1, "b": 2},
        "fallbacks": ["z"], "api_base": "http://one/v1",
    });
    assert_eq!(serde_json::to_value(changed).unwrap(), wanted);
}

#[test]
fn a_request_may_not_change_where_the_keys_go() {
    let lm = program("{model: m}").lm;

    for (overrides, told) in [
        (
            json!({"api_base": "http://evil"}),
            "lm.api_base: the endpoint belongs to the program, not to a request",
        ),
        (
            json!({"api_key_env": "SECRET"}),
            "lm.api_key_env: the endpoint belongs to the program, not to a request",
        ),
        (json!({"api_key": "sk"}), "lm.api_key: keys are never sent in a request"),
        (json!({"extra": {"h": [{"X-Api-Key": 1}]}}), "lm.extra.X-Api-Key: may not be set there"),
        (json!({"extra": {"messages": []}}), "lm.extra.messages: may not be set there"),
        (json!({"temperature": "hot"}), "lm.temperature: must be a number, 0 or more"),
        (json!({"n": 65}), "lm.n: must be a whole number from 1 to 64"),
        (json!({"model": " "}), "lm.model: must be a text that is not empty"),
        (
            json!({"temprature": 1}),
            "lm.temprature: is no setting; known are model, temperature, max_tokens, top_p, stop, \
             seed, n, rollout_id, extra, fallbacks",
        ),
    ] {
        let error = lm.with_overrides(&fields(overrides)).unwrap_err();
        assert_eq!(error.to_string(), told);
    }
}
