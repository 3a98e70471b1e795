//! A whole worker on a real store, with a language model that does as it is told.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

mod worker {
    mod batches;
    mod embeddings;
    mod ends;
    mod golden;
    mod module;
    mod network;
    mod paid;
    mod python;
    mod python_clients;
    mod python_faults;
    mod python_loops;
    mod python_modules;
    mod python_sandbox;
    mod python_sources;
    mod python_streams;
    pub(crate) mod site;
    mod stopping;
    mod via_provider;
}
