//! A rehearsal: a program run against replies that are written down, to see what it asks.
//!
//! What a model will see is not rebuilt here: it is what the program itself sends.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use dspy::{
    Capabilities, Lm, LmError, LmReply, LmRequest, LmSettings, Run, Tool, ToolError, Tools, Trace,
};
use programs::{Program, Runtime};
use queue::Fields;
use serde_json::Value;

use crate::{gateway, outcome::Error};

/// The most requests that are kept; a program that asks again and again ends here.
const REQUESTS_MAX: usize = 1_000;

/// What a program asked, and what it made of the replies.
#[derive(Debug)]
pub struct Rehearsal {
    /// The requests, in their order.
    pub requests: Vec<LmRequest>,
    /// The outputs; nothing if the replies ended before the program did.
    pub outputs: Option<Fields>,
    /// Why there are no outputs, if it is not for want of replies.
    pub error: Option<String>,
}

/// Runs a native program with these replies, each the text of one, in the order of the requests.
/// Nothing is asked of anybody: an agent is told of these tools, and calls none but its own.
pub async fn rehearse(
    program: &Program,
    inputs: &Fields,
    replies: Vec<String>,
    tools: Vec<Tool>,
) -> Result<Rehearsal, String> {
    let Runtime::Native(module) = &program.runtime else {
        return Err(format!("{} is run by the python runtime, which renders it", program.pinned()));
    };
    program.check(inputs).map_err(|it| Error::from(dspy::Error::from(it)).to_string())?;
    let lm = Script(Mutex::new(Played { replies: replies.into(), ..Played::default() }));
    let (overrides, trace) = (LmSettings::default(), Trace::off());
    let tools = Props(tools);
    let run = Run { tools: &tools, ..Run::new(&lm, &overrides, &trace) };
    let result = module.run(inputs, run).await;
    let Played { requests, wants_more, .. } =
        lm.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (outputs, error) = match result {
        Ok(prediction) => (Some(prediction.outputs), None),
        Err(_) if wants_more => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Rehearsal { requests, outputs, error })
}

/// A model that says what is written down.
struct Script(Mutex<Played>);

#[derive(Default)]
struct Played {
    replies: VecDeque<String>,
    requests: Vec<LmRequest>,
    /// Whether it was asked when no reply was left.
    wants_more: bool,
}

#[async_trait]
impl Lm for Script {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let mut played = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if played.requests.len() < REQUESTS_MAX {
            played.requests.push(request.clone());
        }
        let Some(text) = played.replies.pop_front() else {
            played.wants_more = true;
            return Err(LmError::Unsupported("no reply is left".to_owned()));
        };
        let model = request.settings.model.clone().unwrap_or_default();
        Ok(LmReply { text: Some(text), model, ..LmReply::default() })
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        // Nothing is known of a model that the program does not name.
        if model.is_empty() { Capabilities::default() } else { gateway::capabilities(model) }
    }
}

/// Tools that can be described, and not called.
struct Props(Vec<Tool>);

#[async_trait]
impl Tools for Props {
    async fn list(&self, _sources: &[String]) -> Result<Vec<Tool>, ToolError> {
        Ok(self.0.clone())
    }

    async fn call(
        &self,
        _sources: &[String],
        name: &str,
        _args: &Fields,
    ) -> Result<Value, ToolError> {
        Err(ToolError(format!("the tool `{name}` is not called in a rehearsal")))
    }
}

#[cfg(test)]
mod tests {
    use programs::Registry;
    use serde_json::json;

    use super::*;

    async fn ask(replies: &[&str]) -> Rehearsal {
        let text = "name: qa\nsignatures: {main: {inputs: [question], outputs: {n: int}}}";
        let program = Registry::parse(text, "qa.yaml").unwrap();
        let mut inputs = Fields::new();
        inputs.insert("question".to_owned(), json!("How many?"));
        let replies = replies.iter().map(|&it| it.to_owned()).collect();
        rehearse(&program, &inputs, replies, Vec::new()).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_request_is_shown_without_any_reply() {
        let rehearsal = ask(&[]).await;

        assert_eq!(rehearsal.requests.len(), 1);
        assert_eq!((rehearsal.outputs, rehearsal.error), (None, None));
    }

    #[tokio::test]
    async fn a_reply_leads_to_outputs_or_to_the_next_request() {
        let good = ask(&["[[ ## n ## ]]\n7"]).await;
        let bad = ask(&["seven"]).await;

        assert_eq!(good.outputs.unwrap()["n"], 7);
        // The chat adapter asks again for JSON.
        assert_eq!((bad.requests.len(), bad.outputs), (2, None));
    }

    #[tokio::test]
    async fn replies_that_cannot_be_read_are_an_error() {
        let bad = ask(&["seven", "eight"]).await;

        assert!(bad.error.unwrap().contains("JSONAdapter failed to parse"));
    }
}
