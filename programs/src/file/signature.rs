//! The signatures of a file, and how each is asked.

use dspy::{Adapter, Demo, ModuleKind, Predictor, Signature};

use super::{
    demo, field,
    nearest::nearest,
    spot::{Named, Spot, Table},
};
use crate::LoadError;

/// The most signatures of a file.
const SIGNATURES_MAX: usize = 100;

/// The signature that runs when there are several.
pub(super) const MAIN: &str = "main";

const KEYS: [&str; 9] = [
    "description",
    "instructions",
    "inputs",
    "outputs",
    "examples",
    "demos",
    "module",
    "adapter",
    "state",
];

const MODULES: [(&str, ModuleKind); 2] =
    [("predict", ModuleKind::Predict), ("chain_of_thought", ModuleKind::ChainOfThought)];

/// DSPy's other modules: known, and run by the package itself.
const PYTHON_MODULES: [&str; 12] = [
    "react",
    "best_of_n",
    "refine",
    "multi_chain_comparison",
    "program_of_thought",
    "code_act",
    "rlm",
    "majority",
    "parallel",
    "knn",
    "flex",
    "react_v2",
];

/// What to do about what the native engine does not run.
pub(super) const WRITE_PYTHON: &str = "write a dspy.Module and `source: {type: local, path: …, \
                                       class_name: …}`, which the python runtime runs";

/// A signature and how it is asked.
pub(super) struct Asked {
    pub(super) signature: Signature,
    module: ModuleKind,
    adapter: Adapter,
    demos: Vec<Demo>,
}

impl Asked {
    /// The predictor that asks.
    pub(super) fn predictor(self) -> Predictor {
        let name = self.signature.name.clone();
        let predictor = Predictor::new(name, self.signature, self.module);
        Predictor { adapter: self.adapter, demos: self.demos, ..predictor }
    }
}

/// The signatures of a file, in its order.
pub(super) fn read_all(file: &Table<'_>) -> Result<Vec<Asked>, LoadError> {
    let Some(spot) = file.get("signatures") else { return Ok(Vec::new()) };
    let names = spot.names()?;
    if names.is_empty() || names.len() > SIGNATURES_MAX {
        let count = names.len();
        let problem = format!("has {count} signatures, but must have 1 to {SIGNATURES_MAX}");
        return Err(spot.fail(problem, "write a signature: `main: {inputs: […], outputs: […]}`"));
    }
    names.iter().map(read).collect()
}

fn read(named: &Named<'_>) -> Result<Asked, LoadError> {
    let table = named.spot.table(&KEYS)?;
    let fields = |key| {
        let spot =
            table.need(key, "write its fields: `[a, b]`, or a line `name: type` for each")?;
        Ok((field::read_all(&spot)?, spot))
    };
    let ((inputs, _), (outputs, at)) = (fields("inputs")?, fields("outputs")?);
    if let Some(both) = outputs.iter().find(|it| inputs.iter().any(|other| other.name == it.name)) {
        let problem = format!("`{}` is an input too", both.name);
        return Err(at.fail(problem, "give one of the two another name"));
    }
    let module = table.get("module").map(|it| module(&it)).transpose()?.unwrap_or_default();
    let adds_reasoning = module == ModuleKind::ChainOfThought;
    if adds_reasoning && inputs.iter().chain(&outputs).any(|it| it.name == "reasoning") {
        let problem = "`reasoning` is the field that chain_of_thought adds itself";
        return Err(at.fail(problem, "remove it, or write `module: predict`"));
    }
    if let Some(state) = table.get("state") {
        let fix = "write its instructions and demos into the signature, as `description` and \
                   `examples`, or give the program `source: {type: saved, path: …}`, which the \
                   python runtime runs";
        return Err(state.fail("the native engine does not read saved states yet", fix));
    }
    let signature = Signature::new(named.name, instructions(&table)?, inputs, outputs);
    let demos = table.one_of(&["examples", "demos"])?;
    let demos = demos.map(|it| demo::read_all(&it, &signature, module)).transpose()?;
    let adapter = table.get("adapter").map(|it| adapter(&it)).transpose()?.unwrap_or_default();
    Ok(Asked { signature, module, adapter, demos: demos.unwrap_or_default() })
}

/// The task, without the blank lines that a YAML block has around it.
fn instructions(table: &Table<'_>) -> Result<String, LoadError> {
    let spot = table.one_of(&["instructions", "description"])?;
    let text = spot.map(|it| it.text()).transpose()?.unwrap_or_default();
    Ok(text.trim_start_matches(['\n', '\r']).trim_end().to_owned())
}

fn module(spot: &Spot<'_>) -> Result<ModuleKind, LoadError> {
    let word = spot.text()?;
    if let Some((_, kind)) = MODULES.iter().find(|(name, _)| *name == word) {
        return Ok(*kind);
    }
    if PYTHON_MODULES.contains(&word) {
        let problem = format!("the native engine does not run the module `{word}` yet");
        return Err(spot.fail(problem, WRITE_PYTHON));
    }
    Err(unknown(spot, "module", word, &MODULES.map(|(name, _)| name)))
}

fn adapter(spot: &Spot<'_>) -> Result<Adapter, LoadError> {
    match spot.text()? {
        "chat" => Ok(Adapter::default()),
        "json" => Ok(Adapter::json()),
        word @ ("xml" | "baml" | "two_step") => {
            let problem = format!("the native engine does not have the adapter `{word}` yet");
            Err(spot.fail(problem, WRITE_PYTHON))
        }
        word => Err(unknown(spot, "adapter", word, &["chat", "json"])),
    }
}

fn unknown(spot: &Spot<'_>, what: &str, word: &str, known: &[&str]) -> LoadError {
    // `ChainOfThought` is meant as `chain_of_thought`.
    let bare = |it: &str| it.to_lowercase().replace('_', "");
    let same = known.iter().copied().find(|it| bare(it) == bare(word));
    let fix = match same.or_else(|| nearest(word, known)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    spot.fail(format!("unknown {what} `{word}`"), fix)
}
