//! What the items of a batch would ask: the program runs against a model that notes its requests
//! and answers none. What is sent is not rebuilt here.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use dspy::{Capabilities, Lm, LmError, LmReply, LmRequest, LmSettings, Module, Run, Trace};
use programs::{LmConfig, Program, Runtime};
use queue::{Batch, Fields};

use crate::{
    gateway::{Account, BatchEndpoint, Call, Line, Tally},
    outcome::Error,
    run,
    shift::Shift,
};

/// How the items of a batch ask.
pub(super) struct Questions<'a> {
    shift: &'a Arc<Shift>,
    program: Arc<Program>,
    lm: LmConfig,
    overrides: LmSettings,
    /// Whose budgets count.
    pub(super) account: Account,
}

impl<'a> Questions<'a> {
    /// Those of a batch, as its items will ask them when they run.
    pub(super) async fn of(shift: &'a Arc<Shift>, batch: &Batch) -> Result<Self, Error> {
        let spec = &batch.spec;
        let program = run::find(shift, spec).await?;
        let overrides = LmConfig::default().with_overrides(&spec.lm)?.settings;
        let lm = program.lm.with_overrides(&spec.lm)?;
        let budget = shift.config.owner_budget_micros;
        let account = Account::new((batch.id.whole(), 0), Arc::clone(spec), budget, None);
        Ok(Self { shift, program, lm, overrides, account })
    }

    /// Who is asked. The error is one that the items would meet too.
    pub(super) async fn endpoint(&self) -> Result<(BatchEndpoint, String), LmError> {
        let line = self.lines(&Fields::new()).await?.into_iter().next();
        let none = || LmError::Unsupported("the program asks no model".to_owned());
        line.map(|it| (it.at, it.model)).ok_or_else(none)
    }

    /// The requests that an item makes first; none if it cannot make any.
    pub(super) async fn lines(&self, inputs: &Fields) -> Result<Vec<Line>, LmError> {
        let Some(module) = self.module() else { return Ok(Vec::new()) };
        let tally = Tally::default();
        let call = self.shift.gateway.call(&self.lm, self.program.origin, &tally);
        let notes = Notes { call: call.on(&self.account), lines: Mutex::default() };
        let trace = Trace::off();
        // What comes of it is of no interest: it cannot be more than that nobody answers.
        drop(module.run(inputs, Run::new(&notes, &self.overrides, &trace)).await);
        let mut lines = notes.lines.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *lines).into_iter().collect()
    }

    fn module(&self) -> Option<&Module> {
        match &self.program.runtime {
            Runtime::Native(module) => Some(module),
            Runtime::Python(_) => None,
        }
    }
}

/// A model that notes what it is asked.
struct Notes<'a> {
    call: Call<'a>,
    lines: Mutex<Vec<Result<Line, LmError>>>,
}

#[async_trait]
impl Lm for Notes<'_> {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let line = self.call.line(request);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Err(LmError::Cancelled)
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        self.call.capabilities(model)
    }
}
