//! `xml.etree.ElementTree.tostring(element, encoding="unicode")`.

use std::collections::{HashMap, hash_map::Entry};

use super::{Element, ElementId, Tree};

/// The prefixes that Python knows; all others are numbered.
const KNOWN: [(&str, &str); 7] = [
    ("http://www.w3.org/XML/1998/namespace", "xml"),
    ("http://www.w3.org/1999/xhtml", "html"),
    ("http://www.w3.org/1999/02/22-rdf-syntax-ns#", "rdf"),
    ("http://schemas.xmlsoap.org/wsdl/", "wsdl"),
    ("http://www.w3.org/2001/XMLSchema", "xs"),
    ("http://www.w3.org/2001/XMLSchema-instance", "xsi"),
    ("http://purl.org/dc/elements/1.1/", "dc"),
];

/// The element, and the text behind it.
pub(super) fn element(tree: &Tree, id: ElementId) -> String {
    let mut writer =
        Writer { tree, prefixes: Vec::new(), places: HashMap::new(), out: String::new() };
    writer.collect(id);
    writer.write(id, true);
    writer.out
}

struct Writer<'a> {
    tree: &'a Tree,
    /// Namespaces and their prefixes, in the order in which they come.
    prefixes: Vec<(&'a str, String)>,
    /// Their places by namespace.
    places: HashMap<&'a str, usize>,
    out: String,
}

impl<'a> Writer<'a> {
    /// Gives every namespace in the element its prefix.
    fn collect(&mut self, id: ElementId) {
        let Element { tag, attributes, children, .. } = self.tree.get(id);
        self.name_space(tag);
        for (name, _) in attributes {
            self.name_space(name);
        }
        for child in children {
            self.collect(*child);
        }
    }

    fn name_space(&mut self, name: &'a str) {
        let Some((uri, _)) = split(name) else { return };
        let place = self.prefixes.len();
        let prefix = match KNOWN.iter().find(|(it, _)| *it == uri) {
            Some((_, "xml")) => return,
            Some((_, prefix)) => (*prefix).to_owned(),
            None => format!("ns{place}"),
        };
        if let Entry::Vacant(vacant) = self.places.entry(uri) {
            vacant.insert(place);
            self.prefixes.push((uri, prefix));
        }
    }

    fn named(&self, name: &str) -> String {
        let Some((uri, local)) = split(name) else { return name.to_owned() };
        let found = self.places.get(uri).and_then(|at| self.prefixes.get(*at));
        let prefix = found.map_or("xml", |(_, prefix)| prefix.as_str());
        format!("{prefix}:{local}")
    }

    fn write(&mut self, id: ElementId, is_first: bool) {
        let Element { tag, attributes, text, tail, children, .. } = self.tree.get(id);
        let tag = self.named(tag);
        self.put(&["<", &tag]);
        if is_first {
            let mut prefixes = self.prefixes.clone();
            prefixes.sort_by(|a, b| a.1.cmp(&b.1));
            for (uri, prefix) in prefixes {
                self.put(&[" xmlns:", &prefix, "=\"", &quoted(uri), "\""]);
            }
        }
        for (name, value) in attributes {
            let name = self.named(name);
            self.put(&[" ", &name, "=\"", &quoted(value), "\""]);
        }
        if text.is_empty() && children.is_empty() {
            self.put(&[" />"]);
        } else {
            self.put(&[">", &escaped(text)]);
            for child in children {
                self.write(*child, false);
            }
            self.put(&["</", &tag, ">"]);
        }
        self.put(&[&escaped(tail)]);
    }

    fn put(&mut self, parts: &[&str]) {
        self.out.extend(parts.iter().copied());
    }
}

/// The namespace and the name in `{namespace}name`.
fn split(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix('{')?.rsplit_once('}')
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn quoted(text: &str) -> String {
    let text = escaped(text).replace('"', "&quot;").replace('\r', "&#13;");
    text.replace('\n', "&#10;").replace('\t', "&#09;")
}

/// `xml.sax.saxutils.quoteattr`: a value in the quotes that it holds none of.
pub(crate) fn quote_attribute(value: &str) -> String {
    let value = escaped(value).replace('\n', "&#10;").replace('\r', "&#13;");
    let value = value.replace('\t', "&#9;");
    match (value.contains('"'), value.contains('\'')) {
        (true, true) => format!("\"{}\"", value.replace('"', "&quot;")),
        (true, false) => format!("'{value}'"),
        (false, _) => format!("\"{value}\""),
    }
}
