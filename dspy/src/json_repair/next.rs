//! Where characters come next: lookups that would each walk to the end of a long text.
//!
//! The rules ask after every quote, comma and colon what comes behind it. In a long broken text
//! that is quadratic, and minutes instead of milliseconds.

use std::{cell::RefCell, collections::HashMap};

/// Shorter texts are walked: that is faster than remembering.
const LENGTH_MIN: usize = 2048;

/// A text that changes more often is walked too: all would have to be found out anew.
const CHANGES_MAX: usize = 16;

/// What was found out about the text, by the character that was asked for.
#[derive(Default)]
pub(super) struct Next {
    /// Its next unescaped place at or after every place.
    places: RefCell<Vec<(char, Vec<u32>)>>,
    /// Whether it comes an odd number of times before the next unescaped `]`.
    is_odd: RefCell<Vec<(char, Vec<bool>)>>,
    /// Where the containers end that are looked at as parts of text, if they do.
    containers: RefCell<HashMap<usize, End>>,
    changes: usize,
}

/// Where a container ends.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// Before this place.
    Before(usize),
    Never,
}

impl Next {
    /// The next unescaped place of one of `targets` from `start` on, or the length of the text.
    ///
    /// A backslash before `start` escapes nothing.
    pub(super) fn find(&self, text: &[char], targets: &[char], start: usize) -> usize {
        let Some((at, is_found)) = first(text, targets, start) else { return text.len() };
        if is_found {
            return at;
        }
        if self.is_walked(text) {
            return walk(text, targets, at + 1);
        }
        let places = targets.iter().map(|target| self.place(text, *target, at + 1));
        places.min().unwrap_or(text.len())
    }

    /// Whether the text is walked through each time.
    pub(super) fn is_walked(&self, text: &[char]) -> bool {
        text.len() < LENGTH_MIN || self.changes > CHANGES_MAX
    }

    /// Forgets everything: the text has changed.
    pub(super) fn forget(&mut self) {
        *self = Self { changes: self.changes + 1, ..Self::default() };
    }

    /// Whether an odd number of unescaped `quote` come from `start` on before the next `]`.
    pub(super) fn is_odd_in_array(&self, text: &[char], quote: char, start: usize) -> bool {
        let mut known = self.is_odd.borrow_mut();
        if !known.iter().any(|(c, _)| *c == quote) {
            known.push((quote, oddness(text, quote)));
        }
        let is_odd = known.iter().find(|(c, _)| *c == quote).map(|(_, is_odd)| is_odd);
        is_odd.and_then(|it| it.get(start)).copied().unwrap_or(false)
    }

    /// Where the container ends that begins at a place, if it was looked at before.
    pub(super) fn container_end(&self, start: usize) -> Option<End> {
        self.containers.borrow().get(&start).copied()
    }

    pub(super) fn note_container(&self, start: usize, end: End) {
        self.containers.borrow_mut().insert(start, end);
    }

    fn place(&self, text: &[char], target: char, at: usize) -> usize {
        let mut known = self.places.borrow_mut();
        if !known.iter().any(|(c, _)| *c == target) {
            known.push((target, places(text, target)));
        }
        let places = known.iter().find(|(c, _)| *c == target).map(|(_, places)| places);
        let place = places.and_then(|it| it.get(at)).copied();
        place.map_or(text.len(), |it| usize::try_from(it).unwrap_or(text.len()))
    }
}

/// The first character from `start` on that is no backslash, and whether it is looked for.
fn first(text: &[char], targets: &[char], start: usize) -> Option<(usize, bool)> {
    let backslashes = text.get(start..)?.iter().take_while(|c| **c == '\\').count();
    let at = start + backslashes;
    let c = text.get(at)?;
    Some((at, backslashes % 2 == 0 && targets.contains(c)))
}

fn walk(text: &[char], targets: &[char], mut start: usize) -> usize {
    while let Some((at, is_found)) = first(text, targets, start) {
        if is_found {
            return at;
        }
        start = at + 1;
    }
    text.len()
}

fn places(text: &[char], target: char) -> Vec<u32> {
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut places = vec![end; text.len()];
    let mut backslashes = 0;
    for (at, c) in text.iter().enumerate() {
        if *c == target && backslashes % 2 == 0 {
            places[at] = u32::try_from(at).unwrap_or(end);
        }
        backslashes = if *c == '\\' { backslashes + 1 } else { 0 };
    }
    for at in (0..text.len().saturating_sub(1)).rev() {
        if places[at] == end {
            places[at] = places[at + 1];
        }
    }
    places
}

fn oddness(text: &[char], quote: char) -> Vec<bool> {
    let mut backslashes = 0;
    let mut plain = Vec::with_capacity(text.len());
    for c in text {
        plain.push(backslashes % 2 == 0);
        backslashes = if *c == '\\' { backslashes + 1 } else { 0 };
    }
    let mut is_odd = vec![false; text.len() + 1];
    for at in (0..text.len()).rev() {
        is_odd[at] = match text[at] {
            ']' if plain[at] => false,
            c if c == quote && plain[at] => !is_odd[at + 1],
            _ => is_odd[at + 1],
        };
    }
    is_odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_looked_up_as_short_ones_are_walked() {
        let piece: Vec<char> = "a\\\"b\\\\\"c]\\\\\\]'\\".chars().collect();
        let text = piece.repeat(LENGTH_MIN / piece.len() + 1);

        let next = Next::default();
        for start in 0..piece.len() * 3 {
            for targets in [&['"'][..], &[']', '\''], &['x']] {
                let walked = walk(&text, targets, start);
                assert_eq!(next.find(&text, targets, start), walked, "{targets:?} from {start}");
            }
        }
    }
}
