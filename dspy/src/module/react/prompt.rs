//! What an agent is told: the task, its tools, and what a turn is.

use serde_json::Value;

use super::{FINISH, ReAct, trajectory};
use crate::{Field, Fields, Signature, Tool, Type};

/// The fields that a turn adds, each of which makes a new signature to the package.
const FIELDS: usize = 4;

/// The signature of a turn, but for the tools, which are known when it runs.
pub(super) fn react(signature: &Signature) -> Signature {
    let mut inputs = signature.inputs.clone();
    inputs.push(Field::new(trajectory::NAME, Type::Str));
    let args = Type::Dict(Box::new(Type::Str), Box::new(Type::Any));
    let outputs = vec![
        Field::new("next_thought", Type::Str),
        Field::new("next_tool_name", Type::Str),
        Field::new("next_tool_args", args),
    ];
    Signature { inputs, outputs, instructions: String::new(), ..signature.clone() }
}

/// The signature of the extraction.
pub(super) fn extract(signature: &Signature) -> Signature {
    // The package makes a signature of the same fields, then one with the trajectory.
    signature.clone().made_anew().with_input(Field::new(trajectory::NAME, Type::Str))
}

/// The signature of a turn with these tools.
pub(super) fn with_tools(agent: &ReAct, tools: &[Tool]) -> Signature {
    let mut signature = agent.react.signature.clone();
    let names = tools.iter().map(|it| Value::from(it.name.as_str())).collect();
    for field in &mut signature.outputs {
        if field.name == "next_tool_name" {
            field.ty = Type::Literal(names);
            break;
        }
    }
    let default = Signature::default_instructions(&signature.inputs, &signature.outputs);
    if signature.instructions.is_empty() || signature.instructions == default {
        let Signature { name, inputs, outputs, types, .. } = signature;
        let instructions = instructions(&agent.signature, tools);
        signature = Signature { types, ..Signature::new(name, instructions, inputs, outputs) };
        for _field in 0..FIELDS {
            signature = signature.made_anew();
        }
    }
    signature
}

/// The tool by which the model says that it is done.
pub(super) fn finish(signature: &Signature) -> Tool {
    let outputs = quoted(&signature.outputs);
    Tool {
        name: FINISH.to_owned(),
        desc: format!(
            "Marks the task as complete. That is, signals that all information for producing the \
             outputs, i.e. {outputs}, are now available to be extracted."
        ),
        args: Fields::new(),
        has_kwargs: false,
    }
}

fn instructions(signature: &Signature, tools: &[Tool]) -> String {
    let (inputs, outputs) = (quoted(&signature.inputs), quoted(&signature.outputs));
    let task = Some(&signature.instructions).filter(|it| !it.is_empty());
    let mut lines: Vec<_> = task.map(|it| format!("{it}\n")).into_iter().collect();
    lines.extend([
        format!(
            "You are an Agent. In each episode, you will be given the fields {inputs} as input. \
             And you can see your past trajectory so far."
        ),
        format!(
            "Your goal is to use one or more of the supplied tools to collect any necessary \
             information for producing {outputs}.\n"
        ),
        "To do this, you will interleave next_thought, next_tool_name, and next_tool_args in each \
         turn, and also when finishing the task."
            .to_owned(),
        "After each tool call, you receive a resulting observation, which gets appended to your \
         trajectory.\n"
            .to_owned(),
        "When writing next_thought, you may reason about the current situation and plan for \
         future steps."
            .to_owned(),
        "When selecting the next_tool_name and its next_tool_args, the tool must be one of:\n"
            .to_owned(),
    ]);
    let tools = tools.iter().enumerate();
    lines.extend(tools.map(|(i, tool)| format!("({}) {}", i + 1, tool)));
    lines.push(
        "When providing `next_tool_args`, the value inside the field must be in JSON format"
            .to_owned(),
    );
    lines.join("\n")
}

fn quoted(fields: &[Field]) -> String {
    fields.iter().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ")
}
