//! The signatures of a file, and how each is asked.

use std::cell::RefCell;

use dspy::{Adapter, Definitions, LmSettings, Module, Reward, Signature};

use super::{
    adapter, demo, field, model,
    module::{self, Parts},
    spot::{Named, Spot, Table},
    state,
};
use crate::{EmbedderConfig, LoadError, Saved, beside::Beside};

/// The most signatures of a file.
const SIGNATURES_MAX: usize = 100;

const KEYS: [&str; 10] = [
    "description",
    "instructions",
    "inputs",
    "outputs",
    "examples",
    "demos",
    "module",
    "adapter",
    "lm",
    "state",
];

/// What the signatures of a file share.
pub(super) struct Shared<'a> {
    /// The file's own types.
    pub(super) types: Definitions,
    /// The files that it may name.
    pub(super) beside: &'a Beside,
    /// The settings of the program's model.
    pub(super) lm: LmSettings,
    /// The adapter of signatures that name none.
    pub(super) adapter: Option<Adapter>,
    /// The names of the file's tools.
    pub(super) tools: Vec<&'a str>,
    /// The signatures as written.
    pub(super) names: Vec<Named<'a>>,
    /// The models of embeddings that are asked.
    pub(super) embedders: RefCell<Vec<EmbedderConfig>>,
}

/// A signature and how it is asked.
pub(super) struct Asked {
    /// Its name.
    pub(super) name: String,
    /// What asks.
    pub(super) module: Module,
    /// What was laid over it.
    pub(super) saved: Option<Saved>,
    /// The signature that judges it, if one does.
    pub(super) judge: Option<String>,
}

/// The signatures of a file by name, in its order.
pub(super) fn names<'a>(file: &Table<'a>) -> Result<Vec<Named<'a>>, LoadError> {
    if let Some(spot) = file.get("signature") {
        if file.get("signatures").is_some() {
            let fix = "move it into `signatures`, under a name of its own";
            return Err(spot.fail("there is a mapping of `signatures` too", fix));
        }
        return Ok(vec![Named::of(super::MAIN, spot)]);
    }
    let Some(spot) = file.get("signatures") else { return Ok(Vec::new()) };
    let names = spot.names()?;
    if names.is_empty() || names.len() > SIGNATURES_MAX {
        let count = names.len();
        let problem = format!("has {count} signatures, but must have 1 to {SIGNATURES_MAX}");
        return Err(spot.fail(problem, "write a signature: `main: {inputs: […], outputs: […]}`"));
    }
    for named in &names {
        if named.name.trim().is_empty() || named.name.contains(['#', '@', '/']) {
            let fix = "write a name without `#`, `@` and `/`";
            return Err(named.fail("is no name for a signature", fix));
        }
    }
    Ok(names)
}

/// What a signature takes and gives, however it is asked.
pub(super) fn declared(named: &Named<'_>, types: &Definitions) -> Result<Signature, LoadError> {
    if !named.spot.is_table() && !named.spot.is_list() {
        let fix = "write it as `question, k: int -> answer: str`, or as a mapping";
        let parsed = Signature::parse(named.name, named.spot.text()?, types);
        return parsed.map_err(|e| named.spot.fail(e.to_string().trim_end_matches('.'), fix));
    }
    let table = named.spot.table(&KEYS)?;
    let fields = |key| {
        let spot =
            table.need(key, "write its fields: `[a, b]`, or a line `name: type` for each")?;
        Ok((field::read_all(&spot, types)?, spot))
    };
    let ((inputs, _), (outputs, at)) = (fields("inputs")?, fields("outputs")?);
    if let Some(both) = outputs.iter().find(|it| inputs.iter().any(|other| other.name == it.name)) {
        let problem = format!("`{}` is an input too", both.name);
        return Err(at.fail(problem, "give one of the two another name"));
    }
    let task = table.one_of(&["instructions", "description"])?;
    let task = task.map(|it| it.text()).transpose()?.unwrap_or_default();
    let mut signature = Signature::new(named.name, task, inputs, outputs);
    signature.types = types.clone();
    Ok(signature)
}

const WRITE_ADAPTER: &str = "write `adapter: chat` or another one";

/// A signature and what asks it.
pub(super) fn read(named: &Named<'_>, shared: &Shared<'_>) -> Result<Asked, LoadError> {
    let signature = declared(named, &shared.types)?;
    let table = named.spot.table_or_none(&KEYS)?;
    let examples = table.one_of(&["examples", "demos"])?;
    let parts = Parts { signature, examples: examples.clone(), shared };
    let mut module = module::read(table.get("module").as_ref(), &parts)?;
    let adapter = adapter::read(&table)?.or_else(|| shared.adapter.clone());
    let settings = model::of_signature(&table)?;
    for (_, predictor) in module.named_predictors_mut() {
        predictor.lm = shared.lm.clone();
        predictor.settings = settings.clone();
        predictor.adapter = adapter.clone().unwrap_or_default();
        let checked = predictor.adapter.check(&predictor.full_signature());
        checked.map_err(|error| named.spot.fail(error.to_string(), WRITE_ADAPTER))?;
    }
    if let Some(spot) = examples.filter(|_| !chooses_examples(&module)) {
        demos(&spot, &mut module)?;
    }
    let state = table.get("state").map(|it| state::read(&it, shared.beside)).transpose()?;
    let saved = state.map(|it| it.lay_over(&mut module)).transpose()?;
    let name = named.name.to_owned();
    let saved = saved.map(|it| Saved { signature: Some(name.clone()), ..it });
    let judge = judge(&module);
    Ok(Asked { name, module, saved, judge })
}

/// Whether a signature is asked as it is, or with its reasoning first.
pub(super) fn is_plain(named: &Named<'_>) -> bool {
    let table = named.spot.table(&KEYS).ok();
    let module = table.and_then(|it| it.get("module"));
    module.is_none_or(|it| matches!(it.text(), Ok("predict" | "chain_of_thought")))
}

/// Whether a module chooses among the examples itself.
fn chooses_examples(module: &Module) -> bool {
    match module {
        Module::Knn(_) => true,
        Module::BestOfN(it) => chooses_examples(&it.module),
        Module::Refine(it) => chooses_examples(&it.module),
        Module::MultiChainComparison(it) => chooses_examples(&it.module),
        Module::Majority(it) => chooses_examples(&it.module),
        Module::Predict(_) | Module::ReAct(_) | Module::Chain(_) => false,
    }
}

/// The signature that judges a module.
fn judge(module: &Module) -> Option<String> {
    let reward = match module {
        Module::BestOfN(it) => &it.reward,
        Module::Refine(it) => &it.reward,
        Module::Knn(it) => return judge(&it.module),
        Module::MultiChainComparison(it) => return judge(&it.module),
        Module::Majority(it) => return judge(&it.module),
        Module::Predict(_) | Module::ReAct(_) | Module::Chain(_) => return None,
    };
    match reward {
        Reward::Judge { judge, .. } => Some(judge.signature.name.clone()),
        Reward::Expression(_) | Reward::Regex { .. } => None,
    }
}

/// Gives the examples to the one predictor that there is.
fn demos(spot: &Spot<'_>, module: &mut Module) -> Result<(), LoadError> {
    let mut predictors = module.named_predictors_mut();
    let [(_, predictor)] = predictors.as_mut_slice() else {
        let paths: Vec<&str> = predictors.iter().map(|(path, _)| path.as_str()).collect();
        let problem = format!("its predictors {} have examples of their own", paths.join(", "));
        let fix = "give them with `state`, which says which predictor has which";
        return Err(spot.fail(problem, fix));
    };
    predictor.demos = demo::read_all(spot, &predictor.full_signature())?;
    Ok(())
}
