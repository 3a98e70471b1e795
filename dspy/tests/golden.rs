//! The golden cases: the messages are the package's to the byte, the outputs are equal by value
//! and type, the errors by kind and sentence.
//!
//! Each file under `tests/golden/cases` is one call of the real package. What the engine does not
//! do yet is in `tests/golden/unsupported.txt`, one `id: reason` a line; a listed case that passes
//! fails the test, as does an unlisted one that does not pass.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod support;

use std::collections::BTreeMap;

use dspy::{Error, LmError, Prediction, Run, Trace};
use serde_json::{Map, Value};
use support::{
    folder,
    plain::plain,
    program::{self, Letters, RecordedTools, without_traceback},
    replay::Replay,
    settings::{difference, fields, settings},
};

type Checked = Result<(), String>;

#[tokio::test]
async fn cases_are_replayed_as_the_package_ran_them() {
    let unsupported = unsupported();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder().join("cases")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let case: Value = serde_json::from_str(&text).unwrap();
        let id = case["id"].as_str().unwrap().to_owned();
        count += 1;
        match (check(&case).await, unsupported.get(&id)) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(reason)) => wrong.push(format!("{id} passes, but is listed: {reason}")),
            (Err(why), None) => wrong.push(format!("{id}: {why}")),
        }
    }
    wrong.sort();

    assert!(count > 50, "only {count} cases were found");
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
}

fn unsupported() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join("unsupported.txt")).unwrap();
    let lines = text.lines().filter_map(|it| it.split_once(": "));
    lines.map(|(id, reason)| (id.to_owned(), reason.to_owned())).collect()
}

async fn check(case: &Value) -> Checked {
    let parameters = parameters(case);
    let module = program::module(case, &parameters)?;
    let mut inputs = fields(&case["inputs"]);
    inputs.extend(fields(&parameters["inputs"]));
    let overrides = settings(&case["call_kwargs"]["config"]);
    let lm = Replay::new(case);
    let tools = RecordedTools::new(case, &parameters);
    let trace = Trace::on();
    let run = Run { tools: &tools, embedder: &Letters, ..Run::new(&lm, &overrides, &trace) };
    let result = module.run(&inputs, run).await;
    check_requests(case, &lm)?;
    match (result, &case["error"]) {
        (Ok(prediction), Value::Null) => check_outputs(case, &prediction),
        (Err(error), Value::Object(expected)) => check_error(&error, expected),
        (Ok(prediction), _) => Err(format!("no error, but {:?}", prediction.outputs)),
        (Err(error), _) => Err(format!("an error: {error}")),
    }
}

/// What the recorder does not keep of a case's modules.
fn parameters(case: &Value) -> Value {
    let text = std::fs::read_to_string(folder().join("parameters.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all[case["id"].as_str().unwrap()].clone()
}

fn check_requests(case: &Value, lm: &Replay) -> Checked {
    let asked = lm.requests.lock().unwrap();
    let recorded = case["requests"].as_array().unwrap();
    if asked.len() != recorded.len() {
        return Err(format!("{} requests instead of {}", asked.len(), recorded.len()));
    }
    for (asked, recorded) in asked.iter().zip(recorded) {
        let body = &recorded["body"];
        let messages = serde_json::to_value(&asked.messages).unwrap();
        let empty = Vec::new();
        let expected = body["messages"].as_array().unwrap_or(&empty);
        for (got, want) in messages.as_array().unwrap().iter().zip(expected) {
            let content = want["content"].as_str().map(|it| Value::from(without_traceback(it)));
            let content = content.as_ref().unwrap_or(&want["content"]);
            let differs = |name: &str| got.get(name) != want.get(name);
            let is_other = ["role", "tool_call_id", "tool_calls"].into_iter().any(differs);
            if is_other || got["content"] != *content {
                return Err(format!("message\n got {got}\nwant {want}"));
            }
        }
        if asked.messages.len() != expected.len() {
            return Err(format!("{} messages, not {}", asked.messages.len(), expected.len()));
        }
        if let Some(difference) = difference(asked, body) {
            return Err(difference);
        }
    }
    Ok(())
}

fn check_outputs(case: &Value, prediction: &Prediction) -> Checked {
    let mut want = fields(&case["output"]);
    if let Some(Value::Object(trajectory)) = want.get_mut("trajectory") {
        for seen in trajectory.values_mut().filter_map(|it| Some((it.as_str()?.to_owned(), it))) {
            *seen.1 = without_traceback(&seen.0).into();
        }
    }
    let got = &prediction.outputs;
    let is_ordered = got.keys().eq(want.keys());
    if *got != want || !is_ordered {
        return Err(format!("outputs\n got {got:?}\nwant {want:?}"));
    }
    let logged = case["log"].as_array().unwrap().iter();
    let logged: Vec<_> =
        logged.map(|it| without_traceback(it["message"].as_str().unwrap())).collect();
    if logged != prediction.warnings {
        return Err(format!("warnings\n got {:?}\nwant {logged:?}", prediction.warnings));
    }
    let completions = plain(&case["completions"]);
    for (name, values) in completions.as_object().unwrap_or(&Map::new()) {
        let got: Vec<_> = prediction.completions.iter().map(|it| it[name].clone()).collect();
        if Value::Array(got.clone()) != *values {
            return Err(format!("completions of {name}: {got:?} instead of {values}"));
        }
    }
    Ok(())
}

fn check_error(error: &Error, expected: &Map<String, Value>) -> Checked {
    let kind = expected["type"].as_str().unwrap();
    let got = error.to_string();
    let want = without_links(expected["message"].as_str().unwrap());
    let (is_kind, is_sentence) = match error {
        Error::Parse(parse) => {
            let is_kind = kind == "AdapterParseError" && expected["adapter_name"] == parse.adapter;
            (is_kind, got == want)
        }
        Error::Program(_) => (kind == "ValueError", got == want),
        // What the endpoint said is the gateway's to tell, and its tests hold it.
        Error::Lm(LmError::InvalidResponse(_)) => (kind == "LMProviderError", true),
        Error::Lm(error) => (expected["code"] == error.code(), want.contains(&got)),
        Error::Inputs(_) | Error::Tools(_) | Error::Step { .. } => {
            return Err(format!("another error: {error}"));
        }
    };
    match (is_kind, is_sentence) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("{got} instead of {kind}")),
        (true, false) => Err(format!("sentence\n got {got:?}\nwant {want:?}")),
    }
}

/// pydantic's sentences without the links to its own, versioned pages.
fn without_links(message: &str) -> String {
    let lines = message.split('\n').filter(|it| !it.starts_with("    For further information"));
    lines.collect::<Vec<_>>().join("\n")
}
