//! What an endpoint answered, read as a reply or as one of the errors that callers tell apart.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dspy::{LmError, LmReply, ToolCall, Usage};
use reqwest::{StatusCode, header::HeaderMap};
use serde::Deserialize;
use serde_json::Value;

/// The longest part of an answer that an error quotes.
const QUOTE_CHARS_MAX: usize = 500;

#[derive(Deserialize)]
pub(super) struct Completion {
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) usage: Option<Tokens>,
    #[serde(default)]
    pub(super) error: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    pub(super) message: Option<Message>,
    pub(super) finish_reason: Option<String>,
}

/// What the model says: all of it, or a piece.
#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) content: Option<Value>,
    pub(super) reasoning_content: Option<String>,
    pub(super) reasoning: Option<String>,
    #[serde(default)]
    pub(super) tool_calls: Option<Vec<Value>>,
    #[serde(default)]
    pub(super) provider_specific_fields: Option<Value>,
}

/// Some servers say null for what they did not count.
#[derive(Deserialize, Default)]
pub(super) struct Tokens {
    #[serde(rename = "prompt_tokens")]
    prompt: Option<u64>,
    #[serde(rename = "completion_tokens")]
    completion: Option<u64>,
    #[serde(rename = "total_tokens")]
    total: Option<u64>,
    #[serde(rename = "prompt_tokens_details")]
    read: Option<Read>,
    /// DeepSeek's word for those that it had.
    #[serde(rename = "prompt_cache_hit_tokens")]
    hit: Option<u64>,
}

/// The tokens read, by kind.
#[derive(Deserialize, Default)]
struct Read {
    cached_tokens: Option<u64>,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let (prompt_tokens, completion_tokens) =
            (tokens.prompt.unwrap_or(0), tokens.completion.unwrap_or(0));
        let sum = prompt_tokens.saturating_add(completion_tokens);
        let cached = tokens.read.and_then(|it| it.cached_tokens).or(tokens.hit);
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: tokens.total.unwrap_or(sum),
            cached_tokens: cached.unwrap_or(0).min(prompt_tokens),
        }
    }
}

/// Reads the body of a successful answer.
pub(super) fn read(body: &[u8], model: &str) -> Result<LmReply, LmError> {
    let completion = serde_json::from_slice(body).map_err(|error| no_completion(&error, body))?;
    of(completion, model)
}

/// What came is not what was asked for.
pub(super) fn no_completion(error: &serde_json::Error, body: &[u8]) -> LmError {
    let quote = quote(&String::from_utf8_lossy(body));
    LmError::InvalidResponse(format!("the model's answer is not a completion ({error}): {quote}"))
}

/// More came than was asked for, or nothing.
pub(super) fn not_one_choice() -> LmError {
    let text = "the model's answer must have exactly one choice";
    LmError::InvalidResponse(text.to_owned())
}

/// The reply that a completion holds.
pub(super) fn of(completion: Completion, model: &str) -> Result<LmReply, LmError> {
    if let Some(error) = completion.error.filter(|it| !it.is_null()) {
        return Err(inner_error(&error));
    }
    let mut choices = completion.choices.into_iter();
    let (Some(choice), None) = (choices.next(), choices.next()) else {
        return Err(not_one_choice());
    };
    let Some(message) = choice.message else {
        return Err(LmError::InvalidResponse("the model's answer has no message".to_owned()));
    };
    Ok(LmReply {
        text: text(message.content)?,
        reasoning: message.reasoning_content.or(message.reasoning).filter(|it| !it.is_empty()),
        tool_calls: tool_calls(message.tool_calls.unwrap_or_default())?,
        citations: citations(message.provider_specific_fields.as_ref()),
        finish_reason: choice.finish_reason,
        usage: completion.usage.unwrap_or_default().into(),
        model: model.to_owned(),
        served_by: completion.model,
    })
}

/// The text of a message: a string, or parts of which some are text.
pub(super) fn text(content: Option<Value>) -> Result<Option<String>, LmError> {
    match content {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Array(parts)) => {
            Ok(Some(parts.iter().filter_map(|part| part["text"].as_str()).collect()))
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            Err(LmError::InvalidResponse("the content of the model's answer is no text".to_owned()))
        }
    }
}

/// The calls of functions; other kinds of calls are none of ours. A call without an id gets one, so
/// that an answer can refer to it.
fn tool_calls(calls: Vec<Value>) -> Result<Vec<ToolCall>, LmError> {
    let unnamed = || {
        let text = "the model's answer calls a tool without naming it";
        LmError::InvalidResponse(text.to_owned())
    };
    let mut read = Vec::with_capacity(calls.len());
    for (i, call) in calls.into_iter().enumerate() {
        if !matches!(call["type"].as_str(), None | Some("" | "function")) {
            continue;
        }
        let mut call: ToolCall = serde_json::from_value(call).map_err(|_| unnamed())?;
        if call.name.is_empty() {
            return Err(unnamed());
        }
        if call.id.is_empty() {
            call.id = format!("call_{i}");
        }
        read.push(call);
    }
    Ok(read)
}

/// What the model quotes: LiteLLM's place for it, citations or lists of them.
pub(super) fn citations(fields: Option<&Value>) -> Vec<Value> {
    let Some(Value::Array(groups)) = fields.map(|it| it["citations"].clone()) else {
        return Vec::new();
    };
    let group = |it| if let Value::Array(citations) = it { citations } else { vec![it] };
    groups.into_iter().flat_map(group).collect()
}

/// An error inside an answer that claims success, as some gateways give.
pub(super) fn inner_error(error: &Value) -> LmError {
    let status = error["code"].as_u64().and_then(|it| u16::try_from(it).ok());
    let status = status.and_then(|it| StatusCode::from_u16(it).ok());
    let status = status.filter(|it| !it.is_success()).unwrap_or(StatusCode::BAD_GATEWAY);
    error_of(status, None, &serde_json::json!({"error": error}).to_string())
}

/// Reads an answer that is not successful.
pub(super) fn error_of(status: StatusCode, wait: Option<Duration>, body: &str) -> LmError {
    let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let code = [&value["error"]["code"], &value["error"]["type"]]
        .map(|it| it.as_str().unwrap_or_default().to_owned())
        .join(" ");
    let said = [&value["error"]["message"], &value["message"], &value["detail"], &value["error"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or(body);
    let message = format!("the model's endpoint answered {}: {}", status.as_u16(), quote(said));
    LmError::answered(status.as_u16(), &code, message, wait)
}

/// How long the endpoint asks to wait: seconds, milliseconds, or until a date.
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text("retry-after-ms").and_then(|it| it.parse::<f64>().ok()).map(|it| it / 1000.0);
    let said = text("retry-after");
    let seconds = millis.or_else(|| said?.parse().ok());
    if let Some(seconds) = seconds {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = DateTime::parse_from_rfc2822(said?).ok()?;
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

fn quote(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => "(nothing)".to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(body: &str) -> Result<LmReply, LmError> {
        read(body.as_bytes(), "openai/m")
    }

    #[test]
    fn text_reasoning_and_usage_are_read() {
        let reply = read_text(
            r#"{"choices":[{"message":{"content":"hi","reasoning_content":"hm"},
                "finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        )
        .unwrap();

        assert_eq!((reply.text.as_deref(), reply.reasoning.as_deref()), (Some("hi"), Some("hm")));
        assert_eq!(reply.usage.total_tokens, 7);
        assert_eq!((reply.finish_reason.as_deref(), &*reply.model), (Some("stop"), "openai/m"));
    }

    #[test]
    fn tokens_that_the_provider_had_in_its_cache_are_told() {
        let cached = |usage: &str| {
            let body = r#"{"choices":[{"message":{"content":"hi"}}],"usage":USAGE}"#;
            read_text(&body.replace("USAGE", usage)).unwrap().usage.cached_tokens
        };

        let openai = r#"{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":8}}"#;
        assert_eq!(cached(openai), 8);
        assert_eq!(cached(r#"{"prompt_tokens":9,"prompt_cache_hit_tokens":7}"#), 7);
        assert_eq!(cached(r#"{"prompt_tokens":9,"prompt_tokens_details":null}"#), 0);
        assert_eq!(cached(r#"{"prompt_tokens":9,"prompt_cache_hit_tokens":99}"#), 9, "not more");
    }

    #[test]
    fn null_content_is_no_text_and_parts_are_joined() {
        let null = read_text(r#"{"choices":[{"message":{"content":null}}],"usage":null}"#).unwrap();
        let parts = read_text(
            r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"text":"b"}]}}]}"#,
        );

        assert_eq!((null.text, null.usage), (None, Usage::default()));
        assert_eq!(parts.unwrap().text.as_deref(), Some("ab"));
    }

    #[test]
    fn calls_of_tools_are_read_and_named() {
        let of = |calls: &str| {
            let body = r#"{"choices":[{"message":{"content":null,"tool_calls":CALLS}}]}"#;
            read_text(&body.replace("CALLS", calls)).map(|it| it.tool_calls)
        };

        let calls = of(r#"[{"id":"c1","function":{"name":"f","arguments":"{\"a\":1}"}},
            {"id":null,"type":"function","function":{"name":"g","arguments":""}},
            {"type":"custom","custom":{}}]"#);
        let names: Vec<_> =
            calls.unwrap().into_iter().map(|it| (it.id, it.name, it.args)).collect();

        let args = serde_json::json!({"a": 1}).as_object().unwrap().clone();
        let second = ("call_1".to_owned(), "g".to_owned(), dspy::Fields::new());
        assert_eq!(names, [("c1".to_owned(), "f".to_owned(), args), second]);
        assert!(of("null").unwrap().is_empty());
        assert_eq!(of(r#"[{"function":{}}]"#).unwrap_err().code(), "provider");
    }

    #[test]
    fn quotes_of_documents_are_read() {
        let body = r#"{"choices":[{"message":{"content":"a","provider_specific_fields":
            {"citations":[[{"cited_text":"x"}],{"cited_text":"y"}]}}}]}"#;

        assert_eq!(read_text(body).unwrap().citations.len(), 2);
        assert!(read_text(&body.replace("citations", "other")).unwrap().citations.is_empty());
    }

    #[test]
    fn what_is_no_completion_is_invalid() {
        let bodies = [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":[{}]}"#,
            r#"{"choices":[{"message":{"content":5}}]}"#,
            r#"{"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}]}"#,
        ];
        for body in bodies {
            let error = read_text(body).unwrap_err();
            assert!(matches!(error, LmError::InvalidResponse(_)), "{body}: {error:?}");
        }
    }

    #[test]
    fn an_error_within_a_success_is_an_error() {
        let body = r#"{"error":{"code":429,"message":"slow down"}}"#;
        assert_eq!(read_text(body).unwrap_err().code(), "rate_limit");
        assert_eq!(read_text(r#"{"error":"broken"}"#).unwrap_err().code(), "server");
    }

    #[test]
    fn statuses_are_told_apart_as_dspy_does() {
        let quota = r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#;
        let long = r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#;
        let cases = [
            (400, "{}", "invalid_request"),
            (400, long, "context_window_exceeded"),
            (401, "", "auth"),
            (402, "", "billing"),
            (403, "", "auth"),
            (404, "", "unsupported_model"),
            (408, "", "timeout"),
            (413, "", "invalid_request"),
            (422, "", "invalid_request"),
            (429, "", "rate_limit"),
            (429, quota, "billing"),
            (500, "", "server"),
            (529, "", "server"),
            (302, "", "provider"),
        ];
        for (status, body, code) in cases {
            let error = error_of(StatusCode::from_u16(status).unwrap(), None, body);
            assert_eq!(error.code(), code, "{status} {body}");
        }
    }

    #[test]
    fn errors_quote_the_endpoint_and_not_all_of_it() {
        let said = error_of(StatusCode::BAD_REQUEST, None, r#"{"error":{"message":"no"}}"#);
        assert_eq!(said.to_string(), "the model's endpoint answered 400: no");
        let page = error_of(StatusCode::BAD_GATEWAY, None, &"é".repeat(10_000));
        assert!(page.to_string().chars().count() < QUOTE_CHARS_MAX + 100);
    }

    #[test]
    fn retry_after_is_seconds_milliseconds_or_a_date() {
        let now = "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let of = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static(name),
                reqwest::header::HeaderValue::from_static(value),
            )]);
            retry_after(&headers, now).map(|it| it.as_millis())
        };
        assert_eq!(of("retry-after", "7"), Some(7000));
        assert_eq!(of("retry-after", " 1.5"), Some(1500));
        assert_eq!(of("retry-after-ms", "20"), Some(20));
        assert_eq!(of("retry-after", "Thu, 01 Jan 2026 00:00:09 GMT"), Some(9000));
        assert_eq!(of("retry-after", "Wed, 31 Dec 2025 00:00:09 GMT"), Some(0));
        assert_eq!(of("retry-after", "soon"), None);
        assert_eq!(of("retry-after", "-3"), None);
        assert_eq!(of("x", "3"), None);
    }
}
