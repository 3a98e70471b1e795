//! What can be checked of `compose.yaml` and the Dockerfile without a container engine: that they
//! name settings, commands, files and ports that exist.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
    process::Command,
};

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value, json};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn dspyx(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_dspyx")).args(arguments).output().unwrap();
    assert!(run.status.success(), "dspyx {arguments:?}: {run:?}");
    String::from_utf8(run.stdout).unwrap()
}

fn settings() -> BTreeSet<String> {
    let shown: Value = serde_json::from_str(&dspyx(&["config", "--json"])).unwrap();
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

/// A YAML file as an engine reads it, with its anchors and merges.
fn yaml(text: &str) -> Value {
    let mut open: Vec<(usize, Vec<Value>, bool)> = vec![(0, Vec::new(), false)];
    let mut anchors = HashMap::new();
    for event in Parser::new_from_str(text) {
        let (anchor, done) = match event.unwrap().0 {
            Event::Scalar(text, _, anchor, _) => (anchor, json!(text)),
            Event::Alias(anchor) => (0, Value::clone(&anchors[&anchor])),
            Event::SequenceStart(anchor, _) => {
                open.push((anchor, Vec::new(), false));
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push((anchor, Vec::new(), true));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (anchor, parts, is_map) = open.pop().unwrap();
                (anchor, if is_map { mapping(&parts) } else { Value::Array(parts) })
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => continue,
        };
        if anchor != 0 {
            anchors.insert(anchor, done.clone());
        }
        open.last_mut().unwrap().1.push(done);
    }
    open.remove(0).1.remove(0)
}

/// Keys and values in turn; those of `<<` come first, so that the others win.
fn mapping(parts: &[Value]) -> Value {
    let mut all = Map::new();
    let mut own = BTreeSet::new();
    for pair in parts.chunks(2).filter(|it| it[0] == "<<") {
        all.extend(pair[1].as_object().unwrap().clone());
    }
    for pair in parts.chunks(2).filter(|it| it[0] != "<<") {
        let key = pair[0].as_str().unwrap().to_owned();
        assert!(own.insert(key.clone()), "`{key}` is there twice");
        all.insert(key, pair[1].clone());
    }
    Value::Object(all)
}

#[test]
fn compose_file_starts_a_redis_an_api_and_two_workers() {
    let services = yaml(&read("compose.yaml"))["services"].clone();
    let names: Vec<&String> = services.as_object().unwrap().keys().collect();
    assert_eq!(names, ["redis", "api", "worker"]);
    assert_eq!(services["worker"]["deploy"]["replicas"], "2");
    for name in ["api", "worker"] {
        let service = &services[name];
        assert_eq!(service["command"], json!([name]));
        assert_eq!(service["depends_on"]["redis"]["condition"], "service_healthy");
        assert_eq!(service["environment"]["REDIS_URL"], "redis://redis:6379");
        assert!(
            service["environment"]["SECRET_KEY"].as_str().unwrap().starts_with("${SECRET_KEY:?")
        );
        let folder = service["environment"]["PROGRAMS_DIR"].as_str().unwrap();
        assert_eq!(service["volumes"], json!([format!("./examples/programs:{folder}:ro")]));
    }
    assert_eq!(services["api"]["environment"]["API_HOST"], "0.0.0.0");
    for service in services.as_object().unwrap().values() {
        assert_eq!(service["healthcheck"]["test"][0], "CMD", "{service:#}");
    }
}

/// Where there is an engine's client, it is asked too; it needs no engine for that.
#[test]
fn compose_itself_has_nothing_to_object() {
    let docker = |arguments: &[&str]| {
        let mut command = Command::new("docker");
        command.arg("compose").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("SECRET_KEY", "0123456789abcdef0123456789abcdef").output()
    };
    if docker(&["version"]).is_ok_and(|it| it.status.success()) {
        let checked = docker(&["config", "--quiet"]).unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
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
    let shown: Value = serde_json::from_str(&dspyx(&["config", "--json"])).unwrap();
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
