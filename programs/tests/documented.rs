//! Every key that the reader knows is in the reference of the program file.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts in quotes of a piece of code.
fn quoted(code: &str) -> impl Iterator<Item = String> + '_ {
    code.split('"').skip(1).step_by(2).map(str::to_owned)
}

/// The pieces of a source that begin after a mark, up to an end.
fn pieces<'a>(source: &'a str, mark: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    source.split(mark).skip(1).filter_map(move |it| it.split(end).next())
}

/// What a source passes as known keys: its tables of keys, and the lists given to `table`.
fn keys(source: &str) -> BTreeSet<String> {
    let tables = pieces(source, "KEYS: [&str; ", "];").map(|it| it.split_once('=').unwrap().1);
    let given = pieces(source, "table(&[", "]");
    tables.chain(given).flat_map(quoted).collect()
}

#[test]
fn every_key_is_in_the_reference() {
    let reference = fs::read_to_string(root().join("../docs/programs.md")).unwrap();
    let words: BTreeSet<&str> =
        reference.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut known = BTreeSet::new();
    for entry in fs::read_dir(root().join("src/file")).unwrap() {
        known.extend(keys(&fs::read_to_string(entry.unwrap().path()).unwrap()));
    }

    assert!(known.len() > 90, "only {} keys were found", known.len());
    let missing: Vec<&String> = known.iter().filter(|it| !words.contains(it.as_str())).collect();
    assert!(missing.is_empty(), "docs/programs.md lacks {missing:?}");
}
