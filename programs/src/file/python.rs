//! A program that is Python: where its code is, and what its file says of how it runs.

use super::{chain, definition, dependencies, signature, spot::Table};
use crate::{LoadError, PythonAllow, PythonProgram, Runtime, Source, beside::Beside, code::Code};

/// The most executions at once in one process.
const CONCURRENCY_MAX: u64 = 1000;

/// What a Python program runs. Its file's signatures are what it says of itself; how they are
/// asked, its code says.
pub(super) fn read(
    file: &Table<'_>,
    source: Source,
    beside: &Beside,
) -> Result<Runtime, LoadError> {
    let types = definition::read_all(file)?;
    let declared = |it| signature::declared(it, &types);
    let signatures: Vec<_> =
        signature::names(file)?.iter().map(declared).collect::<Result<_, _>>()?;
    chain::check(file, &signatures)?;
    let text = |key| file.get(key).map(|it| it.text().map(str::to_owned)).transpose();
    let concurrency = file.get("concurrency").map(|it| it.count(1, CONCURRENCY_MAX)).transpose()?;
    let mut program = PythonProgram {
        source,
        interpreter: text("python")?,
        folder: beside.folder().and_then(|it| std::path::absolute(it).ok()),
        state: text("state")?,
        spawn: file.get("spawn").map(|it| it.bool()).transpose()?.unwrap_or_default(),
        concurrency: concurrency.and_then(|it| usize::try_from(it).ok()),
        dependencies: dependencies(file)?,
        signatures,
        fetched: None,
        finding: None,
        allow: PythonAllow::default(),
        code: None,
    };
    program.code = Code::of(&program);
    Ok(Runtime::Python(Box::new(program)))
}
