//! Addresses with arguments in them: what a model says never leads out of its place.

use dspy::{Fields, ToolError};
use serde_json::Value;

/// An address with the arguments in the place of their names. A `{name}` without an argument is
/// an error in the path, and nothing in the query.
pub(super) fn fill(template: &str, args: &Fields) -> Result<String, ToolError> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let in_path = !filled.contains('?');
        let text = args.get(name).and_then(text_of);
        match text {
            Some(text) if in_path && matches!(&*text, "" | "." | "..") => {
                return Err(ToolError(format!("`{text}` cannot be the argument `{name}`")));
            }
            Some(text) => filled.push_str(&encoded(&text)),
            None if in_path => return Err(ToolError(format!("the argument `{name}` is missing"))),
            None => {}
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The names in an address.
pub(super) fn names(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|it| it.split_once('}')).map(|(name, _)| name)
}

/// Adds an argument to the query of an address, once for each item of a list.
pub(super) fn add_query(url: &mut reqwest::Url, name: &str, value: &Value) {
    let mut query = url.query_pairs_mut();
    match value {
        Value::Array(items) => {
            for text in items.iter().filter_map(text_of) {
                query.append_pair(name, &text);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            if let Some(text) = text_of(value) {
                query.append_pair(name, &text);
            }
        }
    }
}

/// A value as text; none for null.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(value.to_string())
        }
    }
}

/// A text in which nothing means anything to an address.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            byte => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str, args: &Value) -> Result<String, ToolError> {
        fill(template, args.as_object().unwrap())
    }

    #[test]
    fn arguments_stay_in_their_places() {
        let args = json!({"city": "São/Paulo?x=1&y#z", "n": 3, "yes": true});
        let url = filled("http://h/{city}/{n}?yes={yes}&none={none}", &args).unwrap();
        assert_eq!(url, "http://h/S%C3%A3o%2FPaulo%3Fx%3D1%26y%23z/3?yes=true&none=");
        assert_eq!(names("http://h/{city}/{n}").collect::<Vec<_>>(), ["city", "n"]);
    }

    #[test]
    fn nobody_climbs_out_of_a_path() {
        for city in ["..", ".", ""] {
            assert!(filled("http://h/a/{city}/b", &json!({"city": city})).is_err(), "{city:?}");
        }
        let error = filled("http://h/{city}", &json!({"city": null})).unwrap_err();
        assert_eq!(error.0, "the argument `city` is missing");
    }

    #[test]
    fn a_list_is_asked_for_item_by_item() {
        let mut url = reqwest::Url::parse("http://h/?a=1").unwrap();
        add_query(&mut url, "tag", &json!(["x y", 2, null]));
        add_query(&mut url, "none", &Value::Null);
        assert_eq!(url.as_str(), "http://h/?a=1&tag=x+y&tag=2");
    }
}
