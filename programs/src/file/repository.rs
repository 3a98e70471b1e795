//! A repository that a program's code is in: of the Hugging Face hub, or of GitHub.

use std::path::{Component, Path};

use super::spot::{Spot, Table};
use crate::{LoadError, Repository};

/// A place for repositories, by what differs.
pub(super) struct Host {
    /// The key that names the repository.
    pub(super) name: &'static str,
    /// The key that names the file or folder.
    pub(super) path: &'static [&'static str],
    /// Words by which the names of its variables are known.
    variables: &'static [&'static str],
}

pub(super) const HUGGING_FACE: Host = Host {
    name: "repo_id",
    path: &["path", "filename"],
    variables: &["HF", "HUGGING", "HUGGINGFACE"],
};

pub(super) const GITHUB: Host =
    Host { name: "repo", path: &["path"], variables: &["GITHUB", "GH"] };

/// The longest name of a revision.
const REVISION_MAX: usize = 200;

/// Where in which repository the code is.
pub(super) fn read(table: &Table<'_>, host: &Host) -> Result<Repository, LoadError> {
    let path = table.one_of(host.path)?;
    let module = table.get("module_path");
    if let (Some(_), Some(module)) = (&path, &module) {
        return Err(module.fail("is given beside a path", "remove one of them"));
    }
    let is_state = |it: &&Spot<'_>| {
        it.text().is_ok_and(|it| Path::new(it).extension().is_some_and(|it| it == "json"))
    };
    if let Some(spot) = path.as_ref().filter(is_state) {
        let fix = "name its code here, and it in `state`; without code of its own, write it as a \
                   native program whose `state` it is";
        return Err(spot.fail("is a saved state, which holds no code", fix));
    }
    let word = |it: Option<Spot<'_>>| it.map(|it| it.word().map(str::to_owned)).transpose();
    Ok(Repository {
        name: name(&table.need(host.name, "write `owner/name`")?)?,
        path: path.map(|it| inside(&it)).transpose()?,
        module_path: word(module)?,
        class_name: word(table.get("class_name"))?,
        state: table.get("state").map(|it| inside(&it)).transpose()?,
        revision: table.get("revision").map(|it| revision(&it)).transpose()?,
        token_env: table.get("token_env").map(|it| variable(&it, host)).transpose()?,
    })
}

fn name(spot: &Spot<'_>) -> Result<String, LoadError> {
    let text = spot.word()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_part = |it: &str| !matches!(it, "" | "." | "..") && it.chars().all(fits);
    match text.split_once('/') {
        Some((owner, name)) if is_part(owner) && is_part(name) => Ok(text.to_owned()),
        _ => Err(spot.fail(format!("`{text}` is no repository"), "write `owner/name`")),
    }
}

/// A path that stays in the repository.
fn inside(spot: &Spot<'_>) -> Result<String, LoadError> {
    let text = spot.text()?;
    let is_inside = |it: Component<'_>| matches!(it, Component::Normal(_) | Component::CurDir);
    if text.is_empty() || !Path::new(text).components().all(is_inside) {
        let fix = "name it by its path from the root of the repository";
        return Err(spot.fail(format!("`{text}` leads out of the repository"), fix));
    }
    Ok(text.trim_start_matches("./").trim_end_matches('/').to_owned())
}

/// A branch, a tag or a commit; tags and branches may have slashes in their names.
fn revision(spot: &Spot<'_>) -> Result<String, LoadError> {
    let text = spot.word()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./+#=,".contains(c);
    let is_name = !text.is_empty()
        && text.len() <= REVISION_MAX
        && text.chars().all(fits)
        && text.split('/').all(|it| !matches!(it, "" | "." | ".."));
    if is_name {
        return Ok(text.to_owned());
    }
    Err(spot.fail(format!("`{text}` is no revision"), "write a branch, a tag or a commit"))
}

/// A variable that is made to hold tokens of this host: its value is sent there.
fn variable(spot: &Spot<'_>, host: &Host) -> Result<String, LoadError> {
    let text = spot.word()?;
    let is_variable =
        text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if is_variable && text.split('_').any(|it| host.variables.contains(&it)) {
        return Ok(text.to_owned());
    }
    let first = host.variables.first().unwrap_or(&"");
    let fix = format!("name one that has `{first}` in its name, as in `{first}_TOKEN`");
    Err(spot.fail("this is no name of an environment variable for tokens of this host", fix))
}
