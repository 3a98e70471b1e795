//! Python's `str` and `repr` of a value of one of DSPy's own types.
//!
//! A value is what its type makes of it: the parts of a message between markers, a text, a mapping.

use serde_json::Value;

use crate::{
    Definitions, DspyType, Type,
    python::{object::Object, repr},
    types::{
        dspy_value::{self, tool_of},
        validate,
    },
};

/// `str(value)`; nothing for what is no value of the type.
pub(super) fn str(ty: &DspyType, value: &Value) -> Option<String> {
    let shown = shown(ty, value)?;
    let text = || shown.as_str().map(ToOwned::to_owned);
    match ty {
        DspyType::Image
        | DspyType::Audio
        | DspyType::File
        | DspyType::Tool
        | DspyType::Reasoning => text(),
        DspyType::Document => {
            let part = part(&shown);
            let title = part["title"].as_str().map(|it| format!("'{it}': ")).unwrap_or_default();
            let chars = part["source"]["data"].as_str()?.chars().count();
            Some(format!("Document({title}{chars} chars)"))
        }
        DspyType::Code(_)
        | DspyType::Citations
        | DspyType::History
        | DspyType::ToolCalls
        | DspyType::ToolCallResults => Some(fields(ty, &shown, value)?.join(" ")),
    }
}

/// `repr(value)`; nothing for what is no value of the type.
pub(super) fn repr(ty: &DspyType, value: &Value) -> Option<String> {
    let shown = shown(ty, value)?;
    match ty {
        DspyType::Image => image(part(&shown)["image_url"]["url"].as_str()?),
        DspyType::Audio => {
            let audio = &part(&shown)["input_audio"];
            let len = audio["data"].as_str()?.chars().count();
            let format = audio["format"].as_str()?;
            Some(format!("Audio(data=<AUDIO_BASE_64_ENCODED({len})>, audio_format='{format}')"))
        }
        DspyType::File => Some(file(&part(&shown)["file"])),
        DspyType::Tool => {
            let tool = tool_of(value)?;
            let desc = if tool.desc.is_empty() { "None" } else { &tool.desc };
            let args = repr::repr(&Object::from(&Value::Object(tool.args)));
            Some(format!("Tool(name={}, desc={desc}, args={args})", tool.name))
        }
        DspyType::Reasoning => Some(repr::string(shown.as_str()?)),
        DspyType::Document
        | DspyType::Code(_)
        | DspyType::Citations
        | DspyType::History
        | DspyType::ToolCalls
        | DspyType::ToolCallResults => {
            Some(format!("{}({})", ty.class_name(), fields(ty, &shown, value)?.join(", ")))
        }
    }
}

fn shown(ty: &DspyType, value: &Value) -> Option<Value> {
    // `dspy.Image(text)` takes what its class does not take of a reply.
    let url = value.as_str().filter(|_| *ty == DspyType::Image);
    let url = url.map(|it| serde_json::json!({ "url": it }));
    let value = url.as_ref().unwrap_or(value);
    let valid = validate(&Type::Dspy(ty.clone()), value.into(), &Definitions::default());
    valid.ok().map(Object::into_json)
}

/// The parts between the markers of a text.
fn parts(shown: &Value) -> Vec<Value> {
    let text = shown.as_str().unwrap_or_default();
    let text = text.strip_prefix(dspy_value::MARKER_START).unwrap_or_default();
    let text = text.strip_suffix(dspy_value::MARKER_END).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

fn part(shown: &Value) -> Value {
    parts(shown).into_iter().next().unwrap_or_default()
}

fn image(url: &str) -> Option<String> {
    if !url.contains("base64") {
        return Some(format!("Image(url='{url}')"));
    }
    let len = url.split("base64,").nth(1)?.chars().count();
    let kind = url.split(';').next()?.rsplit('/').next()?;
    Some(format!("Image(url=data:image/{kind};base64,<IMAGE_BASE_64_ENCODED({len})>)"))
}

fn file(file: &Value) -> String {
    let data = file["file_data"].as_str().map(|data| {
        let chars = |text: &str| text.chars().count();
        let Some(rest) = data.strip_prefix("data:") else {
            return format!("file_data=<DATA({} chars)>", chars(data));
        };
        let mime = rest.split(';').next().and_then(|it| it.split(':').next()).unwrap_or_default();
        let len = chars(data.split("base64,").nth(1).unwrap_or(data));
        format!("file_data=<DATA_URI({mime}, {len} chars)>")
    });
    let named = |name: &str| file[name].as_str().map(|it| format!("{name}='{it}'"));
    let parts = data.into_iter().chain(named("file_id")).chain(named("filename"));
    format!("File({})", parts.collect::<Vec<_>>().join(", "))
}

/// The fields of a class without words of its own: `name=value`.
fn fields(ty: &DspyType, shown: &Value, given: &Value) -> Option<Vec<String>> {
    let plain = |value: &Value| repr::repr(&Object::from(value));
    let list = |class: &str, names: &[&str], items: &[Value]| {
        let item = |it: &Value| {
            let fields = names.iter().map(|name| format!("{name}={}", plain(&it[*name])));
            format!("{class}({})", fields.collect::<Vec<_>>().join(", "))
        };
        format!("[{}]", items.iter().map(item).collect::<Vec<_>>().join(", "))
    };
    Some(match ty {
        DspyType::Code(_) => vec![format!("code={}", plain(shown))],
        DspyType::Citations => {
            let names = [
                "type",
                "cited_text",
                "document_index",
                "document_title",
                "start_char_index",
                "end_char_index",
                "supported_text",
            ];
            vec![format!("citations={}", list("Citation", &names, &parts(shown)))]
        }
        DspyType::ToolCalls => {
            let calls = list("ToolCall", &["id", "name", "args"], shown["tool_calls"].as_array()?);
            let results = plain(&shown["tool_call_results"]);
            vec![format!("tool_calls={calls}"), format!("tool_call_results={results}")]
        }
        DspyType::ToolCallResults => {
            let names = ["call_id", "name", "value", "is_error"];
            let results = list("ToolCallResult", &names, shown["tool_call_results"].as_array()?);
            vec![format!("tool_call_results={results}")]
        }
        DspyType::Document => {
            let part = part(shown);
            let source = &part["source"];
            // The parts of a message leave out what is empty.
            let or_given = |name: &str| given.get(name).unwrap_or(&part[name]).clone();
            let pairs = [
                ("data", source["data"].clone()),
                ("title", or_given("title")),
                ("media_type", source["media_type"].clone()),
                ("context", or_given("context")),
            ];
            pairs.map(|(name, it)| format!("{name}={}", plain(&it))).into()
        }
        DspyType::Image
        | DspyType::Audio
        | DspyType::File
        | DspyType::History
        | DspyType::Tool
        | DspyType::Reasoning => {
            let map = shown.as_object()?;
            map.iter().map(|(name, it)| format!("{name}={}", plain(it))).collect()
        }
    })
}
