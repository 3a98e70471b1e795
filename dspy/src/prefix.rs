//! The label that DSPy makes of a field's name: `maxWords2` is `Max Words 2`.

/// The label, without its colon.
pub(crate) fn inferred(name: &str) -> String {
    let spread = spread(&before_words(&name.chars().collect::<Vec<_>>()));
    let words: Vec<_> = spread.split('_').map(titled).collect();
    words.join(" ")
}

/// An underscore before each word that a capital begins.
fn before_words(name: &[char]) -> Vec<char> {
    let mut out = Vec::with_capacity(name.len());
    let mut at = 0;
    while at < name.len() {
        let lower = |i: usize| name.get(i).is_some_and(char::is_ascii_lowercase);
        let is_word = name.get(at + 1).is_some_and(char::is_ascii_uppercase) && lower(at + 2);
        out.push(name[at]);
        at += 1;
        if is_word {
            out.extend(['_', name[at]]);
            at += 1;
            while lower(at) {
                out.push(name[at]);
                at += 1;
            }
        }
    }
    out
}

/// An underscore between small and capital, and between letters and digits.
fn spread(name: &[char]) -> String {
    let mut out = String::with_capacity(name.len() * 2);
    for (i, c) in name.iter().enumerate() {
        let before = i.checked_sub(1).map(|at| name[at]);
        let is_edge = before.is_some_and(|b| {
            let is_small = b.is_ascii_lowercase() || b.is_ascii_digit();
            (is_small && c.is_ascii_uppercase())
                || (b.is_ascii_alphabetic() && c.is_numeric())
                || (b.is_numeric() && c.is_ascii_alphabetic())
        });
        if is_edge {
            out.push('_');
        }
        out.push(*c);
    }
    out
}

/// A word with a capital; one that is all capitals stays.
fn titled(word: &str) -> String {
    let has_upper = word.chars().any(char::is_uppercase);
    if has_upper && !word.chars().any(char::is_lowercase) {
        return word.to_owned();
    }
    let mut chars = word.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.flat_map(char::to_lowercase)).collect()
}
