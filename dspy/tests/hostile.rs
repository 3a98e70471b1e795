//! Replies that a hostile model may send: they cost work in proportion to their length.
//!
//! What is measured is the time that this thread ran, so that others' load says nothing: a text
//! four times as long may take four times as long, and somewhat more, but not sixteen times.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{fs, time::Duration};

use dspy::{Adapter, Field, Signature, Type};

/// Texts of which the first length is measured, and the times as long that the second one is.
const SHORT: usize = 25_000;
const TIMES: u32 = 4;
/// Below this much, work is not measurable.
const FLOOR: Duration = Duration::from_millis(20);

/// Beginnings and what comes after them again and again.
const REPEATED: [(&str, &str); 64] = [
    ("", "["),
    ("", "{"),
    ("", "\""),
    ("", "'"),
    ("", "\\"),
    ("", "“"),
    ("", "„"),
    ("", "}"),
    ("", "{}"),
    ("", "[]"),
    ("", "{} {"),
    ("", " "),
    ("", "\n"),
    ("", "```json\n"),
    ("", "```"),
    ("", "//"),
    ("", "/*"),
    ("", "# c\n"),
    ("", "(1,"),
    ("", "not "),
    ("", "-"),
    ("", "1 "),
    ("", "1,"),
    ("", "\"a\": "),
    ("", "a: "),
    ("", "&lt;"),
    ("", "&#x41;"),
    ("", "<a>"),
    ("", "<o>1</o>"),
    ("", "</o>"),
    ("", "<!--"),
    ("", "<![CDATA["),
    ("", "[[ ## "),
    ("", "[[ ## o ## ]]\n"),
    ("", "[[ ## o ## ]]"),
    ("[", "1, "),
    ("[", "\"a\", "),
    ("[", "\"a\": 1, "),
    ("[", "{\"a\": 1, "),
    ("[{", "\"a\": 1, "),
    ("[{", "\"a\" 1 "),
    ("[{", "a: 1 "),
    ("[{\"a\": 1", ", a: 1"),
    ("[\"a", "]"),
    ("[\"a", "\" b"),
    ("{", "\"a\": [1], [2], "),
    ("{", "\\\"a\\\": 1, "),
    ("{\"a\": \"", "\\\""),
    ("{\"a\": \"", "\", \""),
    ("{\"a\": \"", "\": \""),
    ("{\"a\": \"", "x, y: "),
    ("{\"a\": \"", "\"b\", "),
    ("{\"a\": \"", "} "),
    ("{\"a\": \"", "} \""),
    ("{\"a\": \"", "}```"),
    ("{\"a\": \"", "x: {b: "),
    ("{\"a\": \"", ", [x, "),
    ("{\"a\": ", "b, "),
    ("{\"a\": ", "[1}, "),
    ("{\"a\": \"", "[x\" y"),
    ("{\"b\": 1, \"a\": [1]", ", [1}, \"b\": 1"),
    ("{\"a\": [[1, 2]]", ", [[1, 2]}"),
    ("[{\"a\": 1", "\"a\": 1"),
    ("[{\"a\": 1", "\\\"a\\\": 1, "),
];

/// How long this thread has run.
fn ran() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn signature(ty: &str) -> Signature {
    let output = Field::new("o", Type::parse(ty).unwrap());
    Signature::new("S", "", vec![Field::new("q", Type::Str)], vec![output])
}

/// The work of reading a text as a reply and as a value of one, in every format.
fn work(text: &str) -> Duration {
    let (plain, list) = (signature("str"), signature("list[Any]"));
    let section = format!("[[ ## o ## ]]\n{text}\n\n[[ ## completed ## ]]");
    let element = format!("<o>{text}</o>");
    let start = ran();
    let _read = Adapter::chat(false).parse(&plain, text);
    let _read = Adapter::chat(false).parse(&list, &section);
    let _read = Adapter::json().parse(&list, text);
    let _read = Adapter::xml(false).parse(&plain, &element);
    ran().checked_sub(start).unwrap()
}

fn repeated(start: &str, piece: &str, len: usize) -> String {
    format!("{start}{}", piece.repeat(len / piece.len()))
}

#[test]
fn work_grows_with_the_length_of_a_reply() {
    let mut steep = Vec::new();
    for (start, piece) in REPEATED {
        let short = work(&repeated(start, piece, SHORT));
        let long = work(&repeated(start, piece, SHORT * TIMES as usize));
        println!("{start}{piece}: {short:?}, then {long:?}");
        if long > FLOOR.max(short) * TIMES * 2 {
            steep.push(format!("{start}{piece}…: {short:?}, then {long:?}"));
        }
    }

    assert!(steep.is_empty(), "{}", steep.join("\n"));
}

#[test]
fn rows_that_go_on_again_and_again_are_not_looked_through_each_time() {
    let text = |times: usize| {
        let loose = ", 1".repeat(times | 1);
        format!("{{\"a\": [[1, 2]{loose}]{}", ", []".repeat(times))
    };
    let (short, long) = (work(&text(4_000)), work(&text(16_000)));

    assert!(long <= FLOOR.max(short) * TIMES * 2, "{short:?}, then {long:?}");
}
