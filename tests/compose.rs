//! What can be checked of `compose.yaml` and the Dockerfile without a container engine: that they
//! name settings, commands, files and ports that exist.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn dspyx(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_dspyx")).args(arguments).output().unwrap();
    assert!(run.status.success(), "dspyx {arguments:?}: {run:?}");
    String::from_utf8(run.stdout).unwrap()
}

fn settings() -> BTreeSet<String> {
    let shown: serde_json::Value = serde_json::from_str(&dspyx(&["config", "--json"])).unwrap();
    shown.as_object().unwrap().keys().cloned().collect()
}

/// The variables that a file gives to the program: capitals before a separator.
fn variables(text: &str, separator: char) -> BTreeSet<String> {
    let words = text.lines().filter_map(|line| line.trim().split_once(separator));
    let names = words.map(|(name, _)| name.trim_start_matches("ENV ").trim());
    let capital = |it: &&str| {
        it.len() > 2 && it.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())
    };
    names.filter(capital).map(str::to_owned).collect()
}

/// The lists of `key: [a, b]` of a YAML file.
fn lists<'a>(text: &'a str, key: &str) -> Vec<Vec<&'a str>> {
    let of_line = |line: &'a str| {
        let list = line.trim().strip_prefix(key)?.strip_prefix(": [")?.strip_suffix(']')?;
        Some(list.split(", ").collect())
    };
    text.lines().filter_map(of_line).collect()
}

#[test]
fn containers_set_only_what_can_be_set() {
    let known = settings();
    let model_keys = |name: &String| name.ends_with("_API_KEY");
    let compose = variables(&read("compose.yaml"), ':');
    let image = variables(&read("Dockerfile"), '=');

    assert!(compose.contains("REDIS_URL") && image.contains("API_HOST"), "{compose:?} {image:?}");
    for name in compose.union(&image) {
        assert!(known.contains(name) || model_keys(name), "{name} is no setting");
    }
}

#[test]
fn containers_run_commands_that_exist() {
    let compose = read("compose.yaml");
    let commands = lists(&compose, "command");
    assert_eq!(commands, [["api"], ["worker"]]);
    for command in commands {
        dspyx(&[command[0], "--help"]);
    }
    let checks = lists(&compose, "test");
    let own: Vec<_> = checks.iter().filter(|it| it[1] == "dspyx").collect();
    assert_eq!(own.len(), 2);
    for check in own {
        let help = dspyx(&[check[2], "--help"]);
        assert!(help.contains(check[3]), "{check:?}");
    }
}

#[test]
fn redis_keeps_what_was_accepted() {
    let compose = read("compose.yaml");
    assert!(compose.contains("--appendonly yes") && compose.contains("noeviction"));
}

#[test]
fn a_key_is_required() {
    assert!(read("compose.yaml").contains("${SECRET_KEY:?"));
    assert!(!read("Dockerfile").contains("SECRET_KEY="));
}

#[test]
fn image_is_made_of_files_that_exist() {
    let (image, ignored) = (read("Dockerfile"), read(".dockerignore"));
    let kept: Vec<&str> = ignored.lines().filter_map(|it| it.strip_prefix('!')).collect();
    for path in &kept {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path}");
    }
    for line in image.lines().filter(|it| it.starts_with("COPY ") && !it.contains("--from")) {
        let source = line.split(' ').nth(1).unwrap();
        let top = source.split('/').next().unwrap();
        assert!(source == "." || kept.contains(&top), "{line}");
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists(), "{line}");
    }
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    for member in members.iter().map(|it| it.as_str().unwrap()) {
        assert!(kept.contains(&member.split('/').next().unwrap()), "{member} is not in the image");
    }
}

#[test]
fn everybody_means_the_same_port() {
    let shown: serde_json::Value = serde_json::from_str(&dspyx(&["config", "--json"])).unwrap();
    let port = shown["API_PORT"]["value"].as_str().unwrap();
    assert!(read("Dockerfile").contains(&format!("EXPOSE {port}")));
    assert!(read("compose.yaml").contains(&format!("127.0.0.1:{port}:{port}")));
}

#[test]
fn image_runs_as_nobody_special() {
    let image = read("Dockerfile");
    let user = image.lines().rfind(|it| it.starts_with("USER "));
    assert_eq!(user, Some("USER 10001"));
}
