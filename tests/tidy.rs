//! Rules of the house that no compiler checks. A rule with an exception names it here.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES_MAX: usize = 400;
const LINE_CHARS_MAX: usize = 100;

/// Which crates of ours a crate may name in its `[dependencies]`: the picture of
/// `docs/architecture.md`.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("queue", &[]),
    ("dspy", &[]),
    ("programs", &["dspy"]),
    ("workers", &["queue", "programs", "dspy"]),
    ("api", &["queue", "programs"]),
    ("tests/support", &[]),
];

/// Outside crates that only some places may name.
const ONLY_IN: [(&str, &[&str]); 24] = [
    ("opentelemetry::", &["api/src/telemetry.rs", "workers/src/telemetry/", "src/traces/"]),
    ("opentelemetry_sdk::", &["src/traces/"]),
    ("opentelemetry_otlp::", &["src/traces/"]),
    ("rustix::", &["workers/src/python/"]),
    ("redis::", &["queue/src/redis/"]),
    ("deadpool_redis::", &["queue/src/redis/"]),
    ("rusqlite::", &["queue/src/sqlite/"]),
    ("axum::", &["api/"]),
    ("hyper::", &["api/"]),
    ("process_wrap::", &["workers/src/"]),
    (
        "reqwest::",
        &[
            "workers/src/gateway/",
            "workers/src/sources/",
            "workers/src/tools/",
            "workers/src/tracking/",
            "workers/src/webhooks/",
            "src/client.rs",
            "queue/src/objects.rs",
        ],
    ),
    ("object_store::", &["queue/src/objects.rs"]),
    ("flate2::", &["workers/src/sources/", "api/src/", "src/commands/batch/"]),
    ("foldhash::", &["workers/src/tracking/"]),
    ("csv::", &["src/commands/batch/"]),
    ("parquet::", &["src/commands/batch/"]),
    ("tar::", &["workers/src/sources/"]),
    ("rmcp::", &["workers/src/tools/"]),
    ("rustls::", &["workers/src/gateway/", "src/client.rs", "src/traces/", "queue/src/objects.rs"]),
    ("regex::", &["dspy/src/pattern.rs"]),
    ("unicode_ident::", &["dspy/src/python/unicode.rs"]),
    ("unicode_normalization::", &["dspy/src/python/unicode.rs"]),
    ("speedate::", &["dspy/src/types/"]),
    ("saphyr_parser::", &["programs/src/"]),
];

/// Only this file reads the environment.
const ENVIRONMENT: &str = "src/config.rs";

/// Words that stand for work not done.
const UNDONE: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

#[test]
fn files_are_small_and_lines_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!("{}: {lines} lines", path.display()));
        }
        let long = (1..).zip(text.lines()).filter(|(_, it)| it.chars().count() > LINE_CHARS_MAX);
        wrong.extend(long.map(|(number, _)| format!("{}:{number}: long line", path.display())));
    }
    assert_none(&wrong);
}

#[test]
fn files_say_what_they_are_for() {
    let without = sources().filter(|(_, text)| !text.starts_with("//! "));
    assert_none(&without.map(|(path, _)| path.display().to_string()).collect::<Vec<_>>());
}

#[test]
fn crates_use_only_crates_below() {
    let all: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in MAY_USE {
        let used = dependencies(&root().join(name).join("Cargo.toml"), "dependencies");
        for other in all.iter().filter(|it| used.contains(**it)) {
            assert!(allowed.contains(other), "`{name}` uses `{other}`");
        }
    }
}

#[test]
fn outside_crates_have_one_home() {
    let mut wrong = Vec::new();
    for (path, text) in sources().filter(|(path, _)| !is_test(path)) {
        for (name, homes) in ONLY_IN {
            let used = code(&text).any(|line| names(line, name));
            if used && !homes.iter().any(|home| path.starts_with(home)) {
                wrong.push(format!("{} names `{name}`", path.display()));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn one_file_reads_the_environment() {
    let reads = |text: &str| code(text).any(|it| it.contains("env::var(") || names(it, "var_os("));
    let others = sources()
        .filter(|(path, text)| !is_test(path) && path != Path::new(ENVIRONMENT) && reads(text));
    assert_none(&others.map(|(path, _)| path.display().to_string()).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    let mut files = Vec::new();
    for folder in ["src", "queue", "dspy", "programs", "workers", "api", "tests", "docs", "scripts"]
    {
        walk(&root().join(folder), &mut files);
    }
    files.extend(["README.md", "CHANGELOG.md"].map(|it| root().join(it)));
    let written = ["rs", "lua", "sql", "md", "sh", "py", "html"];
    files.retain(|path| path.extension().is_none_or(|it| written.iter().any(|ours| it == *ours)));
    let undone = files.into_iter().filter(|path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        UNDONE.iter().any(|word| text.split(|c: char| !c.is_alphanumeric()).any(|it| it == *word))
    });
    assert_none(&undone.map(|path| path.display().to_string()).collect::<Vec<_>>());
}

#[test]
fn readme_begins_with_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, block) = readme.split_once("```bash\n").unwrap();
    let commands: Vec<&str> = block.lines().take_while(|it| !it.starts_with("```")).collect();
    assert_eq!(commands, ["cargo run --release -- demo", "./scripts/test"]);
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for link in links(&text) {
            let (file, _anchor) = link.split_once('#').unwrap_or((link, ""));
            if !file.is_empty() && !path.parent().unwrap().join(file).exists() {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_dependency_has_a_reason() {
    let reasons = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let named: BTreeSet<&str> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("- ").map(|it| it.split(": ").next().unwrap_or(it)))
        .flat_map(|heads| heads.split(", ").map(|it| it.trim_matches('`')))
        .collect();
    let ours = ["queue", "dspy", "programs", "workers", "api", "testkit"];
    let mut used = BTreeSet::new();
    for folder in [""].into_iter().chain(MAY_USE.map(|(name, _)| name)) {
        let manifest = root().join(folder).join("Cargo.toml");
        used.extend(dependencies(&manifest, "dependencies"));
        used.extend(dependencies(&manifest, "dev-dependencies"));
    }
    let used: BTreeSet<&str> = used.iter().map(String::as_str).collect();
    let expected: BTreeSet<&str> = used.into_iter().filter(|it| !ours.contains(it)).collect();
    assert_eq!(named, expected, "docs/dependencies.md against the manifests");
}

#[test]
fn every_setting_is_in_the_documents() {
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let example = fs::read_to_string(root().join("config.example.toml")).unwrap();
    let keys = example.lines().filter_map(|line| {
        let (key, _) = line.trim_start_matches("# ").split_once(" = ")?;
        (!key.contains(' ')).then(|| key.to_ascii_uppercase())
    });
    let missing = keys.filter(|it| !operations.contains(&format!("| `{it}` |")));
    assert_none(&missing.collect::<Vec<_>>());
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The crates that a manifest names in a section.
fn dependencies(manifest: &Path, section: &str) -> BTreeSet<String> {
    let table: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    let section = table.get(section).and_then(toml::Value::as_table);
    section.into_iter().flat_map(|it| it.keys().cloned()).collect()
}

/// The lines that are no comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

/// Whether a line names an outside crate, and not a module of ours that ends alike.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    })
}

/// Whether a file holds tests only: those may start what they need.
fn is_test(path: &Path) -> bool {
    path.components().any(|it| it.as_os_str() == "tests")
        || path.file_name().is_some_and(|it| it == "tests.rs")
}

/// The targets of a document's links into this repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|it| it.split(')').next());
    targets.filter(|it| !it.contains("://") && !it.starts_with("mailto:"))
}

fn documents() -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&root().join("docs"), &mut files);
    files.retain(|path| path.extension().is_some_and(|it| it == "md"));
    files.extend([root().join("README.md"), root().join("CHANGELOG.md")]);
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Our Rust files, by their paths from the root.
fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["queue", "dspy", "programs", "workers", "api", "src", "tests"] {
        walk(&root().join(folder), &mut files);
    }
    files.retain(|path| path.extension().is_some_and(|it| it == "rs"));
    files.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_owned(), text)
    })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}
