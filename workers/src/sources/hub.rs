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
        let listed = found.get("siblings").and_then(Value::as_array);
        let name = |it: &Value| it.get("rfilename").and_then(Value::as_str).map(str::to_owned);
        let size = |it: &Value| it.get("size").and_then(Value::as_u64);
        let files = listed.into_iter().flatten();
        let files: Vec<_> = files.filter_map(|it| Some((name(it)?, size(it)))).collect();
        if let Some(path) = &it.path
            && !files.iter().any(|(name, _)| is_below(name, path))
        {
            let text = format!("{} has no `{path}` at {}", it.name, resolved.revision);
            return Err(SourceError::Refused(text));
        }
        let is_wanted =
            |name: &str| is_below(name, folder(it)) || it.state.as_deref() == Some(name);
        for (name, size) in files.iter().filter(|(name, _)| is_wanted(name)) {
            let is_inside = |it: Component<'_>| matches!(it, Component::Normal(_));
            if name.is_empty() || !Path::new(name).components().all(is_inside) {
                let text = format!("it has a file `{name}`, which leads out of it");
                return Err(SourceError::Refused(text));
            }
            budget.file()?;
            let parts = it.name.split('/').chain(["resolve", &resolved.revision]);
            let url = self.host.at(parts.chain(name.split('/')));
            let saved = self.web.save(&self.host, url, &into.join(name), *size, budget).await;
            saved.map_err(|it| it.or(|said| format!("the hub has lost {name}: {said}")))?;
        }
        Ok(())
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

/// Whether a file is that path, or lies below it.
fn is_below(name: &str, path: &str) -> bool {
    let rest = name.strip_prefix(path);
    path.is_empty() || rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

/// The folder of the program's path: a file may need those beside it.
fn folder(it: &Repository) -> &str {
    let Some(path) = it.path.as_deref() else { return "" };
    let is_file = Path::new(path).extension().is_some();
    if is_file { path.rsplit_once('/').map_or("", |(folder, _)| folder) } else { path }
}
