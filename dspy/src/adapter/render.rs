//! The messages: the task, the demos, the question.

use std::borrow::Cow;

use serde_json::Value;

use super::{Format, baml, chat, describe, history, json, markers, two_step, value::shown, xml};
use crate::{
    AdapterError, Demo, Field, Fields, Message, Role, Signature, python::text, signature::without,
    types::Looked,
};

const INCOMPLETE: &str =
    "This is an example of the task, though some input or output fields are not supplied.";
const NOT_SUPPLIED: &str = "Not supplied for this particular example. ";

/// The messages of one call.
pub(super) fn messages(
    format: Format,
    signature: &Signature,
    demos: &[Demo],
    inputs: &Fields,
    is_native: bool,
) -> Result<Vec<Message>, AdapterError> {
    if format == Format::TwoStep {
        return Ok(two_step::messages(signature, demos, inputs));
    }
    let demos = demos.iter().map(|Demo(it)| typed(signature, it, Looked::Own)).collect::<Vec<_>>();
    let looked = if format == Format::Baml { Looked::Models } else { Looked::All };
    let inputs = &typed(signature, inputs, looked);
    let mut messages = vec![Message::text(Role::System, system(format, signature)?)];
    messages.extend(shown_demos(format, signature, demos.iter().map(Cow::as_ref)));
    let history = history::field(signature);
    let asked = history.map(|it| without(signature, &it.name));
    if let (Some(field), Some(asked)) = (history, &asked) {
        messages.extend(history::turns(format, asked, inputs.get(&field.name), is_native));
    }
    let question = user(format, asked.as_ref().unwrap_or(signature), inputs, "", true);
    if !question.is_empty() {
        messages.push(Message::text(Role::User, question));
    }
    messages.iter_mut().for_each(markers::expand);
    Ok(messages)
}

/// The demos as a conversation, incomplete ones first.
pub(super) fn shown_demos<'a>(
    format: Format,
    signature: &Signature,
    demos: impl Iterator<Item = &'a Fields>,
) -> Vec<Message> {
    let (complete, incomplete) = sorted_demos(signature, demos);
    let incomplete = incomplete.into_iter().map(|it| (it, INCOMPLETE));
    let demos = incomplete.chain(complete.into_iter().map(|it| (it, "")));
    let messages = demos.flat_map(|(demo, prefix)| {
        let question = user(format, signature, demo, prefix, false);
        let answer = assistant(format, signature, demo, Some(NOT_SUPPLIED));
        [Message::text(Role::User, question), Message::text(Role::Assistant, answer)]
    });
    messages.collect()
}

/// The values as their types show them.
pub(super) fn typed<'a>(
    signature: &Signature,
    values: &'a Fields,
    looked: Looked,
) -> Cow<'a, Fields> {
    let fields = signature.inputs.iter().chain(&signature.outputs);
    if fields.clone().all(|it| it.ty.is_shown_as_given()) {
        return Cow::Borrowed(values);
    }
    let typed = values.iter().map(|(name, value)| {
        let field = fields.clone().find(|it| it.name == *name);
        let shown = field.map(|it| it.ty.shown(value, &signature.types, looked));
        (name.clone(), shown.unwrap_or_else(|| value.clone()))
    });
    Cow::Owned(typed.collect())
}

/// Demos that show every field, and those that show at least an input and an output. The rest
/// is not used.
fn sorted_demos<'a>(
    signature: &Signature,
    demos: impl Iterator<Item = &'a Fields>,
) -> (Vec<&'a Fields>, Vec<&'a Fields>) {
    let mut complete = Vec::new();
    let mut incomplete = Vec::new();
    for demo in demos {
        let has = |field: &Field| demo.contains_key(&field.name);
        let is_given = |field: &Field| demo.get(&field.name).is_some_and(|it| !it.is_null());
        let (inputs, outputs) = (&signature.inputs, &signature.outputs);
        if inputs.iter().chain(outputs).all(is_given) {
            complete.push(demo);
        } else if inputs.iter().any(has) && outputs.iter().any(has) {
            incomplete.push(demo);
        }
    }
    (complete, incomplete)
}

fn system(format: Format, signature: &Signature) -> Result<String, AdapterError> {
    let structure = match format {
        Format::Chat => chat::structure(signature),
        Format::Json => json::structure(signature),
        Format::Xml => xml::structure(signature),
        Format::Baml => baml::structure(signature)?,
        Format::TwoStep => two_step::system(signature),
    };
    let inputs = describe::field_list(&signature.inputs);
    let outputs = describe::field_list(&signature.outputs);
    let task = task(signature);
    let lists = ["Your input fields are:\n", &inputs, "\nYour output fields are:\n", &outputs];
    Ok([lists.concat().as_str(), &structure, &task].join("\n"))
}

fn task(signature: &Signature) -> String {
    let instructions = text::dedent(&signature.instructions);
    let mut task = "In adhering to this structure, your objective is: ".to_owned();
    for line in text::split_lines(&instructions) {
        task.push_str("\n        ");
        task.push_str(line);
    }
    task
}

/// The values that are there.
pub(super) fn values(format: Format, signature: &Signature, values: &Fields) -> String {
    user(format, signature, values, "", false)
}

/// A question: the values that are there, and for the last one how to answer.
pub(super) fn user(
    format: Format,
    signature: &Signature,
    values: &Fields,
    prefix: &str,
    is_last: bool,
) -> String {
    let mut parts = vec![Cow::Borrowed(prefix)];
    for field in &signature.inputs {
        let Some(value) = values.get(&field.name) else { continue };
        let types = &signature.types;
        let part = match format {
            Format::Chat | Format::Json => section(&field.name, &shown(field, value)),
            Format::Xml => xml::section(&field.name, &shown(field, value)),
            Format::Baml => section(&field.name, &baml::shown(field, value, types)),
            Format::TwoStep => two_step::line(field, value, types),
        };
        parts.push(part.into());
    }
    if is_last {
        let reminder = match format {
            Format::Chat => chat::reminder(signature),
            Format::Json | Format::Baml => json::reminder(signature),
            Format::Xml => xml::reminder(signature),
            Format::TwoStep => String::new(),
        };
        parts.push(reminder.into());
    }
    text::stripped(parts.join("\n\n"))
}

/// An answer, as the model should give it; with `missing` for what is not there.
pub(super) fn assistant(
    format: Format,
    signature: &Signature,
    values: &Fields,
    missing: Option<&str>,
) -> String {
    let missing = missing.map_or(Value::Null, Value::from);
    let all = signature.outputs.iter().map(|field| {
        let value = values.get(&field.name).unwrap_or(&missing);
        (field, value)
    });
    match format {
        Format::Chat => chat::answer(all),
        Format::Json | Format::Baml => json::answer(all),
        Format::Xml => xml::answer(all, &signature.types),
        Format::TwoStep => two_step::answer(signature, values),
    }
}

/// A header and what stands under it.
pub(super) fn section(name: &str, content: &str) -> String {
    ["[[ ## ", name, " ## ]]\n", content].concat()
}

/// Sections one under the other.
pub(super) fn sections<'a>(sections: impl Iterator<Item = (&'a str, impl AsRef<str>)>) -> String {
    joined(sections.map(|(name, content)| section(name, content.as_ref())))
}

/// Parts one under the other.
pub(super) fn joined(parts: impl Iterator<Item = String>) -> String {
    text::stripped(parts.collect::<Vec<_>>().join("\n\n"))
}
