//! JSON Schemas of the program's own enums and models, as pydantic makes them.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    Definition, Definitions, DspyType, Model, ModelField, Type,
    schema::{choice, title},
};

impl Definitions {
    /// The schema of a type with all that it refers to, as pydantic's `TypeAdapter` makes it.
    pub(crate) fn whole_schema(&self, ty: &Type) -> Value {
        let mut names = Vec::new();
        ty.names(&mut names);
        let mut definitions = self.schemas(names);
        let mut schema = ty.json_schema();
        if let Some(name) = ty.class_name()
            && !self.is_recursive(&name)
            && let Some(own) = definitions.shift_remove(&name)
        {
            schema = own;
        }
        if !definitions.is_empty() {
            schema["$defs"] = Value::Object(definitions);
        }
        schema
    }

    /// The `$defs` of the types in these, and of what they are made of.
    pub(crate) fn schemas(&self, mut names: Vec<String>) -> Map<String, Value> {
        let mut schemas = Map::new();
        let mut at = 0;
        while let Some(name) = names.get(at).cloned() {
            at += 1;
            if let Some(definition) = self.get(&name) {
                definition.names(&mut names);
                definition.put_schema(&name, &mut schemas);
            } else if let Some(ty) = DspyType::named(&name) {
                let own = given(&ty.json_schema(), &name, &mut schemas);
                schemas.insert(name, own);
            }
        }
        drop_repeated(&mut schemas);
        schemas
    }

    /// Whether a type is made of itself.
    pub(crate) fn is_recursive(&self, name: &str) -> bool {
        let mut names = Vec::new();
        let mut next = self.get(name);
        let mut at = 0;
        while let Some(definition) = next {
            definition.names(&mut names);
            next = names.get(at).and_then(|it| self.get(it));
            at += 1;
        }
        names.iter().any(|it| it == name)
    }
}

impl Type {
    /// The name of the class that it is, if its schema has a definition of its own.
    pub(crate) fn class_name(&self) -> Option<String> {
        match self {
            Self::Named(name) => Some(name.clone()),
            Self::Dspy(ty) => Some(ty.class_name()),
            Self::Str
            | Self::Int
            | Self::Float
            | Self::Bool
            | Self::None
            | Self::Any
            | Self::List(_)
            | Self::BareList
            | Self::Dict(..)
            | Self::BareDict
            | Self::Tuple(_)
            | Self::TupleOf(_)
            | Self::BareTuple
            | Self::Set(_)
            | Self::BareSet
            | Self::FrozenSet(_)
            | Self::BareFrozenSet
            | Self::Scalar(_)
            | Self::Literal(_)
            | Self::Union(_)
            | Self::Constrained(_) => None,
        }
    }
}

impl Definition {
    /// The names of the types that it is made of.
    fn names(&self, found: &mut Vec<String>) {
        match self {
            Self::Enum(_) => {}
            Self::Model(model) => model.fields.iter().for_each(|it| it.ty.names(found)),
        }
    }

    /// Puts its schema, and those that come with it, among the schemas.
    fn put_schema(&self, name: &str, schemas: &mut Map<String, Value>) {
        let own = match self {
            Self::Enum(its) => {
                let mut schema = choice(&its.values());
                schema["title"] = name.into();
                if let Some(doc) = &its.doc {
                    schema["description"] = doc.as_str().into();
                }
                schema
            }
            Self::Model(Model { json_schema: Some(schema), .. }) => given(schema, name, schemas),
            Self::Model(model) => of_model(model, name),
        };
        schemas.insert(name.to_owned(), own);
    }
}

/// Takes away the descriptions beside references that only repeat the one of what is referred to;
/// of a model within itself pydantic does not know that yet.
fn drop_repeated(schemas: &mut Map<String, Value>) {
    let docs: HashMap<String, Value> = schemas
        .iter()
        .filter_map(|(name, it)| Some((format!("#/$defs/{name}"), it.get("description")?.clone())))
        .collect();
    for (name, schema) in schemas {
        let own = format!("#/$defs/{name}");
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for property in properties.into_iter().flat_map(Map::values_mut) {
            let Some(property) = property.as_object_mut() else { continue };
            let referred = property.get("$ref").and_then(Value::as_str).filter(|it| *it != own);
            let doc = referred.and_then(|it| docs.get(it));
            if doc.is_some() && doc == property.get("description") {
                property.shift_remove("description");
            }
        }
    }
}

/// A schema that came with the program; what it brings along goes among the others.
fn given(schema: &Value, name: &str, schemas: &mut Map<String, Value>) -> Value {
    let mut schema = schema.clone();
    let Some(map) = schema.as_object_mut() else { return schema };
    let Some(Value::Object(mut brought)) = map.shift_remove("$defs") else { return schema };
    // Of a recursive model, the schema only points at the definition.
    if let Some(own) = brought.shift_remove(name) {
        schema = own;
    }
    for (name, it) in brought {
        schemas.entry(name).or_insert(it);
    }
    schema
}

fn of_model(model: &Model, name: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in &model.fields {
        let name = field.alias.as_ref().unwrap_or(&field.name);
        properties.insert(name.clone(), of_field(field, name));
        if field.default.is_none() {
            required.push(name.as_str());
        }
    }
    let mut schema = json!({"properties": properties, "title": name, "type": "object"});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if let Some(doc) = &model.doc {
        schema["description"] = doc.as_str().into();
    }
    match model.extra {
        super::Extra::Ignore => {}
        super::Extra::Forbid => schema["additionalProperties"] = false.into(),
        super::Extra::Allow => schema["additionalProperties"] = true.into(),
    }
    schema
}

fn of_field(field: &ModelField, name: &str) -> Value {
    let mut schema = field.ty.json_schema();
    put_bounds(&mut schema, &field.ty, &field.bounds);
    if !is_named(&field.ty) {
        schema["title"] = title(name).into();
    }
    if let Some(desc) = &field.desc {
        schema["description"] = desc.as_str().into();
    }
    if let Some(default) = &field.default {
        schema["default"] = default.clone();
    }
    schema
}

/// Whether it is one type of the program's own, which has a title already.
fn is_named(ty: &Type) -> bool {
    let Type::Union(args) = ty else { return ty.class_name().is_some() };
    let others: Vec<&Type> = args.iter().filter(|it| **it != Type::None).collect();
    matches!(others.as_slice(), [only] if only.class_name().is_some())
}

/// Bounds are those of the value itself: in an `Optional`, of what it is when it is something.
pub(super) fn put_bounds(schema: &mut Value, ty: &Type, bounds: &Map<String, Value>) {
    let target = match (ty, schema.get("anyOf").is_some()) {
        (Type::Union(_), true) => &mut schema["anyOf"][0],
        _ => schema,
    };
    let kind = target["type"].as_str().unwrap_or_default().to_owned();
    for (name, bound) in bounds {
        let key = match (name.as_str(), kind.as_str()) {
            ("gt", _) => "exclusiveMinimum",
            ("ge", _) => "minimum",
            ("lt", _) => "exclusiveMaximum",
            ("le", _) => "maximum",
            ("multiple_of", _) => "multipleOf",
            ("min_length", "array") => "minItems",
            ("max_length", "array") => "maxItems",
            ("min_length", "object") => "minProperties",
            ("max_length", "object") => "maxProperties",
            ("min_length", _) => "minLength",
            ("max_length", _) => "maxLength",
            _ => continue,
        };
        target[key] = bound.clone();
    }
}
