//! The program file: reads a text into a [`Program`], or says exactly what is wrong with it.
//!
//! The text becomes a tree that knows its lines; the tree is read by hand, key by key, so that an
//! error names the place, the key and the fix. What the native engine does not run exactly is
//! refused here, never approximated.

mod adapter;
mod annotation;
mod bounds;
mod chain;
mod definition;
mod demo;
mod duration;
mod embedder;
mod enumeration;
mod field;
mod hint;
mod model;
mod module;
mod nearest;
mod node;
mod python;
mod python_name;
mod repository;
mod reward;
mod sampling;
mod scalar;
mod signature;
mod source;
mod spot;
mod state;
mod state_lm;
mod times;
mod tool;
mod yaml;

use std::{cell::RefCell, sync::Arc, time::Duration};

use dspy::Module;
use serde_json::json;

use self::{
    chain::Chains,
    signature::{Asked, Shared},
    spot::{Spot, Table},
};
use crate::{
    CachePolicy, EmbedderConfig, LmConfig, LoadError, Origin, Program, Retries, Runtime, Saved,
    ToolConfig, beside::Beside, fingerprint, shelf::Programs, version,
};

/// The signature or chain that runs when there are several.
const MAIN: &str = "main";

/// The longest program file.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;

/// The version of a program that names none.
const FIRST_VERSION: &str = "1.0.0";
/// The most dollars that an execution's budget can be.
const BUDGET_MAX: f64 = 1e6;
/// The most packages that a program may need.
const DEPENDENCIES_MAX: usize = 200;

const KEYS: [&str; 27] = [
    "id",
    "name",
    "version",
    "description",
    "source",
    "lm",
    "model_config",
    "timeout",
    "retries",
    "budget",
    "cache",
    "types",
    "signatures",
    "signature",
    "adapter",
    "state",
    "chains",
    "steps",
    "tools",
    "dependencies",
    "python",
    "spawn",
    "concurrency",
    "author",
    "metadata",
    "metrics",
    "hokusai_token",
];

/// Keys that tell people something, and this service nothing.
const NOTES: [&str; 4] = ["author", "metadata", "metrics", "hokusai_token"];

/// The programs of a text. `origin` names the text in errors, and is the id of a program that has
/// neither `id` nor `name`.
pub(crate) fn parse(text: &str, origin: &str, beside: &Beside) -> Result<Programs, LoadError> {
    let tree = yaml::read(text, origin)?;
    let file = Spot::root(origin, &tree).table(&KEYS)?;
    for key in NOTES {
        file.get(key).map(|it| hint::refuse_secrets(&it)).transpose()?;
    }
    let head = Head::of(&file, beside)?;
    let entries = match source::read(&file)? {
        Some(source) => Entries::one(python::read(&file, source, beside)?),
        None => native(&file, &head, beside)?,
    };
    // Its keys stay in the order of the text: the order of fields is part of the prompt.
    let code = entries.default.as_ref().and_then(Runtime::code_digest);
    let content = json!([head.id, head.version, tree.json(), beside.digests(), code]);
    let choices: Vec<String> =
        entries.named.iter().map(|(name, _)| format!("{}#{name}", head.id)).collect();
    let make = |name: Option<&str>, runtime: Runtime| {
        let digest = fingerprint::of_text(&json!([name, content]).to_string());
        Arc::new(head.program(name, runtime, digest, &entries, &choices))
    };
    let others = entries.named.iter().map(|(name, runtime)| make(Some(name), runtime.clone()));
    let others: Vec<Arc<Program>> = others.collect();
    match (entries.default.clone(), others.first()) {
        (Some(runtime), _) => Ok(Programs { first: make(None, runtime), others }),
        (None, Some(first)) => Ok(Programs { first: Arc::clone(first), others }),
        (None, None) => Err(without_signatures(&file)),
    }
}

/// What one execution may spend on models, in dollars.
fn budget(file: &Table<'_>) -> Result<Option<f64>, LoadError> {
    file.get("budget").map(|it| it.number(0.0, BUDGET_MAX)).transpose()
}

/// What a file can run.
struct Entries {
    /// What its id means.
    default: Option<Runtime>,
    /// What a request can choose, where there is a choice.
    named: Vec<(String, Runtime)>,
    saved: Vec<Saved>,
    embedders: Vec<EmbedderConfig>,
}

impl Entries {
    fn one(runtime: Runtime) -> Self {
        let (named, saved, embedders) = (Vec::new(), Vec::new(), Vec::new());
        Self { default: Some(runtime), named, saved, embedders }
    }
}

/// What a file says of its program besides what runs.
struct Head {
    id: String,
    version: String,
    name: String,
    description: String,
    timeout: Option<Duration>,
    retries: Retries,
    budget: Option<f64>,
    cache: CachePolicy,
    lm: LmConfig,
    origin: Origin,
    tools: Vec<ToolConfig>,
}

impl Head {
    fn of(file: &Table<'_>, beside: &Beside) -> Result<Self, LoadError> {
        let (id, version, lm) = (id(file)?, version(file)?, model::read(file)?);
        let text = |key| file.get(key).map(|it| it.word().map(str::to_owned)).transpose();
        Ok(Self {
            name: text("name")?.unwrap_or_else(|| id.clone()),
            description: text("description")?.unwrap_or_default().trim().to_owned(),
            timeout: times::timeout(file)?,
            retries: times::retries(file)?,
            budget: budget(file)?,
            cache: times::cache(file)?,
            id,
            version,
            lm,
            origin: beside.origin(),
            tools: tool::read_all(file, &|it| beside_text(it, beside))?,
        })
    }

    fn program(
        &self,
        entry: Option<&str>,
        runtime: Runtime,
        digest: String,
        entries: &Entries,
        choices: &[String],
    ) -> Program {
        let id = entry.map_or_else(|| self.id.clone(), |it| format!("{}#{it}", self.id));
        Program {
            id,
            version: self.version.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            digest,
            timeout: self.timeout,
            retries: self.retries,
            budget: self.budget,
            cache: self.cache,
            lm: self.lm.clone(),
            origin: self.origin,
            runtime,
            tools: self.tools.clone(),
            embedders: entries.embedders.clone(),
            saved: entries.saved.clone(),
            choices: choices.to_vec(),
        }
    }
}

fn id(file: &Table<'_>) -> Result<String, LoadError> {
    let fix = "add an `id` of letters, digits, `.`, `_` and `-`, as in `id: email-assistant`";
    let Some(named) = file.get("id").or_else(|| file.get("name")) else {
        let id = stem(file.spot().origin());
        let problem = "has neither `id` nor `name`";
        return version::is_id(id)
            .then(|| id.to_owned())
            .ok_or_else(|| file.spot().fail(problem, fix));
    };
    let word = named.word()?;
    if version::is_id(word) {
        return Ok(word.to_owned());
    }
    Err(named.fail(format!("`{word}` is no id"), fix))
}

/// The name of a file without its folders and ending.
fn stem(origin: &str) -> &str {
    let (folders, name) = origin.rsplit_once(['/', '\\']).unwrap_or(("", origin));
    let endings = [".yaml", ".yml", ".json"];
    let stem = endings.iter().find_map(|it| name.strip_suffix(it)).unwrap_or(name);
    if stem == "program" && !folders.is_empty() {
        return folders.rsplit(['/', '\\']).next().unwrap_or(stem);
    }
    stem
}

fn version(file: &Table<'_>) -> Result<String, LoadError> {
    let Some(spot) = file.get("version") else { return Ok(FIRST_VERSION.to_owned()) };
    let word = spot.word()?;
    if version::is_version(word) {
        return Ok(word.to_owned());
    }
    Err(spot.fail(format!("`{word}` is no version"), "write one as `version: 1.0.0`"))
}

/// The text of a file beside the program's.
fn beside_text(spot: &Spot<'_>, beside: &Beside) -> Result<String, LoadError> {
    let read = beside.read(spot.text()?).map_err(|it| spot.fail(it.problem, it.fix));
    read.map(|(_, text)| text)
}

/// What the signatures and chains of a native program can run.
fn native(file: &Table<'_>, head: &Head, beside: &Beside) -> Result<Entries, LoadError> {
    for key in ["python", "spawn", "concurrency"] {
        if let Some(spot) = file.get(key) {
            let fix = "remove it, or name the Python program in `source`";
            return Err(spot.fail("is for Python programs only, and this one is native", fix));
        }
    }
    dependencies(file)?;
    let shared = Shared {
        types: definition::read_all(file)?,
        beside,
        lm: head.lm.settings.clone(),
        adapter: adapter::read(file)?,
        tools: head.tools.iter().map(|it| it.name.as_str()).collect(),
        names: signature::names(file)?,
        embedders: RefCell::default(),
    };
    let asked = shared.names.iter().map(|it| signature::read(it, &shared));
    let mut asked: Vec<Asked> = asked.collect::<Result<_, _>>()?;
    let mut saved: Vec<Saved> = asked.iter().filter_map(|it| it.saved.clone()).collect();
    if let Some(spot) = file.get("state") {
        let state = state::read(&spot, beside)?;
        saved.push(state.lay_over_all(&mut asked)?);
    }
    let chains = chain::read_all(file, &head.id, &asked)?;
    let default = default(&asked, &chains).cloned();
    let asked = asked.into_iter().map(|it| (it.name, it.module));
    let named: Vec<(String, Module)> = asked.chain(chains.named).collect();
    let is_choice = named.len() > 1;
    let run = |module: Module| Runtime::Native(Box::new(module));
    let named = named.into_iter().filter(|_| is_choice);
    Ok(Entries {
        default: default.map(run),
        named: named.map(|(name, module)| (name, run(module))).collect(),
        saved,
        embedders: shared.embedders.into_inner(),
    })
}

/// What the id of a file means: the chain at its top, or its only one; what is named `main`; or
/// the only signature that does not just judge another.
fn default<'a>(asked: &'a [Asked], chains: &'a Chains) -> Option<&'a Module> {
    let judges = |it: &&Asked| asked.iter().any(|other| other.judge.as_ref() == Some(&it.name));
    let runners: Vec<&Asked> = asked.iter().filter(|it| !judges(it)).collect();
    match (&chains.top, chains.named.as_slice(), runners.as_slice()) {
        (Some(top), ..) => Some(top),
        (None, [(_, only)], _) => Some(only),
        (None, [], [only]) => Some(&only.module),
        (None, several, _) => {
            let chain = several.iter().find(|it| it.0 == MAIN).map(|it| &it.1);
            chain.or_else(|| asked.iter().find(|it| it.name == MAIN).map(|it| &it.module))
        }
    }
}

fn without_signatures(file: &Table<'_>) -> LoadError {
    let fix = "write `signatures: {main: {inputs: […], outputs: […]}}`, or name a Python program \
               in `source`";
    file.spot().fail("has no `signatures`", fix)
}

fn dependencies(file: &Table<'_>) -> Result<Vec<String>, LoadError> {
    let spot = file.get("dependencies");
    let all = spot.map(|it| it.texts(DEPENDENCIES_MAX)).transpose()?;
    Ok(all.unwrap_or_default())
}
