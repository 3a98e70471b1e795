//! The registry: what is found under which name, and what a changed folder changes.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod fleet;

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use programs::{Error, Fetched, Registry, Reload};
use tempfile::TempDir;

/// A program file.
fn text(name: &str, version: &str, field: &str) -> String {
    format!(
        "name: {name}\nversion: {version}\nsignatures: {{main: {{inputs: [{field}], \
         outputs: [b]}}}}\n"
    )
}

fn write(folder: &TempDir, file: &str, text: &str) {
    fs::write(folder.path().join(file), text).unwrap();
}

fn folder(files: &[(&str, &str)]) -> (TempDir, Registry) {
    let folder = TempDir::new().unwrap();
    for (file, text) in files {
        write(&folder, file, text);
    }
    let registry = Registry::load(folder.path());
    (folder, registry)
}

fn kept(id: &str, text: &str) -> (String, String) {
    (id.to_owned(), text.to_owned())
}

/// Takes in what was registered.
fn keep(registry: &Registry, programs: &[(String, String)]) -> Reload {
    registry.keep(registry.known(), programs, &[], 1).unwrap()
}

fn changes(reload: &Reload) -> [Vec<&str>; 3] {
    [&reload.added, &reload.changed, &reload.removed]
        .map(|ids| ids.iter().map(String::as_str).collect())
}

fn version_of(registry: &Registry, id: &str) -> String {
    registry.get(id).map_or_else(|e| e.to_string(), |it| it.version.clone())
}

fn first_input(registry: &Registry, id: &str) -> String {
    registry.get(id).unwrap().manifest().signatures[0].inputs[0].name.clone()
}

/// Makes a file look as if it was written long ago, so that its stamp is trusted.
fn age(path: &Path) -> SystemTime {
    let before = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
    before
}

#[test]
fn the_newest_version_is_meant_when_none_is_named() {
    let (_folder, registry) = folder(&[
        ("a.yaml", &text("x", "1.9.0", "a")),
        ("b.yaml", &text("x", "1.10.0", "a")),
        ("c.json", r#"{"name":"y","signatures":{"m":{"inputs":["a"],"outputs":["b"]}}}"#),
    ]);

    assert_eq!(version_of(&registry, "x"), "1.10.0");
    assert_eq!(version_of(&registry, "x@1.9.0"), "1.9.0");
    assert_eq!(version_of(&registry, "y"), "1.0.0");
    let listed: Vec<String> = registry.list().iter().map(|it| it.pinned()).collect();
    assert_eq!(listed, ["x@1.10.0", "x@1.9.0", "y@1.0.0"]);
}

#[test]
fn an_unknown_program_is_told_in_the_words_of_the_documents() {
    let (_folder, registry) = folder(&[("a.yaml", &text("x", "1.0.0", "a"))]);

    for id in ["invalid-program", "x@2", "x@", "", "@", "../a"] {
        let error = registry.get(id).unwrap_err();
        assert_eq!(error, Error::NotFound(id.to_owned()));
        assert_eq!(error.to_string(), format!("Model {id} not found in registry"));
    }
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let (folder, registry) = folder(&[
        ("bad.yaml", "name: x\nsignatures:\n  main: {inputs: [a], outputs: [b], modul: x}\n"),
        ("good.yaml", &text("good", "1.0.0", "a")),
        ("notes.txt", "not a program"),
        (".hidden.yaml", "not: a program"),
    ]);
    fs::write(folder.path().join("binary.yaml"), b"name: x\nab\xff").unwrap();

    registry.reload();

    assert_eq!(version_of(&registry, "good"), "1.0.0");
    let problems = registry.problems();
    assert_eq!(problems.len(), 2);
    assert_eq!((problems[0].line, problems[0].column), (Some(3), Some(37)));
    assert_eq!(problems[0].key, "signatures.main.modul");
    assert!(problems[0].origin.ends_with("bad.yaml"));
    assert_eq!(problems[1].problem, "is not UTF-8 here");
    assert_eq!((problems[1].line, problems[1].column), (Some(2), Some(3)));
}

#[test]
fn a_folder_may_hold_a_program() {
    let (folder, registry) = folder(&[]);
    fs::create_dir(folder.path().join("mail")).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let nameless = "signatures: {main: {inputs: [a], outputs: [b]}}";
    fs::write(folder.path().join("mail/program.yaml"), nameless).unwrap();

    let reload = registry.reload();

    assert_eq!(changes(&reload), [vec!["mail@1.0.0"], vec![], vec![]]);
}

#[test]
fn a_missing_folder_is_a_problem_and_may_come_later() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("programs");
    let registry = Registry::load(&path);

    let problem = registry.problems()[0].to_string();
    assert!(problem.contains("the folder of programs does not exist; make it, or set"));
    fs::create_dir(&path).unwrap();
    fs::write(path.join("x.yaml"), text("x", "1.0.0", "a")).unwrap();

    assert_eq!(changes(&registry.reload()), [vec!["x@1.0.0"], vec![], vec![]]);
    assert_eq!(registry.problems(), []);
}

#[test]
fn a_folder_that_goes_away_takes_nothing_with_it() {
    let (folder, registry) = folder(&[("a.yaml", &text("x", "1.0.0", "a"))]);
    fs::remove_dir_all(folder.path()).unwrap();

    let reload = registry.reload();

    assert!(!reload.is_change());
    assert_eq!(reload.problems.len(), 1);
    assert_eq!(version_of(&registry, "x"), "1.0.0");
}

#[test]
fn a_reload_tells_what_is_new_other_and_gone() {
    let (folder, registry) =
        folder(&[("a.yaml", &text("a", "1.0.0", "x")), ("b.yaml", &text("b", "1.0.0", "x"))]);
    assert!(!registry.reload().is_change());
    write(&folder, "a.yaml", &text("a", "1.0.0", "y"));
    write(&folder, "c.yaml", &text("c", "1.0.0", "x"));
    fs::remove_file(folder.path().join("b.yaml")).unwrap();

    let reload = registry.reload();

    assert_eq!(changes(&reload), [vec!["c@1.0.0"], vec!["a@1.0.0"], vec!["b@1.0.0"]]);
    assert_eq!(first_input(&registry, "a"), "y");
    assert!(!registry.reload().is_change());
}

#[test]
fn an_old_file_with_its_stamp_unchanged_is_not_read_again() {
    let (folder, registry) = folder(&[("a.yaml", &text("a", "1.0.0", "x"))]);
    let path = folder.path().join("a.yaml");
    let modified = age(&path);
    registry.reload();
    let before = registry.get("a").unwrap();
    write(&folder, "a.yaml", &text("a", "1.0.0", "y"));
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();

    assert!(!registry.reload().is_change());
    assert!(Arc::ptr_eq(&before, &registry.get("a").unwrap()));
}

#[test]
fn a_file_written_twice_within_one_tick_of_the_clock_is_seen() {
    let (folder, registry) = folder(&[("a.yaml", &text("a", "1.0.0", "x"))]);
    let path = folder.path().join("a.yaml");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    write(&folder, "a.yaml", &text("a", "1.0.0", "y"));
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();

    let reload = registry.reload();

    assert_eq!(reload.changed, ["a@1.0.0"]);
}

#[test]
fn a_file_that_goes_bad_leaves_its_program_in_use() {
    let (folder, registry) = folder(&[("a.yaml", &text("a", "1.0.0", "x"))]);
    write(&folder, "a.yaml", "name: a\nsignatures: [\n");

    let reload = registry.reload();

    assert!(!reload.is_change());
    let fix = &reload.problems[0].fix;
    assert!(fix.ends_with("(a@1.0.0 as it was before stays in use)"), "{fix}");
    assert_eq!(first_input(&registry, "a"), "x");
    write(&folder, "a.yaml", &text("a", "1.0.0", "y"));
    assert_eq!(registry.reload().problems, []);
    assert_eq!(first_input(&registry, "a"), "y");
}

#[test]
fn two_files_of_one_id_and_version_are_a_problem() {
    let (_folder, registry) =
        folder(&[("a.yaml", &text("x", "1.0.0", "a")), ("b.yaml", &text("x", "1.0.0", "c"))]);

    assert_eq!(first_input(&registry, "x"), "a");
    let problem = &registry.problems()[0];
    assert!(problem.origin.ends_with("b.yaml"));
    assert!(problem.problem.starts_with("x@1.0.0 is already in "), "{problem}");
    assert!(problem.problem.ends_with("a.yaml"), "{problem}");
}

#[test]
fn each_clone_hears_that_programs_changed() {
    let (folder, registry) = folder(&[("a.yaml", &text("a", "1.0.0", "x"))]);
    let (other, before) = (registry.clone(), registry.changes());

    other.reload();
    assert_eq!(registry.changes(), before, "nothing did");
    write(&folder, "b.yaml", &text("b", "1.0.0", "x"));
    other.reload();

    assert_eq!(registry.changes(), before + 1);
}

#[test]
fn clearing_forgets_and_reads_again() {
    let (_folder, registry) = folder(&[("a.yaml", &text("a", "1.0.0", "x"))]);
    keep(&registry, &[kept("b", &text("b", "1.0.0", "x"))]);
    let before = registry.get("a").unwrap();

    assert_eq!(registry.clear(), 2);

    assert!(!Arc::ptr_eq(&before, &registry.get("a").unwrap()));
    assert_eq!(before, registry.get("a").unwrap());
    assert_eq!(version_of(&registry, "b"), "1.0.0");
}

#[test]
fn clones_are_one_registry() {
    let (folder, registry) = folder(&[]);
    let other = registry.clone();
    write(&folder, "a.yaml", &text("a", "1.0.0", "x"));

    registry.reload();

    assert_eq!(version_of(&other, "a"), "1.0.0");
}

const ELSEWHERE: &str = "name: qa\nsource: 'mlflow:models:/qa@champion'\n";

#[test]
fn what_was_fetched_is_part_of_what_a_program_is() {
    let (folder, registry) = folder(&[("qa.yaml", ELSEWHERE)]);
    let before = registry.get("qa").unwrap();
    let fetched = |revision: &str| Fetched {
        revision: revision.to_owned(),
        folder: folder.path().to_owned(),
        hold: Arc::new(File::open(folder.path()).unwrap()),
    };

    registry.place(before.elsewhere().unwrap(), Some(fetched("models:/qa/1")));
    let first = registry.get("qa").unwrap();
    registry.place(before.elsewhere().unwrap(), Some(fetched("models:/qa/2")));
    let second = registry.get("qa").unwrap();

    assert!(!before.is_settled() && first.is_settled());
    assert_eq!(second.manifest().revision.as_deref(), Some("models:/qa/2"));
    assert_eq!(second.manifest().source.as_deref(), Some("mlflow:models:/qa@champion"));
    assert!(before.digest != first.digest && first.digest != second.digest);
}

#[test]
fn a_file_from_elsewhere_is_a_program_like_those_of_the_folder() {
    let (_folder, registry) = folder(&[("a.yaml", &text("a", "1.0.0", "x"))]);
    let elsewhere = TempDir::new().unwrap();
    write(&elsewhere, "b.yaml", &text("b", "1.0.0", "x"));
    write(&elsewhere, "a.yaml", &text("a", "1.0.0", "y"));
    write(&elsewhere, "bad.yaml", "name: bad\nsignature: 7\n");
    let add = |name: &str| registry.add(&elsewhere.path().join(name));

    assert_eq!(add("b.yaml").unwrap().id, "b");
    assert_eq!(add("a.yaml").unwrap().id, "a");
    assert_eq!(first_input(&registry, "a"), "y");
    assert!(add("bad.yaml").is_err() && add("none.yaml").is_err());

    write(&elsewhere, "b.yaml", &text("b", "2.0.0", "x"));
    registry.reload();
    assert_eq!(version_of(&registry, "b"), "2.0.0");
    registry.clear();
    assert_eq!(version_of(&registry, "b"), "2.0.0");
}

#[test]
fn added_file_that_is_broken_leaves_its_program_and_one_that_is_deleted_does_not() {
    let (_folder, registry) = folder(&[]);
    let elsewhere = TempDir::new().unwrap();
    let path = elsewhere.path().join("b.yaml");
    write(&elsewhere, "b.yaml", &text("b", "1.0.0", "x"));
    registry.add(&path).unwrap();

    write(&elsewhere, "b.yaml", "name: b\nsignature: 7\n");
    assert!(registry.add(&path).is_err());
    assert_eq!(first_input(&registry, "b"), "x");

    fs::remove_file(&path).unwrap();
    registry.reload();
    assert!(registry.get("b").is_err());
}

#[test]
fn of_two_added_files_with_one_id_the_second_is_refused() {
    let (_folder, registry) = folder(&[]);
    let elsewhere = TempDir::new().unwrap();
    write(&elsewhere, "b.yaml", &text("a", "1.0.0", "x"));
    write(&elsewhere, "a.yaml", &text("a", "1.0.0", "y"));

    registry.add(&elsewhere.path().join("b.yaml")).unwrap();
    let why = registry.add(&elsewhere.path().join("a.yaml")).unwrap_err().to_string();

    assert!(why.contains("already in"), "{why}");
    assert_eq!(first_input(&registry, "a"), "x");
}
