//! `dspyx batch`: one program, many inputs.

pub(crate) mod arguments;
mod input;
mod run;
mod upload;

use std::{
    fs,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use self::{
    arguments::{Batch, Via},
    input::Columns,
};
use super::{execute, view};
use crate::{
    cli::How,
    client::{Client, escape},
    config::Config,
    output,
};

/// How often a followed batch is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The longest line that is believed to be one, of inputs or of results.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How much of a result a line for people shows.
const SHOWN_CHARS: usize = 80;

pub(super) async fn run(config: Config, command: Batch, json: bool) -> Result<()> {
    if let Batch::Run(arguments) = &command {
        return Box::pin(run::run(config, arguments, json)).await;
    }
    steer(&Client::of(&config)?, command, json).await
}

/// What is done with a batch of a server.
async fn steer(client: &Client, command: Batch, json: bool) -> Result<()> {
    match command {
        Batch::Run(_) => Ok(()),
        Batch::Submit { program, file, how, via, watch } => {
            input::check(&file)?;
            let options = options(&how, &via)?;
            let columns =
                Columns::of(&client.get(&format!("/programs/{}", escape(&program))).await?);
            let lines = input::open(&file, columns)?;
            let key = how.idempotency_key.as_deref();
            let id = upload::open(client, &program, &options, key).await?;
            upload::upload(client, &id, lines).await?;
            if watch {
                return follow(client, &id, json).await;
            }
            view::batch(&read(client, &id).await?, json)?;
            if !json {
                output::note(format!("follow it with: dspyx batch status {id} --watch"));
            }
            Ok(())
        }
        Batch::Status { id, watch: true } => follow(client, &id, json).await,
        Batch::Status { id, watch: false } => view::batch(&read(client, &id).await?, json),
        Batch::Results { id, status, output } => {
            results(client, &id, status.as_deref(), output.as_deref(), json).await
        }
        Batch::Cancel { id } => view::batch(&act(client, &id, "cancel").await?, json),
        Batch::Retry { id } => view::batch(&act(client, &id, "retry").await?, json),
    }
}

/// The options of a batch.
fn options(how: &How, via: &Via) -> Result<Map<String, Value>> {
    let mut options = execute::options(how)?;
    if let Some(via) = &via.via {
        options.insert("via".to_owned(), json!(via));
    }
    Ok(options)
}

async fn read(client: &Client, id: &str) -> Result<Value> {
    client.get(&format!("/batch/{}", escape(id))).await
}

/// Does something to a batch, and reads how it stands then.
async fn act(client: &Client, id: &str, what: &str) -> Result<Value> {
    client.post(&format!("/batch/{}/{what}", escape(id)), &json!({})).await?;
    read(client, id).await
}

/// Shows a bar until the batch has ended; fails if not all of it succeeded.
pub(super) async fn follow(client: &Client, id: &str, json: bool) -> Result<()> {
    let record = to_its_end(client, id).await?;
    view::batch(&record, json)?;
    let total = view::number(&record, "/total");
    let succeeded = view::number(&record, "/counts/succeeded");
    if succeeded < total {
        let not = total - succeeded;
        bail!("{not} of {total} items did not succeed; `dspyx batch retry {id}` runs them again");
    }
    Ok(())
}

/// The record of a batch when it has ended, with a bar until then.
pub(super) async fn to_its_end(client: &Client, id: &str) -> Result<Value> {
    let path = format!("/batch/{}", escape(id));
    let mut record = client.get_patiently(&path).await?;
    let bar = output::bar(view::number(&record, "/total"), "items");
    while !view::is_ended(&record) {
        bar.set_position(ended(&record));
        tokio::time::sleep(LOOK).await;
        record = client.get_patiently(&path).await?;
    }
    bar.set_position(ended(&record));
    bar.finish();
    Ok(record)
}

fn ended(record: &Value) -> u64 {
    let states = ["succeeded", "failed", "cancelled", "expired"];
    states.iter().map(|state| view::number(record, &format!("/counts/{state}"))).sum()
}

/// Writes results as they come: JSON lines for machines and files, else a line for each.
async fn results(
    client: &Client,
    id: &str,
    status: Option<&str>,
    file: Option<&Path>,
    json: bool,
) -> Result<()> {
    let filter = status.map_or_else(String::new, |it| format!("?status={it}"));
    let mut response = client.stream(&format!("/batch/{}/results{filter}", escape(id))).await?;
    let mut sink: Box<dyn Write + Send> = match file {
        Some(path) => {
            let made = fs::File::create(path);
            Box::new(io::BufWriter::new(
                made.with_context(|| format!("cannot write {}", path.display()))?,
            ))
        }
        None => Box::new(anstream::stdout()),
    };
    let raw = json || file.is_some();
    let mut pending = Vec::new();
    while let Some(piece) = response.chunk().await.context("the results were cut off")? {
        pending.extend_from_slice(&piece);
        while let Some(end) = pending.iter().position(|it| *it == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            write(&mut sink, &line, raw)?;
        }
        if pending.len() > LINE_BYTES_MAX {
            bail!("a result is longer than {LINE_BYTES_MAX} bytes; read it by its own id");
        }
    }
    write(&mut sink, &pending, raw)?;
    Ok(sink.flush()?)
}

fn write(sink: &mut dyn Write, line: &[u8], raw: bool) -> Result<()> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    if raw {
        return Ok(sink.write_all(line).and_then(|()| sink.write_all(b"\n"))?);
    }
    let record: Value = serde_json::from_slice(line).context("a result is not JSON")?;
    Ok(writeln!(sink, "{}", brief(&record))?)
}

/// A result in a line.
pub(super) fn brief(record: &Value) -> String {
    let said = match record.get("outputs").filter(|it| !it.is_null()) {
        Some(outputs) => outputs.to_string(),
        None => record.get("error").map(output::plain).unwrap_or_default(),
    };
    let id = view::text(record, "execution_id");
    let state = output::state(view::text(record, "status"));
    format!("{id}  {state}  {}", output::short(&said, SHOWN_CHARS))
}
