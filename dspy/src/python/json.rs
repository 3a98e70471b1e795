//! `json.dumps(value, …)` in the styles that the package uses, to the byte.

use std::fmt::Write as _;

use serde_json::{Number, Value};

use super::repr;

/// How a text of JSON looks.
#[derive(Clone, Copy)]
struct Style {
    /// What stands between two items of a line.
    comma: &'static str,
    colon: &'static str,
    is_indented: bool,
    is_ascii: bool,
    /// Whether `0.00001` and `1e-7` are written so, not `1e-05` and `1e-07`.
    has_short_floats: bool,
}

const SPACED: Style = Style {
    comma: ", ",
    colon: ": ",
    is_indented: false,
    is_ascii: false,
    has_short_floats: false,
};
const INDENTED: Style = Style { comma: ",", is_indented: true, ..SPACED };
const COMPACT_ASCII: Style = Style { comma: ",", colon: ":", is_ascii: true, ..SPACED };

/// One line: `, ` and `: ` between.
pub(crate) fn dumps(value: &Value) -> String {
    written(value, SPACED)
}

/// One line of nothing but ASCII, as `json.dumps` does without options.
pub(crate) fn dumps_spaced_ascii(value: &Value) -> String {
    written(value, Style { is_ascii: true, ..SPACED })
}

/// With an indent of two blanks.
pub(crate) fn dumps_indented(value: &Value) -> String {
    written(value, INDENTED)
}

/// With an indent of two blanks, as pydantic's `model_dump_json` and `orjson` write it.
pub(crate) fn dump_json_indented(value: &Value) -> String {
    written(value, Style { has_short_floats: true, ..INDENTED })
}

/// No blanks, and nothing but ASCII: `ensure_ascii=True, separators=(",", ":")`.
pub(crate) fn dumps_ascii(value: &Value) -> String {
    written(value, COMPACT_ASCII)
}

fn written(value: &Value, style: Style) -> String {
    let mut out = String::new();
    write(&mut out, value, style, 0);
    out
}

/// A number as Python prints it.
pub(crate) fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => repr::float(float),
        _ => number.to_string(),
    }
}

/// A number without the zeros of its exponent.
fn short(number: &str) -> String {
    let Some((mantissa, exponent)) = number.split_once("e-0") else { return number.to_owned() };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits.replace('.', "")),
        None => ("", mantissa.replace('.', "")),
    };
    match exponent {
        "5" => format!("{sign}0.0000{digits}"),
        exponent => format!("{mantissa}e-{exponent}"),
    }
}

fn write(out: &mut String, value: &Value, style: Style, level: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(it) if style.has_short_floats => out.push_str(&short(&number(it))),
        Value::Number(it) => out.push_str(&number(it).replace("inf", "Infinity")),
        Value::String(text) => write_string(out, text, style),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(out, i, style, level);
                write(out, item, style, level + 1);
            }
            close(out, ']', style, level);
        }
        Value::Object(map) => {
            out.push('{');
            for (i, (name, item)) in map.iter().enumerate() {
                separate(out, i, style, level);
                write_string(out, name, style);
                out.push_str(style.colon);
                write(out, item, style, level + 1);
            }
            close(out, '}', style, level);
        }
    }
}

fn separate(out: &mut String, i: usize, style: Style, level: usize) {
    if i > 0 {
        out.push_str(style.comma);
    }
    if style.is_indented {
        new_line(out, level + 1);
    }
}

fn close(out: &mut String, bracket: char, style: Style, level: usize) {
    if style.is_indented {
        new_line(out, level);
    }
    out.push(bracket);
}

fn new_line(out: &mut String, level: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", level));
}

fn write_string(out: &mut String, text: &str, style: Style) {
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
            c if style.is_ascii && c > '~' => {
                let units = c.encode_utf16(&mut [0; 2]).to_vec();
                out.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
            }
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
        assert_eq!(
            dump_json_indented(&json!([0.00001, -1.5e-5, 1e-7, 1e16, 1e-10, 0.0001])),
            "[\n  0.00001,\n  -0.000015,\n  1e-7,\n  1e+16,\n  1e-10,\n  0.0001\n]"
        );
        assert_eq!(
            dumps_ascii(&json!({"a": [1, "é😀\u{7f}"]})),
            "{\"a\":[1,\"\\u00e9\\ud83d\\ude00\\u007f\"]}"
        );
    }
}
