//! Where the code of a program is: `source`. Absent or `native`, it is the file itself.

use super::{
    nearest::nearest,
    repository::{self, GITHUB, HUGGING_FACE},
    spot::{Spot, Table},
};
use crate::{LoadError, MlflowUri, Source};

const KINDS: [&str; 6] = ["native", "local", "saved", "mlflow", "huggingface", "github"];

/// The formats of local code that a runner reads.
const FORMATS: [&str; 1] = ["python"];

/// What is said of any repository.
const REPOSITORY_KEYS: [&str; 6] =
    ["path", "module_path", "class_name", "state", "revision", "token_env"];

/// The source of a Python program; nothing for a native one.
pub(super) fn read(file: &Table<'_>) -> Result<Option<Source>, LoadError> {
    let Some(spot) = file.get("source") else { return Ok(None) };
    if spot.is_table() {
        return of_table(&spot);
    }
    let text = spot.text()?;
    match text.split_once(':') {
        None if text == "native" => Ok(None),
        Some(("mlflow", uri)) => Ok(Some(Source::MlFlow { uri: mlflow(&spot, uri)? })),
        _ => Err(spot.fail(
            format!("unknown source `{text}`"),
            "write `native`, `mlflow:models:/name/3`, or a mapping with `type`",
        )),
    }
}

fn of_table(spot: &Spot<'_>) -> Result<Option<Source>, LoadError> {
    let kind = kind(spot)?;
    let table = |keys: &[&str]| spot.table(&[&["type"], keys].concat());
    let source = match kind {
        "native" => return table(&[]).map(|_| None),
        "local" => {
            let table = table(&["path", "module_path", "class_name", "format"])?;
            table.get("format").map(|it| format(&it)).transpose()?;
            let module_path = text(&table, "module_path")?;
            let path = match module_path {
                Some(_) => text(&table, "path")?,
                None => Some(need(&table, "path")?),
            };
            if let (Some(_), Some(_)) = (&path, &module_path) {
                let fix = "remove one of them";
                return Err(spot.fail("has both `path` and `module_path`", fix));
            }
            Source::Local { path, module_path, class_name: text(&table, "class_name")? }
        }
        "saved" => Source::Saved { path: need(&table(&["path"])?, "path")? },
        "mlflow" => {
            let uri = table(&["uri"])?.need("uri", "say where the program is")?;
            Source::MlFlow { uri: mlflow(&uri, uri.text()?)? }
        }
        "huggingface" => {
            let keys = ["repo_id", "filename"];
            let table = table(&[&keys, &REPOSITORY_KEYS[..]].concat())?;
            Source::HuggingFace(repository::read(&table, &HUGGING_FACE)?)
        }
        _ => {
            let table = table(&[&["repo"], &REPOSITORY_KEYS[..]].concat())?;
            Source::GitHub(repository::read(&table, &GITHUB)?)
        }
    };
    Ok(Some(source))
}

/// The `type`, before the keys are known that go with it.
fn kind(spot: &Spot<'_>) -> Result<&'static str, LoadError> {
    let Some(named) = spot.names()?.into_iter().find(|it| it.name == "type") else {
        return Err(spot.fail("has no `type`", format!("write one of {}", KINDS.join(", "))));
    };
    let word = named.spot.text()?;
    KINDS.into_iter().find(|it| *it == word).ok_or_else(|| {
        let near = nearest(word, &KINDS).map(|it| format!("did you mean `{it}`?"));
        let fix = near.unwrap_or_else(|| format!("write one of {}", KINDS.join(", ")));
        named.spot.fail(format!("unknown source `{word}`"), fix)
    })
}

fn format(spot: &Spot<'_>) -> Result<(), LoadError> {
    let word = spot.text()?;
    if FORMATS.contains(&word) {
        return Ok(());
    }
    let fix = "write `python`; a state saved by `module.save` has `type: saved`";
    Err(spot.fail(format!("unknown format `{word}`"), fix))
}

fn mlflow(spot: &Spot<'_>, text: &str) -> Result<MlflowUri, LoadError> {
    text.parse().map_err(|fix| spot.fail(format!("`{text}` is no model of MLflow"), fix))
}

fn need(table: &Table<'_>, key: &str) -> Result<String, LoadError> {
    let spot = table.need(key, "say where the program is")?;
    spot.text().map(str::to_owned)
}

fn text(table: &Table<'_>, key: &str) -> Result<Option<String>, LoadError> {
    table.get(key).map(|it| it.word().map(str::to_owned)).transpose()
}
