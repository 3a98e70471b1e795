//! The corpora recorded from the real package, against the parts that they were recorded from.

use serde_json::{Map, Value, json};

use crate::{
    Adapter, Demo, Field, Fields, Signature, Type,
    adapter::value,
    json_repair, prefix,
    python::{object::Object, repr},
    types::Definitions,
    xml::{ElementId, Tree},
};

#[path = "../tests/support/neutral.rs"]
pub(crate) mod neutral;
#[path = "../tests/support/plain.rs"]
pub(crate) mod plain;

use plain::plain;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");

fn lines(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{FOLDER}{name}.jsonl")).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

/// The rows of a corpus.
pub(crate) fn rows(name: &str) -> Vec<Value> {
    lines(name).iter().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// A member of a line, integers of any length included.
fn exact(line: &str, name: &str) -> Object {
    match json_repair::loads(line) {
        Ok(Object::Dict(dict)) => dict.get(name).unwrap().clone(),
        _ => unreachable!("a line of a corpus is an object"),
    }
}

fn definitions() -> Definitions {
    let text = std::fs::read_to_string(format!("{FOLDER}types.json")).unwrap();
    let all: Map<String, Value> = serde_json::from_str(&text).unwrap();
    neutral::definitions(&Value::Object(all)).unwrap()
}

/// The type of a row, if it is in scope.
fn ty(row: &Value) -> Option<Type> {
    row["annotation"].is_object().then(|| neutral::ty(&row["annotation"]).unwrap())
}

/// Fails with the first differences.
fn report(name: &str, checked: usize, wrong: &[String]) {
    let first: Vec<_> = wrong.iter().take(40).cloned().collect();

    assert!(wrong.is_empty(), "{name}: {} of {checked}\n{}", wrong.len(), first.join("\n"));
}

#[test]
fn broken_json_is_repaired_as_the_package_repairs_it() {
    let mut rows = rows("json_repair");
    rows.extend(self::rows("json_repair_random"));
    let mut wrong = Vec::new();
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        let got = json_repair::loads(text).map(Object::into_json);
        let want = row.get("ok").map(plain);
        if got.as_ref().ok() != want.as_ref() {
            wrong.push(format!("{text:?}\n got {got:?}\nwant {want:?}"));
        }
    }

    assert!(rows.len() > 3000);
    report("json_repair", rows.len(), &wrong);
}

#[test]
fn values_are_parsed_as_the_package_parses_them() {
    let definitions = definitions();
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in lines("parse_value") {
        let row: Value = serde_json::from_str(&line).unwrap();
        let Some(ty) = ty(&row) else { continue };
        checked += 1;
        let input = match row.get("text") {
            Some(text) => Object::Str(text.as_str().unwrap().to_owned()),
            None => exact(&line, "value"),
        };
        let shown = repr::repr(&input);
        let got = value::parse(&ty, input, &definitions);
        let got = got.map(Object::into_json).map_err(|it| it.to_string());
        let want = match row.get("ok") {
            Some(ok) => Ok(plain(ok)),
            None => Err(without_links(row["message"].as_str().unwrap_or_default())),
        };
        if !is_equal(&ty, &got, &want) {
            wrong.push(format!("{ty} of {shown}\n got {got:?}\nwant {want:?}"));
        }
    }

    assert!(checked > 4000, "only {checked} rows");
    report("parse_value", checked, &wrong);
}

fn is_set(ty: &Type) -> bool {
    matches!(ty, Type::Set(_) | Type::BareSet | Type::FrozenSet(_) | Type::BareFrozenSet)
}

/// Equal results; sets have no order, and sentences are compared where there is one of ours.
fn is_equal(ty: &Type, got: &Result<Value, String>, want: &Result<Value, String>) -> bool {
    let sorted = |value: &Value| {
        let mut items = value.as_array().cloned().unwrap_or_default();
        items.sort_by_key(ToString::to_string);
        items
    };
    match (got, want) {
        (Ok(got), Ok(want)) if is_set(ty) => sorted(got) == sorted(want),
        (got, want) => got == want,
    }
}

#[test]
fn typed_values_are_parsed_as_the_package_parses_them() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in lines("typed_values") {
        let row: Value = serde_json::from_str(&line).unwrap();
        let ty = Type::parse(row["type"].as_str().unwrap()).unwrap();
        checked += 1;
        let input = match row.get("text") {
            Some(text) => Object::Str(text.as_str().unwrap().to_owned()),
            None => exact(&line, "value"),
        };
        let shown = repr::repr(&input);
        let got = value::parse(&ty, input, &Definitions::default());
        let got = got.map(Object::into_json).map_err(|it| it.to_string());
        let want = match row.get("ok") {
            Some(ok) => Ok(ok.clone()),
            None => Err(row["message"].as_str().unwrap().to_owned()),
        };
        if !is_equal(&ty, &got, &want) {
            wrong.push(format!("{ty} of {shown}\n got {got:?}\nwant {want:?}"));
        }
    }

    assert!(checked > 3000, "only {checked} rows");
    report("typed_values", checked, &wrong);
}

fn without_links(message: &str) -> String {
    let lines = message.split('\n').filter(|it| !it.starts_with("    For further information"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn signatures_are_read_as_the_package_reads_them() {
    let rows = rows("signature_strings");
    let mut wrong = Vec::new();
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        let got = Signature::parse("StringSignature", text, &Definitions::default());
        let is_right = match (got.as_ref(), row.get("error")) {
            (Err(error), Some(said)) => match said.as_str().unwrap().split_once(": ").unwrap() {
                ("ValueError", message) => error.to_string() == message,
                (kind, _) => {
                    kind == "SyntaxError" && error.to_string().starts_with("invalid syntax")
                }
            },
            (Ok(got), None) => {
                let want = neutral::signature(row).unwrap();
                let all = |it: &Signature| -> Vec<(String, Type, bool)> {
                    let fields = it.inputs.iter().chain(&it.outputs);
                    fields.map(|it| (it.name.clone(), it.ty.clone(), it.untyped)).collect()
                };
                all(got) == all(&want)
                    && got.inputs.len() == want.inputs.len()
                    && got.instructions == want.instructions
            }
            (Ok(_), Some(_)) | (Err(_), None) => false,
        };
        if !is_right {
            wrong.push(format!("{text:?}\n got {got:?}\nwant {row}"));
        }
    }

    assert!(rows.len() > 25);
    report("signature_strings", rows.len(), &wrong);
}

#[test]
fn annotations_are_described_as_the_package_describes_them() {
    let definitions = definitions();
    let (mut checked, mut wrong) = (0, Vec::new());
    for row in rows("annotation") {
        let Some(ty) = ty(&row) else { continue };
        checked += 1;
        let name = ty.to_string();
        let schema = definitions.whole_schema(&ty);
        let mut signature =
            Signature::new("S", "", vec![Field::new("i", Type::Str)], vec![Field::new("x", ty)]);
        signature.types = definitions.clone();
        let messages = Adapter::default().render(&signature, &[], &Fields::new()).unwrap();
        let system = messages[0].content.as_str().unwrap();
        let note = row["note"].as_str().unwrap();
        let is_right = name == row["name"]
            && system.starts_with(row["fields"].as_str().unwrap())
            && system.contains(&format!("[[ ## x ## ]]\n{note}\n"))
            && messages[1].content == row["user_note"]
            && schema == row["json_schema"];
        if !is_right {
            wrong.push(format!("{name}\n got {system}\nwant {row}"));
        }
    }

    assert!(checked > 30);
    report("annotation", checked, &wrong);
}

#[test]
fn values_are_shown_as_the_package_shows_them() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for row in rows("format_value") {
        let Some(ty) = ty(&row) else { continue };
        let value = plain(&row["value"]);
        // JSON has no such values, and no integers of any length: they cannot come in.
        let is_json = !row["value"].to_string().contains('$');
        let is_long = row["py_type"] == "int" && row["value"].is_f64();
        if !is_json || is_long {
            continue;
        }
        checked += 1;
        let got = value::shown(&Field::new("x", ty), &value);
        if got != row["out"] {
            wrong.push(format!("{row}\n got {got}"));
        }
    }

    assert!(checked > 10);
    report("format_value", checked, &wrong);
}

#[test]
fn fields_are_labelled_as_the_package_labels_them() {
    for row in rows("infer_prefix") {
        assert_eq!(prefix::inferred(row["name"].as_str().unwrap()), row["prefix"]);
    }
}

#[test]
fn xml_is_read_and_refused_as_the_package_does() {
    let rows = rows("xml");
    let mut wrong = Vec::new();
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        let got = match Tree::parse(&format!("<dspy_root>{text}</dspy_root>")) {
            Ok(tree) => {
                let children = &tree.get(Tree::ROOT).children;
                let written: Vec<_> = children.iter().map(|it| tree.text_of(*it)).collect();
                json!({"text": text, "tree": dump(&tree, Tree::ROOT), "children": written})
            }
            Err(error) => json!({"text": text, "error": error.to_string()}),
        };
        if got != *row {
            wrong.push(format!("got {got}\nwant {row}"));
        }
    }

    assert!(rows.len() > 800);
    report("xml", rows.len(), &wrong);
}

fn dump(tree: &Tree, id: ElementId) -> Value {
    let element = tree.get(id);
    let children: Vec<_> = element.children.iter().map(|it| dump(tree, *it)).collect();
    json!([element.tag, element.attributes, element.text, element.tail, children])
}

#[test]
fn random_programs_are_rendered_and_read_as_the_package_does() {
    let rows = rows("random");
    let mut wrong = Vec::new();
    for row in &rows {
        let signature = neutral::signature(&row["signature"]).unwrap();
        let adapter = match row["adapter"].as_str().unwrap() {
            "JSONAdapter" => Adapter::json(),
            _ => Adapter::chat(false),
        };
        let demos = row["demos"].as_array().unwrap().iter();
        let demos: Vec<_> = demos.map(|it| Demo(fields(it))).collect();
        let messages = adapter.render(&signature, &demos, &fields(&row["inputs"])).unwrap();
        let messages = serde_json::to_value(messages).unwrap();
        if messages != row["messages"] {
            wrong.push(format!("got {messages}\nwant {}", row["messages"]));
            continue;
        }
        let reply = row["reply"].as_str().unwrap();
        let got = adapter.parse(&signature, reply).map(Value::Object);
        let got = got.map_err(|it| it.to_string());
        let want = match row.get("ok") {
            Some(ok) => Ok(plain(ok)),
            None => Err(without_links(row["error"].as_str().unwrap())),
        };
        if got != want {
            wrong.push(format!("{reply:?}\n got {got:?}\nwant {want:?}"));
        }
    }

    assert!(rows.len() > 300);
    report("random", rows.len(), &wrong);
}

fn fields(value: &Value) -> Fields {
    plain(value).as_object().cloned().unwrap_or_default()
}
