//! One round: render, ask as often as completions are wanted, read.

use std::time::Instant;

use futures::future::join_all;
use serde_json::Value;

use super::{Notes, Predictor, warning};
use crate::{
    Capabilities, Error, Fields, Lm, LmError, LmReply, LmRequest, LmSettings, LmStep, Run,
    Signature, Step,
    adapter::{
        Format,
        native::{self, Asking},
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

struct Asked {
    request: LmRequest,
    reply: Result<LmReply, LmError>,
    lm_ms: f64,
}

impl Call<'_> {
    /// The outputs of every completion in the adapter's own format, else in the one it falls back
    /// to. Only a reply that could not be read is asked for again; other failures are final.
    pub(super) async fn ask_until_read(mut self, notes: &mut Notes) -> Result<Vec<Fields>, Error> {
        let adapter = &self.predictor.adapter;
        let asked = self.ask(adapter.format(), notes).await;
        match (asked, adapter.fallback()) {
            (Err(Error::Parse(_)), Some(fallback)) => self.ask(fallback, notes).await,
            (asked, _) => asked,
        }
    }

    /// The outputs of every completion; usage and warnings go into the notes either way.
    pub(super) async fn ask(
        &mut self,
        format: Format,
        notes: &mut Notes,
    ) -> Result<Vec<Fields>, Error> {
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
        let render_ms = ms_since(started);
        let requests = (0..self.completions()).map(|i| LmRequest {
            messages: messages.clone(),
            settings: settings_of(&plan.settings, i),
            response_format: response_format.clone(),
        });
        let lm = self.run.lm;
        let asked = join_all(requests.map(|request| ask_one(lm, request))).await;
        let mut outputs = Vec::with_capacity(asked.len());
        for asked in asked {
            outputs.push(self.read(format, asked, &plan.signature, render_ms, notes));
        }
        outputs.into_iter().collect()
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

    fn completions(&self) -> u32 {
        self.settings.n.unwrap_or(1).clamp(1, COMPLETIONS_MAX)
    }

    fn read(
        &mut self,
        format: Format,
        asked: Asked,
        signature: &Signature,
        render_ms: f64,
        notes: &mut Notes,
    ) -> Result<Fields, Error> {
        let started = Instant::now();
        let Asked { request, reply, lm_ms } = asked;
        if let Ok(reply) = &reply {
            let model = request.settings.model.clone().unwrap_or_else(|| reply.model.clone());
            *notes.usage.entry(model).or_default() += reply.usage;
            notes.warnings.extend(warning::of_reply(reply));
        }
        let outputs = match &reply {
            Ok(reply) => {
                let read = native::read(format, signature, self.signature, reply);
                read.map_err(|error| Error::Parse(Box::new(error)))
            }
            Err(error) => Err(Error::Lm(error.clone())),
        };
        self.run.trace.push(|| {
            Step::Lm(Box::new(LmStep {
                predictor: self.run.scope.to_string(),
                adapter: format.name().into(),
                request,
                reply: reply.ok(),
                outputs: outputs.as_ref().ok().cloned(),
                error: outputs.as_ref().err().map(ToString::to_string),
                render_ms,
                lm_ms,
                parse_ms: ms_since(started),
            }))
        });
        outputs
    }
}

/// The settings of one completion. All but the first get a rollout of their own, lest a cache
/// answers them all alike.
fn settings_of(settings: &LmSettings, completion: u32) -> LmSettings {
    let mut settings = LmSettings { n: None, ..settings.clone() };
    if completion > 0 {
        let base = settings.rollout_id.unwrap_or(0).wrapping_mul(i64::from(COMPLETIONS_MAX));
        settings.rollout_id = Some(base.wrapping_add(i64::from(completion)));
    }
    settings
}

async fn ask_one(lm: &dyn Lm, request: LmRequest) -> Asked {
    let started = Instant::now();
    let reply = lm.complete(&request).await;
    Asked { request, reply, lm_ms: ms_since(started) }
}

pub(super) fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
