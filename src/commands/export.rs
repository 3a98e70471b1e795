//! `dspyx export`: a live Python program as a program file. The work is done by Python, which has
//! the program; its source is in this binary, so that nothing has to be installed beside `dspy`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::process::Command;
use workers::Interpreter;

use crate::config::{self, Usage};

/// The exit code of the exporter for a command line that is wrong.
const USAGE: i32 = 2;

/// The exporter's files, as they lie in the package `dspyx`.
const SOURCE: [(&str, &str); 17] = [
    ("__init__.py", include_str!("../../python/dspyx/__init__.py")),
    ("reward.py", include_str!("../../python/dspyx/reward.py")),
    ("export/__init__.py", include_str!("../../python/dspyx/export/__init__.py")),
    ("export/__main__.py", include_str!("../../python/dspyx/export/__main__.py")),
    ("export/adapter.py", include_str!("../../python/dspyx/export/adapter.py")),
    ("export/annotation.py", include_str!("../../python/dspyx/export/annotation.py")),
    ("export/find.py", include_str!("../../python/dspyx/export/find.py")),
    ("export/lm.py", include_str!("../../python/dspyx/export/lm.py")),
    ("export/refusal.py", include_str!("../../python/dspyx/export/refusal.py")),
    ("export/rehearse.py", include_str!("../../python/dspyx/export/rehearse.py")),
    ("export/report.py", include_str!("../../python/dspyx/export/report.py")),
    ("export/reward.py", include_str!("../../python/dspyx/export/reward.py")),
    ("export/sample.py", include_str!("../../python/dspyx/export/sample.py")),
    ("export/signature.py", include_str!("../../python/dspyx/export/signature.py")),
    ("export/value.py", include_str!("../../python/dspyx/export/value.py")),
    ("export/walk.py", include_str!("../../python/dspyx/export/walk.py")),
    ("export/yaml.py", include_str!("../../python/dspyx/export/yaml.py")),
];

pub(crate) const HELP: &str = "\
Targets:
  module:Class            a class that is made without arguments
  module:object           a program that a module holds
  path/file.py:object     the same, by the file
  FOLDER                  of module.save(FOLDER, save_program=True); needs --allow-pickle
  mlflow:models:/NAME/1   of MLflow's registry; needs mlflow and --allow-pickle

Examples:
  dspyx export qa:program -o programs/qa.yaml
  dspyx export notebook/agent.py:Agent --check     says whether it can be, and why not
  dspyx export models/qa --allow-pickle --python .venv/bin/python

The program is run in Python and natively with the same inputs and replies. It is exported only if
both ask the model the same, byte for byte.";

/// Of `export`.
#[derive(Args)]
pub(crate) struct Export {
    /// What to export
    target: String,
    /// Where to write the program file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only says whether it can be exported
    #[arg(long, conflicts_with = "output")]
    check: bool,
    /// The program's id [default: the target's name]
    #[arg(long, value_name = "ID")]
    name: Option<String>,
    /// The program's version
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    program_version: String,
    /// What the program does, for people
    #[arg(long)]
    description: Option<String>,
    /// Where the tools of an agent are: a file with `tools:` as in a program file
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,
    /// Inputs to compare with, instead of made-up ones
    #[arg(long, value_name = "JSON|@FILE")]
    inputs: Option<String>,
    /// Loads a pickle, which runs whatever its maker put into it
    #[arg(long)]
    allow_pickle: bool,
    /// The Python that has the program and dspy [default: .venv here, VIRTUAL_ENV, DSPYX_PYTHON,
    /// python3]
    #[arg(long, value_name = "PATH")]
    python: Option<String>,
}

pub(super) async fn run(arguments: &Export) -> Result<()> {
    let (named, here) = (arguments.python.as_deref(), Path::new("."));
    let python = Interpreter::find(named, Some(here), &config::places());
    let python = python.map_err(|error| Usage(error.to_string()))?;
    let source = tempfile::tempdir().context("cannot make a folder for the exporter")?;
    write(&source.path().join("dspyx"))?;
    let status = command(arguments, &python.path, source.path())?.status().await;
    let status = status.with_context(|| format!("cannot run {}", python.path.display()))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(USAGE) => Err(Usage("nothing was exported".to_owned()).into()),
        Some(_) | None => bail!("nothing was exported"),
    }
}

fn command(arguments: &Export, python: &Path, source: &Path) -> Result<Command> {
    let this = std::env::current_exe().context("cannot find this program itself")?;
    let mut command = Command::new(python);
    command.args(["-m", "dspyx.export", &arguments.target]).arg("--binary").arg(this);
    command.arg("--version").arg(&arguments.program_version);
    let texts = [
        ("--name", &arguments.name),
        ("--description", &arguments.description),
        ("--inputs", &arguments.inputs),
    ];
    for (flag, text) in texts {
        command.args(text.iter().flat_map(|it| [flag, it]));
    }
    for (flag, path) in [("--output", &arguments.output), ("--tools", &arguments.tools)] {
        command.args(path.iter().flat_map(|it| [Path::new(flag), it]));
    }
    for (flag, is_on) in [("--check", arguments.check), ("--allow-pickle", arguments.allow_pickle)]
    {
        command.args(is_on.then_some(flag));
    }
    // Before what is installed, so that it fits this binary.
    command.env("PYTHONPATH", config::python_path(source)).kill_on_drop(true);
    Ok(command)
}

fn write(folder: &Path) -> Result<()> {
    for (name, text) in SOURCE {
        let path = folder.join(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = made.and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_exporter_is_in_the_binary() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/python/dspyx/export"));
        let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        let mut files: Vec<PathBuf> =
            files.filter(|it| it.extension().is_some_and(|it| it == "py")).collect();
        files.sort();

        let names = files.iter().map(|it| it.file_name().unwrap().to_str().unwrap());
        let ours = SOURCE.iter().filter_map(|(name, _)| name.strip_prefix("export/"));
        assert!(names.eq(ours), "{files:?}");
    }
}
