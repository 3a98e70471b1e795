//! Namespaces: which prefix stands for which, and what may not be declared.

use super::Fault;

const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// The declarations that are in force, the innermost last.
#[derive(Default)]
pub(super) struct Namespaces {
    declared: Vec<(String, String)>,
}

impl Namespaces {
    /// How many there are: what to go back to when an element ends.
    pub(super) fn len(&self) -> usize {
        self.declared.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.declared.truncate(len);
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
        self.declared.push((prefix.to_owned(), uri.to_owned()));
        Ok(())
    }

    /// An element's name with its namespace: `{uri}name`.
    pub(super) fn element(&self, name: &str) -> Result<String, Fault> {
        match name.split_once(':') {
            Some((prefix, local)) => self.expanded(prefix, local),
            None => Ok(match self.find("") {
                Some(uri) if !uri.is_empty() => format!("{{{uri}}}{name}"),
                Some(_) | None => name.to_owned(),
            }),
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
        Ok(format!("{{{uri}}}{local}"))
    }

    fn find(&self, prefix: &str) -> Option<&str> {
        let own = self.declared.iter().rfind(|(it, _)| it == prefix);
        own.map(|(_, uri)| uri.as_str()).or((prefix == "xml").then_some(XML))
    }
}
