//! Where executions are kept, and for how long.

use super::{Group, Setting};
use crate::{config::Secret, values};

const REDIS_SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];

pub(super) const ALL: &[Setting] = &[
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
        set: |it, text| {
            it.database_path = text.into();
            Ok(())
        },
    },
    Setting {
        name: "QUEUE_NAME",
        group: Group::Store,
        default: "dspyx",
        help: "The name of the queue in Redis; queues of different names share nothing",
        set: |it, text| {
            it.queue_name = values::name(text)?;
            Ok(())
        },
    },
    Setting {
        name: "OBJECT_STORE",
        group: Group::Store,
        default: "",
        help: "Where payloads of batches lie beside Redis: s3://BUCKET/PATH, gs://BUCKET/PATH, \
               az://CONTAINER/PATH, or a folder that all processes share",
        set: |it, text| {
            it.object_store = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "ALLOW_EVICTION",
        group: Group::Store,
        default: "false",
        help: "Whether to work on a Redis that may evict keys, and so lose executions",
        set: |it, text| {
            it.allow_eviction = values::flag(text)?;
            Ok(())
        },
    },
    Setting {
        name: "RESULT_TTL",
        group: Group::Store,
        default: "7d",
        help: "How long ended executions and batches are kept",
        set: |it, text| {
            it.limits.result_ttl = values::positive(text)?;
            Ok(())
        },
    },
    Setting {
        name: "IDEMPOTENCY_TTL",
        group: Group::Store,
        default: "24h",
        help: "How long an Idempotency-Key is known",
        set: |it, text| {
            it.limits.idempotency_ttl = values::positive(text)?;
            Ok(())
        },
    },
    Setting {
        name: "QUEUE_MAX",
        group: Group::Store,
        default: "1000000",
        help: "How many executions may wait; more are refused with 429. Items of uploaded \
               batches do not count",
        set: |it, text| {
            it.limits.waiting_max = values::whole(text, 1..=1_000_000_000)?;
            Ok(())
        },
    },
    Setting {
        name: "OWNER_QUEUE_MAX",
        group: Group::Store,
        default: "200000",
        help: "How many executions of one owner and class may wait; items of uploaded batches \
               do not count",
        set: |it, text| {
            it.limits.waiting_per_owner_max = values::whole(text, 1..=1_000_000_000)?;
            Ok(())
        },
    },
    Setting {
        name: "UPLOAD_TTL",
        group: Group::Store,
        default: "1d",
        help: "How long a batch is kept open for more parts that nobody adds to; then it is \
               called off",
        set: |it, text| {
            it.limits.upload_ttl = values::positive(text)?;
            Ok(())
        },
    },
    Setting {
        name: "DEAD_MAX",
        group: Group::Store,
        default: "10000",
        help: "How many failed executions the dead list keeps",
        set: |it, text| {
            it.limits.dead_max = values::whole(text, 0..=1_000_000)?;
            Ok(())
        },
    },
    Setting {
        name: "OUTBOX_MAX",
        group: Group::Store,
        default: "100000",
        help: "How many notices of ended executions and batches may wait, of webhooks and of \
               MLflow each; beyond it the oldest are dropped and counted",
        set: |it, text| {
            it.limits.outbox_max = values::whole(text, 1..=10_000_000)?;
            Ok(())
        },
    },
];
