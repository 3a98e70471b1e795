//! A call as the endpoint reads it: compact JSON, keys in the order in which DSPy sends them.

use dspy::{LmRequest, LmSettings, Message};
use serde_json::{Map, Value, json};

/// Settings of this house, which no endpoint knows.
const OURS: [&str; 6] =
    ["cache", "n", "num_generations", "num_retries", "rollout_id", "model_type"];

/// Further settings in the order in which DSPy sends them, before `response_format`.
const EARLY: [&str; 2] = ["frequency_penalty", "presence_penalty"];
const LATE: [&str; 5] = ["logprobs", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls"];
const LAST: &str = "reasoning_effort";

/// The body of a request. `tokens` is the endpoint's word for the longest reply.
pub(super) fn body(model: &str, tokens: &'static str, request: &LmRequest) -> Vec<u8> {
    let LmSettings {
        model: _,
        temperature,
        max_tokens,
        top_p,
        stop,
        seed,
        n: _,
        rollout_id: _,
        endpoint: _,
        extra,
    } = &request.settings;
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", Some(model.into()));
    put("messages", Some(messages(request)));
    put(tokens, max_tokens.map(Value::from));
    put("temperature", temperature.map(Value::from));
    put("top_p", top_p.map(Value::from));
    put("seed", seed.map(Value::from));
    for name in EARLY {
        put(name, extra.get(name).cloned());
    }
    put("stop", stop.clone().map(Value::from));
    for name in LATE {
        put(name, extra.get(name).cloned());
    }
    put("response_format", request.response_format.clone());
    put(LAST, extra.get(LAST).cloned());
    for (name, value) in extra {
        // What is there stays: an extra must not change the model or the messages.
        if !OURS.contains(&name.as_str()) && !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    Value::Object(body).to_string().into_bytes()
}

/// The messages without the names of tools, which DSPy's client does not send either.
fn messages(request: &LmRequest) -> Value {
    let message = |it: &Message| json!(Message { name: None, ..it.clone() });
    request.messages.iter().map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dspy::{Role, ToolCall};

    #[test]
    fn keys_are_in_the_order_in_which_dspy_sends_them() {
        let extra = json!({"top_k": 3, "reasoning_effort": "low", "presence_penalty": 0.5,
            "rollout_id": 7, "model": "other", "tools": []});
        let Value::Object(extra) = extra else { panic!("an object") };
        let settings = LmSettings {
            model: Some("openai/m".to_owned()),
            temperature: Some(1.0),
            max_tokens: Some(9),
            stop: Some(vec!["x".to_owned()]),
            rollout_id: Some(1),
            n: Some(2),
            seed: Some(4),
            extra,
            ..LmSettings::default()
        };
        let messages = vec![Message::text(Role::System, "grüße\n".to_owned())];
        let response_format = Some(json!({"type": "json_object"}));

        let body = body("m", "max_tokens", &LmRequest { messages, settings, response_format });

        let expected = r#"{"model":"m","messages":[{"role":"system","content":"grüße\n"}],"#
            .to_owned()
            + r#""max_tokens":9,"temperature":1.0,"seed":4,"presence_penalty":0.5,"stop":["x"],"#
            + r#""tools":[],"response_format":{"type":"json_object"},"reasoning_effort":"low","#
            + r#""top_k":3}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn calls_of_tools_and_their_answers_are_sent_as_dspy_sends_them() {
        let args = json!({"q": "grüße"}).as_object().unwrap().clone();
        let call = ToolCall { id: "c1".to_owned(), name: "search".to_owned(), args };
        let asking = Message {
            content: Value::Null,
            tool_calls: vec![call],
            ..Message::text(Role::Assistant, String::new())
        };
        let answer = Message {
            tool_call_id: Some("c1".to_owned()),
            name: Some("search".to_owned()),
            ..Message::text(Role::Tool, "found".to_owned())
        };
        let messages = vec![asking, answer];
        let settings = LmSettings::default();

        let body =
            body("m", "max_tokens", &LmRequest { messages, settings, response_format: None });

        let expected = r#"{"model":"m","messages":[{"role":"assistant","content":null,"#.to_owned()
            + r#""tool_calls":[{"id":"c1","type":"function","function":{"name":"search","#
            + r#""arguments":"{\"q\":\"gr\\u00fc\\u00dfe\"}"}}]},"#
            + r#"{"role":"tool","tool_call_id":"c1","content":"found"}]}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn what_is_not_set_is_not_sent() {
        let request =
            LmRequest { messages: vec![], settings: LmSettings::default(), response_format: None };
        assert_eq!(body("m", "max_tokens", &request), br#"{"model":"m","messages":[]}"#);
    }
}
