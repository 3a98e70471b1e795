//! The language model of a program: which, where, and how it is to answer.

use dspy::{Fields, LmEndpoint, LmSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// Keys of the request body that are not a setting: `extra` may not set them.
pub(crate) const RESERVED: [&str; 4] = ["model", "messages", "stream", "response_format"];

/// Names under which people write secrets. None is read from a file or a request.
const SECRETS: [&str; 10] = [
    "api_key",
    "apikey",
    "api_token",
    "access_token",
    "auth_token",
    "authorization",
    "password",
    "secret",
    "secret_key",
    "x_api_key",
];

/// What an override may set; the endpoint is the operator's, or keys could be sent anywhere.
const OVERRIDES: &str =
    "model, temperature, max_tokens, top_p, stop, seed, n, rollout_id, extra, fallbacks";

/// The longest list of `fallbacks`.
pub(crate) const FALLBACKS_MAX: usize = 16;

/// The most completions of one call.
pub(crate) const COMPLETIONS_MAX: u32 = 64;

/// The settings and the endpoint of a program's calls. What is absent, the service's own
/// configuration says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LmConfig {
    /// The model and how it is to answer.
    #[serde(flatten)]
    pub settings: LmSettings,
    /// Where it is asked, and any model that has no endpoint of its own.
    #[serde(flatten)]
    pub endpoint: LmEndpoint,
    /// The models to try when this one cannot answer, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
}

impl LmConfig {
    /// This configuration with a request's overrides laid on top.
    ///
    /// A request may change the model and how it is to answer, never the endpoint or its key.
    pub fn with_overrides(&self, overrides: &Fields) -> Result<Self, Error> {
        let mut effective = self.clone();
        for (key, value) in overrides {
            effective.set(key, value)?;
        }
        Ok(effective)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), Error> {
        let settings = &mut self.settings;
        match key {
            "model" => settings.model = Some(text(key, value)?),
            "temperature" => settings.temperature = Some(not_negative(key, value)?),
            "top_p" => settings.top_p = Some(not_negative(key, value)?),
            "max_tokens" => settings.max_tokens = Some(count(key, value, u64::MAX)?),
            "n" => {
                let n = count(key, value, COMPLETIONS_MAX.into())?;
                settings.n = u32::try_from(n).ok();
            }
            "seed" => settings.seed = Some(whole(key, value)?),
            "rollout_id" => settings.rollout_id = Some(whole(key, value)?),
            "stop" => settings.stop = Some(texts(key, value)?),
            "fallbacks" => self.fallbacks = texts(key, value)?,
            "extra" => settings.extra.extend(extra(value)?),
            key if is_secret(key) => return Err(wrong(key, "keys are never sent in a request")),
            "api_base" | "api_key_env" => {
                return Err(wrong(key, "the endpoint belongs to the program, not to a request"));
            }
            key => return Err(wrong(key, &format!("is no setting; known are {OVERRIDES}"))),
        }
        Ok(())
    }
}

/// Whether a key is a name under which people write secrets.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRETS.contains(&key.as_str())
}

/// Whether an environment variable may be read as a key. Other variables hold other secrets, and
/// who may write a program must not be able to send those to an endpoint of their choice.
pub(crate) fn is_key_variable(name: &str) -> bool {
    let shape = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(shape) && (name.ends_with("_API_KEY") || name.starts_with("LM_"))
}

/// The secret or reserved key in `extra`, if there is one at any depth.
pub(crate) fn forbidden_in_extra(extra: &Fields) -> Option<&str> {
    let reserved = extra.keys().find(|it| RESERVED.contains(&it.as_str()));
    reserved.map(String::as_str).or_else(|| extra.iter().find_map(|(k, v)| secret_in(k, v)))
}

/// The first key under which a secret may be, at any depth.
fn secret_in<'a>(key: &'a str, value: &'a Value) -> Option<&'a str> {
    if is_secret(key) {
        return Some(key);
    }
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| secret_in(key, value)),
        Value::Array(items) => items.iter().find_map(|item| secret_in("", item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn wrong(key: &str, problem: &str) -> Error {
    Error::Override { key: key.to_owned(), problem: problem.to_owned() }
}

fn text(key: &str, value: &Value) -> Result<String, Error> {
    let text = value.as_str().map(str::trim).filter(|it| !it.is_empty());
    text.map(str::to_owned).ok_or_else(|| wrong(key, "must be a text that is not empty"))
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>, Error> {
    let all = match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(items) if items.len() <= FALLBACKS_MAX => {
            items.iter().map(|it| it.as_str().map(str::to_owned)).collect()
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            None
        }
    };
    let message = format!("must be a text or a list of at most {FALLBACKS_MAX} texts");
    all.ok_or_else(|| wrong(key, &message))
}

fn not_negative(key: &str, value: &Value) -> Result<f64, Error> {
    let number = value.as_f64().filter(|it| it.is_finite() && *it >= 0.0);
    number.ok_or_else(|| wrong(key, "must be a number, 0 or more"))
}

fn count(key: &str, value: &Value, max: u64) -> Result<u64, Error> {
    let number = value.as_u64().filter(|it| (1..=max).contains(it));
    number.ok_or_else(|| wrong(key, &format!("must be a whole number from 1 to {max}")))
}

fn whole(key: &str, value: &Value) -> Result<i64, Error> {
    value.as_i64().ok_or_else(|| wrong(key, "must be a whole number"))
}

fn extra(value: &Value) -> Result<Fields, Error> {
    let fields = value.as_object().ok_or_else(|| wrong("extra", "must be an object"))?;
    match forbidden_in_extra(fields) {
        Some(key) => Err(wrong(&format!("extra.{key}"), "may not be set there")),
        None => Ok(fields.clone()),
    }
}
