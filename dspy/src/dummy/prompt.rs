//! What a prompt of DSPy's asks for: its output fields, read back from the system message.

use std::borrow::Cow;

use crate::{LmRequest, Message, Role, Type, python::json::dumps};

/// What a note begins with that shows the elements of a value.
pub(super) const ELEMENTS: &str = "must have the elements: ";

const SCHEMA: &str = "must adhere to the JSON schema: ";

/// What is asked for.
pub(super) struct Prompt {
    pub(super) fields: Vec<Asked>,
    pub(super) wanted: Wanted,
    /// The value of the first input in the last message.
    pub(super) first_input: String,
}

/// An output field as the prompt describes it.
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) ty: Type,
    /// What the prompt says that the value must be.
    pub(super) note: String,
}

/// The format asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Sections,
    Json,
    Xml,
}

impl Wanted {
    fn of(reminder: &str) -> Self {
        if reminder.starts_with("Respond with a JSON object in the following order") {
            return Self::Json;
        }
        let is_xml =
            reminder.starts_with("Respond with the corresponding output fields wrapped in XML");
        if is_xml { Self::Xml } else { Self::Sections }
    }
}

impl Prompt {
    pub(super) fn read(request: &LmRequest) -> Self {
        let messages = &request.messages;
        let system = messages.iter().find(|it| it.role == Role::System).map(text);
        let system = system.unwrap_or_default();
        let question = messages.last().map(text).unwrap_or_default();
        let reminder = reminder(&question);
        let mut fields = fields(&system, reminder);
        for field in fields.iter_mut().filter(|it| it.note.is_empty()) {
            field.note = schema_note(request, &field.name).unwrap_or_default();
        }
        Self { fields, wanted: Wanted::of(reminder), first_input: first_input(&question) }
    }
}

/// The text of a message; of one with images, all parts of text.
fn text(message: &Message) -> Cow<'_, str> {
    if let Some(text) = message.content.as_str() {
        return text.into();
    }
    let parts = message.content.as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter_map(|it| it["text"].as_str()).collect()
}

/// What the last message says at its end about the answer; the whole message if it says nothing.
fn reminder(question: &str) -> &str {
    let mut ends = question.rmatch_indices('\n').map(|(at, _)| &question[at + 1..]);
    ends.find(|it| it.starts_with("Respond with ")).unwrap_or(question)
}

fn fields(system: &str, reminder: &str) -> Vec<Asked> {
    let Some((_, list)) = system.split_once("Your output fields are:\n") else { return Vec::new() };
    let (list, structure) =
        list.split_once("\nAll interactions will be structured in").unwrap_or((list, ""));
    let mut fields: Vec<Asked> = Vec::new();
    for line in list.lines() {
        let Some((number, rest)) = line.split_once(". `") else { continue };
        let Some((name, rest)) = rest.split_once("` (") else { continue };
        let Some(ty) = leading_type(rest).filter(|_| number.parse() == Ok(fields.len() + 1)) else {
            continue;
        };
        // A description may hold lines that look like fields: the reminder names those that are.
        let names = |before: &str, after: &str| reminder.contains(&[before, name, after].concat());
        if !(names("`[[ ## ", " ## ]]`") || names("`", "`") || names("`<", ">`")) {
            continue;
        }
        // of a text nothing is said
        let note = if ty == Type::Str { String::new() } else { note(structure, name) };
        fields.push(Asked { name: name.to_owned(), ty, note });
    }
    fields
}

/// The type before a `):` that reads as one, else what stands there: of bounds the package prints
/// what nobody reads, and a schema beside it.
fn leading_type(rest: &str) -> Option<Type> {
    let mut ends = rest.match_indices("):").map(|(at, _)| &rest[..at]);
    let first = ends.clone().next()?;
    let ty = ends.find_map(|it| Type::try_from(it.to_owned()).ok());
    Some(ty.unwrap_or_else(|| Type::Named(first.to_owned())))
}

/// What the structure says of a field's value.
fn note(structure: &str, name: &str) -> String {
    let element = format!("<{name}><");
    if let Some(elements) = structure.lines().find(|it| it.starts_with(&element)) {
        return format!("{ELEMENTS}{elements}");
    }
    let place = format!("{{{name}}}        # note: the value you produce ");
    let line = structure.split_once(&place).map(|(_, it)| it.lines().next().unwrap_or_default());
    line.unwrap_or_default().trim_end_matches(['"', ',']).to_owned()
}

/// The schema that a request itself brings for a field, as prompts write it.
fn schema_note(request: &LmRequest, name: &str) -> Option<String> {
    let whole = request.response_format.as_ref()?.pointer("/json_schema/schema")?;
    let mut schema = whole["properties"].get(name)?.clone();
    if let (Some(map), Some(definitions)) = (schema.as_object_mut(), whole.get("$defs")) {
        map.insert("$defs".to_owned(), definitions.clone());
    }
    Some(format!("{SCHEMA}{}", dumps(&schema)))
}

/// The text under the first header or in the first tag, or the whole question if there is none.
fn first_input(question: &str) -> String {
    if let Some((tag, after)) = question.strip_prefix('<').and_then(|it| it.split_once(">\n")) {
        let end = after.find(&format!("\n</{tag}>"));
        return after[..end.unwrap_or(after.len())].to_owned();
    }
    let Some((_, after)) = question.split_once(" ## ]]\n") else { return question.to_owned() };
    let end = after.find("\n\n[[ ## ").or_else(|| after.find("\n\nRespond with "));
    after[..end.unwrap_or(after.len())].to_owned()
}
