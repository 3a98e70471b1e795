//! Repositories of GitHub, by its API and the archives that it makes of a commit.

use std::path::Path;

use programs::Repository;
use tracing::info;

use super::{
    Resolved, SourceError, archive,
    budget::Budget,
    web::{Host, Web},
};

/// What is meant where no revision is named: the newest of the default branch.
const HEAD: &str = "HEAD";
/// The kind of answer that is only the name of a commit.
const COMMIT: &str = "application/vnd.github.sha";

/// GitHub, or a GitHub Enterprise.
pub(super) struct GitHub<'a> {
    pub(super) web: &'a Web,
    pub(super) host: Host,
}

impl GitHub<'_> {
    /// The commit that a repository's revision means now.
    pub(super) async fn resolve(&self, it: &Repository) -> Result<Resolved, SourceError> {
        let revision = it.revision.as_deref().unwrap_or(HEAD);
        let url = self.at(it, ["commits", revision]);
        let found = self.web.text(&self.host, url, COMMIT).await;
        let missing = |said: &str| {
            format!(
                "GitHub has no {} with a revision `{revision}`: {said}; if it is private, {}",
                it.name, self.host.key_hint
            )
        };
        let sha = found.map_err(|it| it.or(missing))?.trim().to_owned();
        if !is_commit(&sha) {
            let text = format!(
                "what answers at {} is not GitHub: see {}",
                self.host.address(),
                self.host.variable
            );
            return Err(SourceError::Refused(text));
        }
        let content = format!("{}@{sha}", it.name);
        Ok(Resolved { host: self.host.address(), revision: sha, content })
    }

    /// Fetches the archive of a commit by way of a file, and unpacks it into a folder.
    pub(super) async fn fetch(
        &self,
        it: &Repository,
        resolved: &Resolved,
        by_way_of: &Path,
        into: &Path,
        budget: &mut Budget,
    ) -> Result<(), SourceError> {
        let url = self.at(it, ["tarball", &resolved.revision]);
        // The archive itself is not kept: what is in it counts.
        let mut packed = *budget;
        let saved = self.web.save(&self.host, url, by_way_of, None, &mut packed).await;
        saved.map_err(|it| it.or(|said| format!("GitHub has no archive of it: {said}")))?;
        let (archive, folder, mut left) = (by_way_of.to_owned(), into.to_owned(), *budget);
        let unpack = tokio::task::spawn_blocking(move || {
            let file = std::fs::File::open(&archive);
            let file = file.map_err(|it| SourceError::disk("its archive cannot be read", &it))?;
            let links = archive::unpack(file, &folder, &mut left)?;
            Ok::<_, SourceError>((links, left))
        });
        let stopped = |_| SourceError::Unavailable("unpacking it was stopped".to_owned());
        let (links, left) = unpack.await.map_err(stopped)??;
        *budget = left;
        if links > 0 {
            info!(repository = it.name, links, "left {links} links of an archive out");
        }
        let path = it.path.as_deref().unwrap_or_default();
        if into.join(path).exists() {
            return Ok(());
        }
        let (name, revision) = (&it.name, &resolved.revision);
        Err(SourceError::Refused(format!("{name} has no `{path}` at {revision}")))
    }

    fn at<'a>(&self, it: &'a Repository, what: impl IntoIterator<Item = &'a str>) -> reqwest::Url {
        self.host.at(["repos"].into_iter().chain(it.name.split('/')).chain(what))
    }
}

/// Whether a revision is a commit, and so means the same for ever.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit())
}
