//! What people read before anything runs: help, settings, and what is wrong with them. What the
//! commands do is told in `tests/cli.rs` and `tests/e2e/cli.rs`.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{fs, path::Path, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use testkit::Process;

/// Every command here ends by itself, soon, also on a busy machine.
const SOON: Duration = Duration::from_secs(30);
const KEY: &str = "a key of at least thirty-two bytes, for tests only";
const WORKED: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;

/// What a command left.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// Its result; it must have worked.
    #[track_caller]
    fn worked(self) -> String {
        assert_eq!(self.code, Some(WORKED), "{}", self.err);
        self.out
    }

    /// It must have ended so, and have said each of these in its error.
    #[track_caller]
    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in: {}", self.err);
        }
    }
}

/// Runs a command to its end in a folder, with nothing in its environment but this.
async fn run_in(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Said {
    let home = [("HOME", folder.to_str().unwrap())];
    let owned = home.iter().chain(env).map(|(name, value)| ((*name).into(), (*value).into()));
    let env: Vec<(String, String)> = owned.collect();
    let mut process = Process::start(env!("CARGO_BIN_EXE_dspyx"), args, &env, folder);
    let code = process.end(SOON).await.code();
    Said { code, out: process.out(), err: process.log() }
}

async fn run(args: &[&str], env: &[(&str, &str)]) -> Said {
    run_in(folder().path(), args, env).await
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A path in this repository.
fn ours(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The names under `Commands:` in a help text.
fn commands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|it| !it.is_empty());
    // A name is two blanks in; what is further in goes on with the line before.
    let names = lines.filter_map(|it| it.strip_prefix("  ").filter(|it| !it.starts_with(' ')));
    let names = names.filter_map(|it| it.split_whitespace().next());
    names.filter(|it| *it != "help").map(str::to_owned).collect()
}

#[tokio::test]
async fn every_command_says_what_it_does() {
    let top = run(&["--help"], &[]).await.worked();
    let mut open: Vec<Vec<String>> = commands(&top).into_iter().map(|it| vec![it]).collect();
    let mut seen = Vec::new();
    while let Some(command) = open.pop() {
        let args: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(&args, &[]).await.worked();
        let words = help.lines().next().unwrap_or_default().split_whitespace().count();
        assert!(words >= 3, "{command:?} does not say what it does: {help}");
        let usage = format!("Usage: dspyx {}", command.join(" "));
        assert!(help.contains(&usage), "{command:?}: {help}");
        open.extend(commands(&help).into_iter().map(|it| [&command[..], &[it]].concat()));
        seen.push(command.join(" "));
    }
    for known in ["demo", "serve", "api", "worker", "batch submit", "token create", "doctor"] {
        assert!(seen.iter().any(|it| it == known), "{known} is not among {seen:?}");
    }
}

#[tokio::test]
async fn help_teaches_by_examples() {
    assert!(run(&["--help"], &[]).await.worked().contains("Start here:"));
    for command in ["serve", "worker", "execute", "status", "doctor"] {
        let help = run(&[command, "--help"], &[]).await.worked();
        let (_, examples) = help.split_once("\nExamples:\n").unwrap();
        assert!(examples.contains(&format!("dspyx {command}")), "{command}: {examples}");
    }
}

#[tokio::test]
async fn without_a_command_help_is_shown() {
    run(&[], &[]).await.refused(USAGE, &["Usage: dspyx", "Start here:"]);
}

#[tokio::test]
async fn unknown_command_is_refused_with_the_nearest() {
    run(&["exceute"], &[]).await.refused(USAGE, &["exceute", "'execute'"]);
    run(&["serve", "--api-prot", "1"], &[]).await.refused(USAGE, &["--api-prot", "--api-port"]);
}

#[tokio::test]
async fn short_key_is_refused_and_not_shown() {
    let said = run(&["serve"], &[("SECRET_KEY", "hunter2"), ("API_PORT", "0")]).await;
    said.refused(USAGE, &["SECRET_KEY", "at least 32", "openssl rand -hex 32"]);
    assert!(!said.err.contains("hunter2"), "{}", said.err);
}

#[tokio::test]
async fn bad_value_is_named_with_what_is_allowed() {
    let wrong = [
        ("API_PORT", "http", "a whole number from 0 to 65535"),
        ("API_HOST", "nowhere", "an IP address"),
        ("MAX_WORKERS", "0", "from 1 to"),
        ("LEASE", "0s", "longer than 0s"),
        ("EXECUTION_TIMEOUT", "5y", "a duration such as"),
        ("CACHE_ENABLED", "maybe", "true or false"),
        ("QUEUE_NAME", "a b", "letters, digits"),
        ("LM_API_BASE", "localhost", "http://"),
        ("LOG_FORMAT", "xml", "text or json"),
        ("PIPELINE_LOG_LEVEL", "loud", "error, warn, info, debug or trace"),
    ];
    for (name, value, allowed) in wrong {
        let said = run(&["serve"], &[(name, value)]).await;
        said.refused(USAGE, &[name, &format!("`{value}`"), allowed]);
    }
}

#[tokio::test]
async fn password_of_a_bad_url_is_not_shown() {
    let said = run(&["worker"], &[("REDIS_URL", "http://user:hunter2@cache")]).await;
    said.refused(USAGE, &["REDIS_URL", "redis+cluster://"]);
    assert!(!said.err.contains("hunter2"), "{}", said.err);
}

#[tokio::test]
async fn flag_wins_over_environment() {
    let said = run(&["serve", "--api-port", "flag"], &[("API_PORT", "variable")]).await;
    said.refused(USAGE, &["--api-port is `flag`"]);
    assert!(!said.err.contains("variable"), "{}", said.err);
}

#[tokio::test]
async fn misspelt_setting_of_a_file_is_refused_with_the_nearest() {
    let folder = folder();
    fs::write(folder.path().join("c.toml"), "api_prot = 1").unwrap();

    let said = run_in(folder.path(), &["serve", "--config", "c.toml"], &[]).await;
    said.refused(USAGE, &["c.toml", "`api_prot`", "`api_port`"]);

    let said = run_in(folder.path(), &["serve", "--config", "none.toml"], &[]).await;
    said.refused(USAGE, &["none.toml"]);
}

#[tokio::test]
async fn every_value_is_shown_with_where_it_came_from() {
    let folder = folder();
    fs::write(folder.path().join("c.toml"), "api_port = 3\nmax_workers = 9").unwrap();
    let env = [("DSPYX_CONFIG", "c.toml"), ("API_PORT", "2"), ("SECRET_KEY", KEY)];

    let out = run_in(folder.path(), &["config", "--json"], &env).await.worked();

    let shown: Value = serde_json::from_str(&out).unwrap();
    let one = |name: &str| {
        let text = |part: &str| shown[name][part].as_str().unwrap().to_owned();
        format!("{} from {}", text("value"), text("origin"))
    };
    assert_eq!(one("API_PORT"), "2 from environment");
    assert_eq!(one("MAX_WORKERS"), "9 from file");
    assert_eq!(one("DATABASE_PATH"), "dspyx.db from default");
    assert_eq!(one("SECRET_KEY"), "(hidden) from environment");
    assert!(!out.contains(KEY), "{out}");
}

#[tokio::test]
async fn example_file_is_what_the_command_writes_and_can_be_read() {
    let written = run(&["config", "--example"], &[]).await.worked();
    assert_eq!(written, fs::read_to_string(ours("config.example.toml")).unwrap());

    let args = ["token", "create", "--config", &ours("config.example.toml")];
    run(&args, &[("SECRET_KEY", KEY)]).await.worked();
}

#[tokio::test]
async fn token_of_no_scope_or_no_time_is_refused() {
    let env = [("SECRET_KEY", KEY)];
    let said = run(&["token", "create", "--scope", "root"], &env).await;
    said.refused(USAGE, &["`root`", "execute, read, programs"]);
    let said = run(&["token", "create", "--expires", "0s"], &env).await;
    said.refused(USAGE, &["--expires", "longer than 0s"]);
}

#[tokio::test]
async fn check_of_no_programs_is_no_success() {
    let folder = folder();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let said = run_in(folder.path(), &["programs", "check", "empty"], &[]).await;
    said.refused(FAILED, &["no programs"]);
    run_in(folder.path(), &["programs", "check", "none"], &[]).await.refused(USAGE, &["none"]);
}
