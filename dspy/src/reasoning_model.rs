//! OpenAI's reasoning models: which they are, and how they may be asked.

use crate::LmError;

/// The only temperature that they take.
const TEMPERATURE: f64 = 1.0;

/// The fewest tokens that leave room for their reasoning.
const TOKENS_MIN: u64 = 16_000;

/// Refuses settings that they do not take, as `dspy.LM(…)` does.
pub(crate) fn check(
    model: &str,
    temperature: Option<f64>,
    max_tokens: Option<u64>,
) -> Result<(), LmError> {
    // Zero is nothing to the package.
    let is_warm = temperature.is_some_and(|it| it != 0.0 && it != TEMPERATURE);
    let is_short = max_tokens.is_some_and(|it| it != 0 && it < TOKENS_MIN);
    if !is_one(model) || !(is_warm || is_short) {
        return Ok(());
    }
    Err(LmError::Configuration(format!(
        "[{model}] OpenAI's reasoning models require passing temperature=1.0 or None and \
         max_tokens >= 16000 or None to `dspy.LM(...)`, e.g., dspy.LM('openai/gpt-5', \
         temperature=1.0, max_tokens=16000)"
    )))
}

/// Whether a model is one, by any provider: `o1`, `o3-mini`, `gpt-5`, `gpt-5.1-mini`; not
/// `gpt-5-chat-latest`.
fn is_one(model: &str) -> bool {
    let family = model.rsplit('/').next().unwrap_or_default().to_lowercase();
    if let Some(rest) = family.strip_prefix("gpt-5") {
        let rest = without_versions(rest);
        return rest.is_empty() || (rest.starts_with('-') && !rest.starts_with("-chat"));
    }
    let Some(rest) = ["o1", "o3", "o4", "o5"].iter().find_map(|it| family.strip_prefix(it)) else {
        return false;
    };
    let sizes = ["-mini", "-nano", "-pro"];
    let rest = sizes.iter().find_map(|it| rest.strip_prefix(it)).unwrap_or(rest);
    rest.is_empty() || is_date(rest)
}

/// The text behind `.1`, `.1.2`.
fn without_versions(text: &str) -> &str {
    let Some(after) = text.strip_prefix('.') else { return text };
    let rest = after.trim_start_matches(char::is_numeric);
    if rest.len() == after.len() { text } else { without_versions(rest) }
}

/// `-2025-04-16`
fn is_date(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let lens: Vec<_> = parts.iter().map(|it| it.chars().count()).collect();
    lens == [0, 4, 2, 2] && parts.iter().all(|it| it.chars().all(char::is_numeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_models_are_known_by_their_names() {
        let yes = [
            "openai/o1",
            "O3-mini",
            "azure/x/o4-mini-2025-04-16",
            "o5",
            "gpt-5",
            "gpt-5-",
            "openai/gpt-5.1-mini",
            "gpt-5.1.2",
            "gpt-5-mini-chat",
        ];
        let no = [
            "o2",
            "o1-preview",
            "o1-mini-pro",
            "o1-2025-4-16",
            "gpt-5-chat-latest",
            "gpt-5.1-chat",
            "gpt-5.",
            "gpt-50",
            "gpt-4o",
            "",
        ];

        assert!(yes.iter().all(|it| is_one(it)));
        assert!(!no.iter().any(|it| is_one(it)));
    }

    #[test]
    fn settings_that_they_do_not_take_are_refused() {
        assert!(check("openai/gpt-5", Some(0.5), None).is_err());
        assert!(check("openai/o1", None, Some(15_999)).is_err());
        assert_eq!(check("openai/o1", Some(1.0), Some(16_000)), Ok(()));
        assert_eq!(check("openai/o1", Some(0.0), None), Ok(()));
        assert_eq!(check("openai/gpt-4o", Some(0.5), Some(1)), Ok(()));
    }
}
