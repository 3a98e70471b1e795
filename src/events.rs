//! Server-sent events of an answer, read as they come.

use anyhow::{Context, Result, ensure};
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

/// What has come of an answer and was not read yet.
#[derive(Default)]
pub(crate) struct Events {
    bytes: Vec<u8>,
    /// Up to where no event ends.
    searched: usize,
}

impl Events {
    /// Takes what has come.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let size = self.bytes.len() + bytes.len();
        ensure!(size <= EVENT_BYTES_MAX, "an event of the answer is too long");
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next event, if all of it has come.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        while let Some(text) = self.take() {
            if let Some(event) = read(&text)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

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
        let mut events = Events::default();
        let mut seen = Vec::new();
        for byte in text.bytes() {
            events.push(&[byte]).unwrap();
            seen.extend(events.next().unwrap());
        }

        let event = |name: &str, id: &str, data| Event { name: name.into(), id: id.into(), data };
        assert_eq!(seen, [event("field", "7-0", json!({"delta": "é"})), event("", "", json!({}))]);
        assert!(events.bytes.is_empty());
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        assert!(read("data: <html>").is_err());
    }
}
