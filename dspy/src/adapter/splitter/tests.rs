//! What is told of growing replies: by hand, and of every recorded one.

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    Adapter, Asker, Field, Fields, Growth, Listener, Progress, Signature, Told, Type,
    corpus::{self, neutral},
};

/// What is told of `a` and `b` when a reply comes in pieces of so many characters.
fn told(format: Format, reply: &str, size: usize) -> [String; 2] {
    let mut splitter = Splitter::new(format, &["a".to_owned(), "b".to_owned()]).unwrap();
    let mut told = [String::new(), String::new()];
    let chars: Vec<char> = reply.chars().collect();
    for piece in chars.chunks(size) {
        let piece: String = piece.iter().collect();
        splitter.push(&piece, &mut |field, text| told[field].push_str(text));
    }
    told
}

/// The same for every size of pieces.
fn every_way(format: Format, reply: &str) -> [String; 2] {
    let whole = told(format, reply, usize::MAX);
    for size in 1..=12 {
        assert_eq!(told(format, reply, size), whole, "{reply:?} in pieces of {size}");
    }
    whole
}

#[test]
fn sections_of_chat_are_told_without_their_headers() {
    let cases = [
        ("[[ ## a ## ]]\nx\n\n[[ ## b ## ]]\ny\n\n[[ ## completed ## ]]", ["x", "y"]),
        ("Sure!\n[[ ## a ## ]] x \n y\r\nz\r\n", ["x\n y\nz", ""]),
        (
            "[[ ## a ## ]]\n[[ 1 ]] [[ ## b ## ]]\n[[ ## b\n## ]]",
            ["[[ 1 ]] [[ ## b ## ]]\n[[ ## b\n## ]]", ""],
        ),
        ("[[ ## a ## ]]\none\n[[ ## a ## ]]\ntwo\n[[ ## b ## ]]\n", ["one", ""]),
        ("  [[ ## a ## ]]\nx", ["]]\nx", ""]),
        ("[[ ## other ## ]]\nx\n[[ ## a ## ]]\n\n\n", ["", ""]),
    ];
    for (reply, expected) in cases {
        assert_eq!(every_way(Format::Chat, reply), expected, "{reply:?}");
    }
}

#[test]
fn strings_of_json_are_told_without_their_escapes() {
    let cases = [
        (r#"{"a": "x\n\"y\" \u00e9\ud83d\ude00", "b": "z"}"#, ["x\n\"y\" é😀", "z"]),
        (r#"```json {"c": {"a": ["}"]}, "n": -1.5e3, "b": " z "} ```"#, ["", " z "]),
        (r#"{"a": 5, "b": null}"#, ["", ""]),
        (r#"{"a": "said "so"", "b": "z"}"#, ["said ", ""]),
        ("no object", ["", ""]),
        (r#"{"a": "\ud800 x"}"#, ["", ""]),
    ];
    for (reply, expected) in cases {
        assert_eq!(every_way(Format::Json, reply), expected, "{reply:?}");
    }
}

#[test]
fn elements_of_xml_are_told_without_their_tags() {
    let cases = [
        ("<a>\nx &lt;&amp;&#233;\n</a>\n<b>y</b>", ["x <&é", "y"]),
        ("Well: <c><a>no</a></c><b> y </b><a/>", ["", "y"]),
        ("<a>x &nope; y</a>", ["x", ""]),
        ("<a>x<i>y</i></a><b>z</b>", ["x", ""]),
    ];
    for (reply, expected) in cases {
        assert_eq!(every_way(Format::Xml, reply), expected, "{reply:?}");
    }
}

/// What a listener tells of each field since the last restart, and how often it restarted.
fn heard(asked: &Asker, pieces: &[&str], outputs: &Fields) -> (Fields, usize) {
    let all = Arc::new(Mutex::new((Fields::new(), 0)));
    let progress = Progress::new({
        let all = Arc::clone(&all);
        move |told| {
            let (texts, restarts) = &mut *all.lock().unwrap();
            match told {
                Told::Field { field, offset, delta, .. } => {
                    let text = texts.entry(field).or_insert_with(|| "".into());
                    let before = text.as_str().unwrap().to_owned();
                    assert_eq!(before.chars().count(), offset);
                    *text = (before + &delta).into();
                }
                Told::Restart { .. } => {
                    texts.clear();
                    *restarts += 1;
                }
                Told::Outputs { .. } => {}
            }
        }
    });
    let listener = Listener::new(&progress, asked.clone());
    for piece in pieces {
        listener.hear(Growth::Text(piece));
    }
    listener.read(outputs);
    all.lock().unwrap().clone()
}

/// A reply cut in pieces of so many characters.
fn pieces(reply: &str, size: usize) -> Vec<&str> {
    let starts: Vec<usize> = reply.char_indices().map(|(at, _)| at).step_by(size).collect();
    let ends = starts.iter().skip(1).copied().chain([reply.len()]);
    starts.iter().zip(ends).map(|(start, end)| &reply[*start..end]).collect()
}

/// Compares what is told of a reply, in pieces of every size, with what is read from it: whether
/// it was right at once. It must be right in the end.
fn compare(adapter: &Adapter, signature: &Signature, reply: &str) -> Option<bool> {
    let outputs = adapter.parse(signature, reply).ok()?;
    let texts = signature.outputs.iter().filter(|it| it.ty == Type::Str);
    let texts: Vec<String> = texts.map(|it| it.name.clone()).collect();
    let adapter = adapter.name().to_owned();
    let asked = Asker { adapter, texts: texts.clone(), ..Asker::default() };
    let told = heard(&asked, &[reply], &outputs);
    for size in 1..=reply.chars().count().min(40) {
        assert_eq!(heard(&asked, &pieces(reply, size), &outputs), told, "{reply:?}, {size}");
    }
    for name in &texts {
        let text = told.0.get(name).cloned().unwrap_or_else(|| "".into());
        assert_eq!(text, outputs[name], "{name} of {reply:?}");
    }
    let format = Format::named(&asked.adapter).unwrap();
    let mut splitter = Splitter::new(format, &texts).unwrap();
    let mut early = vec![String::new(); texts.len()];
    splitter.push(reply, &mut |at, text| early[at].push_str(text));
    Some(texts.iter().zip(early).all(|(name, text)| outputs[name] == text))
}

/// Compares many, and gives how many were right at once, of how many.
fn compare_all(cases: impl Iterator<Item = (Adapter, Signature, String)>) -> (usize, usize) {
    let rights: Vec<bool> = cases.filter_map(|(a, s, reply)| compare(&a, &s, &reply)).collect();
    (rights.iter().filter(|it| **it).count(), rights.len())
}

#[test]
fn texts_of_recorded_replies_are_told_as_they_are_read() {
    let rows = corpus::rows("random");
    let of = |name: &str, adapter: &Adapter| {
        let rows = rows.iter().filter(|it| it["adapter"] == name);
        compare_all(rows.map(|row| {
            let signature = neutral::signature(&row["signature"]).unwrap();
            (adapter.clone(), signature, row["reply"].as_str().unwrap().to_owned())
        }))
    };

    let (right, all) = of("ChatAdapter", &Adapter::chat(false));
    assert!(right == all && all > 50, "{right} of {all}");
    let (right, all) = of("JSONAdapter", &Adapter::json());
    assert!(right * 10 >= all * 9 && all > 100, "{right} of {all}");
}

#[test]
fn texts_of_recorded_xml_are_told_as_they_are_read() {
    let rows = corpus::rows("xml");
    let texts = |row: &serde_json::Value| -> Option<Vec<Field>> {
        let children = row["tree"].as_array()?.last()?.as_array()?;
        let mut names: Vec<&str> = children.iter().filter_map(|it| it[0].as_str()).collect();
        names.sort_unstable();
        names.dedup();
        Some(names.into_iter().map(|it| Field::new(it, Type::Str)).collect())
    };
    let cases = rows.iter().filter_map(|row| {
        let signature = Signature::new("X", "", Vec::new(), texts(row)?);
        Some((Adapter::xml(false), signature, row["text"].as_str()?.to_owned()))
    });

    let (right, all) = compare_all(cases);
    assert!(right * 2 >= all && all > 200, "{right} of {all}");
}
