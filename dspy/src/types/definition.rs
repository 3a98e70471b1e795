//! Enums and models of the program's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Type;

/// The types that a program defines, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Definitions(pub BTreeMap<String, Definition>);

/// A type that a program defines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// An enum.
    Enum(Enum),
    /// A pydantic model.
    Model(Model),
}

/// An enum of Python's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Enum {
    /// What its members are besides.
    #[serde(default)]
    pub base: EnumBase,
    /// Its members, in order.
    pub members: Vec<EnumMember>,
    /// What it is: the docstring of its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
}

/// What the members of an enum are besides: it decides what pydantic takes for one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnumBase {
    /// Nothing: `class Color(Enum)`.
    #[default]
    None,
    /// Texts: `class Color(str, Enum)`.
    Str,
    /// Integers: `class Level(int, Enum)`.
    Int,
    /// Numbers: `class Share(float, Enum)`.
    Float,
    /// Texts that Python prints as such: `class Color(StrEnum)`.
    StrEnum,
    /// Integers that Python prints as such: `class Level(IntEnum)`.
    IntEnum,
}

/// A member of an enum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnumMember {
    /// Its name in Python.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A pydantic model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its fields, in order.
    pub fields: Vec<ModelField>,
    /// What is done with fields it does not have.
    #[serde(default)]
    pub extra: Extra,
    /// Whether a field with an alias may also be given by its name.
    #[serde(default)]
    pub populate_by_name: bool,
    /// What it is: the docstring of its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// Its JSON Schema, where the one made of its fields is not the one to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<Value>,
}

/// What a model does with fields it does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// Drops them.
    #[default]
    Ignore,
    /// Refuses them.
    Forbid,
    /// Keeps them.
    Allow,
}

/// A field of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelField {
    /// Its name.
    pub name: String,
    /// The name it goes by in JSON, where that is another.
    #[serde(default)]
    pub alias: Option<String>,
    /// Its type.
    pub ty: Type,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    /// Its value where none is given; `None` if one must be given.
    #[serde(default)]
    pub default: Option<Value>,
    /// Bounds that are enforced, by pydantic's names: `ge`, `max_length`, …
    #[serde(default)]
    pub bounds: serde_json::Map<String, Value>,
}

impl Enum {
    /// The values of its members, in order.
    pub fn values(&self) -> Vec<Value> {
        self.members.iter().map(|it| it.value.clone()).collect()
    }
}

impl EnumBase {
    /// What pydantic calls an enum of it.
    pub(crate) fn validator_name(self) -> &'static str {
        match self {
            Self::None => "enum",
            Self::Str | Self::StrEnum => "str-enum",
            Self::Int | Self::IntEnum => "int-enum",
            Self::Float => "float-enum",
        }
    }

    /// Whether Python prints a member as its value.
    pub(crate) fn prints_values(self) -> bool {
        match self {
            Self::StrEnum | Self::IntEnum => true,
            Self::None | Self::Str | Self::Int | Self::Float => false,
        }
    }
}

impl Definitions {
    /// The model that a type is, and its name.
    pub(crate) fn model<'a>(&'a self, ty: &'a Type) -> Option<(&'a str, &'a Model)> {
        let Type::Named(name) = ty else { return None };
        match self.get(name)? {
            Definition::Model(model) => Some((name, model)),
            Definition::Enum(_) => None,
        }
    }

    /// The enum that a type is, and its name.
    pub(crate) fn enumeration<'a>(&'a self, ty: &'a Type) -> Option<(&'a str, &'a Enum)> {
        let Type::Named(name) = ty else { return None };
        match self.get(name)? {
            Definition::Enum(its) => Some((name, its)),
            Definition::Model(_) => None,
        }
    }

    /// The definition of a name.
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.0.get(name)
    }
}
