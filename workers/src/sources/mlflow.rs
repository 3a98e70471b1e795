//! Models of MLflow, over its REST API: the artifacts that it hands out itself, and those that it
//! only says the bucket of.
//!
//! The package `mlflow` is not needed: neither to fetch a model nor, as the runner loads it, to run
//! it.

use std::path::{Component, Path};

use programs::MlflowUri;
use queue::ObjectOptions;
use reqwest::Url;
use serde_json::Value;

use super::{
    Resolved, SourceError, SourcesConfig,
    bucket::{self, Bucket},
    budget::Budget,
    web::{Failure, Host, Key, Web},
};
use crate::gateway::Keys;

/// How deep the folders of a model may be.
pub(super) const DEPTH_MAX: usize = 16;
/// The most models of one run that are looked at.
const MODELS_MAX: usize = 100;
/// The file that says what a model is.
pub(super) const DESCRIPTION: &str = "MLmodel";
/// The longest of those that is looked into.
const DESCRIPTION_LINES_MAX: usize = 10_000;

/// What to do where it lets nobody in.
const KEY_HINT: &str = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
                        MLFLOW_TRACKING_TOKEN, of one who may use it";

/// A server of MLflow at the address in a variable. As there, a user wins over a token.
pub(crate) fn mlflow_host(
    config: &SourcesConfig,
    keys: &Keys,
    address: &str,
    variable: &'static str,
) -> Result<Host, SourceError> {
    let host = Host::new("MLflow", address, variable, KEY_HINT)?;
    let user = config.mlflow_user.clone();
    let password = keys.get("MLFLOW_TRACKING_PASSWORD");
    let token = || keys.get("MLFLOW_TRACKING_TOKEN").map(Key::Token);
    let key = user.zip(password).map(|(user, password)| Key::User(user, password));
    Ok(Host { key: key.or_else(token), ..host })
}

/// A server of MLflow, and that of its registry; often one.
pub(super) struct Mlflow<'a> {
    pub(super) web: &'a Web,
    pub(super) tracking: Host,
    pub(super) registry: Host,
    /// What buckets are asked with.
    pub(super) buckets: &'a ObjectOptions,
}

impl Mlflow<'_> {
    /// What a model's address means now.
    pub(super) async fn resolve(&self, uri: &MlflowUri) -> Result<Resolved, SourceError> {
        match uri {
            MlflowUri::Version { name, version } => self.version(name, &version.to_string()).await,
            MlflowUri::Alias { name, alias } => {
                let query = [("name", name.as_str()), ("alias", alias)];
                let found = self.ask(&self.registry, "registered-models/alias", &query).await;
                let found = found.map_err(|it| it.or(|said| no_alias(name, alias, said)))?;
                self.version(name, text(&found, "/model_version/version")?).await
            }
            MlflowUri::Latest { name } => {
                let filter = format!("name='{name}'");
                let query = [
                    ("filter", filter.as_str()),
                    ("order_by", "version_number DESC"),
                    ("max_results", "1"),
                ];
                let found = self.ask(&self.registry, "model-versions/search", &query).await;
                let found = found.map_err(|it| it.or(str::to_owned))?;
                let none = || SourceError::Refused(format!("MLflow has no model `{name}`"));
                let version = found.pointer("/model_versions/0/version").and_then(Value::as_str);
                self.version(name, version.ok_or_else(none)?).await
            }
            MlflowUri::Logged { id } => {
                let found = self.logged(id).await.map_err(|it| it.or(|it| missing(uri, it)))?;
                let artifacts = place(text(&found, "/model/info/artifact_uri")?)?;
                Ok(self.resolved(uri.to_string(), artifacts))
            }
            MlflowUri::Run { run, path } => self.of_run(uri, run, path).await,
        }
    }

    async fn version(&self, name: &str, version: &str) -> Result<Resolved, SourceError> {
        let query = [("name", name), ("version", version)];
        let uri = format!("models:/{name}/{version}");
        let missing = |said: &str| format!("MLflow has no {uri}: {said}");
        let ask = async |what| {
            let found = self.ask(&self.registry, what, &query).await;
            found.map_err(|it| it.or(missing))
        };
        let found = ask("model-versions/get").await?;
        let told = ask("model-versions/get-download-uri").await?;
        let artifacts = place(text(&told, "/artifact_uri")?)?;
        // A model that was removed and registered again has its old versions' numbers.
        let of = found.pointer("/model_version/source").and_then(Value::as_str);
        let of = of.and_then(|it| it.rsplit('/').next()).unwrap_or_default();
        Ok(self.resolved(format!("{uri} ({of})"), artifacts))
    }

    /// What a run has logged: among its artifacts, or, since MLflow 3, as a model of its own.
    async fn of_run(
        &self,
        uri: &MlflowUri,
        run: &str,
        path: &str,
    ) -> Result<Resolved, SourceError> {
        let found = self.ask(&self.tracking, "runs/get", &[("run_id", run)]).await;
        let found = found.map_err(|it| it.or(|said| missing(uri, said)))?;
        let own = place(text(&found, "/run/info/artifact_uri")?);
        if let Ok(own) = &own {
            let place = format!("{own}/{path}");
            if self.has_model(&place).await? {
                return Ok(self.resolved(uri.to_string(), place));
            }
        }
        let (name, below) = path.split_once('/').unwrap_or((path, ""));
        let models = found.pointer("/run/outputs/model_outputs").and_then(Value::as_array);
        let ids = models.into_iter().flatten().filter_map(|it| it.get("model_id")?.as_str());
        for id in ids.take(MODELS_MAX) {
            let model = self.logged(id).await.map_err(|it| it.or(|said| missing(uri, said)))?;
            if text(&model, "/model/info/name")? == name {
                let artifacts = place(text(&model, "/model/info/artifact_uri")?)?;
                let place = format!("{artifacts}/{below}").trim_end_matches('/').to_owned();
                return Ok(self.resolved(format!("{uri} ({id})"), place));
            }
        }
        own?;
        Err(SourceError::Refused(missing(uri, "the run has no model of that name or path")))
    }

    /// Fetches the files of a model into a folder.
    pub(super) async fn fetch(
        &self,
        resolved: &Resolved,
        into: &Path,
        budget: &mut Budget,
    ) -> Result<(), SourceError> {
        let root = &resolved.content;
        if let Some(bucket) = self.bucket(root)? {
            return bucket.fetch(&resolved.revision, into, budget).await;
        }
        let files = self.list(root).await?;
        let found = files.iter().find(|it| it.name == DESCRIPTION && !it.is_folder);
        let description = found.ok_or_else(|| {
            let text = format!("{} is no model: it has no file {DESCRIPTION}", resolved.revision);
            SourceError::Refused(text)
        })?;
        // What is no program of DSPy is not fetched.
        self.save(root, description, into, budget).await?;
        check(into, &resolved.revision).await?;
        let mut folders = vec![(root.clone(), into.to_owned(), files, 0)];
        while let Some((place, folder, files, depth)) = folders.pop() {
            for file in files.iter().filter(|it| it.name != DESCRIPTION || depth > 0) {
                if !file.is_folder {
                    self.save(&place, file, &folder, budget).await?;
                    continue;
                }
                if depth == DEPTH_MAX {
                    let text = format!("its folders are more than {DEPTH_MAX} deep");
                    return Err(SourceError::Refused(text));
                }
                let below = format!("{place}/{}", file.name);
                let files = self.list(&below).await?;
                budget.file()?;
                folders.push((below, folder.join(&file.name), files, depth + 1));
            }
        }
        Ok(())
    }

    async fn has_model(&self, place: &str) -> Result<bool, SourceError> {
        if let Some(bucket) = self.bucket(place)? {
            return bucket.has_model().await;
        }
        Ok(self.list(place).await?.iter().any(|it| it.name == DESCRIPTION))
    }

    /// The bucket that a place is in; none of what is behind the server.
    fn bucket(&self, place: &str) -> Result<Option<Bucket>, SourceError> {
        bucket::is_one(place).then(|| Bucket::at(place, self.buckets)).transpose()
    }

    async fn save(
        &self,
        place: &str,
        file: &Listed,
        folder: &Path,
        budget: &mut Budget,
    ) -> Result<(), SourceError> {
        budget.file()?;
        let parts = artifact_parts(place);
        let url = self.tracking.at(parts.chain([file.name.as_str()]));
        let path = folder.join(&file.name);
        let saved = self.web.save(&self.tracking, url, &path, file.bytes, budget).await;
        saved.map_err(|it| it.or(|said| format!("MLflow has lost {place}/{}: {said}", file.name)))
    }

    /// What lies in a folder of artifacts.
    async fn list(&self, place: &str) -> Result<Vec<Listed>, SourceError> {
        let mut url = self.tracking.at(artifact_parts(""));
        url.query_pairs_mut().append_pair("path", place);
        let found = self.web.json(&self.tracking, url).await.map_err(|it| {
            it.or(|said| {
                format!(
                    "MLflow does not hand out its artifacts: {said}; start it with \
                     `--serve-artifacts`"
                )
            })
        })?;
        let files = found.get("files").and_then(Value::as_array);
        files.into_iter().flatten().map(Listed::of).collect()
    }

    async fn logged(&self, id: &str) -> Result<Value, Failure> {
        let what = ["logged-models", id];
        let url = self.tracking.at(["api", "2.0", "mlflow"].into_iter().chain(what));
        self.web.json(&self.tracking, url).await
    }

    async fn ask(&self, host: &Host, what: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let parts = ["api", "2.0", "mlflow"].into_iter().chain(what.split('/'));
        let mut url: Url = host.at(parts);
        url.query_pairs_mut().extend_pairs(query);
        self.web.json(host, url).await
    }

    fn resolved(&self, revision: String, content: String) -> Resolved {
        Resolved { host: self.tracking.address(), revision, content }
    }
}

/// A file or folder that the server lists.
struct Listed {
    name: String,
    is_folder: bool,
    bytes: Option<u64>,
}

impl Listed {
    fn of(listed: &Value) -> Result<Self, SourceError> {
        let name = text(listed, "/path")?;
        let mut parts = Path::new(name).components();
        let is_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        if !is_name {
            let text = format!("MLflow lists a file `{name}`, which leads out of its folder");
            return Err(SourceError::Refused(text));
        }
        let is_folder = listed.get("is_dir").and_then(Value::as_bool).unwrap_or_default();
        // Some servers write numbers as texts.
        let size = listed.get("file_size");
        let bytes = size.and_then(|it| it.as_u64().or_else(|| it.as_str()?.parse().ok()));
        Ok(Self { name: name.to_owned(), is_folder, bytes })
    }
}

/// The path by which the server hands an artifact out.
fn artifact_parts(place: &str) -> impl Iterator<Item = &str> {
    let parts = place.split('/').filter(|it| !it.is_empty());
    ["api", "2.0", "mlflow-artifacts", "artifacts"].into_iter().chain(parts)
}

/// Where artifacts of an address are: in a bucket, or behind the server.
fn place(uri: &str) -> Result<String, SourceError> {
    if bucket::is_one(uri) { Ok(uri.trim_end_matches('/').to_owned()) } else { artifacts(uri) }
}

/// The place of artifacts behind the server, of their address.
pub(crate) fn artifacts(uri: &str) -> Result<String, SourceError> {
    let path = uri.strip_prefix("mlflow-artifacts:").map(|it| match it.strip_prefix("//") {
        // What comes before the path is the server's own name, which is known here.
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => it,
    });
    let path = path.map(|it| it.trim_matches('/').to_owned()).ok_or_else(|| {
        let scheme = uri.split_once(':').map_or(uri, |(scheme, _)| scheme);
        SourceError::Refused(format!(
            "MLflow's server keeps its artifacts elsewhere ({scheme}:) and does not hand them out; \
             start it with `--serve-artifacts`, or for models with a root in a bucket (s3:, gs: or \
             abfss:), and log again"
        ))
    })?;
    Ok(path)
}

/// Refuses what `mlflow.dspy.log_model` did not log, by the description that was fetched.
pub(super) async fn check(folder: &Path, revision: &str) -> Result<(), SourceError> {
    let text = tokio::fs::read_to_string(folder.join(DESCRIPTION)).await;
    let text = text.map_err(|it| SourceError::disk("what was fetched cannot be read", &it))?;
    is_dspy(&text, revision)
}

/// Whether `mlflow.dspy.log_model` logged it. Read by its lines: it is always written alike.
fn is_dspy(description: &str, revision: &str) -> Result<(), SourceError> {
    let lines = description.lines().take(DESCRIPTION_LINES_MAX);
    let flavors = lines.skip_while(|it| it.trim_end() != "flavors:").skip(1);
    let flavors = flavors.take_while(|it| it.starts_with(' '));
    let name = |it: &str| {
        let name = it.strip_prefix("  ")?.split_once(':')?.0.to_owned();
        (!name.starts_with(' ')).then_some(name)
    };
    let flavors: Vec<String> = flavors.filter_map(name).collect();
    if flavors.iter().any(|it| it == "dspy") {
        return Ok(());
    }
    Err(SourceError::Refused(format!(
        "{revision} is no program of DSPy: its flavors are {}; log it with \
         `mlflow.dspy.log_model`",
        flavors.join(", ")
    )))
}

fn no_alias(name: &str, alias: &str, said: &str) -> String {
    format!("MLflow has no models:/{name}@{alias}: {said}; set the alias, or name a version")
}

fn missing(uri: &MlflowUri, said: &str) -> String {
    format!("MLflow has no {uri}: {said}")
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, SourceError> {
    let odd = || SourceError::Refused(format!("MLflow answers without {pointer}"));
    value.pointer(pointer).and_then(Value::as_str).ok_or_else(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_of_dspy_are_taken() {
        let dspy = "artifact_path: x\nflavors:\n  dspy:\n    code: null\n  python_function:\n    \
                    env: x\nmodel_id: m\n";
        let other = "flavors:\n  python_function:\n    env: x\n  sklearn:\n    dspy: no\ndspy: x\n";

        assert_eq!(is_dspy(dspy, "models:/qa/1"), Ok(()));
        let why = is_dspy(other, "models:/qa/1").unwrap_err().to_string();
        assert!(why.contains("flavors are python_function, sklearn;"), "{why}");
    }

    #[test]
    fn artifacts_are_those_behind_the_server() {
        let found = |it| artifacts(it).unwrap();
        assert_eq!(found("mlflow-artifacts:/0/models/m-1/artifacts"), "0/models/m-1/artifacts");
        assert_eq!(found("mlflow-artifacts://h:5000/0/models/m-1"), "0/models/m-1");
        let why = artifacts("s3://bucket/secret").unwrap_err().to_string();
        assert!(why.contains("(s3:)") && why.contains("--serve-artifacts"), "{why}");
    }

    #[test]
    fn artifacts_in_a_bucket_are_where_the_server_says() {
        assert_eq!(place("s3://bucket/0/m-1/artifacts/").unwrap(), "s3://bucket/0/m-1/artifacts");
        assert_eq!(place("mlflow-artifacts:/0/models/m-1").unwrap(), "0/models/m-1");
        let why = place("file:///srv/mlruns/0").unwrap_err().to_string();
        assert!(why.contains("(file:)") && why.contains("a root in a bucket (s3:"), "{why}");
    }

    #[test]
    fn a_listed_name_stays_in_its_folder() {
        for name in ["..", "../x", "/x", "a/b", "", "."] {
            assert!(Listed::of(&serde_json::json!({ "path": name })).is_err(), "{name}");
        }
    }
}
