//! One run of a program in a seat: hands it over, serves its calls of models, takes what it gives.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use async_trait::async_trait;
use dspy::{
    Asker, Fields, InputError, Listener, Lm, LmError, LmReply, LmRequest, LmSettings, LmStep,
    Message, ParseError, Progress, Step, ToolStep, Trace, Usage,
};
use futures::{StreamExt, stream::FuturesUnordered};
use queue::{Class, ExecutionId};
use serde_json::{Map, Value};
use tracing::info;

use super::{
    completion::Body,
    fault::Fault,
    protocol::{
        Asking, EmbedAsk, FromChild, LmAsk, LmFailure, Raised, RaisedKind, Span, ToChild, ToolSpan,
    },
    seat::Seat,
};
use crate::outcome::Error;

/// The most lines of a run's own output that a debug trace keeps.
const LINES_KEPT: usize = 200;

/// The most calls whose replies are waited for to be read, to tell of them; of others only the
/// texts are told.
const LISTENERS_MAX: usize = 1000;

/// What is to be run, and with what.
pub(crate) struct Job<'a> {
    /// The execution.
    pub(crate) id: ExecutionId,
    /// How urgent it is.
    pub(crate) class: Class,
    /// What it runs on.
    pub(crate) inputs: &'a Fields,
    /// Settings of this execution, over those of the program.
    pub(crate) settings: &'a Map<String, Value>,
    /// The model that is asked when a program calls one.
    pub(crate) lms: &'a (dyn Lms + 'a),
    /// Where the steps are kept, if it is on.
    pub(crate) trace: &'a Trace,
    /// Where it tells what it does, if anybody wants to know.
    pub(crate) progress: Option<&'a Progress>,
}

/// Which model is asked.
#[async_trait]
pub(crate) trait Lms: Sync {
    /// The one that answers for a model of this name.
    fn of(&self, model: &str) -> &dyn Lm;

    /// The reply that says the vectors which a request of the OpenAI protocol asks for.
    async fn embed(&self, model: &str, request: &Map<String, Value>) -> Result<LmReply, LmError>;
}

/// What a program gave.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    /// Its outputs.
    pub(crate) outputs: Fields,
    /// All completions, where there are several.
    pub(crate) completions: Vec<Fields>,
    /// Tokens of the models that it asked by itself.
    pub(crate) usage: Vec<(String, Usage)>,
    /// What it printed, in debug mode.
    pub(crate) lines: Vec<String>,
}

/// A call of a model that has ended.
struct Answered {
    call: u64,
    request: LmRequest,
    reply: Result<LmReply, LmError>,
    began: Instant,
    lm_ms: f64,
}

/// Runs a job in a seat. Dropping it stops the run.
pub(super) async fn run(mut seat: Seat, job: &Job<'_>) -> Result<Returned, Error> {
    let debug = job.trace.is_on();
    let stream = job.progress.is_some();
    let (run, lm) = (seat.run, job.settings);
    let execute = ToChild::Execute { run, inputs: job.inputs, lm, debug, stream };
    seat.begin(&execute).await?;
    let link = Arc::clone(&seat.link);
    let mut calls = FuturesUnordered::new();
    let mut embeddings = FuturesUnordered::new();
    let mut answered = HashMap::new();
    let mut listeners = HashMap::new();
    let mut lines = Vec::new();
    loop {
        tokio::select! {
            message = seat.hear() => match message? {
                FromChild::LmRequest(mut ask) => {
                    let listener = listener(job.progress, ask.asked.take());
                    if let Some(listener) = &listener && listeners.len() < LISTENERS_MAX {
                        listeners.insert(ask.call, Arc::clone(listener));
                    }
                    calls.push(answer(&link, *ask, job.lms, listener));
                }
                FromChild::EmbedRequest(ask) => embeddings.push(embed(&link, *ask, job.lms)),
                FromChild::Span(span) => {
                    tell(listeners.remove(&span.call), &span);
                    trace(job.trace, *span, &mut answered);
                }
                FromChild::ToolSpan(span) => job.trace.push(|| tool_step(*span, job.trace)),
                FromChild::Log { stream, line, .. } => {
                    info!(target: "dspyx::program", id = %job.id, stream, "{line}");
                    if debug && lines.len() < LINES_KEPT {
                        lines.push(line);
                    }
                }
                FromChild::Result { outputs, completions, usage, .. } => {
                    return Ok(Returned { outputs, completions, usage: usages(usage), lines });
                }
                FromChild::Error(raised) => return Err(error(&raised)),
                FromChild::Cancelled { .. } => {
                    let text = "the program was told to stop".to_owned();
                    return Err(Fault::Bystander(text).into());
                }
                FromChild::Ready { .. }
                | FromChild::Begun { .. }
                | FromChild::InitFailed(_)
                | FromChild::Alone { .. }
                | FromChild::Pong { .. } => {}
            },
            Some(()) = embeddings.next() => {}
            Some(call) = calls.next() => {
                let call: Answered = call;
                if debug {
                    answered.insert(call.call, call);
                }
            }
        }
    }
}

/// Who listens to a call of a predictor's, if anybody wants to know.
fn listener(progress: Option<&Progress>, asking: Option<Asking>) -> Option<Arc<Listener<'_>>> {
    let (progress, Asking { predictor, adapter, texts }) = progress.zip(asking)?;
    let asked = Asker { predictor, adapter, texts, reasoning: None };
    Some(Arc::new(Listener::new(progress, asked)))
}

/// Tells what the predictor has made of the reply.
fn tell(listener: Option<Arc<Listener<'_>>>, span: &Span) {
    match (listener, &span.outputs) {
        (Some(listener), Some(outputs)) => listener.read(outputs),
        (Some(listener), None) => listener.fail(),
        (None, _) => {}
    }
}

/// Asks the model, and gives the answer to the child.
async fn answer(
    link: &super::link::Link,
    ask: LmAsk,
    lms: &dyn Lms,
    listener: Option<Arc<Listener<'_>>>,
) -> Answered {
    let (call, began) = (ask.call, Instant::now());
    let request = request(ask);
    let reply = match &request {
        Ok(request) => {
            let model = request.settings.model.as_deref().unwrap_or_default();
            match listener {
                Some(listener) => lms.of(model).complete_aloud(request, &listener).await,
                None => lms.of(model).complete(request).await,
            }
        }
        Err(error) => Err(LmError::BadRequest(error.clone())),
    };
    let lm_ms = began.elapsed().as_secs_f64() * 1000.0;
    hand_over(link, call, reply.as_ref().map(Body::of)).await;
    let request = request.unwrap_or_else(|_| LmRequest {
        messages: Vec::new(),
        settings: LmSettings::default(),
        response_format: None,
    });
    Answered { call, request, reply, began, lm_ms }
}

/// Asks a model of embeddings, and gives the answer to the child.
async fn embed(link: &super::link::Link, ask: EmbedAsk, lms: &dyn Lms) {
    let reply = lms.embed(&ask.model, &ask.body).await;
    match reply.as_ref().map(Body::of_vectors) {
        Ok(Ok(body)) => hand_over(link, ask.call, Ok(body)).await,
        Ok(Err(error)) => hand_over(link, ask.call, Err(&error)).await,
        Err(error) => hand_over(link, ask.call, Err(error)).await,
    }
}

/// Gives the child what a call came to.
async fn hand_over(link: &super::link::Link, call: u64, body: Result<Body<'_>, &LmError>) {
    let told = match body {
        Ok(body) => link.tell(&ToChild::LmResponse { call, body }).await,
        Err(error) => link.tell(&ToChild::LmError(failure(call, error))).await,
    };
    if let Err(error) = told {
        let error = LmError::InvalidResponse(format!("the model's reply is too long: {error}"));
        // An error is short.
        drop(link.tell(&ToChild::LmError(failure(call, &error))).await);
    }
}

/// The request that a body of the OpenAI protocol means.
fn request(ask: LmAsk) -> Result<LmRequest, String> {
    let LmAsk { model, rollout_id, mut body, .. } = ask;
    let messages = body.shift_remove("messages").unwrap_or_default();
    let messages: Vec<Message> = serde_json::from_value(messages)
        .map_err(|error| format!("the messages cannot be read: {error}"))?;
    body.shift_remove("model");
    let mut take = |names: &[&str]| names.iter().find_map(|it| body.shift_remove(*it));
    let settings = LmSettings {
        model: Some(model),
        temperature: take(&["temperature"]).and_then(|it| it.as_f64()),
        max_tokens: take(&["max_tokens", "max_completion_tokens"]).and_then(|it| it.as_u64()),
        top_p: take(&["top_p"]).and_then(|it| it.as_f64()),
        stop: take(&["stop"]).and_then(stops),
        seed: take(&["seed"]).and_then(|it| it.as_i64()),
        n: None,
        rollout_id,
        endpoint: None,
        extra: Map::new(),
    };
    let response_format = take(&["response_format"]);
    let settings = LmSettings { extra: body, ..settings };
    Ok(LmRequest { messages, settings, response_format })
}

/// What providers count, as far as it is understood.
fn usages(all: BTreeMap<String, Value>) -> Vec<(String, Usage)> {
    let read = |(model, it)| Some((model, serde_json::from_value(it).ok()?));
    all.into_iter().filter_map(read).collect()
}

fn stops(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one]),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => serde_json::from_value(other).ok(),
    }
}

fn failure(call: u64, error: &LmError) -> LmFailure {
    let (status, wait) = match error {
        LmError::RateLimited { retry_after, .. } => (Some(429), *retry_after),
        LmError::Server { status, .. } => (*status, None),
        LmError::Transport(_)
        | LmError::Timeout(_)
        | LmError::Auth(_)
        | LmError::Unsupported(_)
        | LmError::ContextWindowExceeded(_)
        | LmError::BadRequest(_)
        | LmError::Billing(_)
        | LmError::InvalidResponse(_)
        | LmError::Configuration(_)
        | LmError::BudgetExceeded(_)
        | LmError::Cancelled => (None, None),
    };
    let (code, message) = (error.code(), error.to_string());
    LmFailure { call, code, message, status, retry_after_seconds: wait.map(|it| it.as_secs_f64()) }
}

/// Keeps a step, of what the child tells and what is known of the call here.
fn trace(trace: &Trace, span: Span, answered: &mut HashMap<u64, Answered>) {
    let Some(call) = answered.remove(&span.call) else { return };
    trace.push(|| {
        Step::Lm(Box::new(LmStep {
            predictor: span.predictor,
            adapter: span.adapter.into(),
            request: call.request,
            reply: call.reply.ok(),
            outputs: span.outputs,
            error: span.error,
            render_at_ms: trace.ms_at_unix(span.render_at),
            render_ms: span.render_ms,
            lm_at_ms: trace.ms_at(call.began),
            lm_ms: call.lm_ms,
            parse_at_ms: trace.ms_at_unix(span.parse_at),
            parse_ms: span.parse_ms,
        }))
    });
}

fn tool_step(span: ToolSpan, trace: &Trace) -> Step {
    let ToolSpan { run: _, predictor, name, args, result, error, at, ms } = span;
    let at_ms = trace.ms_at_unix(at);
    Step::Tool(Box::new(ToolStep { predictor, name, args, result, error, at_ms, ms }))
}

/// The program's exception as the error that a native program would have ended with.
fn error(raised: &Raised) -> Error {
    let Raised { kind, message, traceback, parse, inputs, .. } = raised;
    let own = || Fault::Raised { message: message.clone(), traceback: traceback.clone() }.into();
    match kind {
        RaisedKind::Program => own(),
        RaisedKind::Lm => lm_error(raised).map_or_else(own, |it| dspy::Error::Lm(it).into()),
        RaisedKind::Parse => {
            parse.clone().map_or_else(own, |it: ParseError| dspy::Error::Parse(Box::new(it)).into())
        }
        RaisedKind::Inputs => {
            inputs.clone().map_or_else(own, |it: InputError| dspy::Error::Inputs(it).into())
        }
    }
}

fn lm_error(raised: &Raised) -> Option<LmError> {
    let message = raised.message.clone();
    let wait = raised.retry_after_seconds;
    let retry_after = wait.and_then(|it| std::time::Duration::try_from_secs_f64(it).ok());
    Some(match raised.code.as_deref()? {
        "rate_limit" => LmError::RateLimited { message, retry_after },
        "server" => LmError::Server { message, status: raised.status },
        "transport" => LmError::Transport(message),
        "timeout" => LmError::Timeout(message),
        "auth" => LmError::Auth(message),
        "unsupported_model" | "unsupported_feature" => LmError::Unsupported(message),
        "context_window_exceeded" => LmError::ContextWindowExceeded(message),
        "invalid_request" => LmError::BadRequest(message),
        "billing" => LmError::Billing(message),
        "provider" => LmError::InvalidResponse(message),
        "configuration" | "not_configured" => LmError::Configuration(message),
        "budget_exceeded" => LmError::BudgetExceeded(message),
        _ => return None,
    })
}
