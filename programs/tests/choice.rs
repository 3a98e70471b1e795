//! Of several signatures, a request may choose one: `name#signature`.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::fs;

use dspy::Fields;
use programs::{Error, Registry, Runtime};
use tempfile::TempDir;

/// A registry of files.
fn registry(files: &[(&str, &str)]) -> (TempDir, Registry) {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let registry = Registry::load(folder.path());
    assert_eq!(registry.problems(), []);
    (folder, registry)
}

fn two(version: &str, one: &str, other: &str) -> String {
    format!(
        "name: mail\nversion: {version}\nsignatures:\n  {one}: {{inputs: [a], outputs: [b]}}\n  \
         {other}: {{inputs: [b], outputs: [c]}}\n"
    )
}

fn first_input(registry: &Registry, id: &str) -> String {
    let program = registry.get(id).unwrap_or_else(|e| panic!("{e}"));
    let Runtime::Native(module) = &program.runtime else { panic!("{id} is not native") };
    module.signature().inputs[0].name.clone()
}

#[test]
fn a_request_names_the_signature_that_it_wants() {
    let (_folder, registry) = registry(&[("a.yaml", &two("1.0", "draft", "revise"))]);

    for (id, input) in [
        ("mail#draft", "a"),
        ("mail#revise", "b"),
        ("mail#revise@1.0", "b"),
        ("mail@1.0#revise", "b"),
    ] {
        assert_eq!(first_input(&registry, id), input, "{id}");
    }
    assert_eq!(registry.get("mail#draft").unwrap().pinned(), "mail#draft@1.0");
    let listed: Vec<String> = registry.list().iter().map(|it| it.pinned()).collect();
    assert_eq!(listed, ["mail#draft@1.0", "mail#revise@1.0"]);
}

#[test]
fn without_a_choice_the_choices_are_told() {
    let (_folder, registry) = registry(&[("a.yaml", &two("1.0", "draft", "revise"))]);

    let told = "mail has several signatures, and none that runs by itself; name one: mail#draft, \
                mail#revise";
    assert_eq!(registry.get("mail").unwrap_err().to_string(), told);
    let missing = registry.get("mail#send").unwrap_err();
    assert_eq!(missing, Error::NotFound("mail#send".to_owned()));
}

#[test]
fn main_runs_by_itself_and_the_others_by_choice() {
    let (_folder, registry) = registry(&[("a.yaml", &two("1.0", "draft", "main"))]);

    assert_eq!(first_input(&registry, "mail"), "b");
    assert_eq!(first_input(&registry, "mail#draft"), "a");
    let listed: Vec<String> = registry.list().iter().map(|it| it.pinned()).collect();
    assert_eq!(listed, ["mail@1.0"]);
}

#[test]
fn a_choice_is_of_the_newest_version_only() {
    let (_folder, registry) = registry(&[
        ("a.yaml", &two("1.0", "draft", "revise")),
        ("b.yaml", &two("2.0", "draft", "send")),
    ]);

    assert_eq!(registry.get("mail#draft").unwrap().version, "2.0");
    assert!(registry.get("mail#revise").is_err());
    assert_eq!(registry.get("mail#revise@1.0").unwrap().version, "1.0");
}

#[test]
fn two_choices_are_never_one_request() {
    let (_folder, registry) = registry(&[("a.yaml", &two("1.0", "draft", "main"))]);

    let of = |id: &str| registry.get(id).unwrap().fingerprint(&Fields::new(), &Fields::new());

    assert_ne!(of("mail"), of("mail#draft"));
}
