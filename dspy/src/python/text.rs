//! Python's `str` methods where they differ from Rust's.

use super::unicode::is_alnum;

/// `str.isspace` of one character.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    strip_end(strip_start(text))
}

/// `str.lstrip()`. Most texts begin with a byte that tells at once that it is no blank.
fn strip_start(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~', ..] => text,
        _ => text.trim_start_matches(is_space),
    }
}

fn strip_end(text: &str) -> &str {
    match text.as_bytes() {
        [.., b'!'..=b'~'] => text,
        _ => text.trim_end_matches(is_space),
    }
}

/// `str.strip()` of a text that is not needed any more.
pub(crate) fn stripped(mut text: String) -> String {
    text.truncate(text.trim_end_matches(is_space).len());
    text.drain(..text.len() - text.trim_start_matches(is_space).len());
    text
}

/// `str.isalnum` of one character, or an underscore: `\w` of `re`.
pub(crate) fn is_word(c: char) -> bool {
    match c {
        '_' | '0'..='9' | 'A'..='Z' | 'a'..='z' => true,
        c => !c.is_ascii() && is_alnum(c),
    }
}

/// `str.splitlines()`.
pub(crate) fn split_lines(text: &str) -> Vec<&str> {
    lines(text).map(|(line, _)| line).collect()
}

/// The lines of a text, each with where the next one begins.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|it| !it.is_empty())?;
        let (len, end_len) = line_end(rest).unwrap_or((rest.len(), 0));
        start += len + end_len;
        Some((&rest[..len], start))
    })
}

/// Where the first line ends, and how long its end is. Most bytes tell at once that they end none.
#[expect(clippy::needless_bitwise_bool, reason = "without branches many bytes go at once")]
fn line_end(text: &str) -> Option<(usize, usize)> {
    let may_end = |byte: u8| (byte < b' ') | (byte == 0xc2) | (byte == 0xe2);
    let mut from = 0;
    loop {
        let at = from + first_byte(&text.as_bytes()[from..], may_end)?;
        match &text.as_bytes()[at..] {
            [b'\n', ..] => return Some((at, 1)),
            [b'\r', b'\n', ..] => return Some((at, 2)),
            _ => {}
        }
        let c = text[at..].chars().next()?;
        if is_line_end(c) {
            return Some((at, c.len_utf8()));
        }
        from = at + c.len_utf8();
    }
}

/// Where the first byte is of which something is true.
///
/// Looks at sixteen at once, for which there are instructions if the condition has no branches:
/// join its parts by `|`.
#[inline]
pub(crate) fn first_byte(bytes: &[u8], is_it: impl Fn(u8) -> bool) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<16>();
    let has_it = |block: &[u8; 16]| block.iter().fold(false, |any, byte| any | is_it(*byte));
    let clean = blocks.iter().position(has_it).unwrap_or(blocks.len()) * 16;
    Some(clean + bytes[clean..].iter().position(|byte| is_it(*byte))?)
}

/// Whether `str.splitlines()` ends a line here.
pub(crate) fn is_line_end(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// `inspect.cleandoc`: tabs expanded, the margin of all lines but the first taken off, blank
/// lines at both ends removed.
pub(crate) fn clean_doc(text: &str) -> String {
    let text = expand_tabs(text);
    let lines: Vec<&str> = text.split('\n').collect();
    let margin = lines.iter().skip(1).filter_map(|it| indent(it)).min().unwrap_or(0);
    let mut clean = vec![lines[0].trim_start_matches(is_space)];
    clean.extend(lines[1..].iter().map(|it| skip_chars(it, margin)));
    while clean.last().is_some_and(|it| it.is_empty()) {
        clean.pop();
    }
    let blank = clean.iter().take_while(|it| it.is_empty()).count();
    clean[blank..].join("\n")
}

/// `textwrap.dedent`: the blanks that all lines begin with taken off; blank lines emptied.
pub(crate) fn dedent(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let is_blank = |line: &str| line.chars().all(|c| c == ' ' || c == '\t');
    let mut margin: Option<&str> = None;
    for line in lines.iter().filter(|it| !is_blank(it)) {
        let own = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        margin = Some(margin.map_or(own, |margin| common_prefix(margin, own)));
    }
    let margin = margin.unwrap_or("");
    let dedented = lines.iter().map(|line| {
        let content = line.strip_prefix(margin).unwrap_or(line);
        if is_blank(line) { "" } else { content }
    });
    dedented.collect::<Vec<_>>().join("\n")
}

fn common_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    &a[..same]
}

fn indent(line: &str) -> Option<usize> {
    let content = line.trim_start_matches(is_space);
    (!content.is_empty()).then(|| line.chars().count() - content.chars().count())
}

/// The text without its first characters.
pub(crate) fn skip_chars(line: &str, count: usize) -> &str {
    let at = line.char_indices().nth(count).map_or(line.len(), |(at, _)| at);
    &line[at..]
}

fn expand_tabs(text: &str) -> String {
    const TAB: usize = 8;
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let blanks = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_ends_them() {
        assert_eq!(split_lines("a\nb\r\nc\u{2028}d\u{b}e\n"), ["a", "b", "c", "d", "e"]);
        assert_eq!(split_lines("\n\na"), ["", "", "a"]);
        assert!(split_lines("").is_empty());
    }

    #[test]
    fn docstrings_lose_their_margin() {
        assert_eq!(
            clean_doc("First.\n\n    Second\n      third\n    "),
            "First.\n\nSecond\n  third"
        );
        assert_eq!(clean_doc("\n    Only\n    "), "Only");
        assert_eq!(dedent("  a\n\n   b"), "a\n\n b");
    }
}
