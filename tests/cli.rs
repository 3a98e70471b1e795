//! The command line where no server is: what it refuses, in which words, and with which exit code.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{fs, process::Command};

use serde_json::Value;

/// What a run left behind.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the binary in an empty folder, with these variables in its environment and few others.
fn dspyx(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_dspyx"))
        .args(arguments)
        .env_clear()
        .env("HOME", folder.path())
        .envs(environment.iter().copied())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: run.status.code().unwrap(), out: text(run.stdout), err: text(run.stderr) }
}

/// A port that nobody answers on.
const NOBODY: (&str, &str) = ("DSPYX_URL", "http://127.0.0.1:1");
const KEY: (&str, &str) = ("SECRET_KEY", "0123456789abcdef0123456789abcdef");

#[test]
fn help_teaches() {
    let help = dspyx(&["--help"], &[]);
    assert_eq!(help.code, 0);
    for word in ["dspyx demo", "REDIS_URL=redis://localhost dspyx worker", "Exit codes"] {
        assert!(help.out.contains(word), "{word}: {}", help.out);
    }
    let serve = dspyx(&["serve", "--help"], &[]).out;
    assert!(serve.contains("[env: API_PORT]") && serve.contains("[default: 8001]"), "{serve}");
}

#[test]
fn help_does_not_show_secrets_of_the_environment() {
    let help = dspyx(&["serve", "--help"], &[KEY]);
    assert!(!help.out.contains(KEY.1));
}

/// Arguments, environment, and what the error says.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[test]
fn wrong_settings_are_usage_errors_in_words() {
    let cases: [Case; 9] = [
        (&["serve"], &[("API_PORT", "http")], "API_PORT is `http`, but must be a whole number"),
        (&["serve", "--api-port", "70000"], &[], "--api-port is `70000`, but must be"),
        (&["serve"], &[("SECRET_KEY", "short")], "at least 32; `openssl rand -hex 32`"),
        (&["serve"], &[("API_HOST", "0.0.0.0")], "set SECRET_KEY"),
        (&["worker"], &[("REDIS_URL", "http://x")], "REDIS_URL must begin with redis://"),
        (&["worker"], &[("LOG_FORMAT", "xml"), ("REDIS_URL", "redis://x")], "text or json"),
        (&["api"], &[], "requires REDIS_URL"),
        (&["worker"], &[], "requires REDIS_URL"),
        (&["stats", "--config", "none.toml"], &[], "cannot read the configuration file none.toml"),
    ];
    for (arguments, environment, words) in cases {
        let ran = dspyx(arguments, environment);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn wrong_words_are_usage_errors() {
    let cases: [&[&str]; 6] = [
        &["exectue"],
        &["serve", "--api-prot", "1"],
        &["execute", "qa", "question"],
        &["execute", "qa", "n:=[", "--json"],
        &["execute", "qa", "--mode", "quick"],
        &["batch", "submit", "qa", "none.ndjson"],
    ];
    for arguments in cases {
        let ran = dspyx(arguments, &[NOBODY]);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{arguments:?}: {}", ran.out);
    }
}

#[test]
fn no_server_is_a_failure_that_says_what_to_do() {
    let cases: [&[&str]; 5] = [
        &["execute", "qa", "a=b"],
        &["status"],
        &["status", "x"],
        &["stats"],
        &["programs", "list"],
    ];
    for arguments in cases {
        let ran = dspyx(arguments, &[NOBODY]);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("dspyx serve") && ran.err.contains("DSPYX_URL"), "{}", ran.err);
    }
}

#[test]
fn errors_are_json_for_machines() {
    let ran = dspyx(&["stats", "--json"], &[NOBODY]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert!(error["error"].as_str().unwrap().contains("no answer"), "{error}");
    assert!(ran.out.is_empty());
}

#[test]
fn tokens_are_made_with_the_key_only() {
    let without = dspyx(&["token", "create"], &[]);
    let with = dspyx(&["token", "create", "--subject", "alice", "--json"], &[KEY]);
    let scope = dspyx(&["token", "create", "--scope", "root"], &[KEY]);

    let revoked = dspyx(&["token", "revoke", "x.y.z"], &[]);
    assert!(revoked.code == 2 && revoked.err.contains("SECRET_KEY"), "{}", revoked.err);
    assert!(without.code == 2 && without.err.contains("SECRET_KEY"), "{}", without.err);
    let made: Value = serde_json::from_str(&with.out).unwrap();
    assert_eq!((with.code, &made["subject"]), (0, &"alice".into()));
    assert!(made["token"].as_str().unwrap().split('.').count() == 3);
    assert!(scope.code == 2 && scope.err.contains("`root` is no scope"), "{}", scope.err);
}

#[test]
fn config_tells_where_values_come_from_and_hides_secrets() {
    let ran = dspyx(&["config", "--json"], &[KEY, ("API_PORT", "9"), ("MAX_WORKERS", "")]);
    let shown: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown["API_PORT"]["origin"], "environment");
    assert_eq!(shown["MAX_WORKERS"]["origin"], "default");
    assert_eq!(shown["SECRET_KEY"]["value"], "(hidden)");
}

#[test]
fn wrong_programs_are_named_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, "name: bad\nsignatures:\n  main: {input: [a], outputs: [b]}\n").unwrap();

    let ran = dspyx(&["programs", "check", file.to_str().unwrap()], &[]);

    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("bad.yaml:3:"), "{}", ran.out);
    assert!(ran.out.contains("inputs"), "the nearest known key: {}", ran.out);
}

#[test]
fn examples_are_right() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/programs");
    let ran = dspyx(&["programs", "check", examples], &[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
}

#[test]
fn doctor_says_what_is_wrong() {
    let ran = dspyx(&["doctor", "--json"], &[("PROGRAMS_DIR", "/nowhere"), NOBODY]);
    let findings: Value = serde_json::from_str(&ran.out).unwrap();
    let wrong = |it: &&Value| it["grade"] == "wrong";
    let wrong: Vec<_> = findings.as_array().unwrap().iter().filter(wrong).collect();
    assert_eq!((ran.code, wrong.len()), (1, 1), "{findings:#}");
    assert!(wrong[0]["finding"].as_str().unwrap().contains("PROGRAMS_DIR"), "{findings:#}");
}

#[test]
fn doctor_looks_at_the_interpreters_of_python_programs() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let program = |name: &str, python: &str| {
        let source = "source: {type: local, path: mine.py, class_name: Mine}";
        write(&format!("{name}.yaml"), &format!("name: {name}\n{source}\npython: {python}\n"));
    };
    write("mine.py", "import dspy\n\nclass Mine(dspy.Module):\n    pass\n");
    program("a", &testkit::python().display().to_string());
    let venv = ["-m", "venv", "--without-pip", "bare"];
    let made = Command::new(testkit::python()).args(venv).current_dir(&folder).status().unwrap();
    assert!(made.success());
    program("b", "bare");
    program("c", "gone/python");

    let folder = folder.path().display().to_string();
    let ran = dspyx(&["doctor", "--json"], &[("PROGRAMS_DIR", &folder), NOBODY]);

    let findings: Value = serde_json::from_str(&ran.out).unwrap();
    let of_python = findings.as_array().unwrap().iter().filter(|it| it["about"] == "python");
    let of_python: Vec<_> =
        of_python.map(|it| (it["grade"].as_str().unwrap(), it["finding"].to_string())).collect();
    let says = |grade, words: &[&str]| {
        let fits =
            |it: &&(&str, String)| it.0 == grade && words.iter().all(|word| it.1.contains(word));
        assert!(of_python.iter().any(|it| fits(&it)), "{words:?} in {of_python:#?}");
    };
    assert_eq!((ran.code, of_python.len()), (1, 3), "{findings:#}");
    says("ok", &["a@", "DSPy 3.4"]);
    says("wrong", &["b@", "has no DSPy", "-m pip install dspy"]);
    says("wrong", &["c@", "gone/python"]);
}
