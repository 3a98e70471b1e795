//! Saved states: what `module.save("x.json")` of DSPy wrote, laid over the signatures of a file.
//!
//! A state holds instructions, labels and descriptions by position, demos, and settings of a
//! model; no names of fields and no types. So it is laid over predictors that the file defines, and
//! refused where it is not of them. DSPy itself takes one with another number of fields, silently.

use dspy::{Demo, Fields, Module, Predictor, Signature};
use serde_json::Value;

use super::{
    nearest::nearest,
    node::Node,
    signature::Asked,
    spot::{Named, Spot, Table},
    state_lm, yaml,
};
use crate::{LoadError, Saved, beside::Beside};

/// The most demos of a predictor.
const DEMOS_MAX: usize = 1_000;
/// The most fields of a signature.
const FIELDS_MAX: usize = 1_000;

const KEYS: [&str; 7] = ["traces", "train", "demos", "signature", "lm", "fields", "metadata"];

const METADATA: &str = "metadata";

/// How people save a state that can be read.
const SAVE_JSON: &str = "save it as JSON: `module.save(\"state.json\")`";

/// A state as it was read.
pub(super) struct State {
    origin: String,
    path: String,
    node: Node,
}

/// A state: the path of its file, or what is in it.
pub(super) fn read(spot: &Spot<'_>, beside: &Beside) -> Result<State, LoadError> {
    if spot.is_table() {
        return Ok(State {
            origin: spot.origin().to_owned(),
            path: spot.path().to_owned(),
            node: spot.node().clone(),
        });
    }
    if spot.is_list() {
        let fix = "write the path of a JSON file, or what is in it";
        return Err(spot.fail("a state is no list", fix));
    }
    let name = spot.text()?;
    let ending = name.rsplit_once('.').map(|(_, it)| it);
    if let Some("pkl" | "pickle") = ending {
        let problem = format!("`{name}` is a pickle, which can run code when it is read");
        return Err(spot.fail(problem, SAVE_JSON));
    }
    if ending != Some("json") {
        let problem = format!("`{name}` is no JSON file");
        let fix = format!(
            "{SAVE_JSON}; for a folder of `save_program=True` write `source: {{type: saved, path: \
             {name}}}`, which the python runtime runs"
        );
        return Err(spot.fail(problem, fix));
    }
    let (path, text) = beside.read(name).map_err(|it| spot.fail(it.problem, it.fix))?;
    let origin = path.display().to_string();
    if text.trim().is_empty() {
        // DSPy's `save` leaves such a file when a demo holds what JSON cannot.
        let fix = "save it again, and see whether that fails";
        return Err(LoadError::whole(&origin, "is empty", fix));
    }
    let node = yaml::read_large(&text, &origin)?;
    Ok(State { origin, path: String::new(), node })
}

impl State {
    /// Lays the state of one signature over its module.
    pub(super) fn lay_over(&self, module: &mut Module) -> Result<Saved, LoadError> {
        let predictors = module.named_predictors_mut();
        self.lay(predictors.into_iter().map(|(path, it)| (vec![path], it)).collect())
    }

    /// Lays the state of a whole program over its signatures. The predictors of several are named
    /// after them: `draft.predict`, or `draft` where the signature is asked by itself.
    pub(super) fn lay_over_all(&self, all: &mut [Asked]) -> Result<Saved, LoadError> {
        let is_one = all.len() == 1;
        let mut predictors = Vec::new();
        for asked in all {
            let name = &asked.name;
            for (path, predictor) in asked.module.named_predictors_mut() {
                let inner = format!("{name}.{path}");
                let full = if path == LONE { name.clone() } else { inner };
                let names = if is_one { vec![path, full] } else { vec![full] };
                predictors.push((names, predictor));
            }
        }
        self.lay(predictors)
    }

    /// Lays each predictor's part over it. A predictor may go by any of its names.
    fn lay(&self, predictors: Vec<(Vec<String>, &mut Predictor)>) -> Result<Saved, LoadError> {
        let spot = Spot::at(&self.origin, &self.path, &self.node);
        let names = spot.names()?;
        let is_lone = |names: &[String]| names.iter().any(|it| it == LONE);
        let mut known: Vec<String> = vec![METADATA.to_owned()];
        for (own, predictor) in predictors {
            let at_top = is_lone(&own) && names.iter().any(|it| it.name == "signature");
            let found = names.iter().find(|it| own.iter().any(|name| name == it.name));
            match (found, at_top) {
                (_, true) => {
                    known.extend(KEYS.map(str::to_owned));
                    lay_one(&spot.table(&KEYS)?, predictor)?;
                }
                (Some(named), false) => lay_one(&named.spot.table(&KEYS[..6])?, predictor)?,
                (None, false) => return Err(missing(&spot, &own, &names)),
            }
            known.extend(own);
        }
        match names.iter().find(|it| !known.iter().any(|name| name == it.name)) {
            Some(other) => Err(unknown(other, &known)),
            None => versions(&names),
        }
    }
}

/// DSPy's path of a predictor that is the whole module.
const LONE: &str = "self";

fn lay_one(table: &Table<'_>, predictor: &mut Predictor) -> Result<(), LoadError> {
    let mut signature = predictor.full_signature().into_owned();
    let saved = table.need("signature", SAVE_JSON)?.table(&["instructions", "fields"])?;
    let task = saved.need("instructions", SAVE_JSON)?.string()?;
    lay_fields(&saved.need("fields", SAVE_JSON)?, &mut signature)?;
    let Signature { name, inputs, outputs, types, .. } = signature;
    let signature = Signature { types, ..Signature::new(name, task, inputs, outputs) };
    if let Some(spot) = table.get("fields").filter(|it| it.json() != Value::Object(Fields::new())) {
        let fix = "save the program without its decision fields, or run it by the python runtime";
        return Err(spot.fail("the native engine has no decision fields", fix));
    }
    if let Some(spot) = table.get("lm") {
        // It is asked instead of the program's, whose settings do not count then.
        predictor.lm = state_lm::read(&spot)?;
    }
    let demos = table.get("demos").map(|it| demos(&it, &signature)).transpose()?;
    predictor.demos = demos.unwrap_or_default();
    predictor.signature = signature;
    Ok(())
}

fn lay_fields(spot: &Spot<'_>, signature: &mut Signature) -> Result<(), LoadError> {
    let saved = spot.list(FIELDS_MAX)?;
    let count = signature.inputs.len() + signature.outputs.len();
    if saved.len() != count {
        let names: Vec<&str> =
            signature.inputs.iter().chain(&signature.outputs).map(|it| it.name.as_str()).collect();
        let problem = format!("has {} fields, and the signature has {count}", saved.len());
        let fix = format!("save the state of a program whose fields are {}", names.join(", "));
        return Err(spot.fail(problem, fix));
    }
    let fields = signature.inputs.iter_mut().chain(&mut signature.outputs);
    for (field, spot) in fields.zip(&saved) {
        let table = spot.table(&["prefix", "description"])?;
        let text = |key| table.get(key).map(|it| it.string().map(str::to_owned)).transpose();
        field.prefix = text("prefix")?;
        field.desc = text("description")?;
    }
    Ok(())
}

/// The demos, without what is no field: DSPy marks those that it made.
fn demos(spot: &Spot<'_>, signature: &Signature) -> Result<Vec<Demo>, LoadError> {
    let is_field = |name: &str| {
        signature.inputs.iter().chain(&signature.outputs).any(|field| field.name == name)
    };
    let demo = |spot: &Spot<'_>| {
        let values = spot.names()?.into_iter().filter(|it| is_field(it.name));
        Ok(Demo(values.map(|it| (it.name.to_owned(), it.spot.json())).collect()))
    };
    spot.list(DEMOS_MAX)?.iter().map(demo).collect()
}

fn versions(names: &[Named<'_>]) -> Result<Saved, LoadError> {
    let Some(named) = names.iter().find(|it| it.name == METADATA) else {
        return Ok(Saved::default());
    };
    let Some(spot) = named.spot.table(&["dependency_versions"])?.get("dependency_versions") else {
        return Ok(Saved::default());
    };
    let version = |it: &Named<'_>| Ok((it.name.to_owned(), it.spot.word()?.to_owned()));
    let versions = spot.names()?.iter().map(version).collect::<Result<_, LoadError>>()?;
    Ok(Saved { signature: None, versions })
}

fn missing(spot: &Spot<'_>, own: &[String], names: &[Named<'_>]) -> LoadError {
    let there = names.iter().map(|it| it.name).filter(|it| *it != METADATA);
    let there: Vec<&str> = there.collect();
    if own.iter().any(|it| it == LONE) {
        let fix = format!("write the module that was saved, as `module: …`; {SAVE_JSON}");
        let there = there.join(", ");
        return spot.fail(format!("has no `signature` of its own, but {there}"), fix);
    }
    let own = own.join("` or `");
    let fix = format!("save the whole program again; the state has {}", there.join(", "));
    spot.fail(format!("has no predictor `{own}`"), fix)
}

fn unknown(other: &Named<'_>, known: &[String]) -> LoadError {
    let words: Vec<&str> = known.iter().map(String::as_str).filter(|it| *it != METADATA).collect();
    let fix = match nearest(other.name, &words) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the predictors are {}", words.join(", ")),
    };
    other.fail("is no predictor of this program", fix)
}
