//! How a signature becomes messages, and a reply becomes fields.
//!
//! What the formats share is here and in [`render`]; what they differ in is in a file each.

mod baml;
mod chat;
mod describe;
mod field_info;
mod history;
mod json;
mod markers;
pub(crate) mod native;
pub(crate) mod python_form;
mod python_own;
mod render;
mod response_format;
pub(crate) mod splitter;
mod two_step;
pub(crate) mod value;
mod xml;
mod xml_shape;

use serde::{Deserialize, Serialize};

use crate::{
    AdapterError, Demo, Field, Fields, LmSettings, Message, ParseError, Signature, Uncaught,
    python::object::Object,
};
pub(crate) use response_format::response_format;
pub(crate) use two_step::extractor;

/// The format of messages and replies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adapter {
    /// Sections under `[[ ## name ## ]]` headers: DSPy's `ChatAdapter`.
    Chat {
        /// Whether a reply that cannot be read is asked for again as JSON.
        json_fallback: bool,
        /// How tools are called.
        calling: FunctionCalling,
    },
    /// One JSON object: DSPy's `JSONAdapter`.
    Json {
        /// How tools are called.
        calling: FunctionCalling,
    },
    /// A tag for each field: DSPy's `XMLAdapter`.
    Xml {
        /// Whether a reply that cannot be read is asked for again as JSON.
        json_fallback: bool,
        /// How tools are called.
        calling: FunctionCalling,
    },
    /// One JSON object, its types described in few words: DSPy's `BAMLAdapter`.
    Baml {
        /// How tools are called.
        calling: FunctionCalling,
    },
    /// Free text, out of which another model takes the fields: DSPy's `TwoStepAdapter`.
    TwoStep {
        /// The model that takes them, and how it is to answer.
        extraction: Box<LmSettings>,
        /// How tools are called.
        calling: FunctionCalling,
    },
}

/// Whether tools are told to the model apart from the prompt, and called apart from the text.
///
/// Only for a signature with a `ToolCalls` output, and only with a model that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCalling {
    /// Whether the provider's own function calling is used.
    pub native: bool,
    /// Whether several calls at once are asked for; `None` leaves it to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<bool>,
}

impl FunctionCalling {
    /// Tools are in the prompt, calls in the text.
    pub const OFF: Self = Self { native: false, parallel: None };
    /// Native where the model can.
    pub const ON: Self = Self { native: true, parallel: None };
}

impl Default for Adapter {
    fn default() -> Self {
        Self::chat(true)
    }
}

impl Adapter {
    /// DSPy's `ChatAdapter` with its defaults.
    pub fn chat(json_fallback: bool) -> Self {
        Self::Chat { json_fallback, calling: FunctionCalling::OFF }
    }

    /// DSPy's `JSONAdapter` with its defaults.
    pub fn json() -> Self {
        Self::Json { calling: FunctionCalling::ON }
    }

    /// DSPy's `XMLAdapter` with its defaults.
    pub fn xml(json_fallback: bool) -> Self {
        Self::Xml { json_fallback, calling: FunctionCalling::OFF }
    }

    /// DSPy's `BAMLAdapter` with its defaults.
    pub fn baml() -> Self {
        Self::Baml { calling: FunctionCalling::ON }
    }

    /// DSPy's `TwoStepAdapter` with its defaults.
    pub fn two_step(extraction: LmSettings) -> Self {
        Self::TwoStep { extraction: Box::new(extraction), calling: FunctionCalling::OFF }
    }

    /// The package's name of it.
    pub fn name(&self) -> &'static str {
        self.format().name()
    }

    /// Refuses a signature that it can never write, in the package's words.
    pub fn check(&self, signature: &Signature) -> Result<(), AdapterError> {
        match self {
            Self::TwoStep { extraction, .. } if extraction.model.is_none() => {
                Err(AdapterError("extraction_model must be an instance of dspy.BaseLM".to_owned()))
            }
            Self::TwoStep { extraction, .. } => {
                extraction.check().map_err(|error| AdapterError(error.to_string()))
            }
            Self::Baml { .. } => baml::structure(signature).map(drop),
            Self::Chat { .. } | Self::Json { .. } | Self::Xml { .. } => Ok(()),
        }
    }

    /// The messages of one call.
    pub fn render(
        &self,
        signature: &Signature,
        demos: &[Demo],
        inputs: &Fields,
    ) -> Result<Vec<Message>, AdapterError> {
        self.format().render(signature, demos, inputs, self.calling().native)
    }

    /// The outputs that a reply's text holds, with defaults where it holds none.
    ///
    /// The two-step adapter reads the whole text as `text`, which it then gives to the other model.
    pub fn parse(&self, signature: &Signature, text: &str) -> Result<Fields, ParseError> {
        self.format().parse(signature, text)
    }

    /// The fields as the model is told of them, in every format.
    pub(crate) fn describe(fields: &[Field]) -> String {
        describe::field_list(fields)
    }

    /// Values as a question shows them, without how to answer.
    pub(crate) fn show(&self, signature: &Signature, values: &Fields) -> String {
        render::values(self.format(), signature, values)
    }

    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Chat { .. } => Format::Chat,
            Self::Json { .. } => Format::Json,
            Self::Xml { .. } => Format::Xml,
            Self::Baml { .. } => Format::Baml,
            Self::TwoStep { .. } => Format::TwoStep,
        }
    }

    pub(crate) fn calling(&self) -> FunctionCalling {
        match self {
            Self::Chat { calling, .. }
            | Self::Json { calling }
            | Self::Xml { calling, .. }
            | Self::Baml { calling }
            | Self::TwoStep { calling, .. } => *calling,
        }
    }

    /// The format to ask in when a reply in the first one could not be read.
    pub(crate) fn fallback(&self) -> Option<Format> {
        match self {
            Self::Chat { json_fallback, .. } | Self::Xml { json_fallback, .. } => {
                json_fallback.then_some(Format::Json)
            }
            Self::Json { .. } | Self::Baml { .. } | Self::TwoStep { .. } => None,
        }
    }
}

/// One way of writing and reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Chat,
    Json,
    Xml,
    Baml,
    TwoStep,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chat => "ChatAdapter",
            Self::Json => "JSONAdapter",
            Self::Xml => "XMLAdapter",
            Self::Baml => "BAMLAdapter",
            Self::TwoStep => "TwoStepAdapter",
        }
    }

    /// The format of an adapter by the package's name of it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::Chat, Self::Json, Self::Xml, Self::Baml, Self::TwoStep];
        all.into_iter().find(|it| it.name() == name)
    }

    pub(crate) fn render(
        self,
        signature: &Signature,
        demos: &[Demo],
        inputs: &Fields,
        is_native: bool,
    ) -> Result<Vec<Message>, AdapterError> {
        render::messages(self, signature, demos, inputs, is_native)
    }

    pub(crate) fn parse(self, signature: &Signature, text: &str) -> Result<Fields, ParseError> {
        let mut found = Found::for_outputs(signature);
        let text = match self {
            Self::Chat => chat::parse(signature, text, &mut found).map(|()| text)?,
            Self::Json | Self::Baml => json::parse(self, signature, text, &mut found)?,
            Self::Xml => xml::parse(signature, text, &mut found).map(|()| text)?,
            Self::TwoStep => return Ok(two_step::text(text)),
        };
        let Found { mut fields, ellipsis } = found;
        // The package's BAMLAdapter leaves this to its parent, which gives its own name.
        let speaker = if self == Self::Baml { Self::Json } else { self };
        complete(signature, &mut fields).map_err(|parsed| ParseError {
            parsed: Some(parsed),
            ..speaker.error(signature, text, None)
        })?;
        let Some(place) = ellipsis else { return Ok(fields) };
        let message = format!("output `{place}` is of type ellipsis, which JSON cannot hold");
        let uncaught = Some(Uncaught::Type);
        Err(ParseError { uncaught, ..self.error(signature, text, Some(message)) })
    }

    pub(crate) fn error(
        self,
        signature: &Signature,
        reply: &str,
        message: Option<String>,
    ) -> ParseError {
        ParseError {
            adapter: self.name().to_owned(),
            reply: reply.to_owned(),
            expected: signature.outputs.iter().map(|it| it.name.clone()).collect(),
            parsed: None,
            message,
            uncaught: None,
        }
    }
}

/// What an adapter read, before defaults.
struct Found {
    /// In the reply's order.
    fields: Fields,
    /// Where the first ellipsis is, which the package reads for `Any` and nobody can write.
    ellipsis: Option<String>,
}

impl Found {
    fn for_outputs(signature: &Signature) -> Self {
        Self { fields: Fields::with_capacity(signature.outputs.len()), ellipsis: None }
    }

    fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    fn put(&mut self, name: String, value: Object) {
        if self.ellipsis.is_none() {
            self.ellipsis = value.ellipsis().map(|place| format!("{name}{place}"));
        }
        self.fields.insert(name, value.into_json());
    }
}

/// Brings outputs into the signature's order, missing ones by their defaults; or tells which there
/// are.
fn complete(signature: &Signature, found: &mut Fields) -> Result<(), Vec<String>> {
    if is_whole(signature, found) {
        return Ok(());
    }
    let mut fields = Fields::with_capacity(signature.outputs.len());
    for field in &signature.outputs {
        if let Some((name, value)) = found.swap_remove_entry(&field.name) {
            fields.insert(name, value);
        } else if let Some(default) = &field.default {
            fields.insert(field.name.clone(), default.clone());
        } else if field.ty.allows_none() {
            fields.insert(field.name.clone(), serde_json::Value::Null);
        }
    }
    if fields.len() < signature.outputs.len() {
        return Err(fields.into_iter().map(|(name, _)| name).collect());
    }
    *found = fields;
    Ok(())
}

/// Whether all outputs are there in the signature's order.
fn is_whole(signature: &Signature, found: &Fields) -> bool {
    found.keys().eq(signature.outputs.iter().map(|it| &it.name))
}
