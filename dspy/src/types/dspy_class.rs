//! The classes of DSPy's own types as pydantic sees them: fields and docstrings.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::{DspyType, Extra, Model, ModelField, Type, dspy_type::schemas};

/// The class that a type is, or that one of those holds, and a name to tell it from others.
pub(crate) fn class_of(ty: &Type) -> Option<(&str, &'static Model)> {
    if let Type::Dspy(DspyType::Code(Some(language))) = ty {
        return Some((language, &classes().code));
    }
    if let Type::Named(name) = ty {
        return named(&classes().whole, name);
    }
    let Type::Dspy(own) = ty else { return None };
    named(&classes().whole, &own.class_name())
}

/// The class with the fields that its schema tells of.
pub(crate) fn schema_class_of(ty: &Type) -> Option<(&str, &'static Model)> {
    let (name, whole) = class_of(ty)?;
    Some(named(&classes().told, name).unwrap_or((name, whole)))
}

type Named = Vec<(&'static str, Model)>;

struct Classes {
    whole: Named,
    /// Those of which the schema does not tell all.
    told: Named,
    /// `dspy.Code["java"]` has no docstring.
    code: Model,
}

fn named<'a>(classes: &'a Named, name: &str) -> Option<(&'static str, &'a Model)> {
    let found = classes.iter().find(|(it, _)| *it == name);
    found.map(|(name, model)| (*name, model))
}

fn classes() -> &'static Classes {
    static CLASSES: OnceLock<Classes> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let whole: Named = FIELDS.iter().map(|(name, it)| (*name, model(name, it))).collect();
        let mut told = whole.clone();
        told.retain(|(class, _)| UNTOLD.iter().any(|(it, _)| it == class));
        for (class, model) in &mut told {
            model.fields.retain(|it| !UNTOLD.contains(&(class, &it.name)));
        }
        Classes { whole, told, code: Model { doc: None, ..model("Code", &[("code", "str")]) } }
    })
}

/// The fields that the package takes out of a class's schema.
const UNTOLD: [(&str, &str); 2] = [("ToolCalls", "tool_call_results"), ("ToolCall", "id")];

/// The fields of each class, and their annotations.
const FIELDS: [(&str, &[(&str, &str)]); 13] = [
    ("Image", &[("url", "str")]),
    ("Audio", &[("data", "str"), ("audio_format", "str")]),
    ("File", &[("file_data", "str | None"), ("file_id", "str | None"), ("filename", "str | None")]),
    ("History", &[("messages", "list[dict[str, Any]]")]),
    ("ToolCalls", &[("tool_calls", "list[ToolCall]"), ("tool_call_results", "Any | None")]),
    ("ToolCall", &[("id", "str | None"), ("name", "str"), ("args", "dict[str, Any]")]),
    ("ToolCallResults", &[("tool_call_results", "list[ToolCallResult]")]),
    (
        "ToolCallResult",
        &[("call_id", "str | None"), ("name", "str"), ("value", "Any"), ("is_error", "bool")],
    ),
    ("Code", &[("code", "str")]),
    ("Reasoning", &[("content", "str")]),
    ("Citations", &[("citations", "list[Citation]")]),
    (
        "Citation",
        &[
            ("type", "str"),
            ("cited_text", "str"),
            ("document_index", "int"),
            ("document_title", "str | None"),
            ("start_char_index", "int"),
            ("end_char_index", "int"),
            ("supported_text", "str | None"),
        ],
    ),
    (
        "Document",
        &[
            ("data", "str"),
            ("title", "str | None"),
            ("media_type", "Literal['text/plain', 'application/pdf']"),
            ("context", "str | None"),
        ],
    ),
];

fn model(name: &str, fields: &[(&str, &str)]) -> Model {
    let doc = schemas().values().find_map(|it| {
        let is_it = it["title"] == name;
        if is_it { it["description"].as_str() } else { it["$defs"][name]["description"].as_str() }
    });
    Model {
        fields: fields.iter().map(|(name, annotation)| field(name, annotation)).collect(),
        extra: Extra::Ignore,
        doc: doc.map(ToOwned::to_owned),
        ..Model::default()
    }
}

fn field(name: &str, annotation: &str) -> ModelField {
    let is_class = |name: &str| FIELDS.iter().any(|(it, _)| *it == name);
    let ty = super::annotation::parse(annotation, &is_class).unwrap_or(Type::Any);
    let (name, bounds) = (name.to_owned(), Map::<String, Value>::new());
    ModelField { name, alias: None, ty, desc: None, default: None, bounds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_annotation_of_a_field_is_read() {
        for (class, fields) in FIELDS {
            let Model { fields: made, .. } = named(&classes().whole, class).unwrap().1;
            let anything = |it: &ModelField| matches!(it.ty, Type::Any);
            let (got, want) = (made.iter(), fields.iter());

            assert_eq!(
                got.filter(|it| anything(it)).count(),
                want.filter(|it| it.1 == "Any").count()
            );
        }
    }

    #[test]
    fn classes_have_the_docstrings_of_the_package() {
        let doc = |ty: &str| class_of(&Type::parse(ty).unwrap()).unwrap().1.doc.clone();

        assert!(doc("dspy.Reasoning").unwrap().starts_with("Reasoning type in DSPy."));
        assert_eq!(doc("dspy.Code['java']"), None);
        assert_eq!(doc("dspy.Image"), None);
    }

    #[test]
    fn ids_of_calls_are_no_part_of_the_schema() {
        let call = Type::Named("ToolCall".to_owned());
        let names =
            |model: &Model| -> Vec<_> { model.fields.iter().map(|it| it.name.clone()).collect() };

        assert_eq!(names(class_of(&call).unwrap().1), ["id", "name", "args"]);
        assert_eq!(names(schema_class_of(&call).unwrap().1), ["name", "args"]);
    }
}
