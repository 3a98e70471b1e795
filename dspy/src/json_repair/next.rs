//! Where characters come next: lookups that would each walk to the end of a long text.
//!
//! The rules ask after every quote, comma and colon what comes behind it. In a long broken text
//! that is quadratic, and minutes instead of milliseconds.

use std::cell::RefCell;

/// Shorter texts are walked: that is faster than remembering.
const LENGTH_MIN: usize = 2048;

/// For each character asked for, its next unescaped place at or after every place of the text.
#[derive(Default)]
pub(super) struct Next(RefCell<Vec<(char, Vec<u32>)>>);

impl Next {
    /// The next unescaped place of one of `targets` from `start` on, or the length of the text.
    ///
    /// A backslash before `start` escapes nothing.
    pub(super) fn find(&self, text: &[char], targets: &[char], start: usize) -> usize {
        let Some((at, is_found)) = first(text, targets, start) else { return text.len() };
        if is_found {
            return at;
        }
        if text.len() < LENGTH_MIN {
            return walk(text, targets, at + 1);
        }
        let places = targets.iter().map(|target| self.place(text, *target, at + 1));
        places.min().unwrap_or(text.len())
    }

    /// Forgets everything: the text has changed.
    pub(super) fn forget(&mut self) {
        self.0.get_mut().clear();
    }

    fn place(&self, text: &[char], target: char, at: usize) -> usize {
        let mut known = self.0.borrow_mut();
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
