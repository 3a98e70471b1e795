//! Every setting, once: its name, its default, what it does and what it may be. The same name works
//! everywhere: `API_PORT` in the environment, `api_port` in the file, `--api-port` as a flag. The
//! flags, `--help`, the example file and the table in `docs/operations.md` follow from here.

mod api;
mod people;
mod python;
mod run;
mod sources;
mod store;
mod tell;

use anyhow::Result;

use crate::config::Config;

/// What a setting is about, and so which commands take it as a flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    /// Where the API listens, and whom it lets in.
    Api,
    /// Where executions are kept, and for how long.
    Store,
    /// How executions are run.
    Worker,
    /// What can be run.
    Programs,
    /// How Python programs are run.
    Python,
    /// Where programs are fetched from.
    Sources,
    /// The language models.
    Lm,
    /// What is logged.
    Log,
    /// Who is told of what has ended.
    Tell,
    /// How the commands find a server.
    Client,
}

impl Group {
    /// Every group, in the order of the documents.
    pub(crate) const ALL: [Group; 10] = [
        Group::Api,
        Group::Store,
        Group::Worker,
        Group::Programs,
        Group::Python,
        Group::Sources,
        Group::Lm,
        Group::Log,
        Group::Tell,
        Group::Client,
    ];

    /// What a worker is told.
    pub(crate) const WORKER: [Group; 8] = [
        Group::Store,
        Group::Worker,
        Group::Programs,
        Group::Python,
        Group::Sources,
        Group::Lm,
        Group::Log,
        Group::Tell,
    ];

    /// What a server is told that does all.
    pub(crate) const SERVE: [Group; 9] = [
        Group::Api,
        Group::Store,
        Group::Worker,
        Group::Programs,
        Group::Python,
        Group::Sources,
        Group::Lm,
        Group::Log,
        Group::Tell,
    ];

    /// Its heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Group::Api => "API settings",
            Group::Store => "Store settings",
            Group::Worker => "Worker settings",
            Group::Programs => "Program settings",
            Group::Python => "Python settings",
            Group::Sources => "Source settings",
            Group::Lm => "Language model settings",
            Group::Log => "Log settings",
            Group::Tell => "Webhook and MLflow settings",
            Group::Client => "Server to talk to",
        }
    }
}

/// One thing that can be set.
pub(crate) struct Setting {
    /// Its name in the environment.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) group: Group,
    /// Its default as it would be written; empty for none.
    pub(crate) default: &'static str,
    /// What it does, in a sentence without its full stop.
    pub(crate) help: &'static str,
    /// Puts a value in; the error says what is allowed.
    pub(crate) set: fn(&mut Config, &str) -> Result<()>,
}

impl Setting {
    /// Its name as a flag, without the dashes.
    pub(crate) fn flag(&self) -> String {
        self.key().replace('_', "-")
    }

    /// Its name in the file.
    pub(crate) fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// Whether its value must never be shown.
    pub(crate) fn is_secret(&self) -> bool {
        ["KEY", "TOKEN", "PASSWORD", "SECRET", "_URI", "REDIS_URL"]
            .iter()
            .any(|end| self.name.ends_with(end))
    }
}

/// Every setting.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    [api::ALL, store::ALL, run::ALL, python::ALL, sources::ALL, people::ALL, tell::ALL]
        .into_iter()
        .flatten()
}
