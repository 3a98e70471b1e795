//! What people see of it: logs, and the server that commands talk to.

use super::{Group, Setting};
use crate::{config::Secret, telemetry, values};

pub(super) const ALL: &[Setting] = &[
    Setting {
        name: "PIPELINE_LOG_LEVEL",
        group: Group::Log,
        default: "info",
        help: "error, warn, info, debug or trace; or by part, e.g. info,queue=debug",
        set: |it, text| {
            it.log.level = telemetry::level(text)?;
            Ok(())
        },
    },
    Setting {
        name: "LOG_FORMAT",
        group: Group::Log,
        default: "text",
        help: "text for people, json for machines",
        set: |it, text| {
            it.log.format = text.parse()?;
            Ok(())
        },
    },
    Setting {
        name: "DSPYX_URL",
        group: Group::Client,
        default: "",
        help: "The server; without it, the one on API_PORT of this machine",
        set: |it, text| {
            it.server.url = values::url(text, &["http", "https"])?;
            Ok(())
        },
    },
    Setting {
        name: "DSPYX_TOKEN",
        group: Group::Client,
        default: "",
        help: "The token to show it; not needed for a server on this machine that was started \
               without SECRET_KEY, nor where SECRET_KEY is set",
        set: |it, text| {
            it.server.token = Some(Secret::new(text));
            Ok(())
        },
    },
];
