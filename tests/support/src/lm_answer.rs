//! An answer that fits what a prompt asks for, made from the prompt's own words.

use serde_json::{Map, Value, json};

const CHAT: &str = "Respond with the corresponding output fields, starting with the field ";
const JSON: &str = "Respond with a JSON object in the following order of fields: ";

/// What a model could say to a request: the fields that its last message asks for, with values of
/// the right types. Text if it asks for none.
pub(crate) fn answer(request: &Value) -> String {
    let prompt = last_message(request);
    if let Some((_, asked)) = prompt.rsplit_once(CHAT) {
        let mut text: String =
            fields(asked).map(|(name, kind)| section(name, &chat_value(name, kind))).collect();
        text.push_str("[[ ## completed ## ]]\n");
        return text;
    }
    if let Some((_, asked)) = prompt.rsplit_once(JSON) {
        let object: Map<String, Value> =
            fields(asked).map(|(name, kind)| (name.to_owned(), value(name, kind))).collect();
        return Value::Object(object).to_string();
    }
    "I have nothing to say.".to_owned()
}

fn section(name: &str, text: &str) -> String {
    format!("[[ ## {name} ## ]]\n{text}\n\n")
}

fn last_message(request: &Value) -> String {
    let Some(message) = request["messages"].as_array().and_then(|it| it.last()) else {
        return String::new();
    };
    match &message["content"] {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// The names between backquotes, each with the type that is asked for; `str` if none is.
fn fields(asked: &str) -> impl Iterator<Item = (&str, &str)> {
    asked.split(", then ").flat_map(|part| part.split(" and then ending")).filter_map(|part| {
        let (_, rest) = part.split_once('`')?;
        let (name, rest) = rest.split_once('`')?;
        let name = name.trim_start_matches("[[ ## ").trim_end_matches(" ## ]]");
        let kind = rest.split_once("valid Python ").map_or("str", |(_, kind)| kind);
        (name != "completed").then(|| (name, kind.trim_end_matches(['.', ',', ')', ' '])))
    })
}

fn chat_value(name: &str, kind: &str) -> String {
    match value(name, kind) {
        Value::String(text) => text,
        Value::Bool(yes) => if yes { "True" } else { "False" }.to_owned(),
        other @ (Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    }
}

fn value(name: &str, kind: &str) -> Value {
    match kind.split(['[', ']', ' ']).next().unwrap_or_default() {
        "int" => json!(42),
        "float" => json!(0.5),
        "bool" => json!(true),
        "list" => json!([value(name, kind.trim_start_matches("list["))]),
        "Literal" => json!(kind.split('\'').nth(1).unwrap_or_default()),
        "dict" => json!({}),
        _ => json!(format!("a {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(prompt: &str) -> String {
        answer(&json!({ "messages": [{ "role": "user", "content": prompt }] }))
    }

    #[test]
    fn asked_fields_get_values_of_their_types() {
        let prompt = format!(
            "[[ ## q ## ]]\n1\n\n{CHAT}`[[ ## why ## ]]`, then `[[ ## n ## ]]` (must be formatted \
             as a valid Python int), then `[[ ## mood ## ]]` (must be formatted as a valid Python \
             Literal['glad', 'sad']), then `[[ ## all ## ]]` (must be formatted as a valid Python \
             list[bool]), and then ending with the marker for `[[ ## completed ## ]]`."
        );

        let expected = "[[ ## why ## ]]\na why\n\n[[ ## n ## ]]\n42\n\n[[ ## mood ## ]]\nglad\n\n\
                        [[ ## all ## ]]\n[true]\n\n[[ ## completed ## ]]\n";
        assert_eq!(ask(&prompt), expected);
    }

    #[test]
    fn json_is_given_where_json_is_asked_for() {
        let prompt = format!("{JSON}`a`, then `b` (must be formatted as a valid Python float).");

        assert_eq!(ask(&prompt), r#"{"a":"a a","b":0.5}"#);
    }
}
