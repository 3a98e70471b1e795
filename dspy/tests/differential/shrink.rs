//! A smaller case with the same difference.

use serde_json::{Value, json};

use crate::{
    engine::{self, Difference},
    oracle::Oracle,
};

/// The most questions that one case may cost.
const TRIES: usize = 200;

type Found = (Value, Difference);

/// The case cut down, part by part, as long as the same part differs.
pub(crate) fn shrink(oracle: &mut Oracle, answer: Value, difference: Difference) -> Found {
    let mut found = (answer, difference);
    let mut tries = 0;
    loop {
        let smaller = candidates(&found.0["case"]).into_iter().find_map(|case| {
            tries += 1;
            if tries > TRIES {
                return None;
            }
            let answer = oracle.ask(&json!({ "run": case }));
            let difference = answer.get("answer").and_then(|_| engine::difference(&answer));
            difference.filter(|it| it.kind == found.1.kind).map(|it| (answer, it))
        });
        match smaller {
            Some(smaller) => found = smaller,
            None => return found,
        }
    }
}

/// The case with one thing less, large things first.
fn candidates(case: &Value) -> Vec<Value> {
    let mut smaller = Vec::new();
    let mut edit = |change: &dyn Fn(&mut Value)| {
        let mut edited = case.clone();
        change(&mut edited);
        if edited != *case {
            smaller.push(edited);
        }
    };
    edit(&|it| it["demos"] = json!([]));
    edit(&|it| it["module"] = "Predict".into());
    edit(&|it| it["adapter"] = "ChatAdapter".into());
    edit(&|it| it["signature"]["instructions"] = "x".into());
    edit(&|it| it["model"] = "openai/stub".into());
    for settings in ["lm", "config", "request", "options"] {
        edit(&|it| it[settings] = json!({}));
    }
    if case["adapter"] == "ChatAdapter" {
        edit(&|it| it["options"] = json!({"use_json_adapter_fallback": false}));
    }
    for at in 0..length(&case["demos"]) {
        edit(&|it| remove(&mut it["demos"], at));
    }
    for at in 0..length(&case["signature"]["fields"]) {
        edit(&|it| remove(&mut it["signature"]["fields"], at));
        for part in ["desc", "prefix", "bounds", "default", "type_undefined"] {
            edit(&|it| forget(&mut it["signature"]["fields"][at], part));
        }
        for ty in parts(&case["signature"]["fields"][at]["type"]) {
            edit(&|it| it["signature"]["fields"][at]["type"] = ty.clone());
        }
    }
    for name in case["inputs"].as_object().unwrap().keys() {
        edit(&|it| forget(&mut it["inputs"], name));
        edit(&|it| it["inputs"][name] = "x".into());
    }
    for (name, definition) in case["signature"]["types"].as_object().unwrap() {
        edit(&|it| forget(&mut it["signature"]["types"], name));
        for at in 0..length(&definition["fields"]) {
            edit(&|it| remove(&mut it["signature"]["types"][name]["fields"], at));
        }
    }
    for at in 0..length(&case["replies"]) {
        if length(&case["replies"]) > 1 {
            edit(&|it| remove(&mut it["replies"], at));
        }
        for part in ["tool_calls", "reasoning_content", "finish_reason"] {
            edit(&|it| forget(&mut it["replies"][at], part));
        }
        let of_message = case["replies"][at].is_object();
        let text =
            |reply: &Value| if of_message { reply["content"].clone() } else { reply.clone() };
        for shorter in shorter(text(&case["replies"][at]).as_str().unwrap_or_default()) {
            edit(&|it| {
                let reply = &mut it["replies"][at];
                let text = if of_message { &mut reply["content"] } else { reply };
                *text = shorter.as_str().into();
            });
        }
    }
    smaller
}

fn length(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

fn remove(list: &mut Value, at: usize) {
    list.as_array_mut().unwrap().remove(at);
}

fn forget(map: &mut Value, name: &str) {
    map.as_object_mut().map(|it| it.shift_remove(name));
}

/// What a type is made of. Values that only a type tells from JSON's keep theirs.
fn parts(ty: &Value) -> Vec<Value> {
    let text = ty.to_string();
    if ["\"set\"", "\"tuple\"", "\"dspy\"", "\"ref\""].iter().any(|it| text.contains(it)) {
        return Vec::new();
    }
    let args = ty["args"].as_array().cloned().unwrap_or_default();
    let inner = ["item", "key", "value"].map(|it| ty[it].clone());
    args.into_iter().chain(inner).filter(Value::is_object).collect()
}

/// The text without a part of it: halves, quarters, down to characters.
fn shorter(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut shorter = Vec::new();
    let mut size = chars.len();
    while size > 0 {
        for at in (0..chars.len()).step_by(size) {
            let rest = chars[..at].iter().chain(chars.iter().skip(at + size));
            shorter.push(rest.collect());
        }
        size /= 2;
    }
    shorter
}
