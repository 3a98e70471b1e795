//! One case through the engine, and in what it differs from the package's answer.

use dspy::{Error, LmError, LmRequest, Prediction, Predictor, Run, Trace, Uncaught};
use serde_json::{Map, Value, json};

use crate::{
    plain::plain,
    program,
    replies::Replies,
    settings::{self, fields, settings},
};

/// What differs: which part, and the two sides of it.
pub(crate) struct Difference {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

type Checked = Result<(), Difference>;

/// The tags of values that JSON alone does not tell; a reply may have other keys like them.
const TAGS: [&str; 15] = [
    "$model",
    "$enum",
    "$tuple",
    "$set",
    "$dict",
    "$int",
    "$float",
    "$datetime",
    "$date",
    "$time",
    "$timedelta_s",
    "$decimal",
    "$uuid",
    "$bytes",
    "$repr",
];

fn differ(kind: &'static str, got: &impl std::fmt::Debug, want: &impl std::fmt::Debug) -> Checked {
    Err(Difference { kind, text: format!(" got {got:?}\nwant {want:?}") })
}

/// The first difference between the engine and what the oracle answered.
pub(crate) fn difference(answered: &Value) -> Option<Difference> {
    let (case, answer) = (&answered["case"], &answered["answer"]);
    check(case, answer).err()
}

fn check(case: &Value, answer: &Value) -> Checked {
    let out_of_scope = |text| Difference { kind: "not supported", text };
    let told = &case["module"];
    let inner = told.as_object().and_then(|it| it.values().next()).unwrap_or(told);
    let predictor = program::predictor(case, answer, inner).map_err(out_of_scope)?;
    check_instructions(answer, &predictor)?;
    let module = program::module(case, answer).map_err(out_of_scope)?;
    let (lm, overrides, trace) = (Replies::of(case), settings(&case["request"]), Trace::on());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let inputs = fields(&answer["inputs"]);
    let result = runtime.block_on(module.run(&inputs, Run::new(&lm, &overrides, &trace)));
    check_requests(&lm.into_requests(), answer)?;
    match result {
        Ok(prediction) => check_outputs(case, answer, &prediction),
        Err(error) => check_error(answer, &error),
    }
}

/// Written instructions are cleaned as the package cleans them.
fn check_instructions(answer: &Value, predictor: &Predictor) -> Checked {
    let got = predictor.full_signature().instructions.clone();
    let want = answer["signature"]["instructions"].as_str().unwrap();
    if got == want { Ok(()) } else { differ("instructions", &got.as_str(), &want) }
}

fn check_requests(asked: &[LmRequest], answer: &Value) -> Checked {
    let bodies = answer["bodies"].as_array().unwrap();
    for (asked, body) in asked.iter().zip(bodies) {
        let mut messages = asked.messages.clone();
        // The package's client does not send the names of tools that answer.
        for message in &mut messages {
            message.name = None;
        }
        let got = serde_json::to_value(&messages).unwrap();
        let (got, want) = (got.as_array().unwrap(), body["messages"].as_array().unwrap());
        for (got, want) in got.iter().zip(want) {
            if got != want {
                return differ("message", got, want);
            }
        }
        if got.len() != want.len() {
            return differ("messages", &got.len(), &want.len());
        }
        if let Some(text) = settings::difference(asked, body) {
            return Err(Difference { kind: "body", text });
        }
    }
    // Where the package cannot write a list of something else for a text field, the engine can;
    // a strategy prints that its attempts failed by it.
    let (error, printed) = (answer["error"]["message"].as_str(), answer["printed"].as_str());
    let is_slip = error.is_some_and(|it| it.ends_with("is not iterable"))
        || printed.is_some_and(|it| it.contains("is not iterable\n"));
    if asked.len() == bodies.len() || is_slip {
        return Ok(());
    }
    differ("requests", &asked.len(), &(bodies.len(), &answer["error"]))
}

fn check_outputs(case: &Value, answer: &Value, prediction: &Prediction) -> Checked {
    if answer["bodies"] == json!([]) {
        return Ok(());
    }
    // What is no text `dspy.majority` cannot compare, and the engine compares as it is shown.
    let slip = answer["error"]["message"].as_str().unwrap_or_default();
    if slip.starts_with("normalize() argument 2") {
        return Ok(());
    }
    let got = Value::Object(prediction.outputs.clone());
    if !is_same(&got, &answer["outputs"]) {
        let error = answer["error"]["message"].as_str().unwrap_or_default();
        return differ("outputs", &got.to_string(), &format!("{}{error}", answer["outputs"]));
    }
    // The package warns of plain data where it wants an object of Python's; JSON has no other.
    let types = case["signature"]["fields"].to_string();
    let types = types.replace(r#""key":{"kind":"str"}"#, "").replace(r#""key":{"kind":"any"}"#, "");
    let others = ["\"ref\"", "set\"", "\"tuple\"", r#""key":{"#];
    let is_plain = !others.iter().any(|it| types.contains(it));
    let want: Vec<_> =
        answer["log"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let got: Vec<_> = prediction.warnings.iter().map(String::as_str).collect();
    if got == want || !is_plain { Ok(()) } else { differ("warnings", &got, &want) }
}

/// Equality of value, type and order with a tagged value; only sets have no order.
fn is_same(got: &Value, tagged: &Value) -> bool {
    match (got, tagged) {
        (Value::Array(got), Value::Array(want)) => {
            got.len() == want.len() && got.iter().zip(want).all(|(got, want)| is_same(got, want))
        }
        (got, Value::Object(map)) if map.keys().any(|it| TAGS.contains(&it.as_str())) => {
            is_same_as_tagged(got, map)
        }
        (Value::Object(got), Value::Object(want)) => {
            let mut pairs = got.iter().zip(want);
            got.len() == want.len()
                && pairs.all(|(got, want)| got.0 == want.0 && is_same(got.1, want.1))
        }
        (got, want) => got == want,
    }
}

fn is_same_as_tagged(got: &Value, tagged: &Map<String, Value>) -> bool {
    if let Some(value) = tagged.get("shown") {
        return is_same(got, value);
    }
    if let Some(value) =
        tagged.get("value").filter(|_| tagged.get("$model") != Some(&json!("ToolCalls")))
    {
        return is_same(got, value);
    }
    if let (Some(Value::Array(want)), Value::Array(got)) = (tagged.get("$set"), got) {
        let is_in = |want: &Value| got.iter().any(|got| is_same(got, want));
        return got.len() == want.len() && want.iter().all(is_in);
    }
    if let Some(want) = tagged.get("$tuple") {
        return is_same(got, want);
    }
    if let (Some(Value::Array(want)), Value::Object(got)) = (tagged.get("$dict"), got) {
        let names = plain(&Value::Object(tagged.clone()));
        let is_each =
            |(name, pair): (&String, &Value)| got.get(name).is_some_and(|it| is_same(it, &pair[1]));
        let names = names.as_object().unwrap();
        return names.len() == got.len()
            && (names.len() < want.len() || names.keys().zip(want).all(is_each));
    }
    if let Some(Value::String(digits)) = tagged.get("$int") {
        let large = digits
            .parse::<u64>()
            .map_or_else(|_| json!(digits.parse::<f64>().unwrap()), Value::from);
        return *got == large || *got == "Infinity" || *got == "-Infinity";
    }
    if let (Some("complex"), Some(text)) =
        (tagged.get("$type").and_then(Value::as_str), tagged.get("$repr").and_then(Value::as_str))
    {
        return *got == text.trim_matches(['(', ')']);
    }
    *got == plain(&Value::Object(tagged.clone()))
}

fn check_error(answer: &Value, error: &Error) -> Checked {
    // Where every attempt failed, the package gives nothing, and the engine why.
    if answer["bodies"] == json!([]) || (answer["error"].is_null() && answer["outputs"].is_null()) {
        return Ok(());
    }
    // The package gives an ellipsis, and falls over it only where it is written as JSON.
    let given = answer["outputs"].to_string() + &answer["completions"].to_string();
    let is_unwritable = error.to_string().contains("is of type ellipsis, which JSON cannot hold");
    if is_unwritable && given.contains(r#""$type":"ellipsis""#) {
        return Ok(());
    }
    let want = answer["error"]["message"].as_str().map(without_links).unwrap_or_default();
    let kind = answer["error"]["type"].as_str().unwrap_or("none");
    let got = error.to_string();
    let is_same = match error {
        Error::Parse(parse) => match parse.uncaught {
            None => kind == "AdapterParseError" && got == want,
            Some(Uncaught::Assertion) => kind == "AssertionError",
            Some(Uncaught::Recursion) => kind == "RecursionError",
            Some(Uncaught::Type) => kind == "TypeError" && got.contains(&want),
            Some(Uncaught::Value) => kind == "ValueError" && got.contains(&want),
        },
        Error::Lm(LmError::Configuration(_)) => kind == "LMConfigurationError" && got == want,
        Error::Program(_) => kind == "ValueError" && got == want,
        Error::Lm(_) | Error::Inputs(_) | Error::Tools(_) | Error::Step { .. } => false,
    };
    if is_same {
        return Ok(());
    }
    differ("error", &got, &format!("{kind}: {want}{}", answer["outputs"]))
}

/// pydantic's sentences without the links to its own, versioned pages.
fn without_links(message: &str) -> String {
    let lines = message.split('\n').filter(|it| !it.starts_with("    For further information"));
    lines.collect::<Vec<_>>().join("\n")
}
