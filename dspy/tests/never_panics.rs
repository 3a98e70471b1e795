//! No text that a model may send makes the parser panic, hang or overflow its stack.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use dspy::{Adapter, Definitions, Demo, Field, Fields, Signature, Type};
use proptest::prelude::*;
use serde_json::json;

const TYPES: [&str; 30] = [
    "str",
    "int",
    "float",
    "bool",
    "list[str]",
    "list[list[int]]",
    "Literal['a', 'b']",
    "Literal[1, True]",
    "Optional[str]",
    "Union[int, list[float]]",
    "dict[str, Any]",
    "tuple[int, ...]",
    "datetime",
    "date",
    "time",
    "timedelta",
    "Decimal",
    "UUID",
    "bytes",
    "frozenset[date]",
    "dspy.Image",
    "dspy.Audio",
    "dspy.File",
    "dspy.History",
    "dspy.ToolCalls",
    "dspy.ToolCallResults",
    "dspy.Code",
    "dspy.Reasoning",
    "dspy.Citations",
    "list[dspy.Document]",
];

fn signature() -> Signature {
    let field = |(i, ty): (usize, &&str)| Field::new(format!("f{i}"), Type::parse(ty).unwrap());
    let outputs = TYPES.iter().enumerate().map(field).collect();
    Signature::new("Any", "", vec![Field::new("question", Type::Str)], outputs)
}

/// Reads a text in both formats and as the value of every type.
fn read(text: &str) {
    let signature = signature();
    for adapter in [Adapter::chat(false), Adapter::json()] {
        let _read = adapter.parse(&signature, text);
        for output in &signature.outputs {
            let one = Signature::new("One", "", Vec::new(), vec![output.clone()]);
            let section = format!("[[ ## {} ## ]]\n{text}\n\n[[ ## completed ## ]]", output.name);
            let _read = adapter.parse(&one, &section);
        }
    }
}

/// Pieces that broken replies are made of.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[\\[\\]{}()\"':,\\\\/*#`“”„ \n0-9.eE+_-]{1,4}",
        Just("```json\n".to_owned()),
        Just("\\u00e9\\ud83c".to_owned()),
        Just("[[ ## f3 ## ]]".to_owned()),
        Just("true".to_owned()),
        Just("None".to_owned()),
        "[a-zé日\u{2028}]{1,5}",
        "\"f[0-9]\": ",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|it| it.concat())
}

/// Many cases, and no file of failures: a failure becomes a test of its own.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn broken_formats_are_read_or_refused(text in pieces()) {
        read(&text);
    }

    #[test]
    fn any_input_is_shown_or_refused(text in pieces(), key in "[a-z_]{1,12}") {
        let fields = TYPES.iter().enumerate();
        let field = |(i, ty): (usize, &&str)| Field::new(format!("f{i}"), Type::parse(ty).unwrap());
        let inputs: Vec<_> = fields.map(field).collect();
        let signature = Signature::new("Any", "", inputs, vec![Field::new("a", Type::Str)]);
        let (start, end) = ("<<CUSTOM-TYPE-START-IDENTIFIER>>", "<<CUSTOM-TYPE-END-IDENTIFIER>>");
        let marked = format!("{start}{text}{end}");
        for value in [json!(text), json!(marked), json!({key.clone(): text}), json!([text, null])] {
            let names = signature.inputs.iter().map(|it| it.name.clone());
            let turn = json!({"messages": [{"f0": value.clone(), "tool_calls": value.clone()}]});
            let all: Fields = names.map(|name| {
                let it = if name == "f23" { turn.clone() } else { value.clone() };
                (name, it)
            }).collect();
            let _checked = signature.check_inputs(&all);
            for adapter in [Adapter::default(), Adapter::json()] {
                let _messages = adapter.render(&signature, &[Demo(all.clone())], &all);
            }
        }
    }

    #[test]
    fn any_signature_is_read_or_refused(text in "[a-z:,=>\\[\\]|'\" -]{0,40}") {
        let _read = Signature::parse("Any", &text, &Definitions::default());
    }

    #[test]
    fn any_annotation_is_read_or_refused(text in "[a-zA-Z\\[\\],.|'\" 0-9()]{0,40}") {
        if let Ok(ty) = Type::parse(&text) {
            prop_assert_eq!(Type::parse(&ty.annotation()).unwrap(), ty);
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for piece in ["[", "{\"a\":", "(", "{", "[{\"a\":[", "\"a\":{", "'''", "-", "not "] {
        read(&piece.repeat(20_000));
    }
}
