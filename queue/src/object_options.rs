//! What object stores are asked with: the variables by which their own clients know them.

use std::{collections::BTreeMap, fmt};

/// What names of options begin with that the environment may set, as `object_store` reads them.
const OPTION_PREFIXES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
/// The options that say where S3 is, the first before the others.
const S3_ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
/// The option that lets it be asked without TLS.
const ALLOW_HTTP: &str = "AWS_ALLOW_HTTP";

/// What object stores are asked with: keys, regions, endpoints. Shows no values.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ObjectOptions(BTreeMap<String, String>);

impl ObjectOptions {
    /// Those among the variables of an environment that begin with `AWS_`, `AZURE_` and `GOOGLE_`,
    /// by the names of the `object_store` crate: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`,
    /// `GOOGLE_SERVICE_ACCOUNT`, ….
    pub fn of(variables: impl Iterator<Item = (String, String)>) -> Self {
        let counts =
            |it: &(String, String)| OPTION_PREFIXES.iter().any(|prefix| it.0.starts_with(prefix));
        Self(variables.filter(counts).collect())
    }

    /// The same, but with S3 at this address.
    #[must_use]
    pub fn with_s3_at(mut self, address: String) -> Self {
        self.0.insert(S3_ENDPOINTS[0].to_owned(), address);
        self
    }

    /// Who names an address without TLS means it, as Amazon's own clients take it.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = S3_ENDPOINTS.iter().find_map(|it| self.0.get(*it));
        let is_open = named.is_some_and(|it| it.starts_with("http://"));
        let allowed = (is_open && !self.0.contains_key(ALLOW_HTTP)).then_some((ALLOW_HTTP, "true"));
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(allowed)
    }
}

impl fmt::Debug for ObjectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_tls_is_meant_and_values_are_not_shown() {
        let of = |all: &[(&str, &str)]| {
            let all = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            ObjectOptions::of(all)
        };
        let allows = |it: &ObjectOptions| it.all().any(|it| it == (ALLOW_HTTP, "true"));

        assert!(allows(&of(&[("AWS_ENDPOINT_URL", "http://minio:9000")])));
        assert!(!allows(&of(&[("AWS_ENDPOINT_URL", "https://minio:9000"), ("HOME", "/")])));
        let refused = [("AWS_ENDPOINT", "http://minio:9000"), (ALLOW_HTTP, "false")];
        assert!(!allows(&of(&refused)));
        let moved = of(&refused[..1]).with_s3_at("https://safe".to_owned());
        assert!(!allows(&moved), "the first counts");
        let shown = format!("{:?}", of(&[("AWS_SECRET_ACCESS_KEY", "hush"), ("PATH", "/bin")]));
        assert_eq!(shown, r#"{"AWS_SECRET_ACCESS_KEY"}"#);
    }
}
