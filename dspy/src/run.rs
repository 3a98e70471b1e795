//! What a module may use while it runs.

use crate::{Embedder, Lm, LmSettings, NoEmbedder, NoTools, Progress, Scope, Tools, Trace};

/// What a module may use while it runs. Cheap to copy, so that a module can hand on another one
/// to what it runs.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The model that it asks.
    pub lm: &'a dyn Lm,
    /// Settings of this run, over those of the program.
    pub overrides: &'a LmSettings,
    /// Where every call is kept, if it is on.
    pub trace: &'a Trace,
    /// Where it tells what it does meanwhile, if anybody wants to know.
    pub progress: Option<&'a Progress>,
    /// The tools that it may call.
    pub tools: &'a dyn Tools,
    /// The model of embeddings that it asks.
    pub embedder: &'a dyn Embedder,
    /// Where in a program it runs; `Scope::default()` at the top.
    pub scope: Scope<'a>,
}

impl<'a> Run<'a> {
    /// A run without tools and embeddings, of which nothing is told.
    pub fn new(lm: &'a dyn Lm, overrides: &'a LmSettings, trace: &'a Trace) -> Self {
        let scope = Scope::default();
        let (tools, embedder) = (&NoTools, &NoEmbedder);
        Self { lm, overrides, trace, progress: None, tools, embedder, scope }
    }
}
