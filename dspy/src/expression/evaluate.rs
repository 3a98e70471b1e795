//! The value of a tree.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    ExpressionError, call,
    read::{Node, NodeKind},
    value::{Number, arithmetic, contains, is_equal, is_true, order, shown, type_name},
};
use crate::Fields;

type Evaluated = Result<Value, ExpressionError>;

/// The value of a part. The tree is not deep: its parser sees to that.
pub(super) fn value(node: &Node, fields: &[&Fields]) -> Evaluated {
    let fail = |message: String| ExpressionError::at(node.column, message);
    let all =
        |nodes: &[Node]| nodes.iter().map(|it| value(it, fields)).collect::<Result<Vec<_>, _>>();
    match &node.kind {
        NodeKind::Value(value) => Ok(value.clone()),
        NodeKind::Name(name) => {
            let found = fields.iter().find_map(|it| it.get(name));
            found.cloned().ok_or_else(|| fail(format!("there is no field `{name}`")))
        }
        NodeKind::List(items) => all(items).map(Value::Array),
        NodeKind::Unary(operator, inner) => unary(operator, &value(inner, fields)?).map_err(fail),
        NodeKind::Binary("and", a, b) => {
            let first = value(a, fields)?;
            if is_true(&first) { value(b, fields) } else { Ok(first) }
        }
        NodeKind::Binary("or", a, b) => {
            let first = value(a, fields)?;
            if is_true(&first) { Ok(first) } else { value(b, fields) }
        }
        NodeKind::Binary(operator, a, b) => {
            arithmetic(operator, &value(a, fields)?, &value(b, fields)?).map_err(fail)
        }
        NodeKind::Compare(first, rest) => compare(node, first, rest, fields),
        NodeKind::Choice { condition, then, other } => {
            let holds = is_true(&value(condition, fields)?);
            value(if holds { then } else { other }, fields)
        }
        NodeKind::Item(of, index) => {
            item(&value(of, fields)?, &value(index, fields)?).map_err(fail)
        }
        NodeKind::Call(name, arguments) => call::function(name, &all(arguments)?).map_err(fail),
        NodeKind::Method(of, name, arguments) => {
            call::method(&value(of, fields)?, name, &all(arguments)?).map_err(fail)
        }
    }
}

fn unary(operator: &str, value: &Value) -> Result<Value, String> {
    if operator == "not" {
        return Ok((!is_true(value)).into());
    }
    let wrong = || format!("`{operator}` does not work for '{}'", type_name(value));
    let number = Number::of(value).ok_or_else(wrong)?;
    match (operator, number) {
        ("-", Number::Int(int)) => arithmetic("-", &Value::from(0), &int.into()),
        ("-", Number::Float(float)) => Number::Float(-float).into_value(),
        (_, number) => number.into_value(),
    }
}

/// Each comparison is made only if those before it hold.
fn compare(
    node: &Node,
    first: &Node,
    rest: &[(&'static str, Node)],
    fields: &[&Fields],
) -> Evaluated {
    let mut left = value(first, fields)?;
    for (operator, right) in rest {
        let right = value(right, fields)?;
        let holds = holds(operator, &left, &right);
        if !holds.map_err(|it| ExpressionError::at(node.column, it))? {
            return Ok(false.into());
        }
        left = right;
    }
    Ok(true.into())
}

fn holds(operator: &str, left: &Value, right: &Value) -> Result<bool, String> {
    let is =
        |wanted: &[Ordering]| Ok(order(left, right)?.is_some_and(|order| wanted.contains(&order)));
    match operator {
        "==" => Ok(is_equal(left, right)),
        "!=" => Ok(!is_equal(left, right)),
        "in" => contains(right, left),
        "not in" => contains(right, left).map(|it| !it),
        "<" => is(&[Ordering::Less]),
        "<=" => is(&[Ordering::Less, Ordering::Equal]),
        ">" => is(&[Ordering::Greater]),
        _ => is(&[Ordering::Greater, Ordering::Equal]),
    }
}

/// `value[index]`
fn item(value: &Value, index: &Value) -> Result<Value, String> {
    let missing = || format!("there is no item {} in {}", shown(index), shown(value));
    let place = |len: usize| {
        let at = index.as_i64()?;
        let at = if at < 0 { at.checked_add(i64::try_from(len).ok()?)? } else { at };
        usize::try_from(at).ok()
    };
    let found = match value {
        Value::Array(items) => place(items.len()).and_then(|at| items.get(at).cloned()),
        Value::String(text) => {
            let at = place(text.chars().count());
            at.and_then(|at| text.chars().nth(at)).map(|it| it.to_string().into())
        }
        Value::Object(members) => index.as_str().and_then(|it| members.get(it).cloned()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            return Err(format!("'{}' has no items", type_name(value)));
        }
    };
    found.ok_or_else(missing)
}
