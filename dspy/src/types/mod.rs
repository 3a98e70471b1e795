//! The types of fields, and what they are called.

mod annotation;
mod bounds;
mod check;
mod choice;
mod coerce;
mod constrained;
mod definition;
mod dspy_class;
mod dspy_type;
pub(crate) mod dspy_value;
mod exact;
mod fit;
mod input;
mod issue;
mod model_schema;
mod moment;
mod name;
mod numeric;
mod printed;
mod scalar;
pub(crate) mod schema;
mod union;
mod validate;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use constrained::Constrained;
pub(crate) use constrained::RULES;
pub use definition::{
    Definition, Definitions, Enum, EnumBase, EnumMember, Extra, Model, ModelField,
};
pub(crate) use dspy_class::{class_of, schema_class_of};
pub use dspy_type::DspyType;
pub(crate) use input::Looked;
pub(crate) use issue::ValidationError;
pub use scalar::Scalar;
pub(crate) use validate::{Origin, taken_for, validate, validate_as};

/// The type of a field, as Python annotates it. Written as its annotation: `list[str]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Type {
    /// `str`
    Str,
    /// `int`
    Int,
    /// `float`
    Float,
    /// `bool`
    Bool,
    /// `None`
    None,
    /// `Any`
    Any,
    /// `list[…]`
    List(Box<Type>),
    /// `list`, of anything
    BareList,
    /// `dict[…, …]`
    Dict(Box<Type>, Box<Type>),
    /// `dict`, of anything
    BareDict,
    /// `tuple[…, …]`, one type an item
    Tuple(Vec<Type>),
    /// `tuple[…, ...]`, of any length
    TupleOf(Box<Type>),
    /// `tuple`, of anything
    BareTuple,
    /// `set[…]`
    Set(Box<Type>),
    /// `set`, of anything
    BareSet,
    /// `frozenset[…]`
    FrozenSet(Box<Type>),
    /// `frozenset`, of anything
    BareFrozenSet,
    /// A standard class: `datetime.date`, `decimal.Decimal`, …
    Scalar(Scalar),
    /// A type of DSPy's own: `dspy.Image`, …
    Dspy(DspyType),
    /// `Literal[…]`: text, integers, booleans and `None`
    Literal(Vec<Value>),
    /// `Union[…]`, `Optional[…]`, `… | …`
    Union(Vec<Type>),
    /// An enum or a model of the program's own, by name
    Named(String),
    /// `Annotated[…, Field(…)]`, within another type
    Constrained(Box<Constrained>),
}

/// An annotation that is no type the native engine knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

impl Type {
    /// The type of a Python annotation: `list[str]`, `Literal['a', 'b']`, `int | None`.
    pub fn parse(annotation: &str) -> Result<Self, TypeError> {
        Self::parse_with(annotation, &Definitions::default())
    }

    /// The type of a Python annotation that may name types of the program's own.
    pub fn parse_with(annotation: &str, definitions: &Definitions) -> Result<Self, TypeError> {
        annotation::parse(annotation, &|name| definitions.get(name).is_some())
    }

    /// The type behind an `Optional`; any other is itself.
    pub(crate) fn inner(&self) -> &Self {
        let Self::Union(args) = self else { return self };
        let mut others = args.iter().filter(|it| **it != Self::None);
        match (others.next(), others.next()) {
            (Some(only), None) => only,
            (_, _) => self,
        }
    }

    /// Whether `None` is a value of it.
    pub fn allows_none(&self) -> bool {
        match self {
            Self::None => true,
            Self::Union(args) => args.iter().any(Self::allows_none),
            Self::Str
            | Self::Int
            | Self::Float
            | Self::Bool
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
            | Self::Dspy(_)
            | Self::Literal(_)
            | Self::Named(_)
            | Self::Constrained(_) => false,
        }
    }
}

impl TryFrom<String> for Type {
    type Error = TypeError;

    fn try_from(annotation: String) -> Result<Self, TypeError> {
        annotation::parse(&annotation, &|_| true)
    }
}

impl From<Type> for String {
    fn from(ty: Type) -> Self {
        ty.annotation()
    }
}
