//! How the queue's words are described to clients: each from the list that the queue itself uses.

use queue::{Class, FailureKind, State};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, ObjectBuilder, RefOr,
        schema::{AdditionalProperties, Schema, SchemaType, Type},
    },
};

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// Where an execution stands.
pub(crate) fn state() -> Object {
    words(State::ALL.map(State::as_str))
}

/// Why it failed.
pub(crate) fn error_kind() -> Object {
    words(FailureKind::ALL.map(FailureKind::as_str))
}

/// Why it failed, or null.
pub(crate) fn error_kind_or_null() -> Object {
    let words = FailureKind::ALL.map(|kind| Some(kind.as_str())).into_iter().chain([None]);
    or_null(Type::String).enum_values(Some(words)).build()
}

/// Any JSON object, or null.
pub(crate) fn fields_or_null() -> Object {
    let any = AdditionalProperties::FreeForm(true);
    or_null(Type::Object).additional_properties(Some(any)).build()
}

fn or_null(of: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([of, Type::Null]))
}

/// How much of the program to run.
pub(crate) fn mode() -> Object {
    words(["normal", "dry_run", "debug"])
}

/// How urgent it is.
pub(crate) fn class() -> Object {
    words(Class::ALL.map(class_word))
}

/// The word for a class.
pub(crate) fn class_word(class: Class) -> &'static str {
    match class {
        Class::Interactive => "interactive",
        Class::Normal => "normal",
        Class::Bulk => "bulk",
    }
}

/// How an accepted execution survives the loss of the store.
pub(crate) fn durability() -> Object {
    words(["memory", "aof", "replica"])
}

/// Who asks the model.
pub(crate) fn via() -> Object {
    words(["workers", "provider"])
}

/// How a batch stands.
pub(crate) fn batch_state() -> Object {
    words(["uploading", "paused", "in_progress", "cancelling", "cancelled", "completed"])
}

/// Any JSON object.
pub(crate) fn fields() -> Object {
    let any = AdditionalProperties::FreeForm(true);
    ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(any)).build()
}

/// A body that is any JSON object.
pub(crate) struct AnyObject;

impl PartialSchema for AnyObject {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Object(fields()))
    }
}

impl ToSchema for AnyObject {}
