//! `dspyx batch run`: from a file of inputs to a file of outputs. Stopped in any way, the same
//! command goes on where it was.

mod download;
mod journal;
mod place;
mod progress;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use self::{
    download::Outcomes,
    journal::{Begun, Ground, Inputs, Journal, Notes},
    place::Place,
    table::Table,
};
use super::{
    arguments::Run,
    ended,
    input::{self, Columns},
    options, upload,
};
use crate::{
    client::{Client, Failure, escape},
    commands::view,
    config::{Config, Usage},
    output,
    signal::Stop,
};

/// How much of an error is shown at the end.
const EXAMPLE_CHARS: usize = 100;

pub(super) async fn run(config: Config, arguments: &Run, json: bool) -> Result<()> {
    let form = Form::of(&arguments.output)?;
    input::check(&arguments.inputs)?;
    let journal = Journal::open(&arguments.output, notes(arguments)?, arguments.restart)?;
    let stop = Stop::new();
    let mut listener = JoinSet::new();
    listener.spawn(stop.clone().on_signals());
    let slots = arguments.concurrency.map_or(config.worker.slots, |it| it as usize);
    let begun = journal.notes.begun.as_ref().map(|it| &it.ground);
    let place = Place::find(config, begun, slots, &stop).await?;
    let (client, ground) = (place.client.clone(), place.ground.clone());
    let mut job = Job { client, ground, arguments, form, journal };
    let done = stop.stop.run_until_cancelled(job.go()).await;
    stop.stop.cancel();
    place.close().await?;
    let Some(record) = done else {
        job.say_stopped();
        bail!("stopped before the end");
    };
    job.conclude(&record?, json)
}

fn notes(arguments: &Run) -> Result<Notes> {
    let mut options = options(&arguments.how, &arguments.via)?;
    if let Some(concurrency) = arguments.concurrency {
        options.insert("concurrency".to_owned(), json!(concurrency));
    }
    if let Some(most) = arguments.max_errors {
        options.insert("max_errors".to_owned(), json!(most));
    }
    Ok(Notes {
        program: arguments.program.clone(),
        options,
        inputs: Inputs::of(&arguments.inputs)?,
        key: uuid::Uuid::new_v4().to_string(),
        begun: None,
        ended: false,
    })
}

/// What the outputs become.
#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// An outcome a line, written as they come.
    Lines,
    /// A table, made at the end of the lines that are kept in this file until then.
    Table(Table, PathBuf),
}

impl Form {
    fn of(outputs: &Path) -> Result<Self> {
        let beside = || {
            let mut name = outputs.as_os_str().to_owned();
            name.push(".part");
            PathBuf::from(name)
        };
        match outputs.extension().and_then(|it| it.to_str()) {
            Some("jsonl" | "ndjson") => Ok(Self::Lines),
            Some("csv") => Ok(Self::Table(Table::Csv, beside())),
            Some("parquet") => Ok(Self::Table(Table::Parquet, beside())),
            _ => Err(Usage(format!(
                "{} is none of the files that can be written: .jsonl, .ndjson, .csv, .parquet",
                outputs.display()
            ))
            .into()),
        }
    }
}

/// A run that is going on.
struct Job<'a> {
    client: Client,
    ground: Ground,
    arguments: &'a Run,
    form: Form,
    journal: Journal,
}

impl Job<'_> {
    /// Where the lines are written.
    fn lines(&self) -> &Path {
        match &self.form {
            Form::Lines => &self.arguments.output,
            Form::Table(_, beside) => beside,
        }
    }

    /// Does what is left to do, and gives the batch as it is then.
    async fn go(&mut self) -> Result<Value> {
        let program = format!("/programs/{}", escape(&self.arguments.program));
        let columns = Columns::of(&self.client.get_patiently(&program).await?);
        let lines = input::open(&self.arguments.inputs, columns)?;
        let begun = self.journal.notes.begun.clone();
        if begun.is_none() {
            self.journal.save()?;
        }
        let mut outcomes = Outcomes::open(self.lines())?;
        let batch = match begun {
            Some(begun) => begun.batch,
            None => self.begin(&mut outcomes).await?,
        };
        let path = format!("/batch/{}", escape(&batch));
        if self.journal.notes.ended {
            self.again(&path, &mut outcomes).await?;
        }
        let (total, known) = watch::channel(None);
        let (client, written) = (&self.client, outcomes.lines.subscribe());
        let both = async {
            let sent = async {
                let count = upload::upload(client, &batch, lines).await?;
                total.send_replace(Some(count));
                Ok(())
            };
            tokio::try_join!(sent, outcomes.fill(client, &batch, &known))
        };
        tokio::select! {
            done = both => drop(done.map_err(explain)?),
            () = progress::show(client, &batch, written) => {}
        };
        if let Form::Table(table, lines) = &self.form {
            table::write(*table, lines, &self.arguments.output)?;
        }
        self.journal.notes.ended = true;
        self.journal.save()?;
        self.client.get_patiently(&format!("{path}/summary")).await
    }

    /// Opens a batch under the noted key, and notes it before anything is sent.
    async fn begin(&mut self, outcomes: &mut Outcomes) -> Result<String> {
        outcomes.clear()?;
        let Notes { program, options, key, .. } = &self.journal.notes;
        let batch = upload::open(&self.client, program, options, Some(key)).await?;
        let ground = self.ground.clone();
        self.journal.notes.begun = Some(Begun { batch: batch.clone(), ground });
        self.journal.save()?;
        Ok(batch)
    }

    /// Runs again what did not succeed in a run that had ended.
    async fn again(&mut self, path: &str, outcomes: &mut Outcomes) -> Result<()> {
        let answer = self.client.post_patiently(&format!("{path}/retry"), &json!({})).await?;
        let retried = view::number(&answer, "/retried");
        output::note(format!("{retried} items that did not succeed run again"));
        // First: a run that goes on believes the outcomes that it finds.
        outcomes.clear()?;
        self.journal.notes.ended = false;
        self.journal.save()
    }

    /// Tells how it ended. A run that left nothing to do again is forgotten.
    fn conclude(self, record: &Value, json: bool) -> Result<()> {
        view::batch(record, json)?;
        let (total, succeeded) =
            (view::number(record, "/total"), view::number(record, "/counts/succeeded"));
        let notes = progress::notes(record);
        let outputs = self.arguments.output.display().to_string();
        if !json {
            let notes = if notes.is_empty() { notes } else { format!(" ({notes})") };
            output::note(format!("{} outcomes in {outputs}{notes}", ended(record)));
        }
        for error in record.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let (kind, count) = (view::text(error, "error_kind"), view::number(error, "/count"));
            let example = output::short(view::text(error, "example"), EXAMPLE_CHARS);
            output::note(format!("  {count} × {kind}: {example}"));
        }
        if record.get("partial").and_then(Value::as_bool) == Some(true) {
            output::note("  and more that are not counted here: the outcomes tell of each");
        }
        if let Form::Table(_, lines) = &self.form {
            std::fs::remove_file(lines)?;
        }
        if succeeded < total {
            bail!(
                "{} of {total} items did not succeed: their `error` says why, and the same command \
                 runs them again",
                total - succeeded
            );
        }
        self.journal.remove()
    }

    fn say_stopped(&self) {
        output::note("stopped: the same command goes on where it was");
        let begun = self.journal.notes.begun.as_ref();
        if let Some(begun) = begun.filter(|it| it.ground != Ground::Here) {
            output::note(format!(
                "the batch goes on by itself; `dspyx batch cancel {}` calls it off",
                begun.batch
            ));
        }
    }
}

/// What to do about a batch that the server does not know any more.
fn explain(error: anyhow::Error) -> anyhow::Error {
    if !Failure::is_missing(&error) {
        return error;
    }
    let words = "the batch of this run is gone: --restart begins anew";
    error.context(Usage(words.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_what_their_name_says() {
        assert_eq!(Form::of(Path::new("a.jsonl")).unwrap(), Form::Lines);
        let table = Form::Table(Table::Csv, PathBuf::from("a.csv.part"));
        assert_eq!(Form::of(Path::new("a.csv")).unwrap(), table);
        assert!(Form::of(Path::new("a.xml")).unwrap_err().is::<Usage>());
    }
}
