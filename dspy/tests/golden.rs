//! The golden cases: the messages are the package's to the byte, the outputs are equal by value
//! and type, the errors by kind and sentence.
//!
//! Each file under `tests/golden/cases` is one call of the real package. What the engine does not
//! do yet is in `tests/golden/unsupported.txt`, one `id: reason` a line; a listed case that passes
//! fails the test, as does an unlisted one that does not pass.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod support;

use std::collections::BTreeMap;

use dspy::{
    Adapter, Demo, Error, Fields, FunctionCalling, LmSettings, ModuleKind, Prediction, Predictor,
    Run, Trace,
};
use serde_json::{Map, Value};
use support::{folder, neutral, plain::plain, replay::Replay};

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
    let predictor = predictor(case)?;
    let inputs = fields(&case["inputs"]);
    let overrides = settings(&case["call_kwargs"]["config"]);
    let lm = Replay::new(&case["replies"]);
    let trace = Trace::on();
    let run = Run::new(&lm, &overrides, &trace);
    let result = predictor.run(&inputs, run).await;
    check_requests(case, &lm)?;
    match (result, &case["error"]) {
        (Ok(prediction), Value::Null) => check_outputs(case, &prediction),
        (Err(error), Value::Object(expected)) => check_error(&error, expected),
        (Ok(prediction), _) => Err(format!("no error, but {:?}", prediction.outputs)),
        (Err(error), _) => Err(format!("an error: {error}")),
    }
}

fn predictor(case: &Value) -> Result<Predictor, String> {
    let program = &case["program"];
    let module = match program["class"].as_str().unwrap() {
        "Predict" => ModuleKind::Predict,
        "ChainOfThought" => ModuleKind::ChainOfThought,
        class => return Err(format!("module {class}")),
    };
    let neutral = program["predictors"].as_object().unwrap().values().next().unwrap();
    let mut signature = neutral::signature(&neutral["signature"])?;
    if module == ModuleKind::ChainOfThought {
        signature.outputs.remove(0);
    }
    let mut predictor = Predictor::new("self", signature, module);
    predictor.adapter = match (case["adapter"].as_str().unwrap(), &case["adapter_options"]) {
        ("ChatAdapter", options) => Adapter::Chat {
            json_fallback: options["use_json_adapter_fallback"] != false,
            calling: calling(options, FunctionCalling::OFF),
        },
        ("JSONAdapter", options) => {
            Adapter::Json { calling: calling(options, FunctionCalling::ON) }
        }
        (other, _) => return Err(format!("adapter {other}")),
    };
    let demos = case["call_kwargs"].get("demos").unwrap_or(&neutral["demos"]);
    predictor.demos = demos.as_array().unwrap().iter().map(|it| Demo(fields(it))).collect();
    let lm = settings(&case["lm_kwargs"]);
    let model = LmSettings { model: case["model"].as_str().map(ToOwned::to_owned), ..lm };
    predictor.settings = model.overlaid(&settings(&neutral["config"]));
    Ok(predictor)
}

fn calling(options: &Value, default: FunctionCalling) -> FunctionCalling {
    FunctionCalling {
        native: options["use_native_function_calling"].as_bool().unwrap_or(default.native),
        parallel: options["parallel_tool_calls"].as_bool(),
    }
}

fn fields(value: &Value) -> Fields {
    plain(value).as_object().cloned().unwrap_or_default()
}

/// Settings as the package's keyword arguments give them.
fn settings(kwargs: &Value) -> LmSettings {
    let mut kwargs = fields(kwargs);
    for ours in ["cache", "num_retries", "engine", "use_developer_role"] {
        kwargs.remove(ours);
    }
    let known = ["temperature", "max_tokens", "top_p", "stop", "seed", "n", "rollout_id"];
    let (known, extra): (Map<_, _>, Map<_, _>) =
        kwargs.into_iter().partition(|(name, _)| known.contains(&name.as_str()));
    let mut settings: LmSettings = serde_json::from_value(Value::Object(known)).unwrap();
    settings.extra = extra;
    settings
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
            if got["role"] != want["role"] || got["content"] != want["content"] {
                return Err(format!("message\n got {got}\nwant {want}"));
            }
        }
        if asked.messages.len() != expected.len() {
            return Err(format!("{} messages, not {}", asked.messages.len(), expected.len()));
        }
        check_body(asked, body)?;
    }
    Ok(())
}

/// The parts of the body that follow from the settings.
fn check_body(asked: &dspy::LmRequest, body: &Value) -> Checked {
    let settings = &asked.settings;
    let max_tokens = body.get("max_completion_tokens").or(body.get("max_tokens"));
    let pairs = [
        ("temperature", settings.temperature.map(Value::from), body.get("temperature")),
        ("max_tokens", settings.max_tokens.map(Value::from), max_tokens),
        ("top_p", settings.top_p.map(Value::from), body.get("top_p")),
        ("seed", settings.seed.map(Value::from), body.get("seed")),
        ("response_format", asked.response_format.clone(), body.get("response_format")),
    ];
    for (name, got, want) in pairs {
        let is_equal = match (&got, want) {
            (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
            (got, want) => got.as_ref() == want,
        };
        if !is_equal {
            return Err(format!("{name}: {got:?} instead of {want:?}"));
        }
    }
    Ok(())
}

fn check_outputs(case: &Value, prediction: &Prediction) -> Checked {
    let want = fields(&case["output"]);
    let got = &prediction.outputs;
    let is_ordered = got.keys().eq(want.keys());
    if *got != want || !is_ordered {
        return Err(format!("outputs\n got {got:?}\nwant {want:?}"));
    }
    let logged = case["log"].as_array().unwrap().iter();
    let logged: Vec<_> = logged.map(|it| it["message"].as_str().unwrap()).collect();
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
    let Error::Parse(parse) = error else { return Err(format!("another error: {error}")) };
    if expected["type"] != "AdapterParseError" || expected["adapter_name"] != parse.adapter {
        return Err(format!("{} instead of {}", parse.adapter, expected["type"]));
    }
    let want = without_links(expected["message"].as_str().unwrap());
    let got = error.to_string();
    if got == want { Ok(()) } else { Err(format!("sentence\n got {got:?}\nwant {want:?}")) }
}

/// pydantic's sentences without the links to its own, versioned pages.
fn without_links(message: &str) -> String {
    let lines = message.split('\n').filter(|it| !it.starts_with("    For further information"));
    lines.collect::<Vec<_>>().join("\n")
}
