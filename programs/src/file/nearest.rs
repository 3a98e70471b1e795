//! The known word nearest to a misspelt one.

use super::spot::Spot;
use crate::LoadError;

/// Words longer than this are not compared.
const WORD_CHARS_MAX: usize = 64;

/// The nearest of the known words, if one is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase().replace(['-', ' '], "_");
    if word.chars().count() > WORD_CHARS_MAX {
        return None;
    }
    // `class` means `class_name`, and `maximum` means `max`.
    let begins = |it: &&&str| {
        it.len().min(word.len()) >= 3 && { it.starts_with(&*word) || word.starts_with(**it) }
    };
    if let Some(near) = known.iter().find(begins) {
        return Some(near);
    }
    let far = |it: &str| (word.chars().count().max(it.chars().count()) / 3).min(3);
    let by_distance = known.iter().map(|it| (distance(&word, it), *it));
    let near = by_distance.filter(|(distance, it)| *distance <= far(it));
    near.min_by_key(|(distance, _)| *distance).map(|(_, it)| it)
}

/// The error about a word that is none of the known ones, with the nearest of them.
pub(super) fn unknown(spot: &Spot<'_>, what: &str, word: &str, known: &[&str]) -> LoadError {
    // `ChainOfThought` is meant as `chain_of_thought`.
    let bare = |it: &str| it.to_lowercase().replace('_', "");
    let same = known.iter().copied().find(|it| bare(it) == bare(word));
    let fix = match same.or_else(|| nearest(word, known)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    spot.fail(format!("unknown {what} `{word}`"), fix)
}

/// How many letters must be put in, taken out, changed, or swapped with the next.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_own() {
        let known = ["inputs", "outputs", "examples", "module", "description", "type"];
        for (word, meant) in [
            ("input", Some("inputs")),
            ("ouptuts", Some("outputs")),
            ("modul", Some("module")),
            ("Module", Some("module")),
            ("typo", Some("type")),
            ("desription", Some("description")),
            ("desc", Some("description")),
            ("inputs_list", Some("inputs")),
            ("zebra", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
    }
}
