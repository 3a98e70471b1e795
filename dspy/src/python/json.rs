//! `json.dumps(value, ensure_ascii=False)`, to the byte.

use std::fmt::Write as _;

use serde_json::{Number, Value};

use super::repr;

/// One line: `, ` and `: ` between.
pub(crate) fn dumps(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, None);
    out
}

/// With an indent of two blanks.
pub(crate) fn dumps_indented(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, Some(0));
    out
}

/// A number as Python prints it.
pub(crate) fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => repr::float(float),
        _ => number.to_string(),
    }
}

fn write(out: &mut String, value: &Value, level: Option<usize>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(it) => out.push_str(&number(it).replace("inf", "Infinity")),
        Value::String(text) => write_string(out, text),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(out, i, level);
                write(out, item, level.map(|it| it + 1));
            }
            close(out, ']', level);
        }
        Value::Object(map) => {
            out.push('{');
            for (i, (name, item)) in map.iter().enumerate() {
                separate(out, i, level);
                write_string(out, name);
                out.push_str(": ");
                write(out, item, level.map(|it| it + 1));
            }
            close(out, '}', level);
        }
    }
}

fn separate(out: &mut String, i: usize, level: Option<usize>) {
    match level {
        None if i == 0 => {}
        None => out.push_str(", "),
        Some(level) => {
            out.push_str(if i == 0 { "\n" } else { ",\n" });
            indent(out, level + 1);
        }
    }
}

fn close(out: &mut String, bracket: char, level: Option<usize>) {
    if let Some(level) = level {
        out.push('\n');
        indent(out, level);
    }
    out.push(bracket);
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_spaced_and_escaped_as_python_does() {
        let value = json!({"a": [1, 2.0, "é\n\u{1}\u{7f}"], "b": {}, "c": null});

        assert_eq!(
            dumps(&value),
            "{\"a\": [1, 2.0, \"é\\n\\u0001\u{7f}\"], \"b\": {}, \"c\": null}"
        );
        assert_eq!(
            dumps_indented(&json!({"a": [1], "b": []})),
            "{\n  \"a\": [\n    1\n  ],\n  \"b\": []\n}"
        );
    }
}
