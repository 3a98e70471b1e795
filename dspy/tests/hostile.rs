//! Replies that a hostile model may send: they cost work in proportion to their length.
//!
//! What is measured is the time that this thread ran, so that others' load says nothing: a text
//! four times as long may take four times as long, and somewhat more, but not sixteen times.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{fs, time::Duration};

use dspy::{Adapter, Definitions, Field, Signature, Type};
use serde_json::json;

/// Texts of which the first length is measured, and the times as long that the second one is.
const SHORT: usize = 25_000;
const TIMES: u32 = 4;
/// How much more than in proportion is no sign. Work that grows with the square takes `TIMES` times
/// more.
const SLACK: u32 = 2;
/// The same for a megabyte, whose values do not fit into a cache.
const LARGE_SLACK: u32 = 3;
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

/// Types, and texts of a megabyte that are a value of each, or nearly.
const LARGE: [(&str, (&str, &str, &str)); 22] = [
    ("list[int]", ("[", "#, ", "0]")),
    ("list[str]", ("[", "'#' ", "]")),
    ("dict[str, Any]", ("{", "\"k#\": #, ", "\"z\": 0}")),
    ("dict[str, int]", ("{", "k#: '#' ", "}")),
    ("set[int]", ("[", "#, ", "'x']")),
    ("tuple[int, ...]", ("(", "#, ", "0)")),
    ("Node", ("{\"name\": \"n\", \"kids\": [", "{\"name\": \"n#\"}, ", "{\"name\": 1}]}")),
    ("list[Node]", ("[", "{name: n#, kids: []} ", "")),
    ("Optional[Node]", ("{\"name\": \"", "x", "\", \"color\": \"red\"}")),
    ("Union[int, Node, list[Color]]", ("[", "'red', ", "'pink']")),
    ("Literal['a', 'b']", ("Literal['", "\\'", "']")),
    ("Color", ("", "red", "")),
    ("int", ("", "1", "")),
    ("float", ("0.", "1", "e1")),
    ("bool", ("", "true ", "")),
    ("datetime", ("2026-01-02T03:04:05.", "0", "Z")),
    ("date", ("", "2026-01-02 ", "")),
    ("timedelta", ("P", "1D", "")),
    ("Decimal", ("1", "0", ".5")),
    ("UUID", ("", "12345678-", "")),
    ("bytes", ("b'", "\\x41", "'")),
    ("dspy.ToolCalls", ("{\"tool_calls\": [", "{\"name\": \"n#\", \"args\": {}}, ", "]}")),
];

const MEGABYTE: usize = 1_000_000;

/// How long this thread has run.
fn ran() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn signature(ty: &str) -> Signature {
    let output = Field::new("o", Type::parse(ty).unwrap());
    Signature::new("S", "", vec![Field::new("q", Type::Str)], vec![output])
}

/// The same with a model that holds itself, and an enum.
fn signature_of_own(ty: &str) -> Signature {
    let field = |name: &str, ty: &str, default| json!({"name": name, "ty": ty, "default": default});
    let types = json!({
        "Node": {"model": {"fields": [
            {"name": "name", "ty": "str"},
            field("color", "Optional[Color]", json!("red")),
            field("kids", "list[Node]", json!([])),
        ]}},
        "Color": {"enum": {"members": [
            {"name": "RED", "value": "red"},
            {"name": "BLUE", "value": "blue"},
        ]}},
    });
    let types: Definitions = serde_json::from_value(types).unwrap();
    let output = Field::new("o", Type::parse_with(ty, &types).unwrap());
    let signature = Signature::new("S", "", vec![Field::new("q", Type::Str)], vec![output]);
    Signature { types, ..signature }
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

/// Beginnings, pieces that are each of another number, and ends.
const NUMBERED: [(&str, &str, &str); 16] = [
    ("", "<e#>1</e#>", ""),
    ("", "<entry key='k#'>1</entry>", ""),
    ("<a ", "a#='1' ", "/>"),
    ("<a ", "xmlns:n#='u#' ", "/>"),
    ("<a ", "xmlns:n#='u' ", "><n0:b/><n1:b/></a>"),
    ("", "<n#:a xmlns:n#='u#'/>", ""),
    ("<a>", "<n#:a xmlns:n#='u#'/>", "</a>"),
    ("", "[[ ## f# ## ]]\n1\n", ""),
    ("{", "\"k#\": #, ", "}"),
    ("{", "k#: #\n", "}"),
    ("{", "'k#': '#', ", "}"),
    ("{", "#, ", "}"),
    ("{", "#: (#,), ", "}"),
    ("{\"a\": ", "{\"k#\": #}, ", ""),
    ("[", "{\"k#\": #}, ", "]"),
    ("{\"o\": {", "\"k#\": \"#", "\"}}"),
];

/// What opens and what closes it, each as often.
const NESTED: [(&str, &str); 12] = [
    ("<a>", "</a>"),
    ("<item>", "</item>"),
    ("<a xmlns='u'>", "</a>"),
    ("[", "]"),
    ("(", ")"),
    ("{1,", "}"),
    ("{1:", "}"),
    ("{\"a\":", "}"),
    ("[{\"kids\":[", "]}]"),
    ("(1,[", "])"),
    ("“[", "]”"),
    ("```json\n{\"a\":", "}\n```"),
];

/// Types whose values are read each in a way of its own.
const TYPES: [&str; 24] = [
    "int",
    "float",
    "bool",
    "Literal['a', 1]",
    "Optional[int]",
    "Union[int, list[str], dict[str, int]]",
    "dict[str, Any]",
    "dict[int, list[int]]",
    "set[Any]",
    "frozenset[int]",
    "tuple[Any, ...]",
    "list[tuple[int, str]]",
    "list[Union[int, str, None]]",
    "datetime",
    "timedelta",
    "Decimal",
    "UUID",
    "bytes",
    "dspy.Image",
    "dspy.File",
    "dspy.ToolCalls",
    "dspy.Code",
    "dspy.Citations",
    "list[dspy.Reasoning]",
];

/// What values of them are made of.
const VALUES: [&str; 35] = [
    "1",
    "0",
    "-",
    "+",
    ".",
    "_",
    "1_",
    "e",
    "1e",
    "9.",
    " ",
    "\\",
    "\\\n",
    "\\x41",
    "\\N{",
    "'",
    "\"",
    "'a' ",
    "b'a' ",
    "f'",
    "'''",
    "#",
    "~",
    "1+1j+",
    "1,",
    "[1],",
    "(1, 'a'),",
    "\"a\": 1, ",
    "P1D",
    "T1H",
    "```\n",
    "`",
    "a/",
    "data:;base64,",
    "set() ",
];

fn numbered((start, piece, end): (&str, &str, &str), len: usize) -> String {
    let pieces = (0..len / piece.len()).map(|i| piece.replace('#', &i.to_string()));
    format!("{start}{}{end}", pieces.collect::<String>())
}

fn nested((open, close): (&str, &str), len: usize) -> String {
    let times = len / (open.len() + close.len());
    format!("{}{}", open.repeat(times), close.repeat(times))
}

fn repeated(start: &str, piece: &str, len: usize) -> String {
    format!("{start}{}", piece.repeat(len / piece.len()))
}

/// The texts for which the work on a longer one is out of proportion.
fn steep(work: impl Fn(&str) -> Duration, texts: &[(String, String)], slack: u32) -> Vec<String> {
    let mut steep = Vec::new();
    for (short, long) in texts {
        let name: String = short.chars().take(40).collect();
        let (short, long) = (work(short), work(long));
        if long > FLOOR.max(short) * TIMES * slack {
            steep.push(format!("{name}…: {short:?}, then {long:?}"));
        }
    }
    steep
}

/// A text of this length, and one so many times as long.
fn both(short: usize, text: impl Fn(usize) -> String) -> (String, String) {
    (text(short), text(short * TIMES as usize))
}

#[test]
fn work_grows_with_the_length_of_a_reply() {
    let repeated = REPEATED.iter().map(|it| both(SHORT, |len| repeated(it.0, it.1, len)));
    let numbered = NUMBERED.iter().map(|it| both(SHORT, |len| numbered(*it, len)));
    let nested = NESTED.iter().map(|it| both(SHORT, |len| nested(*it, len)));
    let texts: Vec<_> = repeated.chain(numbered).chain(nested).collect();

    let steep = steep(work, &texts, SLACK);

    assert!(steep.is_empty(), "{}", steep.join("\n"));
}

#[test]
fn work_grows_with_the_length_of_a_value() {
    let texts: Vec<_> =
        VALUES.iter().map(|it| both(SHORT / 5, |len| repeated("", it, len))).collect();
    let mut all = Vec::new();
    for ty in TYPES {
        let signature = signature(ty);
        let work = |text: &str| {
            let section = format!("[[ ## o ## ]]\n{text}");
            let start = ran();
            let _read = Adapter::chat(false).parse(&signature, &section);
            ran().checked_sub(start).unwrap()
        };
        all.extend(steep(work, &texts, SLACK).into_iter().map(|it| format!("{ty} of {it}")));
    }

    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn text_that_the_package_reads_for_hours_is_refused() {
    let text = "{1}, ".repeat(20_000);

    let error = Adapter::json().parse(&signature("list[Any]"), &text).unwrap_err().to_string();

    assert!(error.contains("Input takes too many steps to repair."), "{error:.200}");
}

#[test]
fn rows_that_go_on_again_and_again_are_not_looked_through_each_time() {
    let text = |times: usize| {
        let loose = ", 1".repeat(times | 1);
        format!("{{\"a\": [[1, 2]{loose}]{}", ", []".repeat(times))
    };
    let (short, long) = (work(&text(4_000)), work(&text(16_000)));

    assert!(long <= FLOOR.max(short) * TIMES * SLACK, "{short:?}, then {long:?}");
}

#[test]
fn values_of_a_megabyte_are_read_in_proportion() {
    let mut all = Vec::new();
    for (ty, text) in LARGE {
        let signature = signature_of_own(ty);
        let texts = [both(MEGABYTE / TIMES as usize, |len| numbered(text, len))];
        for adapter in [Adapter::chat(false), Adapter::json(), Adapter::xml(false)] {
            let work = |text: &str| {
                let reply = match adapter.name() {
                    "ChatAdapter" => format!("[[ ## o ## ]]\n{text}"),
                    "JSONAdapter" => format!("{{\"o\": {text}}}"),
                    _ => format!("<o>{text}</o>"),
                };
                let start = ran();
                let _read = adapter.parse(&signature, &reply);
                ran().checked_sub(start).unwrap()
            };
            let named = |it| format!("{ty} in {}, of {it}", adapter.name());
            all.extend(steep(work, &texts, LARGE_SLACK).into_iter().map(named));
        }
    }

    assert!(all.is_empty(), "{}", all.join("\n"));
}
