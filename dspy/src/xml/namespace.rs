//! Namespaces: which prefix stands for which, and what may not be declared.

use std::{cell::Cell, collections::HashMap};

use super::Fault;

const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// How long all names with their namespaces may be, in texts of the document's length: a long
/// namespace is written once, and stands in the name of every element in it.
const NAMES_MAX: usize = 16;
/// What the names of any document may take, in bytes.
const NAMES_MIN: usize = 1 << 20;

/// The declarations that are in force, the innermost last.
pub(super) struct Namespaces {
    declared: Vec<(String, String)>,
    /// The places of each prefix's declarations, the innermost last.
    places: HashMap<String, Vec<usize>>,
    /// How many bytes names may still take.
    left: Cell<usize>,
}

impl Namespaces {
    /// None are declared yet in a document of so many bytes.
    pub(super) fn of_text(bytes: usize) -> Self {
        let left = Cell::new(NAMES_MIN.max(bytes.saturating_mul(NAMES_MAX)));
        Self { declared: Vec::new(), places: HashMap::new(), left }
    }

    /// How many there are: what to go back to when an element ends.
    pub(super) fn len(&self) -> usize {
        self.declared.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        for (prefix, _) in self.declared.drain(len..) {
            if let Some(places) = self.places.get_mut(&prefix) {
                places.pop();
            }
        }
    }

    /// Declares what a prefix stands for; no prefix is the empty one.
    pub(super) fn declare(&mut self, prefix: &str, uri: &str) -> Result<(), Fault> {
        if uri.is_empty() && !prefix.is_empty() {
            return Err(Fault::UndeclaredPrefix);
        }
        if prefix == "xmlns" {
            return Err(Fault::PrefixXmlns);
        }
        // The separator of expanded names.
        if uri.contains('}') {
            return Err(Fault::Syntax);
        }
        match (prefix == "xml", uri == XML) {
            (true, false) => return Err(Fault::PrefixXml),
            (false, true) => return Err(Fault::ReservedNamespace),
            (true, true) | (false, false) => {}
        }
        if uri == XMLNS {
            return Err(Fault::ReservedNamespace);
        }
        self.places.entry(prefix.to_owned()).or_default().push(self.declared.len());
        self.declared.push((prefix.to_owned(), uri.to_owned()));
        Ok(())
    }

    /// An element's name with its namespace: `{uri}name`.
    pub(super) fn element(&self, name: &str) -> Result<String, Fault> {
        match name.split_once(':') {
            Some((prefix, local)) => self.expanded(prefix, local),
            None => match self.find("") {
                Some(uri) if !uri.is_empty() => self.within(uri, name),
                Some(_) | None => Ok(name.to_owned()),
            },
        }
    }

    /// An attribute's name; without a prefix it is in no namespace.
    pub(super) fn attribute(&self, name: &str) -> Result<String, Fault> {
        match name.split_once(':') {
            Some((prefix, local)) => self.expanded(prefix, local),
            None => Ok(name.to_owned()),
        }
    }

    fn expanded(&self, prefix: &str, local: &str) -> Result<String, Fault> {
        let uri = self.find(prefix).ok_or(Fault::UnboundPrefix)?;
        self.within(uri, local)
    }

    fn within(&self, uri: &str, local: &str) -> Result<String, Fault> {
        let left = self.left.get().checked_sub(uri.len() + local.len());
        self.left.set(left.ok_or(Fault::Amplified)?);
        Ok(format!("{{{uri}}}{local}"))
    }

    fn find(&self, prefix: &str) -> Option<&str> {
        let place = self.places.get(prefix).and_then(|it| it.last());
        let own = place.and_then(|at| self.declared.get(*at));
        own.map(|(_, uri)| uri.as_str()).or((prefix == "xml").then_some(XML))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, Tree};

    #[test]
    fn long_namespace_is_not_written_out_for_every_element() {
        let text = format!("<r xmlns='{}'>{}</r>", "u".repeat(100_000), "<a/>".repeat(10_000));

        let error = Tree::parse(&text).unwrap_err();

        assert_eq!(error.fault, Fault::Amplified);
    }
}
