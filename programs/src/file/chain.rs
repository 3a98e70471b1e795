//! Chains: signatures that run one after another, once or until a condition holds.

use dspy::{Chain, ChainStep, Module, Signature, Until};

use super::{
    nearest::unknown,
    signature::Asked,
    spot::{Named, Spot, Table},
};
use crate::LoadError;

/// The most chains of a file.
const CHAINS_MAX: usize = 100;
/// The most steps of a chain.
const STEPS_MAX: usize = 100;
/// The most turns of a chain.
const TURNS_MAX: u64 = 1_000;
/// How often a chain is repeated that does not say it.
const TURNS: u32 = 10;
/// The most items of a list that are worked on at once.
const CONCURRENCY_MAX: u64 = 256;

const KEYS: [&str; 7] = [
    "description",
    "steps",
    "until",
    "max_iterations",
    "outputs",
    "input_signature",
    "output_signature",
];

const MAP_KEYS: [&str; 6] = ["map", "over", "as", "item", "take", "concurrency"];

/// The chains of a file.
#[derive(Default)]
pub(super) struct Chains {
    /// The one that stands at its top.
    pub(super) top: Option<Module>,
    /// Those that have names.
    pub(super) named: Vec<(String, Module)>,
}

/// The chains of a file; the one at its top is named after the program.
pub(super) fn read_all(file: &Table<'_>, id: &str, asked: &[Asked]) -> Result<Chains, LoadError> {
    let mut chains = Chains::default();
    if let Some(spot) = file.get("steps") {
        let chain = Chain::new(id, steps(&spot, asked)?);
        chain.check().map_err(|problem| wrong(&spot, problem))?;
        chains.top = Some(Module::Chain(Box::new(chain)));
    }
    let Some(spot) = file.get("chains") else { return Ok(chains) };
    let names = spot.names()?;
    if names.is_empty() || names.len() > CHAINS_MAX {
        let problem = format!("has {} chains, but must have 1 to {CHAINS_MAX}", names.len());
        return Err(spot.fail(problem, "write a chain: `name: [step, step]`"));
    }
    for named in &names {
        if asked.iter().any(|it| it.name == named.name) {
            let fix = "give the chain another name: a request may name either";
            return Err(named.fail("is the name of a signature too", fix));
        }
        if named.name.trim().is_empty() || named.name.contains(['#', '@', '/']) {
            let fix = "write a name without `#`, `@` and `/`";
            return Err(named.fail("is no name for a chain", fix));
        }
        let chain = Module::Chain(Box::new(read(named, asked)?));
        chains.named.push((named.name.to_owned(), chain));
    }
    Ok(chains)
}

/// The names of signatures that chains of a Python program name.
pub(super) fn check(file: &Table<'_>, signatures: &[Signature]) -> Result<(), LoadError> {
    let known: Vec<&str> = signatures.iter().map(|it| it.name.as_str()).collect();
    let check = |spot: &Spot<'_>| {
        let steps = spot.list(STEPS_MAX)?;
        steps.iter().filter(|it| !it.is_table()).try_for_each(|it| {
            let word = it.text()?;
            if known.contains(&word) { Ok(()) } else { Err(unknown(it, "signature", word, &known)) }
        })
    };
    file.get("steps").map(|it| check(&it)).transpose()?;
    let Some(spot) = file.get("chains") else { return Ok(()) };
    for named in spot.names()? {
        if named.spot.is_list() {
            check(&named.spot)?;
        } else {
            let table = named.spot.table(&KEYS)?;
            check(&table.need("steps", "name the signatures it runs, in order")?)?;
        }
    }
    Ok(())
}

fn read(named: &Named<'_>, asked: &[Asked]) -> Result<Chain, LoadError> {
    let spot = &named.spot;
    if spot.is_list() {
        let chain = Chain::new(named.name, steps(spot, asked)?);
        return chain.check().map_err(|it| wrong(spot, it)).map(|()| chain);
    }
    let table = spot.table(&KEYS)?;
    let list = table.need("steps", "name the signatures it runs, in order")?;
    let mut chain = Chain::new(named.name, steps(&list, asked)?);
    chain.check().map_err(|it| wrong(&list, it))?;
    chain.until = until(&table)?;
    chain.outputs = outputs(&table, asked)?;
    chain.check().map_err(|it| wrong(spot, it))?;
    declared_inputs(&table, &chain, asked)?;
    Ok(chain)
}

fn steps(spot: &Spot<'_>, asked: &[Asked]) -> Result<Vec<ChainStep>, LoadError> {
    let mut steps: Vec<ChainStep> = Vec::new();
    for spot in spot.list(STEPS_MAX)? {
        let step = if spot.is_table() { map(&spot, &steps, asked)? } else { step(&spot, asked)? };
        steps.push(step);
    }
    Ok(steps)
}

fn step(spot: &Spot<'_>, asked: &[Asked]) -> Result<ChainStep, LoadError> {
    let one = find(spot, asked)?;
    Ok(ChainStep::new(&one.name, one.module.clone()))
}

/// `{map: summarize, over: documents, as: summaries, concurrency: 8}`
fn map(spot: &Spot<'_>, before: &[ChainStep], asked: &[Asked]) -> Result<ChainStep, LoadError> {
    let table = spot.table(&MAP_KEYS)?;
    let one = find(&table.need("map", "name the signature that runs on each item")?, asked)?;
    let over = table.need("over", "name the list whose items it runs on")?;
    let into = table.need("as", "name the list of what it makes")?;
    let made = before.iter().flat_map(|it| it.module.signature().outputs);
    let known: Vec<String> = made.map(|it| it.name).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let step = ChainStep::map(&one.name, one.module.clone(), over.text()?, into.text()?, &known);
    let mut step = step.map_err(|problem| {
        spot.fail(problem, "say it: `item: name of the input that an item is given as`")
    });
    if let (Err(_), Some(item)) = (&step, table.get("item")) {
        // Every input but this one is known then.
        let others = one.module.signature().inputs.into_iter().map(|it| it.name);
        let others: Vec<String> =
            others.filter(|it| Some(it.as_str()) != item.text().ok()).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let again =
            ChainStep::map(&one.name, one.module.clone(), over.text()?, into.text()?, &others);
        step = again.map_err(|problem| item.fail(problem, "name an input of that signature"));
    }
    let mut step = step?;
    let Some(map) = &mut step.map else { return Ok(step) };
    if let Some(item) = table.get("item") {
        item.text()?.clone_into(&mut map.item);
    }
    if let Some(take) = table.get("take") {
        map.take = Some(take.text()?.to_owned());
    }
    if let Some(spot) = table.get("concurrency") {
        map.concurrency = usize::try_from(spot.count(1, CONCURRENCY_MAX)?).unwrap_or(1);
    }
    Ok(step)
}

fn find<'a>(spot: &Spot<'_>, asked: &'a [Asked]) -> Result<&'a Asked, LoadError> {
    let word = spot.text()?;
    let names: Vec<&str> = asked.iter().map(|it| it.name.as_str()).collect();
    let found = asked.iter().find(|it| it.name == word);
    found.ok_or_else(|| unknown(spot, "signature", word, &names))
}

fn until(table: &Table<'_>) -> Result<Option<Until>, LoadError> {
    let turns = table.get("max_iterations");
    let turns = turns.map(|it| it.count(1, TURNS_MAX)).transpose()?;
    let turns = turns.and_then(|it| u32::try_from(it).ok()).unwrap_or(TURNS);
    let Some(spot) = table.get("until") else { return Ok(None) };
    let fix = "write it as Python does, over the fields' names: `score >= 8`";
    let condition = spot.text()?.parse();
    let condition = condition.map_err(|e: dspy::ExpressionError| spot.fail(e.to_string(), fix))?;
    Ok(Some(Until { condition, max_iterations: turns }))
}

/// The fields that come out: those that are named, or those of the signature that is.
fn outputs(table: &Table<'_>, asked: &[Asked]) -> Result<Option<Vec<String>>, LoadError> {
    let Some(spot) = table.one_of(&["outputs", "output_signature"])? else { return Ok(None) };
    if spot.is_list() {
        return spot.texts(STEPS_MAX).map(Some);
    }
    let one = find(&spot, asked)?;
    Ok(Some(one.module.signature().outputs.into_iter().map(|it| it.name).collect()))
}

/// Checks that a chain needs no more than the signature that it says it begins with.
fn declared_inputs(table: &Table<'_>, chain: &Chain, asked: &[Asked]) -> Result<(), LoadError> {
    let Some(spot) = table.get("input_signature") else { return Ok(()) };
    let declared = find(&spot, asked)?.module.signature().inputs;
    let needed = chain.signature().inputs.into_iter().filter(|it| it.default.is_none());
    let mut missing = needed.filter(|it| !declared.iter().any(|other| other.name == it.name));
    match missing.next() {
        None => Ok(()),
        Some(field) => {
            let problem = format!("the chain also needs `{}`, which no step makes", field.name);
            Err(spot.fail(problem, "add it there, or let an earlier step make it"))
        }
    }
}

fn wrong(spot: &Spot<'_>, problem: String) -> LoadError {
    spot.fail(problem, "the fields go from step to step by their names")
}
