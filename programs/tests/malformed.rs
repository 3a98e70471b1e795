//! What a malformed file is told: `malformed/NAME.yaml` and the message in `malformed/NAME.txt`.

use std::{fs, path::PathBuf};

use programs::Registry;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/malformed")
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_fix() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|it| it.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    let mut wrong = Vec::new();

    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let told = match Registry::read(path) {
            Ok(_) => "loads".to_owned(),
            Err(error) => error.to_string().replace(&format!("{}/", folder().display()), ""),
        };
        let wanted = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if told != wanted.trim_end() {
            wrong.push(format!("{name}\n  is told:  {told}\n  expected: {wanted}"));
        }
    }

    assert!(files.len() > 60, "only {} files found", files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
