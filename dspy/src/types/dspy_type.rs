//! DSPy's own types of fields: images, histories, calls of tools, …

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

/// A type that DSPy brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DspyType {
    /// `dspy.Image`
    Image,
    /// `dspy.Audio`
    Audio,
    /// `dspy.File`
    File,
    /// `dspy.History`
    History,
    /// `dspy.Tool`
    Tool,
    /// `dspy.ToolCalls`
    ToolCalls,
    /// `dspy.ToolCallResults`
    ToolCallResults,
    /// `dspy.Code`, or `dspy.Code["java"]` with its language
    Code(Option<String>),
    /// `dspy.Reasoning`
    Reasoning,
    /// `dspy.experimental.Citations`
    Citations,
    /// `dspy.experimental.Document`
    Document,
}

/// All without a parameter.
const ALL: [DspyType; 11] = [
    DspyType::Image,
    DspyType::Audio,
    DspyType::File,
    DspyType::History,
    DspyType::Tool,
    DspyType::ToolCalls,
    DspyType::ToolCallResults,
    DspyType::Code(None),
    DspyType::Reasoning,
    DspyType::Citations,
    DspyType::Document,
];

/// The language of `dspy.Code` where none is named.
const LANGUAGE: &str = "python";

const CITATIONS: &str = "Citations with quoted text and source references. Include the exact text \
                         being cited and information about its source.";
const DOCUMENT: &str = "A document containing text content that can be referenced and cited. \
                        Include the full text content and optionally a title for proper \
                        referencing.";
const TOOL_CALLS: &str = "Tool calls must be a JSON object with `tool_calls`, a list of calls. \
                          Each call must include `name` and `args`. Example: {\"tool_calls\": \
                          [{\"name\": \"search\", \"args\": {\"query\": \"cats\"}}]}";

impl DspyType {
    /// The type of a name: `Image`, `dspy.Image`, `Code_java`.
    pub(super) fn named(name: &str) -> Option<Self> {
        let bare = ["dspy.experimental.", "dspy."].iter().find_map(|it| name.strip_prefix(it));
        let bare = bare.unwrap_or(name);
        if let Some(language) = bare.strip_prefix("Code_").filter(|it| !it.is_empty()) {
            return Some(Self::Code(Some(language.to_owned())));
        }
        ALL.into_iter().find(|it| it.class_name() == bare)
    }

    /// The name of its class, as prompts show it and errors name it.
    pub(crate) fn class_name(&self) -> String {
        match self {
            Self::Image => "Image".to_owned(),
            Self::Audio => "Audio".to_owned(),
            Self::File => "File".to_owned(),
            Self::History => "History".to_owned(),
            Self::Tool => "Tool".to_owned(),
            Self::ToolCalls => "ToolCalls".to_owned(),
            Self::ToolCallResults => "ToolCallResults".to_owned(),
            Self::Code(None) => "Code".to_owned(),
            Self::Code(Some(language)) => format!("Code_{language}"),
            Self::Reasoning => "Reasoning".to_owned(),
            Self::Citations => "Citations".to_owned(),
            Self::Document => "Document".to_owned(),
        }
    }

    /// What the model is told of it, wherever a field is of it.
    pub(crate) fn description(&self) -> Option<String> {
        match self {
            Self::Code(language) => {
                let language = language.as_deref().unwrap_or(LANGUAGE);
                Some(format!(
                    "Code represented in a string, specified in the `code` field. If this is an \
                     output field, the code field should follow the markdown code block format, \
                     e.g. \n```{}\n{{code}}\n```\nProgramming language: {language}",
                    language.to_lowercase()
                ))
            }
            Self::Citations => Some(CITATIONS.to_owned()),
            Self::Document => Some(DOCUMENT.to_owned()),
            Self::ToolCalls => Some(TOOL_CALLS.to_owned()),
            Self::Image
            | Self::Audio
            | Self::File
            | Self::History
            | Self::Tool
            | Self::ToolCallResults
            | Self::Reasoning => None,
        }
    }

    /// The JSON Schema that pydantic makes of its class.
    pub(super) fn json_schema(&self) -> Value {
        match self {
            Self::Code(Some(_)) => json!({
                "properties": {"code": {"title": "Code", "type": "string"}},
                "required": ["code"],
                "title": self.class_name(),
                "type": "object",
            }),
            // pydantic makes none of a class that holds a function; this is what is taken here.
            Self::Tool => json!({
                "properties": {
                    "name": {"title": "Name", "type": "string"},
                    "desc": {"title": "Desc", "type": "string"},
                    "args": {"additionalProperties": true, "title": "Args", "type": "object"},
                },
                "required": ["name"],
                "title": "Tool",
                "type": "object",
            }),
            Self::Image
            | Self::Audio
            | Self::File
            | Self::History
            | Self::ToolCalls
            | Self::ToolCallResults
            | Self::Code(None)
            | Self::Reasoning
            | Self::Citations
            | Self::Document => schemas().get(&self.class_name()).cloned().unwrap_or_default(),
        }
    }
}

/// The schemas of the package's classes, which it makes of their fields and docstrings.
pub(super) fn schemas() -> &'static Map<String, Value> {
    static SCHEMAS: OnceLock<Map<String, Value>> = OnceLock::new();
    SCHEMAS
        .get_or_init(|| serde_json::from_str(include_str!("dspy_schemas.json")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_names_and_has_a_schema() {
        for ty in ALL {
            let name = ty.class_name();

            assert_eq!(DspyType::named(&name), Some(ty.clone()));
            assert_eq!(DspyType::named(&format!("dspy.{name}")), Some(ty.clone()));
            assert_eq!(ty.json_schema()["type"], "object", "{name}");
        }
        assert_eq!(DspyType::named("Code_"), None);
        assert_eq!(DspyType::named("Picture"), None);
    }
}
