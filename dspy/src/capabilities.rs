//! What models can be asked for besides text: DSPy's own knowledge of them, by name.
//!
//! Which prompt is sent follows from it, so it is here and not with who sends it. The table is made
//! by `scripts/model-capabilities` from the package; it stays as it is in the binary and is
//! searched in place, so that it takes no memory and no time to load.

use std::cmp::Ordering;

/// The table: `name flags` lines, sorted by name.
const TABLE: &str = include_str!("capabilities.txt");

/// The name of a provider's models that are called as Claude's families are.
const CLAUDE: &str = "claude-*-0";

/// What a model is known to support: decides what an adapter asks for besides text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about a model")]
pub struct Capabilities {
    /// It takes a `response_format` at all.
    pub response_format: bool,
    /// It takes a JSON Schema as `response_format`.
    pub response_schema: bool,
    /// It calls functions that it is told of apart from the prompt.
    pub function_calling: bool,
    /// It reasons before it answers, and takes a `reasoning_effort`.
    pub reasoning: bool,
}

impl Capabilities {
    /// What DSPy believes of a model, named as users name it: `openai/gpt-4o-mini`, `gpt-4o-mini`.
    /// Of a model that nobody knows it believes what holds for all of its provider's.
    pub fn of(model: &str) -> Self {
        let flags = known(model).or_else(|| like_claude(model)).or_else(|| like_others(model));
        let has = |flag| flags.is_some_and(|it| it.contains(flag));
        Self {
            response_format: has('o'),
            response_schema: has('s'),
            function_calling: has('f'),
            reasoning: has('r'),
        }
    }
}

/// The flags of models that are called `claude-family-9`, of any provider that knows them.
fn like_claude(model: &str) -> Option<&'static str> {
    let is_family = model.match_indices("claude-").any(|(at, found)| {
        let rest = &model[at + found.len()..];
        let after = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
        let version = after.strip_prefix('-').filter(|_| after.len() < rest.len());
        version.is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()))
    });
    if !is_family {
        return None;
    }
    match model.split_once('/') {
        Some((provider, _)) => known(&format!("{provider}/{CLAUDE}")),
        None => known(CLAUDE),
    }
}

/// The flags of all models of a provider; of those without a provider, by how they begin.
fn like_others(model: &str) -> Option<&'static str> {
    if let Some((provider, _)) = model.split_once('/') {
        return known(&format!("{provider}/*"));
    }
    let heads = (0..=model.len()).rev().filter_map(|len| model.get(..len));
    heads.map(|head| format!("{head}*")).find_map(|it| known(&it))
}

/// The flags in the line of a name.
fn known(name: &str) -> Option<&'static str> {
    let (mut low, mut high) = (0, TABLE.len());
    while low < high {
        let middle = low.midpoint(high);
        let start = TABLE[low..middle].rfind('\n').map_or(low, |at| low + at + 1);
        let end = TABLE[start..].find('\n').map_or(TABLE.len(), |at| start + at);
        let (its, flags) = TABLE[start..end].split_once(' ')?;
        match name.cmp(its) {
            Ordering::Equal => return Some(flags),
            Ordering::Less => high = start,
            Ordering::Greater => low = end + 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(model: &str) -> String {
        let can = Capabilities::of(model);
        let all = [
            ('f', can.function_calling),
            ('r', can.reasoning),
            ('s', can.response_schema),
            ('o', can.response_format),
        ];
        all.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).collect()
    }

    #[test]
    fn every_line_of_the_table_is_found() {
        let lines = TABLE.lines().filter(|it| !it.starts_with('#'));
        let mut count = 0;
        for (name, flags) in lines.filter_map(|it| it.split_once(' ')) {
            count += 1;
            assert_eq!(known(name), Some(flags), "{name}");
        }

        assert!(count > 2000, "only {count} lines");
    }

    #[test]
    fn models_are_known_as_the_package_knows_them() {
        let cases = [
            ("openai/gpt-4o-mini", "fso"),
            ("gpt-4o-mini", "fso"),
            ("openai/gpt-3.5-turbo", "fo"),
            ("openai/stub", ""),
            ("gpt-99", ""),
            ("nobody", "o"),
            ("nobody/knows", ""),
            ("claude-sonnet-4-5", "frso"),
            ("anthropic/claude-new-9", "frso"),
            ("anthropic/claude-new", ""),
            ("openrouter/x/claude-foo-7", "frso"),
            ("openrouter/anthropic/claude-sonnet-4", "fro"),
            ("nobody/claude-foo-7", ""),
            ("gemini/nope", "o"),
            ("hosted_vllm/x", ""),
            ("lm_studio/x", "so"),
            ("together_ai/nope", "o"),
            ("fireworks_ai/nope", "fso"),
            ("azure/gpt-4o", "fso"),
            ("", "o"),
            ("é/é", ""),
        ];
        for (model, want) in cases {
            assert_eq!(flags(model), want, "{model}");
        }
    }
}
