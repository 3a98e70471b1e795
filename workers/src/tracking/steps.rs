//! The steps of an execution as spans are made of them: those that were kept for this, or those of
//! its debug trace.

use std::collections::HashMap;

use queue::{Execution, Queue, TextId};
use serde::Deserialize;
use serde_json::Value;

/// What stands for a text that is kept no longer.
const LOST: &str = "(this text is kept no longer)";

/// A step; of which kind it is, its fields tell. The short names are those of [`super::kept`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Step {
    #[serde(alias = "k")]
    pub(super) kind: String,
    #[serde(alias = "p")]
    pub(super) predictor: String,
    #[serde(alias = "a")]
    pub(super) adapter: String,
    #[serde(alias = "q")]
    pub(super) request: Request,
    #[serde(alias = "r")]
    pub(super) reply: Option<Reply>,
    #[serde(alias = "o")]
    pub(super) outputs: Option<Value>,
    #[serde(alias = "e")]
    pub(super) error: Option<String>,
    pub(super) render_at_ms: f64,
    pub(super) render_ms: f64,
    pub(super) lm_at_ms: f64,
    pub(super) lm_ms: f64,
    pub(super) parse_at_ms: f64,
    pub(super) parse_ms: f64,
    #[serde(alias = "n")]
    pub(super) name: String,
    #[serde(alias = "g")]
    pub(super) args: Value,
    #[serde(alias = "v")]
    pub(super) result: Option<Value>,
    pub(super) at_ms: f64,
    pub(super) ms: f64,
    /// Of a kept step: when its parts began and how long they took.
    #[serde(rename = "t")]
    micros: Vec<u64>,
    /// Of a kept step: whether its outputs are the execution's.
    #[serde(rename = "s")]
    is_result: bool,
}

/// What a model was asked.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    #[serde(alias = "m")]
    pub(super) messages: Value,
    #[serde(alias = "s")]
    pub(super) settings: queue::Fields,
}

/// What a model said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Reply {
    pub(super) text: Value,
}

impl Step {
    fn began_ms(&self) -> f64 {
        if self.kind == "tool" { self.at_ms } else { self.render_at_ms }
    }

    /// Has what a kept step says in short be as a debug trace says it.
    fn unfold(&mut self, result: Option<&queue::Fields>) {
        if std::mem::take(&mut self.is_result) {
            self.outputs = result.cloned().map(Value::Object);
        }
        let ms = |micros: u64| micros as f64 / 1000.0;
        match *std::mem::take(&mut self.micros) {
            [at, took] => (self.at_ms, self.ms) = (ms(at), ms(took)),
            [render_at, render, lm_at, lm, parse_at, parse] => {
                (self.render_at_ms, self.render_ms) = (ms(render_at), ms(render));
                (self.lm_at_ms, self.lm_ms) = (ms(lm_at), ms(lm));
                (self.parse_at_ms, self.parse_ms) = (ms(parse_at), ms(parse));
            }
            // A debug trace, which says it already.
            _ => {}
        }
    }

    /// The contents of its messages.
    fn contents(&mut self) -> impl Iterator<Item = &mut Value> {
        let messages = self.request.messages.as_array_mut().into_iter().flatten();
        messages.filter_map(|it| it.get_mut("content"))
    }
}

/// The steps of an execution, by when they began.
pub(super) async fn of(execution: &Execution, queue: &dyn Queue) -> queue::Result<Vec<Step>> {
    let mut steps = read(execution);
    let named: Vec<_> =
        steps.iter_mut().flat_map(Step::contents).filter_map(|it| Some(named(it)?.1)).collect();
    if named.is_empty() {
        return Ok(steps);
    }
    let texts = queue.texts(&named).await?;
    let texts: HashMap<_, _> = named.into_iter().zip(texts).collect();
    for content in steps.iter_mut().flat_map(Step::contents) {
        if let Some((before, name)) = self::named(content) {
            let text = texts.get(&name).and_then(Option::as_deref).unwrap_or(LOST);
            *content = format!("{before}{text}").into();
        }
    }
    Ok(steps)
}

fn read(execution: &Execution) -> Vec<Step> {
    // The steps of an equal execution were not this one's.
    let Some(report) = execution.report.as_ref().filter(|_| !execution.cache_hit) else {
        return Vec::new();
    };
    let mut steps: Vec<Step> = match (&report.trace, &report.debug_trace) {
        (Some(kept), _) => kept.read().unwrap_or_default(),
        (None, Some(trace)) => {
            let steps = trace["steps"].as_array().into_iter().flatten();
            steps.filter_map(|it| Step::deserialize(it).ok()).collect()
        }
        (None, None) => Vec::new(),
    };
    for step in &mut steps {
        step.unfold(report.outputs.as_ref());
    }
    // They are in the order in which they ended.
    steps.sort_by(|one, other| one.began_ms().total_cmp(&other.began_ms()));
    steps
}

/// What stands for a text: what of it comes before, and the name of the rest.
fn named(content: &Value) -> Option<(&str, TextId)> {
    let (before, name) = match content.as_array() {
        Some(parts) => (parts.first()?.as_str()?, parts.get(1)?),
        None => ("", content),
    };
    Some((before, TextId::deserialize(name.as_object()?.get("text")?).ok()?))
}

#[cfg(test)]
mod tests;
