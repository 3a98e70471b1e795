//! Ids and versions: how they are written, and which version is newer.

use std::cmp::Ordering;

/// The longest id.
pub(crate) const ID_MAX: usize = 128;
/// The longest version.
pub(crate) const VERSION_MAX: usize = 64;

/// Whether a text can be an id: letters, digits, `.`, `_`, `-`, the first a letter or digit.
pub(crate) fn is_id(text: &str) -> bool {
    is_word(text, "._-") && text.len() <= ID_MAX
}

/// Whether a text can be a version: as an id, and `+`.
pub(crate) fn is_version(text: &str) -> bool {
    is_word(text, "._-+") && text.len() <= VERSION_MAX
}

/// What a request names: `name`, `name@version`, `name#entry`, `name#entry@version`, or
/// `name@version#entry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// The id of the program file.
    pub(crate) id: &'a str,
    /// The version it is pinned to.
    pub(crate) version: Option<&'a str>,
    /// The signature or chain of it that is to run.
    pub(crate) entry: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Reads an address.
    pub(crate) fn of(text: &'a str) -> Self {
        let cut = |text: &'a str, mark| {
            text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
        };
        let (front, back) = cut(text, '@');
        let (id, entry) = cut(front, '#');
        match back {
            Some(back) if entry.is_none() => {
                let (version, entry) = cut(back, '#');
                Self { id, version: Some(version), entry }
            }
            version => Self { id, version, entry },
        }
    }
}

/// Which of two versions is older. Numbers count as numbers, and a pre-release is older than its
/// release; what is no semantic version is still put in one fixed order.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let ((a_core, a_pre), (b_core, b_pre)) = (parts(a), parts(b));
    let by_release = || match (a_pre, b_pre) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => by_part(a, b, false),
    };
    by_part(a_core, b_core, true).then_with(by_release).then_with(|| a.cmp(b))
}

/// The numbers of a version, and its pre-release; build metadata counts for nothing.
fn parts(version: &str) -> (&str, Option<&str>) {
    let version = version.split('+').next().unwrap_or(version);
    let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
    version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)))
}

/// Compares part by part. In a release `1.0` is `1.0.0`; in a pre-release fewer parts are older.
fn by_part(a: &str, b: &str, padded: bool) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (left, right) = (a.next(), b.next());
        let order = match (left, right) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) if !padded => Ordering::Less,
            (Some(_), None) if !padded => Ordering::Greater,
            (left, right) => part(left.unwrap_or("0"), right.unwrap_or("0")),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Compares one part: numbers as numbers, and before words.
fn part(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

fn is_word(text: &str, marks: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(plain) && text.chars().all(|c| plain(c) || marks.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        for (older, newer) in [
            ("1.9.0", "1.10.0"),
            ("1.0.0-rc.1", "1.0.0"),
            ("1.0.0-rc.2", "1.0.0-rc.10"),
            ("1.0.0-alpha", "1.0.0-alpha.1"),
            ("1.0.0-1", "1.0.0-alpha"),
            ("v1", "v2"),
            ("1", "1.0.1"),
            ("2024.12", "2025.1"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
        }
    }

    #[test]
    fn ids_and_versions_hold_no_surprise() {
        assert!(is_id("email-assistant-v1") && is_version("1.0.0-rc.1+build.5"));
        for bad in ["", "-x", "a b", "a/b", "a@1", "é", "..", "a\n", &"a".repeat(ID_MAX + 1)] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn an_address_names_a_version_and_an_entry_in_any_order() {
        let address = |id, version, entry| Address { id, version, entry };
        for (text, meant) in [
            ("a", address("a", None, None)),
            ("a@1.0", address("a", Some("1.0"), None)),
            ("a@1@2", address("a", Some("1@2"), None)),
            ("a#b", address("a", None, Some("b"))),
            ("a#b@1", address("a", Some("1"), Some("b"))),
            ("a@1#b", address("a", Some("1"), Some("b"))),
            ("a@#", address("a", Some(""), Some(""))),
            ("#@", address("", Some(""), Some(""))),
        ] {
            assert_eq!(Address::of(text), meant, "{text}");
        }
    }
}
