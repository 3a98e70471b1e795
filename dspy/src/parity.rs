//! Single functions against Python's and the package's own, on random texts.

use serde_json::{Value, json};

use crate::{
    Definitions, Signature, Type,
    adapter::value,
    corpus::{neutral, plain::plain},
    json_repair,
    python::{literal, object::Object, repr, text, unicode},
};

#[path = "../tests/support/oracle.rs"]
mod oracle;

use oracle::Oracle;

const CASES: u64 = 3000;
const SHOWN: usize = 20;

#[test]
fn single_functions_do_what_pythons_do() {
    let setting = |name: &str| std::env::var_os(name)?.into_string().ok()?.parse().ok();
    let cases = setting("DIFFERENTIAL_CASES").unwrap_or(CASES);
    let seed = setting("DIFFERENTIAL_SEED").unwrap_or(1_u64);
    let mut oracle = Oracle::start();
    let (mut compared, mut wrong) = (0, Vec::new());
    for index in 0..cases {
        let answer = oracle.ask(&json!({"ask": "random", "seed": seed, "index": index}));
        if answer["refused"].is_string() || holds_other(&answer) {
            continue;
        }
        compared += 1;
        if let Some(difference) = difference(&answer) {
            let (ask, text) = (&answer["ask"], &answer["text"]);
            wrong
                .push(format!("case {index}: {ask} of {text} as {}\n{difference}", answer["type"]));
        }
    }

    let first: Vec<_> = wrong.iter().take(SHOWN).cloned().collect();
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), first.join("\n"));
    assert!(compared * 10 > cases * 9, "only {compared} were compared");
}

#[test]
fn every_character_is_what_python_takes_it_for() {
    let answer = Oracle::start().ask(&json!({"ask": "characters"}));
    let flags = answer["flags"].as_str().unwrap().bytes().map(|it| it - b'0');
    let asked: [fn(char) -> bool; 6] = [
        unicode::is_printable,
        unicode::is_alnum,
        unicode::is_alpha,
        unicode::is_digit,
        unicode::starts_name,
        unicode::continues_name,
    ];

    let wrong = flags.zip(0_u32..).filter_map(|(flags, code)| {
        let c = char::from_u32(code)?;
        let is_wrong = |bit: usize| asked[bit](c) != (flags >> bit & 1 == 1);
        (0..asked.len()).any(is_wrong).then(|| format!("{c:?} {flags:06b}"))
    });
    let wrong: Vec<_> = wrong.collect();

    assert!(wrong.is_empty(), "{} {:?}", wrong.len(), &wrong[..wrong.len().min(SHOWN)]);
}

/// Whether what JSON and Rust's text cannot hold is in play: integers over 64 bits, objects of
/// other types, halves of surrogate pairs.
fn holds_other(answer: &Value) -> bool {
    let ok = answer["ok"].to_string();
    let is_value = answer["ask"] == "parse_value";
    let is_other = is_value && (ok.contains("\"$int\"") || ok.contains("\"$repr\""));
    is_other || answer["text"].as_str().is_some_and(|it| it.to_ascii_lowercase().contains("\\ud"))
}

fn difference(answer: &Value) -> Option<String> {
    let text = answer["text"].as_str().unwrap();
    let got: Value = match answer["ask"].as_str().unwrap() {
        "parse_value" => return parsed(answer, text),
        "signature" => return declared(answer, text),
        "json_repair" => return read(answer, json_repair::loads(text).ok()),
        "literal_eval" => return read(answer, literal::eval(text)),
        "cleandoc" => text::clean_doc(text).into(),
        "dedent" => text::dedent(text).into(),
        "splitlines" => text::split_lines(text).into(),
        "strip" => text::strip(text).into(),
        "repr" => repr::string(text).into(),
        _ => repr::float(text.parse().unwrap()).into(),
    };
    let want: &Value = &answer["ok"];
    (got != *want).then(|| format!(" got {got}\nwant {want}"))
}

/// A signature by its fields; where the package refuses a text, so must the engine.
fn declared(answer: &Value, text: &str) -> Option<String> {
    let got = Signature::parse("StringSignature", text, &Definitions::default());
    let want = answer.get("signature").map(neutral::signature);
    let fields = |it: &Signature| -> Vec<(String, Type, bool)> {
        let fields = it.inputs.iter().chain(&it.outputs);
        fields.map(|it| (it.name.clone(), it.ty.clone(), it.untyped)).collect()
    };
    let is_equal = match (&got, &want) {
        (Ok(got), Some(Ok(want))) => {
            fields(got) == fields(want) && got.inputs.len() == want.inputs.len()
        }
        // What is out of scope by the neutral form need not be read.
        (Err(_), None | Some(Err(_))) => true,
        (Ok(_), None | Some(Err(_))) | (Err(_), Some(Ok(_))) => false,
    };
    let want = want.map_or_else(|| answer["message"].to_string(), |it| format!("{it:?}"));
    (!is_equal).then(|| format!(" got {got:?}\nwant {want}"))
}

/// A value of Python's by its `repr`, where types that JSON does not have are told apart.
fn read(answer: &Value, got: Option<Object>) -> Option<String> {
    let want = answer.get("repr").map(|it| it.as_str().unwrap().to_owned());
    let has_set = |it: &String| it.contains('{') && !it.contains(':');
    let got = got.map(|it| repr::repr(&it));
    let is_equal = got == want || want.as_ref().is_some_and(has_set);
    (!is_equal).then(|| format!(" got {got:?}\nwant {want:?} {}", answer["message"]))
}

fn parsed(answer: &Value, text: &str) -> Option<String> {
    let signature = neutral::signature(&answer["signature"]).unwrap();
    let ty = &signature.outputs[0].ty;
    let got = value::parse_text(ty, text, &signature.types);
    let got = got.map(Object::into_json).map_err(|it| it.to_string());
    let want = match answer.get("ok") {
        Some(ok) => Ok(plain(ok)),
        None => Err(without_links(answer["message"].as_str().unwrap())),
    };
    let (has_set, is_slip) = (answer.to_string().contains("\"$set\""), is_slip(answer));
    let is_equal = match (&got, &want) {
        (Ok(_), Ok(_)) if has_set => true,
        (Err(_), Err(_)) if is_slip => true,
        (got, want) => got == want,
    };
    (!is_equal).then(|| format!(" got {got:?}\nwant {want:?}"))
}

/// Whether the package fell over rather than refused.
fn is_slip(answer: &Value) -> bool {
    matches!(answer["error"].as_str(), Some("TypeError" | "RecursionError" | "MemoryError"))
}

/// pydantic's sentences without the links to its own, versioned pages.
fn without_links(message: &str) -> String {
    let lines = message.split('\n').filter(|it| !it.starts_with("    For further information"));
    lines.collect::<Vec<_>>().join("\n")
}
