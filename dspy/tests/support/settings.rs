//! Settings of models as the package's keyword arguments and its requests have them.

use dspy::{Fields, LmRequest, LmSettings};
use serde_json::{Map, Value};

use super::plain::plain;

/// Named values without tags.
pub(crate) fn fields(value: &Value) -> Fields {
    plain(value).as_object().cloned().unwrap_or_default()
}

/// Settings as the package's keyword arguments give them.
pub(crate) fn settings(kwargs: &Value) -> LmSettings {
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

/// The first part of a body that does not follow from the settings of the request.
pub(crate) fn difference(asked: &LmRequest, body: &Value) -> Option<String> {
    let settings = &asked.settings;
    let max_tokens = body.get("max_completion_tokens").or(body.get("max_tokens"));
    let pairs = [
        ("temperature", settings.temperature.map(Value::from), body.get("temperature")),
        ("max_tokens", settings.max_tokens.map(Value::from), max_tokens),
        ("top_p", settings.top_p.map(Value::from), body.get("top_p")),
        ("seed", settings.seed.map(Value::from), body.get("seed")),
        ("stop", settings.stop.clone().map(Value::from), body.get("stop")),
        ("response_format", asked.response_format.clone(), body.get("response_format")),
    ];
    let names =
        ["tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "frequency_penalty"];
    let apart = names.map(|name| (name, settings.extra.get(name).cloned(), body.get(name)));
    for (name, got, want) in pairs.into_iter().chain(apart) {
        let is_equal = match (&got, want) {
            (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
            (got, want) => got.as_ref() == want,
        };
        if !is_equal {
            let shown = |it: Option<&Value>| it.map_or("nothing".to_owned(), ToString::to_string);
            return Some(format!("{name}\n got {}\nwant {}", shown(got.as_ref()), shown(want)));
        }
    }
    None
}
