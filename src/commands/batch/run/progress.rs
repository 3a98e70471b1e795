//! What is seen of a run while it runs.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Instant, interval},
};

use super::super::{super::view, ended};
use crate::{
    client::{Client, escape},
    output,
};

/// How often a terminal is told.
const LOOK: Duration = Duration::from_millis(500);
/// How often a log is told.
const LINE: Duration = Duration::from_secs(30);

/// Shows how far a batch is, until it is dropped: as a bar, or a line now and then where nobody
/// looks at a terminal.
pub(super) async fn show(client: &Client, batch: &str, lines: watch::Receiver<u64>) {
    let path = format!("/batch/{}", escape(batch));
    let bar = output::bar(0, "items");
    let terminal = io::stderr().is_terminal();
    let (mut ticks, mut told, mut began) = (interval(LOOK), Instant::now(), None);
    loop {
        ticks.tick().await;
        // The run itself tells of a server that is gone.
        let Ok(view) = client.get(&path).await else { continue };
        let ended = ended(&view);
        let (since, before) = *began.get_or_insert((Instant::now(), ended));
        bar.set_length(view::number(&view, "/total"));
        bar.set_position(ended);
        bar.set_prefix(notes(&view));
        if !terminal && told.elapsed() >= LINE {
            told = Instant::now();
            let rate = (ended - before.min(ended)) as f64 / since.elapsed().as_secs_f64();
            let total = view::number(&view, "/total");
            let written = *lines.borrow();
            let notes = notes(&view);
            output::note(format!(
                "{ended} of {total} items ended, {written} written, {rate:.0}/s  {notes}"
            ));
        }
    }
}

/// What a run has cost, and how much of it failed.
pub(super) fn notes(view: &Value) -> String {
    let mut notes = at_provider(view).into_iter().collect::<Vec<_>>();
    let failed = ended(view) - view::number(view, "/counts/succeeded");
    if failed > 0 {
        notes.push(format!("{failed} without success"));
    }
    let tokens = view::number(view, "/usage/total_tokens");
    if tokens > 0 {
        notes.push(format!("{} tokens", output::rounded(tokens)));
    }
    let cost = view.pointer("/usage/cost").and_then(Value::as_f64).unwrap_or_default();
    if cost > 0.0 {
        notes.push(format!("${cost:.4}"));
    }
    notes.join(", ")
}

/// How far its model's provider is with a batch that waits for it.
fn at_provider(view: &Value) -> Option<String> {
    let batches = view.pointer("/provider/batches")?.as_array()?;
    if view::text(view, "status") != "paused" {
        return None;
    }
    let sum = |name: &str| batches.iter().map(|it| view::number(it, name)).sum::<u64>();
    let mut stands: Vec<_> = batches.iter().map(|it| view::text(it, "status")).collect();
    stands.dedup();
    let (done, total) = (sum("/completed") + sum("/failed"), sum("/total"));
    Some(format!("at the provider: {}, {done} of {total}", stands.join(" and ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn notes_tell_failures_tokens_and_dollars() {
        let view = json!({"counts": {"succeeded": 5, "failed": 2, "expired": 1},
            "usage": {"total_tokens": 1_234_567, "cost": 0.25}});
        assert_eq!(notes(&view), "3 without success, 1.2M tokens, $0.2500");
        assert_eq!(notes(&json!({"counts": {"succeeded": 5}})), "");
    }

    #[test]
    fn notes_tell_how_far_the_provider_is() {
        let batch = |status: &str| json!({"status": status, "total": 9, "completed": 3});
        let batches = [batch("in_progress"), batch("in_progress"), batch("validating")];
        let view = json!({"status": "paused", "provider": {"batches": batches}});
        assert_eq!(notes(&view), "at the provider: in_progress and validating, 9 of 27");
    }
}
