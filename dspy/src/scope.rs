//! Where in a program a module runs, and what the modules around it ask of it.

use std::fmt;

use crate::{
    Demo, LmSettings,
    module::{Advice, Calls},
};

/// Where in a program a module runs, and what the modules around it ask of it: `Default` at the
/// top. Modules make the scopes of what they run; nobody else needs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    path: Option<&'a Segment<'a>>,
    /// Settings of this attempt: over those of the model, under those of the predictors.
    pub(crate) attempt: Option<&'a LmSettings>,
    /// Demos in place of the predictors' own.
    pub(crate) demos: Option<&'a [Demo]>,
    /// Hints for the predictors, by an adviser that saw them fail.
    pub(crate) advice: Option<&'a Advice>,
    /// Where the calls of predictors are kept for an adviser.
    pub(crate) calls: Option<&'a Calls>,
}

/// One name on the way from the program to a predictor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    before: Option<&'a Segment<'a>>,
    name: &'a str,
}

impl<'a> Scope<'a> {
    /// The segment of something inside of this scope.
    pub(crate) fn segment(self, name: &'a str) -> Segment<'a> {
        Segment { before: self.path, name }
    }

    /// This scope, but with the predictors' own demos.
    pub(crate) fn with_own_demos(self) -> Self {
        Self { demos: None, ..self }
    }

    /// This scope, one name further inside.
    pub(crate) fn at(self, segment: &'a Segment<'a>) -> Self {
        Self { path: Some(segment), ..self }
    }
}

/// The path as DSPy's `named_predictors` writes it: `draft.predict`; at the top `self`.
impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path {
            Some(path) => path.fmt(f),
            None => f.write_str("self"),
        }
    }
}

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            write!(f, "{before}.")?;
        }
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_the_package_writes_them() {
        let top = Scope::default();
        let draft = top.segment("draft");
        let draft = top.at(&draft);
        let predict = draft.segment("predict");

        assert_eq!(top.to_string(), "self");
        assert_eq!(draft.at(&predict).to_string(), "draft.predict");
    }
}
