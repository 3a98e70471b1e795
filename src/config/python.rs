//! What of the environment concerns Python: where its interpreters are, and what its programs see.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{Config, variable};

/// Where interpreters of Python are.
pub(crate) fn places() -> workers::Places {
    workers::Places {
        virtual_env: variable("VIRTUAL_ENV").map(PathBuf::from),
        configured: variable("DSPYX_PYTHON").map(PathBuf::from),
        path: variable("PATH").map(Into::into),
    }
}

/// Where a Python looks for packages: in this folder before all others.
pub(crate) fn python_path(first: &Path) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if let Some(others) = variable("PYTHONPATH") {
        path.push(":");
        path.push(others);
    }
    path
}

/// What every Python program may see of the environment: where commands, files and certificates
/// are, and how people of this place write.
const OF_EVERY_PROGRAM: [&str; 9] =
    ["PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// How Python programs are run: with the few variables that they may see, and no others.
pub(crate) fn python(config: &Config) -> workers::PythonConfig {
    let names = OF_EVERY_PROGRAM.into_iter().chain(config.python_env.iter().map(String::as_str));
    let environment = names.filter_map(|it| Some((it.to_owned(), variable(it)?))).collect();
    let configured = config.python.places.configured.clone();
    let places = workers::Places { configured, ..places() };
    let default_model = config.gateway.model.clone();
    workers::PythonConfig { places, environment, default_model, ..config.python.clone() }
}
