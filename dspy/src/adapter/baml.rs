//! DSPy's `BAMLAdapter`: types in few words, `{ name: string, tags: string[] }`, instead of JSON
//! Schemas. It asks for and reads what the JSON adapter does.

use serde_json::{Map, Value};

use super::{chat::INTRODUCTION, python_form, render::section, value};
use crate::{
    AdapterError, Definitions, Field, Model, ModelField, Signature, Type,
    python::{json, repr},
    types::{Origin, class_of, taken_for},
};

const RECURSIVE: &str =
    "BAMLAdapter cannot handle recursive pydantic models, please use a different adapter.";

/// The structure of a conversation.
pub(super) fn structure(signature: &Signature) -> Result<String, AdapterError> {
    let mut sections = vec![format!("{INTRODUCTION}\n")];
    for field in &signature.inputs {
        sections.push(format!("{}\n", section(&field.name, &format!("{{{}}}", field.name))));
    }
    for field in &signature.outputs {
        let name = &field.name;
        let ty = Writer { definitions: &signature.types }.ty(&field.ty, 0, None)?;
        let sentence = format!("Output field `{name}` should be of type: {ty}\n");
        sections.push(section(name, &sentence));
    }
    sections.push("[[ ## completed ## ]]".to_owned());
    Ok(sections.join("\n"))
}

/// A value as the model reads it: a model's own fields on lines of their own, by alias.
pub(super) fn shown(field: &Field, value: &Value, definitions: &Definitions) -> String {
    if python_form::own(&field.ty, value).is_some() {
        return json::dump_json_indented(value);
    }
    let ty = python_form::taken(&field.ty, value, definitions);
    match (definitions.model(ty), value) {
        (Some((_, model)), Value::Object(map)) => {
            json::dump_json_indented(&dumped(model, map, definitions))
        }
        _ => value::shown(field, value),
    }
}

/// A model as pydantic dumps it: all of its fields in its own order.
fn dumped(model: &Model, map: &Map<String, Value>, definitions: &Definitions) -> Value {
    let mut dump = Map::new();
    let mut rest = map.clone();
    for field in &model.fields {
        let alias = field.alias.as_ref().unwrap_or(&field.name);
        let given = rest.shift_remove(&field.name).or_else(|| rest.shift_remove(alias));
        if let Some(value) = given.or_else(|| field.default.clone()) {
            dump.insert(alias.clone(), dumped_value(&field.ty, value, definitions));
        }
    }
    dump.extend(rest);
    Value::Object(dump)
}

fn dumped_value(ty: &Type, value: Value, definitions: &Definitions) -> Value {
    match (ty, value) {
        (
            Type::List(item) | Type::TupleOf(item) | Type::Set(item) | Type::FrozenSet(item),
            Value::Array(items),
        ) => items.into_iter().map(|it| dumped_value(item, it, definitions)).collect(),
        (Type::Tuple(types), Value::Array(items)) => {
            let pairs = types.iter().zip(items);
            pairs.map(|(ty, it)| dumped_value(ty, it, definitions)).collect()
        }
        (Type::Dict(_, item), Value::Object(map)) => {
            let entries = map.into_iter();
            entries.map(|(key, it)| (key, dumped_value(item, it, definitions))).collect()
        }
        (Type::Union(args), value) => match taken_for(Origin::Made, args, &value, definitions) {
            Some(member) => dumped_value(member, value, definitions),
            None => value,
        },
        (ty, Value::Object(map)) => match definitions.model(ty) {
            Some((_, model)) => dumped(model, &map, definitions),
            None => Value::Object(map),
        },
        (_, value) => value,
    }
}

type Written = Result<String, AdapterError>;

/// The models that were written within one output; the package takes a second use of one for a
/// recursion.
type Seen<'a, 's> = Option<&'s mut Vec<&'a str>>;

struct Writer<'a> {
    definitions: &'a Definitions,
}

impl<'a> Writer<'a> {
    fn ty(&self, ty: &'a Type, indent: usize, mut seen: Seen<'a, '_>) -> Written {
        let mut inner = |ty: &'a Type| self.ty(ty, indent, seen.as_deref_mut());
        Ok(match ty {
            Type::Str => "string".to_owned(),
            Type::Int => "int".to_owned(),
            Type::Float => "float".to_owned(),
            Type::Bool => "boolean".to_owned(),
            Type::Union(args) => {
                let others = args.iter().filter(|it| **it != Type::None);
                let others = others.map(inner).collect::<Result<Vec<_>, _>>()?;
                let null = if others.len() < args.len() { " or null" } else { "" };
                format!("{}{null}", others.join(" or "))
            }
            Type::Literal(values) => values.iter().map(literal).collect::<Vec<_>>().join(" or "),
            Type::List(item) => match self.model(item) {
                Some((name, model)) => {
                    let model = self.object(name, model, indent + 1, seen)?;
                    format!("[\n{model}\n{}]", margin(indent))
                }
                None => format!("{}[]", inner(item)?),
            },
            Type::Dict(key, value) => {
                let key = inner(key)?;
                format!("dict[{key}, {}]", inner(value)?)
            }
            Type::Named(_) | Type::Dspy(_) => match self.model(ty) {
                Some((name, model)) => self.object(name, model, indent, seen)?,
                None => ty.to_string(),
            },
            Type::Tuple(_) | Type::TupleOf(_) => "tuple".to_owned(),
            Type::Set(_) => "set".to_owned(),
            Type::Constrained(_) => "Annotated".to_owned(),
            Type::FrozenSet(_) => "frozenset".to_owned(),
            Type::None
            | Type::Any
            | Type::BareList
            | Type::BareDict
            | Type::BareTuple
            | Type::BareSet
            | Type::BareFrozenSet
            | Type::Scalar(_) => ty.to_string(),
        })
    }

    fn model(&self, ty: &'a Type) -> Option<(&'a str, &'a Model)> {
        self.definitions.model(ty).or_else(|| class_of(ty))
    }

    fn object(
        &self,
        name: &'a str,
        model: &'a Model,
        indent: usize,
        seen: Seen<'a, '_>,
    ) -> Written {
        let mut first = Vec::new();
        let seen = seen.unwrap_or(&mut first);
        if seen.contains(&name) {
            return Err(AdapterError(RECURSIVE.to_owned()));
        }
        seen.push(name);
        let (outer, inner) = (margin(indent), margin(indent + 1));
        // A nested model's own words stand before the field that holds it.
        let doc = model.doc.as_deref().filter(|_| indent == 0).unwrap_or_default();
        let mut lines = comments(doc, &outer);
        lines.push(format!("{outer}{{"));
        if model.fields.is_empty() {
            lines.push(format!("{inner}# No fields defined"));
        }
        for field in &model.fields {
            lines.extend(self.about(field, &inner));
            let ty = self.ty(&field.ty, indent + 1, Some(seen))?;
            lines.push(format!("{inner}{}: {ty},", field.name));
        }
        lines.push(format!("{outer}}}"));
        Ok(lines.join("\n"))
    }

    /// The comments above a field: its description or alias, and what its model is.
    fn about(&self, field: &'a ModelField, margin: &str) -> Vec<String> {
        let desc = field.desc.as_deref().filter(|it| !it.is_empty()).map(ToOwned::to_owned);
        let alias = field.alias.as_ref().filter(|it| **it != field.name);
        let alias = alias.filter(|it| !it.is_empty()).map(|it| format!("alias: {it}"));
        let mut lines = Vec::new();
        lines.extend(desc.or(alias).map(|it| format!("{margin}# {it}")));
        let ty = field.ty.inner();
        if let Some((_, Model { doc: Some(doc), .. })) = self.model(ty) {
            lines.extend(comments(doc, margin));
        }
        lines
    }
}

fn margin(indent: usize) -> String {
    "  ".repeat(indent)
}

fn comments(doc: &str, margin: &str) -> Vec<String> {
    let lines = doc.split('\n').map(crate::python::text::strip).filter(|it| !it.is_empty());
    lines.map(|it| format!("{margin}# {it}")).collect()
}

/// A choice as the JSON that the model is to write.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Bool(true) => "true".to_owned(),
        Value::Bool(false) => "false".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => repr::repr(&value.into()),
    }
}
