//! Opens a batch and sends its inputs part by part: what has arrived is not sent again.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::{super::view, input::Lines};
use crate::{
    client::{Client, escape},
    output,
};

/// The most items of a part: a whole number of the queue's chunks.
const PART_ITEMS: usize = 4096;
/// The most bytes of a part, unless one item alone has more: an API takes 16 MB by default.
const PART_BYTES: usize = 4 * 1024 * 1024;
/// How many parts are read ahead.
const AHEAD: usize = 2;

/// A number of lines, with the index of the first.
struct Part {
    first: u64,
    items: usize,
    lines: Vec<u8>,
}

/// Opens a batch, or finds the one that was opened under the same key.
pub(super) async fn open(
    client: &Client,
    program: &str,
    options: &Map<String, Value>,
    key: Option<&str>,
) -> Result<String> {
    let path = format!("/batch?{}", query(program, options));
    let opened = client.post_named(&path, &Value::Null, key).await?;
    Ok(view::text(&opened, "batch_id").to_owned())
}

/// The options of a batch as a query.
fn query(program: &str, options: &Map<String, Value>) -> String {
    let option =
        |(name, value): (&String, &Value)| format!("&{name}={}", escape(&output::plain(value)));
    let options: String = options.iter().map(option).collect();
    format!("program_id={}{options}", escape(program))
}

/// Sends all that has not arrived, seals the batch, and tells how many items it has.
pub(super) async fn upload(client: &Client, batch: &str, lines: Lines) -> Result<u64> {
    let path = format!("/batch/{}", escape(batch));
    let mut view = client.get_patiently(&path).await?;
    if view::text(&view, "status") != "uploading" {
        return Ok(view::number(&view, "/total"));
    }
    let received = view::number(&view, "/total");
    let (to, mut parts) = mpsc::channel(AHEAD);
    // A file is read, and a table decoded, on a thread of its own.
    let reader = tokio::task::spawn_blocking(move || read(lines, received, &to));
    while let Some(Part { first, items, lines }) = parts.recv().await {
        let put = client.put_part(&format!("{path}/items?first={first}"), lines).await;
        let answer = put.with_context(|| {
            format!("items {first} to {} could not be sent", first + items as u64 - 1)
        })?;
        let there = view::number(&answer, "/received");
        if there < first + items as u64 {
            bail!("the server has {there} items after {} were sent", first + items as u64);
        }
    }
    let total = reader.await.context("reading the inputs panicked")??;
    view = client.post_patiently(&format!("{path}/seal"), &json!({"total": total})).await?;
    let sealed = view.get("total").and_then(Value::as_u64);
    Ok(sealed.unwrap_or(total))
}

/// Reads the lines from an index on into parts, and tells how many lines there are in all.
fn read(lines: Lines, received: u64, to: &mpsc::Sender<Part>) -> Result<u64> {
    let mut total = 0;
    let empty = |first| Part { first, items: 0, lines: Vec::new() };
    let mut part = empty(received);
    for line in lines {
        let line = line?;
        total += 1;
        if total <= received {
            continue;
        }
        let is_full = part.lines.len() + line.len() > PART_BYTES || part.items == PART_ITEMS;
        if is_full && part.items > 0 {
            // Nobody listens any more: the upload has failed, and says so itself.
            let Ok(()) = to.blocking_send(std::mem::replace(&mut part, empty(total - 1))) else {
                return Ok(total);
            };
        }
        part.lines.extend_from_slice(&line);
        part.lines.push(b'\n');
        part.items += 1;
    }
    if part.items > 0 {
        let _gone = to.blocking_send(part);
    }
    Ok(total.max(received))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_a_query() {
        let options = json!({"mode": "normal", "lm": {"model": "a/b"}, "timeout": 1.5});
        let query = query("qa@1", options.as_object().unwrap());
        assert_eq!(
            query,
            "program_id=qa@1&mode=normal&lm=%7B%22model%22%3A%22a%2Fb%22%7D&timeout=1.5"
        );
    }

    fn parts(lines: usize, received: u64) -> Vec<(u64, usize)> {
        let lines: Lines = Box::new((0..lines).map(|n| Ok(n.to_string().into_bytes())));
        let (to, mut parts) = mpsc::channel(100);
        read(lines, received, &to).unwrap();
        let mut all = Vec::new();
        while let Ok(part) = parts.try_recv() {
            let text = String::from_utf8(part.lines).unwrap();
            assert!(text.starts_with(&format!("{}\n", part.first)), "{text}");
            all.push((part.first, part.items));
        }
        all
    }

    #[test]
    fn parts_stay_small_whatever_their_lines() {
        let sizes = [PART_BYTES / 2, PART_BYTES / 2 + 1, 1, 2 * PART_BYTES, 1];
        let lines: Lines = Box::new(sizes.into_iter().map(|size| Ok(vec![b'1'; size])));
        let (to, mut parts) = mpsc::channel(100);

        read(lines, 0, &to).unwrap();

        let mut all = Vec::new();
        while let Ok(part) = parts.try_recv() {
            assert!(part.items == 1 || part.lines.len() <= PART_BYTES + part.items);
            all.push((part.first, part.items));
        }
        assert_eq!(all, [(0, 1), (1, 2), (3, 1), (4, 1)]);
    }

    #[test]
    fn what_has_arrived_is_not_sent_again() {
        assert_eq!(parts(5000, 0), [(0, 4096), (4096, 904)]);
        assert_eq!(parts(5000, 4096), [(4096, 904)]);
        assert_eq!(parts(5000, 5000), []);
    }
}
