//! A text that will be stripped: blanks at its start are dropped, others wait for what follows.

use super::Tell;
use crate::python::text::is_space;

/// A text that will be stripped, and the field that it belongs to.
#[derive(Debug, Default)]
pub(super) struct Held {
    field: Option<usize>,
    is_begun: bool,
    blanks: String,
    fresh: String,
}

impl Held {
    /// Begins the text of another field; or of none.
    pub(super) fn begin(&mut self, field: Option<usize>, tell: &mut Tell<'_>) {
        self.tell(tell);
        *self = Self { field, ..Self::default() };
    }

    /// Whether the text is any field's.
    pub(super) fn is_wanted(&self) -> bool {
        self.field.is_some()
    }

    pub(super) fn push(&mut self, c: char) {
        if self.field.is_none() {
            return;
        }
        if is_space(c) {
            if self.is_begun {
                self.blanks.push(c);
            }
            return;
        }
        self.is_begun = true;
        self.fresh.push_str(&self.blanks);
        self.blanks.clear();
        self.fresh.push(c);
    }

    /// Forgets the blanks at the end.
    pub(super) fn drop_blanks(&mut self) {
        self.blanks.clear();
    }

    /// Tells what is new.
    pub(super) fn tell(&mut self, tell: &mut Tell<'_>) {
        if let Some(field) = self.field.filter(|_| !self.fresh.is_empty()) {
            tell(field, &self.fresh);
            self.fresh.clear();
        }
    }
}
