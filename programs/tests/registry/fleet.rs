//! What a fleet shares through its store: registered programs, and what workers found out.

use std::{fs::File, sync::Arc};

use programs::{Fetched, Registry};
use serde_json::json;

use super::{ELSEWHERE, changes, first_input, folder, keep, kept, text, version_of};

#[test]
fn a_registered_program_wins_over_files_of_its_id() {
    let (_folder, registry) =
        folder(&[("1.yaml", &text("x", "1.0.0", "a")), ("2.yaml", &text("x", "2.0.0", "a"))]);

    let reload = keep(&registry, &[kept("x", &text("x", "1.0.0", "sent"))]);

    assert_eq!(changes(&reload), [vec![], vec!["x@1.0.0"], vec![]]);
    assert_eq!(first_input(&registry, "x"), "sent");
    assert_eq!(first_input(&registry, "x@1.0.0"), "sent");
    assert_eq!(first_input(&registry, "x@2.0.0"), "a");
    assert_eq!(registry.problems(), []);
    keep(&registry, &[]);
    assert_eq!(version_of(&registry, "x"), "2.0.0");
    assert_eq!(first_input(&registry, "x@1.0.0"), "a");
}

#[test]
fn a_reading_of_the_store_does_not_replace_one_that_was_taken_in_since() {
    let (_folder, registry) = folder(&[]);
    let (before, one) = (registry.known(), kept("one", &text("one", "1.0.0", "x")));
    let both = [one.clone(), kept("two", &text("two", "1.0.0", "x"))];

    registry.keep(registry.known(), &both, &[], 2).unwrap();

    assert_eq!((before.epoch, registry.known().epoch), (None, Some(2)));
    assert!(registry.keep(before, &[one], &[], 1).is_none(), "read before, and come after");
    assert_eq!(version_of(&registry, "two"), "1.0.0");
    assert_eq!(registry.known().epoch, Some(2));
    let reset = registry.keep(registry.known(), &[], &[], 0);
    assert_eq!(reset.unwrap().removed.len(), 2, "a store may begin anew");
}

#[test]
fn a_registered_text_that_is_kept_again_is_not_parsed_again() {
    let (_folder, registry) = folder(&[]);
    let programs = [kept("x", &text("x", "1.0.0", "a"))];
    keep(&registry, &programs);
    let before = registry.get("x").unwrap();

    assert!(!keep(&registry, &programs).is_change());
    assert!(Arc::ptr_eq(&before, &registry.get("x").unwrap()));
}

#[test]
fn a_registered_text_of_another_id_is_a_problem() {
    let (_folder, registry) = folder(&[]);

    let reload = keep(&registry, &[kept("x", &text("y", "1.0.0", "a"))]);

    let told = "x: is registered as x, but says that it is y@1.0.0; register it under its own id";
    assert_eq!(reload.problems[0].to_string(), told);
    assert_eq!(registry.list(), []);
}

#[test]
fn what_a_worker_fetched_is_known_to_those_who_fetch_nothing() {
    let (folder, worker) = folder(&[("qa.yaml", ELSEWHERE)]);
    let api = Registry::load(folder.path());
    let hold = Arc::new(File::open(folder.path()).unwrap());
    let fetched = Fetched { revision: "1".to_owned(), folder: folder.path().to_owned(), hold };
    worker.place(worker.get("qa").unwrap().elsewhere().unwrap(), Some(fetched));
    let theirs = worker.get("qa").unwrap();
    let finding = |digest: &str, revision: &str| {
        let text = json!({ "digest": digest, "revision": revision }).to_string();
        vec![(theirs.pinned(), text)]
    };

    api.keep(api.known(), &[], &finding(&theirs.digest, "1"), 1).unwrap();
    let ours = api.get("qa").unwrap();
    api.keep(api.known(), &[], &finding(&theirs.digest, "2"), 2).unwrap();
    let of_another = api.get("qa").unwrap();

    assert_eq!((ours.revision(), &ours.digest), (Some("1"), &theirs.digest));
    assert_eq!((of_another.revision(), of_another.is_settled()), (None, false));
}
