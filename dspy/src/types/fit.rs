//! How well a value fits a type: what a union decides by.

/// How well a value fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    grade: Grade,
    /// How many fields of models were given, if there are models in it.
    fields: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    /// It had to be converted.
    Lax,
    /// It is one by Python's own rules: an `int` for a `float`.
    Strict,
    /// It is of the type.
    Exact,
}

impl Fit {
    pub(super) const LAX: Self = Self { grade: Grade::Lax, fields: None };
    pub(super) const STRICT: Self = Self { grade: Grade::Strict, fields: None };
    pub(super) const EXACT: Self = Self { grade: Grade::Exact, fields: None };
    /// A model, before its fields.
    pub(super) const MODEL: Self = Self { grade: Grade::Strict, fields: Some(0) };
    /// A field of a model that was given.
    pub(super) const FIELD: Self = Self { grade: Grade::Exact, fields: Some(1) };

    /// The fit of two parts together.
    pub(super) fn and(self, other: Self) -> Self {
        let fields = match (self.fields, other.fields) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
        };
        Self { grade: self.grade.min(other.grade), fields }
    }

    /// Whether a union prefers this to the best so far.
    pub(super) fn is_better_than(self, best: Self) -> bool {
        match (self.fields, best.fields) {
            (Some(own), Some(its)) if own != its => own > its,
            _ => self.grade > best.grade,
        }
    }
}
