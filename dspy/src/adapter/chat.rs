//! DSPy's `ChatAdapter`: a header `[[ ## name ## ]]` over each value.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    Format, Found, describe,
    render::sections,
    value::{self, shown},
};
use crate::{
    Field, ParseError, Signature,
    python::text::{
        self, first_byte, is_line_end, is_space, is_word, skip_chars, split_lines, strip,
    },
};

pub(super) const INTRODUCTION: &str = "All interactions will be structured in the following way, \
                                       with the appropriate values filled in.";

/// The structure of a conversation.
pub(super) fn structure(signature: &Signature) -> String {
    let inputs = signature.inputs.iter().map(|it| (it.name.as_str(), describe::input_place(it)));
    let place = |it| describe::output_place(it, &signature.types);
    let inputs = sections(inputs);
    let outputs = sections(signature.outputs.iter().map(|it| (it.name.as_str(), place(it))));
    text::stripped([INTRODUCTION, &inputs, &outputs, "[[ ## completed ## ]]\n"].join("\n\n"))
}

/// What the last message says about the answer.
pub(super) fn reminder(signature: &Signature) -> String {
    let fields = signature.outputs.iter().map(|it| {
        let reminder = describe::type_reminder(it);
        ["`[[ ## ", &it.name, " ## ]]`", &reminder].concat()
    });
    let fields = fields.collect::<Vec<_>>().join(", then ");
    format!(
        "Respond with the corresponding output fields, starting with the field {fields}, and then \
         ending with the marker for `[[ ## completed ## ]]`."
    )
}

/// An answer of these values.
pub(super) fn answer<'a>(values: impl Iterator<Item = (&'a Field, &'a Value)>) -> String {
    let values = sections(values.map(|(field, value)| (field.name.as_str(), shown(field, value))));
    format!("{values}\n\n[[ ## completed ## ]]\n")
}

/// Finds the values under the headers of a reply; of a header that comes twice the first counts.
pub(super) fn parse(
    signature: &Signature,
    reply: &str,
    found: &mut Found,
) -> Result<(), ParseError> {
    for section in sections_of(reply) {
        let name = section.name;
        let Some(field) = signature.outputs.iter().find(|it| it.name == name) else { continue };
        if found.has(name) {
            continue;
        }
        let content = section.content();
        let value = value::parse_text(&field.ty, &content, &signature.types).map_err(|error| {
            let message = format!(
                "Failed to parse field {name} with value {content} from the LM response. Error \
                 message: {error}"
            );
            let uncaught = error.uncaught();
            ParseError { uncaught, ..Format::Chat.error(signature, reply, Some(message)) }
        })?;
        found.put(name.to_owned(), value);
    }
    Ok(())
}

/// What stands under one header.
struct Section<'a> {
    name: &'a str,
    /// What stands behind the header on its line.
    rest: &'a str,
    below: &'a str,
    /// Whether a line of it ends in another way than by a newline.
    has_odd_ends: bool,
}

/// The sections of a reply. What stands before the first header belongs to none.
fn sections_of(reply: &str) -> impl Iterator<Item = Section<'_>> {
    let (mut next, _) = next_header(reply, 0);
    std::iter::from_fn(move || {
        let Header { name, rest, below, .. } = next.take()?;
        let (header, has_odd_ends) = next_header(reply, below);
        let end = header.as_ref().map_or(reply.len(), |it| it.at);
        next = header;
        Some(Section { name, rest, below: &reply[below..end], has_odd_ends })
    })
}

impl<'a> Section<'a> {
    /// The rest of the header's line and the lines below it.
    fn content(&self) -> Cow<'a, str> {
        if self.rest.is_empty() && !self.has_odd_ends {
            return Cow::Borrowed(strip(self.below));
        }
        let first = Some(self.rest).filter(|it| !it.is_empty());
        let lines: Vec<_> = first.into_iter().chain(split_lines(self.below)).collect();
        Cow::Owned(strip(&lines.join("\n")).to_owned())
    }
}

/// A header, and where the lines below it begin.
#[derive(Debug, PartialEq)]
struct Header<'a> {
    at: usize,
    name: &'a str,
    /// What stands behind it on its line.
    rest: &'a str,
    below: usize,
}

/// The first header from a place on, and whether a line before it ends in another way than by a
/// newline. Most bytes tell at once that they are neither.
#[expect(clippy::needless_bitwise_bool, reason = "without branches many bytes go at once")]
fn next_header(reply: &str, from: usize) -> (Option<Header<'_>>, bool) {
    let may_tell = |byte: u8| {
        (byte == b'[') | (byte < b' ') & (byte != b'\n') | (byte == 0xc2) | (byte == 0xe2)
    };
    let (mut from, mut has_odd_ends) = (from, false);
    while let Some(skipped) = first_byte(&reply.as_bytes()[from..], may_tell) {
        let at = from + skipped;
        if let Some(header) = header_at(reply, at) {
            return (Some(header), has_odd_ends);
        }
        let Some(c) = reply[at..].chars().next() else { break };
        has_odd_ends |= is_line_end(c);
        from = at + c.len_utf8();
    }
    (None, has_odd_ends)
}

/// The header that begins here, which only blanks may stand before on its line.
///
/// The package looks for the header in the stripped line and cuts its length off the whole one,
/// so that blanks before a header leave its end in the value. So do we.
fn header_at(reply: &str, at: usize) -> Option<Header<'_>> {
    let name_on = reply[at..].strip_prefix("[[ ## ")?;
    let name = &name_on[..word_len(name_on)];
    let behind = name_on[name.len()..].strip_prefix(" ## ]]").filter(|_| !name.is_empty())?;
    let before = reply[..at].trim_end_matches(|c| is_space(c) && !is_line_end(c));
    if !before.is_empty() && !before.ends_with(is_line_end) {
        return None;
    }
    let (rest, next) = text::lines(behind).next().unwrap_or_default();
    let ends = reply.len() - behind.len();
    let line = &reply[before.len()..ends + rest.len()];
    let rest = match before.len() {
        it if it == at => rest,
        _ => skip_chars(line, reply[at..ends].chars().count()),
    };
    Some(Header { at, name, rest: strip(rest), below: ends + next })
}

/// How long the word is that a text begins with.
fn word_len(text: &str) -> usize {
    let is_end = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'_';
    let len = text.bytes().position(is_end).unwrap_or(text.len());
    match text.as_bytes().get(len) {
        Some(0x80..) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
        _ => len,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_where_the_package_finds_them() {
        let header = |text| {
            let (header, _) = next_header(text, 0);
            header.map(|it| (it.name, it.rest))
        };

        assert_eq!(header("[[ ## a ## ]] rest"), Some(("a", "rest")));
        assert_eq!(header("  [[ ## a ## ]]"), Some(("a", "]]")));
        assert_eq!(header("x\u{2028}\u{3000}[[ ## a ## ]]\ny"), Some(("a", "]")));
        assert_eq!(header("x\r\n                 [[ ## a ## ]] y"), Some(("a", "[[ ## a ## ]] y")));
        assert_eq!(header("[[ [[ ## b ## ]]\n[[ ## a ## ]]\ry"), Some(("a", "")));
        assert_eq!(header("[[ ## a_é1 ## ]]"), Some(("a_é1", "")));
        assert_eq!(header("[[ ## a b ## ]]"), None);
        assert_eq!(header("[[ ##  ## ]]"), None);
        assert_eq!(header("x [[ ## a ## ]]"), None);
    }

    #[test]
    fn text_before_the_first_header_is_dropped() {
        let reply = "Sure!\n[[ ## a ## ]] x\ny\n\n[[ ## b ## ]]\n";

        let sections = sections_of(reply).map(|it| (it.name, it.content()));
        let sections: Vec<_> = sections.collect();

        assert_eq!(sections, [("a", "x\ny".into()), ("b", "".into())]);
    }
}
