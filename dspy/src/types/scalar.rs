//! Python's standard classes whose values JSON writes as text: dates, times, exact numbers, ids.

use serde_json::{Value, json};

use super::{coerce::Coerced, exact, moment};
use crate::python::object::Object;

/// A standard class of Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `datetime.datetime`
    DateTime,
    /// `datetime.date`
    Date,
    /// `datetime.time`
    Time,
    /// `datetime.timedelta`
    TimeDelta,
    /// `decimal.Decimal`
    Decimal,
    /// `uuid.UUID`
    Uuid,
    /// `bytes`
    Bytes,
}

const ALL: [Scalar; 7] = [
    Scalar::DateTime,
    Scalar::Date,
    Scalar::Time,
    Scalar::TimeDelta,
    Scalar::Decimal,
    Scalar::Uuid,
    Scalar::Bytes,
];

impl Scalar {
    /// The class of a name, with its module or without.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|it| it.class_name() == name || it.full_name() == name)
    }

    /// Its name with its module's.
    pub(super) fn full_name(self) -> &'static str {
        match self {
            Self::DateTime => "datetime.datetime",
            Self::Date => "datetime.date",
            Self::Time => "datetime.time",
            Self::TimeDelta => "datetime.timedelta",
            Self::Decimal => "decimal.Decimal",
            Self::Uuid => "uuid.UUID",
            Self::Bytes => "bytes",
        }
    }

    /// Its name, as prompts show it.
    pub(super) fn class_name(self) -> &'static str {
        let name = self.full_name();
        name.split_once('.').map_or(name, |(_, class)| class)
    }

    /// What pydantic calls it in its errors.
    pub(super) fn validator_name(self) -> String {
        self.class_name().to_lowercase()
    }

    pub(super) fn json_schema(self) -> Value {
        match self {
            Self::DateTime => json!({"format": "date-time", "type": "string"}),
            Self::Date => json!({"format": "date", "type": "string"}),
            Self::Time => json!({"format": "time", "type": "string"}),
            Self::TimeDelta => json!({"format": "duration", "type": "string"}),
            Self::Decimal => json!({"anyOf": [{"type": "number"}, {"type": "string"}]}),
            Self::Uuid => json!({"format": "uuid", "type": "string"}),
            Self::Bytes => json!({"format": "binary", "type": "string"}),
        }
    }

    /// The value of it that pydantic makes of a value.
    pub(super) fn coerce(self, value: Object) -> Coerced {
        match self {
            Self::DateTime => moment::datetime(&value),
            Self::Date => moment::date(&value),
            Self::Time => moment::time(&value),
            Self::TimeDelta => moment::timedelta(&value),
            Self::Decimal => exact::decimal(&value),
            Self::Uuid => exact::uuid(&value),
            Self::Bytes => exact::bytes(value),
        }
    }
}
