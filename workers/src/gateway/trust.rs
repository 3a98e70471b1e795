//! The addresses that the operator trusts with keys, whoever wrote the program that names them.

use programs::Origin;
use reqwest::Url;

use super::SetupError;

/// The addresses that the operator trusts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust(Vec<Url>);

impl Trust {
    /// Trust in every address at or below one of these.
    pub(super) fn new<'a>(bases: impl IntoIterator<Item = &'a String>) -> Result<Self, SetupError> {
        let read = |base: &String| {
            let url = Url::parse(base).ok().filter(|it| it.has_host() && is_http(it));
            url.ok_or_else(|| SetupError::Trusted(base.clone()))
        };
        Ok(Self(bases.into_iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Whether a program may have a key sent there. What the operator wrote themselves may.
    pub(crate) fn covers(&self, address: &str, origin: Origin) -> bool {
        match origin {
            Origin::File => true,
            Origin::Registered => {
                Url::parse(address).is_ok_and(|url| self.0.iter().any(|it| is_below(&url, it)))
            }
        }
    }
}

/// Whether an address is a base or below it. Both are parsed, so `..` is resolved by now.
fn is_below(url: &Url, base: &Url) -> bool {
    let path = base.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(path);
    url.origin() == base.origin() && rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(bases: &[&str]) -> Result<Trust, SetupError> {
        let bases: Vec<String> = bases.iter().map(|it| (*it).to_owned()).collect();
        Trust::new(&bases)
    }

    #[test]
    fn an_address_is_trusted_at_or_below_a_base() {
        let trust = trust(&["https://lm.example/v1/", "http://127.0.0.1:8000"]).unwrap();
        let covers = |url| trust.covers(url, Origin::Registered);

        for url in [
            "https://lm.example/v1",
            "https://lm.example:443/v1/embeddings",
            "https://LM.example/v1/x?y",
            "http://127.0.0.1:8000/anything",
        ] {
            assert!(covers(url), "{url}");
        }
        for url in [
            "http://lm.example/v1",
            "https://lm.example/v11",
            "https://lm.example/v1/../v2",
            "https://lm.example.evil.example/v1",
            "https://lm.example@evil.example/v1",
            "https://lm.example:8443/v1",
            "http://127.0.0.1:80000/",
            "http://127.0.0.1/",
            "lm.example/v1",
            "",
        ] {
            assert!(!covers(url), "{url}");
        }
    }

    #[test]
    fn what_the_operator_wrote_may_go_anywhere() {
        let nothing = trust(&[]).unwrap();
        assert!(nothing.covers("https://any.example/v1", Origin::File));
        assert!(!nothing.covers("https://any.example/v1", Origin::Registered));
    }

    #[test]
    fn a_base_is_an_http_address() {
        for base in ["lm.example", "ftp://lm.example", "file:///etc", "http://"] {
            assert!(trust(&[base]).is_err(), "{base}");
        }
    }
}
