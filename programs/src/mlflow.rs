//! The address of a model of MLflow, as MLflow writes it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The address of a model of MLflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MlflowUri {
    /// `models:/name/3`: a version of a registered model, always the same.
    Version {
        /// The registered model.
        name: String,
        /// Its version.
        version: u64,
    },
    /// `models:/name@alias`: the version that an alias means now.
    Alias {
        /// The registered model.
        name: String,
        /// The alias.
        alias: String,
    },
    /// `models:/name/latest`: the newest version.
    Latest {
        /// The registered model.
        name: String,
    },
    /// `models:/m-…`: a model that was logged, whether registered or not.
    Logged {
        /// Its id.
        id: String,
    },
    /// `runs:/id/path`: what a run has logged.
    Run {
        /// The run's id.
        run: String,
        /// The model's name, or its path among the run's artifacts.
        path: String,
    },
}

/// What addresses there are.
const FORMS: &str = "write `models:/name/3`, `models:/name@alias`, `models:/name/latest`, \
                     `models:/m-…` or `runs:/run/path`";

impl MlflowUri {
    /// Whether it means the same model for ever.
    pub fn is_fixed(&self) -> bool {
        match self {
            Self::Version { .. } | Self::Logged { .. } | Self::Run { .. } => true,
            Self::Alias { .. } | Self::Latest { .. } => false,
        }
    }
}

impl FromStr for MlflowUri {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let owned = str::to_owned;
        if let Some(rest) = text.strip_prefix("runs:/") {
            let (run, path) = rest.split_once('/').ok_or(FORMS)?;
            let is_plain = |it: &str| !matches!(it, "" | "." | "..");
            let is_path = path.split('/').all(is_plain) && is_name(run);
            return is_path.then(|| Self::Run { run: run.into(), path: path.into() }).ok_or(FORMS);
        }
        let rest = text.strip_prefix("models:/").ok_or(FORMS)?;
        if let Some((name, alias)) = rest.split_once('@') {
            let (name, alias) = (named(name)?, named(alias)?);
            return Ok(Self::Alias { name, alias });
        }
        match rest.split_once('/') {
            None if rest.starts_with("m-") => Ok(Self::Logged { id: named(rest)? }),
            None => Err(FORMS),
            Some((name, "latest")) => named(name).map(|name| Self::Latest { name }),
            Some((name, version)) => {
                let version = version.parse().map_err(|_| FORMS)?;
                Ok(Self::Version {
                    name: is_name(name).then(|| owned(name)).ok_or(FORMS)?,
                    version,
                })
            }
        }
    }
}

fn named(name: &str) -> Result<String, &'static str> {
    is_name(name).then(|| name.to_owned()).ok_or(FORMS)
}

/// What MLflow allows in the name of a model, and an address can hold.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['/', ':', '@', '\'', '"'])
        && !name.contains(char::is_control)
}

impl fmt::Display for MlflowUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { name, version } => write!(f, "models:/{name}/{version}"),
            Self::Alias { name, alias } => write!(f, "models:/{name}@{alias}"),
            Self::Latest { name } => write!(f, "models:/{name}/latest"),
            Self::Logged { id } => write!(f, "models:/{id}"),
            Self::Run { run, path } => write!(f, "runs:/{run}/{path}"),
        }
    }
}

impl From<MlflowUri> for String {
    fn from(uri: MlflowUri) -> Self {
        uri.to_string()
    }
}

impl TryFrom<String> for MlflowUri {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for (text, is_fixed) in [
            ("models:/email assistant/3", true),
            ("models:/qa@champion", false),
            ("models:/qa/latest", false),
            ("models:/m-0af1", true),
            ("runs:/3cf4/model", true),
            ("runs:/3cf4/deep/model", true),
        ] {
            let uri: MlflowUri = text.parse().unwrap();
            assert_eq!((uri.to_string().as_str(), uri.is_fixed()), (text, is_fixed));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "qa",
            "models:/qa",
            "models:/qa/Production",
            "models:/qa/-1",
            "models:/@champion",
            "models:/qa@a/b",
            "models:/a'b/1",
            "runs:/3cf4",
            "runs:/3cf4/../other",
            "runs://model",
            "s3://bucket/model",
        ] {
            assert!(text.parse::<MlflowUri>().is_err(), "{text}");
        }
    }
}
