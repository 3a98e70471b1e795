//! The messages: the task, the demos, the question.

use serde_json::Value;

use super::{Format, chat, describe, json, value::shown};
use crate::{Demo, Field, Fields, Message, Role, Signature, python::text};

const INCOMPLETE: &str =
    "This is an example of the task, though some input or output fields are not supplied.";
const NOT_SUPPLIED: &str = "Not supplied for this particular example. ";

/// The messages of one call.
pub(super) fn messages(
    format: Format,
    signature: &Signature,
    demos: &[Demo],
    inputs: &Fields,
) -> Vec<Message> {
    let mut messages = vec![Message::text(Role::System, system(format, signature))];
    let (complete, incomplete) = sorted_demos(signature, demos);
    let incomplete = incomplete.into_iter().map(|it| (it, INCOMPLETE));
    for (demo, prefix) in incomplete.chain(complete.into_iter().map(|it| (it, ""))) {
        let question = user(signature, demo, prefix, None);
        messages.push(Message::text(Role::User, question));
        messages.push(Message::text(Role::Assistant, assistant(format, signature, demo)));
    }
    let question = user(signature, inputs, "", Some(format));
    if !question.is_empty() {
        messages.push(Message::text(Role::User, question));
    }
    messages
}

/// Demos that show every field, and those that show at least an input and an output. The rest
/// is not used.
fn sorted_demos<'a>(
    signature: &Signature,
    demos: &'a [Demo],
) -> (Vec<&'a Fields>, Vec<&'a Fields>) {
    let mut complete = Vec::new();
    let mut incomplete = Vec::new();
    for Demo(demo) in demos {
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

fn system(format: Format, signature: &Signature) -> String {
    let inputs = describe::field_list(&signature.inputs);
    let outputs = describe::field_list(&signature.outputs);
    let structure = match format {
        Format::Chat => chat::structure(signature),
        Format::Json => json::structure(signature),
    };
    let task = task(signature);
    format!(
        "Your input fields are:\n{inputs}\nYour output fields are:\n{outputs}\n{structure}\n{task}"
    )
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
pub(super) fn values(signature: &Signature, values: &Fields) -> String {
    user(signature, values, "", None)
}

/// A question: the values that are there, and for the last one how to answer.
fn user(signature: &Signature, values: &Fields, prefix: &str, reminder: Option<Format>) -> String {
    let mut parts = vec![prefix.to_owned()];
    for field in &signature.inputs {
        if let Some(value) = values.get(&field.name) {
            parts.push(section(&field.name, &shown(field, value)));
        }
    }
    match reminder {
        Some(Format::Chat) => parts.push(chat::reminder(signature)),
        Some(Format::Json) => parts.push(json::reminder(signature)),
        None => {}
    }
    parts.push(String::new());
    text::strip(&parts.join("\n\n")).to_owned()
}

/// An answer, as the model should give it.
fn assistant(format: Format, signature: &Signature, values: &Fields) -> String {
    let missing = Value::String(NOT_SUPPLIED.to_owned());
    let values = signature.outputs.iter().map(|field| {
        let value = values.get(&field.name).unwrap_or(&missing);
        (field, value)
    });
    match format {
        Format::Chat => chat::answer(values),
        Format::Json => json::answer(values),
    }
}

/// A header and what stands under it.
pub(super) fn section(name: &str, content: &str) -> String {
    format!("[[ ## {name} ## ]]\n{content}")
}

/// Sections one under the other.
pub(super) fn sections(sections: impl Iterator<Item = (String, String)>) -> String {
    let sections: Vec<_> = sections.map(|(name, content)| section(&name, &content)).collect();
    text::strip(&sections.join("\n\n")).to_owned()
}
