//! pydantic's lax validation: which value a type makes of what a reply holds.
//!
//! Knows nothing of text that is yet to be parsed: see `adapter::value`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use std::{borrow::Cow, collections::HashSet};

use serde_json::{Map, Value};

use super::{
    Definition, Definitions, Extra, Model, ModelField, Origin, Type, bounds, choice, dspy_value,
    fit::Fit,
    issue::Issue,
    numeric::{bool_of, float_of_text, int_of_text, text_bool},
    union,
};
use crate::python::{
    object::{Dict, Int, Object},
    repr,
};

/// Two to the 63rd: pydantic takes whole floats for integers below it.
const I64_END: f64 = 9_223_372_036_854_775_808.0;

pub(super) type Coerced<T = Object> = Result<(T, Fit), Vec<Issue>>;

pub(super) struct Coercer<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) origin: Origin,
}

pub(super) fn refuse<T>(kind: &'static str, message: &str, input: &Object) -> Coerced<T> {
    Err(vec![Issue::new(kind, message, input)])
}

impl Coercer<'_> {
    pub(super) fn coerce(&self, ty: &Type, value: Object) -> Coerced {
        match ty {
            Type::Str => text(value),
            Type::Int => int(value),
            Type::Float => float(value),
            Type::Bool => boolean(value),
            Type::None => match value {
                Object::None => Ok((Object::None, Fit::EXACT)),
                other => refuse("none_required", "Input should be None", &other),
            },
            Type::Any => Ok((value, Fit::STRICT)),
            Type::List(item) => self.list(value, item),
            Type::BareList => self.list(value, &Type::Any),
            Type::Dict(key, item) => self.dict(value, key, item),
            Type::BareDict => self.dict(value, &Type::Any, &Type::Any),
            Type::Tuple(items) => self.tuple(value, items),
            Type::TupleOf(item) => self.tuple_of(value, item),
            Type::BareTuple => self.tuple_of(value, &Type::Any),
            Type::Set(item) => self.set(value, item, "set"),
            Type::BareSet => self.set(value, &Type::Any, "set"),
            Type::FrozenSet(item) => self.set(value, item, "frozenset"),
            Type::BareFrozenSet => self.set(value, &Type::Any, "frozenset"),
            Type::Scalar(scalar) => scalar.coerce(value),
            Type::Dspy(ty) => {
                let (made, fit) = dspy_value::coerce(self, &value, ty)?;
                Ok((if self.origin == Origin::Printed { value } else { made }, fit))
            }
            Type::Literal(values) => choice::literal(&value, values),
            Type::Union(args) => union::coerce(self, value, args),
            Type::Named(name) => self.named(value, name),
            Type::Constrained(its) => self.bounded(value, &its.ty, &its.bounds),
        }
    }

    fn items(&self, values: Vec<Object>, item: &Type, fit: Fit) -> Coerced<Vec<Object>> {
        if *item == Type::Any {
            return Ok((values, fit));
        }
        let (mut out, mut issues, mut fit) = (Vec::with_capacity(values.len()), Vec::new(), fit);
        for (i, value) in values.into_iter().enumerate() {
            match self.coerce(item, value) {
                Ok((value, its)) => {
                    fit = fit.and(its);
                    out.push(value);
                }
                Err(more) => issues.extend(more.into_iter().map(|it| it.at(i.to_string()))),
            }
        }
        if issues.is_empty() { Ok((out, fit)) } else { Err(issues) }
    }

    fn list(&self, value: Object, item: &Type) -> Coerced {
        let (values, fit) = match value {
            Object::List(values) => (values, Fit::EXACT),
            Object::Tuple(values) | Object::Set(values) => (values, Fit::LAX),
            other => return refuse("list_type", "Input should be a valid list", &other),
        };
        self.items(values, item, fit).map(|(items, fit)| (Object::List(items), fit))
    }

    fn tuple_of(&self, value: Object, item: &Type) -> Coerced {
        let (values, fit) = tuple_items(value)?;
        self.items(values, item, fit).map(|(items, fit)| (Object::Tuple(items), fit))
    }

    fn tuple(&self, value: Object, types: &[Type]) -> Coerced {
        let whole = value.clone();
        let (values, mut fit) = tuple_items(value)?;
        if values.len() > types.len() {
            let message = format!(
                "Tuple should have at most {} item{} after validation, not {}",
                types.len(),
                if types.len() == 1 { "" } else { "s" },
                values.len()
            );
            return refuse("too_long", &message, &whole);
        }
        let (mut out, mut issues) = (Vec::new(), Vec::new());
        let mut values = values.into_iter();
        for (i, ty) in types.iter().enumerate() {
            let item = match values.next() {
                Some(value) => self.coerce(ty, value),
                None => refuse("missing", "Field required", &whole),
            };
            match item {
                Ok((value, its)) => {
                    fit = fit.and(its);
                    out.push(value);
                }
                Err(more) => issues.extend(more.into_iter().map(|it| it.at(i.to_string()))),
            }
        }
        if issues.is_empty() { Ok((Object::Tuple(out), fit)) } else { Err(issues) }
    }

    fn set(&self, value: Object, item: &Type, name: &str) -> Coerced {
        let (values, fit) = match value {
            Object::Set(values) => (values, if name == "set" { Fit::EXACT } else { Fit::LAX }),
            Object::List(values) | Object::Tuple(values) => (values, Fit::LAX),
            other => {
                let kind = if name == "set" { "set_type" } else { "frozen_set_type" };
                return refuse(kind, &format!("Input should be a valid {name}"), &other);
            }
        };
        let (items, fit) = self.items(values, item, fit)?;
        let (mut distinct, mut issues, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (i, value) in items.into_iter().enumerate() {
            if matches!(value, Object::List(_) | Object::Dict(_) | Object::Set(_)) {
                let message = "Set items should be hashable";
                let issue = Issue::new("set_item_not_hashable", message, &value);
                issues.push(issue.at(i.to_string()));
            } else if seen.insert(value.hashed()) {
                distinct.push(value);
            }
        }
        if issues.is_empty() { Ok((Object::Set(distinct), fit)) } else { Err(issues) }
    }

    fn dict(&self, value: Object, key_type: &Type, value_type: &Type) -> Coerced {
        let Object::Dict(entries) = value else {
            return refuse("dict_type", "Input should be a valid dictionary", &value);
        };
        let (mut out, mut issues, mut fit) = (Dict::default(), Vec::new(), Fit::EXACT);
        for (key, value) in entries {
            let place = repr::str(&key);
            let key = self.coerce(key_type, key).map_err(|it| (it, true));
            let value = self.coerce(value_type, value).map_err(|it| (it, false));
            match (key, value) {
                (Ok((key, a)), Ok((value, b))) => {
                    fit = fit.and(a).and(b);
                    out.insert(key, value);
                }
                (key, value) => {
                    let wrong = [key.err(), value.err()].into_iter().flatten();
                    for (found, is_key) in wrong {
                        for issue in found {
                            let issue = if is_key { issue.at("[key]") } else { issue };
                            issues.push(issue.at(place.clone()));
                        }
                    }
                }
            }
        }
        if issues.is_empty() { Ok((Object::Dict(out), fit)) } else { Err(issues) }
    }

    fn named(&self, value: Object, name: &str) -> Coerced {
        match self.definitions.get(name) {
            Some(Definition::Enum(its)) => choice::enumerated(&value, its),
            Some(Definition::Model(model)) => self.model(value, name, model),
            None => refuse("class_type", &format!("{name} is not defined"), &value),
        }
    }

    pub(super) fn model(&self, value: Object, name: &str, model: &Model) -> Coerced {
        let Object::Dict(given) = value else {
            let message = format!("Input should be a valid dictionary or instance of {name}");
            return refuse("model_type", &message, &value);
        };
        let (mut out, mut issues, mut fit) = (Dict::default(), Vec::new(), Fit::MODEL);
        let by_name = self.origin != Origin::Reply || model.populate_by_name;
        for field in &model.fields {
            match self.model_field(&given, field, by_name) {
                Ok((value, its)) => {
                    fit = fit.and(its);
                    out.insert(Object::Str(field.name.clone()), value);
                }
                Err(more) => issues.extend(more),
            }
        }
        let is_known = |name: &str| model.fields.iter().any(|it| it.goes_by(name, by_name));
        for (key, value) in given {
            let place = repr::str(&key);
            match model.extra {
                _ if is_known(&place) => {}
                Extra::Ignore => {}
                Extra::Allow => out.insert(key, value),
                Extra::Forbid => {
                    let message = "Extra inputs are not permitted";
                    issues.push(Issue::new("extra_forbidden", message, &value).at(place));
                }
            }
        }
        if issues.is_empty() { Ok((Object::Dict(out), fit)) } else { Err(issues) }
    }

    /// A value that also keeps some bounds.
    fn bounded(&self, value: Object, ty: &Type, bounds: &Map<String, Value>) -> Coerced {
        if bounds.is_empty() {
            return self.coerce(ty, value);
        }
        if matches!(ty, Type::List(_)) {
            bounds::check_longest(&value, bounds).map_err(|it| vec![*it])?;
        }
        let (made, fit) = self.coerce(ty, value.clone())?;
        // What breaks a bound is shown as it was given.
        bounds::check(&made, bounds).map_err(|it| vec![Issue { input: value, ..*it }])?;
        Ok((made, fit))
    }

    fn model_field(&self, given: &Dict, field: &ModelField, by_name: bool) -> Coerced {
        let alias = field.alias.as_ref().unwrap_or(&field.name);
        let by_alias = given.get(alias);
        let named = || by_name.then(|| given.get(&field.name)).flatten();
        let found = by_alias.or_else(named);
        // What was found by its name is named by it; what is missing, by its alias.
        let place = if by_alias.is_none() && found.is_some() { &field.name } else { alias };
        let at_place = |it: Vec<Issue>| -> Vec<Issue> {
            it.into_iter().map(|it| it.at(place.clone())).collect()
        };
        match (found, &field.default) {
            (Some(value), Some(default))
                if self.origin == Origin::Made && *value == Object::from(default) =>
            {
                Ok((value.clone(), Fit::FIELD))
            }
            (Some(value), _) => {
                let made = self.bounded(value.clone(), &field.ty, &field.bounds);
                let (made, fit) = made.map_err(at_place)?;
                Ok((made, fit.and(Fit::FIELD)))
            }
            (None, Some(default)) => Ok((default.into(), Fit::EXACT)),
            (None, None) => {
                let whole = Object::Dict(given.clone());
                Err(vec![Issue::new("missing", "Field required", &whole).at(place.clone())])
            }
        }
    }
}

impl ModelField {
    fn goes_by(&self, name: &str, by_name: bool) -> bool {
        let is_name = self.name == name;
        self.alias.as_deref().map_or(is_name, |alias| alias == name || (by_name && is_name))
    }
}

fn tuple_items(value: Object) -> Coerced<Vec<Object>> {
    match value {
        Object::Tuple(values) => Ok((values, Fit::EXACT)),
        Object::List(values) | Object::Set(values) => Ok((values, Fit::LAX)),
        other => refuse("tuple_type", "Input should be a valid tuple", &other),
    }
}

pub(super) fn text(value: Object) -> Coerced {
    match value {
        Object::Str(_) => Ok((value, Fit::EXACT)),
        Object::Bytes(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok((Object::Str(text), Fit::LAX)),
            Err(error) => {
                let message = "Input should be a valid string, unable to parse raw data as a \
                               unicode string";
                refuse("string_unicode", message, &Object::Bytes(error.into_bytes()))
            }
        },
        other => refuse("string_type", "Input should be a valid string", &other),
    }
}

pub(super) fn int(value: Object) -> Coerced {
    match value {
        Object::Int(_) => Ok((value, Fit::EXACT)),
        Object::Bool(flag) => Ok((Object::int(i64::from(flag)), Fit::LAX)),
        Object::Float(float) if !float.is_finite() => {
            refuse("finite_number", "Input should be a finite number", &value)
        }
        Object::Float(float) if float.fract() == 0.0 && float.abs() >= I64_END => {
            let message = "Unable to parse input string as an integer, exceeded maximum size";
            refuse("int_parsing_size", message, &value)
        }
        Object::Float(float) if float.fract() == 0.0 => {
            Ok((Object::Int(Int::from_whole(float)), Fit::LAX))
        }
        Object::Float(_) => {
            let message = "Input should be a valid integer, got a number with a fractional part";
            refuse("int_from_float", message, &value)
        }
        Object::Str(_) | Object::Bytes(_) => {
            if let Some(int) = as_text(&value).and_then(|it| int_of_text(&it)) {
                return Ok((Object::Int(int), Fit::LAX));
            }
            let message = "Input should be a valid integer, unable to parse string as an integer";
            refuse("int_parsing", message, &value)
        }
        other => refuse("int_type", "Input should be a valid integer", &other),
    }
}

pub(super) fn float(value: Object) -> Coerced {
    match value {
        Object::Float(_) => Ok((value, Fit::EXACT)),
        Object::Int(ref int) => Ok((Object::Float(int.to_f64()), Fit::STRICT)),
        Object::Bool(flag) => Ok((Object::Float(f64::from(u8::from(flag))), Fit::LAX)),
        Object::Str(_) | Object::Bytes(_) => {
            if let Some(float) = as_text(&value).and_then(|it| float_of_text(&it)) {
                return Ok((Object::Float(float), Fit::LAX));
            }
            let message = "Input should be a valid number, unable to parse string as a number";
            refuse("float_parsing", message, &value)
        }
        other => refuse("float_type", "Input should be a valid number", &other),
    }
}

fn boolean(value: Object) -> Coerced {
    if let Object::Bool(_) = value {
        return Ok((value, Fit::EXACT));
    }
    if let Some(flag) = bool_of(&value).or_else(|| text_bool(&as_text(&value)?)) {
        return Ok((Object::Bool(flag), Fit::LAX));
    }
    match value {
        Object::Str(_) | Object::Bytes(_) | Object::Int(Int::Small(_)) | Object::Float(_)
            if is_whole(&value) =>
        {
            let message = "Input should be a valid boolean, unable to interpret input";
            refuse("bool_parsing", message, &value)
        }
        other => refuse("bool_type", "Input should be a valid boolean", &other),
    }
}

fn as_text(value: &Object) -> Option<Cow<'_, str>> {
    match value {
        Object::Str(text) => Some(Cow::Borrowed(text)),
        Object::Bytes(bytes) => String::from_utf8(bytes.clone()).ok().map(Cow::Owned),
        _ => None,
    }
}

/// pydantic reads a float for a boolean only if it is a small whole number.
fn is_whole(value: &Object) -> bool {
    match value {
        Object::Float(_) => matches!(value.number(), Some(Int::Small(_))),
        _ => true,
    }
}
