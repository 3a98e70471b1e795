//! Whether Python programs have an interpreter with DSPy.

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use programs::Runtime;
use tokio::{process::Command, time::timeout};
use workers::{Interpreter, PythonConfig};

use super::{Findings, Grade};
use crate::{
    config::{self, Config},
    wire,
};

/// How long an interpreter may take to say which DSPy it has.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// The oldest DSPy that is run, as major and minor version.
const OLDEST: (u32, u32) = (3, 4);
/// Prints the version of DSPy without importing it, which takes seconds.
const ASK: &str = "from importlib.metadata import version; print(version('dspy'))";

/// Looks at the interpreter of each Python program, each interpreter once.
pub(super) async fn look(config: &Config, to: &mut Findings) {
    let python = config::python(config);
    let mut found: BTreeMap<String, (Interpreter, Vec<String>)> = BTreeMap::new();
    for program in wire::registry(config).list() {
        let Runtime::Python(runtime) = &program.runtime else { continue };
        let (named, folder) = (runtime.interpreter.as_deref(), runtime.folder.as_deref());
        match Interpreter::find(named, folder, &python.places) {
            Ok(it) => {
                let programs = found.entry(it.to_string()).or_insert_with(|| (it, Vec::new()));
                programs.1.push(program.pinned());
            }
            Err(error) => to.add(Grade::Bad, "python", format!("{}: {error}", program.pinned())),
        }
    }
    for (name, (interpreter, programs)) in found {
        let (grade, said) = match version(&interpreter.path, &python).await {
            Some(version) if is_new_enough(&version) => (Grade::Good, format!("DSPy {version}")),
            Some(version) => {
                let (major, minor) = OLDEST;
                (Grade::Bad, format!("DSPy {version} is older than {major}.{minor}: upgrade it"))
            }
            None => {
                let path = interpreter.path.display();
                (Grade::Bad, format!("has no DSPy: `{path} -m pip install dspy`"))
            }
        };
        to.add(grade, "python", format!("{name}, for {}: {said}", programs.join(", ")));
    }
}

/// The version of an interpreter's DSPy; none if it has none.
async fn version(path: &Path, python: &PythonConfig) -> Option<String> {
    let mut command = Command::new(path);
    command.args(["-c", ASK]).env_clear().envs(python.environment.iter().cloned());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(ANSWER_MAX, command.output()).await.ok()?.ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim().to_owned())
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    next().zip(next()).is_none_or(|version| version >= OLDEST)
}
