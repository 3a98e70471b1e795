//! The fields of an execution on a terminal, while the model writes them. They are progress, and go
//! to standard error: the result is the record, which comes at the end.

use std::{collections::HashSet, time::Duration};

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::time::timeout;

use super::{execute::follow, view};
use crate::{
    client::{Client, escape},
    events::{Event, Events},
    output::{self, BOLD, DIM, paint},
};

/// How often in turn the connection may be lost before anything was heard.
const LOST_MAX: usize = 10;

/// Shows the fields as they grow, and gives the record when the execution has ended, or after the
/// longest wait.
pub(super) async fn watch(client: &Client, id: &str, most: Option<Duration>) -> Result<Value> {
    let watching = until_ended(client, id);
    match most {
        None => watching.await,
        Some(most) => match timeout(most, watching).await {
            Ok(record) => record,
            Err(_) => follow(client, id, Some(Duration::ZERO)).await,
        },
    }
}

async fn until_ended(client: &Client, id: &str) -> Result<Value> {
    let path = format!("/execution/{}", escape(id));
    let (mut screen, mut last, mut lost) = (Screen::default(), String::new(), 0);
    while lost < LOST_MAX {
        let (mut answer, mut events) =
            (client.follow_patiently(&path, &last).await?, Events::default());
        lost += 1;
        // What was cut off is asked for again.
        while let Ok(Some(bytes)) = answer.chunk().await {
            events.push(&bytes)?;
            while let Some(event) = events.next()? {
                lost = 0;
                if event.name == "status" && view::is_ended(&event.data) {
                    screen.end();
                    return Ok(event.data);
                }
                output::progress(&screen.tell(&event));
                if !event.id.is_empty() {
                    last = event.id;
                }
            }
        }
    }
    bail!("the connection was lost again and again; `dspyx status {id} --watch` goes on waiting")
}

/// What is on the screen.
#[derive(Default)]
struct Screen {
    /// The call and the field that the last line belongs to.
    line: Option<(u64, String)>,
    /// Those that have grown.
    grown: HashSet<(u64, String)>,
}

impl Screen {
    /// What is to be written for an event.
    fn tell(&mut self, event: &Event) -> String {
        let data = &event.data;
        let (predictor, call) = (view::text(data, "predictor"), data["call"].as_u64());
        let call = call.unwrap_or_default();
        match event.name.as_str() {
            "field" => {
                let key = (call, view::text(data, "field").to_owned());
                let head = self.head(predictor, &key);
                self.grown.insert(key);
                head + view::text(data, "delta")
            }
            "outputs" => {
                let outputs = data["outputs"].as_object().into_iter().flatten();
                let keyed = outputs.map(|(name, value)| ((call, name.clone()), value));
                let other: Vec<_> = keyed.filter(|(key, _)| !self.grown.contains(key)).collect();
                let told = other
                    .into_iter()
                    .map(|(key, value)| self.head(predictor, &key) + &output::plain(value));
                told.collect()
            }
            "restart" => {
                self.grown.retain(|(it, _)| !data["call"].is_null() && *it != call);
                let void = paint(DIM, "(that is void: it is asked again)");
                format!("{}{void}\n", if self.line.take().is_some() { "\n" } else { "" })
            }
            _ => String::new(),
        }
    }

    /// The name of a field, if it is not its line already.
    fn head(&mut self, predictor: &str, key: &(u64, String)) -> String {
        if self.line.as_ref() == Some(key) {
            return String::new();
        }
        let before = if self.line.replace(key.clone()).is_some() { "\n" } else { "" };
        let of = if predictor == "self" { String::new() } else { format!("{predictor}.") };
        format!("{before}{} ", paint(BOLD, format!("{of}{}:", key.1)))
    }

    fn end(&mut self) {
        if self.line.take().is_some() {
            output::progress("\n\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_grow_on_lines_of_their_own() {
        let field = |call: u64, delta: &str| {
            let (predictor, field) = ("draft.predict", "body");
            ("field", json!({"predictor": predictor, "call": call, "field": field, "delta": delta}))
        };
        let outputs = json!({"body": "Hi you", "score": 7});
        let all = [
            ("status", json!({"status": "running"})),
            field(1, "Hi"),
            field(1, " you"),
            ("outputs", json!({"predictor": "draft.predict", "call": 1, "outputs": outputs})),
            field(2, "He"),
            ("restart", json!({"predictor": "draft.predict", "call": 2})),
            ("outputs", json!({"predictor": "self", "call": 3, "outputs": {"ok": true}})),
        ];
        let mut screen = Screen::default();

        let told: String = all
            .into_iter()
            .map(|(name, data)| Event { name: name.to_owned(), id: String::new(), data })
            .map(|it| screen.tell(&it))
            .collect();

        let seen = anstream::adapter::strip_str(&told).to_string();
        let void = "(that is void: it is asked again)";
        let lines = [
            "draft.predict.body: Hi you",
            "draft.predict.score: 7",
            "draft.predict.body: He",
            void,
            "ok: true",
        ];
        assert_eq!(seen, lines.join("\n"));
    }
}
