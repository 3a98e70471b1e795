//! How a signature is asked: `module: chain_of_thought`, or a mapping with parameters.

use dspy::{Field, Module, ModuleKind, Predictor, ReAct, Signature};

use super::{nearest::unknown, sampling, signature::Shared, spot::Spot};
use crate::LoadError;

/// The most turns of an agent.
const ITERATIONS_MAX: u64 = 1_000;
/// The most sources of tools of an agent.
const TOOLS_MAX: usize = 100;

/// The names of modules.
pub(super) const KINDS: [&str; 8] = [
    "predict",
    "chain_of_thought",
    "react",
    "best_of_n",
    "refine",
    "multi_chain_comparison",
    "majority",
    "knn",
];

/// DSPy's modules that only the package itself runs, and their classes.
const PYTHON_KINDS: [(&str, &str); 6] = [
    ("program_of_thought", "ProgramOfThought"),
    ("code_act", "CodeAct"),
    ("rlm", "RLM"),
    ("flex", "Flex"),
    ("react_v2", "ReActV2"),
    ("avatar", "Avatar"),
];

/// What a module is made of besides its parameters.
pub(super) struct Parts<'a> {
    /// The signature as declared.
    pub(super) signature: Signature,
    /// The examples of the signature.
    pub(super) examples: Option<Spot<'a>>,
    /// What the signatures of the file share.
    pub(super) shared: &'a Shared<'a>,
}

/// The module of a signature; without a word, it is asked as it is.
pub(super) fn read(spot: Option<&Spot<'_>>, parts: &Parts<'_>) -> Result<Module, LoadError> {
    let Some(spot) = spot else { return Ok(predict(parts, ModuleKind::Predict)) };
    let is_table = spot.is_table();
    let kind = is_table.then(|| spot.tag("type", "write which module it is, as `type: react`"));
    let word = kind.transpose()?.unwrap_or_else(|| spot.clone());
    match word.text()? {
        "predict" => plain(spot, predict(parts, ModuleKind::Predict)),
        "chain_of_thought" => {
            refuse_reasoning(spot, &parts.signature)?;
            plain(spot, predict(parts, ModuleKind::ChainOfThought))
        }
        "react" => react(spot, parts),
        "best_of_n" => sampling::best_of_n(spot, parts),
        "refine" => sampling::refine(spot, parts),
        "multi_chain_comparison" => sampling::comparison(spot, parts),
        "majority" => sampling::majority(spot, parts),
        "knn" => sampling::neighbours(spot, parts),
        "parallel" => Err(word.fail(
            "DSPy's Parallel runs a module on each of many inputs, which is not how one is asked",
            "remove it, and let a chain map the signature over a list, as `steps: [{map: name, \
             over: items, as: results}]`; or submit the inputs as a batch",
        )),
        other if PYTHON_KINDS.iter().any(|(name, _)| *name == other) => {
            Err(of_python(&word, other, &parts.signature))
        }
        other => Err(unknown(&word, "module", other, &KINDS)),
    }
}

/// Where a module runs that does not run here, with the lines to write.
fn of_python(spot: &Spot<'_>, word: &str, signature: &Signature) -> LoadError {
    let class = PYTHON_KINDS.iter().find(|(name, _)| *name == word).map_or(word, |it| it.1);
    let side = |fields: &[Field]| {
        fields.iter().map(|it| format!("{}: {}", it.name, it.ty.annotation())).collect::<Vec<_>>()
    };
    let (inputs, outputs) = (side(&signature.inputs), side(&signature.outputs));
    let text = format!("{} -> {}", inputs.join(", "), outputs.join(", "));
    let problem = format!("the native engine does not run the module `{word}`");
    let fix = format!(
        "write a file `program.py` with the lines `import dspy` and `program = \
         dspy.{class}({text:?})`, and here `source: {{type: local, path: program.py, class_name: \
         program}}`, which the python runtime runs"
    );
    spot.fail(problem, fix)
}

/// A module without parameters.
fn plain(spot: &Spot<'_>, module: Module) -> Result<Module, LoadError> {
    if spot.is_table() {
        spot.table(&["type"])?;
    }
    Ok(module)
}

/// A question, asked as it is or with its reasoning first.
pub(super) fn predict(parts: &Parts<'_>, kind: ModuleKind) -> Module {
    let name = parts.signature.name.clone();
    Module::Predict(Box::new(Predictor::new(name, parts.signature.clone(), kind)))
}

/// An agent, with the tools that it names, or with all of the file's.
fn react(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Module, LoadError> {
    if parts.shared.tools.is_empty() {
        let fix = "write what it may call into `tools`, at the top of the file";
        return Err(spot.fail("an agent needs tools, and this file has none", fix));
    }
    let mut agent = ReAct::new(parts.signature.clone(), Vec::new());
    if spot.is_table() {
        let table = spot.table(&["type", "tools", "max_iters"])?;
        if let Some(spot) = table.get("tools") {
            agent.tools = tools(&spot, &parts.shared.tools)?;
        }
        if let Some(spot) = table.get("max_iters") {
            agent.max_iters = u32::try_from(spot.count(1, ITERATIONS_MAX)?).unwrap_or(u32::MAX);
        }
    }
    Ok(Module::ReAct(Box::new(agent)))
}

fn tools(spot: &Spot<'_>, known: &[&str]) -> Result<Vec<String>, LoadError> {
    let items = spot.list(TOOLS_MAX)?;
    let name = |it: &Spot<'_>| {
        let word = it.text()?;
        let is_known = known.contains(&word);
        is_known.then(|| word.to_owned()).ok_or_else(|| unknown(it, "tool", word, known))
    };
    items.iter().map(name).collect()
}

fn refuse_reasoning(spot: &Spot<'_>, signature: &Signature) -> Result<(), LoadError> {
    let mut fields = signature.inputs.iter().chain(&signature.outputs);
    if fields.any(|it| it.name == "reasoning") {
        let problem = "`reasoning` is the field that chain_of_thought adds itself";
        return Err(spot.fail(problem, "remove it from the signature, or write `module: predict`"));
    }
    Ok(())
}
