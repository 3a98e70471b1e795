//! What is asked for by a provider's own means and left out of the text: calls of tools, reasoning,
//! citations.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Format, FunctionCalling};
use crate::{
    Capabilities, Definitions, DspyType, Error, Field, Fields, InputError, LmReply, LmSettings,
    Mistyped, ParseError, Signature, ToolCall, Type,
    python::{json::dumps_spaced_ascii, object::Object, repr},
    types::{dspy_value::tool_of, validate},
};

/// The settings that tell a model of tools.
const TOOL_SETTINGS: [&str; 3] = ["tools", "tool_choice", "parallel_tool_calls"];
const EFFORT: &str = "reasoning_effort";

/// How one call is asked.
pub(crate) struct Plan<'a> {
    /// What is asked for in the text.
    pub(crate) signature: Cow<'a, Signature>,
    /// The settings, with what is asked for apart.
    pub(crate) settings: LmSettings,
}

/// What a plan depends on.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) signature: &'a Signature,
    pub(crate) inputs: &'a Fields,
    /// The settings of the model itself.
    pub(crate) lm: &'a LmSettings,
    /// All settings of the call.
    pub(crate) settings: &'a LmSettings,
    pub(crate) calling: FunctionCalling,
    pub(crate) can: Capabilities,
}

/// Decides what is left out of the text.
pub(crate) fn plan(asking: Asking<'_>) -> Result<Plan<'_>, Error> {
    let Asking { signature, settings, .. } = asking;
    let mut plan = Plan { signature: Cow::Borrowed(signature), settings: settings.clone() };
    plan_tools(asking, &mut plan)?;
    let extra = &mut plan.settings.extra;
    let of_call = |name: &str| asking.lm.extra.get(name) != settings.extra.get(name);
    if extra.get("parallel_tool_calls").is_some_and(|it| !it.is_null())
        && (of_call("parallel_tool_calls") || asking.calling.parallel.is_some())
    {
        extra.entry("tool_choice").or_insert_with(|| json!("auto"));
    }
    plan_reasoning(asking, &mut plan);
    let is_anthropic = model(settings).starts_with("anthropic/");
    if is_anthropic {
        leave_out(&mut plan, &DspyType::Citations);
    }
    // Asking for nothing is not asking.
    plan.settings.extra.retain(|name, it| name != EFFORT || !it.is_null());
    Ok(plan)
}

fn model(settings: &LmSettings) -> &str {
    settings.model.as_deref().unwrap_or_default()
}

fn plan_tools(asking: Asking<'_>, plan: &mut Plan<'_>) -> Result<(), Error> {
    let Asking { signature, calling, can, .. } = asking;
    let output = calls_field(signature);
    let is_told = match (calling.native, output) {
        (false, _) => false,
        (true, None) => return Ok(()),
        (true, Some(_)) => can.function_calling,
    };
    let input = signature.inputs.iter().find(|it| is_tools(&it.ty));
    let (output, input) = match (calling.native, output, input) {
        (true, Some(output), None) => return Err(Error::Program(no_tools(&output.name))),
        (true, Some(output), Some(input)) if is_told => (output, input),
        _ => {
            // Settings of the call; those of the model itself are its own.
            for name in TOOL_SETTINGS {
                match asking.lm.extra.get(name) {
                    Some(own) => plan.settings.extra.insert(name.to_owned(), own.clone()),
                    None => plan.settings.extra.shift_remove(name),
                };
            }
            return Ok(());
        }
    };
    let extra = &mut plan.settings.extra;
    extra.insert("tools".to_owned(), functions(input, asking.inputs)?.into());
    if let Some(parallel) = calling.parallel {
        let given = extra.entry("parallel_tool_calls").or_insert(Value::Null);
        if given.is_null() {
            *given = parallel.into();
        }
    }
    let reduced = plan.signature.to_mut();
    reduced.outputs.retain(|it| it.name != output.name);
    *reduced = std::mem::take(reduced).made_anew();
    reduced.inputs.retain(|it| it.name != input.name);
    *reduced = std::mem::take(reduced).made_anew();
    Ok(())
}

fn no_tools(output: &str) -> String {
    format!(
        "You provided an output field {output} to receive the tool calls information, but did not \
         provide any tools as the input. Please provide a list of tools as the input by adding an \
         input field with type `list[dspy.Tool]`."
    )
}

/// Whether a field of the type holds tools.
fn is_tools(ty: &Type) -> bool {
    let item = if let Type::List(item) = ty { item } else { ty };
    *item == Type::Dspy(DspyType::Tool)
}

/// The output that takes calls of tools.
pub(crate) fn calls_field(signature: &Signature) -> Option<&Field> {
    signature.outputs.iter().find(|it| it.ty == Type::Dspy(DspyType::ToolCalls))
}

/// The tools of an input, as the provider is told of them.
fn functions(input: &Field, inputs: &Fields) -> Result<Vec<Value>, Error> {
    let name = &input.name;
    let missing = || InputError { missing: vec![name.clone()], mistyped: Vec::new() };
    let given = inputs.get(name).ok_or_else(missing)?;
    let given = given.as_array().map_or_else(|| std::slice::from_ref(given), Vec::as_slice);
    let mut functions = Vec::with_capacity(given.len());
    for (i, tool) in given.iter().enumerate() {
        let Some(tool) = tool_of(tool) else {
            let message = "expected a tool with a name".to_owned();
            let mistyped = vec![Mistyped { pointer: format!("/{name}/{i}"), message }];
            return Err(InputError { missing: Vec::new(), mistyped }.into());
        };
        functions.push(tool.function());
    }
    Ok(functions)
}

/// Models that reason by themselves are asked for it apart; it need not be in the text.
fn plan_reasoning(asking: Asking<'_>, plan: &mut Plan<'_>) {
    let fields = &asking.signature.outputs;
    let asks = fields.iter().any(|it| it.ty == Type::Dspy(DspyType::Reasoning));
    let effort = asking.settings.extra.get(EFFORT).cloned().unwrap_or_else(|| json!("low"));
    // The reasoning of these is not in their chat completions.
    let is_silent = model(asking.settings).contains("gpt-5");
    if !asks || effort.is_null() || !asking.can.reasoning || is_silent {
        return;
    }
    plan.settings.extra.insert(EFFORT.to_owned(), effort);
    leave_out(plan, &DspyType::Reasoning);
}

fn leave_out(plan: &mut Plan<'_>, ty: &DspyType) {
    let is_it = |field: &Field| matches!(&field.ty, Type::Dspy(own) if own == ty);
    // One after another, for each makes the signature anew.
    while let Some(at) = plan.signature.outputs.iter().position(is_it) {
        let reduced = plan.signature.to_mut();
        reduced.outputs.remove(at);
        *reduced = std::mem::take(reduced).made_anew();
    }
}

/// How a reply is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) format: Format,
    /// What was asked for in the text.
    pub(crate) asked: &'a Signature,
    pub(crate) original: &'a Signature,
    /// Whether one of the replies that came together has more than text.
    pub(crate) is_mixed: bool,
}

impl Reading<'_> {
    /// The text of a reply that is to be read; none where calls of tools are all that is wanted.
    pub(crate) fn text(self, reply: &LmReply) -> Result<Option<&str>, ParseError> {
        let text = reply.text.as_deref().filter(|it| !it.is_empty());
        match (text, calls(self.original, reply)) {
            (Some(text), None) => Ok(Some(text)),
            (text, Some(_)) => Ok(text.filter(|_| !self.asked.outputs.is_empty())),
            (None, None) => {
                let message = "The LM returned an empty or null response.".to_owned();
                let shown = shown(reply, self.is_mixed);
                Err(self.format.error(self.original, &shown, Some(message)))
            }
        }
    }
}

/// The outputs of a reply: those in the text, and those that came apart.
pub(crate) fn read(reading: Reading<'_>, reply: &LmReply) -> Result<Fields, ParseError> {
    let Reading { format, asked, original, .. } = reading;
    let found = match reading.text(reply)? {
        Some(text) => with_calls(format.parse(asked, text), original, reply)?,
        None => Fields::new(),
    };
    Ok(complete(original, found, reply))
}

/// What was read of a text; beside calls of tools it need not be readable.
pub(crate) fn with_calls(
    read: Result<Fields, ParseError>,
    original: &Signature,
    reply: &LmReply,
) -> Result<Fields, ParseError> {
    match read {
        Err(error) if error.uncaught.is_none() && calls(original, reply).is_some() => {
            Ok(Fields::new())
        }
        read => read,
    }
}

/// The output that takes the calls of a reply, if there are some.
fn calls<'a>(original: &'a Signature, reply: &LmReply) -> Option<&'a Field> {
    calls_field(original).filter(|_| !reply.tool_calls.is_empty())
}

/// All outputs: those found in the text, those that came apart, defaults.
pub(crate) fn complete(original: &Signature, found: Fields, reply: &LmReply) -> Fields {
    let mut outputs = completed(original, found);
    if let Some(field) = calls(original, reply) {
        let call = |it: &ToolCall| json!({"id": it.id, "name": it.name, "args": it.args});
        let calls: Vec<_> = reply.tool_calls.iter().map(call).collect();
        outputs.insert(field.name.clone(), json!({ "tool_calls": calls }));
    }
    for field in &original.outputs {
        let apart = if field.ty == Type::Dspy(DspyType::Reasoning) {
            reply.reasoning.clone().map(Value::String)
        } else if field.ty == Type::Dspy(DspyType::Citations) {
            citations(reply)
        } else {
            None
        };
        if let Some(value) = apart {
            outputs.insert(field.name.clone(), value);
        }
    }
    outputs
}

/// What was found, then defaults, then `None` for what is asked for apart.
fn completed(original: &Signature, mut found: Fields) -> Fields {
    if super::is_whole(original, &found) {
        return found;
    }
    let mut outputs = Fields::new();
    let mut absent = Vec::new();
    for field in &original.outputs {
        let value = match (found.shift_remove(&field.name), &field.default) {
            (Some(value), _) => value,
            (None, Some(default)) => default.clone(),
            (None, None) if field.ty.allows_none() => Value::Null,
            (None, None) => {
                absent.push(&field.name);
                continue;
            }
        };
        outputs.insert(field.name.clone(), value);
    }
    outputs.extend(absent.into_iter().map(|it| (it.clone(), Value::Null)));
    outputs
}

fn citations(reply: &LmReply) -> Option<Value> {
    if reply.citations.is_empty() {
        return None;
    }
    let given = Object::from(&Value::Array(reply.citations.clone()));
    let citations = validate(&Type::Dspy(DspyType::Citations), given, &Definitions::default());
    citations.ok().map(Object::into_json)
}

/// Whether a reply is more than its text.
pub(crate) fn has_parts(reply: &LmReply) -> bool {
    reply.reasoning.is_some() || !reply.tool_calls.is_empty()
}

/// A reply without text, as the package's error shows it.
fn shown(reply: &LmReply, is_mixed: bool) -> String {
    if !has_parts(reply) && !is_mixed {
        return String::new();
    }
    let mut whole = Map::new();
    let text = if has_parts(reply) { Value::Null } else { "".into() };
    whole.insert("text".to_owned(), text);
    if let Some(reasoning) = &reply.reasoning {
        whole.insert("reasoning_content".to_owned(), reasoning.as_str().into());
    }
    if !reply.tool_calls.is_empty() {
        let calls = reply.tool_calls.iter().map(|it| {
            let arguments = dumps_spaced_ascii(&Value::Object(it.args.clone()));
            let function = json!({"name": it.name, "arguments": arguments});
            json!({"id": it.id, "type": "function", "function": function})
        });
        whole.insert("tool_calls".to_owned(), calls.collect());
    }
    repr::repr(&Object::from(&Value::Object(whole)))
}
