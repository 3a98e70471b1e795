//! Tools given as inputs: DSPy holds functions, a request can only describe them.

use serde_json::{Map, Value};

use super::{Coerced, Fit, Object, value_error};
use crate::Tool;

const SHAPE: &str = "a tool is {\"name\": …, \"desc\": …, \"args\": {name: JSON Schema}}, or the \
                     OpenAI protocol's {\"type\": \"function\", \"function\": {…}}";

/// The text of a tool, as DSPy shows it to the model.
pub(super) fn tool(value: &Object) -> Coerced {
    match tool_of(&value.clone().into_json()) {
        Some(tool) => Ok((Object::Str(tool.to_string()), Fit::STRICT)),
        None => Err(value_error(SHAPE, value)),
    }
}

/// The tool that a value describes.
pub(crate) fn tool_of(value: &Value) -> Option<Tool> {
    let described = value.get("function").filter(|it| it.is_object()).unwrap_or(value);
    let name = described.get("name")?.as_str().filter(|it| !it.is_empty())?;
    let desc = ["desc", "description"].iter().find_map(|it| described.get(it)?.as_str());
    let args = described.get("args").or_else(|| described.get("parameters")?.get("properties"));
    let args = match args {
        None | Some(Value::Null) => Map::new(),
        Some(args) => args.as_object()?.clone(),
    };
    let (name, desc) = (name.to_owned(), desc.unwrap_or_default().to_owned());
    Some(Tool { name, desc, args, has_kwargs: false })
}
