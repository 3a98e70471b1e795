//! `dspyx programs`: what can be run.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use programs::{Program, Registry};
use serde_json::{Value, json};

use super::{render, view};
use crate::{
    cli::Programs,
    client::{Client, escape},
    config::{Config, Usage},
    output::{self, BAD, BOLD, DIM, GOOD, paint},
};

/// How much of a description a table shows.
const SHOWN_CHARS: usize = 60;

pub(super) async fn run(config: &Config, command: Programs, json: bool) -> Result<()> {
    match command {
        Programs::Check { paths } if paths.is_empty() => {
            check(std::slice::from_ref(&config.programs_dir), json)
        }
        Programs::Check { paths } => check(&paths, json),
        Programs::Render(arguments) => render::run(&arguments, json).await,
        Programs::List => list(&Client::of(config)?, json).await,
        Programs::Show { id } => show(&Client::of(config)?, &id, json).await,
        Programs::Add { file, id } => add(&Client::of(config)?, &file, id, json).await,
        Programs::Rm { id } => {
            let path = format!("/programs/{}", escape(&id));
            let answer = Client::of(config)?.delete(&path).await?;
            if json { output::value(&answer) } else { output::line(format!("removed {id}")) }
        }
    }
}

async fn list(client: &Client, json: bool) -> Result<()> {
    let answer = client.get("/programs").await?;
    if json {
        return output::value(&answer);
    }
    let programs = answer.get("programs").unwrap_or(&answer).as_array();
    let row = |it: &Value| {
        [
            view::text(it, "program_id").to_owned(),
            view::text(it, "version").to_owned(),
            view::text(it, "runtime").to_owned(),
            view::number(it, "/workers").to_string(),
            output::short(view::text(it, "description"), SHOWN_CHARS),
        ]
    };
    let rows: Vec<_> = programs.into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        output::note("no programs: put files into PROGRAMS_DIR, or `dspyx programs add FILE`");
        return Ok(());
    }
    output::line(output::table(["PROGRAM", "VERSION", "RUNTIME", "WORKERS", "DOES"], &rows))
}

async fn show(client: &Client, id: &str, json: bool) -> Result<()> {
    let program = client.get(&format!("/programs/{}", escape(id))).await?;
    if json {
        return output::value(&program);
    }
    let text = |key: &str| view::text(&program, key);
    let name = format!("{}@{}", text("program_id"), text("version"));
    let how = [text("runtime"), text("module")].join(" ");
    output::line(format!("{}  {}", paint(BOLD, name), paint(DIM, how.trim())))?;
    if !text("description").is_empty() {
        output::line(format!("  {}", text("description")))?;
    }
    for (title, key) in [("inputs", "input_schema"), ("outputs", "output_schema")] {
        output::line(format!("\n{}", paint(BOLD, title)))?;
        output::line(output::table(["NAME", "TYPE", "NOTES"], &rows(&program, key)))?;
    }
    for (title, key) in [("tools", "tools"), ("or ask for", "choices")] {
        let names = program.get(key).and_then(Value::as_array).into_iter().flatten();
        let names: Vec<_> = names.filter_map(Value::as_str).collect();
        if !names.is_empty() {
            output::line(format!("\n{}  {}", paint(BOLD, title), names.join(", ")))?;
        }
    }
    let words: Vec<_> = rows(&program, "input_schema")
        .into_iter()
        .filter(|[_, _, notes]| notes.contains("required"))
        .map(|[name, kind, _]| format!("{name}{}=…", if kind == "string" { "" } else { ":" }))
        .collect();
    output::line(paint(DIM, format!("\ndspyx execute {} {}", text("program_id"), words.join(" "))))
}

/// The fields of a JSON Schema.
fn rows(program: &Value, schema: &str) -> Vec<[String; 3]> {
    let schema = program.get(schema).unwrap_or(&Value::Null);
    let required = schema.get("required").and_then(Value::as_array);
    let row = |(name, field): (&String, &Value)| {
        let must = required.is_some_and(|it| it.contains(&json!(name)));
        let notes = [
            if must { "required" } else { "" }.to_owned(),
            field.get("default").map_or_else(String::new, |it| format!("default {it}")),
            view::text(field, "description").to_owned(),
        ];
        let notes: Vec<String> = notes.into_iter().filter(|it| !it.is_empty()).collect();
        [name.clone(), kind(field), notes.join("; ")]
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(row).collect()
}

/// The type of a field in a word or some.
fn kind(field: &Value) -> String {
    if let Some(values) = field.get("enum").and_then(Value::as_array) {
        return values.iter().map(output::plain).collect::<Vec<_>>().join(" | ");
    }
    if let Some(choices) = field.get("anyOf").and_then(Value::as_array) {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" | ");
    }
    if let Some(own) = field.get("$ref").and_then(Value::as_str) {
        return own.rsplit('/').next().unwrap_or(own).to_owned();
    }
    let name = view::text(field, "type");
    match field.get("items") {
        Some(items) if name == "array" => format!("list of {}", kind(items)),
        Some(_) | None if name.is_empty() => "any".to_owned(),
        Some(_) | None => name.to_owned(),
    }
}

/// Reads program files as a server would, and says what is wrong with them.
fn check(paths: &[PathBuf], json: bool) -> Result<()> {
    let (mut good, mut problems) = (Vec::<Arc<Program>>::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            let registry = Registry::load(path);
            good.extend(registry.list());
            problems.extend(registry.problems());
            continue;
        }
        if !path.exists() {
            bail!(Usage(format!("there is no {}", path.display())));
        }
        match Registry::read(path) {
            Ok(programs) => good.extend(programs),
            Err(problem) => problems.push(problem),
        }
    }
    let ids = good.iter().map(|it| it.pinned());
    if json {
        let (ids, manifests) = (ids.collect::<Vec<_>>(), good.iter().map(|it| it.manifest()));
        let manifests = manifests.collect::<Vec<_>>();
        output::value(&json!({"programs": ids, "manifests": manifests, "problems": problems}))?;
    } else {
        let mut ids = ids;
        ids.try_for_each(|it| output::line(format!("{} {it}", paint(GOOD, "ok"))))?;
        let bad = |it| output::line(format!("{} {it}", paint(BAD, "wrong")));
        problems.iter().try_for_each(bad)?;
    }
    match problems.len() {
        0 if good.is_empty() => bail!("there are no programs in {}", paths[0].display()),
        0 => Ok(()),
        1 => bail!("one program cannot be loaded"),
        many => bail!("{many} programs cannot be loaded"),
    }
}

async fn add(client: &Client, file: &Path, id: Option<String>, json: bool) -> Result<()> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| Usage(format!("cannot read {}", file.display())))?;
    let program = Registry::parse(&text, &file.display().to_string())?;
    let id = id.unwrap_or_else(|| program.id.clone());
    let is_json = file.extension().is_some_and(|it| it == "json");
    let kind = if is_json { "application/json" } else { "application/yaml" };
    let answer = client.put_text(&format!("/programs/{}", escape(&id)), text, kind).await?;
    if json {
        return output::value(&answer);
    }
    output::line(format!("{} is registered; `dspyx programs show {id}` shows it", program.pinned()))
}
