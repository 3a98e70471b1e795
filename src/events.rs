//! Server-sent events of an answer, read as they come.

use anyhow::{Context, Result, ensure};
use reqwest::Response;
use serde_json::Value;

/// The longest event: the record of an execution with all that it may hold.
const EVENT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// One event.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// Its name.
    pub(crate) name: String,
    /// By what it is known when the connection is made anew; empty if it has none.
    pub(crate) id: String,
    /// What it says.
    pub(crate) data: Value,
}

/// An answer of events.
pub(crate) struct Events {
    response: Response,
    lines: Lines,
}

/// What has come and was not read yet.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Up to where no event ends.
    searched: usize,
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        Self { response, lines: Lines::default() }
    }

    /// The next event; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(text) = self.lines.take() {
                match read(&text)? {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.context("the answer was cut off")?;
            let Some(chunk) = chunk else { return Ok(None) };
            let size = self.lines.bytes.len() + chunk.len();
            ensure!(size <= EVENT_BYTES_MAX, "an event of the answer is too long");
            self.lines.bytes.extend_from_slice(&chunk);
        }
    }
}

impl Lines {
    /// The lines of the next event, if they are all there: an empty one ends it.
    fn take(&mut self) -> Option<String> {
        let at = self.bytes[self.searched..].windows(2).position(|it| it == b"\n\n");
        let Some(at) = at else {
            self.searched = self.bytes.len().saturating_sub(1);
            return None;
        };
        let end = self.searched + at;
        let text = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
        self.bytes.drain(..end + 2);
        self.searched = 0;
        Some(text)
    }
}

/// Reads the lines of an event; none if they hold no data, as comments that keep a connection open.
fn read(text: &str) -> Result<Option<Event>> {
    let (mut name, mut id, mut data) = (String::new(), String::new(), String::new());
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "id" => value.clone_into(&mut id),
            "data" => data += value,
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    let data = serde_json::from_str(&data).context("an event of the answer is not JSON")?;
    Ok(Some(Event { name, id, data }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_from_any_pieces() {
        let text = "event: field\nid: 7-0\ndata: {\"delta\":\"é\"}\n\n: still here\n\ndata:{}\n\n";
        let mut lines = Lines::default();
        let mut events = Vec::new();
        for byte in text.bytes() {
            lines.bytes.push(byte);
            events.extend(lines.take().and_then(|it| read(&it).unwrap()));
        }

        let event = |name: &str, id: &str, data| Event { name: name.into(), id: id.into(), data };
        assert_eq!(
            events,
            [event("field", "7-0", json!({"delta": "é"})), event("", "", json!({}))]
        );
        assert!(lines.bytes.is_empty());
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        assert!(read("data: <html>").is_err());
    }
}
