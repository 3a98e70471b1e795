//! What programs tell while they run: every golden case, with its replies cut in every way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

#[expect(dead_code, reason = "other tests use the rest of what is shared")]
mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use dspy::{
    Capabilities, Fields, Growth, Listener, Lm, LmError, LmReply, LmRequest, Progress, Run, Told,
    Trace,
};
use serde_json::Value;
use support::{
    folder,
    program::{self, Letters, RecordedTools},
    replay::Replay,
    settings::{fields, settings},
};

/// How a reply comes to who listens.
#[derive(Clone, Copy, Debug)]
enum Pieces {
    /// At once, in the end.
    Whole,
    /// So many characters at a time.
    Each(usize),
    /// In two, cut behind so many characters.
    Two(usize),
}

/// Recorded replies that come in pieces.
struct Aloud {
    replay: Replay,
    pieces: Pieces,
}

#[async_trait]
impl Lm for Aloud {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        self.replay.complete(request).await
    }

    async fn complete_aloud(
        &self,
        request: &LmRequest,
        listener: &Listener<'_>,
    ) -> Result<LmReply, LmError> {
        listener.hear(Growth::Begin);
        let reply = self.complete(request).await?;
        let text: Vec<char> = reply.text.iter().flat_map(|it| it.chars()).collect();
        let pieces: Vec<&[char]> = match self.pieces {
            Pieces::Whole => Vec::new(),
            Pieces::Each(size) => text.chunks(size).collect(),
            Pieces::Two(at) => <[_; 2]>::from(text.split_at(at.min(text.len()))).to_vec(),
        };
        for piece in pieces {
            listener.hear(Growth::Text(&piece.iter().collect::<String>()));
        }
        if let Some(reasoning) = &reply.reasoning {
            listener.hear(Growth::Reasoning(reasoning));
        }
        Ok(reply)
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        self.replay.capabilities(model)
    }
}

/// What was told of each call: the texts since its last restart, and its outputs.
#[derive(Default)]
struct Call {
    texts: BTreeMap<String, String>,
    outputs: Option<Fields>,
}

type Calls = BTreeMap<u64, Call>;

fn note(calls: &mut Calls, told: Told) {
    match told {
        Told::Field { call, field, offset, delta, .. } => {
            let text = calls.entry(call).or_default().texts.entry(field).or_default();
            assert_eq!(text.chars().count(), offset);
            assert!(!delta.is_empty());
            text.push_str(&delta);
        }
        Told::Restart { call, .. } => *calls.entry(call).or_default() = Call::default(),
        Told::Outputs { call, outputs, .. } => {
            calls.entry(call).or_default().outputs = Some(outputs);
        }
    }
}

/// Runs a case aloud, and gives the texts that were told, and what the run came to.
async fn aloud(case: &Value, parameters: &Value, pieces: Pieces) -> (Calls, String) {
    let module = program::module(case, parameters).unwrap();
    let mut inputs = fields(&case["inputs"]);
    inputs.extend(fields(&parameters["inputs"]));
    let overrides = settings(&case["call_kwargs"]["config"]);
    let lm = Aloud { replay: Replay::new(case), pieces };
    let tools = RecordedTools::new(case, parameters);
    let trace = Trace::off();
    let calls = Arc::new(Mutex::new(Calls::new()));
    let progress = Progress::new({
        let calls = Arc::clone(&calls);
        move |told| note(&mut calls.lock().unwrap(), told)
    });
    let run = Run { tools: &tools, embedder: &Letters, ..Run::new(&lm, &overrides, &trace) };
    let run = Run { progress: Some(&progress), ..run };
    let result = match module.run(&inputs, run).await {
        Ok(prediction) => Value::Object(prediction.outputs).to_string(),
        Err(error) => error.to_string(),
    };
    (std::mem::take(&mut *calls.lock().unwrap()), result)
}

/// Every text that was told of a call that was read is a text of its outputs.
fn check(id: &str, calls: &Calls) -> usize {
    let mut checked = 0;
    for call in calls.values() {
        let Some(outputs) = &call.outputs else {
            assert!(call.texts.is_empty(), "{id}: {:?} is neither read nor void", call.texts);
            continue;
        };
        for (field, text) in &call.texts {
            assert_eq!(outputs[field], **text, "{id}: {field}");
            checked += 1;
        }
    }
    checked
}

#[tokio::test]
async fn texts_that_are_told_are_those_of_the_record() {
    let all: Value =
        serde_json::from_str(&std::fs::read_to_string(folder().join("parameters.json")).unwrap())
            .unwrap();
    let unsupported = std::fs::read_to_string(folder().join("unsupported.txt")).unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(folder().join("cases")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let case: Value = serde_json::from_str(&text).unwrap();
        let id = case["id"].as_str().unwrap();
        if unsupported.lines().any(|it| it.starts_with(&format!("{id}: "))) {
            continue;
        }
        let (whole, result) = aloud(&case, &all[id], Pieces::Whole).await;
        checked += check(id, &whole);
        let longest = case["replies"].as_array().unwrap().iter().map(|it| it.to_string().len());
        let longest = longest.max().unwrap_or(0).min(200);
        let ways = (1..10).map(Pieces::Each).chain((1..longest).step_by(7).map(Pieces::Two));
        for pieces in ways {
            let (calls, same) = aloud(&case, &all[id], pieces).await;
            check(id, &calls);
            assert_eq!(same, result, "{id} aloud");
        }
    }

    assert!(checked > 100, "only {checked} texts were told");
}
