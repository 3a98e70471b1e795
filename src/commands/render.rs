//! `dspyx programs render`: what a model will see of a program.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use programs::Registry;
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
    /// What the model replies, as a JSON list of texts; without it only the first request is made
    #[arg(long, value_name = "JSON|@FILE", default_value = "[]")]
    replies: String,
}

pub(super) async fn run(arguments: &Render, json: bool) -> Result<()> {
    let program = program(&arguments.file)?;
    let inputs = match &arguments.inputs {
        Some(source) => execute::object(source)?,
        None => execute::fields(&arguments.fields)?,
    };
    let replies = replies(&arguments.replies)?;
    let rehearsal = workers::rehearse(&program, &inputs, replies).await;
    let rehearsal = rehearsal.map_err(|problem| anyhow!("{problem}"))?;
    if json {
        let Rehearsal { requests, outputs, error } = rehearsal;
        return output::value(&json!({"requests": requests, "outputs": outputs, "error": error}));
    }
    show(&rehearsal)
}

fn program(file: &Path) -> Result<programs::Program> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| Usage(format!("cannot read {}", file.display())))?;
    Ok(Registry::parse(&text, &file.display().to_string())?)
}

fn replies(source: &str) -> Result<Vec<String>> {
    let text = match source.strip_prefix('@') {
        Some(path) => execute::read(path)?,
        None => source.to_owned(),
    };
    let form = |error| Usage(format!("--replies is no JSON list of texts: {error}"));
    Ok(serde_json::from_str(&text).map_err(form)?)
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
