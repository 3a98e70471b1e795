//! `dspyx programs render`: what a model will see of a program.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use programs::{Program, Registry};
use serde_json::{Map, Value, json};
use workers::Rehearsal;

use super::execute;
use crate::{
    config::Usage,
    output::{self, BAD, BOLD, DIM, paint},
};

/// Of `programs render`.
#[derive(Args)]
pub(crate) struct Render {
    /// The file
    file: PathBuf,
    /// Inputs: name=text, name:=JSON or name=@FILE
    #[arg(value_name = "NAME=VALUE")]
    fields: Vec<String>,
    /// All inputs as a JSON object, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", conflicts_with = "fields")]
    inputs: Option<String>,
    /// Which of its signatures, where a request can choose
    #[arg(long, value_name = "NAME")]
    signature: Option<String>,
    /// What the model replies, as a JSON list of texts; without it only the first request is made
    #[arg(long, value_name = "JSON|@FILE", default_value = "[]")]
    replies: String,
    /// The tools that an agent is told of, as a JSON list of {name, desc, args}; none is called
    #[arg(long, value_name = "JSON|@FILE", default_value = "[]")]
    tools: String,
}

pub(super) async fn run(arguments: &Render, json: bool) -> Result<()> {
    let program = program(&arguments.file, arguments.signature.as_deref())?;
    let inputs = match &arguments.inputs {
        Some(source) => execute::object(source)?,
        None => execute::fields(&arguments.fields)?,
    };
    let form = |flag| move |error| Usage(format!("{flag} is not the list it must be: {error}"));
    let replies = serde_json::from_str(&text(&arguments.replies)?).map_err(form("--replies"))?;
    let tools = serde_json::from_str(&text(&arguments.tools)?).map_err(form("--tools"))?;
    let rehearsal = workers::rehearse(&program, &inputs, replies, tools).await;
    let rehearsal = rehearsal.map_err(|problem| anyhow!("{problem}"))?;
    if json {
        let Rehearsal { requests, outputs, error } = rehearsal;
        return output::value(&json!({"requests": requests, "outputs": outputs, "error": error}));
    }
    show(&rehearsal)
}

/// The program of a file, or the one that runs a signature of it.
fn program(file: &Path, signature: Option<&str>) -> Result<Arc<Program>> {
    fs::metadata(file).with_context(|| Usage(format!("cannot read {}", file.display())))?;
    let programs = Registry::read(file)?;
    let names: Vec<&str> = programs.iter().filter_map(|it| it.entry()).collect();
    let found = match signature {
        Some(name) => programs.iter().find(|it| it.entry() == Some(name)),
        None => programs.first().filter(|_| programs.len() == 1),
    };
    let choose = || Usage(format!("say which signature, as `--signature {}`", names.join(" or ")));
    found.cloned().with_context(choose)
}

/// A text that is written out, or in a file (`@FILE`).
fn text(source: &str) -> Result<String> {
    source.strip_prefix('@').map_or_else(|| Ok(source.to_owned()), execute::read)
}

fn show(rehearsal: &Rehearsal) -> Result<()> {
    for (i, request) in rehearsal.requests.iter().enumerate() {
        let settings = serde_json::to_value(&request.settings)?;
        let head = format!("request {}", i + 1);
        output::line(format!("{} {}", paint(BOLD, head), paint(DIM, settings)))?;
        for message in &request.messages {
            let message = serde_json::to_value(message)?;
            let role = message["role"].as_str().unwrap_or_default();
            output::line(format!("\n{}", paint(DIM, role)))?;
            output::line(output::plain(&message["content"]))?;
        }
        output::line("")?;
    }
    if let Some(outputs) = &rehearsal.outputs {
        output::line(paint(BOLD, "outputs"))?;
        output::value(&Value::Object(Map::clone(outputs)))?;
    }
    match &rehearsal.error {
        Some(error) => output::line(format!("{} {error}", paint(BAD, "error"))),
        None => Ok(()),
    }
}
