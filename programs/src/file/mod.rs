//! The program file: reads a text into a [`Program`], or says exactly what is wrong with it.
//!
//! The text becomes a tree that knows its lines; the tree is read by hand, key by key, so that an
//! error names the place, the key and the fix. What the native engine does not run exactly is
//! refused here, never approximated.

mod chain;
mod demo;
mod duration;
mod field;
mod hint;
mod model;
mod nearest;
mod node;
mod scalar;
mod signature;
mod source;
mod spot;
mod times;
mod tool;
mod yaml;

use dspy::{Module, Predictor};
use serde_json::json;

use self::{
    signature::{Asked, MAIN, WRITE_PYTHON},
    spot::{Spot, Table},
};
use crate::{
    LmConfig, LoadError, Origin, Program, PythonProgram, Runtime, Source, fingerprint, version,
};

/// The longest program file.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;

/// The version of a program that names none.
const FIRST_VERSION: &str = "1.0.0";
/// The most packages that a program may need.
const DEPENDENCIES_MAX: usize = 200;

const KEYS: [&str; 21] = [
    "id",
    "name",
    "version",
    "description",
    "source",
    "lm",
    "model_config",
    "timeout",
    "retries",
    "cache",
    "signatures",
    "chains",
    "steps",
    "tools",
    "dependencies",
    "python",
    "spawn",
    "author",
    "metadata",
    "metrics",
    "hokusai_token",
];

/// Keys that tell people something, and this service nothing.
const NOTES: [&str; 4] = ["author", "metadata", "metrics", "hokusai_token"];

/// The program of a text. `origin` names the text in errors, and is the id of a program that has
/// neither `id` nor `name`; `wrote` is who wrote it.
pub(crate) fn parse(text: &str, origin: &str, wrote: Origin) -> Result<Program, LoadError> {
    let tree = yaml::read(text, origin)?;
    let file = Spot::root(origin, &tree).table(&KEYS)?;
    for key in NOTES {
        file.get(key).map(|it| hint::refuse_secrets(&it)).transpose()?;
    }
    let (id, version, lm) = (id(&file)?, version(&file)?, model::read(&file)?);
    let text = |key| file.get(key).map(|it| it.word().map(str::to_owned)).transpose();
    let name = text("name")?.unwrap_or_else(|| id.clone());
    let description = text("description")?.unwrap_or_default().trim().to_owned();
    // Its keys stay in the order of the text: the order of fields is part of the prompt.
    let content = json!([id, version, tree.json()]).to_string();
    Ok(Program {
        runtime: runtime(&file, &lm)?,
        timeout: times::timeout(&file)?,
        retries: times::retries(&file)?,
        cache: times::cache(&file)?,
        digest: fingerprint::of_text(&content),
        origin: wrote,
        tools: tool::read_all(&file, &no_file)?,
        embedders: Vec::new(),
        id,
        version,
        name,
        description,
        lm,
    })
}

/// The text of a file beside the program's.
fn no_file(spot: &Spot<'_>) -> Result<String, LoadError> {
    Err(spot.fail("files beside a program are not read", "write a URL, or the description itself"))
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

fn runtime(file: &Table<'_>, lm: &LmConfig) -> Result<Runtime, LoadError> {
    let source = source::read(file)?;
    let signatures = signature::read_all(file)?;
    let chain = chain::read(file, &signatures)?;
    if let Some(source) = source {
        return Ok(Runtime::Python(Box::new(python(file, source, signatures)?)));
    }
    if let Some(chain) = chain {
        return Err(chain.fail("the native engine does not run chains yet", WRITE_PYTHON));
    }
    for key in ["python", "spawn"] {
        if let Some(spot) = file.get(key) {
            let fix = "remove it, or name the Python program in `source`";
            return Err(spot.fail("is for Python programs only, and this one is native", fix));
        }
    }
    dependencies(file)?;
    let asked = main(file, signatures)?;
    let predictor = Predictor { lm: lm.settings.clone(), ..asked.predictor() };
    Ok(Runtime::Native(Box::new(Module::Predict(Box::new(predictor)))))
}

/// The signature that runs.
fn main(file: &Table<'_>, mut signatures: Vec<Asked>) -> Result<Asked, LoadError> {
    let count = signatures.len();
    let main = match count {
        1 => Some(0),
        _ => signatures.iter().position(|it| it.signature.name == MAIN),
    };
    if let Some(main) = main {
        return Ok(signatures.swap_remove(main));
    }
    let Some(spot) = file.get("signatures") else {
        let fix = "write `signatures: {main: {inputs: […], outputs: […]}}`, or name a Python \
                   program in `source`";
        return Err(file.spot().fail("has no `signatures`", fix));
    };
    let problem = format!("there are {count} signatures, and none is named `{MAIN}`");
    let fix = format!(
        "name the one that runs `{MAIN}`, put each into a file of its own, or {WRITE_PYTHON}"
    );
    Err(spot.fail(problem, fix))
}

fn python(
    file: &Table<'_>,
    source: Source,
    signatures: Vec<Asked>,
) -> Result<PythonProgram, LoadError> {
    let interpreter = file.get("python").map(|it| it.text().map(str::to_owned)).transpose()?;
    let spawn = file.get("spawn").map(|it| it.bool()).transpose()?.unwrap_or_default();
    let signatures = signatures.into_iter().map(|it| it.signature).collect();
    let dependencies = dependencies(file)?;
    Ok(PythonProgram { source, interpreter, spawn, dependencies, signatures })
}

fn dependencies(file: &Table<'_>) -> Result<Vec<String>, LoadError> {
    let spot = file.get("dependencies");
    let all = spot.map(|it| it.texts(DEPENDENCIES_MAX)).transpose()?;
    Ok(all.unwrap_or_default())
}
