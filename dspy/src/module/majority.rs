//! `dspy.majority`: the answer that most agree on.

use serde_json::Value;

use super::{Made, Module, Notes, samples};
use crate::{
    Error, Fields, Run,
    python::{
        object::Object,
        repr,
        text::{is_space, is_word},
        unicode,
    },
};

/// `string.punctuation`
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The answer that most of several agree on. A predictor gives them as completions of one call;
/// another module is run so often, each with a rollout of its own and the temperature 1.0.
#[derive(Clone, Debug, PartialEq)]
pub struct Majority {
    /// What is asked.
    pub module: Box<Module>,
    /// How many answers.
    pub n: u32,
    /// The field that is compared; the last output, if it says nothing.
    pub field: Option<String>,
}

impl Majority {
    pub(super) async fn perform(
        &self,
        inputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Made, Error> {
        let answers = samples::of(&self.module, self.n.max(1), inputs, run, notes).await?;
        let field = self.field.clone().or_else(|| last_name(answers.first()?));
        let field = field.ok_or_else(|| Error::Program("there is nothing to compare".into()))?;
        let keys = answers.iter().map(|it| it.get(&field).map(normalized));
        let Some(keys) = keys.collect::<Option<Vec<_>>>() else {
            return Err(Error::Program(format!("majority: there is no output `{field}`")));
        };
        let winner = most_frequent(&keys);
        Ok(answers.into_iter().nth(winner).unwrap_or_default().into())
    }
}

fn last_name(answer: &Fields) -> Option<String> {
    answer.keys().next_back().cloned()
}

/// The first of those that are most frequent; empty ones count only if all are empty.
fn most_frequent(keys: &[String]) -> usize {
    let all_empty = keys.iter().all(String::is_empty);
    let counts = |key: &String| keys.iter().filter(|it| *it == key).count();
    let mut best = (0, 0);
    for (at, key) in keys.iter().enumerate() {
        let count = if key.is_empty() && !all_empty { 0 } else { counts(key) };
        if count > best.1 {
            best = (at, count);
        }
    }
    best.0
}

/// `dspy.evaluate.normalize_text`: decomposed, in lower case, without punctuation, articles and
/// superfluous blanks. What is no text, and what the package refuses, is compared as Python shows
/// it.
fn normalized(value: &Value) -> String {
    let Value::String(text) = value else { return repr::repr(&Object::from(value)) };
    let lower = unicode::nfd(text).to_lowercase();
    let bare: String = lower.chars().filter(|it| !PUNCTUATION.contains(*it)).collect();
    let words = without_articles(&bare);
    words.split(is_space).filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Articles between word boundaries become blanks.
fn without_articles(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (part, after) = rest.split_at(len);
        out.push_str(if matches!(part, "a" | "an" | "the") { " " } else { part });
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_normalized_as_the_package_does() {
        let cases = [
            ("The,  Eiffel  Tower!", "eiffel tower"),
            ("A cat and the_dog", "cat and thedog"),
            ("theory of an apple", "theory of apple"),
            ("Café", "cafe\u{301}"),
            ("!!!", ""),
        ];

        for (text, want) in cases {
            assert_eq!(normalized(&json!(text)), want);
        }
    }

    #[test]
    fn ties_go_to_the_earlier_and_empty_answers_do_not_count() {
        let winner = |keys: &[&str]| {
            most_frequent(&keys.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
        };

        assert_eq!(winner(&["a", "b", "b", "a"]), 0);
        assert_eq!(winner(&["a", "b", "b"]), 1);
        assert_eq!(winner(&["", "", "b"]), 2);
        assert_eq!(winner(&["", ""]), 0);
    }
}
