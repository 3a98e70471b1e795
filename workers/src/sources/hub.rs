//! Repositories of the Hugging Face hub, over its API.

use std::path::{Component, Path};

use programs::Repository;
use serde_json::Value;

use super::{
    Resolved, SourceError,
    budget::Budget,
    web::{Host, Web},
};

/// What is meant where no revision is named.
const MAIN: &str = "main";

/// The hub.
pub(super) struct Hub<'a> {
    pub(super) web: &'a Web,
    pub(super) host: Host,
}

impl Hub<'_> {
    /// The commit that a repository's revision means now.
    pub(super) async fn resolve(&self, it: &Repository) -> Result<Resolved, SourceError> {
        let found = self.info(it, it.revision.as_deref().unwrap_or(MAIN), false).await?;
        let odd = || SourceError::Refused("the hub answers without a commit".to_owned());
        let sha = found.get("sha").and_then(Value::as_str).ok_or_else(odd)?;
        let state = it.state.as_deref().unwrap_or_default();
        let content = format!("{}@{sha}/{} {state}", it.name, folder(it));
        Ok(Resolved { host: self.host.address(), revision: sha.to_owned(), content })
    }

    /// Fetches the files that the program may need: those in the folder of its path, and below.
    pub(super) async fn fetch(
        &self,
        it: &Repository,
        resolved: &Resolved,
        into: &Path,
        budget: &mut Budget,
    ) -> Result<(), SourceError> {
        let found = self.info(it, &resolved.revision, true).await?;
        let files = found.get("siblings").and_then(Value::as_array);
        let files = files.into_iter().flatten();
        let mut is_there = it.path.is_none();
        let folder = folder(it);
        for file in files {
            let name = file.get("rfilename").and_then(Value::as_str).unwrap_or_default();
            let is_below = |path: &str| name == path || name.starts_with(&format!("{path}/"));
            is_there |= it.path.as_deref().is_some_and(is_below);
            let is_state = it.state.as_deref() == Some(name);
            if !folder.is_empty() && !is_below(folder) && !is_state {
                continue;
            }
            let is_inside = |it: Component<'_>| matches!(it, Component::Normal(_));
            if name.is_empty() || !Path::new(name).components().all(is_inside) {
                let text = format!("it has a file `{name}`, which leads out of it");
                return Err(SourceError::Refused(text));
            }
            budget.file()?;
            let parts = it.name.split('/').chain(["resolve", &resolved.revision]);
            let url = self.host.at(parts.chain(name.split('/')));
            let size = file.get("size").and_then(Value::as_u64);
            let saved = self.web.save(&self.host, url, &into.join(name), size, budget).await;
            saved.map_err(|it| it.or(|said| format!("the hub has lost {name}: {said}")))?;
        }
        if is_there {
            return Ok(());
        }
        let (path, name) = (it.path.as_deref().unwrap_or_default(), &it.name);
        Err(SourceError::Refused(format!("{name} has no `{path}` at {}", resolved.revision)))
    }

    async fn info(
        &self,
        it: &Repository,
        revision: &str,
        files: bool,
    ) -> Result<Value, SourceError> {
        let parts = ["api", "models"].into_iter().chain(it.name.split('/'));
        let mut url = self.host.at(parts.chain(["revision", revision]));
        if files {
            url.query_pairs_mut().append_pair("blobs", "true");
        }
        let missing =
            |said: &str| format!("the hub has no {} with a revision `{revision}`: {said}", it.name);
        self.web.json(&self.host, url).await.map_err(|it| it.or(missing))
    }
}

/// The folder of the program's path: a file may need those beside it.
fn folder(it: &Repository) -> &str {
    let Some(path) = it.path.as_deref() else { return "" };
    let is_file = Path::new(path).extension().is_some();
    if is_file { path.rsplit_once('/').map_or("", |(folder, _)| folder) } else { path }
}
