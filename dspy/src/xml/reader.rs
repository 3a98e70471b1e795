//! From tokens to a tree: tags that match, attributes, entities.

use std::{collections::HashSet, ops::Range};

use super::{
    Element, ElementId, Fault, Tree,
    epilog::Epilog,
    namespace::Namespaces,
    token::{Attribute, Scanner, Stop, Token},
};

/// A fault and its place.
type Read<T = ()> = Result<T, (Fault, usize)>;

pub(super) fn read(text: &str) -> Read<Tree> {
    let mut reader = Reader {
        text,
        scanner: Scanner::new(text),
        tree: Tree::default(),
        open: Vec::new(),
        last: None,
        namespaces: Namespaces::of_text(text.len()),
    };
    while reader.step()? {}
    reader.epilog()?;
    Ok(reader.tree)
}

/// An element that has not ended.
struct Open {
    id: ElementId,
    /// Its name as it is written.
    name: Range<usize>,
    /// The declarations in force outside of it.
    namespaces: usize,
}

struct Reader<'a> {
    text: &'a str,
    scanner: Scanner<'a>,
    tree: Tree,
    open: Vec<Open>,
    /// The element that ended last, if text now stands behind it.
    last: Option<ElementId>,
    namespaces: Namespaces,
}

impl Reader<'_> {
    /// Reads a token; `false` when the root has ended.
    fn step(&mut self) -> Read<bool> {
        let start = self.scanner.at;
        let token = self.scanner.content().map_err(|stop| fault(stop, start))?;
        let Some(token) = token else { return Err((Fault::NoElement, start)) };
        match token {
            Token::Start { name, attributes, is_empty } => {
                self.start(start, name, &attributes)?;
                if is_empty {
                    self.close();
                }
            }
            Token::End { name } => self.end(&name)?,
            Token::Entity { name } => {
                let c = entity(&self.text[name]).ok_or((Fault::UndefinedEntity, start))?;
                self.data(&c.to_string());
            }
            Token::Character { digits } => {
                let c = character(&self.text[digits]).ok_or((Fault::InvalidCharacter, start))?;
                self.data(&c.to_string());
            }
            Token::CdataOpen => self.cdata()?,
            Token::Ignored => {}
            Token::Declaration => return Err((Fault::MisplacedDeclaration, start)),
            Token::Text => {
                let text = self.text;
                self.data(&text[start..self.scanner.at]);
            }
            Token::Newline => self.data("\n"),
        }
        Ok(!self.open.is_empty())
    }

    fn epilog(&mut self) -> Read {
        loop {
            let start = self.scanner.at;
            match self.scanner.epilog().map_err(|stop| fault(stop, start))? {
                Epilog::End => return Ok(()),
                Epilog::Junk => return Err((Fault::JunkAfterRoot, start)),
                Epilog::Ignored => {}
            }
        }
    }

    fn start(&mut self, at: usize, name: Range<usize>, attributes: &[Attribute]) -> Read {
        let outside = self.namespaces.len();
        let attributes = self.attributes(at, attributes)?;
        let tag = self.namespaces.element(&self.text[name.clone()]).map_err(|it| (it, at))?;
        let id = self.tree.elements.len();
        if let Some(parent) = self.open.last() {
            self.tree.elements[parent.id].children.push(id);
        }
        let depth = self.open.len();
        self.tree.elements.push(Element { tag, attributes, depth, ..Element::default() });
        self.open.push(Open { id, name, namespaces: outside });
        self.last = None;
        Ok(())
    }

    fn attributes(&mut self, at: usize, written: &[Attribute]) -> Read<Vec<(String, String)>> {
        let mut plain: Vec<(&str, String)> = Vec::with_capacity(written.len());
        let mut names = HashSet::new();
        for attribute in written {
            let name = &self.text[attribute.name.clone()];
            if !names.insert(name) {
                return Err((Fault::DuplicateAttribute, attribute.name.start));
            }
            let value = self.value(at, attribute.value.clone())?;
            let declared = name.strip_prefix("xmlns");
            let prefix = declared.and_then(|it| match it {
                "" => Some(""),
                it => it.strip_prefix(':'),
            });
            match prefix {
                Some(prefix) => self.namespaces.declare(prefix, &value).map_err(|it| (it, at))?,
                None => plain.push((name, value)),
            }
        }
        let mut attributes: Vec<(String, String)> = Vec::with_capacity(plain.len());
        let mut names = HashSet::new();
        for (name, value) in plain {
            let name = self.namespaces.attribute(name).map_err(|it| (it, at))?;
            if !names.insert(name.clone()) {
                return Err((Fault::DuplicateAttribute, at));
            }
            attributes.push((name, value));
        }
        Ok(attributes)
    }

    /// An attribute's value: blanks of any kind are spaces, references what they stand for.
    fn value(&self, tag: usize, range: Range<usize>) -> Read<String> {
        let mut value = String::with_capacity(range.len());
        let mut scanner = Scanner::new(&self.text[..range.end]);
        scanner.at = range.start;
        while scanner.at < range.end {
            let start = scanner.at;
            let rest = &self.text[start..range.end];
            match rest.chars().next() {
                Some('&') => match scanner.content().map_err(|stop| fault(stop, start))? {
                    Some(Token::Entity { name }) => {
                        let c = entity(&self.text[name]).ok_or((Fault::UndefinedEntity, tag))?;
                        value.push(c);
                    }
                    Some(Token::Character { digits }) => {
                        let c = character(&self.text[digits]);
                        value.push(c.ok_or((Fault::InvalidCharacter, start))?);
                    }
                    _ => return Err((Fault::InvalidToken, start)),
                },
                Some('\r') => {
                    scanner.at += if rest.starts_with("\r\n") { 2 } else { 1 };
                    value.push(' ');
                }
                Some('\n' | '\t') => {
                    scanner.at += 1;
                    value.push(' ');
                }
                Some(c) => {
                    scanner.at += c.len_utf8();
                    value.push(c);
                }
                None => break,
            }
        }
        Ok(value)
    }

    fn end(&mut self, name: &Range<usize>) -> Read {
        let is_same = |it: &Open| self.text[it.name.clone()] == self.text[name.clone()];
        if !self.open.last().is_some_and(is_same) {
            return Err((Fault::MismatchedTag, name.start));
        }
        self.close();
        Ok(())
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.namespaces.truncate(open.namespaces);
            self.last = Some(open.id);
        }
    }

    fn cdata(&mut self) -> Read {
        let start = self.scanner.at;
        let text = self.scanner.cdata().map_err(|stop| fault(stop, start))?;
        let text = text.ok_or((Fault::UnclosedCdata, self.text.len()))?;
        let text = self.text[text].replace("\r\n", "\n").replace('\r', "\n");
        self.data(&text);
        Ok(())
    }

    /// Text belongs to the element it stands in, or behind the one that ended last.
    fn data(&mut self, text: &str) {
        match (self.last, self.open.last()) {
            (Some(last), _) => self.tree.elements[last].tail.push_str(text),
            (None, Some(open)) => self.tree.elements[open.id].text.push_str(text),
            (None, None) => {}
        }
    }
}

fn fault(stop: Stop, start: usize) -> (Fault, usize) {
    match stop {
        Stop::Invalid(at) => (Fault::InvalidToken, at),
        Stop::Partial => (Fault::UnclosedToken, start),
    }
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// The character of a number, if a document may hold it.
fn character(digits: &str) -> Option<char> {
    let (digits, radix) = digits.strip_prefix('x').map_or((digits, 10), |it| (it, 16));
    let code = u32::from_str_radix(digits.trim_start_matches('0'), radix).ok()?;
    char::from_u32(code).filter(|c| super::names::is_allowed(*c))
}
