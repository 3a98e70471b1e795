//! Which sources elsewhere are meant: `mlflow:models:/qa`, `github:owner/*`.

/// The kinds of sources that are elsewhere.
const KINDS: [&str; 3] = ["mlflow", "huggingface", "github"];

/// Which sources elsewhere are meant.
///
/// It covers an address that it is equal to or that goes on after it with `/` or `@`: all versions
/// of a model, all revisions of a repository, all repositories of an owner. A `*` stands for any
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePattern(String);

impl SourcePattern {
    /// The pattern of a text, if it names a kind of source, and something there.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        (KINDS.contains(&kind) && !rest.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Whether an address is meant, as [`Source::address`](crate::Source::address) writes it.
    pub(crate) fn covers(&self, address: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|it| address.strip_prefix(it)) else {
            return false;
        };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else { return is_end(rest) };
        for part in middle {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        last.is_empty() || rest.match_indices(last).any(|(at, it)| is_end(&rest[at + it.len()..]))
    }
}

/// Whether a pattern may end before this.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['/', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_lies_below_it_and_nothing_beside_it() {
        for (pattern, covered, others) in [
            (
                "mlflow:models:/qa",
                &["mlflow:models:/qa/3", "mlflow:models:/qa@champion"][..],
                &["mlflow:models:/qa2/3", "mlflow:runs:/1/qa", "github:models:/qa"][..],
            ),
            ("mlflow:models:/qa/3", &["mlflow:models:/qa/3"], &["mlflow:models:/qa/31"]),
            ("github:a/b", &["github:a/b", "github:a/b@main"], &["github:a/bc", "github:aa/b"]),
            ("github:a/b@v1", &["github:a/b@v1"], &["github:a/b", "github:a/b@v12"]),
            ("github:a", &["github:a/b", "github:a/c@v1"], &["github:ab/c"]),
            (
                "huggingface:org/*",
                &["huggingface:org/x", "huggingface:org/y@z"],
                &["huggingface:o/x"],
            ),
            ("mlflow:*", &["mlflow:models:/qa/3", "mlflow:runs:/1/m"], &["github:a/b"]),
            ("github:*/dspy-*", &["github:a/dspy-x@main", "github:b/dspy-"], &["github:a/x"]),
            ("github:*/b", &["github:a/b", "github:b/b@b"], &["github:b/c"]),
        ] {
            let pattern = SourcePattern::of(pattern).unwrap();
            for address in covered {
                assert!(pattern.covers(address), "{pattern:?} {address}");
            }
            for address in others {
                assert!(!pattern.covers(address), "{pattern:?} {address}");
            }
        }
    }

    #[test]
    fn a_pattern_names_a_kind_and_something_there() {
        for text in ["local", "s3:bucket", "github:", ":a/b", "mlflow"] {
            assert_eq!(SourcePattern::of(text), None, "{text}");
        }
    }
}
