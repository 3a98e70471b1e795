//! The offline model: answers every signature without a network, the same prompt always alike.
//!
//! Its names begin with `dummy/`; what follows says how it behaves, parts joined by `+`:
//!
//! | name | behaviour |
//! |---|---|
//! | `dummy/echo` | text outputs repeat the first input |
//! | `dummy/slow-200ms`, `dummy/slow-2s` | answers after that time |
//! | `dummy/fail` | fails as a provider with a fault does |
//! | `dummy/rate-limited` | refuses, as a provider under load does |
//! | `dummy/garbage` | answers in no format |
//! | `dummy/slow-1s+fail` | both, in this order |
//! | anything else | answers |
//!
//! It reads the fields from the prompt, so it serves programs rendered elsewhere as well.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of JSON's types goes one and the same way"
)]

mod embedding;
mod prompt;
mod values;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use embedding::DummyEmbedder;

use crate::{Capabilities, Lm, LmError, LmReply, LmRequest, Message, Type, Usage, python::json};
use prompt::{Asked, ELEMENTS, Prompt, Wanted};
use values::Values;

/// The longest delay.
const SLOW_MAX: Duration = Duration::from_secs(3600);

/// Characters a token, roughly.
const TOKEN_CHARS: usize = 4;

/// A deterministic model that needs no network; its names begin with `dummy/`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DummyLm;

/// How a model of this name behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Behaviour {
    delay: Duration,
    mood: Mood,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Answer,
    Echo,
    Fail,
    RateLimited,
    Garbage,
}

#[async_trait]
impl Lm for DummyLm {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let model = request.settings.model.as_deref().unwrap_or("dummy/answer");
        let Behaviour { delay, mood } = Behaviour::of(model);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let asked = written(request);
        let text = match mood {
            Mood::Answer => answer(request, &asked, false),
            Mood::Echo => answer(request, &asked, true),
            Mood::Garbage => "(offline dummy model) garbage: ]][ {{ no field is here".to_owned(),
            Mood::Fail => {
                let message = "the offline dummy model fails, as asked".to_owned();
                return Err(LmError::Server { message, status: Some(500) });
            }
            Mood::RateLimited => {
                let message = "the offline dummy model is rate limited, as asked".to_owned();
                return Err(LmError::RateLimited { message, retry_after: None });
            }
        };
        Ok(reply(&asked, model, text))
    }

    /// It answers what a schema describes: so even where the prompt does not describe it.
    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities { response_format: true, response_schema: true, ..Capabilities::default() }
    }
}

impl Behaviour {
    fn of(model: &str) -> Self {
        let mut behaviour = Self::default();
        for part in model.strip_prefix("dummy/").unwrap_or(model).split('+') {
            match part {
                "echo" => behaviour.mood = Mood::Echo,
                "fail" => behaviour.mood = Mood::Fail,
                "rate-limited" => behaviour.mood = Mood::RateLimited,
                "garbage" => behaviour.mood = Mood::Garbage,
                other => behaviour.delay = delay(other).unwrap_or(behaviour.delay),
            }
        }
        behaviour
    }
}

/// The time in `slow-200ms` and `slow-2s`.
fn delay(part: &str) -> Option<Duration> {
    let time = part.strip_prefix("slow-")?;
    let delay = match (time.strip_suffix("ms"), time.strip_suffix('s')) {
        (Some(ms), _) => Duration::from_millis(ms.parse().ok()?),
        (None, Some(seconds)) => Duration::from_secs(seconds.parse().ok()?),
        (None, None) => return None,
    };
    Some(delay.min(SLOW_MAX))
}

/// What is said in each message, as JSON.
fn written(request: &LmRequest) -> Vec<String> {
    let written = |it: &Message| serde_json::to_string(&it.content).unwrap_or_default();
    request.messages.iter().map(written).collect()
}

fn answer(request: &LmRequest, asked: &[String], is_echo: bool) -> String {
    let prompt = Prompt::read(request);
    let mut values = Values::new(seed(request, asked), is_echo.then(|| prompt.first_input.clone()));
    if prompt.fields.is_empty() {
        return values.text("reply");
    }
    if prompt.wanted == Wanted::Xml {
        return prompt.fields.iter().map(|it| tagged(it, &mut values)).collect();
    }
    let fields =
        prompt.fields.iter().map(|it| (it.name.clone(), values.of(&it.ty, &it.note, &it.name)));
    let fields: Map<String, Value> = fields.collect();
    match prompt.wanted {
        Wanted::Json => json::dumps(&Value::Object(fields)),
        Wanted::Sections | Wanted::Xml => {
            let section = |(name, value): (String, Value)| {
                let value = match value {
                    Value::String(text) => text,
                    other => json::dumps(&other),
                };
                format!("[[ ## {name} ## ]]\n{value}\n\n")
            };
            fields.into_iter().map(section).collect::<String>() + "[[ ## completed ## ]]"
        }
    }
}

/// A value between its tags. Of a model the prompt shows the tags only: what it holds is then a
/// number, which can be read as one and as text.
fn tagged(field: &Asked, values: &mut Values) -> String {
    let Asked { name, ty, note } = field;
    if let Some(elements) = note.strip_prefix(ELEMENTS).filter(|_| values::has_own(ty)) {
        let mut parts = elements.split("...");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text.push_str(&values.of(&Type::Int, "", name).to_string());
            text.push_str(part);
        }
        return text + "\n\n";
    }
    let note = if note.starts_with(ELEMENTS) { "" } else { note };
    let value = match values.of(ty, note, name) {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => json::dumps(&other),
    };
    let value = value.replace('&', "&amp;").replace('<', "&lt;");
    format!("<{name}>\n{value}\n</{name}>\n\n")
}

/// What the answer depends on: all that is asked, and which of several completions it is.
fn seed(request: &LmRequest, asked: &[String]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in asked {
        hash.update(text);
        hash.update([0]);
    }
    hash.update(format!("{:?} {:?}", request.settings.rollout_id, request.settings.seed));
    hash.finalize().into()
}

fn reply(asked: &[String], model: &str, text: String) -> LmReply {
    let tokens = |chars: usize| (chars.div_ceil(TOKEN_CHARS)) as u64;
    let asked = asked.iter().map(String::len).sum();
    let (prompt_tokens, completion_tokens) = (tokens(asked), tokens(text.len()));
    let total_tokens = prompt_tokens + completion_tokens;
    LmReply {
        text: Some(text),
        finish_reason: Some("stop".to_owned()),
        usage: Usage { prompt_tokens, completion_tokens, total_tokens, cached_tokens: 0 },
        model: model.to_owned(),
        ..LmReply::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_how_the_model_behaves() {
        let slow = |ms| Behaviour { delay: Duration::from_millis(ms), mood: Mood::Answer };

        assert_eq!(Behaviour::of("dummy/any"), slow(0));
        assert_eq!(Behaviour::of("dummy/slow-200ms"), slow(200));
        assert_eq!(Behaviour::of("dummy/slow-2s"), slow(2000));
        assert_eq!(Behaviour::of("dummy/slow-x"), slow(0));
        assert_eq!(
            Behaviour::of("dummy/slow-1s+fail"),
            Behaviour { mood: Mood::Fail, ..slow(1000) }
        );
    }
}
