//! What an adviser is told of a failed attempt, and the hints that it gives.
//!
//! The task and the fields are those of the package's `OfferFeedback`. Two of the texts differ:
//! where the package quotes the Python source of the module and of the reward, the program is
//! described by its modules, and the reward by its own words.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Module, Predictor};
use crate::{
    Adapter, Field, Fields, Scope, Signature, Type,
    python::{json::dump_json_indented, text},
};

/// The input by which a predictor gets its hint.
const HINT: &str = "hint_";
const HINT_DESC: &str = "A hint to the module from an earlier run";

/// What a predictor gets that is not to blame.
const NO_HINT: &str = "N/A";

/// The most calls that an adviser is told of.
const CALLS_MAX: usize = 1000;

const TASK: &str = "In the discussion, assign blame to each module that contributed to the final \
                    reward being below the threshold, if\nany. Then, prescribe concrete advice of \
                    how the module should act on its future input when we retry the process, \
                    if\nit were to receive the same or similar inputs. If a module is not to \
                    blame, the advice should be N/A.\nThe module will not see its own history, so \
                    it needs to rely on entirely concrete and actionable advice from you\nto \
                    avoid the same mistake on the same or similar inputs.";

const ADVICE_DESC: &str = "For each module, describe very concretely, in this order: the specific \
                           scenarios in which it has made mistakes in the past and what each \
                           mistake was, followed by what it should do differently in that kind \
                           ofscenario in the future. If the module is not to blame, write N/A.";

/// The hints of an adviser, by the predictors' paths inside of the module that was advised.
#[derive(Debug)]
pub(crate) struct Advice {
    /// The path of that module.
    pub(super) base: String,
    pub(super) by_path: Fields,
}

/// The calls of predictors in one attempt.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Vec<Seen>>);

/// One call: which predictor, what it was given, what it made.
#[derive(Debug)]
pub(super) struct Seen {
    path: String,
    inputs: Fields,
    outputs: Fields,
}

/// An attempt that came out too low.
pub(super) struct Attempted<'a> {
    pub(super) module: &'a Module,
    pub(super) base: &'a str,
    pub(super) inputs: &'a Fields,
    pub(super) outputs: &'a Fields,
    pub(super) calls: &'a Calls,
    pub(super) reward: f64,
    pub(super) threshold: f64,
    pub(super) reward_words: String,
}

/// A path inside of a module, by the module's own path and the whole one.
fn inside<'a>(base: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(base) {
        Some("") => "self",
        Some(rest) => rest.strip_prefix('.').unwrap_or(path),
        None => path,
    }
}

impl Advice {
    /// The signature and the inputs of a predictor with its hint.
    pub(super) fn hinted(
        &self,
        scope: Scope<'_>,
        signature: &Signature,
        inputs: &Fields,
    ) -> (Signature, Fields) {
        let path = scope.to_string();
        let hint = self.by_path.get(inside(&self.base, &path)).cloned();
        let desc = Some(HINT_DESC.to_owned());
        let field = Field { desc, ..Field::new(HINT, Type::Str) };
        let (signature, mut inputs) = (signature.clone().with_input(field), inputs.clone());
        inputs.insert(HINT.to_owned(), hint.unwrap_or_else(|| NO_HINT.into()));
        (signature, inputs)
    }
}

impl Calls {
    pub(super) fn push(&self, scope: Scope<'_>, inputs: &Fields, outputs: &Fields) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < CALLS_MAX {
            let (inputs, outputs) = (inputs.clone(), outputs.clone());
            calls.push(Seen { path: scope.to_string(), inputs, outputs });
        }
    }
}

impl Attempted<'_> {
    /// What the adviser is given.
    pub(super) fn told(&self) -> Fields {
        let named = self.module.named_predictors();
        let names: Vec<Value> = named.iter().map(|(path, _)| path.as_str().into()).collect();
        let calls = self.calls.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = |it: &Seen| {
            let name = inside(self.base, &it.path);
            json!({"module_name": name, "inputs": it.inputs, "outputs": it.outputs})
        };
        let trajectory: Vec<Value> = calls.iter().map(seen).collect();
        // The package writes what is no text as JSON, whatever the fields' types.
        let shown = |it: &Fields| dump_json_indented(&Value::Object(it.clone()));
        let told = json!({
            "program_code": self.module.described(),
            "modules_defn": definitions(&named),
            "program_inputs": shown(self.inputs),
            "program_trajectory": dump_json_indented(&trajectory.into()),
            "program_outputs": shown(self.outputs),
            "reward_code": self.reward_words,
            "target_threshold": dump_json_indented(&self.threshold.into()),
            "reward_value": dump_json_indented(&self.reward.into()),
            "module_names": dump_json_indented(&names.into()),
        });
        told.as_object().cloned().unwrap_or_default()
    }
}

/// The package's `inspect_modules`.
fn definitions(named: &[(String, &Predictor)]) -> String {
    let line = "-".repeat(80);
    let mut out = vec![line.clone()];
    for (name, predictor) in named {
        let signature = predictor.full_signature();
        let fields = |fields| indented(&Adapter::describe(fields));
        out.push(format!("Module {name}"));
        out.push("\n\tInput Fields:".to_owned());
        out.push(fields(&signature.inputs));
        out.push("\tOutput Fields:".to_owned());
        out.push(fields(&signature.outputs));
        let task = indented(&text::dedent(&signature.instructions));
        out.push(format!("\tOriginal Instructions: {task}"));
        out.push(line.clone());
    }
    let stripped: Vec<_> = out.iter().map(|it| it.trim_matches('\n')).collect();
    stripped.join("\n")
}

fn indented(text: &str) -> String {
    text::split_lines(text).into_iter().flat_map(|line| ["\n\t\t", line]).collect()
}

/// The signature of an adviser.
pub(super) fn signature() -> Signature {
    let described = |name: &str, ty: Type, desc: &str| Field {
        desc: Some(desc.to_owned()),
        ..Field::new(name, ty)
    };
    let text = |name, desc| described(name, Type::Str, desc);
    let list = Type::List(Box::new(Type::Str));
    let names = "The names of the modules in the program, for which we seek advice";
    let modules = "The definition of each module in the program, including its I/O";
    let trajectory = "The trajectory of the program's execution, showing each module's I/O";
    let inputs = vec![
        text("program_code", "The code of the program that we are analyzing"),
        text("modules_defn", modules),
        text("program_inputs", "The inputs to the program that we are analyzing"),
        text("program_trajectory", trajectory),
        text("program_outputs", "The outputs of the program that we are analyzing"),
        text("reward_code", "The code of the reward function that we are analyzing"),
        described("target_threshold", Type::Float, "The target threshold for the reward function"),
        described(
            "reward_value",
            Type::Float,
            "The reward value assigned to the program's outputs",
        ),
        described("module_names", list, names),
    ];
    let advice = Type::Dict(Box::new(Type::Str), Box::new(Type::Str));
    let outputs = vec![
        text("discussion", "Discussing blame of where each module went wrong, if it did"),
        described("advice", advice, ADVICE_DESC),
    ];
    Signature::new("OfferFeedback", TASK, inputs, outputs)
}
