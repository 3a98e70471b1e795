//! DSPy's `ChatAdapter`: a header `[[ ## name ## ]]` over each value.

use std::{borrow::Cow, ops::Range};

use serde_json::Value;

use super::{
    Format, Found, describe,
    render::sections,
    value::{self, shown},
};
use crate::{
    Field, ParseError, Signature,
    python::text::{self, is_word, split_lines, strip},
};

pub(super) const INTRODUCTION: &str = "All interactions will be structured in the following way, \
                                       with the appropriate values filled in.";

/// The structure of a conversation.
pub(super) fn structure(signature: &Signature) -> String {
    let inputs = signature.inputs.iter().map(|it| (it.name.clone(), describe::input_place(it)));
    let place = |it: &Field| (it.name.clone(), describe::output_place(it, &signature.types));
    let inputs = sections(inputs);
    let outputs = sections(signature.outputs.iter().map(place));
    let parts = [INTRODUCTION, &inputs, &outputs, "[[ ## completed ## ]]\n"];
    strip(&parts.join("\n\n")).to_owned()
}

/// What the last message says about the answer.
pub(super) fn reminder(signature: &Signature) -> String {
    let fields = signature.outputs.iter().map(|it| {
        let reminder = describe::type_reminder(it);
        format!("`[[ ## {} ## ]]`{reminder}", it.name)
    });
    let fields = fields.collect::<Vec<_>>().join(", then ");
    format!(
        "Respond with the corresponding output fields, starting with the field {fields}, and then \
         ending with the marker for `[[ ## completed ## ]]`."
    )
}

/// An answer of these values.
pub(super) fn answer<'a>(values: impl Iterator<Item = (&'a Field, &'a Value)>) -> String {
    let values = sections(values.map(|(field, value)| (field.name.clone(), shown(field, value))));
    format!("{values}\n\n[[ ## completed ## ]]\n")
}

/// The values under the headers of a reply; of a header that comes twice the first counts.
pub(super) fn parse(signature: &Signature, reply: &str) -> Result<Found, ParseError> {
    let mut found: Found = Vec::new();
    for (name, content) in reply_sections(reply) {
        let Some(field) = signature.outputs.iter().find(|it| it.name == name) else { continue };
        if found.iter().any(|(it, _)| it == name) {
            continue;
        }
        let value = value::parse_text(&field.ty, &content, &signature.types).map_err(|error| {
            let message = format!(
                "Failed to parse field {name} with value {content} from the LM response. Error \
                 message: {error}"
            );
            let uncaught = error.uncaught();
            ParseError { uncaught, ..Format::Chat.error(signature, reply, Some(message)) }
        })?;
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

/// The sections of a reply. What stands before the first header belongs to none.
fn reply_sections(reply: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let (mut lines, mut start) = (text::lines(reply), 0);
    let mut open: Option<Section<'_>> = None;
    let sections = std::iter::from_fn(move || {
        for (line, next) in lines.by_ref() {
            let end = start + line.len();
            start = next;
            if let Some((name, rest)) = header(line) {
                let section = Section { name, rest: strip(rest), below: next..next };
                let Some(ended) = open.replace(section) else { continue };
                return Some(ended);
            }
            if let Some(open) = &mut open {
                open.below.end = end;
            }
        }
        open.take()
    });
    sections.map(|it| (it.name, content(it.rest, &reply[it.below])))
}

/// A header, and where the lines below it are.
struct Section<'a> {
    name: &'a str,
    /// What stands behind it on its line.
    rest: &'a str,
    below: Range<usize>,
}

/// The rest of a header's line and the lines below it.
fn content<'a>(rest: &'a str, below: &'a str) -> Cow<'a, str> {
    if rest.is_empty() && !text::has_odd_line_ends(below) {
        return Cow::Borrowed(strip(below));
    }
    let first = Some(rest).filter(|it| !it.is_empty());
    let lines: Vec<_> = first.into_iter().chain(split_lines(below)).collect();
    Cow::Owned(strip(&lines.join("\n")).to_owned())
}

/// The name in a header, and the rest of its line.
///
/// The package looks for the header in the stripped line and cuts its length off the whole one,
/// so that blanks before a header leave its end in the value. So do we.
fn header(line: &str) -> Option<(&str, &str)> {
    let stripped = strip(line);
    let name_on = stripped.strip_prefix("[[ ## ")?;
    let name_len = name_on.find(|c| !is_word(c)).filter(|len| *len > 0)?;
    let (name, after) = name_on.split_at(name_len);
    after.strip_prefix(" ## ]]")?;
    let header_chars = "[[ ##  ## ]]".len() + name.chars().count();
    let rest = line.char_indices().nth(header_chars).map_or("", |(at, _)| &line[at..]);
    Some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_where_the_package_finds_them() {
        assert_eq!(header("[[ ## a ## ]] rest"), Some(("a", " rest")));
        assert_eq!(header("  [[ ## a ## ]]"), Some(("a", "]]")));
        assert_eq!(header("[[ ## a_é1 ## ]]"), Some(("a_é1", "")));
        assert_eq!(header("[[ ## a b ## ]]"), None);
        assert_eq!(header("[[ ##  ## ]]"), None);
        assert_eq!(header("x [[ ## a ## ]]"), None);
    }

    #[test]
    fn text_before_the_first_header_is_dropped() {
        let sections = reply_sections("Sure!\n[[ ## a ## ]] x\ny\n\n[[ ## b ## ]]\n");
        let sections: Vec<_> = sections.collect();

        assert_eq!(sections, [("a", "x\ny".into()), ("b", "".into())]);
    }
}
