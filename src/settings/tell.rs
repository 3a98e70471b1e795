//! Who is told of what has ended: whoever a request names, and the server that keeps a record.

use anyhow::Context;

use super::{Group, Setting};
use crate::values;

pub(super) const ALL: &[Setting] = &[
    Setting {
        name: "WEBHOOK_SECRET",
        group: Group::Tell,
        default: "",
        help: "What calls of webhooks are signed with: whsec_ and the base64 of 24 to 64 bytes; \
               several, with commas between them, while one takes the place of another",
        set: |it, text| {
            let secrets = text.split(',').map(str::parse).collect::<Result<_, _>>();
            it.webhooks.secrets = secrets?;
            Ok(())
        },
    },
    Setting {
        name: "WEBHOOK_ALLOW",
        group: Group::Tell,
        default: "",
        help: "Which webhooks may be called besides those of the internet, with commas: loopback \
               (this machine), private (every private network too), and names or addresses of \
               hosts",
        set: |it, text| {
            it.webhooks.callable = text.parse()?;
            Ok(())
        },
    },
    Setting {
        name: "WEBHOOK_TIMEOUT",
        group: Group::Tell,
        default: "15s",
        help: "How long one call of a webhook may take, at most a minute",
        set: |it, text| {
            it.webhooks.timeout = values::positive(text)?;
            let fits = it.webhooks.timeout <= std::time::Duration::from_secs(60);
            fits.then_some(()).context("must be at most 1m")
        },
    },
    Setting {
        name: "MLFLOW_TRACKING",
        group: Group::Tell,
        default: "true",
        help: "Whether executions and batches are recorded in MLflow, where MLFLOW_TRACKING_URI is \
               set; the same for every process of a fleet",
        set: |it, text| {
            it.tracking.enabled = values::flag(text)?;
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_EXPERIMENT_NAME",
        group: Group::Tell,
        default: "dspy-execution",
        help: "The experiment that they are recorded in; made if it is missing",
        set: |it, text| {
            text.clone_into(&mut it.tracking.experiment);
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_TRACES",
        group: Group::Tell,
        default: "true",
        help: "Whether the steps of executions are recorded too, as traces; until then they are \
               kept with the execution",
        set: |it, text| {
            it.tracking.traces = values::flag(text)?;
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_TRACE_SAMPLING_RATIO",
        group: Group::Tell,
        default: "1.0",
        help: "Of how many executions the steps are recorded, as a share: 0.1 for a tenth; the \
               same for every process of a fleet",
        set: |it, text| {
            it.tracking.sampling = text.parse()?;
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_BATCH_RUNS_MAX",
        group: Group::Tell,
        default: "100",
        help: "How many items of a batch have runs of their own below that of the batch; of a \
               larger one all items, at most 10000, are in a table of its run",
        set: |it, text| {
            it.tracking.batch_runs_max = values::whole(text, 0..=10_000)?;
            Ok(())
        },
    },
];
