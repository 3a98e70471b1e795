//! Calls of tools that a model asks for, and what the tools gave.

use super::{
    Coerced, Coercer, Dict, Extra, Fit, Issue, Issues, Object, Type, all_dicts, entries, field,
    fields_of, has, invalid, model, optional_text, required, taken,
};
use crate::{json_repair, python::repr};

const NAME: &str = "`dspy.ToolCalls`";

/// `dspy.ToolCalls`: `{"tool_calls": [{"id"?, "name", "args"}], "tool_call_results"?}`.
pub(super) fn tool_calls(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    let (items, results) = match value {
        Object::List(items) => match all_dicts(items) {
            Some(dicts) if dicts.iter().all(|it| is_call(it)) => (items.clone(), Object::None),
            _ => return Err(invalid(NAME, value)),
        },
        Object::Dict(dict) if dict.contains("tool_calls") => match dict.get("tool_calls") {
            Some(Object::List(items)) => (items.clone(), taken(dict, "tool_call_results")),
            _ => return Err(invalid(NAME, value)),
        },
        Object::Dict(dict) if is_call(dict) => (vec![value.clone()], Object::None),
        _ => return Err(invalid(NAME, value)),
    };
    let mut calls = Vec::with_capacity(items.len());
    let mut others = Vec::new();
    for (i, item) in items.into_iter().enumerate() {
        match item {
            Object::Dict(given) => calls.push(call(coercer, &given, value)?),
            other => others.push((i, other)),
        }
    }
    if !others.is_empty() {
        return Err(others.iter().map(|(i, it)| no_call(*i, it)).collect());
    }
    let mut made = entries(vec![("tool_calls", Object::List(calls))]);
    if results != Object::None {
        made.insert(Object::Str("tool_call_results".to_owned()), results);
    }
    Ok((Object::Dict(made), Fit::STRICT.and(Fit::FIELD)))
}

fn no_call(place: usize, value: &Object) -> Issue {
    let message = "Input should be a valid dictionary or instance of ToolCall";
    Issue::new("model_type", message, value).at(place.to_string()).at("tool_calls")
}

fn is_call(dict: &Dict) -> bool {
    (dict.contains("name") && has(dict, &["args", "arguments"])) || dict.contains("function")
}

/// One call, in DSPy's keys or a provider's.
fn call(coercer: &Coercer<'_>, given: &Dict, whole: &Object) -> Result<Object, Issues> {
    let (name, arguments) = named(given, whole)?;
    let args = match arguments {
        Object::Str(text) => match json_repair::loads(&text) {
            Ok(args) => args,
            Err(error) => return Err(super::value_error(&error.to_string(), whole)),
        },
        Object::Dict(args) => Object::Dict(args),
        _ => Object::Dict(Dict::default()),
    };
    let id = Some(taken(given, "id")).filter(Object::is_truthy);
    let id = id.unwrap_or_else(|| taken(given, "call_id"));
    let fields = entries(vec![("id", id), ("name", name), ("args", args)]);
    let any_args = Type::Dict(Box::new(Type::Str), Box::new(Type::Any));
    let wanted = vec![optional_text("id"), required("name", Type::Str), required("args", any_args)];
    let class = model(wanted, Extra::Ignore);
    let (made, _) = fields_of(coercer.model(Object::Dict(fields), "ToolCall", &class)?);
    let mut shown = Vec::with_capacity(3);
    if made.get("id").is_some_and(|it| *it != Object::None) {
        shown.push(("id", taken(&made, "id")));
    }
    shown.extend([("name", taken(&made, "name")), ("args", taken(&made, "args"))]);
    Ok(Object::Dict(entries(shown)))
}

/// The name and the arguments of a call.
fn named(given: &Dict, whole: &Object) -> Result<(Object, Object), Issues> {
    let empty = || Object::Dict(Dict::default());
    let Some(function) = given.get("function") else {
        let arguments = given.get("args").or_else(|| given.get("arguments")).cloned();
        return Ok((taken(given, "name"), arguments.unwrap_or_else(empty)));
    };
    let function = if function.is_truthy() { function.clone() } else { empty() };
    let Object::Dict(function) = function else {
        let shown = repr::str(&function);
        let message = format!("Received invalid function value for {NAME}: {shown}");
        return Err(super::value_error(&message, whole));
    };
    let name = Some(taken(&function, "name")).filter(Object::is_truthy);
    let name = name.unwrap_or_else(|| taken(given, "name"));
    Ok((name, function.get("arguments").cloned().unwrap_or_else(empty)))
}

/// `dspy.ToolCallResults`: `{"tool_call_results": [{"call_id", "name", "value", "is_error"}]}`.
pub(super) fn results(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    let wrapped = |items: Object| entries(vec![("tool_call_results", items)]);
    let fields = match value {
        Object::List(_) => wrapped(value.clone()),
        Object::Dict(dict) if dict.contains("tool_call_results") => dict.clone(),
        Object::Dict(dict) if dict.contains("name") && dict.contains("value") => {
            wrapped(Object::List(vec![value.clone()]))
        }
        _ => return Err(invalid("`dspy.ToolCallResults`", value)),
    };
    let result = model(
        vec![
            optional_text("call_id"),
            required("name", Type::Str),
            required("value", Type::Any),
            field("is_error", Type::Bool, Some(false.into())),
        ],
        Extra::Ignore,
    );
    super::nested(coercer, &fields, "tool_call_results", ("ToolCallResult", &result))
}
