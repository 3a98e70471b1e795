//! Python's `str` methods where they differ from Rust's.

use super::unicode::is_alnum;

/// `str.isspace` of one character.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.isalnum` of one character, or an underscore: `\w` of `re`.
pub(crate) fn is_word(c: char) -> bool {
    c == '_' || is_alnum(c)
}

/// `str.splitlines()`.
pub(crate) fn split_lines(text: &str) -> Vec<&str> {
    lines(text).map(|(line, _)| line).collect()
}

/// The lines of a text, each with where the next one begins.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &text[start..];
        let line = line_end(rest).map_or(rest, |end| &rest[..end]);
        let mut after = rest[line.len()..].chars();
        match after.next() {
            None if line.is_empty() => return None,
            Some('\r') if after.as_str().starts_with('\n') => start += line.len() + 2,
            end => start += line.len() + end.map_or(0, char::len_utf8),
        }
        Some((line, start))
    })
}

/// Where the first line ends. Most bytes tell at once that they end none.
fn line_end(text: &str) -> Option<usize> {
    let may_end = |byte: &u8| *byte < b' ' || matches!(*byte, 0xc2 | 0xe2);
    let mut from = 0;
    loop {
        let at = from + text.as_bytes()[from..].iter().position(may_end)?;
        let c = text[at..].chars().next()?;
        if is_line_end(c) {
            return Some(at);
        }
        from = at + c.len_utf8();
    }
}

/// Whether lines end in another way than by a newline.
pub(crate) fn has_odd_line_ends(text: &str) -> bool {
    text.contains(|c| c != '\n' && is_line_end(c))
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

fn skip_chars(line: &str, count: usize) -> &str {
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
