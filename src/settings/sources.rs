//! Where programs are fetched from whose code is elsewhere.

use super::{Group, Setting};
use crate::{config::Secret, values};

pub(super) const ALL: &[Setting] = &[
    Setting {
        name: "SOURCES_DIR",
        group: Group::Sources,
        default: "",
        help: "The folder for programs that are fetched, which workers of one machine may share; \
               without it, dspyx/sources in XDG_CACHE_HOME or ~/.cache",
        set: |it, text| {
            it.sources.folder = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "SOURCES_BYTES_MAX",
        group: Group::Sources,
        default: "10737418240",
        help: "How much that folder may hold; what was not used for the longest time goes first, \
               and what is in use stays",
        set: |it, text| {
            it.sources.kept_bytes_max = values::whole(text, 1 << 20..=1 << 50)?;
            Ok(())
        },
    },
    Setting {
        name: "SOURCE_BYTES_MAX",
        group: Group::Sources,
        default: "1073741824",
        help: "The largest program that is fetched, in bytes",
        set: |it, text| {
            it.sources.fetched_bytes_max = values::whole(text, 1..=1 << 50)?;
            Ok(())
        },
    },
    Setting {
        name: "SOURCES_REFRESH",
        group: Group::Sources,
        default: "1m",
        help: "How often it is looked which version an alias or a branch means now",
        set: |it, text| {
            it.sources.refresh = values::positive(text)?;
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_TRACKING_URI",
        group: Group::Sources,
        default: "",
        help: "The MLflow server that models are fetched from, and that executions are recorded in",
        set: |it, text| {
            it.sources.mlflow_tracking = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_REGISTRY_URI",
        group: Group::Sources,
        default: "",
        help: "The server of MLflow's registry, if another",
        set: |it, text| {
            it.sources.mlflow_registry = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_TRACKING_USERNAME",
        group: Group::Sources,
        default: "",
        help: "The user that MLflow is asked as",
        set: |it, text| {
            it.sources.mlflow_user = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_TRACKING_PASSWORD",
        group: Group::Sources,
        default: "",
        help: "That user's password",
        set: |it, text| {
            it.source_keys.push(("MLFLOW_TRACKING_PASSWORD", Secret::new(text)));
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_TRACKING_TOKEN",
        group: Group::Sources,
        default: "",
        help: "The token that MLflow is shown where no user is named",
        set: |it, text| {
            it.source_keys.push(("MLFLOW_TRACKING_TOKEN", Secret::new(text)));
            Ok(())
        },
    },
    Setting {
        name: "MLFLOW_S3_ENDPOINT_URL",
        group: Group::Sources,
        default: "",
        help: "Where the buckets of s3:// are that an MLflow server does not hand out itself, if \
               not at AWS_ENDPOINT_URL or Amazon",
        set: |it, text| {
            it.mlflow_s3 = Some(values::url(text, &["http", "https"])?);
            Ok(())
        },
    },
    Setting {
        name: "HF_ENDPOINT",
        group: Group::Sources,
        default: "https://huggingface.co",
        help: "The Hugging Face hub",
        set: |it, text| {
            it.sources.hub = values::url(text, &["http", "https"])?;
            Ok(())
        },
    },
    Setting {
        name: "HF_TOKEN",
        group: Group::Sources,
        default: "",
        help: "The token that the hub is shown",
        set: |it, text| {
            it.source_keys.push(("HF_TOKEN", Secret::new(text)));
            Ok(())
        },
    },
    Setting {
        name: "GITHUB_API_URL",
        group: Group::Sources,
        default: "https://api.github.com",
        help: "The API of GitHub; of a GitHub Enterprise, its address with /api/v3",
        set: |it, text| {
            it.sources.github = values::url(text, &["http", "https"])?;
            Ok(())
        },
    },
    Setting {
        name: "GITHUB_TOKEN",
        group: Group::Sources,
        default: "",
        help: "The token that GitHub is shown; without one, it answers 60 questions an hour",
        set: |it, text| {
            it.source_keys.push(("GITHUB_TOKEN", Secret::new(text)));
            Ok(())
        },
    },
];
