//! What a runner is to load, of where a program's code is.

use std::path::{Path, PathBuf};

use programs::{PythonProgram, Repository, Source};

use super::{fault::Fault, protocol::Code};

/// What a runner is to load. What was fetched of a source is a folder like any other.
pub(super) fn of(python: &PythonProgram) -> Result<Code, Fault> {
    let beside = python.folder.clone().unwrap_or_else(|| PathBuf::from("/"));
    let fetched = python.fetched.as_ref().map(|it| it.folder.as_path());
    let missing = || Fault::NotFetched("it was not fetched yet".to_owned());
    let code = match &python.source {
        Source::Local { path, module_path, class_name } => Code {
            kind: "class",
            path: match module_path {
                Some(_) => Some(text(&beside)),
                None => path.as_deref().map(|it| text(&beside.join(it))),
            },
            module: module_path.clone(),
            name: class_name.clone(),
            ..Code::default()
        },
        Source::Saved { path } => saved(&beside.join(path)),
        Source::MlFlow { .. } => saved(fetched.ok_or_else(missing)?),
        Source::HuggingFace(it) | Source::GitHub(it) => {
            of_repository(it, fetched.ok_or_else(missing)?)
        }
    };
    let state = python.state.as_deref().map(|it| text(&beside.join(it)));
    let dependencies = python.dependencies.clone();
    Ok(Code { state: state.or_else(|| code.state.clone()), dependencies, ..code })
}

fn of_repository(it: &Repository, folder: &Path) -> Code {
    let path = it.path.as_deref().map_or_else(|| folder.to_owned(), |it| folder.join(it));
    let state = it.state.as_deref().map(|it| text(&folder.join(it)));
    if it.module_path.is_none() && is_saved(&path) {
        return Code { state, ..saved(&path) };
    }
    let (module, name) = (it.module_path.clone(), it.class_name.clone());
    Code { kind: "class", path: Some(text(&path)), module, name, state, ..Code::default() }
}

fn saved(path: &Path) -> Code {
    Code { kind: "saved", path: Some(text(path)), ..Code::default() }
}

/// Whether there is a pickle instead of Python code: one file, or the folder of a saved program.
fn is_saved(path: &Path) -> bool {
    let is_pickle = path.extension().is_some_and(|it| it == "pkl" || it == "pickle");
    is_pickle || ["program.pkl", "MLmodel"].iter().any(|it| path.join(it).is_file())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
