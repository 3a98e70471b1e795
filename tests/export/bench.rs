//! A place to export in: a folder, an interpreter with DSPy, and the binary.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::python;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dspyx");

/// A folder, and what runs in it.
pub(crate) struct Bench {
    folder: TempDir,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs `dspyx` with the tests' Python.
    pub(crate) fn dspyx(&self, args: &[&str]) -> Said {
        self.dspyx_with(args, &[])
    }

    /// The same with these variables.
    pub(crate) fn dspyx_with(&self, args: &[&str], env: &[(&str, &str)]) -> Said {
        let mut command = Command::new(PROGRAM);
        command.args(args).env("DSPYX_PYTHON", python()).envs(env.iter().copied());
        self.run(command, "")
    }

    /// Runs Python with our package beside the real one.
    pub(crate) fn python(&self, args: &[&str], input: &Value) -> Value {
        let mut command = Command::new(python());
        command.args(args).env("PYTHONPATH", ours("python"));
        let said = self.run(command, &input.to_string());
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
        serde_json::from_str(&said.out).unwrap()
    }

    /// What `dspyx export` says to each of these calls, of programs in a file.
    pub(crate) fn exports(&self, file: &str, calls: &Value) -> Vec<Said> {
        let calls = calls.as_array().unwrap().iter().map(|it| {
            let mut call = it.as_array().unwrap().clone();
            call.extend([json!("--binary"), json!(PROGRAM)]);
            Value::Array(call)
        });
        let run = ours("tests/python/run.py");
        let all = self.python(&[&run, file, "export"], &calls.collect());
        let said = |it: &Value| {
            let text = |part: &str| it[part].as_str().unwrap().to_owned();
            let code = it["code"].as_i64().and_then(|code| i32::try_from(code).ok());
            Said { code, out: text("out"), err: text("err") }
        };
        all.as_array().unwrap().iter().map(said).collect()
    }

    /// A token for everything that people do, signed with a key.
    pub(crate) fn token(&self, key: &str) -> String {
        let mut command = Command::new(PROGRAM);
        command.args(["token", "create"]).env("SECRET_KEY", key);
        self.run(command, "").worked().trim().to_owned()
    }

    fn run(&self, mut command: Command, input: &str) -> Said {
        command.current_dir(self.folder.path()).env_remove("VIRTUAL_ENV");
        // Bytecode of our sources would lie beside them.
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

impl Said {
    /// It must have worked; what it printed.
    #[track_caller]
    pub(crate) fn worked(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// It must have ended so, and have said each of these.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in: {}", self.err);
        }
    }
}

/// A path in this repository.
pub(crate) fn ours(path: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}
