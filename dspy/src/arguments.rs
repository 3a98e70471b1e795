//! The arguments of a tool's call: checked and read as `dspy.Tool` does before it calls.

use serde_json::Value;

use crate::{Fields, Tool, ToolError, json_schema};

impl Tool {
    /// The arguments as the tool takes them, or what is wrong with the first that is wrong.
    ///
    /// Arguments that are missing are not looked for: the tool itself knows its defaults.
    pub(crate) fn arguments(&self, given: &Fields) -> Result<Fields, ToolError> {
        for (name, value) in given {
            self.check(name, value)?;
        }
        let read = |(name, value): (&String, &Value)| (name.clone(), self.read(name, value));
        Ok(given.iter().map(read).collect())
    }

    fn check(&self, name: &str, value: &Value) -> Result<(), ToolError> {
        let Some(schema) = self.args.get(name) else {
            let error = || ToolError(format!("Arg {name} is not in the tool's args."));
            return if self.has_kwargs { Ok(()) } else { Err(error()) };
        };
        let is_typed = schema.get("type").is_some_and(|it| !it.is_null() && it != "Any");
        if !is_typed {
            return Ok(());
        }
        let wrong = |it: String| ToolError(format!("Arg {name} is invalid: {it}"));
        json_schema::check(value, schema).map_err(wrong)
    }

    /// A number as its type says: JSON Schema takes `3.0` for an integer and `3` for a number.
    fn read(&self, name: &str, value: &Value) -> Value {
        let ty = self.args.get(name).and_then(|it| it.get("type")).and_then(Value::as_str);
        match (ty, value.as_f64()) {
            #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
            (Some("integer"), Some(it)) if value.is_f64() && it.abs() < 9e15 => (it as i64).into(),
            (Some("number"), Some(it)) if !value.is_f64() => it.into(),
            _ => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn add() -> Tool {
        let args = json!({"a": {"type": "integer"}, "b": {"type": "number", "default": 2}});
        let args = args.as_object().unwrap().clone();
        Tool { name: "add".into(), args, ..Tool::default() }
    }

    fn given(args: &Value) -> Result<Fields, ToolError> {
        add().arguments(args.as_object().unwrap())
    }

    #[test]
    fn arguments_are_refused_in_the_words_of_the_package() {
        let error = |args| given(&args).unwrap_err().to_string();

        assert_eq!(error(json!({"c": 1})), "Arg c is not in the tool's args.");
        assert_eq!(error(json!({"a": "x"})), "Arg a is invalid: 'x' is not of type 'integer'");
        assert_eq!(error(json!({"a": true})), "Arg a is invalid: True is not of type 'integer'");
    }

    #[test]
    fn numbers_become_what_their_type_says() {
        let read = Value::Object(given(&json!({"a": 3.0, "b": 4})).unwrap());

        assert_eq!(read.to_string(), r#"{"a":3,"b":4.0}"#);
    }

    #[test]
    fn a_tool_of_any_arguments_takes_them_as_they_are() {
        let tool = Tool { has_kwargs: true, ..add() };
        let args = json!({"c": [1]}).as_object().unwrap().clone();

        assert_eq!(tool.arguments(&args), Ok(args));
    }
}
