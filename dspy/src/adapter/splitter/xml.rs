//! The text in a tag for each field, as long as it is XML as it should be and holds no tags itself.

use super::{Tell, held::Held};

/// The longest tag or entity that is waited for, in bytes.
const WAIT_MAX: usize = 10_000;

/// Reads the elements at the top.
#[derive(Debug)]
pub(crate) struct Xml {
    fields: Vec<String>,
    seen: Vec<bool>,
    text: Held,
    /// The tags that are open.
    open: Vec<String>,
    /// A tag or an entity that has begun.
    pending: String,
    after_return: bool,
    is_lost: bool,
}

impl Xml {
    pub(super) fn new(fields: &[String]) -> Self {
        Self {
            fields: fields.to_vec(),
            seen: vec![false; fields.len()],
            text: Held::default(),
            open: Vec::new(),
            pending: String::new(),
            after_return: false,
            is_lost: false,
        }
    }

    pub(super) fn push(&mut self, text: &str, tell: &mut Tell<'_>) {
        for c in text.chars() {
            if self.is_lost {
                break;
            }
            self.is_lost = self.take(c, tell).is_none();
        }
        self.text.tell(tell);
    }

    /// Takes a character; none if nothing can be told any more.
    fn take(&mut self, c: char, tell: &mut Tell<'_>) -> Option<()> {
        if std::mem::replace(&mut self.after_return, c == '\r') && c == '\n' {
            return Some(());
        }
        let c = if c == '\r' { '\n' } else { c };
        match (self.pending.is_empty(), c) {
            (true, '<' | '&') => self.pending.push(c),
            (true, c) => self.text.push(c),
            (false, '>') if self.pending.starts_with('<') => {
                let tag = std::mem::take(&mut self.pending);
                self.tag(&tag[1..], tell)?;
            }
            (false, ';') if self.pending.starts_with('&') => {
                let entity = std::mem::take(&mut self.pending);
                self.text.push(character(&entity[1..])?);
            }
            (false, '<' | '&') => return None,
            (false, _) if self.pending.len() >= WAIT_MAX => return None,
            (false, c) => self.pending.push(c),
        }
        Some(())
    }

    fn tag(&mut self, tag: &str, tell: &mut Tell<'_>) -> Option<()> {
        if let Some(name) = tag.strip_prefix('/') {
            if self.open.pop()? != name.trim_end() {
                return None;
            }
            self.text.begin(None, tell);
            return Some(());
        }
        // Comments and the like, attributes, and tags within a text are the adapter's to judge.
        let is_plain = !tag.contains(['!', '?', '=', '"', '\'']);
        if !is_plain || self.text.is_wanted() {
            return None;
        }
        if tag.ends_with('/') {
            return Some(());
        }
        let name = tag.trim_end();
        let field = self.fields.iter().position(|it| it == name).filter(|_| self.open.is_empty());
        let field = field.filter(|at| !std::mem::replace(&mut self.seen[*at], true));
        self.text.begin(field, tell);
        self.open.push(name.to_owned());
        Some(())
    }
}

/// The character that an entity stands for.
fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => {}
    }
    let number = entity.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}
