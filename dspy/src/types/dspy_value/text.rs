//! Code, reasoning, citations, documents and histories.

use serde_json::json;

use super::{
    Coerced, Coercer, Dict, Extra, Issues, Object, Type, all_dicts, entries, field, fields_of,
    invalid, marked, model, optional_text, required, taken, value_error,
};
use crate::python::text::strip;

/// `dspy.Code`: a text or `{"code": …}`, out of its fence.
pub(super) fn code(coercer: &Coercer<'_>, value: &Object, class: &str) -> Coerced {
    let text = content(value, "code", "`dspy.Code`")?;
    let fields = entries(vec![("code", Object::Str(unfenced(&text).to_owned()))]);
    let wanted = model(vec![required("code", Type::Str)], Extra::Ignore);
    let (made, fit) = fields_of(coercer.model(Object::Dict(fields), class, &wanted)?);
    Ok((taken(&made, "code"), fit))
}

/// `dspy.Reasoning`: a text or `{"content": …}`.
pub(super) fn reasoning(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    let text = content(value, "content", "`dspy.Reasoning`")?;
    let fields = entries(vec![("content", Object::Str(text))]);
    let wanted = model(vec![required("content", Type::Str)], Extra::Ignore);
    let (made, fit) = fields_of(coercer.model(Object::Dict(fields), "Reasoning", &wanted)?);
    Ok((taken(&made, "content"), fit))
}

/// The text that a value is, or has under a name.
fn content(value: &Object, name: &str, class: &str) -> Result<String, Issues> {
    let dict = match value {
        Object::Str(text) => return Ok(text.clone()),
        Object::Dict(dict) => dict,
        other => return Err(invalid(class, other)),
    };
    match dict.get(name) {
        Some(Object::Str(text)) => Ok(text.clone()),
        Some(other) => {
            let kind = other.type_name();
            let message =
                format!("`{name}` field must be a string, but received type: <class '{kind}'>");
            Err(value_error(&message, value))
        }
        None => Err(value_error(&format!("`{name}` field is required for {class}"), value)),
    }
}

/// The text in the first fence, without the rest of the line that opens it; else the text.
fn unfenced(text: &str) -> &str {
    const FENCE: &str = "```";
    let lined = text.match_indices(FENCE).find_map(|(at, _)| {
        let (_, body) = text[at + FENCE.len()..].split_once('\n')?;
        body.split_once(FENCE).map(|(code, _)| code)
    });
    let short = || {
        let (_, body) = text.split_once(FENCE)?;
        body.split_once(FENCE).map(|(code, _)| code)
    };
    lined.or_else(short).map_or(text, strip)
}

/// `dspy.experimental.Citations`.
pub(super) fn citations(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    let is_citation = |it: &&Dict| it.contains("cited_text");
    let items = match value {
        Object::List(items) => match all_dicts(items) {
            Some(dicts) if dicts.iter().all(is_citation) => items.clone(),
            _ => return Err(invalid("`Citations`", value)),
        },
        Object::Dict(dict) if dict.contains("citations") => match dict.get("citations") {
            Some(Object::List(items)) => items.clone(),
            _ => return Err(invalid("`Citations`", value)),
        },
        Object::Dict(dict) if is_citation(&dict) => vec![value.clone()],
        _ => return Err(invalid("`Citations`", value)),
    };
    let class = model(
        vec![
            field("type", Type::Str, Some("char_location".into())),
            required("cited_text", Type::Str),
            required("document_index", Type::Int),
            optional_text("document_title"),
            required("start_char_index", Type::Int),
            required("end_char_index", Type::Int),
            optional_text("supported_text"),
        ],
        Extra::Ignore,
    );
    // A dictionary is made a citation by itself, before the list is looked at.
    for item in items.iter().filter(|it| matches!(it, Object::Dict(_))) {
        coercer.model(item.clone(), "Citation", &class)?;
    }
    let fields = entries(vec![("citations", Object::List(items))]);
    let (made, fit) =
        fields_of(super::nested(coercer, &fields, "citations", ("Citation", &class))?);
    let Object::List(made) = taken(&made, "citations") else {
        return Err(invalid("`Citations`", value));
    };
    let parts = made.into_iter().map(|it| citation(&fields_of((it, fit)).0).into_json()).collect();
    Ok((marked(&parts), fit))
}

fn citation(made: &Dict) -> Object {
    const ALWAYS: [&str; 5] =
        ["type", "cited_text", "document_index", "start_char_index", "end_char_index"];
    let mut shown: Vec<_> = ALWAYS.iter().map(|name| (*name, taken(made, name))).collect();
    for name in ["document_title", "supported_text"] {
        let value = taken(made, name);
        if value.is_truthy() {
            shown.push((name, value));
        }
    }
    Object::Dict(entries(shown))
}

/// `dspy.experimental.Document`: a text or `{"data": …, "title"?, "media_type"?, "context"?}`.
pub(super) fn document(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    let fields = match value {
        Object::Str(_) => Object::Dict(entries(vec![("data", value.clone())])),
        Object::Dict(_) => value.clone(),
        other => return Err(invalid("`Document`", other)),
    };
    let kinds = Type::Literal(vec!["text/plain".into(), "application/pdf".into()]);
    let class = model(
        vec![
            required("data", Type::Str),
            optional_text("title"),
            field("media_type", kinds, Some("text/plain".into())),
            optional_text("context"),
        ],
        Extra::Ignore,
    );
    let (made, fit) = fields_of(coercer.model(fields, "Document", &class)?);
    let media_type = taken(&made, "media_type").into_json();
    let source = if media_type == "application/pdf" { "base64" } else { "text" };
    let data = taken(&made, "data").into_json();
    let mut part = json!({
        "type": "document",
        "source": {"type": source, "media_type": media_type, "data": data},
        "citations": {"enabled": true},
    });
    for name in ["title", "context"] {
        let value = taken(&made, name);
        if value.is_truthy() {
            part[name] = value.into_json();
        }
    }
    Ok((marked(&json!([part])), fit))
}

/// `dspy.History`: `{"messages": [{field: value}]}`.
pub(super) fn history(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    let message = Type::Dict(Box::new(Type::Str), Box::new(Type::Any));
    let messages = required("messages", Type::List(Box::new(message)));
    let (made, fit) = fields_of(coercer.model(
        value.clone(),
        "History",
        &model(vec![messages], Extra::Forbid),
    )?);
    let Object::List(messages) = taken(&made, "messages") else {
        return Ok((Object::Dict(made), fit));
    };
    let messages = messages.into_iter().map(|it| {
        let mut named = Dict::default();
        for (key, value) in fields_of((it, fit)).0 {
            named.insert(super::stripped(key), value);
        }
        Object::Dict(named)
    });
    Ok((Object::Dict(entries(vec![("messages", Object::List(messages.collect()))])), fit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_taken_out_of_its_fence_as_the_package_does() {
        let cases = [
            ("```python\nx\n```", "x"),
            ("a\n```py\nx\n```\nb ```js\ny\n```", "x"),
            ("```x```", "x"),
            ("```x``` ```\ny```", "y"),
            ("``````", ""),
            ("```python\nx", "```python\nx"),
            ("x", "x"),
        ];

        for (text, want) in cases {
            assert_eq!(unfenced(text), want, "{text:?}");
        }
    }
}
