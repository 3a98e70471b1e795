//! Expressions mean what they mean in Python, and say where they are wrong.

use serde_json::{Value, json};

use super::*;

fn fields() -> Fields {
    let fields = json!({
        "score": 7, "answer": "Blue Whale", "tags": ["a", "b"], "person": {"name": "Ada"}, "x": 2.5,
    });
    fields.as_object().unwrap().clone()
}

fn value(text: &str) -> Result<Value, String> {
    let expression: Expression = text.parse().map_err(|it: ExpressionError| it.to_string())?;
    expression.value(&[&fields()]).map_err(|it| it.to_string())
}

#[track_caller]
fn gives(text: &str, wanted: &Value) {
    assert_eq!(value(text).as_ref(), Ok(wanted), "{text}");
}

#[track_caller]
fn fails(text: &str, sentence: &str) {
    assert_eq!(value(text), Err(sentence.to_owned()), "{text}");
}

#[test]
fn arithmetic_is_pythons() {
    gives("1 + 2 * 3", &json!(7));
    gives("(1 + 2) * 3", &json!(9));
    gives("7 / 2", &json!(3.5));
    gives("-7 // 2", &json!(-4));
    gives("-7 % 3", &json!(2));
    gives("7 % -3", &json!(-2));
    gives("-2.5 % 2", &json!(1.5));
    gives("8 - 3 - 2", &json!(3));
    gives("True + 1", &json!(2));
    gives("1e3 + .5", &json!(1000.5));
    gives("'a' + \"b\"", &json!("ab"));
    gives("tags + ['c']", &json!(["a", "b", "c"]));
    gives("9223372036854775807 + 1", &json!(9_223_372_036_854_775_808.0));
}

#[test]
fn comparisons_are_pythons() {
    gives("0 <= score <= 10", &json!(true));
    gives("0 <= score < 7", &json!(false));
    gives("score == 7.0", &json!(true));
    gives("score == '7'", &json!(false));
    gives("'b' in tags and 'c' not in tags", &json!(true));
    gives("'Whale' in answer", &json!(true));
    gives("'name' in person", &json!(true));
    gives("[1, 2] < [1, 3]", &json!(true));
    gives("'a' < 'b'", &json!(true));
    gives("not score == 7", &json!(false));
}

#[test]
fn logic_gives_the_operand_that_decides() {
    gives("0 or 'x'", &json!("x"));
    gives("'' and missing", &json!(""));
    gives("1.0 if score > 5 else 0.0", &json!(1.0));
    gives("'a' if False else 'b' if False else 'c'", &json!("c"));
    gives("True or False and False", &json!(true));
}

#[test]
fn functions_and_methods_are_pythons() {
    gives("len(answer) + len(tags)", &json!(12));
    gives("min(score, 3) + max([1, 5])", &json!(8));
    gives("sum([1, 2.5])", &json!(3.5));
    gives("round(2.5)", &json!(2));
    gives("round(2.675, 2)", &json!(2.67));
    gives("int('  12 ') + int(3.9)", &json!(15));
    gives("str(x)", &json!("2.5"));
    gives("lower(answer)", &json!("blue whale"));
    gives("len(answer.split()) == 2", &json!(true));
    gives("answer.lower().startswith('blue')", &json!(true));
    gives("'a,b'.split(',')[-1]", &json!("b"));
    gives("'a-b'.replace('-', '+')", &json!("a+b"));
    gives("person['name'].upper()", &json!("ADA"));
    gives("person.get('age', 36)", &json!(36));
    gives("any([0, 1]) and not all([0, 1])", &json!(true));
}

#[test]
fn errors_name_the_place() {
    fails("score >", "column 8: a value is missing, but it ends");
    fails("score = 7", "column 7: to compare, write `==`");
    fails("(1 + 2", "column 7: `)` is missing, but it ends");
    fails("1 2", "column 3: the expression should end here, but there is `2`");
    fails("'open", "column 1: the text that begins here has no end");
    fails("scor > 1", "column 1: there is no field `scor`");
    fails("answer.name", "column 8: there are no attributes: for a member write ['name']");
    fails("round()", "column 1: `round` takes 1 to 2 arguments, and 0 are given");
    fails("1 + 'a'", "column 1: `+` does not work for 'int' and 'str'");
    fails("score / 0", "column 1: division by zero");
    fails("score < 'a'", "column 1: 'int' and 'str' cannot be compared by size");
    fails("tags[5]", "column 5: there is no item 5 in ['a', 'b']");
    fails("2 ** 3", "column 3: there are no powers here");
    assert!(value("exec('x')").unwrap_err().starts_with("column 1: there is no function `exec`"));
    assert!(value("a.format()").unwrap_err().starts_with("column 3: there is no method `format`"));
}

#[test]
fn unknown_names_are_found_before_it_runs() {
    let expression: Expression = "score > 1 and len(answr) > 2".parse().unwrap();

    let error = expression.check(|name| name == "score").unwrap_err();

    assert_eq!(error.to_string(), "column 19: there is no field `answr`");
}

#[test]
fn nothing_grows_without_bound() {
    let deep = format!("{}1{}", "(".repeat(60), ")".repeat(60));
    let long = vec!["1"; 60].join(" + ");
    let grown = "'ab'.replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')".to_owned()
        + &".replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')".repeat(6);

    assert!(value(&deep).unwrap_err().ends_with("more than 50 parts lie in each other"));
    assert!(value(&long).unwrap_err().ends_with("more than 50 parts follow each other"));
    assert!(value(&grown).unwrap_err().contains("more than 1048576 bytes"));
    assert!(value(&"-".repeat(5000)).unwrap_err().contains("at most 4000 characters"));
}
