//! The spans that `mlflow.dspy.autolog` makes of a program, from its steps.
//!
//! ```text
//! <Class>.forward            CHAIN
//!   ChainOfThought.forward   CHAIN
//!     Predict.forward        LLM
//!       ChatAdapter.format   PARSER
//!       LM.__call__          CHAT_MODEL
//!       ChatAdapter.parse    PARSER
//!   ReAct.forward            AGENT, with the predictors and the tools that it calls below it
//!     Tool.search            TOOL
//! ```

use std::collections::HashMap;

use dspy::{Module, ModuleKind, Signature};
use programs::{Program, Registry, Runtime};
use queue::{Execution, Spec, State};
use serde_json::{Value, json};

use super::steps::Step;

/// A span, and the one that it is below.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) name: String,
    /// MLflow's type of it.
    pub(super) kind: &'static str,
    /// Its place among the spans.
    pub(super) parent: Option<usize>,
    /// Since the attempt began.
    pub(super) from_ms: f64,
    pub(super) to_ms: f64,
    pub(super) inputs: Option<Value>,
    pub(super) outputs: Option<Value>,
    pub(super) attributes: Vec<(String, Value)>,
    pub(super) error: Option<String>,
}

/// The tool of an agent that has none: it ends the turns.
const FINISH: &str = "finish";

/// The span of a module around one predictor.
const COT: &str = "ChainOfThought.forward";

/// What is known of a program.
pub(super) struct Known {
    /// The class of its module.
    class: String,
    /// Whether that is only guessed by its name.
    pub(super) is_guess: bool,
    /// The signatures of its predictors by their paths: `question -> answer`.
    signatures: HashMap<String, String>,
}

impl Known {
    /// The program that was meant; of one that is gone, its name.
    pub(super) fn of(registry: &Registry, spec: &Spec) -> Self {
        let program = registry
            .get(&format!("{}@{}", spec.program, spec.version))
            .or_else(|_| registry.get(&spec.program));
        match program.as_deref() {
            Ok(program) => Self::of_program(program),
            Err(_) => {
                Self { class: camel(&spec.program), is_guess: true, signatures: HashMap::new() }
            }
        }
    }

    fn of_program(program: &Program) -> Self {
        match &program.runtime {
            Runtime::Native(module) => {
                let written = |signature: &Signature| {
                    let names = |all: &[dspy::Field]| join(all.iter().map(|it| it.name.as_str()));
                    format!("{} -> {}", names(&signature.inputs), names(&signature.outputs))
                };
                let all = module.named_predictors().into_iter();
                let signatures = all.map(|(path, it)| (path, written(&it.full_signature())));
                let (class, is_guess) = (class(module, &program.id), false);
                Self { class, is_guess, signatures: signatures.collect() }
            }
            Runtime::Python(python) => {
                let found = python.finding.as_ref().and_then(|it| it.manifest.as_ref());
                let class = found.map_or_else(|| camel(&program.id), |it| it.class.clone());
                let predictors = found.into_iter().flat_map(|it| &it.predictors);
                let signatures = predictors.map(|it| {
                    let inputs = join(it.inputs.iter().map(|it| it.name.as_str()));
                    let outputs = join(it.outputs.iter().map(|it| it.name.as_str()));
                    (it.name.clone(), format!("{inputs} -> {outputs}"))
                });
                Self { class, is_guess: found.is_none(), signatures: signatures.collect() }
            }
        }
    }
}

/// The class of a module; of a chain, which has none, its program's name as one.
fn class(module: &Module, program: &str) -> String {
    let class = match module {
        Module::Predict(it) => match it.module {
            ModuleKind::Predict => "Predict",
            ModuleKind::ChainOfThought => "ChainOfThought",
        },
        Module::ReAct(_) => "ReAct",
        Module::BestOfN(_) => "BestOfN",
        Module::Refine(_) => "Refine",
        Module::MultiChainComparison(_) => "MultiChainComparison",
        Module::Majority(_) | Module::Knn(_) | Module::Chain(_) => return camel(program),
    };
    class.to_owned()
}

/// `email-assistant` as `EmailAssistant`.
fn camel(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|it| !it.is_empty());
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect::<String>()
    };
    words.map(capital).collect()
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The spans of an execution and its steps, the first of which is that of its program.
pub(super) fn of(execution: &Execution, steps: &[Step], known: &Known) -> Vec<Span> {
    let mut tree = Tree::new(execution, known);
    for step in steps {
        tree.add(step);
    }
    tree.spans
}

struct Tree<'a> {
    spans: Vec<Span>,
    known: &'a Known,
    inputs: Value,
    /// The agent whose steps these are: its path and its place.
    agent: Option<(String, usize)>,
    /// A predictor whose reply could not be read, and which may ask again in another format.
    open: Option<(String, usize)>,
}

impl<'a> Tree<'a> {
    fn new(execution: &Execution, known: &'a Known) -> Self {
        let took = execution.run_time.unwrap_or_default().as_secs_f64() * 1000.0;
        let report = execution.report.as_ref();
        let failure = report.and_then(|it| it.failure.as_ref()).map(|it| it.message.clone());
        let error = (execution.state != State::Succeeded)
            .then(|| failure.unwrap_or_else(|| execution.state.to_string()));
        let inputs = Value::Object(execution.inputs.clone());
        let outputs = report.and_then(|it| it.outputs.clone()).map(Value::Object);
        let root = span(format!("{}.forward", known.class), kind(&known.class), None);
        let (from_ms, to_ms) = (0.0, took);
        let root = Span { inputs: Some(inputs.clone()), outputs, error, from_ms, to_ms, ..root };
        Self { spans: vec![root], known, inputs, agent: None, open: None }
    }

    fn add(&mut self, step: &Step) {
        match step.kind.as_str() {
            "tool" => self.add_tool(step),
            _ => self.add_call(step),
        }
    }

    fn add_tool(&mut self, step: &Step) {
        // With it an agent only says that it is done.
        if step.name == FINISH {
            return;
        }
        let parent = self.agent_of(&step.predictor).unwrap_or(0);
        let at = self.push(format!("Tool.{}", step.name), "TOOL", parent);
        self.took(at, step.at_ms, step.ms);
        let it = &mut self.spans[at];
        it.attributes.push(("name".to_owned(), json!(step.name)));
        it.inputs = Some(step.args.clone());
        it.outputs.clone_from(&step.result);
        it.error.clone_from(&step.error);
        self.open = None;
    }

    fn add_call(&mut self, step: &Step) {
        // A model that is called by the program itself, and by no predictor.
        if step.adapter.is_empty() {
            let parent = self.agent_of(&step.predictor).unwrap_or(0);
            self.call(step, parent);
            return;
        }
        let again = self.open.take().filter(|(path, _)| *path == step.predictor);
        let at = again.map_or_else(|| self.predict(&step.predictor), |(_, at)| at);
        let signature = self.known.signatures.get(&step.predictor).map(|it| json!(it));
        let format = self.push(format!("{}.format", step.adapter), "PARSER", at);
        self.took(format, step.render_at_ms, step.render_ms);
        self.spans[format].inputs = signature.clone().map(|it| json!({ "signature": it }));
        self.spans[format].outputs = Some(step.request.messages.clone());
        self.call(step, at);
        let text = step.reply.as_ref().map(|it| it.text.clone());
        if let Some(text) = text {
            let parse = self.push(format!("{}.parse", step.adapter), "PARSER", at);
            self.took(parse, step.parse_at_ms, step.parse_ms);
            let it = &mut self.spans[parse];
            it.inputs = Some(json!({ "signature": signature, "completion": text }));
            it.outputs.clone_from(&step.outputs);
            it.error.clone_from(&step.error);
        }
        for at in [Some(at), self.wrapper_of(at)].into_iter().flatten().filter(|it| *it != 0) {
            self.spans[at].outputs.clone_from(&step.outputs);
            self.spans[at].error.clone_from(&step.error);
        }
        self.open = step.error.is_some().then(|| (step.predictor.clone(), at));
        let is_last = step.predictor.ends_with("extract.predict") && step.error.is_none();
        self.agent = self.agent.take().filter(|_| !is_last);
    }

    /// The `ChainOfThought` around a predictor.
    fn wrapper_of(&self, at: usize) -> Option<usize> {
        self.spans[at].parent.filter(|it| self.spans[*it].name == COT)
    }

    /// The call of the model itself.
    fn call(&mut self, step: &Step, parent: usize) {
        let at = self.push("LM.__call__".to_owned(), "CHAT_MODEL", parent);
        self.took(at, step.lm_at_ms, step.lm_ms);
        let model = step.request.settings.get("model").and_then(Value::as_str).unwrap_or_default();
        let provider = model.split_once('/').map(|(provider, _)| provider.to_owned());
        let settings = step.request.settings.iter().map(|(name, it)| (name.clone(), it.clone()));
        let named = [
            ("model_type", Some(json!("chat"))),
            ("mlflow.message.format", Some(json!("dspy"))),
            ("mlflow.llm.model", Some(json!(model))),
            ("mlflow.llm.provider", provider.map(|it| json!(it))),
        ];
        let named = named.into_iter().filter_map(|(name, it)| Some((name.to_owned(), it?)));
        let it = &mut self.spans[at];
        it.attributes.extend(settings.chain(named));
        it.inputs = Some(json!({ "messages": step.request.messages }));
        match &step.reply {
            Some(reply) => it.outputs = Some(json!([reply.text])),
            None => it.error.clone_from(&step.error),
        }
    }

    /// The span of a predictor by its path, below those of the modules that it is in.
    fn predict(&mut self, path: &str) -> usize {
        let class = self.known.class.as_str();
        if class == "Predict" && path == "self" {
            let signature = self.known.signatures.get(path).map(|it| json!(it));
            if self.spans.len() == 1 {
                self.spans[0].attributes.extend(signature.map(|it| ("signature".to_owned(), it)));
                return 0;
            }
        }
        let parent = self.agent_of(path).unwrap_or(0);
        let inside = path.rsplit_once('.').is_some_and(|(_, last)| last == "predict");
        let parent = if inside {
            let at = self.push(COT.to_owned(), "CHAIN", parent);
            self.sign(at, path);
            at
        } else {
            if class == "ChainOfThought" && parent == 0 && self.spans.len() == 1 {
                self.sign(0, path);
            }
            parent
        };
        let at = self.push("Predict.forward".to_owned(), "LLM", parent);
        self.sign(at, path);
        if self.known.signatures.len() == 1 {
            self.spans[at].inputs = Some(self.inputs.clone());
        }
        at
    }

    fn sign(&mut self, at: usize, path: &str) {
        let signature = self.known.signatures.get(path).map(|it| json!(it));
        self.spans[at].attributes.extend(signature.map(|it| ("signature".to_owned(), it)));
    }

    /// The agent that a predictor belongs to, if it does.
    fn agent_of(&mut self, path: &str) -> Option<usize> {
        let own = match path.rsplit_once('.') {
            Some((place, "react")) => Some(place),
            None if path == "react" => Some(""),
            Some(_) | None => None,
        };
        let Some(place) = own else {
            let (place, at) = self.agent.as_ref()?;
            let below = place.is_empty() || path.strip_prefix(place.as_str())?.starts_with('.');
            return below.then_some(*at);
        };
        if let Some((known, at)) = &self.agent
            && known == place
        {
            return Some(*at);
        }
        let is_root = place.is_empty() && self.known.class == "ReAct";
        let at = if is_root { 0 } else { self.push("ReAct.forward".to_owned(), "AGENT", 0) };
        self.agent = Some((place.to_owned(), at));
        Some(at)
    }

    fn push(&mut self, name: String, kind: &'static str, parent: usize) -> usize {
        self.spans.push(span(name, kind, Some(parent)));
        self.spans.len() - 1
    }

    /// A span began then and took so long, and those above it began no later and ended no earlier.
    fn took(&mut self, at: usize, began_ms: f64, took_ms: f64) {
        let (from, to) = (began_ms.max(0.0), began_ms.max(0.0) + took_ms.max(0.0));
        let mut next = Some(at);
        while let Some(at) = next {
            let span = &mut self.spans[at];
            span.from_ms = span.from_ms.min(from);
            span.to_ms = span.to_ms.max(to);
            next = span.parent;
        }
    }
}

/// A span of which nothing is known yet, not even when it was.
fn span(name: String, kind: &'static str, parent: Option<usize>) -> Span {
    let (from_ms, to_ms) = (f64::INFINITY, 0.0);
    let (inputs, outputs, error) = (None, None, None);
    let attributes = Vec::new();
    Span { name, kind, parent, from_ms, to_ms, inputs, outputs, attributes, error }
}

/// MLflow's type of a module's span.
fn kind(class: &str) -> &'static str {
    match class {
        "ReAct" => "AGENT",
        "Predict" => "LLM",
        _ => "CHAIN",
    }
}

#[cfg(test)]
mod tests;
