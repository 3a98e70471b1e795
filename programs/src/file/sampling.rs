//! Modules that ask several times: best of, refine, comparison, majority, neighbours.

use dspy::{BestOfN, Knn, Majority, Module, ModuleKind, MultiChainComparison, Refine};

use super::{
    demo, embedder,
    module::{self, Parts},
    reward,
    spot::{Spot, Table},
};
use crate::{EmbedderConfig, LoadError};

/// The most attempts, answers, or neighbours.
const TIMES_MAX: u64 = 128;
/// How many answers are compared by a program that does not say it, as in DSPy.
const ATTEMPTS: u32 = 3;
/// How warm they are, as in DSPy.
const TEMPERATURE: f64 = 0.7;
const TEMPERATURE_MAX: f64 = 10.0;

const WRITE_TRIED: &str = "write `{type: best_of_n, of: chain_of_thought, n: 3, threshold: 8, \
                           reward: {expression: score}}`";

const WRITE_MAJORITY: &str = "write `{type: majority, of: chain_of_thought, n: 5, field: answer}`";

const WRITE_KNN: &str = "write `{type: knn, k: 3, embedder: openai/text-embedding-3-small}`";

/// `{type: best_of_n, of: …, n: 3, threshold: 1.0, reward: …}`
pub(super) fn best_of_n(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Module, LoadError> {
    let tried = Tried::read(spot, parts)?;
    let Tried { module, n, threshold, fail_count, reward } = tried;
    let module = Box::new(module);
    Ok(Module::BestOfN(Box::new(BestOfN { module, n, reward, threshold, fail_count })))
}

/// `{type: refine, of: …, n: 3, threshold: 1.0, reward: …}`
pub(super) fn refine(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Module, LoadError> {
    let Tried { module, n, threshold, fail_count, reward } = Tried::read(spot, parts)?;
    let mut refine = Refine::new(module, n, reward, threshold);
    refine.fail_count = fail_count;
    refine.feedback.lm = parts.shared.lm.clone();
    refine.feedback.adapter = parts.shared.adapter.clone().unwrap_or_default();
    Ok(Module::Refine(Box::new(refine)))
}

/// What attempts have in common.
struct Tried {
    module: Module,
    n: u32,
    threshold: f64,
    fail_count: Option<u32>,
    reward: dspy::Reward,
}

impl Tried {
    fn read(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Self, LoadError> {
        if !spot.is_table() {
            return Err(spot.fail("has no `n`, `threshold` and `reward`", WRITE_TRIED));
        }
        let table = spot.table(&["type", "of", "n", "threshold", "reward", "fail_count"])?;
        let module = of(&table, parts, ModuleKind::Predict)?;
        let n = table.need("n", "write how many attempts there may be")?;
        let threshold = table.need("threshold", "write the reward that is enough")?;
        let fail_count = table.get("fail_count").map(|it| times(&it, 0)).transpose()?;
        Ok(Self {
            n: times(&n, 1)?,
            threshold: threshold.number(f64::MIN, f64::MAX)?,
            fail_count,
            reward: reward::read(&table, &module, parts)?,
            module,
        })
    }
}

/// `{type: multi_chain_comparison, of: chain_of_thought, m: 3, temperature: 0.7}`
pub(super) fn comparison(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Module, LoadError> {
    let table = options(spot, &["type", "of", "m", "temperature"])?;
    let (mut m, mut temperature, mut asked) = (ATTEMPTS, TEMPERATURE, None);
    if let Some(table) = &table {
        m = table.get("m").map(|it| times(&it, 1)).transpose()?.unwrap_or(m);
        let warm = table.get("temperature").map(|it| it.number(0.0, TEMPERATURE_MAX));
        temperature = warm.transpose()?.unwrap_or(temperature);
        asked = table.get("of").map(|it| module::read(Some(&it), parts)).transpose()?;
    }
    let asked = match asked {
        Some(asked) => asked,
        None => module::predict(parts, ModuleKind::ChainOfThought),
    };
    let reasons = ["reasoning", "rationale"];
    if !asked.signature().outputs.iter().any(|it| reasons.contains(&it.name.as_str())) {
        let fix = "write `of: chain_of_thought`, or give the signature an output `reasoning`";
        return Err(spot.fail("compares answers that give their reasoning, and these do not", fix));
    }
    let comparison = MultiChainComparison::new(&parts.signature, asked, m, temperature);
    Ok(Module::MultiChainComparison(Box::new(comparison)))
}

/// `{type: majority, of: chain_of_thought, n: 5, field: answer}`
pub(super) fn majority(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Module, LoadError> {
    if !spot.is_table() {
        return Err(spot.fail("has no `n`", WRITE_MAJORITY));
    }
    let table = spot.table(&["type", "of", "n", "field"])?;
    let module = of(&table, parts, ModuleKind::Predict)?;
    let n = times(&table.need("n", "write how many answers are counted")?, 1)?;
    let field = table.get("field");
    if let Some(spot) = &field {
        let (word, outputs) = (spot.text()?, module.signature().outputs);
        if !outputs.iter().any(|it| it.name == word) {
            let names: Vec<String> = outputs.into_iter().map(|it| it.name).collect();
            let fix = format!("the outputs are {}", names.join(", "));
            return Err(spot.fail(format!("`{word}` is no output"), fix));
        }
    }
    let field = field.map(|it| it.text().map(str::to_owned)).transpose()?;
    Ok(Module::Majority(Box::new(Majority { module: Box::new(module), n, field })))
}

/// `{type: knn, of: predict, k: 3, embedder: openai/text-embedding-3-small}`
pub(super) fn neighbours(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Module, LoadError> {
    if !spot.is_table() {
        return Err(spot.fail("has no `k` and no `embedder`", WRITE_KNN));
    }
    let table = spot.table(&["type", "of", "k", "embedder"])?;
    let module = of(&table, parts, ModuleKind::Predict)?;
    let k = times(&table.need("k", WRITE_KNN)?, 1)?;
    let named = table.need("embedder", WRITE_KNN)?;
    let config = embedder::read(&named)?;
    let model = config.model.clone();
    remember(&named, config, parts)?;
    let Some(examples) = &parts.examples else {
        let fix = "write `examples` into the signature, from which the nearest are chosen";
        return Err(spot.fail("has no examples to choose from", fix));
    };
    let predictors = module.named_predictors();
    let [(_, predictor)] = predictors.as_slice() else {
        let fix = "write `of: predict` or `of: chain_of_thought`";
        return Err(spot.fail("chooses examples for one predictor, and here are several", fix));
    };
    let demos = demo::read_all(examples, &predictor.full_signature())?;
    let k = usize::try_from(k).unwrap_or(usize::MAX);
    Ok(Module::Knn(Box::new(Knn::new(module, demos, k, model))))
}

/// Keeps a model of embeddings for the program. Two of one name must be one.
fn remember(spot: &Spot<'_>, config: EmbedderConfig, parts: &Parts<'_>) -> Result<(), LoadError> {
    let mut all = parts.shared.embedders.borrow_mut();
    match all.iter().find(|it| it.model == config.model) {
        Some(same) if *same == config => {}
        Some(_) => {
            let problem = format!("`{}` is asked elsewhere in this file too", config.model);
            return Err(spot.fail(problem, "write one and the same endpoint for both"));
        }
        None => all.push(config),
    }
    Ok(())
}

/// The module inside.
fn of(table: &Table<'_>, parts: &Parts<'_>, kind: ModuleKind) -> Result<Module, LoadError> {
    match table.get("of") {
        Some(spot) => module::read(Some(&spot), parts),
        None => Ok(module::predict(parts, kind)),
    }
}

/// The parameters, if any are written.
fn options<'a>(spot: &Spot<'a>, keys: &[&str]) -> Result<Option<Table<'a>>, LoadError> {
    spot.is_table().then(|| spot.table(keys)).transpose()
}

fn times(spot: &Spot<'_>, min: u64) -> Result<u32, LoadError> {
    Ok(u32::try_from(spot.count(min, TIMES_MAX)?).unwrap_or(u32::MAX))
}
