//! How a signature is asked: `module: chain_of_thought`, or a mapping with parameters.

use dspy::{Module, ModuleKind, Predictor, Signature};

use super::{nearest::unknown, signature::WRITE_PYTHON, spot::Spot};
use crate::LoadError;

const KINDS: [&str; 2] = ["predict", "chain_of_thought"];

/// DSPy's other modules: known, and run by the package itself.
const PYTHON_KINDS: [&str; 13] = [
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
    "avatar",
];

/// What a module is made of besides its parameters.
pub(super) struct Parts<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The signature as declared.
    pub(super) signature: Signature,
}

/// The module of a signature; without a word, it is asked as it is.
pub(super) fn read(spot: Option<&Spot<'_>>, parts: &Parts<'_>) -> Result<Module, LoadError> {
    let Some(spot) = spot else { return Ok(predict(parts, ModuleKind::Predict)) };
    let word = if spot.is_table() {
        spot.tag("type", "write which module it is, as `type: react`")?
    } else {
        spot.clone()
    };
    match word.text()? {
        "predict" => plain(spot, predict(parts, ModuleKind::Predict)),
        "chain_of_thought" => {
            refuse_reasoning(spot, &parts.signature)?;
            plain(spot, predict(parts, ModuleKind::ChainOfThought))
        }
        word if PYTHON_KINDS.contains(&word) => {
            let problem = format!("the native engine does not run the module `{word}`");
            Err(spot.fail(problem, WRITE_PYTHON))
        }
        other => Err(unknown(&word, "module", other, &KINDS)),
    }
}

/// A module without parameters.
fn plain(spot: &Spot<'_>, module: Module) -> Result<Module, LoadError> {
    if spot.is_table() {
        spot.table(&["type"])?;
    }
    Ok(module)
}

fn predict(parts: &Parts<'_>, kind: ModuleKind) -> Module {
    Module::Predict(Predictor::new(parts.name, parts.signature.clone(), kind))
}

fn refuse_reasoning(spot: &Spot<'_>, signature: &Signature) -> Result<(), LoadError> {
    let mut fields = signature.inputs.iter().chain(&signature.outputs);
    if fields.any(|it| it.name == "reasoning") {
        let problem = "`reasoning` is the field that chain_of_thought adds itself";
        return Err(spot.fail(problem, "remove it from the signature, or write `module: predict`"));
    }
    Ok(())
}
