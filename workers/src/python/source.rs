//! The runner's own files, which are sent to the interpreter of a program.

use std::collections::BTreeMap;

/// What an interpreter is started with: reads the files from its socket.
pub(super) const BOOT: &str = include_str!("../../../python/dspyx/runner/boot.py");

const FILES: [(&str, &str); 19] = [
    ("__init__", include_str!("../../../python/dspyx/runner/__init__.py")),
    ("once", include_str!("../../../python/dspyx/runner/once.py")),
    ("bell", include_str!("../../../python/dspyx/runner/bell.py")),
    ("bridge", include_str!("../../../python/dspyx/runner/bridge.py")),
    ("child", include_str!("../../../python/dspyx/runner/child.py")),
    ("clients", include_str!("../../../python/dspyx/runner/clients.py")),
    ("desk", include_str!("../../../python/dspyx/runner/desk.py")),
    ("execution", include_str!("../../../python/dspyx/runner/execution.py")),
    ("hops", include_str!("../../../python/dspyx/runner/hops.py")),
    ("logged", include_str!("../../../python/dspyx/runner/logged.py")),
    ("outcome", include_str!("../../../python/dspyx/runner/outcome.py")),
    ("output", include_str!("../../../python/dspyx/runner/output.py")),
    ("parent", include_str!("../../../python/dspyx/runner/parent.py")),
    ("program", include_str!("../../../python/dspyx/runner/program.py")),
    ("scope", include_str!("../../../python/dspyx/runner/scope.py")),
    ("settings", include_str!("../../../python/dspyx/runner/settings.py")),
    ("trace", include_str!("../../../python/dspyx/runner/trace.py")),
    ("tray", include_str!("../../../python/dspyx/runner/tray.py")),
    ("wire", include_str!("../../../python/dspyx/runner/wire.py")),
];

/// The files, by the names of their modules.
pub(super) fn files() -> BTreeMap<&'static str, &'static str> {
    FILES.into_iter().collect()
}
