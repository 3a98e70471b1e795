//! Every setting, once: its name, its default, what it does and what it may be. The same name works
//! everywhere: `API_PORT` in the environment, `api_port` in the file, `--api-port` as a flag. The
//! flags, `--help`, the example file and the table in `docs/operations.md` follow from here.

use std::num::NonZeroU32;

use anyhow::{Result, anyhow};

use crate::{
    config::{Config, Secret},
    telemetry, values,
};

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
    /// The language models.
    Lm,
    /// What is logged.
    Log,
    /// How the commands find a server.
    Client,
    /// Settings of the first implementation that do nothing here yet.
    Mlflow,
}

impl Group {
    /// Every group, in the order of the documents.
    pub(crate) const ALL: [Group; 8] = [
        Group::Api,
        Group::Store,
        Group::Worker,
        Group::Programs,
        Group::Lm,
        Group::Log,
        Group::Client,
        Group::Mlflow,
    ];

    /// Its heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Group::Api => "API settings",
            Group::Store => "Store settings",
            Group::Worker => "Worker settings",
            Group::Programs => "Program settings",
            Group::Lm => "Language model settings",
            Group::Log => "Log settings",
            Group::Client => "Server to talk to",
            Group::Mlflow => "MLflow settings",
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
        ["KEY", "TOKEN", "REDIS_URL"].iter().any(|end| self.name.ends_with(end))
    }
}

/// Every setting.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    [API, STORE, WORKER, OUTSIDE, CLIENT].into_iter().flatten()
}

const API: &[Setting] = &[
    Setting {
        name: "API_HOST",
        group: Group::Api,
        default: "127.0.0.1",
        help: "The address to listen on; 0.0.0.0 for every network, which requires SECRET_KEY",
        set: |it, text| Ok(it.api_host = values::address(text)?),
    },
    Setting {
        name: "API_PORT",
        group: Group::Api,
        default: "8001",
        help: "The port to listen on; 0 for any free one, which the log then tells",
        set: |it, text| Ok(it.api_port = values::whole(text, 0..=u16::MAX)?),
    },
    Setting {
        name: "SECRET_KEY",
        group: Group::Api,
        default: "",
        help: "What tokens are signed with, at least 32 bytes; without it, a random one for this \
               process, and only this machine is listened to",
        set: |it, text| {
            let key = api::SecretKey::new(text);
            let key = key.map_err(|error| anyhow!("{error}; `openssl rand -hex 32` makes one"))?;
            Ok(it.secret_key = Some(key))
        },
    },
    Setting {
        name: "EXECUTION_TIMEOUT",
        group: Group::Api,
        default: "5m",
        help: "How long one attempt may take, if neither request nor program says",
        set: |it, text| {
            let timeout = values::positive(text)?;
            it.worker.timeout = timeout;
            Ok(it.api.timeout_seconds = timeout.as_secs().max(1))
        },
    },
    Setting {
        name: "EXECUTION_TIMEOUT_MAX",
        group: Group::Api,
        default: "1d",
        help: "The longest that a request may ask for",
        set: |it, text| Ok(it.api.timeout_seconds_max = values::positive(text)?.as_secs().max(1)),
    },
    Setting {
        name: "MAX_RETRIES",
        group: Group::Api,
        default: "1",
        help: "How often a failed execution is tried again, if neither request nor program says",
        set: |it, text| Ok(it.api.max_retries = values::whole(text, 0..=100)?),
    },
    Setting {
        name: "CACHE_ENABLED",
        group: Group::Api,
        default: "true",
        help: "Whether an execution is answered with the result of an equal one",
        set: |it, text| Ok(it.api.cache_enabled = values::flag(text)?),
    },
    Setting {
        name: "CACHE_TTL",
        group: Group::Api,
        default: "1d",
        help: "How long a result stands for equal executions, if the program does not say",
        set: |it, text| Ok(it.api.cache_ttl_seconds = values::positive(text)?.as_secs().max(1)),
    },
    Setting {
        name: "BODY_BYTES_MAX",
        group: Group::Api,
        default: "16777216",
        help: "The largest request body; larger ones are refused with 413",
        set: |it, text| Ok(it.api.body_bytes_max = values::whole(text, 1024..=1 << 30)?),
    },
    Setting {
        name: "BATCH_ITEMS_MAX",
        group: Group::Api,
        default: "10000",
        help: "The most items of one batch",
        set: |it, text| Ok(it.api.batch_items_max = values::whole(text, 1..=1_000_000)?),
    },
    Setting {
        name: "OWNER_REQUESTS_MAX",
        group: Group::Api,
        default: "50000",
        help: "How many requests a second one owner may make; 0 for no limit",
        set: |it, text| {
            let most = values::whole(text, 0..=1_000_000)?;
            Ok(it.api.requests_per_owner_per_second = NonZeroU32::new(most))
        },
    },
    Setting {
        name: "CONNECTIONS_MAX",
        group: Group::Api,
        default: "10000",
        help: "How many connections may be open; others wait",
        set: |it, text| Ok(it.api.connections_max = values::whole(text, 1..=1_000_000)?),
    },
];

const REDIS_SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];

const STORE: &[Setting] = &[
    Setting {
        name: "REDIS_URL",
        group: Group::Store,
        default: "",
        help: "The Redis 7 or Valkey that API and workers share; without it, the embedded store",
        set: |it, text| {
            it.redis_url = Some(Secret::new(&values::url(text, &REDIS_SCHEMES)?));
            Ok(())
        },
    },
    Setting {
        name: "DATABASE_PATH",
        group: Group::Store,
        default: "dspyx.db",
        help: "The file of the embedded store; used by one process, and only without REDIS_URL",
        set: |it, text| Ok(it.database_path = text.into()),
    },
    Setting {
        name: "QUEUE_NAME",
        group: Group::Store,
        default: "dspyx",
        help: "The name of the queue in Redis; queues of different names share nothing",
        set: |it, text| Ok(it.queue_name = values::name(text)?),
    },
    Setting {
        name: "ALLOW_EVICTION",
        group: Group::Store,
        default: "false",
        help: "Whether to work on a Redis that may evict keys, and so lose executions",
        set: |it, text| Ok(it.allow_eviction = values::flag(text)?),
    },
    Setting {
        name: "RESULT_TTL",
        group: Group::Store,
        default: "7d",
        help: "How long ended executions and batches are kept",
        set: |it, text| Ok(it.limits.result_ttl = values::positive(text)?),
    },
    Setting {
        name: "IDEMPOTENCY_TTL",
        group: Group::Store,
        default: "24h",
        help: "How long an Idempotency-Key is known",
        set: |it, text| Ok(it.limits.idempotency_ttl = values::positive(text)?),
    },
    Setting {
        name: "QUEUE_MAX",
        group: Group::Store,
        default: "1000000",
        help: "How many executions may wait; more are refused with 429",
        set: |it, text| Ok(it.limits.waiting_max = values::whole(text, 1..=1_000_000_000)?),
    },
    Setting {
        name: "OWNER_QUEUE_MAX",
        group: Group::Store,
        default: "200000",
        help: "How many executions of one owner and class may wait",
        set: |it, text| {
            it.limits.waiting_per_owner_max = values::whole(text, 1..=1_000_000_000)?;
            Ok(())
        },
    },
    Setting {
        name: "DEAD_MAX",
        group: Group::Store,
        default: "10000",
        help: "How many failed executions the dead list keeps",
        set: |it, text| Ok(it.limits.dead_max = values::whole(text, 0..=1_000_000)?),
    },
];

const WORKER: &[Setting] = &[
    Setting {
        name: "MAX_WORKERS",
        group: Group::Worker,
        default: "4",
        help: "How many executions run at once in this process; native programs may use hundreds",
        set: |it, text| Ok(it.worker.slots = values::whole(text, 1..=10_000)?),
    },
    Setting {
        name: "SHUTDOWN_TIMEOUT",
        group: Group::Worker,
        default: "25s",
        help: "How long running work may go on after a signal to stop, before it is given back",
        set: |it, text| Ok(it.worker.shutdown_timeout = values::duration(text)?),
    },
    Setting {
        name: "LEASE",
        group: Group::Worker,
        default: "3s",
        help: "How long a worker may be silent before its work is given to others; the same for \
               every process of a fleet",
        set: |it, text| {
            it.limits.lease = values::positive(text)?;
            Ok(it.worker.lease = it.limits.lease)
        },
    },
    Setting {
        name: "CRASHES_MAX",
        group: Group::Worker,
        default: "3",
        help: "How often an execution may take its worker with it before it fails as worker_lost",
        set: |it, text| Ok(it.limits.crashes_max = values::whole(text, 1..=100)?),
    },
    Setting {
        name: "LATE_RESULTS",
        group: Group::Worker,
        default: "true",
        help: "Whether a result counts whose worker lost its lease, while there is no other",
        set: |it, text| Ok(it.limits.late_results = values::flag(text)?),
    },
];

const OUTSIDE: &[Setting] = &[
    Setting {
        name: "PROGRAMS_DIR",
        group: Group::Programs,
        default: "programs",
        help: "The folder of program files; changes are noticed",
        set: |it, text| Ok(it.programs_dir = text.into()),
    },
    Setting {
        name: "LM_MODEL",
        group: Group::Lm,
        default: "",
        help: "The model of programs that name none, e.g. openai/gpt-4o-mini, or dummy/echo for \
               the built-in one that needs no network",
        set: |it, text| Ok(it.gateway.model = Some(text.to_owned())),
    },
    Setting {
        name: "LM_API_BASE",
        group: Group::Lm,
        default: "",
        help: "The OpenAI-compatible endpoint of programs that name none",
        set: |it, text| Ok(it.gateway.api_base = Some(values::url(text, &["http", "https"])?)),
    },
    Setting {
        name: "LM_API_KEY",
        group: Group::Lm,
        default: "",
        help: "The key for that endpoint",
        set: |it, text| Ok(it.lm_api_key = Some(Secret::new(text))),
    },
    Setting {
        name: "LM_TIMEOUT",
        group: Group::Lm,
        default: "10m",
        help: "How long one request to a model may take",
        set: |it, text| Ok(it.gateway.request_timeout = values::positive(text)?),
    },
    Setting {
        name: "LM_RETRIES",
        group: Group::Lm,
        default: "3",
        help: "How often a failed request to a model is sent again within one attempt",
        set: |it, text| Ok(it.gateway.retries = values::whole(text, 0..=100)?),
    },
    Setting {
        name: "LM_PROXY",
        group: Group::Lm,
        default: "",
        help: "The HTTP proxy on the way to models that are not on this machine",
        set: |it, text| Ok(it.gateway.proxy = Some(values::url(text, &["http", "https"])?)),
    },
    Setting {
        name: "PIPELINE_LOG_LEVEL",
        group: Group::Log,
        default: "info",
        help: "error, warn, info, debug or trace; or by part, e.g. info,queue=debug",
        set: |it, text| Ok(it.log.level = telemetry::level(text)?),
    },
    Setting {
        name: "LOG_FORMAT",
        group: Group::Log,
        default: "text",
        help: "text for people, json for machines",
        set: |it, text| Ok(it.log.format = text.parse()?),
    },
];

const CLIENT: &[Setting] = &[
    Setting {
        name: "DSPYX_URL",
        group: Group::Client,
        default: "http://127.0.0.1:8001",
        help: "The server",
        set: |it, text| Ok(it.server.url = values::url(text, &["http", "https"])?),
    },
    Setting {
        name: "DSPYX_TOKEN",
        group: Group::Client,
        default: "",
        help: "The token to show it; not needed for a server on this machine that was started \
               without SECRET_KEY, nor where SECRET_KEY is set",
        set: |it, text| Ok(it.server.token = Some(Secret::new(text))),
    },
    Setting {
        name: "MLFLOW_TRACKING_URI",
        group: Group::Mlflow,
        default: "",
        help: "Accepted, and not used yet",
        set: |it, text| Ok(it.mlflow.push(format!("MLFLOW_TRACKING_URI={text}"))),
    },
    Setting {
        name: "MLFLOW_EXPERIMENT_NAME",
        group: Group::Mlflow,
        default: "",
        help: "Accepted, and not used yet",
        set: |it, text| Ok(it.mlflow.push(format!("MLFLOW_EXPERIMENT_NAME={text}"))),
    },
];
