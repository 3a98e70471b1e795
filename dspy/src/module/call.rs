//! One round: render, ask as often as completions are wanted, read.

use std::{borrow::Cow, iter::repeat_n, time::Instant};

use futures::future::join_all;
use serde_json::Value;

use super::{Notes, Predictor, warning};
use crate::{
    Asker, Capabilities, DspyType, Error, Field, Fields, Listener, Lm, LmError, LmReply, LmRequest,
    LmSettings, LmStep, ParseError, Run, Signature, Step, Type,
    adapter::{
        Format,
        native::{self, Asking, Reading},
        response_format,
    },
};

/// The most completions of one call.
const COMPLETIONS_MAX: u32 = 128;

pub(super) struct Call<'a> {
    pub(super) predictor: &'a Predictor,
    pub(super) signature: &'a Signature,
    pub(super) inputs: &'a Fields,
    pub(super) settings: &'a LmSettings,
    pub(super) run: Run<'a>,
}

/// The replies to one question.
pub(super) struct Round<'a> {
    format: Format,
    /// What was asked for in the text.
    pub(super) signature: Cow<'a, Signature>,
    pub(super) asked: Vec<Asked<'a>>,
    /// Whether one of the replies has more than text.
    is_mixed: bool,
    render: Timed,
}

/// When something began, and how long it took.
#[derive(Clone, Copy)]
struct Timed {
    began: Instant,
    ms: f64,
}

/// A request and the reply to it.
pub(super) struct Asked<'a> {
    request: LmRequest,
    pub(super) reply: LmReply,
    lm: Timed,
    /// Who listens, if anybody does.
    listener: Option<Listener<'a>>,
}

/// A request, the reply to it, when that was, and who listened.
type Sent<'a> = (LmRequest, Result<LmReply, LmError>, Timed, Option<Listener<'a>>);

impl<'a> Call<'a> {
    /// The outputs of every completion in the adapter's own format, else in the one it falls back
    /// to. Only a reply that could not be read is asked for again; other failures are final.
    pub(super) async fn ask_until_read(self, notes: &mut Notes) -> Result<Vec<Fields>, Error> {
        let adapter = &self.predictor.adapter;
        let asked = self.ask(adapter.format(), notes).await;
        match (asked, adapter.fallback()) {
            (Err(Error::Parse(error)), Some(fallback)) if error.uncaught.is_none() => {
                self.ask(fallback, notes).await
            }
            (asked, _) => asked,
        }
    }

    /// The outputs of every completion; usage and warnings go into the notes either way.
    async fn ask(&self, format: Format, notes: &mut Notes) -> Result<Vec<Fields>, Error> {
        let mut round = self.send(format, notes).await?;
        let asked = std::mem::take(&mut round.asked);
        let outputs = asked.into_iter().map(|asked| round.read(asked, self, native::read));
        // All of them, so that the trace has every step.
        outputs.collect::<Vec<_>>().into_iter().collect()
    }

    /// Asks for every completion. The first call that fails ends the round.
    pub(super) async fn send(&self, format: Format, notes: &mut Notes) -> Result<Round<'a>, Error> {
        let started = Instant::now();
        let demos = self.run.scope.demos.unwrap_or(&self.predictor.demos);
        let calling = self.predictor.adapter.calling();
        let plan = native::plan(Asking {
            signature: self.signature,
            inputs: self.inputs,
            lm: &self.predictor.lm,
            settings: self.settings,
            calling,
            can: self.capabilities(),
        })?;
        let messages = format.render(&plan.signature, demos, self.inputs, calling.native)?;
        let response_format = self.response_format(format);
        let render = Timed::since(started);
        let asked = LmRequest { messages, settings: plan.settings, response_format };
        let requests = (0..).zip(repeat_n(asked, self.completions())).map(|(i, asked)| {
            let settings = settings_of(asked.settings, i);
            LmRequest { settings, ..asked }
        });
        let lm = self.run.lm;
        let listeners = || self.listener(format, &plan.signature);
        let sent = join_all(requests.map(|request| ask_one(lm, request, listeners()))).await;
        let (signature, asked, is_mixed) = (plan.signature, Vec::new(), false);
        let mut round = Round { format, signature, asked, is_mixed, render };
        let mut failed = None;
        for (request, reply, lm, listener) in sent {
            match reply {
                Ok(reply) => {
                    note(&request, &reply, notes);
                    round.is_mixed |= native::has_parts(&reply);
                    round.asked.push(Asked { request, reply, lm, listener });
                }
                Err(error) => {
                    listener.inspect(Listener::fail);
                    let step = || failure(format, self.run, request, &error, (render, lm));
                    self.run.trace.push(step);
                    failed = failed.or(Some(error));
                }
            }
        }
        match failed {
            Some(error) => {
                round.asked.iter().filter_map(|it| it.listener.as_ref()).for_each(Listener::fail);
                Err(error.into())
            }
            None => Ok(round),
        }
    }

    /// Who listens to a call, if anybody wants to know. Of two steps only the second has fields.
    fn listener(&self, format: Format, signature: &Signature) -> Option<Listener<'a>> {
        let progress = self.run.progress.filter(|_| format != Format::TwoStep)?;
        let is_reasoning = |it: &&Field| it.ty == Type::Dspy(DspyType::Reasoning);
        let is_apart = |it: &&Field| !signature.outputs.iter().any(|own| own.name == it.name);
        let texts = signature.outputs.iter().filter(|it| it.ty == Type::Str);
        let apart = self.signature.outputs.iter().filter(is_apart).find(is_reasoning);
        let asker = Asker {
            predictor: self.run.scope.to_string(),
            adapter: format.name().to_owned(),
            texts: texts.map(|it| it.name.clone()).collect(),
            reasoning: apart.map(|it| it.name.clone()),
        };
        Some(Listener::new(progress, asker))
    }

    fn response_format(&self, format: Format) -> Option<Value> {
        let is_native = self.predictor.adapter.calling().native;
        match format {
            Format::Chat | Format::Xml | Format::TwoStep => None,
            Format::Json | Format::Baml => {
                response_format(self.signature, self.capabilities(), is_native)
            }
        }
    }

    fn capabilities(&self) -> Capabilities {
        let model = self.settings.model.as_deref().unwrap_or_default();
        self.run.lm.capabilities(model)
    }

    fn completions(&self) -> usize {
        self.settings.n.unwrap_or(1).clamp(1, COMPLETIONS_MAX) as usize
    }
}

/// What a reply was used for, and what there is to warn of.
fn note(request: &LmRequest, reply: &LmReply, notes: &mut Notes) {
    let model = request.settings.model.clone().unwrap_or_else(|| reply.model.clone());
    *notes.usage.entry(model).or_default() += reply.usage;
    notes.warnings.extend(warning::of_reply(reply));
}

fn failure(
    format: Format,
    run: Run<'_>,
    request: LmRequest,
    error: &LmError,
    (render, lm): (Timed, Timed),
) -> Step {
    Step::Lm(Box::new(LmStep {
        predictor: run.scope.to_string(),
        adapter: format.name().into(),
        request,
        reply: None,
        outputs: None,
        error: Some(error.to_string()),
        render_at_ms: run.trace.ms_at(render.began),
        render_ms: render.ms,
        lm_at_ms: run.trace.ms_at(lm.began),
        lm_ms: lm.ms,
        parse_at_ms: 0.0,
        parse_ms: 0.0,
    }))
}

impl Round<'_> {
    /// What was read of the reply to one request; the step goes into the trace.
    pub(super) fn read(
        &self,
        asked: Asked<'_>,
        call: &Call<'_>,
        read: impl FnOnce(Reading<'_>, &LmReply) -> Result<Fields, ParseError>,
    ) -> Result<Fields, Error> {
        let started = Instant::now();
        let Asked { request, reply, lm, listener } = asked;
        let Self { format, signature, is_mixed, .. } = self;
        let (format, original, is_mixed) = (*format, call.signature, *is_mixed);
        let outputs = read(Reading { format, asked: signature, original, is_mixed }, &reply);
        match (&listener, &outputs) {
            (Some(listener), Ok(outputs)) => listener.read(outputs),
            (Some(listener), Err(_)) => listener.fail(),
            (None, _) => {}
        }
        let run = call.run;
        run.trace.push(|| {
            Step::Lm(Box::new(LmStep {
                predictor: run.scope.to_string(),
                adapter: format.name().into(),
                request,
                reply: Some(reply),
                outputs: outputs.as_ref().ok().cloned(),
                error: outputs.as_ref().err().map(ToString::to_string),
                render_at_ms: run.trace.ms_at(self.render.began),
                render_ms: self.render.ms,
                lm_at_ms: run.trace.ms_at(lm.began),
                lm_ms: lm.ms,
                parse_at_ms: run.trace.ms_at(started),
                parse_ms: ms_since(started),
            }))
        });
        outputs.map_err(|error| Error::Parse(Box::new(error)))
    }
}

/// The settings of one completion. All but the first get a rollout of their own, lest a cache
/// answers them all alike.
fn settings_of(settings: LmSettings, completion: u32) -> LmSettings {
    let mut settings = LmSettings { n: None, ..settings };
    if completion > 0 {
        let base = settings.rollout_id.unwrap_or(0).wrapping_mul(i64::from(COMPLETIONS_MAX));
        settings.rollout_id = Some(base.wrapping_add(i64::from(completion)));
    }
    settings
}

async fn ask_one<'a>(lm: &dyn Lm, request: LmRequest, listener: Option<Listener<'a>>) -> Sent<'a> {
    let started = Instant::now();
    let reply = match &listener {
        Some(listener) => lm.complete_aloud(&request, listener).await,
        None => lm.complete(&request).await,
    };
    (request, reply, Timed::since(started), listener)
}

impl Timed {
    /// What began then and has ended now.
    fn since(began: Instant) -> Self {
        Self { began, ms: ms_since(began) }
    }
}

pub(super) fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
