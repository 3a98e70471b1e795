//! Models of MLflow in a bucket that its server does not hand out itself: there the worker reads.

use std::path::{Component, Path};

use queue::{Error, ObjectOptions, Objects};

use super::{
    SourceError,
    budget::{Budget, FILES_MAX},
    landing::Landing,
    mlflow::{DEPTH_MAX, DESCRIPTION, check},
};

/// What a server's addresses of artifacts in such buckets begin with.
const SCHEMES: [&str; 4] = ["s3", "gs", "abfs", "abfss"];

/// What to do where it cannot be read.
const HINT: &str = "see AWS_ACCESS_KEY_ID, AWS_REGION and MLFLOW_S3_ENDPOINT_URL, GOOGLE_… or \
                    AZURE_… of the worker";

/// A folder of a bucket.
pub(super) struct Bucket {
    objects: Objects,
    url: String,
}

/// Whether artifacts of that address are in such a bucket.
pub(super) fn is_one(address: &str) -> bool {
    address.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

impl Bucket {
    /// The folder at an address.
    pub(super) fn at(url: &str, options: &ObjectOptions) -> Result<Self, SourceError> {
        let objects = Objects::open(url, options);
        let wrong = |it: Error| SourceError::Refused(format!("MLflow's artifacts: {it}; {HINT}"));
        Ok(Self { objects: objects.map_err(wrong)?, url: url.to_owned() })
    }

    /// Whether a model lies there.
    pub(super) async fn has_model(&self) -> Result<bool, SourceError> {
        match self.objects.read(DESCRIPTION).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(self.unread(error, DESCRIPTION)),
        }
    }

    /// Fetches the files of a model into a folder.
    pub(super) async fn fetch(
        &self,
        revision: &str,
        into: &Path,
        budget: &mut Budget,
    ) -> Result<(), SourceError> {
        if !self.has_model().await? {
            let text = format!("{revision} is no model: {} has no file {DESCRIPTION}", self.url);
            return Err(SourceError::Refused(text));
        }
        // What is no program of DSPy is not fetched.
        self.save(DESCRIPTION, None, into, budget).await?;
        check(into, revision).await?;
        let files = self.objects.list(FILES_MAX + 1).await;
        for file in files.map_err(|it| self.unread(it, "its files"))? {
            if file.path != DESCRIPTION {
                self.save(&file.path, Some(file.bytes), into, budget).await?;
            }
        }
        Ok(())
    }

    async fn save(
        &self,
        path: &str,
        expected: Option<u64>,
        into: &Path,
        budget: &mut Budget,
    ) -> Result<(), SourceError> {
        is_below(path)?;
        budget.file()?;
        let unread = |it| self.unread(it, path);
        let mut pieces = self.objects.read(path).await.map_err(unread)?;
        let mut landing = Landing::new(&into.join(path), budget).await?;
        while let Some(piece) = pieces.next().await.map_err(unread)? {
            landing.take(&piece).await?;
        }
        landing.close(expected, "the bucket").await
    }

    fn unread(&self, error: Error, what: &str) -> SourceError {
        let url = &self.url;
        if let Error::NotFound(_) = error {
            return SourceError::Refused(format!("{url} has lost {what}"));
        }
        if let Error::Setup(why) = error {
            return SourceError::Refused(format!("{why}; {HINT}"));
        }
        SourceError::Unavailable(format!("MLflow's artifacts: {error}; {HINT}"))
    }
}

/// Refuses what would lie elsewhere than in the folder it is fetched to.
fn is_below(path: &str) -> Result<(), SourceError> {
    let mut parts = Path::new(path).components();
    if !parts.all(|it| matches!(it, Component::Normal(_))) || path.is_empty() {
        let text = format!("the bucket lists a file `{path}`, which leads out of its folder");
        return Err(SourceError::Refused(text));
    }
    if path.split('/').count() > DEPTH_MAX {
        return Err(SourceError::Refused(format!("its folders are more than {DEPTH_MAX} deep")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_told_from_other_places() {
        for address in ["s3://b/1/models/m-1", "gs://b/x", "abfss://c@a.dfs.core.windows.net/x"] {
            assert!(is_one(address), "{address}");
        }
        for address in ["mlflow-artifacts:/0/models", "file:///etc", "/mlruns/0", "hdfs://h/x"] {
            assert!(!is_one(address), "{address}");
        }
    }

    #[test]
    fn files_stay_in_their_folder() {
        is_below("model/data/x.pkl").unwrap();
        for path in ["../x", "a/../../x", "/x", ""] {
            assert!(is_below(path).is_err(), "{path}");
        }
        assert!(is_below(&"a/".repeat(DEPTH_MAX + 1)).is_err());
    }
}
