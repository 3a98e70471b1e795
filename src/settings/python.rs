//! How Python programs are run.

use super::{Group, Setting};
use crate::values;

pub(super) const ALL: &[Setting] = &[
    Setting {
        name: "PYTHON_ALLOW",
        group: Group::Programs,
        default: "local",
        help: "Which Python programs may be run, with commas: local (Python files below \
               PROGRAMS_DIR), saved (pickles there), outside (both anywhere), mlflow:…, \
               huggingface:… and github:… (code and pickles from there, as mlflow:models:/qa or \
               github:owner/*), registered (all that also of programs registered over HTTP); or \
               none",
        set: |it, text| {
            it.python_allow = text.parse().map_err(anyhow::Error::msg)?;
            Ok(())
        },
    },
    Setting {
        name: "DSPYX_PYTHON",
        group: Group::Python,
        default: "",
        help: "The interpreter of Python programs that have none of their own: neither `python:`, \
               nor a .venv beside them, nor an active VIRTUAL_ENV; else python3",
        set: |it, text| {
            it.python.places.configured = Some(text.into());
            Ok(())
        },
    },
    Setting {
        name: "PYTHON_ENV",
        group: Group::Python,
        default: "",
        help: "The names of variables that Python programs may see, with commas; keys of models \
               are not needed there",
        set: |it, text| {
            it.python_env = values::names(text)?;
            Ok(())
        },
    },
    Setting {
        name: "PYTHON_PROCESSES",
        group: Group::Python,
        default: "2",
        help: "The most processes of one Python program in this worker",
        set: |it, text| {
            it.python.processes = values::whole(text, 1..=256)?;
            Ok(())
        },
    },
    Setting {
        name: "PYTHON_MEMORY_MAX",
        group: Group::Python,
        default: "1073741824",
        help: "The most memory for data of one process of a Python program, in bytes",
        set: |it, text| {
            it.python.memory_bytes_max = values::whole(text, 1 << 26..=1 << 50)?;
            Ok(())
        },
    },
    Setting {
        name: "PYTHON_CPU_MAX",
        group: Group::Python,
        default: "",
        help: "The most CPU time of one process of a Python program before it is killed, e.g. 6h",
        set: |it, text| {
            it.python.cpu_max = Some(values::positive(text)?);
            Ok(())
        },
    },
    Setting {
        name: "PYTHON_EXECUTIONS_MAX",
        group: Group::Python,
        default: "10000",
        help: "How many executions a process of a Python program runs before another takes its \
               place",
        set: |it, text| {
            it.python.executions_max = values::whole(text, 1..=u64::MAX)?;
            Ok(())
        },
    },
    Setting {
        name: "PYTHON_AGE_MAX",
        group: Group::Python,
        default: "1d",
        help: "How old a process of a Python program may be before another takes its place",
        set: |it, text| {
            it.python.age_max = values::positive(text)?;
            Ok(())
        },
    },
    Setting {
        name: "PYTHON_START_TIMEOUT",
        group: Group::Python,
        default: "1m",
        help: "How long a Python program may take to load",
        set: |it, text| {
            it.python.start_timeout = values::positive(text)?;
            Ok(())
        },
    },
    Setting {
        name: "PYTHON_GRACE",
        group: Group::Python,
        default: "2s",
        help: "How long an execution that has to stop may take, before its process is killed",
        set: |it, text| {
            it.python.grace = values::positive(text)?;
            Ok(())
        },
    },
];
