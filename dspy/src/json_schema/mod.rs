//! Whether a value fits a JSON Schema, in the words of Python's `jsonschema`.
//!
//! The arguments of tools are checked with it before a tool is called, and the model reads what is
//! wrong: so the sentence is the package's, and of several the one that it would choose. Of draft
//! 2020-12 it knows what schemas of arguments use; `format` is not checked, as there.

mod keyword;
mod violation;

use serde_json::Value;

use violation::Violation;

/// The deepest that a schema is followed; what lies deeper is not checked.
const DEPTH_MAX: usize = 64;

/// Checks a value; the error is the sentence that tells what is wrong.
pub(crate) fn check(value: &Value, schema: &Value) -> Result<(), String> {
    let checker = Checker { root: schema };
    match violation::best(checker.violations(value, schema, 0)) {
        Some(best) => Err(best.message),
        None => Ok(()),
    }
}

struct Checker<'a> {
    root: &'a Value,
}

impl Checker<'_> {
    /// What is wrong with a value, in the order of the schema's keywords.
    fn violations(&self, value: &Value, schema: &Value, depth: usize) -> Vec<Violation> {
        let map = match schema {
            Value::Bool(false) => {
                let shown = keyword::shown(value);
                let message = format!("False schema does not allow {shown}");
                return vec![Violation::new("", message)];
            }
            Value::Object(map) if depth < DEPTH_MAX => map,
            Value::Null
            | Value::Bool(true)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => return Vec::new(),
        };
        let matches_type = map.get("type").is_some_and(|it| keyword::is_of_types(value, it));
        let mut all = Vec::new();
        for (name, says) in map {
            let rule = keyword::Rule { name, says, schema: map, depth };
            let found = self.of_rule(value, &rule);
            all.extend(found.into_iter().map(|it| it.seen_by(name, matches_type)));
        }
        all
    }

    fn is_valid(&self, value: &Value, schema: &Value, depth: usize) -> bool {
        self.violations(value, schema, depth).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn says(value: &Value, schema: &Value, sentence: &str) {
        assert_eq!(check(value, schema).unwrap_err(), sentence);
    }

    #[test]
    fn sentences_are_those_of_jsonschema() {
        says(&json!("x"), &json!({"type": "integer"}), "'x' is not of type 'integer'");
        says(&json!(true), &json!({"type": "number"}), "True is not of type 'number'");
        says(&json!(1), &json!({"type": ["string", "null"]}), "1 is not of type 'string', 'null'");
        says(&json!("c"), &json!({"enum": ["a", "b"]}), "'c' is not one of ['a', 'b']");
        says(&json!(5), &json!({"maximum": 3}), "5 is greater than the maximum of 3");
        says(&json!(""), &json!({"minLength": 1}), "'' should be non-empty");
        says(&json!([1, 1]), &json!({"uniqueItems": true}), "[1, 1] has non-unique elements");
        says(&json!("ab"), &json!({"pattern": "^b"}), "'ab' does not match '^b'");
        says(
            &json!({"a": 1, "b": 2}),
            &json!({"properties": {"a": {}}, "additionalProperties": false}),
            "Additional properties are not allowed ('b' was unexpected)",
        );
        says(&json!({}), &json!({"required": ["q"]}), "'q' is a required property");
    }

    #[test]
    fn what_is_wrong_higher_up_is_told() {
        let schema = json!({
            "properties": {"a": {"type": "integer"}},
            "required": ["b"],
        });

        says(&json!({"a": "x"}), &schema, "'b' is a required property");
    }

    #[test]
    fn of_alternatives_the_one_that_was_meant_is_told() {
        let schema = json!({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]});

        says(&json!("long"), &schema, "'long' is too long");
        assert_eq!(check(&json!("l"), &schema), Ok(()));
        assert_eq!(check(&json!(3.0), &schema), Ok(()));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#"});

        assert_eq!(check(&json!(1), &schema), Ok(()));
    }
}
