//! DSPy's `TwoStepAdapter`: the task in plain words, and a second signature that takes the fields
//! out of the free text of the answer.

use serde_json::Value;

use super::{Format, describe::field_list, python_form, render};
use crate::{
    Definitions, Demo, Field, Fields, Message, Role, Signature, Type, python::text::strip,
    types::Looked,
};

/// The messages of the first step: a history is a value like others, and nothing becomes a part.
pub(super) fn messages(signature: &Signature, demos: &[Demo], inputs: &Fields) -> Vec<Message> {
    let inputs = render::typed(signature, inputs, Looked::Others);
    let mut messages = vec![Message::text(Role::System, system(signature))];
    let demos = demos.iter().map(|Demo(it)| it);
    messages.extend(render::shown_demos(Format::TwoStep, signature, demos));
    let question = render::values(Format::TwoStep, signature, &inputs);
    messages.push(Message::text(Role::User, question));
    messages
}

/// What the first model is told.
pub(super) fn system(signature: &Signature) -> String {
    let mut parts = vec![
        "You are a helpful assistant that can solve tasks based on user input.".to_owned(),
        format!("As input, you will be provided with:\n{}", field_list(&signature.inputs)),
        format!("Your outputs must contain:\n{}", field_list(&signature.outputs)),
        "You should lay out your outputs in detail so that your answer can be understood by \
         another agent"
            .to_owned(),
    ];
    if !signature.instructions.is_empty() {
        parts.push(format!("Specific instructions: {}", signature.instructions));
    }
    parts.join("\n")
}

/// A value beside its name.
pub(super) fn line(field: &Field, value: &Value, definitions: &Definitions) -> String {
    format!("{}: {}", field.name, python_form::str(&field.ty, value, definitions))
}

/// An answer of the values that there are.
pub(super) fn answer(signature: &Signature, values: &Fields) -> String {
    let given = |it: &Field| values.get(&it.name).map(|value| line(it, value, &signature.types));
    let lines: Vec<_> = signature.outputs.iter().filter_map(given).collect();
    strip(&lines.join("\n\n")).to_owned()
}

/// What the first step gives: all of its text, which is the input of the second.
pub(super) fn text(text: &str) -> Fields {
    Fields::from_iter([("text".to_owned(), text.into())])
}

/// The signature of the second step: `text -> …`.
pub(crate) fn extractor(signature: &Signature) -> Signature {
    let outputs: Vec<_> = signature.outputs.iter().map(|it| format!("`{}`", it.name)).collect();
    // The blanks in the middle are the package's: a line of its source goes on there.
    let instructions = format!(
        "The input is a text that should contain all the necessary information to produce the \
         fields {}.             Your job is to extract the fields from the text verbatim. Extract \
         precisely the appropriate value (content) for each field.",
        outputs.join(", ")
    );
    Signature {
        name: "StringSignature".to_owned(),
        instructions,
        inputs: vec![Field::new("text", Type::Str)],
        outputs: signature.outputs.clone(),
        types: signature.types.clone(),
    }
}
