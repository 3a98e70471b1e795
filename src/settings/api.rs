//! Where the API listens, whom it lets in, and what it takes.

use std::num::NonZeroU32;

use anyhow::anyhow;

use super::{Group, Setting};
use crate::values;

pub(super) const ALL: &[Setting] = &[
    Setting {
        name: "API_HOST",
        group: Group::Api,
        default: "127.0.0.1",
        help: "The address to listen on; 0.0.0.0 for every network, which requires SECRET_KEY",
        set: |it, text| {
            it.api_host = values::address(text)?;
            Ok(())
        },
    },
    Setting {
        name: "API_PORT",
        group: Group::Api,
        default: "8001",
        help: "The port to listen on; 0 for any free one, which the log then tells",
        set: |it, text| {
            it.api_port = values::whole(text, 0..=u16::MAX)?;
            Ok(())
        },
    },
    Setting {
        name: "SECRET_KEY",
        group: Group::Api,
        default: "",
        help: "What tokens are signed with, at least 32 bytes; without it, a random one for this \
               process, and only this machine is listened to",
        set: |it, text| {
            let key = api::SecretKey::new(text);
            let key = key.map_err(|error| {
                anyhow!("is too short: {error}; `openssl rand -hex 32` makes one")
            })?;
            it.secret_key = Some(key);
            Ok(())
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
            it.api.timeout_seconds = timeout.as_secs().max(1);
            Ok(())
        },
    },
    Setting {
        name: "EXECUTION_TIMEOUT_MAX",
        group: Group::Api,
        default: "1d",
        help: "The longest that a request may ask for",
        set: |it, text| {
            it.api.timeout_seconds_max = values::positive(text)?.as_secs().max(1);
            Ok(())
        },
    },
    Setting {
        name: "MAX_RETRIES",
        group: Group::Api,
        default: "1",
        help: "How often a failed execution is tried again, if neither request nor program says",
        set: |it, text| {
            it.api.max_retries = values::whole(text, 0..=100)?;
            Ok(())
        },
    },
    Setting {
        name: "CACHE_ENABLED",
        group: Group::Api,
        default: "true",
        help: "Whether an execution is answered with the result of an equal one",
        set: |it, text| {
            it.api.cache_enabled = values::flag(text)?;
            Ok(())
        },
    },
    Setting {
        name: "CACHE_TTL",
        group: Group::Api,
        default: "1d",
        help: "How long a result stands for equal executions, if the program does not say",
        set: |it, text| {
            it.api.cache_ttl_seconds = values::positive(text)?.as_secs().max(1);
            Ok(())
        },
    },
    Setting {
        name: "BODY_BYTES_MAX",
        group: Group::Api,
        default: "16777216",
        help: "The largest request body; larger ones are refused with 413",
        set: |it, text| {
            it.api.body_bytes_max = values::whole(text, 1024..=1 << 30)?;
            Ok(())
        },
    },
    Setting {
        name: "BATCH_ITEMS_MAX",
        group: Group::Api,
        default: "10000000",
        help: "The most items of one batch; of one that comes as a JSON list, at most 10000",
        set: |it, text| {
            it.api.batch_items_max = values::whole(text, 1..=100_000_000)?;
            Ok(())
        },
    },
    Setting {
        name: "LINE_BYTES_MAX",
        group: Group::Api,
        default: "1048576",
        help: "The longest line of a batch that is uploaded; the item of a longer one fails",
        set: |it, text| {
            it.api.line_bytes_max = values::whole(text, 1024..=1 << 26)?;
            Ok(())
        },
    },
    Setting {
        name: "OWNER_REQUESTS_MAX",
        group: Group::Api,
        default: "50000",
        help: "How many requests a second one owner may make; 0 for no limit",
        set: |it, text| {
            let most = values::whole(text, 0..=1_000_000)?;
            it.api.requests_per_owner_per_second = NonZeroU32::new(most);
            Ok(())
        },
    },
    Setting {
        name: "CONNECTIONS_MAX",
        group: Group::Api,
        default: "10000",
        help: "How many connections may be open; others wait",
        set: |it, text| {
            it.api.connections_max = values::whole(text, 1..=1_000_000)?;
            Ok(())
        },
    },
];
