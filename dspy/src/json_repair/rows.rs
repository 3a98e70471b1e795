//! A list that goes on where a key should be: `"rows": [[1, 2]], [[3, 4]]`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use crate::python::object::Object;

/// What is known of the list that goes on, lest it is looked through for each of its parts.
#[derive(Default)]
pub(super) struct Rows {
    name: String,
    /// How many of its items were looked at.
    seen: usize,
    /// The length of its rows, if it has rows.
    len: Option<usize>,
    /// Whether some rows are of another length.
    is_uneven: bool,
    /// Where the items behind its last row begin.
    tail: usize,
}

fn row_len(row: &Object) -> Option<usize> {
    match row {
        Object::List(items) => Some(items.len()),
        _ => None,
    }
}

impl Rows {
    /// Forgets what is known if it is of this member, whose value is now another one.
    pub(super) fn forget(&mut self, name: &str) {
        if self.name == name {
            *self = Self::default();
        }
    }

    /// Appends to the rows of a list; items without brackets are grouped into rows as long as
    /// theirs.
    pub(super) fn proceed(&mut self, name: &str, list: &mut Vec<Object>, mut new: Vec<Object>) {
        let Some(len) = self.common_len(name, list) else {
            match new.as_mut_slice() {
                [Object::List(only)] => list.append(only),
                _ => list.append(&mut new),
            }
            return;
        };
        if (list.len() - self.tail).is_multiple_of(len) {
            let tail = list.split_off(self.tail);
            list.extend(tail.chunks(len).map(|row| Object::List(row.to_vec())));
            (self.seen, self.tail) = (list.len(), list.len());
        }
        if new.is_empty() {
            return;
        }
        if new.iter().all(|it| row_len(it).is_some()) {
            list.append(&mut new);
        } else {
            list.push(Object::List(new));
        }
    }

    /// The length of the list's rows, if they all have one and it is not zero.
    fn common_len(&mut self, name: &str, list: &[Object]) -> Option<usize> {
        if self.name != name {
            *self = Self { name: name.to_owned(), ..Self::default() };
        }
        for (at, item) in list.iter().enumerate().skip(self.seen) {
            if let Some(len) = row_len(item) {
                self.is_uneven |= *self.len.get_or_insert(len) != len;
                self.tail = at + 1;
            }
        }
        self.seen = list.len();
        self.len.filter(|len| *len > 0 && !self.is_uneven)
    }
}
