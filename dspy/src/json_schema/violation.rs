//! What is wrong with a value, and which of several such things is told.

use std::cmp::Ordering;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    /// Where in the value, from the outside in.
    path: Vec<Place>,
    keyword: String,
    pub(super) message: String,
    /// What is wrong in each of the alternatives, if there are any.
    context: Vec<Violation>,
    /// Whether the value is of the type that the schema names.
    matches_type: bool,
}

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Item(usize),
    Member(String),
}

impl Violation {
    pub(super) fn new(keyword: &str, message: String) -> Self {
        let keyword = keyword.to_owned();
        Self { path: Vec::new(), keyword, message, context: Vec::new(), matches_type: false }
    }

    pub(super) fn of_all(message: String, context: Vec<Self>) -> Self {
        Self { context, ..Self::new("", message) }
    }

    /// The same, seen from around the place where it is.
    pub(super) fn inside(mut self, place: Place) -> Self {
        self.path.insert(0, place);
        self
    }

    /// The same, found by a keyword of a schema; what was found deeper keeps its own.
    pub(super) fn seen_by(mut self, keyword: &str, matches_type: bool) -> Self {
        if self.keyword.is_empty() {
            keyword.clone_into(&mut self.keyword);
            self.matches_type = matches_type;
        }
        self
    }

    fn is_weak(&self) -> bool {
        self.keyword == "anyOf" || self.keyword == "oneOf"
    }

    /// How much it matters, as `jsonschema.exceptions.relevance` says.
    fn relevance(&self, other: &Self) -> Ordering {
        let depth = other.path.len().cmp(&self.path.len());
        depth
            .then_with(|| self.path.cmp(&other.path))
            .then_with(|| other.is_weak().cmp(&self.is_weak()))
            .then_with(|| other.matches_type.cmp(&self.matches_type))
    }
}

/// The one to tell: what matters most; of alternatives what matters least, unless two are equal.
pub(super) fn best(all: Vec<Violation>) -> Option<Violation> {
    let first_best = |best: Violation, it: Violation| {
        if it.relevance(&best) == Ordering::Greater { it } else { best }
    };
    let mut best = all.into_iter().reduce(first_best)?;
    while !best.context.is_empty() {
        let mut context = best.context.clone();
        context.sort_by(Violation::relevance);
        if context.len() > 1 && context[0].relevance(&context[1]) == Ordering::Equal {
            break;
        }
        best = context.swap_remove(0);
    }
    Some(best)
}
