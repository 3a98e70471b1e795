//! How executions are run, what can be run, and which models are asked.

use super::{Group, Setting};
use crate::{config::Secret, values};

pub(super) const ALL: &[Setting] = &[
    Setting {
        name: "MAX_WORKERS",
        group: Group::Worker,
        default: "256",
        help: "How many executions run at once in this process; mostly they wait for models",
        set: |it, text| {
            it.worker.slots = values::whole(text, 1..=10_000)?;
            Ok(())
        },
    },
    Setting {
        name: "SHUTDOWN_TIMEOUT",
        group: Group::Worker,
        default: "25s",
        help: "How long running work may go on after a signal to stop, before it is given back",
        set: |it, text| {
            it.worker.shutdown_timeout = values::duration(text)?;
            Ok(())
        },
    },
    Setting {
        name: "WORKER_METRICS_ADDRESS",
        group: Group::Worker,
        default: "",
        help: "Where a worker without an API shows its numbers for Prometheus at /metrics, to \
               anybody who asks, e.g. 127.0.0.1:9464",
        set: |it, text| {
            it.worker_metrics_address = Some(values::socket(text)?);
            Ok(())
        },
    },
    Setting {
        name: "LEASE",
        group: Group::Worker,
        default: "3s",
        help: "How long a worker may be silent before its work is given to others; the same for \
               every process of a fleet",
        set: |it, text| {
            it.limits.lease = values::positive(text)?;
            it.worker.lease = it.limits.lease;
            Ok(())
        },
    },
    Setting {
        name: "CRASHES_MAX",
        group: Group::Worker,
        default: "3",
        help: "How often an execution may take its worker with it before it fails as worker_lost",
        set: |it, text| {
            it.limits.crashes_max = values::whole(text, 1..=100)?;
            Ok(())
        },
    },
    Setting {
        name: "LATE_RESULTS",
        group: Group::Worker,
        default: "true",
        help: "Whether a result counts whose worker lost its lease, while there is no other",
        set: |it, text| {
            it.limits.late_results = values::flag(text)?;
            Ok(())
        },
    },
    Setting {
        name: "PROGRAMS_DIR",
        group: Group::Programs,
        default: "programs",
        help: "The folder of program files; changes are noticed",
        set: |it, text| {
            it.programs_dir = text.into();
            Ok(())
        },
    },
    Setting {
        name: "TRUSTED_BASES",
        group: Group::Programs,
        default: "",
        help: "The addresses, separated by commas, at and below which programs registered over \
               HTTP may call tools and have keys sent; files of PROGRAMS_DIR may anywhere",
        set: |it, text| {
            it.gateway.trusted_bases = values::urls(text, &["http", "https"])?;
            Ok(())
        },
    },
    Setting {
        name: "ALLOW_MCP_COMMANDS",
        group: Group::Programs,
        default: "false",
        help: "Whether programs registered over HTTP may start MCP servers as processes, and so \
               run any command as this user; files of PROGRAMS_DIR always may",
        set: |it, text| {
            let allowed = values::flag(text)?;
            it.worker.allow_mcp_commands = allowed;
            it.api.allow_mcp_commands = allowed;
            Ok(())
        },
    },
    Setting {
        name: "LM_MODEL",
        group: Group::Lm,
        default: "",
        help: "The model of programs that name none, e.g. openai/gpt-4o-mini, or dummy/echo for \
               the built-in one that needs no network",
        set: |it, text| {
            it.gateway.model = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "LM_API_BASE",
        group: Group::Lm,
        default: "",
        help: "The OpenAI-compatible endpoint of programs that name none",
        set: |it, text| {
            it.gateway.api_base = Some(values::url(text, &["http", "https"])?);
            Ok(())
        },
    },
    Setting {
        name: "LM_API_KEY",
        group: Group::Lm,
        default: "",
        help: "The key for that endpoint",
        set: |it, text| {
            it.lm_api_key = Some(Secret::new(text));
            Ok(())
        },
    },
    Setting {
        name: "LM_TIMEOUT",
        group: Group::Lm,
        default: "10m",
        help: "How long one request to a model may take",
        set: |it, text| {
            it.gateway.request_timeout = values::positive(text)?;
            Ok(())
        },
    },
    Setting {
        name: "LM_RETRIES",
        group: Group::Lm,
        default: "3",
        help: "How often a failed request to a model is sent again within one attempt",
        set: |it, text| {
            it.gateway.retries = values::whole(text, 0..=100)?;
            Ok(())
        },
    },
    Setting {
        name: "LM_MODELS",
        group: Group::Lm,
        default: "",
        help: "A TOML file of limits and prices by model: [\"openai/gpt-4o-mini\"] with \
               requests_per_minute, tokens_per_minute, input_price and output_price (dollars a \
               million tokens); [\"openai/*\"] for a provider's other models",
        set: |it, text| {
            it.gateway.models = values::models(text)?;
            Ok(())
        },
    },
    Setting {
        name: "LM_CACHE_TTL",
        group: Group::Lm,
        default: "1h",
        help: "How long a model's reply serves equal requests of the fleet at most; 0s to send \
               each",
        set: |it, text| {
            it.worker.lm_cache_ttl = values::duration(text)?;
            Ok(())
        },
    },
    Setting {
        name: "OWNER_BUDGET",
        group: Group::Lm,
        default: "",
        help: "Dollars that one owner may spend on models in a calendar month (UTC)",
        set: |it, text| {
            it.worker.owner_budget_micros = Some(values::dollars(text)?);
            Ok(())
        },
    },
    Setting {
        name: "LM_PROXY",
        group: Group::Lm,
        default: "",
        help: "The HTTP proxy on the way to models, and to sources of programs, that are not on \
               this machine",
        set: |it, text| {
            it.gateway.proxy = Some(values::url(text, &["http", "https"])?);
            Ok(())
        },
    },
];
