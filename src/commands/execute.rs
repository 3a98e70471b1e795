//! `dspyx execute`: one program, once.

use std::{
    fs,
    io::Read,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::{growth, view};
use crate::{
    cli::{Execute, How},
    client::{Client, WAIT_SECONDS_MAX, escape},
    config::Usage,
    output, values,
};

pub(super) async fn run(client: &Client, arguments: &Execute, json: bool) -> Result<()> {
    let inputs = match &arguments.inputs {
        Some(source) => object(source)?,
        None => fields(&arguments.fields)?,
    };
    let mut body = options(&arguments.how)?;
    body.insert("program_id".to_owned(), json!(arguments.program));
    body.insert("inputs".to_owned(), Value::Object(inputs));
    if let Some(delay) = &arguments.delay {
        let delay = values::duration(delay).map_err(|it| Usage(format!("--delay {it}")))?;
        body.insert("delay".to_owned(), seconds(delay));
    }
    if arguments.stream {
        body.insert("stream".to_owned(), json!(true));
    }
    let key = arguments.how.idempotency_key.as_deref();
    let accepted = client.post_named("/execute", &Value::Object(body), key).await?;
    if arguments.no_wait {
        return view::accepted(&accepted, json);
    }
    let id = view::text(&accepted, "execution_id").to_owned();
    let record = if arguments.stream {
        growth::watch(client, &id, arguments.wait).await?
    } else {
        follow(client, &id, arguments.wait).await?
    };
    view::execution(&record, json)?;
    judge(&record)
}

/// The record when the execution has ended, or after the longest wait.
pub(super) async fn follow(client: &Client, id: &str, most: Option<Duration>) -> Result<Value> {
    let began = Instant::now();
    let spinner = output::spinner(format!("execution {id}"));
    loop {
        let left = most.map_or(Duration::MAX, |most| most.saturating_sub(began.elapsed()));
        let wait = left.as_secs().min(WAIT_SECONDS_MAX);
        let record =
            client.get_patiently(&format!("/execution/{}?wait={wait}", escape(id))).await?;
        if view::is_ended(&record) || wait < WAIT_SECONDS_MAX {
            spinner.finish_and_clear();
            return Ok(record);
        }
        spinner.set_message(format!("execution {id} is {}", view::text(&record, "status")));
    }
}

/// Fails if the execution did.
pub(super) fn judge(record: &Value) -> Result<()> {
    match view::text(record, "status") {
        "succeeded" => Ok(()),
        state @ ("failed" | "cancelled" | "expired") => bail!("the execution {state}"),
        state => bail!("still {state}; `dspyx status ID --watch` goes on waiting"),
    }
}

/// How to run, as the API has it.
pub(super) fn options(how: &How) -> Result<Map<String, Value>> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    set("mode", json!(how.mode));
    if let Some(text) = &how.timeout {
        let timeout = values::positive(text).map_err(|it| Usage(format!("--timeout {it}")))?;
        set("timeout", seconds(timeout));
    }
    if let Some(retries) = how.max_retries {
        set("max_retries", json!(retries));
    }
    if let Some(dollars) = how.budget {
        set("budget", json!(dollars));
    }
    if let Some(priority) = &how.priority {
        set("priority", json!(priority));
    }
    if how.no_cache {
        set("cache", json!(false));
    }
    if let Some(model) = &how.model {
        set("lm", json!({"model": model}));
    }
    Ok(body)
}

/// Seconds as a number, whole if they are.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        json!(duration.as_secs())
    } else {
        json!(duration.as_secs_f64())
    }
}

/// An object written out, in a file (`@FILE`), or on standard input (`-`).
pub(super) fn object(source: &str) -> Result<Map<String, Value>> {
    let text = match (source, source.strip_prefix('@')) {
        ("-", _) => standard_input()?,
        (_, Some(path)) => read(path)?,
        (written, None) => written.to_owned(),
    };
    let value = serde_json::from_str(&text);
    let value: Value = value.map_err(|error| Usage(format!("--inputs is not JSON: {error}")))?;
    let Value::Object(fields) = value else {
        let form = "--inputs must be a JSON object: {\"name\": value, …}";
        return Err(Usage(form.to_owned()).into());
    };
    Ok(fields)
}

/// Inputs as `name=text`, `name:=JSON` and `name=@FILE`.
pub(super) fn fields(words: &[String]) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    for word in words {
        let (name, value) = field(word)?;
        if fields.insert(name.clone(), value).is_some() {
            return Err(Usage(format!("the input `{name}` is given twice")).into());
        }
    }
    Ok(fields)
}

fn field(word: &str) -> Result<(String, Value)> {
    let form = || Usage(format!("`{word}` is no input: write name=text, name:=JSON or name=@FILE"));
    let (name, text) = word.split_once('=').ok_or_else(form)?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => {
            let value = serde_json::from_str(text);
            let why = |error| Usage(format!("the input `{name}` is not JSON: {error}"));
            (name, value.map_err(why)?)
        }
        None => match text.strip_prefix('@') {
            Some(path) => (name, Value::String(read(path)?)),
            None => (name, Value::String(text.to_owned())),
        },
    };
    if name.is_empty() {
        return Err(form().into());
    }
    Ok((name.to_owned(), value))
}

/// The text of a file that the command line names.
pub(super) fn read(path: &str) -> Result<String> {
    let text = fs::read_to_string(path);
    text.with_context(|| Usage(format!("cannot read {path}")))
}

/// All of standard input.
pub(super) fn standard_input() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_texts_or_json_or_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "long").unwrap();
        let at = format!("c=@{}", file.path().display());

        let words = ["a=1=2".to_owned(), "b:=[1, 2]".to_owned(), at];
        let found = Value::Object(fields(&words).unwrap());

        assert_eq!(found, json!({"a": "1=2", "b": [1, 2], "c": "long"}));
    }

    #[test]
    fn wrong_inputs_are_usage_errors() {
        for words in [&["a"][..], &["=1"], &[":=1"], &["a:=["], &["a=1", "a=2"], &["a=@/no/file"]] {
            let words: Vec<String> = words.iter().map(|&it| it.to_owned()).collect();
            assert!(fields(&words).unwrap_err().is::<Usage>(), "{words:?}");
        }
        assert!(object("[1]").unwrap_err().is::<Usage>());
    }
}
