//! The Python package, from where its users stand: its tests are pytest's, and run here with the
//! real DSPy and the binary that was just built.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{path::PathBuf, process::Command};

use testkit::python;

/// Runs a file of tests with the package as it lies here.
fn pytest(file: &str) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/client");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(python());
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", file]).current_dir(&folder);
    command.env("PYTHONPATH", root.join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("DSPYX_BINARY", env!("CARGO_BIN_EXE_dspyx")).env_remove("VIRTUAL_ENV");
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{file}:\n{said}");
}

#[test]
fn every_snippet_of_the_seed_runs_as_it_is_written() {
    pytest("test_seed.py");
}

#[test]
fn the_private_server_goes_with_its_process() {
    pytest("test_server.py");
}

#[test]
fn calls_give_results_and_raise_only_what_is_no_result() {
    pytest("test_calls.py");
}

#[test]
fn batches_outlive_what_happens_to_their_server() {
    pytest("test_faults.py");
}

#[test]
fn live_modules_run_natively_or_in_the_callers_python() {
    pytest("test_live.py");
}

#[test]
fn types_hold_for_mypy_and_pyright() {
    pytest("test_types.py");
}

#[test]
fn the_wheel_works_in_a_clean_environment() {
    pytest("test_wheel.py");
}

#[test]
fn the_metaflow_example_runs_to_its_end() {
    pytest("test_metaflow.py");
}

#[test]
fn mlflow_knows_what_was_run_when_the_executor_is_gone() {
    pytest("test_mlflow.py");
}
