//! What is fuzzed: everything that reads text which a model or a stranger has written.
//!
//! The same functions replay the corpus in the ordinary tests, so that what was found once stays
//! found. None may panic, hang, or take memory or time out of proportion to its input.

use dspy::{Adapter, Expression, Field, Fields, Signature, Type};
use programs::Registry;
use serde_json::json;

/// The types whose values replies are read as; a byte of the input picks some of them.
const TYPES: [&str; 16] = [
    "str",
    "int",
    "float",
    "bool",
    "Any",
    "None",
    "list[str]",
    "list[list[int]]",
    "dict[str, Any]",
    "dict[str, list[int]]",
    "Literal['a', 'b', 1, True]",
    "Optional[str]",
    "Union[int, list[float], bool]",
    "tuple[int, str]",
    "set[str]",
    "Union[dict[str, int], list[Optional[float]], str]",
];

type Target = fn(&[u8]);

/// Every fuzz target by its name, which is also its folder in the corpus.
pub(crate) const TARGETS: [(&str, Target); 9] = [
    ("annotation", annotation),
    ("expression", expression),
    ("json_repair", json_repair),
    ("literal", literal),
    ("program", program),
    ("reply_chat", reply_chat),
    ("reply_json", reply_json),
    ("reply_xml", reply_xml),
    ("signature", signature),
];

/// The first two bytes choose the types of the outputs, the rest is the reply.
fn reply(data: &[u8], adapter: &Adapter) {
    let Some((choice, text)) = data.split_at_checked(2) else { return };
    let text = String::from_utf8_lossy(text);
    let count = usize::from(choice[0] % 4) + 1;
    let outputs = (0..count).map(|i| {
        let ty = TYPES[(usize::from(choice[1]) + i * 5) % TYPES.len()];
        Field::new(format!("f{i}"), Type::parse(ty).unwrap())
    });
    let inputs = vec![Field::new("question", Type::Str)];
    let signature = Signature::new("Fuzzed", "", inputs, outputs.collect());
    if let Ok(fields) = adapter.parse(&signature, &text) {
        assert_eq!(fields.len(), count);
        // What was read can be shown again, as an input of the next step.
        let next = Signature { inputs: signature.outputs.clone(), ..signature };
        assert!(adapter.render(&next, &[], &fields).is_ok_and(|it| !it.is_empty()));
    }
}

/// A reply under headers.
pub(crate) fn reply_chat(data: &[u8]) {
    reply(data, &Adapter::chat(false));
}

/// A reply that is to be a JSON object.
pub(crate) fn reply_json(data: &[u8]) {
    reply(data, &Adapter::json());
}

/// A reply in tags.
pub(crate) fn reply_xml(data: &[u8]) {
    reply(data, &Adapter::xml(false));
}

/// A text as a value of any type: `json_repair`, and Python's literals where that finds nothing.
pub(crate) fn json_repair(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let outputs = vec![Field::new("f0", Type::Any)];
    let signature = Signature::new("Fuzzed", "", Vec::new(), outputs);
    let reply = format!("[[ ## f0 ## ]]\n{text}");
    let _read = Adapter::chat(false).parse(&signature, &reply);
}

/// A text as Python's literal: without what `json_repair` would take for JSON at its beginning.
pub(crate) fn literal(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let bare: String = text.chars().filter(|c| !matches!(c, '{' | '[' | '"')).collect();
    json_repair(bare.as_bytes());
}

/// A Python annotation; what is read is written and read again.
pub(crate) fn annotation(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(ty) = Type::parse(&text) {
        let again = Type::parse(&ty.annotation());
        assert_eq!(again.as_ref(), Ok(&ty));
        let output = Field::new("f0", ty);
        let signature = Signature::new("Fuzzed", "", Vec::new(), vec![output]);
        let messages = Adapter::json().render(&signature, &[], &Fields::new());
        assert!(messages.is_ok_and(|it| !it.is_empty()));
    }
}

/// A condition of a chain, and its value.
pub(crate) fn expression(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(expression) = text.parse::<Expression>() else { return };
    let fields: Fields = [
        ("a".to_owned(), json!(3)),
        ("b".to_owned(), json!(-0.5)),
        ("s".to_owned(), json!("aé b\nc")),
        ("l".to_owned(), json!([1, "x", null, [2]])),
        ("d".to_owned(), json!({"k": {"n": 1}, "x": true})),
    ]
    .into_iter()
    .collect();
    let _value = expression.value(&[&fields]);
    let _number = expression.number(&[&fields]);
    let _names = expression.names();
}

/// A signature in a line: `question: str -> answer: int`.
pub(crate) fn signature(data: &[u8]) {
    let line = String::from_utf8_lossy(data).replace(['\'', '\n', '\r'], " ");
    let file = format!("name: x\nversion: 1.0.0\nlm: dummy/x\nsignatures:\n  main: '{line}'\n");
    program(file.as_bytes());
}

/// A program file.
pub(crate) fn program(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = Registry::parse(&text, "x.yaml") {
        assert!(!error.problem.is_empty() && !error.fix.is_empty());
    }
}
