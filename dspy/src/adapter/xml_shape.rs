//! What pydantic's JSON Schema of a type says of the elements that hold its values: a list of
//! items, an object of properties, a text, a choice.

use std::collections::HashMap;

use crate::{
    Definition, Definitions, Model, Scalar, Type,
    python::{object::Dict, object::Object, text::strip},
    types::schema_class_of,
    xml::{ElementId, Tree},
};

/// The part of a schema that elements are read and shown by.
#[derive(Clone, Debug)]
pub(super) enum Shape<'a> {
    /// `{"anyOf": …}`
    Choice { others: Vec<&'a Type>, allows_none: bool },
    /// `{"type": "array"}`, and its items' type if they have one
    List(Option<&'a Type>),
    /// `{"type": "object"}` with properties
    Model(&'a str, &'a Model),
    /// `{"type": "object"}` without, and its values' type if they have one
    Dict(Option<&'a Type>),
    /// `{"type": "string"}`
    Text,
    /// Anything else, or nothing
    Other,
}

/// What the type's schema says, references followed once.
pub(super) fn shape<'a>(ty: &'a Type, definitions: &'a Definitions) -> Shape<'a> {
    match ty {
        Type::Union(_) => match choices(ty) {
            (others, true) => Shape::Choice { others, allows_none: true },
            (others, false) if others.len() == 1 => shape(others[0], definitions),
            (others, false) => Shape::Choice { others, allows_none: false },
        },
        Type::List(item) | Type::TupleOf(item) | Type::Set(item) | Type::FrozenSet(item) => {
            Shape::List(Some(item))
        }
        Type::BareList | Type::Tuple(_) | Type::BareTuple | Type::BareSet | Type::BareFrozenSet => {
            Shape::List(None)
        }
        Type::Dict(_, value) => {
            Shape::Dict(Some(value).filter(|it| ***it != Type::Any).map(|it| &**it))
        }
        Type::BareDict => Shape::Dict(None),
        Type::Named(name) => match definitions.get(name) {
            Some(Definition::Model(model)) => Shape::Model(name, model),
            Some(Definition::Enum(its)) if its.members.iter().all(|it| it.value.is_string()) => {
                Shape::Text
            }
            Some(Definition::Enum(_)) => Shape::Other,
            None => class_shape(ty),
        },
        Type::Dspy(_) => class_shape(ty),
        Type::Constrained(its) => shape(its.ty(), definitions),
        // A number to the schema, or its text.
        Type::Scalar(Scalar::Decimal) => Shape::Other,
        Type::Str | Type::Scalar(_) => Shape::Text,
        Type::Literal(values) if values.iter().all(serde_json::Value::is_string) => Shape::Text,
        Type::Literal(_) | Type::Int | Type::Float | Type::Bool | Type::None | Type::Any => {
            Shape::Other
        }
    }
}

fn class_shape(ty: &Type) -> Shape<'_> {
    schema_class_of(ty).map_or(Shape::Other, |(name, model)| Shape::Model(name, model))
}

/// The members of a union whose schemas differ, and whether `None` is one.
fn choices(ty: &Type) -> (Vec<&Type>, bool) {
    let Type::Union(args) = ty else { return (vec![ty], false) };
    let mut schemas = Vec::new();
    let mut others = Vec::new();
    for arg in args.iter().filter(|it| **it != Type::None) {
        let schema = arg.json_schema();
        if !schemas.contains(&schema) {
            schemas.push(schema);
            others.push(arg);
        }
    }
    (others, args.contains(&Type::None))
}

/// What a field's value may be read by: its whole schema, then each choice in it.
pub(super) fn candidates<'a>(ty: &'a Type, definitions: &'a Definitions) -> Vec<Shape<'a>> {
    let whole = shape(ty, definitions);
    let mut candidates = vec![whole.clone()];
    if let Shape::Choice { others, allows_none } = whole {
        candidates.extend(others.into_iter().map(|it| shape(it, definitions)));
        candidates.extend(allows_none.then_some(Shape::Other));
    }
    candidates
}

/// Whether a field of this type is written as elements within its element.
pub(super) fn is_nested(ty: &Type, definitions: &Definitions) -> bool {
    let ty = ty.inner();
    if let Type::List(item) = ty {
        return !matches!(**item, Type::Dspy(_));
    }
    matches!(ty, Type::Dict(..)) || definitions.model(ty).is_some()
}

/// The elements of a type, empty: `<tags><item>...</item></tags>`.
pub(super) fn skeleton(tag: &str, ty: &Type, definitions: &Definitions) -> String {
    filled(tag, ty, definitions, &mut Vec::new())
}

fn filled<'a>(
    tag: &str,
    ty: &'a Type,
    definitions: &'a Definitions,
    within: &mut Vec<&'a str>,
) -> String {
    let children = match shape(ty, definitions) {
        Shape::Choice { others, .. } => match others.first() {
            Some(first) => return filled(tag, first, definitions, within),
            None => String::new(),
        },
        Shape::List(Some(item)) => filled("item", item, definitions, within),
        Shape::List(None) => "<item>...</item>".to_owned(),
        Shape::Model(name, model) if !within.contains(&name) => {
            within.push(name);
            let fields = model.fields.iter();
            let children = fields.map(|it| filled(&it.name, &it.ty, definitions, within)).collect();
            within.pop();
            children
        }
        Shape::Model(..) | Shape::Dict(_) | Shape::Text | Shape::Other => String::new(),
    };
    let children = if children.is_empty() { "..." } else { &children };
    format!("<{tag}>{children}</{tag}>")
}

/// An element's children by name; an `<entry>` goes by its key.
pub(super) fn grouped(tree: &Tree, id: ElementId) -> Vec<(&str, Vec<ElementId>)> {
    let mut groups: Vec<(&str, Vec<ElementId>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for child in &tree.get(id).children {
        let element = tree.get(*child);
        let key = element.attributes.iter().find(|(name, _)| name == "key");
        let name = match key {
            Some((_, key)) if element.tag == "entry" => key,
            Some(_) | None => &element.tag,
        };
        let place = *places.entry(name).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(*child),
            None => groups.push((name, vec![*child])),
        }
    }
    groups
}

/// Reads values out of elements.
pub(super) struct Reader<'a> {
    pub(super) tree: &'a Tree,
    pub(super) definitions: &'a Definitions,
}

impl<'a> Reader<'a> {
    /// The value in elements of one name.
    pub(super) fn value(&self, elements: &[ElementId], shape: &Shape<'_>) -> Object {
        let first = elements[0];
        let element = self.tree.get(first);
        let is_blank = element.children.is_empty() && strip(&element.text).is_empty();
        let chosen;
        let mut shape = shape;
        if let Shape::Choice { others, allows_none } = shape {
            if *allows_none && is_blank {
                return Object::None;
            }
            chosen = self.chosen(others, !element.children.is_empty());
            shape = &chosen;
        }
        match shape {
            Shape::List(item) => self.list(elements, *item),
            Shape::Text if !element.children.is_empty() => {
                let children = element.children.iter().map(|it| self.tree.text_of(*it));
                Object::Str(element.text.clone() + &children.collect::<String>())
            }
            Shape::Dict(_) | Shape::Model(..) if is_blank => Object::Dict(Dict::default()),
            _ if element.children.is_empty() => {
                let text = |it: &ElementId| strip(&self.tree.get(*it).text).to_owned();
                let mut texts: Vec<_> = elements.iter().map(|it| Object::Str(text(it))).collect();
                if texts.len() == 1 { texts.remove(0) } else { Object::List(texts) }
            }
            Shape::Choice { .. }
            | Shape::Model(..)
            | Shape::Dict(_)
            | Shape::Text
            | Shape::Other => self.object(first, shape),
        }
    }

    /// The first choice, or the first that can have children if there are some. What it refers to
    /// the package does not look up.
    fn chosen<'t>(&self, others: &[&'t Type], has_children: bool) -> Shape<'t>
    where
        'a: 't,
    {
        let of = |ty: &'t Type| {
            if let Type::Named(_) = ty { Shape::Other } else { shape(ty, self.definitions) }
        };
        let mut shapes = others.iter().map(|it| of(it));
        let Some(first) = shapes.next() else { return Shape::Other };
        if !has_children || !matches!(first, Shape::Text) {
            return first;
        }
        shapes.find(|it| !matches!(it, Shape::Text)).unwrap_or(first)
    }

    fn list(&self, elements: &[ElementId], item: Option<&Type>) -> Object {
        let mut elements = elements.to_vec();
        if let [only] = elements.as_slice() {
            let element = self.tree.get(*only);
            let text = strip(&element.text);
            if element.children.is_empty() && text.is_empty() {
                return Object::List(Vec::new());
            }
            if element.children.is_empty() && text.starts_with('[') {
                return Object::Str(text.to_owned());
            }
            let items = grouped(self.tree, *only).into_iter().find(|(name, _)| *name == "item");
            elements = items.map_or(elements, |(_, items)| items);
        }
        let shape = item.map_or(Shape::Other, |it| shape(it, self.definitions));
        Object::List(elements.iter().map(|it| self.value(&[*it], &shape)).collect())
    }

    fn object(&self, element: ElementId, of: &Shape<'_>) -> Object {
        let mut object = Dict::default();
        for (name, elements) in grouped(self.tree, element) {
            let ty = match of {
                Shape::Model(_, model) => {
                    model.fields.iter().find(|it| it.name == name).map(|it| &it.ty)
                }
                Shape::Dict(value) => *value,
                Shape::Choice { .. } | Shape::List(_) | Shape::Text | Shape::Other => None,
            };
            let shape = ty.map_or(Shape::Other, |it| shape(it, self.definitions));
            object.insert(Object::Str(name.to_owned()), self.value(&elements, &shape));
        }
        Object::Dict(object)
    }
}
