//! `Annotated[…, …]`: a type within another, with bounds that its values keep.

#![expect(clippy::wildcard_enum_match_arm, reason = "bounds are for few types")]

use serde_json::{Map, Value};

use super::Type;
use crate::python::repr;

/// pydantic's rules, and the bound that each sets; in the order in which it keeps them.
pub(crate) const RULES: [(&str, &str); 7] = [
    ("Gt", "gt"),
    ("Ge", "ge"),
    ("Lt", "lt"),
    ("Le", "le"),
    ("MultipleOf", "multiple_of"),
    ("MinLen", "min_length"),
    ("MaxLen", "max_length"),
];

/// A type with bounds, as it stands within another: `list[Annotated[int, Field(gt=0)]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Constrained {
    /// The type of its values: text, a number or a list.
    pub(super) ty: Type,
    /// By pydantic's names: `ge`, `max_length`, …
    pub(super) bounds: Map<String, Value>,
    /// The rules as Python writes them: `Field(gt=0)`.
    pub(super) written: String,
    /// The rules as DSPy prints them.
    pub(super) printed: String,
    /// The rules as pydantic prints them within a field.
    pub(super) displayed: String,
}

/// One rule of several: pydantic's `Field`, or one of `annotated_types`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) bounds: Map<String, Value>,
}

impl Constrained {
    /// The type of its values.
    pub(crate) fn ty(&self) -> &Type {
        &self.ty
    }

    /// The type with these rules, of which there are some; or what is wrong with them.
    pub(super) fn new(ty: Type, rules: &[Rule]) -> Result<Self, String> {
        let names: Vec<_> = rules.iter().map(Rule::names).collect::<Result<_, _>>()?;
        let mut bounds = Map::new();
        for (name, bound) in rules.iter().flat_map(|it| &it.bounds) {
            check(&ty, name, bound)?;
            if bounds.insert(name.clone(), bound.clone()).is_some() {
                return Err(format!("`{name}` is there twice"));
            }
        }
        if names.is_empty() {
            return Err("`Annotated` takes a type and bounds: `Field(gt=0)`".to_owned());
        }
        let all = |name: fn(&RuleNames) -> &str| names.iter().map(name).collect::<Vec<_>>();
        Ok(Self {
            ty,
            bounds,
            written: all(|it| &it.written).join(", "),
            printed: all(|it| &it.printed).join(", "),
            displayed: all(|it| &it.displayed).join(", "),
        })
    }
}

/// How one rule is written, and what is printed of it.
struct RuleNames {
    written: String,
    printed: String,
    displayed: String,
}

/// Whether values of a type can have a bound.
fn check(ty: &Type, name: &str, bound: &Value) -> Result<(), String> {
    let is_length = matches!(name, "min_length" | "max_length");
    let is_right = match ty {
        Type::Int | Type::Float => !is_length && bound.is_number(),
        Type::Str | Type::List(_) | Type::BareList => is_length && bound.is_u64(),
        _ => false,
    };
    if is_right { Ok(()) } else { Err(format!("`{name}={bound}` bounds no value of `{ty}`")) }
}

impl Rule {
    /// `str` of a `Field` tells all that is in it.
    fn names(&self) -> Result<RuleNames, String> {
        let bounds = self.bounds.iter().map(|(name, it)| bound(name, it));
        let written = format!("{}({})", self.name, bounds.collect::<Vec<_>>().join(", "));
        let known = RULES.iter().filter_map(|(class, name)| {
            let it = self.bounds.get(*name)?;
            Some((*class, format!("{class}({})", bound(name, it))))
        });
        let known: Vec<_> = known.collect();
        let is_whole = known.len() == self.bounds.len();
        match (self.name.as_str(), known.as_slice()) {
            ("Field", [_, ..]) if is_whole => {
                let rules: Vec<_> = known.into_iter().map(|(_, it)| it).collect();
                let rules = rules.join(", ");
                let printed = format!("annotation=NoneType required=True metadata=[{rules}]");
                let displayed =
                    format!("FieldInfo(annotation=NoneType, required=True, metadata=[{rules}])");
                Ok(RuleNames { written, printed, displayed })
            }
            (name, [(class, printed)]) if is_whole && name == *class => {
                let (printed, displayed) = (printed.clone(), name.to_owned());
                Ok(RuleNames { written, printed, displayed })
            }
            _ => Err(format!("the native engine does not know the rule `{written}`")),
        }
    }
}

fn bound(name: &str, bound: &Value) -> String {
    format!("{name}={}", repr::repr(&bound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_in_python_and_printed_as_dspy_prints_them() {
        let ty = Type::parse("list[Annotated[int, Field(le=10, gt=0), Lt(lt=5.5)]]").unwrap();

        assert_eq!(ty.annotation(), "list[Annotated[int, Field(le=10, gt=0), Lt(lt=5.5)]]");
        assert_eq!(
            ty.to_string(),
            "list[Annotated[int, annotation=NoneType required=True metadata=[Gt(gt=0), \
             Le(le=10)], Lt(lt=5.5)]]"
        );
    }

    #[test]
    fn rules_that_bound_nothing_are_refused() {
        let cases = [
            ("list[Annotated[int]]", "takes a type and bounds"),
            ("list[Annotated[int, Field()]]", "does not know the rule `Field()`"),
            ("list[Annotated[int, Gt(ge=1)]]", "does not know the rule `Gt(ge=1)`"),
            ("list[Annotated[int, Min(gt=1)]]", "does not know the rule `Min(gt=1)`"),
            ("list[Annotated[int, Field(pattern=1)]]", "does not know the rule"),
            ("list[Annotated[int, Field(min_length=1)]]", "bounds no value of `int`"),
            ("list[Annotated[bool, Field(gt=0)]]", "bounds no value of `bool`"),
            ("list[Annotated[str, MinLen(min_length=-1)]]", "bounds no value of `str`"),
            ("list[Annotated[int, Field(gt=0), Gt(gt=1)]]", "`gt` is there twice"),
            ("list[Annotated[int, Field(gt='a')]]", "is no number"),
            ("list[Annotated[int, Field(gt=0]]", "is no number"),
            ("Annotated[int, Field(gt=0)]", "stand beside its type"),
        ];

        for (text, why) in cases {
            let error = Type::parse(text).unwrap_err().to_string();

            assert!(error.contains(why), "{error}");
        }
    }
}
